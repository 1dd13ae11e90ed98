"""The sample: seeded, independent of its blocks, and distributed as it says."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.paths import DATA

from fastbox import InputError
from fastbox.datasets import unlisted
from fastbox.datasets.convert import convert
from fastbox.jobs.made import CORNERS
from fastbox.jobs.synthesize import BLOCK, synthesize
from fastbox.tables.record import read_record

NAMES = ("truths", "detections", "pairs")

Drawn = dict[str, pa.Table]


def draw(folder: Path, images: int, seed: int = 0, rotated: bool = False) -> Drawn:
    folder.mkdir(exist_ok=True)
    paths = {name: folder / f"{name}.parquet" for name in NAMES}
    more = {name: paths[name] for name in NAMES[1:]}
    counts = synthesize(paths["truths"], count=images, seed=seed, rotated=rotated, **more)
    tables = {name: pq.read_table(path) for name, path in paths.items()}
    assert counts == {"images": images, **{name: table.num_rows for name, table in tables.items()}}
    return tables


def columns(table: pa.Table) -> dict[str, Any]:
    return {name: table[name].to_numpy() for name in table.column_names}


def corners(table: pa.Table, prefix: str = "") -> np.ndarray[Any, Any]:
    return np.stack([table[prefix + name].to_numpy().astype(np.float64) for name in CORNERS], axis=1)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw(tmp_path_factory.mktemp("sample"), 5000)


def test_the_same_seed_gives_the_same_rows(drawn: Drawn, tmp_path: Path) -> None:
    assert draw(tmp_path, 5000) == drawn


def test_another_seed_gives_other_rows(drawn: Drawn, tmp_path: Path) -> None:
    other = draw(tmp_path, 300, seed=1)
    for name in NAMES:
        assert not other[name].equals(drawn[name].slice(0, other[name].num_rows))


@pytest.mark.parametrize("images", [1, 300, BLOCK - 1, BLOCK, BLOCK + 1])
def test_a_smaller_sample_is_the_beginning_of_a_larger(images: int, drawn: Drawn, tmp_path: Path) -> None:
    smaller = draw(tmp_path, images)
    for name in NAMES:
        assert smaller[name].equals(drawn[name].slice(0, smaller[name].num_rows)), name


def test_truths_do_not_depend_on_what_else_is_written(drawn: Drawn, tmp_path: Path) -> None:
    synthesize(tmp_path / "alone.parquet", count=5000)
    assert pq.read_table(tmp_path / "alone.parquet") == drawn["truths"]


def test_threads_change_nothing(drawn: Drawn, tmp_path: Path, threads: Callable[[int], None]) -> None:
    threads(1)
    one = draw(tmp_path / "one", 5000)
    threads(5)
    assert draw(tmp_path / "five", 5000) == one == drawn


def test_no_images_give_empty_files_of_the_schema(drawn: Drawn, tmp_path: Path) -> None:
    empty = draw(tmp_path, 0)
    for name in NAMES:
        assert empty[name].num_rows == 0
        assert empty[name].schema.equals(drawn[name].schema)


def test_the_schemas(drawn: Drawn) -> None:
    box = dict.fromkeys(CORNERS, "float")
    ids = {"image_id": "int64", "category_id": "int32"}
    sizes = {"iscrowd": "int8", "area": "float", "width": "int32", "height": "int32"}
    pair = {f"{side}_{name}": "float" for side in ("pred", "target") for name in CORNERS}
    expected = {
        "truths": {**ids, **box, **sizes},
        "detections": {**ids, **box, "score": "float"},
        "pairs": {**ids, **pair, "score": "float"},
    }
    for name in NAMES:
        assert {field.name: str(field.type) for field in drawn[name].schema} == expected[name]
        assert all(column.null_count == 0 for column in drawn[name].columns)


def test_the_footer_says_how_it_was_made(tmp_path: Path) -> None:
    synthesize(tmp_path / "truths.parquet", count=3, seed=9)
    record = read_record(tmp_path / "truths.parquet")
    assert record["command"] == "synthesize"
    assert record["parameters"] == {"count": 3, "seed": 9, "table": "truths"}


def test_boxes_are_valid_and_inside_their_images(drawn: Drawn) -> None:
    truths = columns(drawn["truths"])
    ids, first = np.unique(truths["image_id"], return_index=True)
    size = np.stack([truths["width"], truths["height"]], axis=1)[first]
    for name, prefix in (("truths", ""), ("detections", ""), ("pairs", "pred_"), ("pairs", "target_")):
        box = corners(drawn[name], prefix)
        assert np.isfinite(box).all()
        assert (box >= 0).all()
        assert (box[:, 2:] - box[:, :2] >= 1).all()
        image = drawn[name]["image_id"].to_numpy()
        known = np.isin(image, ids)
        assert (box[known, 2:] <= size[np.searchsorted(ids, image[known])]).all()
        assert (box <= 640).all()
    box = corners(drawn["truths"])
    assert (truths["area"] == ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])).astype(np.float32)).all()


def test_rows_are_sorted(drawn: Drawn) -> None:
    for name in NAMES:
        image = drawn[name]["image_id"].to_numpy()
        assert (np.diff(image) >= 0).all()
        if name != "truths":
            assert (np.diff(drawn[name]["score"].to_numpy())[np.diff(image) == 0] <= 0).all()


def test_ids_ascend_with_gaps(drawn: Drawn) -> None:
    gaps = np.diff(np.unique(drawn["truths"]["image_id"].to_numpy()))
    assert gaps.min() >= 1
    assert 90 < gaps.mean() < 140
    assert len(np.unique(gaps)) > 100


def test_truths_are_distributed_like_cocos(drawn: Drawn) -> None:
    truths = columns(drawn["truths"])
    _, counts = np.unique(truths["image_id"], return_counts=True)
    assert counts.sum() / 5000 == pytest.approx(7.3, abs=0.4)
    assert 1 - len(counts) / 5000 == pytest.approx(0.01, abs=0.005)
    assert np.percentile(counts, 99) > 25
    assert (truths["area"] < 32**2).mean() == pytest.approx(0.41, abs=0.02)
    assert (truths["area"] > 96**2).mean() == pytest.approx(0.24, abs=0.02)
    assert truths["iscrowd"].mean() == pytest.approx(0.012, abs=0.005)
    assert set(np.unique(truths["iscrowd"])) == {0, 1}

    box = corners(drawn["truths"])
    aspect = np.log((box[:, 2] - box[:, 0]) / (box[:, 3] - box[:, 1]))
    assert aspect.mean() == pytest.approx(-0.13, abs=0.05)
    assert aspect.std() == pytest.approx(0.75, abs=0.05)

    classes = np.bincount(truths["category_id"], minlength=81) / len(truths["category_id"])
    assert len(classes) == 81
    assert classes[0] == 0
    assert (classes[1:] > 0).all()
    assert classes[1] == pytest.approx(0.3, abs=0.03)
    assert classes[1] > classes[2] > classes[5] > classes[20] > classes[80]

    portrait = truths["height"] > truths["width"]
    assert 0.15 < portrait.mean() < 0.35
    assert np.median(truths["width"]) == 640
    assert np.median(truths["height"]) == 480


def test_detections_behave_like_a_detectors(drawn: Drawn) -> None:
    pairs = columns(drawn["pairs"])
    pred, target = corners(drawn["pairs"], "pred_"), corners(drawn["pairs"], "target_")
    overlap = np.minimum(pred[:, 2:], target[:, 2:]) - np.maximum(pred[:, :2], target[:, :2])
    inter = overlap.clip(0).prod(axis=1)
    area = [(box[:, 2:] - box[:, :2]).prod(axis=1) for box in (pred, target)]
    iou = inter / (area[0] + area[1] - inter)
    assert np.corrcoef(iou, pairs["score"])[0, 1] > 0.5
    assert 0.7 < np.median(iou) < 0.9
    assert iou.min() < 0.3

    seen = np.unique(np.column_stack([pairs["image_id"], target]), axis=0)
    side = np.sqrt((seen[:, 3:] - seen[:, 1:3]).prod(axis=1))
    truth_side = np.sqrt(drawn["truths"]["area"].to_numpy())
    found = [((side >= low) & (side < high)).sum() / ((truth_side >= low) & (truth_side < high)).sum()
             for low, high in ((0, 16), (16, 32), (32, 96), (96, 640))]  # fmt: skip
    assert found == sorted(found)
    assert found[0] < 0.5 < 0.9 < found[-1] < 1

    assert len(pairs["score"]) > 1.1 * len(seen), "duplicates"
    background = drawn["detections"].num_rows - len(pairs["score"])
    assert 0.1 < background / drawn["detections"].num_rows < 0.6
    score = drawn["detections"]["score"].to_numpy()
    assert score.min() > 0
    assert score.max() <= 1


def test_pairs_are_detections_beside_truths(drawn: Drawn) -> None:
    pairs, names = drawn["pairs"], ["image_id", *CORNERS]
    ids = pairs["image_id"].to_pylist()
    for prefix, other in (("pred_", "detections"), ("target_", "truths")):
        rows = set(zip(*(drawn[other][name].to_pylist() for name in names), strict=True))
        assert set(zip(ids, *(pairs[prefix + name].to_pylist() for name in CORNERS), strict=True)) <= rows
    truths = {
        row[:-1]: row[-1]
        for row in zip(*(drawn["truths"][n].to_pylist() for n in [*names, "category_id"]), strict=True)
    }
    boxes = zip(ids, *(pairs["target_" + name].to_pylist() for name in CORNERS), strict=True)
    assert np.mean([truths[box] == k for box, k in zip(boxes, pairs["category_id"].to_pylist(), strict=True)]) > 0.999
    right = {row[:-1]: row[-1] for row in zip(*(drawn["detections"][n].to_pylist() for n in [*names, "category_id"]),
                                              strict=True)}  # fmt: skip
    boxes = zip(ids, *(pairs["pred_" + name].to_pylist() for name in CORNERS), strict=True)
    agree = np.mean([right[box] == k for box, k in zip(boxes, pairs["category_id"].to_pylist(), strict=True)])
    assert 0.85 < agree < 0.99


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": -1}, "expected count to be a whole number, 0 or more, got -1"),
        ({"count": 1, "seed": -3}, "expected seed to be a whole number, 0 or more, got -3"),
        ({"count": 1, "pairs": "truths.parquet"}, "is the output for both"),
    ],
)
def test_bad_arguments_are_named(
    arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        synthesize("truths.parquet", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_where_one_file_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere"):
        synthesize(tmp_path / "truths.parquet", count=10, detections=tmp_path / "nowhere" / "detections.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_memory_does_not_grow_with_the_sample(python: Callable[..., Any], tmp_path: Path) -> None:
    """What is allocated, and not what the allocator keeps; from 100,000 images on, where a row group is full."""
    code = f"""
