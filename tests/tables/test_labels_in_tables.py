"""Ids, classes and flags of tables, of any two types: what jobs make of them is what Python's own values give."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import fastbox
from fastbox import Boxes, FormatWarning, InputError, Source, jobs, scan
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.cli import main

# Drawn classes seldom fit, of which evaluations warn.
pytestmark = pytest.mark.filterwarnings("ignore::fastbox.errors.InputWarning")
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

WHOLE = [
    0,
    1,
    127,
    200,
    2**31,
    2**53,
    2**53 + 1,
    2**62 + 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
    -1,
    -56,
    -(2**53) - 1,
    -(2**63),
]
TEXTS = ["", "a", "a\0", "é", "z" * 65, "z" * 66, "200"]
TYPES: list[pa.DataType] = [
    *(pa.int8(), pa.uint8(), pa.int16(), pa.uint32(), pa.int64(), pa.uint64()),
    *(pa.string(), pa.large_string(), pa.string_view()),
    *(pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.int64())),
]


@st.composite
def columns(draw: st.DrawFn, ascending: bool = False) -> pa.Array:
    """A column of ids or classes in any type that holds them."""
    values = draw(
        st.lists(st.sampled_from(WHOLE), min_size=1, max_size=6) | st.lists(st.sampled_from(TEXTS), min_size=1)
    )
    try:
        kind = draw(st.sampled_from(TYPES[:6] + TYPES[10:] if isinstance(values[0], int) else TYPES[6:10]))
        return pa.array(sorted(values) if ascending else values, kind)
    except (pa.ArrowException, OverflowError):
        assume(False)


def is_text(column: pa.Array) -> bool:
    return isinstance(column[0].as_py(), str)


def write(path: Path, **given: Any) -> Path:
    n = len(next(iter(given.values())))
    usual = {"image_id": [1] * n, "category_id": [1] * n, "bbox": [[0.0, 0, 4, 4]] * n, "score": np.linspace(1, 0.5, n)}
    pq.write_table(pa.table(usual | given), path)
    return path


@few
@given(columns(ascending=True), columns(ascending=True))
def test_tables_join_images_as_python_does(tmp_path: Path, left: pa.Array, right: pa.Array) -> None:
    a, b = write(tmp_path / "a.parquet", image_id=left), write(tmp_path / "b.parquet", image_id=right)
    mine, others = left.to_pylist(), right.to_pylist()
    if is_text(left) != is_text(right) or any(not is_text(c) and c[-1].as_py() >= 2**63 for c in (left, right)):
        with pytest.raises(
            InputError, match=r"ids of one kind in both|from -2\*\*63 to 2\*\*63 - 1 in column 'image_id' of"
        ):
            jobs.pairs(a, b)
        return
    found = jobs.pairs(a, b, tmp_path / "out.parquet")
    rows = [(mine[i], i, j) for i in range(len(mine)) for j in range(len(others)) if mine[i] == others[j]]
    table = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert list(zip(table["image_id"], table["detection"], table["truth"], strict=True)) == rows
    assert found.images == len({*mine, *others})


@pytest.mark.slow
@few
@given(columns(), columns())
def test_jobs_keep_classes_apart_as_python_does(tmp_path: Path, left: pa.Array, right: pa.Array) -> None:
    a, b = write(tmp_path / "a.parquet", category_id=left), write(tmp_path / "b.parquet", category_id=right)
    mine, others = left.to_pylist(), right.to_pylist()
    jobs.nms(a, tmp_path / "kept.parquet")
    kept = pq.read_table(tmp_path / "kept.parquet")
    assert sorted(kept["category_id"].to_pylist(), key=repr) == sorted(set(mine), key=repr)
    if is_text(left) != is_text(right):
        for call in (
            lambda: jobs.pairs(a, b, class_agnostic=False),
            lambda: jobs.evaluate(a, b),
            lambda: jobs.fuse([a, b]),
        ):
            with pytest.raises(InputError, match="classes of one kind"):
                call()
        return
    jobs.pairs(a, b, tmp_path / "pairs.parquet", class_agnostic=False)
    table = pq.read_table(tmp_path / "pairs.parquet").to_pydict()
    rows = [(i, j) for i in range(len(mine)) for j in range(len(others)) if mine[i] == others[j]]
    assert list(zip(table["detection"], table["truth"], strict=True)) == rows
    both, fewer = len({*mine} & {*others}), min(len({*mine}), len({*others}))
    if both if is_text(left) else 2 * both >= fewer:  # names are words; of numbers at least half must be in both
        assert jobs.evaluate(a, b).evaluation.classes == sorted({*mine, *others})
    else:
        with pytest.raises(InputError, match=f"both tables have, got {f'{both} of {fewer}' if both else 'none'}"):
            jobs.evaluate(a, b)
    every = {*mine, *others}
    try:
        jobs.fuse([a, b], tmp_path / "fused.parquet")
    except InputError as error:
        assert not is_text(left) and max(every) >= 2**63, str(error)
        assert "expected integers of one type in column 'category_id'" in str(error)
    else:
        fused = pq.read_table(tmp_path / "fused.parquet")["category_id"].to_pylist()
        assert sorted(fused, key=repr) == sorted(every, key=repr)


@pytest.mark.parametrize(
    ("kinds", "written"),
    [
        (("int8", "int16"), "int16"),
        (("int8", "uint8"), "int16"),
        (("uint8", "uint32"), "uint32"),
        (("int64", "uint64"), "int64"),
        (("string", "large_string"), "large_string"),
        (("string", "dictionary"), "string"),
        (("string_view", "string_view"), "large_string"),
    ],
)
def test_fused_classes_have_a_type_that_holds_them_all(tmp_path: Path, kinds: tuple[str, str], written: str) -> None:
    paths = []
    for place, (kind, label) in enumerate(zip(kinds, (100, 200 if kinds[1] != "uint8" else 255), strict=True)):
        column = pa.array([label], kind) if "int" in kind else pa.array([str(label)])
        column = column.dictionary_encode() if kind == "dictionary" else column if "int" in kind else column.cast(kind)
        paths.append(write(tmp_path / f"{place}.parquet", category_id=column))
    jobs.fuse(paths, tmp_path / "out.parquet")
    fused = pq.read_table(tmp_path / "out.parquet")
    assert str(fused.schema.field("category_id").type) == written
    assert sorted(map(int, fused["category_id"].to_pylist())) == [100, 255 if kinds[1] == "uint8" else 200]


# Flags

FLAGS: list[tuple[pa.Array, list[bool]]] = [
    (pa.array([True, False, None]), [True, False, False]),
    (pa.array([1, 0, None], pa.int8()), [True, False, False]),
    (pa.array([-1, 0, 2], pa.int64()), [True, False, True]),
    (pa.array([0.5, float("nan"), None]), [True, False, False]),
    (pa.array(np.array([1, 0, np.nan], np.float16)), [True, False, False]),
    (pa.array([Decimal("0.01"), Decimal(0), None], pa.decimal128(9, 2)), [True, False, False]),
    (pa.array(["1", "0", ""]), [True, False, False]),
    (pa.array(["yes", "no", None]), [True, False, False]),
    (pa.array(["True", "false", "FALSE"], pa.string_view()), [True, False, False]),
    (pa.array(["yes", "no", None]).dictionary_encode(), [True, False, False]),
    (pa.nulls(3), [False, False, False]),
]


@pytest.mark.parametrize(("column", "flags"), FLAGS, ids=lambda given: str(getattr(given, "type", "")))
def test_a_flag_means_the_same_to_every_job(tmp_path: Path, column: pa.Array, flags: list[bool]) -> None:
    boxes = {"image_id": [1, 2, 3], "bbox": [[0.0, 0, 40, 40]] * 3, "width": [64] * 3, "height": [64] * 3}
    path = write(tmp_path / "truths.parquet", **boxes, crowd=column)
    detections = write(tmp_path / "detections.parquet", **boxes)
    assigned = jobs.assign(path, AnchorGrid(strides=[16], sizes=[32]), resize=Resize.parse("64"), ignore_column="crowd")
    assert assigned.regions == sum(flags) and assigned.truths == 3 - sum(flags)
    for name in ("ignore_column", "crowd_column"):
        named = {"crowd_column": None, "ignore_column": None} | {name: "crowd"}
        found = jobs.evaluate(detections, path, **named)
        counts = found.to_dict()["errors"]["counts"]
        assert counts["ignored"] == sum(flags) and counts["matched"] == 3 - sum(flags)
    pq.write_table(pq.read_table(path).rename_columns({"crowd": "iscrowd"}).drop_columns("score"), path)
    jobs.convert(path, tmp_path / "out.json")
    annotations = json.loads((tmp_path / "out.json").read_text())["annotations"]
    assert [annotation["iscrowd"] for annotation in annotations] == [int(flag) for flag in flags]


def test_what_is_no_flag_is_named_with_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", ignore=["0", "perhaps"])
    grid = AnchorGrid(strides=[16], sizes=[32])
    for call in (
        lambda: jobs.evaluate(path, path),
        lambda: jobs.assign(path, grid, resize=Resize("none", 64, 64), ignore_column="ignore"),
    ):
        with pytest.raises(InputError, match=r"yes or no in column 'ignore'.*, got 'perhaps' at row 1"):
            call()
    lists = write(tmp_path / "l.parquet", ignore=[[1], [0]])
    for call in (
        lambda: jobs.evaluate(lists, lists),
        lambda: jobs.assign(lists, grid, resize=Resize("none", 64, 64), ignore_column="ignore"),
    ):
        with pytest.raises(InputError, match=r"numbers or text in column 'ignore' of .*l.parquet, got list<"):
            call()


# Memory


def test_one_long_id_does_not_make_the_others_as_wide(tmp_path: Path) -> None:
    ids = [f"{k:05}" for k in range(5_000)] + ["z" * 100_000]
    path = write(tmp_path / "long.parquet", image_id=ids)
    for chunk in scan(path, path, rows=2_000):
        assert chunk.images is not None and chunk.images.nbytes <= 64 * 4 * len(chunk.images)
    boxes = Boxes([[0, 0, 1, 1]] * len(ids), images=ids)
    assert boxes.images is not None and boxes.images.nbytes <= 64 * 4 * len(ids) and boxes.images.tolist() == ids
    assert len(fastbox.nms(boxes.corners(), np.ones(len(ids)), iou_threshold=0.5, classes=ids)) == len(ids)
    own = write(tmp_path / "own.parquet", id=["z" * 100_000, *ids[:3], "z" * 100_000])
    assert jobs.inspect(own).problems.counts["repeated_id"] == 1


# Formats


def test_a_table_of_sizes_read_as_corners_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "coco.parquet", bbox=[[100.0, 120, 30, 40], [200.0, 50, 64, 20]])
    said = (
        r"most boxes of .*coco.parquet are inverted as xyxy and would be valid as xywh: read them with Source\(.*xywh"
    )
    with pytest.warns(FormatWarning, match=said) as caught:
        jobs.nms(path)
    assert caught[0].filename == __file__
    with pytest.warns(FormatWarning, match=said):
        jobs.pairs(write(tmp_path / "other.parquet", image_id=[1, 1]), path)
    for command in (
        ["nms", path],
        ["inspect", path],
        ["pairs", path],
        ["measure", path, "--pred", "bbox", "--target", "bbox"],
    ):
        result = CliRunner().invoke(main, [*map(str, command)])
        assert result.stderr.count("warning: most boxes of") == (1 if "measure" not in command else 0), result.stderr
    result = CliRunner().invoke(main, ["nms", str(path), "--format", "xywh"])
    assert result.exit_code == 0 and "warning" not in result.stderr


def test_the_advice_on_formats_names_those_of_both_tables(tmp_path: Path) -> None:
    sizes = write(tmp_path / "sizes.parquet", bbox=[[100.0, 120, 30, 40], [200.0, 50, 64, 20]])
    corners = write(tmp_path / "corners.parquet", bbox=[[100.0, 120, 130, 160], [200.0, 50, 264, 70]])
    for tables, options in (
        ([sizes, corners], ["--format xywh --truth-format xyxy"]),
        ([corners, sizes], ["--truth-format xywh"]),
        ([sizes, sizes], ["--format xywh", "--truth-format xywh"]),
    ):
        said = CliRunner().invoke(main, ["pairs", *map(str, tables)]).stderr
        assert [line.partition("read them with ")[2] for line in said.splitlines()] == options, said
        found = CliRunner().invoke(main, ["pairs", *map(str, tables), *" ".join(options).split()])
        assert "warning" not in found.stderr
        assert "2 pairs" in found.stdout


@pytest.mark.filterwarnings("error")
def test_a_table_of_sizes_read_as_sizes_is_not(tmp_path: Path) -> None:
    path = write(tmp_path / "coco.parquet", bbox=[[100.0, 120, 30, 40], [200.0, 50, 64, 20]])
    assert jobs.nms(Source(path, format="xywh")).kept == 2
