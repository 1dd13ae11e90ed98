"""Whatever types a table's columns have, every job gives a result or says in one sentence what it can't use."""

from __future__ import annotations

import datetime
import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastbox import Boxes, InputError, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.arrow.arrays import plain, plain_type
from fastbox.arrow.columns import coded_column, flag_column, label_columns
from fastbox.arrow.rows import Rows

ROWS = 4
RAW = re.compile(
    r"Arrow[A-Z]|Traceback|could not convert|inhomogeneous|not implemented|NotImplemented|numpy|ufunc|dtype\('"
)

KINDS: dict[str, Callable[[], pa.Array]] = {
    **{kind: (lambda kind=kind: pa.array([1, 1, 2, 2], kind)) for kind in ("int8", "uint8", "int32", "uint64")},
    "beyond": lambda: pa.array([1, 1, 2**63, 2**64 - 1], "uint64"),
    "halffloat": lambda: pa.array(np.array([1, 1, 2, 2], np.float16)),
    "float": lambda: pa.array([1, 1, 2, 2], "float32"),
    "double": lambda: pa.array([0.5, 0.5, float("nan"), 1]),
    "decimal32": lambda: pa.array([Decimal("1.5")] * ROWS, pa.decimal32(5, 2)),
    "decimal128": lambda: pa.array([Decimal("1.5")] * ROWS, pa.decimal128(9, 2)),
    "decimal256": lambda: pa.array([Decimal("1.5")] * ROWS, pa.decimal256(50, 2)),
    "bool": lambda: pa.array([True, True, False, False]),
    "string": lambda: pa.array(["0", "1", "yes", "yes"]),
    "large_string": lambda: pa.array(["a", "a", "b", "b"], pa.large_string()),
    "string_view": lambda: pa.array(["a", "a", "b", "b"], pa.string_view()),
    "empty text": lambda: pa.array([""] * ROWS),
    "long text": lambda: pa.array(["a", "a", "b", "z" * 100_000]),
    "binary": lambda: pa.array([b"a"] * ROWS),
    "binary_view": lambda: pa.array([b"a"] * ROWS, pa.binary_view()),
    "fixed binary": lambda: pa.array([b"a"] * ROWS, pa.binary(1)),
    "null": lambda: pa.nulls(ROWS),
    "dictionary": lambda: pa.array(["a", "a", "b", "b"]).dictionary_encode(),
    "dictionary of integers": lambda: pa.array([1, 1, 2, 2]).dictionary_encode(),
    "dictionary of floats": lambda: pa.array([0.5, 0.5, 1, 1]).dictionary_encode(),
    "ordered": lambda: pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, 1], "int8"), ["b", "c"], ordered=True),
    "date": lambda: pa.array([datetime.date(2020, 1, 1)] * ROWS),
    "timestamp": lambda: pa.array([datetime.datetime(2020, 1, 1)] * ROWS),
    "time": lambda: pa.array([datetime.time(1)] * ROWS),
    "duration": lambda: pa.array([datetime.timedelta(1)] * ROWS),
    "list": lambda: pa.array([[1.0, 2.0, 3.0, 4.0]] * ROWS),
    "large_list": lambda: pa.array([[1.0, 2.0, 3.0, 4.0]] * ROWS, pa.large_list(pa.float32())),
    "fixed list": lambda: pa.array([[1.0, 2.0, 3.0, 4.0]] * ROWS, pa.list_(pa.float64(), 4)),
    "list_view": lambda: pa.array([[1.0, 2.0, 3.0, 4.0]] * ROWS, pa.list_view(pa.float64())),
    "large_list_view": lambda: pa.array([[1, 2, 3, 4]] * ROWS, pa.large_list_view(pa.int16())),
    "lists of halves": lambda: pa.array([np.array([1, 2, 3, 4], np.float16)] * ROWS, pa.list_(pa.float16())),
    "lists of decimals": lambda: pa.array([[Decimal(k) for k in range(4)]] * ROWS),
    "lists of text": lambda: pa.array([["1", "2", "3", "4"]] * ROWS),
    "lists of nulls": lambda: pa.array([[None] * 4] * ROWS),
    "short lists": lambda: pa.array([[1.0, 2.0]] * ROWS),
    "lists of lists": lambda: pa.array([[[1.0, 2.0, 3.0, 4.0]]] * ROWS),
    "lists of list_views": lambda: pa.array([[[1.0, 2.0, 3.0, 4.0]]] * ROWS, pa.list_(pa.list_view(pa.float64()))),
    "struct": lambda: pa.array([{"xmin": 1.0, "ymin": 1.0, "xmax": 2.0, "ymax": 2.0}] * ROWS),
    "struct of text": lambda: pa.array([{"xmin": "1", "ymin": "1", "xmax": "2", "ymax": "2"}] * ROWS),
    "struct of one name": lambda: pa.StructArray.from_arrays([pa.array([1.0] * ROWS)] * 4, [*"xxwh"]),
    "struct of names twice": lambda: pa.StructArray.from_arrays([pa.array([1.0] * ROWS)] * 5, [*"xywhx"]),
    "map": lambda: pa.array([[("a", 1)]] * ROWS, pa.map_(pa.string(), pa.int64())),
    "uuid": lambda: pa.array([b"1" * 16] * ROWS, pa.uuid()),
    "json": lambda: pa.array(["1"] * ROWS, pa.json_()),
    "bool8": lambda: pa.ExtensionArray.from_storage(pa.bool8(), pa.array([0, 1, 1, 0], "int8")),
    "tensor": lambda: pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float64(), [4]), pa.array([[1.0, 2.0, 3.0, 4.0]] * ROWS, pa.list_(pa.float64(), 4))
    ),
}  # fmt: skip

