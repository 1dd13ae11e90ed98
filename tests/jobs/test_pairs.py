"""The job behind ``fastbox pairs``: what a plain loop over images gives, whatever the chunks and files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reference import aligned as naive_aligned

import fastbox
from fastbox import Boxes, InputError, InputWarning, Source, jobs
from fastbox.tables.record import read_record

CORNERS = ("xmin", "ymin", "xmax", "ymax")
Row = tuple[int, int | None]


def boxes(n: int, seed: int) -> np.ndarray:
    """Boxes of one scene, so that many overlap; a few are none."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 40, (n, 2))
    made = np.concatenate([low, low + rng.uniform(5, 40, (n, 2))], axis=1)
    made[rng.random(n) < 0.04] = [3, 3, 1, 9]
    made[rng.random(n) < 0.04, 1] = np.nan
    return made.astype("float32")


def table(ids: Sequence[Any], b: np.ndarray, **more: Any) -> pa.Table:
    return pa.table({"image_id": ids, **{name: b[:, k] for k, name in enumerate(CORNERS)}, **more})


class Scene:
    """Detections and truths with some images on one side only; image ids and classes are numbers or names."""

    def __init__(self, folder: Path, ids: str = "int", classes: str = "int") -> None:
        rng = np.random.default_rng(6)
        self.sides = []
        for name, images, n in (("d", [1, 3, 4, 7, 8, 20], 70), ("t", [0, 3, 4, 8, 9], 30)):
            numbers = np.sort(rng.choice(images, n))
            image = numbers if ids == "int" else np.array([f"image {k:03}" for k in numbers])
            kind = rng.integers(0, 3, n)
            label = kind if classes == "int" else np.array([("cat", "dog", "élan")[k] for k in kind])
            made = table(image, boxes(n, len(images)), category_id=label, number=np.arange(n) * 10)
            self.sides.append((image, boxes(n, len(images)), kind))
            pq.write_table(made, folder / f"{name}.parquet", row_group_size=11)
        self.d, self.t = folder / "d.parquet", folder / "t.parquet"

    def loop(self, mode: str, threshold: float, metric: str, by_class: bool) -> list[Row]:
        """Image by image, and pair by pair."""
        (ids_a, a, kind_a), (ids_b, b, kind_b) = self.sides
        closer = (lambda v, w: v < w) if metric.endswith("l1") else (lambda v, w: v > w)
        reached = (lambda v: v <= threshold) if metric.endswith("l1") else (lambda v: v >= threshold)
        found: list[Row] = []
        for i in range(len(a)):
            winner, most = None, np.nan
            for j in np.flatnonzero(ids_b == ids_a[i]):
                if by_class and kind_a[i] != kind_b[j]:
                    continue
                value = fastbox.aligned(a[[i]], b[[j]], metric=metric)[0]
                np.testing.assert_allclose(value, naive_aligned(a[[i]], b[[j]], metric)[0], rtol=1e-4, atol=1e-6)
                if np.isnan(value):
                    continue
                if mode == "every" or (mode == "threshold" and reached(value)):
                    found.append((i, int(j)))
                if winner is None or closer(value, most):
                    winner, most = int(j), value
            if mode == "best":
                found.append((i, winner))
        return found


def rows_of(path: Path, names: tuple[str, str] = ("detection", "truth")) -> list[Row]:
    read = pq.read_table(path)
    return list(zip(read[names[0]].to_pylist(), read[names[1]].to_pylist(), strict=True))


@pytest.mark.jit
@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize(
    ("mode", "threshold", "metric"),
    [
        ("threshold", 0.25, "iou"),
        ("threshold", 30.0, "l1"),
        ("every", 0, "giou"),
        ("best", 0, "iou"),
        ("best", 0, "l1"),
    ],
)
def test_pairs_are_those_of_a_plain_loop(
    tmp_path: Path, mode: str, threshold: float, metric: str, by_class: bool, rows: int
) -> None:
    scene = Scene(tmp_path)
    found = jobs.pairs(
        scene.d,
        scene.t,
        tmp_path / "o.parquet",
        threshold=threshold,
        every=mode == "every",
        best=mode == "best",
        class_agnostic=not by_class,
        metrics=[metric],
        rows=rows,
    )
    expected = scene.loop(mode, threshold, metric, by_class)
    assert rows_of(tmp_path / "o.parquet") == expected
    assert found.pairs == sum(other is not None for _, other in expected)
    assert found.unmatched == 70 - len({row for row, other in expected if other is not None})
    assert (found.images, found.detections, found.truths) == (8, 70, 30)
    assert read_record(tmp_path / "o.parquet")["parameters"]["mode"] == mode


