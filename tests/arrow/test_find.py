"""Where a table keeps its boxes: every layout, every bad one, and no copy."""

from __future__ import annotations

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fastbox.arrow.fields import require
from fastbox.arrow.find import find_boxes
from fastbox.arrow.held import as_table
from fastbox.arrow.layouts import rows_as_boxes
from fastbox.boxes.container import Boxes
from fastbox.boxes.found import to_boxes
from fastbox.errors import InputError
from fastbox.values.names import BOXES

QUADS = np.array([[0, 0, 4, 5], [1, 2, 3, 4], [2, 2, 9, 8]], np.float32)
CORNERS = ("xmin", "ymin", "xmax", "ymax")


def floats(*names: str, kind: pa.DataType | None = None) -> pa.Schema:
    return pa.schema([(name, kind or pa.float32()) for name in names])


def flat(quads: np.ndarray = QUADS, names: tuple[str, ...] = CORNERS, **more: object) -> pa.Table:
    return pa.table({**{name: quads[:, k].copy() for k, name in enumerate(names)}, **more})


def fixed(quads: np.ndarray = QUADS) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(quads.ravel()), 4)


def struct(quads: np.ndarray = QUADS, names: tuple[str, ...] = CORNERS) -> pa.Array:
    return pa.StructArray.from_arrays([pa.array(quads[:, k].copy()) for k in range(4)], list(names))


def lists(quads: np.ndarray = QUADS) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(np.arange(len(quads) + 1, dtype=np.int32) * 4), pa.array(quads.ravel()))


def ragged(values: pa.Array, offsets: tuple[int, ...] = (0, 2, 2, 3)) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


@pytest.mark.parametrize(
    ("names", "format"),
    [
        (("xmin", "ymin", "xmax", "ymax"), "xyxy"),
        (("x0", "y0", "x1", "y1"), "xyxy"),
        (("x1", "y1", "x2", "y2"), "xyxy"),
        (("left", "top", "right", "bottom"), "xyxy"),
        (("x", "y", "w", "h"), "xywh"),
        (("x", "y", "width", "height"), "xywh"),
        (("cx", "cy", "w", "h"), "cxcywh"),
        (("xc", "yc", "w", "h"), "cxcywh"),
        (("x_center", "y_center", "width", "height"), "cxcywh"),
    ],
)
def test_names_tell_the_format(names: tuple[str, ...], format: str) -> None:
    shuffled = floats("image_id", *reversed(names), "score")
    found = find_boxes(shuffled)
    assert (found.layout, found.names, found.fields, found.format) == ("flat", names, (), format)
    assert find_boxes(shuffled, ",".join(names)) == find_boxes(shuffled, ", ".join(reversed(names))) == found

    prefixed = find_boxes(floats(*names, *(f"pred_{name}" for name in names)), prefix="pred_")
    assert prefixed.names == tuple(f"pred_{name}" for name in names)
    assert prefixed.format == format

    in_struct = find_boxes(pa.schema([("bbox", pa.struct([(name, pa.float32()) for name in names]))]))
    assert (in_struct.layout, in_struct.fields, in_struct.format) == ("struct", names, format)
    assert in_struct.paths == tuple(f"bbox.{name}" for name in names)


def test_a_given_format_wins() -> None:
    assert find_boxes(floats("x", "y", "w", "h"), format="cxcywh").format == "cxcywh"
    assert find_boxes(floats("x", "y", "w", "h"), format="rel_xywh").format == "rel_xywh"
    assert find_boxes(floats("x0", "y0", "x1", "y1", "x", "y", "w", "h"), format="xywh").names == ("x", "y", "w", "h")
    assert find_boxes(floats("a", "b", "c", "d"), "a,b,c,d", "xywh").format == "xywh"
    assert find_boxes(floats("a", "b", "c", "d"), "d,c,b,a").names == ("d", "c", "b", "a")
    yxyx = find_boxes(floats(*CORNERS), format="yxyx")
    assert (yxyx.names, yxyx.format) == (("ymin", "xmin", "ymax", "xmax"), "yxyx")
    told = find_boxes(floats(*CORNERS), "ymin,xmin,ymax,xmax", "yxyx")
    assert told.names == ("ymin", "xmin", "ymax", "xmax")
    unnamed = pa.schema([("bbox", pa.struct([(name, pa.float32()) for name in "abcd"]))])
    assert find_boxes(unnamed, format="xywh").fields == ("a", "b", "c", "d")


