"""The job that assigns points by raw predictions: what matching image by image gives, for any order and any chunks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import fastbox
from fastbox import InputError, PointGrid, RawPredictions, fragments, jobs
from fastbox.cli import main
from fastbox.tables.fragments import groups_of

CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIZES = {2: (100, 75), 5: (66, 100), 6: (128, 96), 9: (64, 64)}
LABELS = [3, 8, 21, 90]
POINTS = PointGrid.preset("yolov8").points((64, 64))
OPTIONS: dict[str, Any] = {"points": "yolov8", "ignore_column": "iscrowd", "class_column": "category_id"}


def truths(n: int = 40) -> dict[str, Any]:
    """Truths of four images, some of them regions to ignore, one invalid."""
    rng = np.random.default_rng(1)
    image = np.sort(rng.choice(list(SIZES), n))
    size = np.array([SIZES[i] for i in image])
    low = rng.uniform(0, 0.7, (n, 2)) * size
    corners = np.concatenate([low, low + rng.uniform(4, 40, (n, 2))], axis=1).astype(np.float32)
    corners[5, 2] = np.nan
    found: dict[str, Any] = {"image_id": image, **{name: corners[:, k] for k, name in enumerate(CORNERS)}}
    found |= {"width": size[:, 0], "height": size[:, 1], "iscrowd": rng.integers(0, 8, n) == 0}
    return found | {"category_id": rng.choice(LABELS, n)}


def predicted(image: int, points: np.ndarray = POINTS) -> tuple[np.ndarray, np.ndarray]:
    """The box and the scores of each point."""
    rng = np.random.default_rng(image)
    half = rng.uniform(3, 25, (len(points), 2))
    corners = np.concatenate([points - half, points + half], axis=1)
    return corners.astype(np.float32), rng.random((len(points), 4)).astype(np.float32)


def write(path: Path, images: Any = tuple(SIZES), *, own: bool = False, **options: Any) -> Path:
    """Write raw predictions, with all classes or only those of the image's own truths."""
    given = truths()
    with RawPredictions(path, **{"grid": "yolov8", "size": 64, "labels": LABELS, **options}) as raw:
        for image in images:
            classes = given["category_id"][given["image_id"] == image] if own else None
            raw.add(image, *predicted(image), classes)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "truths.parquet"
    pq.write_table(pa.table(truths()), found, row_group_size=7)
    return found


def by_hand(inputs: dict[int, tuple[int, int]] | None = None) -> list[tuple[Any, ...]]:
    """Image by image: each image is scaled to its input and padded on both sides, as ultralytics does."""
    given, rows, grid = truths(), [], PointGrid.preset("yolov8")
    for image, (width, height) in SIZES.items():
        mine = np.flatnonzero((given["image_id"] == image) & ~given["iscrowd"])
        size = (64, 64) if inputs is None else inputs[image]
        scale = min(size[0] / width, size[1] / height)
        new = np.ceil(np.round(np.array([width, height]) * scale, 6))
        shift = np.round((np.array(size) - new) / 2 - 0.1)
        corners = np.stack([given[name][mine] for name in CORNERS], axis=1).astype(np.float64)
        corners = (corners * np.tile(new / (width, height), 2) + np.tile(shift, 2)).astype(np.float32)
        boxes, scores = predicted(image, grid.points(size))
        predictions = {"boxes": boxes, "scores": scores, "classes": np.searchsorted(LABELS, given["category_id"][mine])}
        found = fastbox.match(grid, corners, rule="yolov8", size=size, sparse=True, **predictions)
        levels = np.searchsorted(np.cumsum(grid.counts(size)[:2]), found.anchors, side="right")
        columns = levels, found.anchors, mine[found.truths], found.values, found.ious
        rows += [(image, *row) for row in zip(*(np.asarray(column).tolist() for column in columns), strict=True)]
    return rows


def rows_of(path: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table(path).to_pylist()]