@pytest.mark.parametrize("ids", ["int", "str"])
@pytest.mark.parametrize("classes", ["int", "str"])
def test_ids_and_classes_may_be_names(tmp_path: Path, ids: str, classes: str) -> None:
    scene = Scene(tmp_path, ids, classes)
    jobs.pairs(scene.d, scene.t, tmp_path / "o.parquet", threshold=0.1, class_agnostic=False, rows=13)
    assert rows_of(tmp_path / "o.parquet") == scene.loop("threshold", 0.1, "iou", True)
    written = pq.read_table(tmp_path / "o.parquet")
    assert written["image_id"].to_pylist() == [scene.sides[0][0][i] for i in written["detection"].to_pylist()]
    labels = pq.read_table(scene.d)["category_id"].take(written["detection"])
    assert written["category_id"].to_pylist() == labels.to_pylist()


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_streamed_is_what_in_memory_is(tmp_path: Path, rows: int) -> None:
    scene = Scene(tmp_path)
    a, b = (Boxes(side[1], images=side[0]) for side in scene.sides)
    expected = fastbox.pairs(a, b, threshold=0.3, metric="giou")
    jobs.pairs(scene.d, scene.t, tmp_path / "o.parquet", threshold=0.3, metrics=["giou", "iou"], rows=rows)
    written = pq.read_table(tmp_path / "o.parquet")
    np.testing.assert_array_equal(written["detection"].to_numpy(), expected.rows)
    np.testing.assert_array_equal(written["truth"].to_numpy(), expected.cols)
    np.testing.assert_array_equal(written["giou"].to_numpy(), expected.values)
    best = fastbox.best(a, b)
    jobs.pairs(scene.d, scene.t, tmp_path / "o.parquet", best=True, rows=rows)
    written = pq.read_table(tmp_path / "o.parquet")
    np.testing.assert_array_equal(written["truth"].fill_null(-1).to_numpy(), best.indices)
    np.testing.assert_array_equal(written["iou"].to_numpy(), best.values)


@pytest.mark.jit
@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("by_class", [False, True])
def test_one_table_is_paired_with_itself_once(tmp_path: Path, rows: int, by_class: bool) -> None:
    scene = Scene(tmp_path)
    scene.sides[1] = scene.sides[0]
    found = jobs.pairs(scene.d, None, tmp_path / "o.parquet", threshold=0.4, class_agnostic=not by_class, rows=rows)
    expected = [(i, j) for i, j in scene.loop("threshold", 0.4, "iou", by_class) if j is not None and i < j]
    assert rows_of(tmp_path / "o.parquet", ("row", "other")) == expected
    assert found.unmatched == 70 - len({row for pair in expected for row in pair})
    assert "truths" not in found.to_dict()


def test_images_of_one_side_only_are_counted_and_empty(tmp_path: Path) -> None:
    pq.write_table(table([1, 1, 5], boxes(3, 0)), tmp_path / "d.parquet")
    pq.write_table(table([2, 9], boxes(2, 1)), tmp_path / "t.parquet")
    with pytest.warns(InputWarning, match="no image has boxes in both tables"):
        found = jobs.pairs(tmp_path / "d.parquet", tmp_path / "t.parquet", tmp_path / "o.parquet", best=True)
    assert (found.images, found.pairs, found.unmatched) == (4, 0, 3)
    assert rows_of(tmp_path / "o.parquet") == [(0, None), (1, None), (2, None)]
    assert np.isnan(pq.read_table(tmp_path / "o.parquet")["iou"].to_numpy()).all()