ROLES = ("image_id", "category_id", "score", "iscrowd", "ignore", "area", "bbox", "id", "width")


def table_of(**columns: pa.Array) -> pa.Table:
    usual = {
        "image_id": pa.array([1, 1, 2, 2]),
        "category_id": pa.array([1, 2, 1, 2]),
        "score": pa.array([0.5, 0.25, 0.5, 1.0]),
        "iscrowd": pa.array([0, 1, 0, 0]),
        "ignore": pa.array([0, 0, 0, 1]),
        "area": pa.array([4.0] * ROWS),
        "bbox": pa.array([[1.0, 2.0, 3.0 + k, 4.0 + k] for k in range(ROWS)]),
        "other": pa.array([[1.0, 2.0, 3.0, 4.0]] * ROWS),
        "id": pa.array([1, 2, 3, 4]),
        "width": pa.array([100] * ROWS),
        "height": pa.array([100] * ROWS),
    }
    return pa.table(usual | columns)


def assign(path: Path, out: Path, **options: Any) -> Any:
    grid = AnchorGrid(strides=[16], sizes=[8])
    return jobs.assign(path, grid, out, class_column="category_id", **options)


JOBS: dict[str, Callable[[Path, Path, Path], Any]] = {
    "nms": lambda a, b, out: jobs.nms(a, out),
    "soft": lambda a, b, out: jobs.nms(a, out, method="soft-linear"),
    "fuse": lambda a, b, out: jobs.fuse([a, b], out),
    "pairs": lambda a, b, out: jobs.pairs(a, b, out, class_agnostic=False, keep=["score"], threshold=0.1),
    "pairs alone": lambda a, b, out: jobs.pairs(a, None, out, class_agnostic=False, keep=["iscrowd"]),
    "evaluate": lambda a, b, out: jobs.evaluate(a, b, out),
    "evaluate by": lambda a, b, out: jobs.evaluate(a, b, out, by="iscrowd"),
    "evaluate others": lambda a, b, out: jobs.evaluate(b, a, out),
    "suspects": lambda a, b, out: jobs.suspects(a, b, out),
    "suspects by": lambda a, b, out: jobs.suspects(b, a, out, by="iscrowd"),
    "inspect": lambda a, b, out: jobs.inspect(a, b, out),
    "inspect listed": lambda a, b, out: jobs.inspect(b, a, out, fix=out.with_suffix(".fix.parquet")),
    "inspect fix": lambda a, b, out: jobs.inspect(a, None, out, fix=out.with_suffix(".fix.parquet")),
    "assign": lambda a, b, out: assign(a, out, resize=Resize("none", 64, 64), ignore_column="iscrowd"),
    "assign sizes": lambda a, b, out: assign(a, out, resize=Resize.parse("64"), ignore_column="ignore"),
    "anchors": lambda a, b, out: jobs.fit_anchors(a, count=2, resize=64),
    "plan": lambda a, b, out: jobs.plan(a, fragment_rows=2),
    "sort": lambda a, b, out: jobs.sort(a, out),
    "convert": lambda a, b, out: jobs.convert(a, out.with_suffix(".json")),
    "measure": lambda a, b, out: jobs.measure(a, out, pred="bbox", target="other"),
}