import tracemalloc
import pyarrow as pa
from fastbox.jobs.synthesize import synthesize
tracemalloc.start()
peaks = []
for images in (100_000, 400_000):
    tracemalloc.reset_peak()
    synthesize({str(tmp_path / "truths.parquet")!r}, count=images)
    peaks += [tracemalloc.get_traced_memory()[1], pa.default_memory_pool().max_memory()]
print(*peaks)
"""
    arrays, columns, more_arrays, more_columns = map(int, python(code, FASTBOX_NUM_THREADS="2").stdout.split())
    assert more_arrays < 1.2 * arrays
    assert more_columns < 1.2 * columns


def make_sample() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample", DATA / "make_sample.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_sample_in_data_is_made_again(tmp_path: Path) -> None:
    make_sample().make_sample(tmp_path)
    for name in NAMES:
        assert pq.read_table(tmp_path / f"{name}.parquet") == pq.read_table(DATA / f"{name}.parquet"), name
    assert sum((DATA / f"{name}.parquet").stat().st_size for name in NAMES) < 200_000


def test_rotated_boxes_are_the_same_boxes_turned(tmp_path: Path) -> None:
    plain = draw(tmp_path / "plain", 300)
    turned = draw(tmp_path / "turned", 300, rotated=True)
    for name, prefixes in {"truths": ("",), "detections": ("",), "pairs": ("pred_", "target_")}.items():
        for prefix in prefixes:
            assert (turned[name].schema.metadata or {})[f"{prefix}box_format".encode()] == b"cxcywhd"
            cx, cy, w, h = (turned[name][f"{prefix}{part}"].to_numpy() for part in ("cx", "cy", "w", "h"))
            upright = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1)
            np.testing.assert_array_equal(upright, corners(plain[name], prefix))
        for column in {"image_id", "category_id", "score", "area"} & set(plain[name].column_names):
            assert turned[name][column].equals(plain[name][column])
    assert np.histogram(turned["truths"]["angle"], 4, (-90, 90))[0].min() > len(turned["truths"]) / 5
    off = turned["pairs"]["pred_angle"].to_numpy() - turned["pairs"]["target_angle"].to_numpy()
    assert 2.5 < off.std() < 3.5 and abs(off.mean()) < 0.5


def test_angles_of_truths_do_not_depend_on_what_else_is_written(tmp_path: Path) -> None:
    synthesize(tmp_path / "alone.parquet", count=50, rotated=True)
    assert pq.read_table(tmp_path / "alone.parquet") == draw(tmp_path, 300, rotated=True)["truths"].slice(
        0, pq.read_metadata(tmp_path / "alone.parquet").num_rows
    )


@pytest.mark.parametrize("rotated", [False, True])
def test_truths_as_coco_list_the_images_without_truths_too(tmp_path: Path, rotated: bool) -> None:
    """An evaluation of COCO files refuses detections of images that the truths do not list."""
    tables = draw(tmp_path, 1000, rotated=rotated)
    summary = convert(tmp_path / "truths.parquet", tmp_path / "truths.json")
    images = json.loads((tmp_path / "truths.json").read_text())["images"]
    with_truths, with_detections = (set(tables[name]["image_id"].to_pylist()) for name in ("truths", "detections"))
    assert len(images) == 1000 and {image["id"] for image in images} >= with_truths | with_detections
    assert with_detections - with_truths and all(image["width"] and image["height"] for image in images)
    assert (summary["images_without_boxes"], summary["images_left_out"]) == (1000 - len(with_truths), 0)


def test_a_footer_of_many_images_without_truths_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unlisted, "MOST", 3)
    draw(tmp_path, 1000)
    left_out = convert(tmp_path / "truths.parquet", tmp_path / "truths.json")["images_left_out"]
    assert isinstance(left_out, int) and left_out > 3
    with pytest.raises(InputError, match=r"got truths\.parquet with a damaged record: write it again"):
        unlisted.unlisted_in([{"unlisted_images": {"image_id": [1, 2], "width": [4]}}], "truths.parquet")
