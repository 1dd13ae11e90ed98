"""The job behind ``fastbox inspect``: what a plain loop over rows finds, whatever the chunks, files and threads."""

from __future__ import annotations

import io
import json
import math
import time
from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from support.scenes import LIMITS, NAMES, Scene

import fastbox
from fastbox import InputError, Source, jobs
from fastbox.cli import main
from fastbox.jobs import Limits
from fastbox.jobs.inspection.problems import CODES, EXAMPLES, SEVERITIES
from fastbox.report.terminal.inspected import show_inspected
from fastbox.tables.sink import read_record

Row = tuple[Any, int | None, str, int | None, float | None]


def naive(scene: Scene, limits: Limits, *, listed: bool = False, sized: bool = True, classes: bool = True) -> list[Row]:
    """All problems, row by row and pair by pair."""
    found: list[Row] = []
    seen: dict[Any, int] = {}
    sides = scene.sides()
    n = len(sides)
    label = scene.label if classes else [0] * n
    valid = [bool(np.isfinite(box[:4]).all() and box[2] >= box[0] and box[3] >= box[1]) for box in sides]
    ranges = naive_ranges(scene, label, valid, limits.class_size)
    copies: dict[int, int] = {}
    matrix = fastbox.pairwise(scene.boxes, scene.boxes)
    for row in range(n):
        image = scene.image[row]
        x0, y0, x1, y1, w, h = sides[row]
        shorter, longer = min(w, h), max(w, h)
        add = lambda code, value=None, other=None: found.append((image, row, code, other, value))  # noqa: B023, E731
        if label[row] is None:
            add("no_class")
        if listed and image not in scene.listed:
            add("no_image")
        if scene.id[row] is not None:
            if scene.id[row] in seen:
                add("repeated_id", None, seen[scene.id[row]])
            seen.setdefault(scene.id[row], row)
        if not np.isfinite([x0, y0, x1, y1]).all():
            add("non_finite")
            continue
        if not valid[row]:
            add("inverted", shorter)
            continue
        across, down = scene.frame(row, listed, sized)
        outside = max(-x0, -y0, x1 - across, y1 - down)
        if not math.isnan(across) and outside > limits.tolerance:
            add("out_of_image", outside)
        if shorter == 0:
            add("zero_side", 0.0)
        else:
            if shorter < limits.min_side:
                add("sub_pixel", shorter)
            if longer / shorter > limits.max_aspect:
                add("extreme_aspect", longer / shorter)
            share = w / across * (h / down)
            if not math.isnan(across):
                if max(x0, y0, across - x1, down - y1) <= limits.tolerance:
                    add("whole_image", share)
                elif share > limits.huge:
                    add("huge", share)
            if limits.class_size is not None and label[row] in ranges:
                low, high, middle = ranges[label[row]]
                if not low <= w * h <= high:
                    add("class_size", math.sqrt(w * h / middle))
        for other in range(row):
            alike = scene.image[other] == image and label[other] == label[row] and valid[other]
            if alike and np.array_equal(scene.stored[other], scene.stored[row]):
                copies[row] = other
                add("duplicate", None, other)
                break
    for code, same in (("near_duplicate", True), *((("near_duplicate_other_class", False),) if classes else ())):
        pairs = set()
        for row in range(n):
            best, partner = -1.0, None
            for other in range(n):
                if row == other or scene.image[row] != scene.image[other] or row in copies or other in copies:
                    continue
                if not (valid[row] and valid[other]) or (label[row] == label[other]) != same:
                    continue
                if matrix[row, other] > best:
                    best, partner = matrix[row, other], other
            if partner is not None and best >= matrix.dtype.type(limits.near):
                pairs.add((max(row, partner), min(row, partner), float(best)))
        found += [(scene.image[high], high, code, low, value) for high, low, value in pairs]
    if listed:
        for image, times in Counter(scene.listed).items():
            found += [(image, None, "no_boxes", None, None)] * (image not in scene.image)
            found += [(image, None, "repeated_id", None, float(times))] * (times > 1)
    return sorted(found, key=lambda row: (row[0], -1 if row[1] is None else row[1], row[2], row[3] or 0))