def test_rows_and_kept_columns_are_right_across_files(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for name, cuts in (("d", [0, 1, 33, 34, 70]), ("t", [0, 30, 30])):
        (tmp_path / name).mkdir()
        whole = pq.read_table(tmp_path / f"{name}.parquet")
        for k, (first, last) in enumerate(pairwise(cuts)):
            pq.write_table(whole.slice(first, last - first), tmp_path / name / f"{k}.parquet", row_group_size=5)
    found = [
        jobs.pairs(d, t, tmp_path / out, threshold=0.2, keep=["number"], class_agnostic=False, rows=9)
        for d, t, out in (
            (scene.d, scene.t, "whole.parquet"),
            (tmp_path / "d", str(tmp_path / "t" / "*.parquet"), "parts.parquet"),
        )
    ]
    assert found[0].to_dict() == found[1].to_dict()
    whole, parts = pq.read_table(tmp_path / "whole.parquet"), pq.read_table(tmp_path / "parts.parquet")
    assert whole.equals(parts)
    assert whole["number"].to_pylist() == [10 * row for row in whole["detection"].to_pylist()]


def test_boxes_come_along_as_measure_reads_them(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    truths = pq.read_table(scene.t)
    corners = scene.sides[1][1].astype("float64")
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    truths = pa.table({"image_id": truths["image_id"], **{name: sizes[:, k] for k, name in enumerate("xywh")}})
    pq.write_table(truths, scene.t)
    found = jobs.pairs(scene.d, scene.t, tmp_path / "o.parquet", threshold=0.2, metrics=["iou", "ciou"], boxes=True)
    jobs.measure(tmp_path / "o.parquet", tmp_path / "m.parquet", metrics=["ciou", "iou"])
    paired, measured = pq.read_table(tmp_path / "o.parquet"), pq.read_table(tmp_path / "m.parquet")
    assert paired.schema.field("pred_xmin").type == pa.float64()
    for name in ("iou", "ciou"):
        np.testing.assert_allclose(measured[name].to_numpy(), paired[name].to_numpy(), rtol=1e-12)
    assert found.metrics["iou"].count == len(paired) > 0


def test_other_columns_and_formats_may_be_named(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    expected = scene.loop("threshold", 0.2, "iou", False)
    for path in (scene.d, scene.t):
        read = pq.read_table(path)
        pq.write_table(read.rename_columns(["picture", "a", "b", "c", "d", *read.column_names[5:]]), path)
    sides = [Source(path, boxes="a,b,c,d", format="xyxy", image="picture") for path in (scene.d, scene.t)]
    jobs.pairs(*sides, tmp_path / "o.parquet", threshold=0.2)
    assert rows_of(tmp_path / "o.parquet") == expected


def test_nothing_gives_an_empty_table_of_the_right_schema(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ids="str")
    full, empty = tmp_path / "full.parquet", tmp_path / "empty.parquet"
    options: dict[str, Any] = {"metrics": ["iou", "l1"], "boxes": True, "class_agnostic": False, "keep": ["number"]}
    jobs.pairs(scene.d, scene.t, full, **options)
    for path in (scene.d, scene.t):
        nothing = pq.read_table(path).slice(0, 0)
        with pq.ParquetWriter(path, nothing.schema) as writer:
            writer.write_table(nothing)
    found = jobs.pairs(scene.d, scene.t, empty, **options)
    assert (found.images, found.pairs) == (0, 0)
    assert pq.read_table(empty).schema.equals(pq.read_table(full).schema)
    assert len(pq.read_table(empty)) == 0
    assert json.dumps(found.to_dict(), allow_nan=False)


def test_progress_counts_every_box(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    steps: list[int] = []
    jobs.pairs(scene.d, scene.t, rows=10, progress=steps.append)
    assert sum(steps) == 100
    assert len(steps) > 2


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        ([0, None, 2], "expected a class in column 'c', got a null at row 1"),
        (["a", None, "b"], "expected classes of one kind in column 'c', got strings in .*d.parquet"),
        ([0.0, 1.0, 2.0], "expected integers or strings in column 'c' of .*d.parquet, got double"),
        ([[0], [1], [2]], "expected integers or strings in column 'c' of .*d.parquet, got list"),
    ],
)
def test_classes_that_are_none_are_refused(tmp_path: Path, classes: list[Any], words: str) -> None:
    pq.write_table(table([1, 1, 2], boxes(3, 0), c=pa.array(classes)), tmp_path / "d.parquet")
    pq.write_table(table([1, 2], boxes(2, 1), c=[0, 1]), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=words):
        jobs.pairs(
            tmp_path / "d.parquet",
            tmp_path / "t.parquet",
            tmp_path / "o.parquet",
            class_column="c",
            class_agnostic=False,
        )
    with pytest.raises(InputError, match="column 'c'"):
        jobs.pairs(
            tmp_path / "t.parquet",
            tmp_path / "d.parquet",
            tmp_path / "o.parquet",
            class_column="c",
            class_agnostic=False,
        )
    assert not (tmp_path / "o.parquet").exists()


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    for options, words in (
        ({"best": True, "every": True}, "got both"),
        ({"metrics": []}, "at least one metric"),
        ({"metrics": ["iuo"]}, "did you mean 'iou'"),
        ({"keep": ["iou"]}, "no.*column|'iou'"),
        ({"keep": ["image_id"]}, "'image_id' has the name of a column of the output"),
        ({"keep": ["numbr"]}, "'number'"),
        ({"class_column": "class", "class_agnostic": False}, "'class'"),
        ({"threshold": float("nan")}, "got nan"),
        ({"beta": -1}, "beta"),
    ):
        with pytest.raises(ValueError, match=words):
            jobs.pairs(scene.d, scene.t, tmp_path / "o.parquet", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="two tables"):
        jobs.pairs(scene.d, best=True)
    with pytest.raises(InputError, match="column of image ids"):
        jobs.pairs(Source(scene.d, image=None))
    with pytest.raises(InputError, match="choose another output path"):
        jobs.pairs(scene.d, scene.t, scene.t)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.parquet", "t.parquet"]
