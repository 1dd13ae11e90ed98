"""Coordinates in every format, fractions of an image's size, and the errors for wrong shapes and sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from numpy.testing import assert_array_equal
from strategies import FORMATS, corners, formats, laid_out, layouts, some_boxes

import fastbox
from fastbox import Boxes

TWO = [[0, 1, 10, 6], [2, 2, 8, 8]]


def test_columns_of_unequal_dtype_are_promoted_together() -> None:
    x = np.array([0.5], np.float32)
    boxes = Boxes.from_columns(x, x, x.astype(np.float64), np.array([3], np.uint8))
    assert boxes.dtype == np.float64
    assert_array_equal(boxes.corners(), [[0.5, 0.5, 0.5, 3.0]])


@pytest.mark.parametrize("kind", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16"])
def test_integers_and_halves_are_promoted_before_any_subtraction(kind: str) -> None:
    array = np.array([[0, 0, 10, 10], [20, 20, 100, 100], [5, 5, 10, 10]], kind)
    boxes = Boxes(array)
    assert boxes.dtype == (np.float32 if kind == "float16" else np.float64)
    assert_array_equal(boxes.corners(), array.astype(np.float64))
    assert_array_equal(fastbox.pairwise(array, array), reference.pairwise(*[boxes.corners()] * 2))
    assert fastbox.pairwise(array[:1], array[1:2]).item() == 0.0
    assert fastbox.pairwise(array[:1], array[1:2], metric="giou").item() < 0


def test_integer_areas_do_not_wrap() -> None:
    big = np.array([[0, 0, 60000, 60000]], np.int32)
    assert fastbox.pairwise(big, big).item() == 1.0
    half = np.array([[0, 0, 300, 300]], np.float16)
    assert fastbox.pairwise(half, half).item() == 1.0
    assert fastbox.pairwise(half, half).dtype == np.float32


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_format_reads_to_the_same_corners(format: str, dtype: Any) -> None:
    exact = some_boxes(20, dtype)
    boxes = Boxes(reference.to_format(exact, format), format)
    assert boxes.format == format
    assert boxes.corners().dtype == dtype
    assert_array_equal(boxes.corners(), exact)


@given(corners(), formats, layouts)
def test_corners_are_those_of_the_definition(coords: Any, format: str, layout: str) -> None:
    with np.errstate(invalid="ignore"):
        expected = reference.from_format(coords, format)
        assert_array_equal(Boxes(laid_out(coords, layout), format).corners(), expected)


@pytest.mark.parametrize("format", FORMATS)
def test_relative_boxes_are_scaled_by_the_size(format: str) -> None:
    exact = some_boxes(6, np.float64)
    pixels = reference.to_format(exact, format)
    sides = np.array([512.0, 128.0, 512.0, 128.0] if format != "yxyx" else [128.0, 512.0, 128.0, 512.0])
    boxes = Boxes(pixels / sides, f"rel_{format}", size=(512, 128))
    assert boxes.format == format
    assert_array_equal(boxes.corners(), exact)


def test_relative_boxes_may_have_a_size_each() -> None:
    coords = np.array([[0.5, 0.5, 1, 1], [0.5, 0.5, 1, 1]], np.float32)
    boxes = Boxes(coords, "rel_xyxy", size=(np.array([10, 20]), np.array([100, 200])))
    assert boxes.dtype == np.float32
    assert_array_equal(boxes.corners(), [[5, 50, 10, 100], [10, 100, 20, 200]])
    assert not np.shares_memory(boxes.columns[0], coords)
    assert_array_equal(coords[0], [0.5, 0.5, 1, 1])


def test_relative_columns_are_scaled_too() -> None:
    boxes = Boxes.from_columns([0.5], [0.5], [0.25], [0.25], "rel_cxcywh", size=(100, 200))
    assert_array_equal(boxes.corners(), [[37.5, 75, 62.5, 125]])


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3), (2, 2, 4), (1, 0), ()])
def test_a_wrong_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected boxes of shape \(n, 4\), got \(" + ", ".join(map(str, shape))):
        Boxes(np.zeros(shape))


@pytest.mark.parametrize("coords", [[["a", "b", "c", "d"]], np.zeros((2, 4), complex), np.zeros((2, 4), "M8[s]")])
def test_coordinates_must_be_real_numbers(coords: Any) -> None:
    with pytest.raises(TypeError, match="real numbers"):
        Boxes(coords)


def test_a_relative_format_needs_a_size() -> None:
    with pytest.raises(ValueError, match=r"expected size=\(width, height\)"):
        Boxes(TWO, "rel_xywh")


def test_a_size_needs_a_relative_format() -> None:
    with pytest.raises(ValueError, match=r"rel_.*'xywh'"):
        Boxes(TWO, "xywh", size=(1, 1))


@pytest.mark.parametrize("size", [(np.ones(3), np.ones(3)), (1, np.ones(1)), (1, 2, 3), (1,)])
def test_a_size_of_the_wrong_shape_is_named(size: Any) -> None:
    with pytest.raises(ValueError, match=r"expected size=\(width, height\)"):
        Boxes(TWO, "rel_xyxy", size=size)


def test_columns_must_be_of_one_length() -> None:
    with pytest.raises(ValueError, match=r"four columns.*\(2,\), \(2,\), \(2,\), \(3,\)"):
        Boxes.from_columns([1, 2], [1, 2], [1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="four columns"):
        Boxes.from_columns([[1, 2]], [[1, 2]], [[1, 2]], [[1, 2]])