def naive_ranges(
    scene: Scene, label: list[Any], valid: list[bool], deviations: float | None
) -> dict[Any, tuple[float, float, float]]:
    """By class the least and largest area that is not suspicious; sizes in bins, 16 for each doubling of an area."""
    ranges = {}
    for kind in set(label):
        logs = []
        for row, (*_, w, h) in enumerate(scene.sides()):
            if label[row] == kind and valid[row] and w * h > 0:
                mantissa, exponent = math.frexp(w * h)
                middle = (math.floor(mantissa * 32) + 0.5) / 32 * 2.0**exponent
                logs.append(math.log2(middle) / 2)
        if len(logs) >= 30 and deviations is not None:
            median = sorted(logs)[(len(logs) - 1) // 2]
            off = sorted(abs(log - median) for log in logs)[(len(logs) - 1) // 2]
            spread = deviations * max(1.4826 * off, 1 / 32)
            ranges[kind] = 4 ** (median - spread), 4 ** (median + spread), 4**median
    return ranges


def rows_of(path: Path) -> list[Row]:
    return [
        (row["image_id"], row["row"], row["code"], row["other"], row["value"])
        for row in pq.read_table(path).to_pylist()
    ]


def assert_same(found: list[Row], expected: list[Row]) -> None:
    assert [row[:4] for row in found] == [row[:4] for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[4] == (None if theirs[4] is None else pytest.approx(theirs[4], rel=1e-9)), (ours, theirs)


def counted(rows: list[Row]) -> dict[str, int]:
    return dict(Counter(row[2] for row in rows))


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(
    ("form", "dtype", "ids", "classes"),
    [
        ("xyxy", "float32", "int", "int"),
        ("xywh", "float64", "str", "str"),
        ("cxcywh", "float32", "int", "str"),
        ("yxyx", "int32", "str", "int"),
    ],
)
def test_problems_are_those_of_a_plain_loop(
    tmp_path: Path, form: str, dtype: str, ids: str, classes: str, listed: bool
) -> None:
    scene = Scene(tmp_path, form=form, dtype=dtype, ids=ids, classes=classes)
    expected = naive(scene, LIMITS, listed=listed)
    needed = set(CODES) - (set() if listed else {"no_image", "no_boxes"})
    needed -= {"non_finite", "sub_pixel"} if dtype == "int32" else set()
    assert set(counted(expected)) >= needed
    summaries = []
    for rows in (5, 40, 1000):
        out = tmp_path / f"p{rows}.parquet"
        found = jobs.inspect(scene.path, scene.images if listed else None, out, limits=LIMITS, rows=rows)
        assert_same(rows_of(out), expected)
        assert found.problems.counts == counted(expected)
        summaries.append(found.to_dict())
    assert all(summary == summaries[0] for summary in summaries)
    record = read_record(tmp_path / "p5.parquet")
    assert record["summary"] == summaries[0]
    assert record["parameters"]["limits"] == asdict(LIMITS)
    assert json.dumps(summaries[0], allow_nan=False)


@pytest.mark.parametrize("seed", range(1, 5))
def test_other_scenes_and_limits(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = Scene(tmp_path, form=("xyxy", "cxcywh")[seed % 2], ids=("int", "str")[seed % 2], seed=seed)
    limits = Limits(
        tolerance=float(rng.choice([0, 3])), max_aspect=3, near=(0.5, 1.0)[seed // 2 % 2], huge=0.3, class_size=1
    )
    jobs.inspect(scene.path, scene.images, tmp_path / "p.parquet", limits=limits, rows=int(rng.integers(1, 200)))
    assert_same(rows_of(tmp_path / "p.parquet"), naive(scene, limits, listed=True))


def test_rows_of_the_table_have_severity_and_corners(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    jobs.inspect(scene.path, scene.images, tmp_path / "p.parquet", limits=LIMITS)
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column_names[:6] == ["image_id", "row", "code", "severity", "other", "value"]
    assert table.schema.field("xmin").type == pa.float32()
    assert table.column_names[-1] == "id"
    for row in table.to_pylist():
        assert row["id"] == (None if row["row"] is None else scene.id[row["row"]])
        assert row["severity"] == SEVERITIES[row["code"]]
        box = [row[name] for name in NAMES["xyxy"]]
        if row["row"] is None:
            assert box == [None] * 4
        else:
            np.testing.assert_array_equal(np.array(box, np.float32), scene.boxes.corners()[row["row"]])


@pytest.mark.parametrize("two_passes", [False, True])
def test_progress_counts_every_box_once(tmp_path: Path, two_passes: bool) -> None:
    scene = Scene(tmp_path)
    pq.write_table(scene.table.drop_columns("id"), scene.path)
    steps: list[int] = []
    limits = Limits(class_size=4 if two_passes else None)
    jobs.inspect(scene.path, scene.images, limits=limits, rows=10, progress=steps.append)
    assert sum(steps) == 150
    assert len(steps) > 5


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_make_no_difference(tmp_path: Path, threads: int) -> None:
    scene = Scene(tmp_path)
    before = fastbox.get_num_threads()
    try:
        fastbox.set_num_threads(threads)
        jobs.inspect(scene.path, scene.images, tmp_path / "p.parquet", limits=LIMITS, rows=30)
    finally:
        fastbox.set_num_threads(before)
    assert_same(rows_of(tmp_path / "p.parquet"), naive(scene, LIMITS, listed=True))


def test_files_make_no_difference(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    (tmp_path / "parts").mkdir()
    for k, (first, last) in enumerate(pairwise([0, 1, 60, 61, 150])):
        pq.write_table(scene.table.slice(first, last - first), tmp_path / "parts" / f"{k}.parquet", row_group_size=9)
    found = [
        jobs.inspect(path, scene.images, tmp_path / "p.parquet", limits=LIMITS, rows=13).to_dict()
        for path in (scene.path, tmp_path / "parts")
    ]
    assert found[0] == found[1]


def test_statistics_are_those_of_a_plain_loop(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    found = jobs.inspect(scene.path, scene.images, rows=17).to_dict()
    sides = scene.sides()
    valid = np.array(
        [np.isfinite(box[:4]).all() and box[2] >= box[0] and box[3] >= box[1] for box in sides.tolist()], bool
    )
    x0, y0, x1, y1, w, h = sides[valid].T
    assert (found["boxes"], found["valid"]) == (150, int(valid.sum()))
    assert found["images"] == len({*scene.image, *scene.listed})
    assert found["images_without_boxes"] == 1
    assert found["invalid"]["boxes"]["not_finite"] == int((~np.isfinite(sides[:, :4]).all(1)).sum())
    area = w * h
    assert found["sizes"] == {
        "small": int((area < 32**2).sum()),
        "medium": int(((area >= 32**2) & (area < 96**2)).sum()),
        "large": int((area >= 96**2).sum()),
    }
    matrix = fastbox.pairwise(scene.boxes, scene.boxes)
    best = []
    for row in np.flatnonzero(valid):
        others = [matrix[row, k] for k in np.flatnonzero(valid) if k != row and scene.image[k] == scene.image[row]]
        best.append(max(others, default=0.0))
    metrics = found["metrics"]
    assert found["crowding"]["boxes"] == sum(value > 0.5 for value in best) > 0
    assert metrics["best_overlap"]["count"] == len(best)
    assert metrics["best_overlap"]["mean"] == pytest.approx(np.mean(best), rel=1e-6)
    assert metrics["best_overlap"]["max"] == 1.0
    assert metrics["side"]["mean"] == pytest.approx(np.sqrt(area).mean(), rel=1e-12)
    some = area > 0
    assert metrics["aspect"]["mean"] == pytest.approx((w[some] / h[some]).mean(), rel=1e-12)
    per_image = [scene.image.count(image) for image in {*scene.image, *scene.listed}]
    assert metrics["boxes_per_image"]["count"] == len(per_image)
    assert metrics["boxes_per_image"]["mean"] == np.mean(per_image)
    assert sum(metrics["boxes_per_image"]["histogram"]["counts"]) == len(per_image)
    frames = np.array([scene.frame(row, True) for row in np.flatnonzero(valid)])
    known = np.isfinite(frames[:, 0])
    across, down = frames[known].T
    x0, y0, x1, y1 = (side[known] for side in (x0, y0, x1, y1))
    place = found["place"]
    near = {"left": x0 <= 1, "top": y0 <= 1, "right": x1 >= across - 1, "bottom": y1 >= down - 1}
    assert place["boxes"] == known.sum() < valid.sum()
    assert place["borders"] == {name: int(side.sum()) for name, side in near.items()}
    assert place["truncated"] == int(np.any(list(near.values()), axis=0).sum())
    heat = np.zeros((16, 16), int)
    for x, y in zip((x0 + x1) / 2 / across, (y0 + y1) / 2 / down, strict=True):
        if 0 <= x <= 1 and 0 <= y <= 1:
            heat[min(int(y * 16), 15), min(int(x * 16), 15)] += 1
    assert place["heat"] == heat.tolist()
    assert [entry["boxes"] for entry in found["classes"]] == sorted(Counter(scene.label).values(), reverse=True)
    for entry in found["classes"]:
        rows = [k for k, label in enumerate(scene.label) if label == entry["class"]]
        assert entry["boxes"] == len(rows)
        assert entry["images"] == len({scene.image[k] for k in rows})
        sized = sorted(math.sqrt(b[4] * b[5]) for b in sides[rows].tolist() if b[4] > 0 and b[5] > 0)
        sized = [side for side in sized if math.isfinite(side)]
        if len(sized) > 8:
            assert entry["median_side"] == pytest.approx(sized[(len(sized) - 1) // 2], rel=0.05)


def test_parts_add_up_to_the_whole(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    cut = scene.image.index(13)
    parts = [scene.table.slice(0, cut), scene.table.slice(cut)]
    summaries = []
    for k, part in enumerate(parts):
        pq.write_table(part, tmp_path / f"{k}.parquet")
        summaries.append(jobs.inspect(tmp_path / f"{k}.parquet", limits=Limits(class_size=None)))
    whole = jobs.inspect(scene.path, limits=Limits(class_size=None))
    both = summaries[0] + summaries[1]
    left, right = both.to_dict(), whole.to_dict()
    for summary in (left, right):
        summary["problems"] = [
            (found["code"], found["count"]) for found in summary["problems"] if found["code"] != "repeated_id"
        ]
    assert left == right


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
        Source(scene.path, image="bild"), class_column="kind", id_column="key", size=("breit", "hoch"), limits=LIMITS
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
def test_an_image_of_100_000_boxes_takes_seconds(tmp_path: Path) -> None:
    n = 100_000
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 3000, (n, 2))
    boxes = np.concatenate([low, low + rng.uniform(10, 60, (n, 2))], 1).astype("float32")
    boxes[n // 2 :] = boxes[: n // 2] + np.float32(0.1)
    boxes[::100] = boxes[7]
    table = {"image_id": np.zeros(n, int), "category_id": rng.integers(0, 300, n), "id": np.arange(n)}
    pq.write_table(pa.table(table | dict(zip(NAMES["xyxy"], boxes.T, strict=True))), tmp_path / "t.parquet")
    pq.write_table(pq.read_table(tmp_path / "t.parquet").slice(0, 50), tmp_path / "few.parquet")
    jobs.inspect(tmp_path / "few.parquet")
    start = time.perf_counter()
    found = jobs.inspect(tmp_path / "t.parquet", out=tmp_path / "p.parquet")
    assert time.perf_counter() - start < 30
    assert found.problems.counts["duplicate"] > 0
    assert found.problems.counts["near_duplicate_other_class"] > n // 3


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


def test_examples_hold_what_a_page_shows(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    problems = jobs.inspect(scene.path, scene.images, limits=LIMITS, rows=9).to_dict()["problems"]
    assert [found["code"] for found in problems] == sorted(found["code"] for found in problems)
    rows = naive(scene, LIMITS, listed=True)
    for found in problems:
        of_code = [row for row in rows if row[2] == found["code"]]
        assert (found["count"], found["severity"]) == (len(of_code), SEVERITIES[found["code"]])
        shown = [(example["image_id"], example["row"], example["other"]) for example in found["examples"]]
        assert shown == [(image, row, other) for image, row, _, other, _ in of_code[:EXAMPLES]]
        for example in found["examples"]:
            if example["row"] is None:
                assert example["box"] is None
                continue
            assert example["id"] == scene.id[example["row"]]
            assert example["class"] == scene.label[example["row"]]
            if example["other_box"] is not None:
                assert example["other_class"] == scene.label[example["other"]]
                assert example["other_id"] == scene.id[example["other"]]
            corners = scene.boxes.corners()[example["row"]].astype(float)
            assert example["box"] == [side if np.isfinite(side) else None for side in corners.tolist()]
            frame = scene.frame(example["row"], True)
            assert example["image_size"] == (None if math.isnan(frame[0]) else list(frame))
            if example["other"] is not None and example["other_box"] is not None:
                assert example["other_box"] == scene.boxes.corners()[example["other"]].astype(float).tolist()
            if found["code"] in ("duplicate", "near_duplicate", "near_duplicate_other_class"):
                assert example["other_box"] is not None


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


HOSTILE = ["[red]x[/red]", "[/]", "a\x1b[31mb\x00\n", "é漢字🚗", "x" * 10_000, "", "\u202egnp"]


def printed(summary: dict[str, Any], width: int = 80) -> str:
    target = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = Console(file=target, width=width, highlight=False, color_system=None)
    show_inspected(console, summary)
    target.flush()
    return target.buffer.getvalue().decode()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 120])
def test_names_of_the_data_are_text_and_no_markup(tmp_path: Path, width: int) -> None:
    n = 3 * len(HOSTILE)
    table = {
        "image_id": sorted(HOSTILE * 3),
        "category_id": HOSTILE * 3,
        "bbox": [[1.0, 1.0, 1.0, 5.0]] * n,
        "id": [HOSTILE[4]] * n,
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    found = jobs.inspect(tmp_path / "t.parquet", out=tmp_path / "p.parquet")
    assert found.problems.counts["repeated_id"] == n - 1
    text = printed(found.to_dict(), width)
    assert not set(text) & {"\x1b", "\x00", "\u202e"}
    assert "[red]x[/red]" in text and "[/]" in text and "é漢字🚗" in text
    assert "x" * 50 not in text


def test_names_of_classes_come_from_the_record(tmp_path: Path) -> None:
    jobs_sample = tmp_path / "s.parquet"
    jobs.synthesize(jobs_sample, count=30)
    with fastbox.tables.sink.Sink(  # type: ignore[attr-defined]
        tmp_path / "t.parquet", pq.read_schema(jobs_sample).remove_metadata(), command="convert", parameters={}
    ) as sink:
        sink.record(categories={str(k): f"name {k}" for k in range(1, 100)})
        sink.write(pq.read_table(jobs_sample).replace_schema_metadata(None))
    found = jobs.inspect(tmp_path / "t.parquet").to_dict()
    assert found["classes"][0]["name"] == f"name {found['classes'][0]['class']}"
    assert found["classes"][0]["name"] in printed(found)
    met = {entry["class"] for entry in found["classes"] if entry["boxes"]}
    assert {entry["class"] for entry in found["classes"] if not entry["boxes"]} == set(range(1, 100)) - met
    assert f"99 classes · {99 - len(met)} without boxes" in printed(found)


def test_no_line_is_wider_than_the_terminal(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ids="str", classes="str")
    summary = jobs.inspect(scene.path, scene.images, limits=LIMITS).to_dict()
    for width in (80, 120):
        lines = printed(summary, width).splitlines()
        assert max(map(len, lines)) <= width
        assert all(any(code in line for line in lines) for code in (row["code"] for row in summary["problems"]))


def call(*arguments: Any) -> Result:
    result = CliRunner().invoke(main, ["inspect", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result


def test_the_command_is_the_job(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    out, fix, log = (tmp_path / f"{name}.parquet" for name in ("p", "c", "l"))
    limits = ("--max-aspect", 30, "--near", 0.8, "--huge", 0.9, "--class-size", 3)
    result = call(
        scene.path, "--images-table", scene.images, *limits, "-o", out, "--fix", fix, "--changes", log, "--json"
    )
    assert result.exit_code == 0, result.output
    found = jobs.inspect(scene.path, scene.images, limits=LIMITS, fix=tmp_path / "c2.parquet")
    assert json.loads(result.stdout) == {"schema": 1, **found.to_dict()}
    assert_same(rows_of(out), naive(scene, LIMITS, listed=True))
    assert pq.read_table(fix).equals(pq.read_table(tmp_path / "c2.parquet"))
    assert len(pq.read_table(log)) == len(pq.read_table(tmp_path / "c2.log.parquet"))
    said = call(scene.path, "--fix", fix, "--class-size", 0).stdout
    assert "class_size" not in said and "cleaned copy:" in said
    assert str(tmp_path / "c.log.parquet") in said.replace("\n", "")


def test_the_command_takes_columns(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    plain = call(scene.path, "--json").stdout
    names = ["bild", "kind", "a", "b", "c", "d", "key", "breit", "hoch"]
    pq.write_table(scene.table.rename_columns(names), scene.path)
    named = (
        "--image-column",
        "bild",
        "--class-column",
        "kind",
        "--id-column",
        "key",
        "--size-columns",
        "breit,hoch",
        "--box",
        "a,b,c,d",
    )
    found = json.loads(call(scene.path, *named, "--format", "xyxy", "--json").stdout)
    assert found | {"rules": None} == json.loads(plain) | {"rules": None}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size-columns", "width"), "expected 2 names with commas between, got 'width'"),
        (("--near", 2), "expected near to be above 0 and at most 1, got 2.0"),
        (("--tolerance", "nan"), "expected tolerance to be 0 or more, got nan"),
        (("--changes", "l.parquet"), "expected a list of changes only with a cleaned copy"),
        (("--class-column", "kind"), "'kind'"),
    ],
)
def test_the_command_says_what_can_not_be(tmp_path: Path, options: tuple[Any, ...], words: str) -> None:
    result = call(Scene(tmp_path).path, *options)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class_column": "nothing"}, "'nothing'"),
        ({"class_column": "xmin"}, "expected integers or strings in column 'xmin'"),
        ({"id_column": "height"}, "expected integers or strings in column 'height'"),
        ({"size": ("xmin", "height")}, "expected the images' sizes in column 'xmin'.*got the boxes'"),
        ({"changes": "l.parquet"}, "expected a list of changes only with a cleaned copy"),
    ],
)
def test_columns_that_can_not_be_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    scene = Scene(tmp_path)
    with pytest.raises(InputError, match=words):
        jobs.inspect(scene.path, **options)


def test_tables_that_can_not_be_are_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with pytest.raises(InputError, match="column of image ids"):
        jobs.inspect(Source(scene.path, image=None))
    unsorted = scene.table.take(list(range(149, -1, -1)))
    pq.write_table(unsorted, tmp_path / "u.parquet")
    listing = pq.read_table(scene.images)
    sorted_ones = jobs.inspect(scene.path, scene.images)
    pq.write_table(listing.take(list(range(len(listing) - 1, -1, -1))), scene.images)
    assert jobs.inspect(scene.path, scene.images).problems == sorted_ones.problems
    assert jobs.inspect(tmp_path / "u.parquet", scene.images).problems.counts == sorted_ones.problems.counts
    Scene(tmp_path, ids="str")
    pq.write_table(scene.table, scene.path)
    with pytest.raises(InputError, match="image ids of one kind in both tables"):
        jobs.inspect(scene.path, scene.images, tmp_path / "p.parquet")
    assert not (tmp_path / "p.parquet").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "limits",
    [{"tolerance": -1}, {"near": 0}, {"near": 1.5}, {"max_aspect": 0.5}, {"huge": math.nan}, {"class_size": 0}],
)
def test_limits_that_can_not_be_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"expected {next(iter(limits))} to be"):
        Limits(**limits)
