"""Boxes: accepted inputs, views and copies, validity codes, groups, rows and errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from numpy.testing import assert_array_equal
from strategies import FORMATS, INVALID, LAYOUTS, corners, laid_out, some_boxes

import fastbox
from fastbox import Boxes

TWO = [[0, 1, 10, 6], [2, 2, 8, 8]]


class OnlyDLPack:
    """An array of some library that speaks DLPack and nothing else."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.array.__dlpack_device__()


class OnlyArray:
    """An array of some library that speaks ``__array__`` and nothing else."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.array, dtype=dtype, copy=copy)


def views(boxes: Boxes, source: Any) -> bool:
    return all(np.shares_memory(column, source) for column in boxes.columns)


# Construction


def test_a_list_becomes_float64_corners() -> None:
    boxes = Boxes(TWO)
    assert (len(boxes), boxes.format, boxes.dtype) == (2, "xyxy", np.float64)
    assert_array_equal(boxes.corners(), TWO)
    assert boxes.images is None
    assert boxes.offsets is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_floats_are_viewed_in_any_layout(dtype: Any, layout: str) -> None:
    array = laid_out(some_boxes(9, dtype), layout)
    boxes = Boxes(array)
    assert boxes.dtype == dtype
    assert views(boxes, array)
    assert_array_equal(boxes.corners(), array)


def test_no_copy_is_made_of_columns() -> None:
    columns = [np.arange(5, dtype=np.float32) + k for k in range(4)]
    boxes = Boxes.from_columns(*columns)
    assert all(np.shares_memory(mine, given) for mine, given in zip(boxes.columns, columns, strict=True))


def test_columns_of_lists() -> None:
    assert_array_equal(
        Boxes.from_columns([0, 1], [0, 1], [4, 4], [3, 4], "xywh").corners(), [[0, 0, 4, 3], [1, 1, 5, 5]]
    )


def test_byte_swapped_floats_are_read() -> None:
    array = some_boxes(5, np.float64).astype(">f8")
    boxes = Boxes(array)
    assert boxes.dtype == np.dtype(np.float64)
    assert boxes.dtype.isnative
    assert_array_equal(fastbox.pairwise(array, array), fastbox.pairwise(array.astype(float), array.astype(float)))


def test_unaligned_floats_are_read() -> None:
    records = np.zeros(3, np.dtype([("flag", "i1"), ("box", "<f4", 4)]))
    records["box"] = some_boxes(3, np.float32)
    assert not records["box"].flags.aligned
    plain = np.ascontiguousarray(records["box"])
    assert_array_equal(fastbox.pairwise(records["box"], plain), fastbox.pairwise(plain, plain))


def test_whatever_has_array_goes_in() -> None:
    array = some_boxes(3, np.float32)
    assert views(Boxes(OnlyArray(array)), array)


def test_whatever_has_dlpack_goes_in_without_a_copy() -> None:
    array = some_boxes(3, np.float32)
    boxes = Boxes(OnlyDLPack(array))
    assert views(boxes, array)


@pytest.mark.parametrize("empty", [[], np.empty((0, 4)), np.empty((0, 4), np.float32), np.empty((0, 4), np.int64)])
def test_no_boxes(empty: Any) -> None:
    boxes = Boxes(empty)
    assert len(boxes) == 0
    assert boxes.corners().shape == (0, 4)
    assert boxes.invalid().shape == (0,)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torch_tensors_are_viewed(dtype: str) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    tensor = torch.tensor(TWO, dtype=getattr(torch, dtype))
    boxes = Boxes(tensor)
    assert boxes.dtype == np.dtype(dtype)
    assert views(boxes, tensor.numpy())
    needing_grad = torch.tensor(TWO, dtype=getattr(torch, dtype), requires_grad=True)
    assert_array_equal(Boxes(needing_grad).corners(), TWO)


def test_torch_halves_and_integers_are_promoted() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert Boxes(torch.tensor(TWO, dtype=torch.float16)).dtype == np.float32
    assert Boxes(torch.tensor(TWO, dtype=torch.uint8)).dtype == np.float64


def test_pandas_columns_are_viewed() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.DataFrame({name: np.arange(4, dtype=np.float32) for name in "abcd"})
    boxes = Boxes.from_columns(frame["a"], frame["b"], frame["c"], frame["d"])
    assert boxes.dtype == np.float32
    assert np.shares_memory(boxes.columns[0], frame["a"].to_numpy())


def test_polars_columns_are_viewed() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.DataFrame({name: np.arange(4, dtype=np.float32) for name in "abcd"})
    boxes = Boxes.from_columns(*frame.get_columns())
    assert boxes.dtype == np.float32
    assert np.shares_memory(boxes.columns[0], frame["a"].to_numpy())


def test_arrow_columns_are_viewed() -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    columns = [arrow.array(np.arange(4.0) + k) for k in range(4)]
    boxes = Boxes.from_columns(*columns)
    assert np.shares_memory(boxes.columns[0], columns[0].to_numpy())
    assert not boxes.columns[0].flags.writeable
    assert_array_equal(fastbox.pairwise(boxes, boxes), fastbox.pairwise(boxes.corners(), boxes.corners()))


# Invalid boxes


@given(corners())
def test_invalid_says_why(coords: Any) -> None:
    codes = Boxes(coords).invalid()
    assert codes.dtype == np.uint8
    assert_array_equal(codes, reference.invalid(coords))


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@given(coords=corners(kinds=("grid", "point", "line", *INVALID)))
def test_invalid_is_the_same_in_every_format(format: str, coords: Any) -> None:
    with np.errstate(invalid="ignore"):
        written = reference.to_format(coords, format)
    assert_array_equal(Boxes(written, format).invalid() > 0, reference.invalid(coords) > 0)


def test_zero_width_and_height_are_valid() -> None:
    assert_array_equal(Boxes([[1, 1, 1, 1], [1, 1, 5, 1], [1, 1, 1, 5]]).invalid(), [0, 0, 0])


def test_a_negative_width_is_inverted() -> None:
    assert_array_equal(Boxes([[5, 5, -1, 2], [5, 5, 2, -1], [5, 5, 0, 0]], "xywh").invalid(), [2, 2, 0])


# Grouping


def test_images_become_offsets() -> None:
    boxes = Boxes(some_boxes(5, np.float64), images=[7, 7, 9, 12, 12])
    assert boxes.offsets is not None
    assert boxes.offsets.dtype == np.int64
    assert_array_equal(boxes.images, [7, 9, 12])
    assert_array_equal(boxes.offsets, [0, 2, 3, 5])


@pytest.mark.parametrize(
    "ids",
    [
        [0, 0, 0],
        [0, 1, 2],
        [0, 1, 3],
        [0, 0, 3],
        [-4, -4, 0],
        ["a", "a", "b"],
        np.array(["a", "b", "c"], object),
        np.array([1, 1, 2], np.uint8),
        np.array([2**53, 2**53 + 1, 2**53 + 1], np.uint64),
    ],
    ids=str,
)
def test_any_ascending_ids_group_the_rows(ids: Any) -> None:
    boxes = Boxes(some_boxes(3, np.float64), images=ids)
    unique, starts = np.unique(np.asarray(ids), return_index=True)
    assert_array_equal(boxes.images, unique)
    assert_array_equal(boxes.offsets, [*starts, 3])


def test_ids_may_come_from_a_frame() -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    boxes = Boxes(some_boxes(3, np.float64), images=polars.Series(["a", "a", "b"]))
    assert boxes.images is not None
    assert boxes.images.tolist() == ["a", "b"]


def test_offsets_are_groups_without_ids() -> None:
    boxes = Boxes(some_boxes(5, np.float64), offsets=[0, 2, 2, 5])
    assert boxes.images is None
    assert boxes.offsets is not None
    assert boxes.offsets.dtype == np.int64
    assert_array_equal(boxes.offsets, [0, 2, 2, 5])


def test_no_boxes_have_no_images() -> None:
    boxes = Boxes(np.empty((0, 4)), images=np.empty(0, np.int64))
    assert boxes.images is not None
    assert len(boxes.images) == 0
    assert_array_equal(boxes.offsets, [0])
    assert_array_equal(Boxes(np.empty((0, 4)), offsets=[0, 0, 0]).offsets, [0, 0, 0])


def test_columns_can_be_grouped() -> None:
    one = np.ones(3)
    assert_array_equal(Boxes.from_columns(one, one, one, one, images=[1, 1, 2]).offsets, [0, 2, 3])
    assert_array_equal(Boxes.from_columns(one, one, one, one, offsets=[0, 3]).offsets, [0, 3])


# Rows


@pytest.mark.parametrize(
    "rows",
    [slice(1, 4), slice(None, None, -2), [4, 0, 0], np.array([], np.int64), np.array([True, False] * 3)],
    ids=["slice", "backwards", "indices", "none", "mask"],
)
@pytest.mark.parametrize("format", FORMATS)
def test_rows_can_be_taken(rows: Any, format: str) -> None:
    coords = some_boxes(6, np.float32)
    boxes = Boxes(coords, format, images=[1, 1, 1, 2, 2, 2])
    some = boxes[rows]
    assert (some.format, some.dtype, some.offsets, some.images) == (format, np.float32, None, None)
    assert_array_equal(some.corners(), boxes.corners()[rows])


def test_a_slice_is_a_view() -> None:
    coords = some_boxes(6, np.float32)
    assert views(Boxes(coords)[1:4], coords)


def test_the_best_match_can_be_looked_up() -> None:
    a, b = Boxes(some_boxes(6, np.float32)), Boxes(some_boxes(9, np.float32, seed=1))
    found = fastbox.best(a, b, metric="giou")
    assert_array_equal(fastbox.aligned(a, b[found.indices], metric="giou"), found.values)


# Errors


def test_ids_must_ascend() -> None:
    with pytest.raises(ValueError, match=r"5 after 7 at row 2.*sort"):
        Boxes(some_boxes(3, np.float64), images=[7, 7, 5])
    with pytest.raises(ValueError, match="'a' after 'b' at row 1"):
        Boxes(some_boxes(3, np.float64), images=["b", "a", "b"])


def test_ids_must_be_one_for_each_box() -> None:
    with pytest.raises(ValueError, match=r"one image id for each of 3 boxes.*got 2"):
        Boxes(some_boxes(3, np.float64), images=[7, 7])
    with pytest.raises(ValueError, match=r"shape \(3,\), got \(3, 1\)"):
        Boxes(some_boxes(3, np.float64), images=[[1], [2], [3]])


def test_ids_must_be_integers_or_strings() -> None:
    with pytest.raises(TypeError, match="integers or strings, got dtype float64"):
        Boxes(some_boxes(3, np.float64), images=[1.0, 2.0, 3.0])


@pytest.mark.parametrize("offsets", [[0, 2], [1, 3], [0, 4], [0, 2, 1, 3], [], [[0, 3]], [0.0, 3.0], [-1, 3]])
def test_offsets_must_ascend_from_nothing_to_all(offsets: Any) -> None:
    with pytest.raises(ValueError, match="expected offsets that ascend from 0 to 3"):
        Boxes(some_boxes(3, np.float64), offsets=offsets)


def test_images_and_offsets_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="images= or offsets=, got both"):
        Boxes(some_boxes(3, np.float64), images=[1, 1, 1], offsets=[0, 3])


def test_boxes_say_what_they_are() -> None:
    assert repr(Boxes(TWO, "xywh")) == "Boxes(2 boxes, xywh, float64)"
    assert "2 images" in repr(Boxes(TWO, images=[1, 2]))


def test_rows_have_one_dimension() -> None:
    with pytest.raises(ValueError, match=r"expected rows of shape \(n,\), got \(1, 2\)"):
        Boxes([[0, 0, 1, 1], [1, 1, 2, 2]])[[[0, 1]]]


def test_boxes_are_no_array_without_a_word_on_the_format() -> None:
    for boxes in (Boxes(TWO, "xywh"), fastbox.RotatedBoxes([[0, 0, 4, 2, 90]], "cxcywhd")):
        with pytest.raises(ValueError, match=f"expected an array, got .* in format {boxes.format}: give .corners"):
            np.asarray(boxes)