@pytest.mark.parametrize(
    ("names", "format"),
    [
        ("x_min,y_min,x_max,y_max", "xyxy"),
        ("X1,Y1,X2,Y2", "xyxy"),
        ("XMin,YMin,XMax,YMax,Width,Height", "xyxy"),
        ("Left,Top,Right,Bottom,Width,Height", "xyxy"),
        ("xtl,ytl,xbr,ybr", "xyxy"),
        ("tx,ty,bx,by", "xyxy"),
        ("minx,miny,maxx,maxy", "xyxy"),
        ("bbox_x1,bbox_y1,bbox_x2,bbox_y2", "xyxy"),
        ("Left,Top,Width,Height", "xywh"),
        ("bbox_left,bbox_top,bbox_width,bbox_height", "xywh"),
        ("bbox_x,bbox_y,bbox_w,bbox_h", "xywh"),
        ("X_Center,Y_Center,Width,Height", "cxcywh"),
        ("x_center,y_center,w,h", "cxcywh"),
        ("x_left,y_top,x_right,y_bottom", "xyxy"),
        ("topLeftX,topLeftY,bottomRightX,bottomRightY", "xyxy"),
        ("ulx,uly,lrx,lry", "xyxy"),
        ("boundingBox.xmin,boundingBox.ymin,boundingBox.xmax,boundingBox.ymax", "xyxy"),
        ("bounding_box_x,bounding_box_y,bounding_box_width,bounding_box_height", "xywh"),
        ("bndbox_xmin,bndbox_ymin,bndbox_xmax,bndbox_ymax", "xyxy"),
        ("top_left_x,top_left_y,width,height", "xywh"),
        ("min_x,min_y,width,height", "xywh"),
        ("tl_x,tl_y,w,h", "xywh"),
        ("centerX,centerY,width,height", "cxcywh"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "pred_"])
def test_coordinates_are_found_by_their_other_names(names: str, format: str, prefix: str) -> None:
    columns = [prefix + name for name in names.split(",")]
    found = find_boxes(floats("id", *reversed(columns)), prefix=prefix)
    assert (found.names, found.format) == (tuple(columns[:4]), format)
    assert find_boxes(floats(*columns), ",".join(columns[:4]), prefix=prefix) == found


@pytest.mark.parametrize("place", [place for place, _ in BOXES if place[2:] == ("w", "h")])
@pytest.mark.parametrize("size", [("width", "height"), ("Width", "Height")])
def test_sizes_of_images_are_no_sizes_of_boxes(place: tuple[str, ...], size: tuple[str, ...]) -> None:
    for names in (place, tuple(name.upper() for name in place)):
        assert find_boxes(floats(*size, *names)).names == names
        assert find_boxes(floats(*(f"bbox_{name}" for name in names), *size)).names[2:] == (
            f"bbox_{names[2]}",
            f"bbox_{names[3]}",
        )


def test_names_as_they_stand_win_over_their_like() -> None:
    assert find_boxes(floats("x", "y", "w", "h", "X1", "Y1", "X2", "Y2")).format == "xywh"
    assert find_boxes(pa.schema([("bbox", pa.list_(pa.float32(), 4)), *floats("X1", "Y1", "X2", "Y2")])).names == (
        "bbox",
    )


@pytest.mark.parametrize(
    ("name", "plain"),
    [("ltwh", "xywh"), ("tlwh", "xywh"), ("ltrb", "xyxy"), ("tlbr", "xyxy"), ("rel_tlwh", "rel_xywh")],
)
def test_formats_have_other_names(name: str, plain: str) -> None:
    assert find_boxes(floats("a", "b", "c", "d"), "a,b,c,d", name).format == plain


@pytest.mark.parametrize("name", ["bbox", "box", "boxes"])
def test_one_column_is_found_by_its_name(name: str) -> None:
    assert find_boxes(pa.schema([(name, pa.list_(pa.float32(), 4))])).layout == "fixed"
    assert find_boxes(pa.schema([(name, pa.list_(pa.float64()))])).layout == "list"
    assert find_boxes(pa.schema([(name, pa.large_list(pa.int16()))])).layout == "list"


@pytest.mark.parametrize("name", ["pred_bbox", "pred_box", "pred_boxes", "pred"])
def test_a_prefix_goes_first_and_is_no_must(name: str) -> None:
    schema = pa.schema([("bbox", pa.list_(pa.float32(), 4)), (name, pa.list_(pa.float32(), 4))])
    assert find_boxes(schema, prefix="pred_").names == (name,)
    assert find_boxes(schema, prefix="truth_").names == ("bbox",)


def test_a_ragged_column_is_found() -> None:
    inner = (pa.list_(pa.float32(), 4), pa.list_(pa.float32()), pa.struct([(name, pa.float32()) for name in CORNERS]))
    for kind in inner:
        for outer in (pa.list_(kind), pa.large_list(kind)):
            assert find_boxes(pa.schema([("bbox", outer)])).layout == "ragged"
    assert find_boxes(pa.schema([("bbox", pa.list_(inner[2]))])).fields == CORNERS


@pytest.mark.parametrize(
    ("schema", "ask", "message"),
    [
        (floats("image_id", "xmn", "ymin", "xmax", "ymax"), {}, r"xmin, ymin.* in cats\.parquet, got no xmin .*'xmn'"),
        (floats("X1", "Y1", "X2", "Y2", "Cx", "Cy", "W", "H"), {}, r"one box .* got X1,Y1,X2,Y2 and Cx,Cy,W,H: name"),
        (floats("X1", "Y1", "X2", "Y2", "x_1"), {}, r"one column of each coordinate .* got 'X1' and 'x_1'"),
        (floats("score", "bboxx"), {}, r"name them with Source\(..., boxes=.bboxx.\) or Source"),
        (floats("score"), {"boxes": "bbox"}, r"a column 'bbox' in cats\.parquet, got 'score'"),
        (floats("bboxes"), {"boxes": "bbox"}, r"did you mean 'bboxes'"),
        (floats("BBox"), {"boxes": "bbox"}, r"did you mean 'BBox'"),
        (floats("a", "b", "c", "e"), {"boxes": "a,b,c,d"}, r"a column 'd' in cats\.parquet"),
        (floats("a", "b"), {"boxes": "a,b"}, r"four columns of boxes in cats\.parquet, got 2: a, b"),
        (floats("xmin"), {"boxes": "xmin"}, r"'xmin' of cats\.parquet to hold .* got float: name four columns"),
        (floats(*CORNERS), {"format": "xxyy"}, r"a format of xyxy, .* got 'xxyy'"),
        (floats(*CORNERS, kind=pa.string()), {}, r"numbers in column 'xmin' of cats\.parquet, got string"),
        (floats(*CORNERS, kind=pa.bool_()), {}, r"numbers in column 'xmin' of cats\.parquet, got bool"),
        (pa.schema([("bbox", pa.list_(pa.string()))]), {}, r"'bbox' of cats\.parquet .* got list<"),
        (pa.schema([("bbox", pa.list_(pa.float32(), 5))]), {}, r"got fixed_size_list<.*\[5\]"),
        (pa.schema([("bbox", pa.struct([("a", pa.float32())]))]), {}, r"got struct<a: float>"),
        (pa.schema([("bbox", pa.string())]), {}, r"got string"),
        (floats("xmin", *CORNERS), {}, r"one column 'xmin' in cats\.parquet, got 2: rename"),
        (pa.schema([]), {}, r"got no columns"),
        (floats(*(f"c{i}" for i in range(30))), {}, r"and 10 more"),
    ],
)
def test_what_is_not_there_is_named(schema: pa.Schema, ask: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_boxes(schema, **ask, where="cats.parquet")


def test_require_names_the_nearest() -> None:
    assert require(floats("score"), "score", "t").type == pa.float32()
    with pytest.raises(InputError, match=r"'image_id' in t, got 'imageid' \(did you mean 'imageid'"):
        require(floats("imageid"), "image_id", "t")


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


def test_carried_columns_follow_the_boxes() -> None:
    table = pa.table({"bbox": ragged(fixed()), "score": [[0.1, 0.2], [], [0.3]], "name": ["a", "b", "c"]})
    batch = table.to_batches()[0]
    found = find_boxes(table.schema)
    carried = rows_as_boxes(batch, found, ["score", "name"])
    assert carried.to_pydict() == {"score": [0.1, 0.2, 0.3], "name": ["a", "a", "c"]}
    assert rows_as_boxes(batch, found, []).num_rows == 3
    rows = flat(name=["a", "b", "c"]).to_batches()[0]
    assert rows_as_boxes(rows, find_boxes(rows.schema), ["name"]).to_pydict() == {"name": ["a", "b", "c"]}
    assert rows_as_boxes(rows, find_boxes(rows.schema), []).num_rows == 3


def test_a_carried_list_must_be_as_long_as_the_boxes() -> None:
    batch = pa.record_batch({"bbox": ragged(fixed()), "score": [[0.1, 0.2], [0.3], [0.4]]})
    with pytest.raises(
        InputError, match=r"as many elements as the row has boxes, 0, in column 'score' of f at row 6, got 1"
    ):
        rows_as_boxes(batch, find_boxes(batch.schema), ["score"], where="f", first_row=5)


@pytest.mark.parametrize(
    "obj",
    [
        flat(),
        flat().to_batches()[0],
        flat().to_reader(),
        struct(),
        fixed(),
        lists(),
        pa.chunked_array([fixed()]),
        pd.DataFrame({name: QUADS[:, k] for k, name in enumerate(CORNERS)}),
        pl.DataFrame({name: QUADS[:, k].copy() for k, name in enumerate(CORNERS)}),
        pl.Series("any", QUADS),
    ],
    ids=lambda obj: f"{type(obj).__module__}.{type(obj).__name__}",
)
def test_anything_with_the_arrow_interface_is_a_table(obj: object) -> None:
    table = as_table(obj)
    assert table.num_rows == 3
    np.testing.assert_array_equal(to_boxes(table, find_boxes(table.schema)).corners(), QUADS)


def test_boxes_are_made_from_arrow() -> None:
    frame = pl.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "w": [1.0, 1.0], "h": [2.0, 2.0], "image": ["a", "b"]})
    boxes = Boxes.from_arrow(frame, image="image")
    assert boxes.format == "xywh"
    np.testing.assert_array_equal(Boxes(frame).corners(), boxes.corners())