def told(job: str, table: pa.Table, other: pa.Table, folder: Path) -> str | None:
    """What a job says, or None where it does its work; anything but an InputError is a fault."""
    paths = [folder / "a.parquet", folder / "b.parquet"]
    for path, one in zip(paths, (table, other), strict=True):
        pq.write_table(one, path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            JOBS[job](*paths, folder / "out.parquet")
    except InputError as error:
        assert not RAW.search(str(error)), str(error)
        return str(error)
    finally:
        for path in folder.iterdir():
            path.unlink()
    return None


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(KINDS)), st.sampled_from(ROLES), st.sampled_from(sorted(JOBS)))
def test_any_column_gives_a_result_or_a_sentence(tmp_path: Path, kind: str, role: str, job: str) -> None:
    told(job, table_of(**{role: KINDS[kind]()}), table_of(), tmp_path)


VIEWS: dict[str, pa.Array] = {
    "runs": pc.run_end_encode(pa.array(["a", "a", "b", "b"])),
    "intervals": pa.array([(1, 2, 3)] * ROWS, pa.month_day_nano_interval()),
    "runs of integers": pc.run_end_encode(pa.array([1, 1, 2, 2])),
    "dictionary of views": pa.DictionaryArray.from_arrays(
        pa.array([0, 0, 1, 1]), pa.array(["a", "b"], pa.string_view())
    ),
    "dictionary with one label twice": pa.DictionaryArray.from_arrays(
        pa.array([0, 2, 1, 1]), pa.array(["a", "b", "a"])
    ),
}


@pytest.mark.parametrize("name", sorted({*VIEWS} - {"intervals"}))
def test_a_column_is_read_however_it_is_stored(name: str) -> None:
    values = VIEWS[name].to_pylist()
    boxes = Boxes(table_of(image_id=VIEWS[name]))
    assert (
        boxes.images is not None
        and boxes.images.tolist() == sorted(set(values))
        and boxes.offsets.tolist() == [0, 2, 4]
    )
    codes, labels = coded_column(pa.record_batch([VIEWS[name]], ["c"]), "c")
    assert [labels[code] for code in codes.tolist()] == values and len(set(labels)) == len(labels) == 2


