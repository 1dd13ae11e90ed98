"""Rotated boxes from arrays, columns and frames; formats, conventions, corners, frames and validity."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.exact import rectangle
from support.turned import drawn

import fastbox
from fastbox import Boxes, RotatedBoxes

SAME = {
    "cxcywhr": [10.0, 20.0, 4.0, 2.0, math.pi / 6],
    "cxcywhd": [10.0, 20.0, 4.0, 2.0, 30.0],
    "ccw_cxcywhr": [10.0, 20.0, 4.0, 2.0, -math.pi / 6],
    "ccw_cxcywhd": [10.0, 20.0, 4.0, 2.0, -30.0],
}


@pytest.mark.parametrize("format", SAME)
def test_formats_of_one_rectangle_have_the_same_corners(format: str) -> None:
    found = RotatedBoxes([SAME[format]], format).corners()
    np.testing.assert_allclose(found[0], np.array(rectangle(SAME["cxcywhd"], degrees=True), float), rtol=1e-15)


def test_an_angle_turns_from_x_to_y() -> None:
    first, second = RotatedBoxes([[0, 0, 4, 2, 30]], "cxcywhd").corners()[0, :2]
    assert second[0] > first[0] and second[1] > first[1]


def test_four_corners_stay_as_they_are() -> None:
    quads = np.array([[0, 0, 4, 0, 3, 2, 1, 2], [0, 0, 0, 1, 1, 1, 1, 0]], np.float32)
    for given in (quads, quads.reshape(-1, 4, 2), quads.tolist()):
        boxes = RotatedBoxes(given, "xyxyxyxy")
        assert boxes.corners().reshape(-1, 8).tolist() == quads.tolist()
    assert RotatedBoxes(quads, "xyxyxyxy").dtype == np.float32


def test_fractions_are_scaled_by_the_size_of_each_image() -> None:
    quads = [[0.0, 0.0, 0.5, 0.0, 0.5, 0.5, 0.0, 0.5]] * 2
    boxes = RotatedBoxes(quads, "rel_xyxyxyxy", size=([100, 200], [10, 20]))
    assert boxes.format == "xyxyxyxy"
    assert boxes.hulls().corners().tolist() == [[0, 0, 50, 5], [0, 0, 100, 10]]


@pytest.mark.parametrize(("given", "dtype"), [(np.int16, np.float64), (np.float16, np.float32), (np.float32,) * 2])
def test_numbers_are_promoted(given: Any, dtype: Any) -> None:
    assert RotatedBoxes(np.array([[1, 2, 3, 4, 0]], given), "cxcywhd").dtype == dtype


def test_columns_and_frames_are_read() -> None:
    table = {"cx": [1.0, 2.0], "cy": [1.0, 2.0], "w": [4.0, 4.0], "h": [2.0, 2.0], "angle": [0.0, 1.0]}
    rows = np.array(list(table.values())).T
    lists = pa.table({"obb": pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), 5), "image_id": ["a", "b"]})
    for boxes in (
        RotatedBoxes(table, "cxcywhr"),
        RotatedBoxes.from_columns(*table.values(), format="cxcywhr"),
        RotatedBoxes.from_arrow(pa.table(table), "cxcywhr", boxes="cx,cy,w,h,angle"),
        RotatedBoxes(lists, "cxcywhr"),
        RotatedBoxes(pa.table({"bbox": rows.tolist()}), "cxcywhr"),
    ):
        assert np.stack(boxes.columns, axis=1).tolist() == rows.tolist()
    assert RotatedBoxes(lists, "cxcywhr").images.tolist() == ["a", "b"]
    quads = {name: [float(k)] for k, name in enumerate(("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4"))}
    assert len(RotatedBoxes.from_arrow(quads, "xyxyxyxy").columns) == 8


def test_rows_and_images() -> None:
    boxes = RotatedBoxes(drawn(np.random.default_rng(0), 5), "cxcywhr", images=[1, 1, 2, 2, 2])
    assert [len(one) for one in boxes] == [2, 3]
    assert boxes[[4, 0]].columns[0].tolist() == boxes.columns[0][[4, 0]].tolist()
    assert repr(boxes) == "RotatedBoxes(5 boxes in 2 images, cxcywhr, float64)"
    assert boxes.hulls().images is boxes.images
    assert len(RotatedBoxes([], "cxcywhr")) == len(RotatedBoxes([], "xyxyxyxy")) == 0


RANGES = {"le90": (-90, 90), "oc": (0, 90), "le135": (-45, 135)}


@pytest.mark.parametrize("format", SAME)
@pytest.mark.parametrize("convention", RANGES)
def test_conventions_write_the_same_rectangle(convention: str, format: str) -> None:
    rng = np.random.default_rng(3)
    given = drawn(rng, 60)
    given[:, 4] = rng.permutation(np.concatenate([np.arange(-30, 15) * 45.0, rng.uniform(-1e4, 1e4, 15)]))
    given[:, 4] = given[:, 4] if format.endswith("d") else np.radians(given[:, 4])
    boxes = RotatedBoxes(given, format)
    found = boxes.canonical(convention)
    low, high = RANGES[convention]
    _, _, w, h, angle = found.columns
    unit = 1.0 if format.endswith("d") else np.pi / 180
    low, high = low * unit, high * unit
    assert ((low < angle) & (angle <= high)).all() if convention == "oc" else ((low <= angle) & (angle < high)).all()
    assert convention == "oc" or (w >= h).all()
    mine, theirs = (np.sort(one.corners().round(6).view(complex)[..., 0], axis=1) for one in (boxes, found))
    np.testing.assert_allclose(mine, theirs, rtol=0, atol=3e-6)


def test_the_smallest_rectangle_holds_the_corners() -> None:
    rng = np.random.default_rng(4)
    angles = np.sort(rng.uniform(0, 2 * np.pi, (40, 4)), axis=1)
    points = np.stack([np.cos(angles), 0.6 * np.sin(angles)], axis=2) * rng.uniform(1, 9, (40, 1, 1)) + 5
    quads = RotatedBoxes(points, "xyxyxyxy")
    found = quads.rectangles()
    shapely = pytest.importorskip("shapely", reason="needs shapely")
    outlines = shapely.polygons(points)
    exact = shapely.area(shapely.minimum_rotated_rectangle(shapely.convex_hull(outlines)))
    np.testing.assert_allclose(found.columns[2] * found.columns[3], exact, rtol=1e-9)
    assert shapely.covers(shapely.buffer(shapely.polygons(found.corners()), 1e-9), outlines).all()
    again = RotatedBoxes(found.corners(), "xyxyxyxy").rectangles()
    np.testing.assert_allclose(again.columns[2] * again.columns[3], exact, rtol=1e-9)
    assert found.rectangles() is found


def test_reasons_of_invalid_boxes() -> None:
    nan, inf = float("nan"), float("inf")
    rectangles = [[0, 0, 1, 1, 0], [nan, 0, 1, 1, 0], [0, 0, 1, 1, inf], [0, 0, -1, 1, 0], [0, 0, 1, 1, 2e6]]
    assert RotatedBoxes(rectangles, "cxcywhr").invalid().tolist() == [0, 1, 1, 2, 3]
    assert RotatedBoxes(rectangles, "cxcywhd").invalid().tolist() == [0, 1, 1, 2, 0]
    quads = [[0, 0, 2, 2, 2, 0, 0, 2], [0, 0, 2, 0, 2, 2, 0, 2], [0, 0, 4, 0, 1, 1, 0, 4], [0, 0, 0, 0, 0, 0, 0, 0]]
    assert RotatedBoxes(quads, "xyxyxyxy").invalid().tolist() == [4, 0, 0, 0]


@pytest.mark.compiler
@pytest.mark.parametrize("format", ["cxcywhd", "xyxyxyxy"])
def test_boxes_are_valid_as_long_as_sums_of_their_areas_are_finite(format: str) -> None:
    sides = [1e155, 1e154, 8e153, 4.8e153, 4.7e153, 1e153]
    huge = RotatedBoxes([[0, 0, side, side, 0] for side in sides], "cxcywhd")
    boxes = huge if format == "cxcywhd" else RotatedBoxes(huge.corners(), format)
    assert boxes.invalid().tolist() == [1, 1, 1, 1, 0, 0]
    for metric in ("iou", "giou"):
        np.testing.assert_array_equal(fastbox.aligned(boxes, boxes, metric=metric), [np.nan] * 4 + [1, 1])
    away = RotatedBoxes([[1e200, 0, 1e150, 1e150, 0], [0, 0, 1e200, 1e-200, 1]], "cxcywhd")
    assert away.invalid().tolist() == [0, 0]
    assert fastbox.aligned(boxes[5:], away[:1], metric="giou").tolist() == [-1.0]  # whose hull has no finite area


@pytest.mark.parametrize("made", [Boxes, lambda numbers: RotatedBoxes([[*numbers[0], 30]], "cxcywhd")])
def test_another_dtype_is_float32_or_float64(made: Any) -> None:
    boxes = made([[0, 0, 4, 2]])
    assert [boxes.astype(dtype).dtype for dtype in ("f2", ">f4", "f4", "f8")] == ["f4", "f4", "f4", "f8"]
    assert boxes.astype("f8") is boxes
    half = boxes.astype("f2")
    assert fastbox.iou_loss(half, half, reduction="none").dtype == np.float32
    with pytest.raises(TypeError, match=r"expected a float dtype, got int32"):
        boxes.astype("i4")
    with pytest.raises(TypeError, match=r"expected a float dtype, got 'single8'"):
        boxes.astype("single8")


REFUSED = {
    "expected a format of cxcywhr, cxcywhd": lambda: RotatedBoxes([[0, 0, 1, 1, 0]], "xywhr"),
    "got 'rel_cxcywhr': an angle in fractions": lambda: RotatedBoxes([[0, 0, 1, 1, 0]], "rel_cxcywhr"),
    r"expected boxes of shape \(n, 5\) for 'cxcywhr', got \(1, 4\)": lambda: RotatedBoxes([[0, 0, 1, 1]], "cxcywhr"),
    "got quadrilaterals, which have no angle": lambda: RotatedBoxes([[0] * 8], "xyxyxyxy").canonical("oc"),
    "expected a convention of le90, oc, le135": lambda: RotatedBoxes([[0] * 5], "cxcywhr").canonical("le45"),
    r"expected size=\(width, height\) with rel_xyxyxyxy": lambda: RotatedBoxes([[0] * 8], "rel_xyxyxyxy"),
    "size= is for rel_xyxyxyxy": lambda: RotatedBoxes([[0] * 5], "cxcywhr", size=(1, 1)),
    "expected 5 columns for 'cxcywhd', got 4": lambda: RotatedBoxes.from_columns(*[[0]] * 4, format="cxcywhd"),
    r"expected columns of boxes in boxes \(cx, cy, w, h, angle": lambda: RotatedBoxes({"x": [0]}, "cxcywhr"),
    "expected a list of 5 numbers in column 'obb'": lambda: RotatedBoxes({"obb": [[0, 0, 1, 1]]}, "cxcywhr"),
    "expected plain boxes": lambda: fastbox.Boxes(RotatedBoxes([[0] * 5], "cxcywhr")),
    "give boxes.hulls": lambda: fastbox.weighted_boxes_fusion(RotatedBoxes([[0] * 5], "cxcywhr"), [0.5]),
}


@pytest.mark.parametrize("said", REFUSED)
def test_wrong_arguments_are_refused_in_one_sentence(said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said) as raised:
        REFUSED[said]()
    assert "\n" not in str(raised.value)


def test_rectangles_of_invalid_boxes_are_invalid() -> None:
    crossing = RotatedBoxes([[0, 0, 4, 4, 4, 0, 0, 4], [0, 0, 4, 0, 4, 2, 0, 2]], "xyxyxyxy").rectangles()
    assert crossing.invalid().tolist() == [1, 0]
