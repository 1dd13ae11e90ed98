"""Columns of boxes in a schema: found by name, format and type, or named in an error."""

from __future__ import annotations

import pyarrow as pa
import pytest
from support.box_columns import CORNERS

from fastbox.arrow.fields import require
from fastbox.arrow.find import find_boxes
from fastbox.errors import InputError
from fastbox.values.names import BOXES


def floats(*names: str, kind: pa.DataType | None = None) -> pa.Schema:
    return pa.schema([(name, kind or pa.float32()) for name in names])


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
        (
            floats("xmin"),
            {"boxes": "xmin"},
            r"'xmin' of cats\.parquet to hold .* got float: if each coordinate has its own column",
        ),
        (floats(*CORNERS), {"format": "xxyy"}, r"a format of xyxy, .* got 'xxyy'"),
        (floats(*CORNERS, kind=pa.string()), {}, r"numbers in column 'xmin' of cats\.parquet, got string"),
        (floats(*CORNERS, kind=pa.bool_()), {}, r"numbers in column 'xmin' of cats\.parquet, got bool"),
        (pa.schema([("bbox", pa.list_(pa.string()))]), {}, r"'bbox' of cats\.parquet .* got list<"),
        (pa.schema([("bbox", pa.list_(pa.float32(), 6))]), {}, r"got fixed_size_list<.*\[6\]"),
        (
            pa.schema([("bbox", pa.list_(pa.float32(), 5))]),
            {},
            r"plain boxes in cats.parquet, got rotated boxes in bbox",
        ),
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
