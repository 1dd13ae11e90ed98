"""Boxes of columns found in a table: every layout without a copy, every bad value named, and groups by image ids."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from support.box_columns import CORNERS, QUADS, fixed, flat, lists, ragged, struct

from fastbox.arrow.find import find_boxes
from fastbox.boxes.found import to_boxes
from fastbox.errors import InputError


@pytest.mark.parametrize(
    "table",
    [
        flat(),
        pa.table({"bbox": struct()}),
        pa.table({"bbox": fixed()}),
        pa.table({"bbox": lists()}),
        pa.table({"bbox": lists().cast(pa.large_list(pa.float32()))}),
        pa.table({"bbox": ragged(fixed())}),
        pa.table({"bbox": ragged(struct())}),
        pa.table({"bbox": ragged(lists())}),
    ],
    ids=["flat", "struct", "fixed", "list", "large_list", "ragged_fixed", "ragged_struct", "ragged_list"],
)
def test_every_layout_is_viewed_without_a_copy(table: pa.Table) -> None:
    found = find_boxes(table.schema)
    boxes = to_boxes(table, found)
    assert boxes.dtype == np.float32
    np.testing.assert_array_equal(boxes.corners(), QUADS)
    buffers = [np.frombuffer(b, np.uint8) for c in table.columns for b in c.chunk(0).buffers() if b is not None]
    for column in boxes.columns:
        assert any(np.shares_memory(column, buffer) for buffer in buffers)
        assert not column.flags.writeable
    if found.layout == "ragged":
        np.testing.assert_array_equal(boxes.offsets, [0, 2, 2, 3])

    tail = table.slice(1)
    expected = QUADS[2:] if found.layout == "ragged" else QUADS[1:]
    np.testing.assert_array_equal(to_boxes(tail, found).corners(), expected)
    assert len(to_boxes(table.slice(0, 0), found)) == 0
    several = pa.concat_tables([table, table.slice(0, 0), tail])
    np.testing.assert_array_equal(to_boxes(several, found).corners(), np.concatenate([QUADS, expected]))
    np.testing.assert_array_equal(to_boxes(table.to_batches()[0], found).corners(), QUADS)
    assert len(to_boxes(table.schema.empty_table(), found)) == 0


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (pa.float16(), np.float32),
        (pa.float32(), np.float32),
        (pa.float64(), np.float64),
        (pa.int8(), np.float64),
        (pa.uint8(), np.float64),
        (pa.int64(), np.float64),
        (pa.decimal128(8, 2), np.float64),
    ],
)
def test_numbers_are_promoted(kind: pa.DataType, dtype: type) -> None:
    values = [Decimal(v) for v in (3, 2, 1, 0)] if pa.types.is_decimal(kind) else [3, 2, 1, 0]
    table = pa.table({name: pa.array([value], kind) for name, value in zip(CORNERS, values, strict=True)})
    boxes = to_boxes(table, find_boxes(table.schema))
    assert boxes.dtype == dtype
    np.testing.assert_array_equal(boxes.corners(), [[3, 2, 1, 0]])


def test_relative_formats_are_scaled() -> None:
    table = pa.table({"bbox": fixed(QUADS / 10)})
    found = find_boxes(table.schema, format="rel_xyxy")
    np.testing.assert_allclose(to_boxes(table, found, size=(10, 10)).corners(), QUADS, rtol=1e-6)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (pa.array([[0.0, 0, 1, 1], None]), r"a box in column 'bbox' of f\.parquet at row 101, got null"),
        (pa.array([[0.0, 0, 1, 1], [0, 0, None, 1]]), r"a number in column 'bbox' of f\.parquet at row 101, got null"),
        (pa.array([[0.0, 0, 1, 1], [0, 0, 1]]), r"a list of 4 coordinates in column 'bbox' .* row 101, got 3"),
        (pa.array([[0.0, 0, 1, 1], None], pa.list_(pa.float64(), 4)), r"a box .* at row 101, got null"),
        (pa.array([dict.fromkeys(CORNERS, 0.0), {"xmin": 1.0}]), r"a number .* at row 101, got null"),
        (pa.array([dict.fromkeys(CORNERS, 0.0), None]), r"a box .* at row 101, got null"),
        (pa.array([[], [[0.0, 0, 1, 1], [0, 0, 1]]]), r"list of 4 .* at row 101, got 3"),
        (pa.array([[[0.0, 0, 1, 1]] * 3, [[0, 0, 1, None]]]), r"a number .* at row 101, got null"),
        (pa.array([[[0.0, 0, 1, 1]], None]), r"a list \(an empty one .* at row 101, got null"),
        (pa.array([[[0.0, 0, 1, 1]], [None]]), r"a box .* at row 101, got null"),
    ],
)
def test_a_bad_box_is_named(column: pa.Array, message: str) -> None:
    table = pa.table({"bbox": column})
    with pytest.raises(InputError, match=message):
        to_boxes(table, find_boxes(table.schema), where="f.parquet", first_row=100)


def test_a_null_in_a_flat_column_is_named() -> None:
    table = flat().set_column(1, "ymin", pa.array([0.0, 1.0, None]))
    with pytest.raises(InputError, match=r"column 'ymin' of f at row 2, got null: fill it or drop the row"):
        to_boxes(table, find_boxes(table.schema), where="f")


@pytest.mark.parametrize(
    ("ids", "unique"),
    [
        (pa.array([2, 2, 5], pa.int32()), [2, 5]),
        (pa.array([2, 2, 5], pa.uint64()), [2, 5]),
        (pa.array([-3, -3, 0]), [-3, 0]),
        (pa.array(["a", "a", "b"]), ["a", "b"]),
        (pa.array(["a", "a", "b"], pa.large_string()), ["a", "b"]),
        (pa.array(["a", "a", "b"], pa.string_view()), ["a", "b"]),
        (pa.array(["a", "a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([7, 7, 9]).dictionary_encode(), [7, 9]),
        (pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["a", "a", "b"])), ["a", "b"]),
        (pa.DictionaryArray.from_arrays(pa.array([1, 1, 0]), pa.array(["b", "a"])), ["a", "b"]),
    ],
)
def test_ids_group_the_rows(ids: pa.Array, unique: list[object]) -> None:
    table = flat(image=ids)
    boxes = to_boxes(table, find_boxes(table.schema), image="image")
    assert boxes.images is not None and boxes.offsets is not None
    assert boxes.images.tolist() == unique
    assert boxes.images.dtype == (np.int64 if boxes.images.dtype.kind == "i" else boxes.images.dtype)
    assert boxes.images.dtype.kind in "iU"
    np.testing.assert_array_equal(boxes.offsets, [0, 2, 3])
    empty = to_boxes(table.slice(0, 0), find_boxes(table.schema), image="image")
    assert empty.images is not None and len(empty.images) == 0
    np.testing.assert_array_equal(empty.offsets, [0])


def test_ids_that_look_like_offsets_are_ids() -> None:
    table = flat(image=[0, 0, 3])
    boxes = to_boxes(table, find_boxes(table.schema), image="image")
    assert boxes.images is not None
    assert boxes.images.tolist() == [0, 3]


def test_ragged_rows_are_grouped_by_their_ids() -> None:
    table = pa.table({"bbox": ragged(fixed()), "image": ["a", "b", "b"]})
    boxes = to_boxes(table, find_boxes(table.schema), image="image")
    assert boxes.images is not None
    assert boxes.images.tolist() == ["a", "b"]
    np.testing.assert_array_equal(boxes.offsets, [0, 2, 3])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (
            pa.array([2, 5, 3]),
            r"ascending ids in column 'image' of f at row 12, got 3 after 5: sort it with `jobs\.sort\('f', ",
        ),
        (pa.array(["b", "a", "a"]), r"at row 11, got 'a' after 'b': sort"),
        (pa.array(["b", "a", "a"]).dictionary_encode(), r"at row 11, got 'a' after 'b': sort"),
        (pa.array([1, None, 2]), r"an image id in column 'image' of f at row 11, got null"),
        (pa.array(["a", "b", None]), r"at row 12, got null"),
        (pa.array(["a", "b", None]).dictionary_encode(), r"at row 12, got null"),
        (pa.DictionaryArray.from_arrays(pa.array([0, 0, 1]), pa.array(["b", None])), r"an image id .* got null"),
        (pa.array([1.0, 2.0, 3.0]), r"integers or strings in column 'image' of f, got double: cast it"),
        (pa.array([True, True, True]), r"got bool"),
        (pa.array([datetime.date(2020, 1, 1)] * 3), r"got date32"),
        (
            pa.array([1, 2, 2**63], pa.uint64()),
            r"-2\*\*63 to 2\*\*63 - 1 in column 'image' of f at row 12, got 92.*08",
        ),
    ],
)
def test_bad_ids_are_named(ids: pa.Array, message: str) -> None:
    table = flat(image=ids)
    with pytest.raises(InputError, match=message):
        to_boxes(table, find_boxes(table.schema), image="image", where="f", first_row=10)


def test_a_missing_image_column_is_named() -> None:
    table = flat(imageid=[1, 2, 3])
    with pytest.raises(InputError, match="did you mean 'imageid'"):
        to_boxes(table, find_boxes(table.schema), image="image_id")