def test_what_a_dictionary_has_as_null_is_null() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0]), pa.array(["1", None]))
    batch = pa.record_batch([column], ["c"])
    assert coded_column(batch, "c")[0].tolist() == [0, -1, 0]
    assert flag_column(batch, "c").tolist() == [True, False, True]
    with pytest.raises(InputError, match="expected a class in column 'c', got a null at row 8: fill or drop it"):
        label_columns((batch, Rows(7)), name="c")
    with pytest.raises(InputError, match="expected an image id in column 'image_id' of boxes at row 1, got null"):
        Boxes({"image_id": column, "bbox": [[0.0, 0, 1, 1]] * 3})


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted({*KINDS, *VIEWS})), st.sampled_from(ROLES), st.sampled_from(["nms", "pairs", "evaluate"]))
def test_any_column_of_a_frame_gives_a_result_or_a_sentence(tmp_path: Path, kind: str, role: str, job: str) -> None:
    column = VIEWS[kind] if kind in VIEWS else KINDS[kind]()
    mixed = table_of(**{role: column}).take([3, 1, 2, 0]) if kind in ("int8", "string") else table_of(**{role: column})
    try:
        JOBS[job](mixed, table_of(), tmp_path / "out.parquet")
    except InputError as error:
        assert not RAW.search(str(error)), str(error)
    finally:
        (tmp_path / "out.parquet").unlink(missing_ok=True)


@pytest.mark.parametrize("kind", ["list_view", "large_list_view", "lists of nulls", "string_view", "uuid", "bool8"])
def test_sorting_carries_a_column_as_it_was_or_names_it(tmp_path: Path, kind: str) -> None:
    table = table_of(image_id=pa.array([2, 2, 1, 1]), more=KINDS[kind]())
    pq.write_table(table, tmp_path / "a.parquet")
    try:
        jobs.sort(tmp_path / "a.parquet", tmp_path / "sorted.parquet")
    except InputError as error:
        assert "in column 'more': cast or drop it" in str(error) and kind in ("uuid", "bool8")
    else:
        found = pq.read_table(tmp_path / "sorted.parquet")
        assert found.schema.field("more").type == table.schema.field("more").type
        assert found["more"].to_pylist() == [table["more"][row].as_py() for row in (2, 3, 0, 1)]


@pytest.mark.parametrize("kind", sorted({*KINDS, *VIEWS}))
def test_what_a_column_holds_stays_however_it_is_stored(kind: str) -> None:
    column = VIEWS[kind] if kind in VIEWS else KINDS[kind]()
    stored = column.storage if isinstance(column.type, pa.BaseExtensionType) else column
    for part in (slice(None), slice(1, None), slice(2, 3), slice(0, 0)):
        found, expected = plain(column[part]), stored[part]
        found.validate(full=True)
        assert found.type == plain_type(column.type)
        if found.type == expected.type:
            assert str(found) == str(expected)
        else:
            assert found.to_pylist() == expected.to_pylist()


@pytest.mark.parametrize("kind", [pa.list_view(pa.float64()), pa.large_list_view(pa.int16())])
def test_views_of_lists_become_lists(kind: pa.DataType) -> None:
    for values in ([[1, 2], [3], None, [], [4]], [None], []):
        found = plain(pa.array(values, kind))
        found.validate(full=True)
        assert found.to_pylist() == values
    overlapping = pa.ListViewArray.from_arrays(
        pa.array([3, 0, 1], "int32"), pa.array([2, 1, 3], "int32"), pa.array([*range(5)])
    )
    assert plain(overlapping).to_pylist() == [[3, 4], [0], [1, 2, 3]]


@pytest.mark.parametrize("kind", ["struct of one name", "struct", "list", "map"])
def test_converting_names_a_size_that_is_none(tmp_path: Path, kind: str) -> None:
    said = told("convert", table_of(width=KINDS[kind]()), table_of(), tmp_path)
    assert said is not None and "in column 'width' of" in said


@pytest.mark.parametrize(
    "column",
    [
        pa.DictionaryArray.from_arrays(pa.array([0, 0, 1, 1]), pa.array([[1.0, 2, 3, 4], [5.0]])),
        pa.array([-(2**62)] * ROWS, pa.timestamp("s")),
    ],
    ids=["no type", "no room"],
)
def test_what_parquet_can_not_hold_is_named(column: pa.Array) -> None:
    said = r"expected columns that Parquet holds, got .* in column 'more': cast or drop it"
    with pytest.raises(InputError, match=said):
        jobs.nms(table_of(more=column))