@pytest.mark.parametrize("own", [False, True], ids=["all classes", "own classes"])
def test_points_are_assigned_as_image_by_image(own: bool, path: Path, tmp_path: Path) -> None:
    raw = write(tmp_path / "raw.parquet", own=own)
    found = jobs.assign_points(path, raw, tmp_path / "out.parquet", **OPTIONS)
    assert rows_of(tmp_path / "out.parquet") == by_hand()
    assert found.images == 4 and found.learnt.all.positives == len(by_hand()) > 20
    assert found.learnt.points.tolist() == [4 * 64, 4 * 16, 4 * 4]
    told = found.to_dict()
    assert sum(level[size] for level in told["by_level"] for size in ("small", "medium", "large")) == len(by_hand())
    learnt = {row[3] for row in by_hand()}
    valid = [row for row in range(40) if not truths()["iscrowd"][row] and row != 5]
    assert told["unlearnt"] == len(set(valid) - learnt) and told["truths"] == len(valid)
    assert told["invalid"]["truths"]["not_finite"] == 1


def test_order_chunks_and_fragments_make_no_difference(path: Path, tmp_path: Path) -> None:
    raw, shuffled = write(tmp_path / "raw.parquet"), write(tmp_path / "shuffled.parquet", [6, 2, 9, 5])
    whole = jobs.assign_points(path, raw, tmp_path / "whole.parquet", **OPTIONS).to_dict()
    unsorted = jobs.assign_points(path, shuffled, tmp_path / "small.parquet", **OPTIONS, rows=1).to_dict()
    unsorted.pop("inputs", None)
    parts = fragments.spread(jobs.assign_points, path, raw, out=tmp_path / "parts", fragment_rows=8, **OPTIONS)
    assert whole == unsorted == parts.to_dict()
    assert len(list((tmp_path / "parts").iterdir())) > 1
    assert rows_of(tmp_path / "whole.parquet") == rows_of(tmp_path / "small.parquet")
    assert rows_of(tmp_path / "whole.parquet") == [
        row for part in sorted((tmp_path / "parts").iterdir()) for row in rows_of(part)
    ]
    jobs.sort(shuffled, tmp_path / "sorted.parquet")
    assert jobs.assign_points(path, tmp_path / "sorted.parquet", **OPTIONS).to_dict() == whole


def test_each_image_may_have_an_input_of_its_own(path: Path, tmp_path: Path) -> None:
    inputs = {2: (64, 64), 5: (96, 160), 6: (128, 96), 9: (32, 64)}
    grid = PointGrid.preset("yolov8")
    with RawPredictions(tmp_path / "raw.parquet", grid, labels=LABELS) as raw:
        for image, size in inputs.items():
            raw.add(image, *predicted(image, grid.points(size)), size=size)
    jobs.assign_points(path, tmp_path / "raw.parquet", tmp_path / "out.parquet", **OPTIONS)
    assert rows_of(tmp_path / "out.parquet") == by_hand(inputs)


def test_predictions_weigh_as_many_boxes_as_they_have(path: Path, tmp_path: Path) -> None:
    (group,) = groups_of(fastbox.Source(write(tmp_path / "raw.parquet", [2, 6])))
    assert group.boxes == 2 * len(POINTS)
    lists = tmp_path / "lists.parquet"
    pq.write_table(pa.table({"image_id": [1, 1, 2], "bbox": [[0.0, 0, 1, 1]] * 3}), lists, row_group_size=2)
    assert [(group.number, group.boxes) for group in groups_of(fastbox.Source(lists))] == [(0, 2), (2, 1)]


def test_images_that_only_one_table_has_are_counted_and_left_out(path: Path, tmp_path: Path) -> None:
    raw = write(tmp_path / "raw.parquet", [1, 2, 6, 7, 100])
    found = jobs.assign_points(path, raw, tmp_path / "out.parquet", **OPTIONS)
    assert (found.images, found.without_predictions, found.without_truths) == (2, 2, 3)
    assert rows_of(tmp_path / "out.parquet") == [row for row in by_hand() if row[0] in (2, 6)]
    with pytest.raises(InputError, match="got none of 4: compare the ids"):
        jobs.assign_points(path, write(tmp_path / "other.parquet", [1, 7]), **OPTIONS)