def test_an_empty_stream_is_a_table() -> None:
    reader = pa.RecordBatchReader.from_batches(flat().schema, [])
    assert as_table(reader).num_rows == 0


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="Arrow C interface, got set"):
        as_table({"xmin", "ymin"})
    for columns in ({"xmin": [1], "ymin": [1, 2]}, {"xmin": [object()]}, {"xmin": 1}):
        with pytest.raises(InputError, match=r"expected (columns of one length|numbers, text).* table, got"):
            as_table(columns)


@pytest.mark.parametrize("corner", [("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom")])
def test_sizes_of_images_are_no_boxes_by_an_asked_format(corner: tuple[str, ...]) -> None:
    schema = floats(*corner, "width", "height")
    both = f"{corner[0]}, {corner[1]}, width, height beside {', '.join(corner)}, which are xyxy"
    with pytest.raises(InputError, match=f"{both}: leave the format out, or give Source"):
        find_boxes(schema, format="xywh")
    assert find_boxes(schema).names == find_boxes(schema, format="xyxy").names == corner
    named = find_boxes(schema, f"{corner[0]},{corner[1]},width,height", "xywh")
    assert (named.names[2:], named.format) == (("width", "height"), "xywh")
    assert find_boxes(floats(*corner[:2], "width", "height"), format="xywh").names[2:] == ("width", "height")
