"""Tables of all layouts, ids and values are inspected alike; empty and odd ones too."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.inspections import assert_same, naive, printed, rows_of
from support.scenes import LIMITS, NAMES, Scene

from fastbox import InputError, Source, jobs
from fastbox.jobs import Limits
from fastbox.jobs.inspection import overlaps
from fastbox.tables.record import read_record


def test_without_classes_ids_and_sizes_less_is_asked(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    pq.write_table(scene.table.drop_columns(["category_id", "id", "width", "height"]), scene.path)
    found = jobs.inspect(scene.path, out=tmp_path / "p.parquet", limits=LIMITS)
    assert found.asked == {"classes": False, "ids": False, "sizes": False, "images": False}
    scene.id = [None] * 150
    assert_same(rows_of(tmp_path / "p.parquet"), naive(scene, LIMITS, sized=False, classes=False))
    summary = found.to_dict()
    assert summary["place"] is None and summary["classes"] is None
    assert not {"out_of_image", "huge", "no_image", "no_class", "repeated_id"} & set(found.problems.counts)
    assert "image sizes are unknown" in printed(summary)


def test_columns_may_be_named(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    renamed = {"image_id": "bild", "category_id": "kind", "id": "key", "width": "breit", "height": "hoch"}
    plain = jobs.inspect(scene.path, limits=LIMITS).to_dict()
    pq.write_table(scene.table.rename_columns([renamed.get(c, c) for c in scene.table.column_names]), scene.path)
    found = jobs.inspect(
        Source(scene.path, image="bild"),
        class_column="kind",
        id_column="key",
        size_columns=("breit", "hoch"),
        limits=LIMITS,
    )
    named = found.to_dict()
    assert named.pop("rules") == {"class_column": "kind", "id_column": "key", "size_columns": ["breit", "hoch"]}
    assert named == {name: value for name, value in plain.items() if name != "rules"}


@pytest.mark.parametrize("rows", [1, 1000])
def test_strings_that_repeat_are_told_apart(tmp_path: Path, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(tmp_path, ids="str")
    monkeypatch.setattr("fastbox.jobs.inspection.repeats._hashes", lambda column: np.zeros(len(column), np.uint64))
    jobs.inspect(scene.path, out=tmp_path / "p.parquet", limits=LIMITS, rows=rows)
    assert_same(rows_of(tmp_path / "p.parquet"), naive(scene, LIMITS))


@pytest.mark.jit
def test_ids_of_many_parts_and_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbox.jobs.inspection.repeats.PART_ROWS", 50)
    monkeypatch.setattr("fastbox.jobs.inspection.repeats.KEPT_BYTES", 64)
    rng = np.random.default_rng(2)
    ids = rng.integers(0, 600, 1000)
    first: dict[int, int] = {}
    expected = []
    for row, value in enumerate(ids.tolist()):
        if first.setdefault(value, row) != row:
            expected.append((row, first[value]))
    shown = np.array([f"{'é' * (k % 3)}{k}" for k in ids])
    for column in (
        pa.array(ids),
        pa.array(ids, pa.uint16()),
        pa.array(ids - 300),
        pa.array(shown),
        pa.array(shown, pa.large_string()),
        pa.array(shown).dictionary_encode(),
    ):
        table = pa.table({"image_id": np.arange(1000) // 3, "bbox": np.arange(4000.0).reshape(-1, 4).tolist()})
        pq.write_table(table.append_column("id", column), tmp_path / "t.parquet")
        jobs.inspect(tmp_path / "t.parquet", out=tmp_path / "p.parquet", limits=Limits(class_size=None), rows=77)
        found = [(row[1], row[3]) for row in rows_of(tmp_path / "p.parquet") if row[2] == "repeated_id"]
        written = pq.read_table(tmp_path / "p.parquet")
        assert written["id"].to_pylist() == column.take(written["row"]).to_pylist()
        assert found == expected, column.type


@pytest.mark.parametrize("layout", ["struct", "list", "fixed", "ragged"])
def test_layouts_make_no_difference(tmp_path: Path, layout: str) -> None:
    scene = Scene(tmp_path)
    flat = jobs.inspect(scene.path, limits=LIMITS).to_dict()
    quads = scene.stored.tolist()
    kinds = {"list": pa.list_(pa.float32()), "fixed": pa.list_(pa.float32(), 4)}
    if layout == "struct":
        boxes = pa.StructArray.from_arrays([pa.array(scene.stored[:, k]) for k in range(4)], NAMES["xyxy"])
    elif layout == "ragged":
        images = sorted(set(scene.image))
        boxes = pa.array(
            [[quads[k] for k, image in enumerate(scene.image) if image == one] for one in images],
            pa.list_(pa.list_(pa.float32(), 4)),
        )
        pq.write_table(pa.table({"image_id": images, "bbox": boxes}), scene.path)
        scene.id, scene.label = [None] * 150, [0] * 150
        found = jobs.inspect(scene.path, out=tmp_path / "p.parquet", limits=LIMITS, rows=9)
        assert_same(rows_of(tmp_path / "p.parquet"), naive(scene, LIMITS, sized=False, classes=False))
        assert found.statistics.boxes == 150
        return
    else:
        boxes = pa.array(quads, kinds[layout])
    pq.write_table(scene.table.drop_columns([*NAMES["xyxy"]]).append_column("bbox", boxes), scene.path)
    found = jobs.inspect(Source(scene.path, format="xyxy"), limits=LIMITS, rows=31)
    assert found.to_dict() == flat


def test_lists_without_boxes_are_images_without_boxes(tmp_path: Path) -> None:
    boxes = pa.array([[[0.0, 0, 5, 5]], [], [[1.0, 1, 2, 2], [1.0, 1, 2, 2]]], pa.list_(pa.list_(pa.float64(), 4)))
    table = {
        "image_id": [1, 2, 3],
        "bbox": boxes,
        "width": [10] * 3,
        "height": [8] * 3,
        "category_id": [[7], [], [7, 8]],
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    found = jobs.inspect(Source(tmp_path / "t.parquet", format="xyxy"), out=tmp_path / "p.parquet")
    assert rows_of(tmp_path / "p.parquet") == [
        (2, None, "no_boxes", None, None),
        (3, 2, "near_duplicate_other_class", 1, 1.0),
    ]
    assert (found.statistics.images, found.statistics.images_without_boxes, found.statistics.placed) == (3, 1, 3)


def test_an_empty_table_is_fine(tmp_path: Path) -> None:
    for ids in ("int", "str"):
        scene = Scene(tmp_path, ids=ids)
        with pq.ParquetWriter(scene.path, scene.table.schema) as writer:
            writer.write_table(scene.table.slice(0, 0))
        found = jobs.inspect(scene.path, out=tmp_path / "p.parquet", limits=LIMITS)
        assert (found.statistics.boxes, found.problems.counts) == (0, {})
        assert json.dumps(found.to_dict(), allow_nan=False)
        assert "0 boxes" in printed(found.to_dict())
        assert len(pq.read_table(tmp_path / "p.parquet")) == 0
        found = jobs.inspect(scene.path, scene.images, tmp_path / "p.parquet", rows=2)
        assert found.problems.counts == {"no_boxes": 8, "repeated_id": 1}
        assert found.statistics.images_without_boxes == 8
        assert "no_boxes" in printed(found.to_dict())
        empty = pq.read_table(scene.images).slice(0, 0)
        with pq.ParquetWriter(scene.images, empty.schema) as writer:
            writer.write_table(empty)
        assert jobs.inspect(scene.path, scene.images).problems.counts == {}


@pytest.mark.slow
@pytest.mark.jit
def test_an_image_of_100_000_boxes_needs_no_matrix_and_few_searches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n, classes = 100_000, 300
    rng = np.random.default_rng(0)
    low = rng.permutation(n // 2)[:, None] // np.array([1, 250]) % np.array([250, 200]) * 60.0
    boxes = np.concatenate([low, low + rng.integers(20, 60, (n // 2, 2))], axis=1).astype("float32")
    moved = boxes + np.array([0, 0, 0, 0.25], "float32")  # IoU at least 0.95 with the box that it was, 0 with others
    kind = rng.integers(0, classes, n)
    table = {"image_id": np.zeros(n, int), "category_id": kind, **dict(zip(NAMES["xyxy"], [*boxes.T], strict=True))}
    table |= {name: np.concatenate([table[name], moved[:, k]]) for k, name in enumerate(NAMES["xyxy"])}
    pq.write_table(pa.table(table), tmp_path / "t.parquet")

    searched = []
    top = overlaps.ops.top
    monkeypatch.setattr(overlaps.ops, "top", lambda a, b, k: searched.append(len(a)) or top(a, b, k))
    tracemalloc.start()
    try:
        found = jobs.inspect(tmp_path / "t.parquet", out=tmp_path / "p.parquet")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    other = kind[: n // 2] != kind[n // 2 :]
    assert found.problems.counts["near_duplicate_other_class"] == other.sum()
    assert found.problems.counts["near_duplicate"] == n // 2 - other.sum()
    assert "duplicate" not in found.problems.counts
    assert peak < 1000 * n  # bytes: a matrix has n * n
    assert len(searched) <= 2 + classes.bit_length()  # of all boxes, of each class, and once for each bit of a class
    assert sum(searched) <= len(searched) * n


def test_odd_values_are_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    extremes = [
        [0, 0, 3e38, 3e38],
        [-3e38, -3e38, 3e38, 3e38],
        [0, 0, 1e-40, 1e-40],
        [-0.0, 0.0, 5, 5],
        [0.0, -0.0, 5, 5],
        [1e30, 1e30, 1e30, 2e30],
    ]
    for dtype in ("float32", "float64"):
        table = pa.table(
            {
                "image_id": [0] * 6,
                **{name: np.array(extremes, dtype)[:, k] for k, name in enumerate(NAMES["xyxy"])},
                "score": [np.nan] * 6,
                "width": [640.0, None, 0.0, np.nan, -5.0, np.inf],
                "height": [480.0] * 6,
            }
        )
        pq.write_table(table, path)
        found = jobs.inspect(path, out=tmp_path / "p.parquet")
        assert found.problems.counts["duplicate"] == 1
        assert json.dumps(found.to_dict(), allow_nan=False)
        assert printed(found.to_dict())


def test_nulls_have_a_say(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    box = pa.array([None, *scene.stored[1:, 0].tolist()], pa.float32())
    pq.write_table(scene.table.set_column(2, "xmin", box), scene.path)
    with pytest.raises(InputError, match=r"column 'xmin'.* at row 0, got null"):
        jobs.inspect(scene.path, out=tmp_path / "p.parquet")
    nothing = pa.nulls(150, pa.int32())
    table = scene.table
    for name in ("category_id", "id", "width", "height"):
        table = table.set_column(table.column_names.index(name), name, nothing)
    pq.write_table(table, scene.path)
    found = jobs.inspect(scene.path, rows=20)
    assert found.problems.counts["no_class"] == 150
    assert found.to_dict()["place"] is None
    assert "repeated_id" not in found.problems.counts
    assert "(none)" in printed(found.to_dict())


def coco(folder: Path) -> tuple[Path, dict[str, Any]]:
    """Instances out of order, with an image without boxes, and boxes without image."""
    boxes = [(5, [10, 10, 20, 20]), (2, [0, 0, 700, 20]), (5, [10, 10, 20, 20]), (9, [1, 1, 5, 5]), (2, [3, 3, 0, 9])]
    document = {
        "images": [{"id": k, "width": 640, "height": 480, "file_name": f"{k}.jpg"} for k in (5, 2, 7)],
        "annotations": [
            {"id": 100 + k % 4, "image_id": image, "category_id": 3, "bbox": box, "area": 9.0, "iscrowd": 0}
            for k, (image, box) in enumerate(boxes)
        ],
        "categories": [{"id": 3, "name": "[bold]dog"}],
    }
    (folder / "instances.json").write_text(json.dumps(document))
    return folder / "instances.json", document


def test_coco_json_is_inspected_with_its_images(tmp_path: Path) -> None:
    path, document = coco(tmp_path)
    found = jobs.inspect(path, out=tmp_path / "p.parquet", fix=tmp_path / "c.parquet")
    assert found.asked == {"classes": True, "ids": True, "sizes": True, "images": True}
    rows = [(row["image_id"], row["id"], row["code"]) for row in pq.read_table(tmp_path / "p.parquet").to_pylist()]
    assert rows == [
        (2, 101, "out_of_image"),
        (2, 100, "zero_side"),
        (5, 100, "repeated_id"),
        (5, 102, "duplicate"),
        (7, None, "no_boxes"),
        (9, 103, "no_image"),
    ]
    assert "3 [bold]dog" in printed(found.to_dict())
    assert read_record(tmp_path / "p.parquet")["parameters"]["inputs"] == [str(path)]
    cleaned = pq.read_table(tmp_path / "c.parquet")
    assert cleaned["id"].to_pylist() == [101, 100, 103] and cleaned["w"].to_pylist() == [640.0, 20.0, 5.0]
    results = [{"image_id": k, "category_id": 3, "bbox": [0, 0, 9, 9], "score": 0.5} for k in (4, 2)]
    (tmp_path / "results.json").write_text(json.dumps(results))
    alone = jobs.inspect(tmp_path / "results.json")
    assert alone.asked == {"classes": True, "ids": False, "sizes": False, "images": False}
    assert jobs.inspect(tmp_path / "results.json", path).problems.counts == {"no_boxes": 2, "no_image": 1}
    with pytest.raises(InputError, match="choose another output path"):
        jobs.inspect(path, out=path)
    assert json.loads(path.read_text()) == document
    with pytest.raises(InputError, match=r"expected ground truth in .*results.json, got results"):
        jobs.inspect(path, tmp_path / "results.json")