def test_scores_of_half_precision_are_kept_as_they_are(path: Path, tmp_path: Path) -> None:
    with RawPredictions(tmp_path / "half.parquet", "yolov8", labels=LABELS, dtype="float16") as half:
        for image in SIZES:
            boxes, scores = predicted(image)
            half.add(image, boxes, scores.astype(np.float16), size=(64, 64))
    with RawPredictions(tmp_path / "full.parquet", "yolov8", 64, labels=LABELS) as full:
        for image in SIZES:
            boxes, scores = predicted(image)
            full.add(image, boxes, scores.astype(np.float16))
    outs = [tmp_path / f"{name}.out.parquet" for name in ("half", "full")]
    for name, out in zip(("half", "full"), outs, strict=True):
        jobs.assign_points(path, tmp_path / f"{name}.parquet", out, **OPTIONS)
    assert rows_of(outs[0]) == rows_of(outs[1])


def test_fcos_needs_no_predictions(path: Path, tmp_path: Path) -> None:
    found = jobs.assign_points(
        path, out=tmp_path / "out.parquet", points="fcos", sizes=[64], class_column="category_id"
    )
    assert found.learnt.all.positives == len(rows_of(tmp_path / "out.parquet")) > 0
    assert found.to_dict()["mean_iou"] is None and {row[4] for row in rows_of(tmp_path / "out.parquet")} == {1.0}
    with pytest.raises(InputError, match="expected truths alone with rule 'fcos'"):
        jobs.assign_points(path, write(tmp_path / "raw.parquet"), points="fcos")


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    r"expected 21 predictions of image 2, one for each point .* at 32 x 32 pixels, got 84": ({}, {"sizes": [32]}),
    r"of PointGrid\(4 levels, strides 4, 8, 16, 32\), got those of PointGrid\(3 levels": ({}, {"points": "yolov8-p2"}),
    "expected the scores of all 4 classes with rule 'yolox', got": ({"own": True}, {"points": "yolox"}),
    "expected logits with rule 'mmyolo-rtmdet'": ({}, {"rule": "mmyolo-rtmdet"}),
    "write the predictions with labels=": ({"labels": None}, {}),
    "expected a class column in": ({}, {"class_column": None}),
    "expected one size": ({}, {"sizes": [64, 32]}),
}


@pytest.mark.parametrize("words", REFUSED)
def test_predictions_that_do_not_fit_are_refused(words: str, path: Path, tmp_path: Path) -> None:
    written, options = REFUSED[words]
    raw = write(tmp_path / "raw.parquet", **written)
    with pytest.raises(InputError, match=words):
        jobs.assign_points(path, raw, tmp_path / "out.parquet", **OPTIONS | options)
    assert not (tmp_path / "out.parquet").exists()


def test_files_that_are_no_predictions_are_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected raw predictions with rule 'yolov8', got none"):
        jobs.assign_points(path, **OPTIONS)
    ragged = tmp_path / "ragged.parquet"
    pq.write_table(pa.table({"image_id": [2], "boxes": [[1.0, 2.0, 3.0, 4.0]]}), ragged)
    for other in (path, ragged):
        with pytest.raises(InputError, match=r"as fastbox\.RawPredictions writes them"):
            jobs.assign_points(path, other, **OPTIONS)
    named = tmp_path / "named.parquet"
    with RawPredictions(named, "yolov8", 64, labels=LABELS) as raw:
        raw.add("a.jpg", *predicted(2))
    with pytest.raises(InputError, match="image ids of one kind"):
        jobs.assign_points(path, named, **OPTIONS)
    part = tmp_path / "parts"
    part.mkdir()
    for name in ("a", "b"):
        write(part / f"{name}.parquet", [2])
    with pytest.raises(InputError, match="expected each image once, got 2 twice"):
        jobs.assign_points(path, part, **OPTIONS)


