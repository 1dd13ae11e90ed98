"""Few boxes row by row: the bits and the types of boxes in any other form, and no fewer warnings and errors."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import EXTREME, INVALID, VALID, corners, dtypes, laid_out, layouts, some_boxes
from support.losses import OVERLAP

import fastbox
from fastbox import Boxes, FormatWarning, coder
from fastbox.boxes.by_row import FEW, few_by_row

KINDS = (*VALID * 2, *EXTREME, *INVALID)
CALLS: dict[str, Callable[..., Any]] = {
    "encode": fastbox.encode,
    "encode by weights": lambda a, b: fastbox.encode(a, b, weights=(10, 10, 5, 5)),
    "mean": fastbox.giou_loss,
    "mean with gradient": lambda a, b: fastbox.giou_loss(a, b, return_grad=True),
    "none": lambda a, b: fastbox.giou_loss(a, b, reduction="none"),
    "sum with gradient": lambda a, b: fastbox.giou_loss(a, b, reduction="sum", return_grad=True),
}


@st.composite
def rows(draw: st.DrawFn) -> Any:
    """As many boxes as targets, of one dtype and any layouts."""
    n, dtype = draw(st.integers(0, 12)), draw(dtypes)
    kinds = draw(st.sampled_from([KINDS, VALID]))
    return tuple(laid_out(draw(corners(dtype, kinds, n, n)), draw(layouts)) for _ in range(2))


def bits(found: Any) -> Any:
    """What a caller can see of arrays and floats."""
    if isinstance(found, tuple):
        return [type(found), *map(bits, found)]
    if isinstance(found, np.ndarray):
        return found.dtype, found.shape, found.flags.c_contiguous, found.flags.writeable, found.tobytes()
    return type(found), np.float64(found).tobytes()


@pytest.mark.filterwarnings("ignore::fastbox.FormatWarning")
@given(rows())
def test_arrays_have_the_results_of_boxes(sides: Any) -> None:
    a, b = sides
    for call in (*CALLS.values(), *OVERLAP.values()):
        assert bits(call(a, b)) == bits(call(Boxes(a), Boxes(b)))


@pytest.mark.jit
@pytest.mark.parametrize("bad", [0.0, 0.01])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_as_many_rows_as_count_as_few_have_the_results_of_boxes(dtype: Any, bad: float) -> None:
    for n in (FEW, FEW + 1):
        a, b = some_boxes(n, dtype, 1, bad=bad, exact=False), some_boxes(n, dtype, 2, bad=bad, exact=False)
        assert (few_by_row(a, b) is None) == (n > FEW)
        for call in (*CALLS.values(), *OVERLAP.values()):
            assert bits(call(a, b)) == bits(call(Boxes(a), Boxes(b)))


def test_great_deltas_bring_no_warning() -> None:
    boxes, anchors = np.float32([[0, 0, 1e30, 1e30]]), np.float32([[0, 0, 1, 1]])
    assert bits(fastbox.encode(boxes, anchors)) == bits(fastbox.encode(Boxes(boxes), Boxes(anchors)))


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", CALLS)
def test_boxes_that_look_like_sizes_are_warned_of_once(name: str, side: int) -> None:
    given = [some_boxes(3, np.float64, exact=False)] * 2
    given[side] = np.array([[90.0, 80, 10, 20], [50, 60, 20, 10], [0, 0, 5, 5]])
    which = ("boxes", "boxes of anchors") if name.startswith("encode") else ("boxes of pred", "boxes of target")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[name](*given)
    (found,) = (one for one in caught if one.category is FormatWarning)  # kernels as Python have others
    assert str(found.message).startswith(f"most {which[side]} are inverted")
    assert found.filename == __file__


@pytest.mark.parametrize("name", CALLS)
def test_anything_unusual_has_the_result_of_boxes(name: str) -> None:
    call, boxes = CALLS[name], some_boxes(3, np.float32, exact=False)
    for other in (boxes.astype(np.float64), boxes.astype(np.float16), boxes.astype(np.int32), boxes.tolist()):
        for a, b in ((boxes, other), (other, boxes)):
            assert few_by_row(a, b) is None
            assert bits(call(a, b)) == bits(call(Boxes(a), Boxes(b)))
    counted = "boxes as anchors" if name.startswith("encode") else "predicted boxes as targets"
    with pytest.raises(ValueError, match=f"expected as many {counted}, got 3 and 2"):
        call(boxes, boxes[:2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options", [{}, {"size": (9, 9.5), "format": "xywh"}, {"clamp": None, "weights": (10, 10, 5, 5)}]
)
def test_few_boxes_are_decoded_like_many(options: dict[str, Any], dtype: Any) -> None:
    rng = np.random.default_rng(11)
    corners = rng.uniform(0, 9, (600, 2, 2))
    anchors = np.concatenate([corners.min(1), corners.max(1)], 1).astype(dtype)
    anchors[3] = np.nan
    deltas = rng.normal(0, 1, (600, 4)).astype(dtype)
    whole = fastbox.decode(deltas, anchors, **options)
    for first, last in ((0, 10), (3, 4), (90, 602)):
        assert bits(fastbox.decode(deltas[first:last], anchors[first:last], **options)) == bits(whole[first:last])


def test_few_anchors_that_are_inverted_are_warned_of() -> None:
    with pytest.warns(FormatWarning, match="most boxes of anchors are inverted"):
        found = fastbox.decode(np.zeros((2, 4)), np.array([[9.0, 9.0, 4.0, 4.0], [8.0, 7.0, 2.0, 1.0]]))
    assert np.isnan(found).all()


def test_a_flag_is_not_taken_for_the_number_it_equals() -> None:
    boxes = some_boxes(3, np.float64, exact=False)
    fastbox.decode(boxes, boxes, max_ratio=1, size=(1, 1))
    with pytest.raises(TypeError, match="max_ratio to be a number, got True"):
        fastbox.decode(boxes, boxes, max_ratio=True)


def test_the_defaults_of_the_coder_are_known_by_their_identity() -> None:
    for function in (coder.encode, coder.decode):
        found = inspect.signature(function).parameters
        assert found["weights"].default is found["stds"].default is coder.ONES
        assert found["means"].default is coder.ZEROS
