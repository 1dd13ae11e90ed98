"""Boxes: what goes in, what is viewed and what is copied, which box is invalid, and what is said of bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from numpy.testing import assert_array_equal
from strategies import FORMATS, INVALID, LAYOUTS, corners, formats, laid_out, layouts, some_boxes

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


def test_columns_of_unequal_dtype_are_promoted_together() -> None:
    x = np.array([0.5], np.float32)
    boxes = Boxes.from_columns(x, x, x.astype(np.float64), np.array([3], np.uint8))
    assert boxes.dtype == np.float64
    assert_array_equal(boxes.corners(), [[0.5, 0.5, 0.5, 3.0]])


def test_columns_of_lists() -> None:
    assert_array_equal(
        Boxes.from_columns([0, 1], [0, 1], [4, 4], [3, 4], "xywh").corners(), [[0, 0, 4, 3], [1, 1, 5, 5]]
    )


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


# Frames and tables


def coordinates() -> dict[str, Any]:
    return {"x": [0.0, 1.0], "y": [0.0, 1.0], "w": [2.0, 2.0], "h": [2.0, 3.0]}


def test_a_table_is_searched_for_its_boxes() -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = arrow.table(coordinates())
    boxes = Boxes(table)
    assert boxes.format == "xywh"
    assert np.shares_memory(boxes.columns[0], table["x"].chunk(0).to_numpy())
    assert_array_equal(boxes.corners(), [[0, 0, 2, 2], [1, 1, 3, 4]])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_is_searched_for_its_boxes(library: str) -> None:
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert_array_equal(Boxes(frames.DataFrame(coordinates())).corners(), [[0, 0, 2, 2], [1, 1, 3, 4]])


def test_a_table_can_be_grouped_by_a_column() -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = arrow.table({**coordinates(), "image_id": [3, 5]})
    boxes = Boxes.from_arrow(table, image="image_id")
    assert_array_equal(boxes.images, [3, 5])
    assert_array_equal(boxes.offsets, [0, 1, 2])


def test_a_table_keeps_the_grouping_it_is_given() -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    boxes = Boxes(arrow.table(coordinates()), images=[4, 4])
    assert_array_equal(boxes.images, [4])
    assert_array_equal(boxes.offsets, [0, 2])


def test_a_table_without_boxes_is_refused() -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from fastbox.errors import InputError

    with pytest.raises(InputError, match="label"):
        Boxes(arrow.table({"label": ["cat"]}))


# Formats


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


# Which boxes are invalid


@given(corners())
def test_invalid_says_why(coords: Any) -> None:
    codes = Boxes(coords).invalid()
    assert codes.dtype == np.uint8
    assert_array_equal(codes, reference.invalid(coords))


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


# What is said of bad input


@pytest.mark.parametrize("shape", [(4,), (3, 5), (2, 3), (2, 2, 4), (1, 0), ()])
def test_a_wrong_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected boxes of shape \(n, 4\), got \(" + ", ".join(map(str, shape))):
        Boxes(np.zeros(shape))


@pytest.mark.parametrize("coords", [[["a", "b", "c", "d"]], np.zeros((2, 4), complex), np.zeros((2, 4), "M8[s]")])
def test_coordinates_must_be_real_numbers(coords: Any) -> None:
    with pytest.raises(TypeError, match="real numbers"):
        Boxes(coords)


@pytest.mark.parametrize("format", ["xyhw", "rel_", "XYXY", "", "rel_rel_xyxy"])
def test_an_unknown_format_is_named_with_the_known_ones(format: str) -> None:
    with pytest.raises(ValueError, match=rf"xyxy, xywh, cxcywh, yxyx.*{format}"):
        Boxes(TWO, format)


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