def test_scores_of_the_truths_classes_are_needed(path: Path, tmp_path: Path) -> None:
    with RawPredictions(tmp_path / "raw.parquet", "yolov8", 64, labels=LABELS) as raw:
        raw.add(2, *predicted(2), classes=[3])
    with pytest.raises(InputError, match=r"expected scores of class (8|21|90) of image 2, which has a truth of it"):
        jobs.assign_points(path, tmp_path / "raw.parquet", **OPTIONS)


class Tensor:
    """What a tensor of any framework and device can do."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dtype = values, values.dtype

    def detach(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray:
        return self.values


def test_the_writer_takes_tensors_and_refuses_what_does_not_fit(tmp_path: Path) -> None:
    boxes, scores = predicted(2)
    out = tmp_path / "raw.parquet"
    with RawPredictions(out, "yolov8", 64, labels=LABELS) as raw:
        raw.add(np.int64(2), Tensor(boxes), Tensor(scores), Tensor(np.array([3, 3, 90])))
        refused = {
            r"expected boxes of shape \(84, 4\) of image 3, .* at 64 x 64 pixels, got \(80, 4\)": (
                3,
                boxes[:80],
                scores,
            ),
            r"expected scores of shape \(84, 4\) of image 3, got \(84, 3\)": (3, boxes, scores[:, :3]),
            "expected each image once, got 2 twice": (2, boxes, scores),
            "expected classes among the labels": (3, boxes, scores, [4]),
        }
        for words, arguments in refused.items():
            with pytest.raises(ValueError, match=words):
                raw.add(*arguments)
        for image in ("a", 1.5, True):
            with pytest.raises(TypeError, match="image id"):
                raw.add(image, boxes, scores)
        with pytest.raises(TypeError, match="expected boxes as an array"):
            raw.add(3, "boxes", scores)
    (row,) = pq.read_table(out).to_pylist()
    assert row["classes"] == [0, 3] and row["boxes"][:2] == boxes[:2, 0].tolist()
    assert np.array_equal(np.array(row["scores"], np.float32).reshape(2, 84), scores[:, [0, 3]].T)
    for name, options in {"grid": {"grid": "yolov9000"}, "dtype": {"dtype": "int8"}, "size": {"size": 0}}.items():
        with pytest.raises(ValueError, match=f"{name}|preset"):
            RawPredictions(out, **{"grid": "yolov8", **options})


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(KeyError), RawPredictions(tmp_path / "raw.parquet", "yolov8", 64) as raw:
        raw.add(1, *predicted(1))
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    with (
        RawPredictions(tmp_path / "empty.parquet", "yolov8") as raw,
        pytest.raises(ValueError, match="got none: give size="),
    ):
        raw.add(1, *predicted(1))
    assert pq.read_table(tmp_path / "empty.parquet").num_rows == 0


def test_the_command(path: Path, tmp_path: Path) -> None:
    raw, out, page = write(tmp_path / "raw.parquet"), tmp_path / "out.parquet", tmp_path / "page.html"
    common = ["assign", str(path), "--points", "yolov8", "--ignore-column", "iscrowd"]
    told = CliRunner().invoke(main, [*common, "--predictions", str(raw), "-o", str(out), "--report", str(page)])
    assert told.exit_code == 0 and "positive points of" in told.output and "lost" in told.output
    assert rows_of(out) == by_hand() and "Positive points" in page.read_text()
    summary = json.loads(CliRunner().invoke(main, [*common, "--predictions", str(raw), "--json"]).output)
    assert summary["rules"]["size"] == "of the predictions"
    for more, words in {
        ("--starved", str(tmp_path / "s.parquet")): "expected --starved where candidates are counted",
        ("--anchors", "retinanet"): "expected one preset of points and one size",
        ("--size", "32,64"): "expected one preset of points and one size",
        ("--size", "32"): "expected 21 predictions of image 2",
    }.items():
        refused = CliRunner().invoke(main, [*common, "--predictions", str(raw), *more])
        assert refused.exit_code == 2 and words in refused.output, refused.output
    refused = CliRunner().invoke(main, [*common, "-o", str(tmp_path / "n.parquet")])
    assert refused.exit_code == 2 and "give them with --predictions RAW" in refused.output
