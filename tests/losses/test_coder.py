"""Deltas are those of torchvision and detectron2, decoding undoes encoding, and what can't be encoded is nan."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal, assert_array_max_ulp
from reference import from_format, to_format
from strategies import INVALID, VALID, corners, dtypes, formats, laid_out, layouts, some_boxes
from support.floats import FLOATS
from support.paths import WITHOUT_JIT

from fastbox import Boxes
from fastbox.coder import decode, encode

WEIGHTS = [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0), (0.3, 0.7, 1.1, 1.3)]
GROWTH = math.log(1000 / 16)

LAST_PLACES = 2 if not WITHOUT_JIT else 4  # NumPy's own float32 logarithm is a little farther off than the compiled one

weights = st.sampled_from(WEIGHTS)


@st.composite
def rows(draw: st.DrawFn, kinds: tuple[str, ...] = (*VALID, *INVALID), dtype: Any = None) -> Any:
    """As many boxes as anchors, of one dtype."""
    n, dtype = draw(st.integers(0, 12)), draw(dtypes) if dtype is None else dtype
    one = corners(dtype, kinds, n, n)
    return draw(one), draw(one)


def boxes_and_anchors(n: int, dtype: Any, seed: int) -> tuple[Any, Any]:
    """Rows of boxes that no side of is 0."""
    b, a = some_boxes(n, dtype, seed, exact=False), some_boxes(n, dtype, seed + 1, exact=False)
    for side in (b, a):
        side[:, 2:] += dtype(0.5)
    return b, a


def bad(side: Any) -> Any:
    """Rows that have no deltas: not finite, or a side not above 0."""
    return ~(np.isfinite(side).all(axis=1) & (side[:, 2] > side[:, 0]) & (side[:, 3] > side[:, 1]))


def naive_encode(boxes: Any, anchors: Any, weights: Any) -> Any:
    """The formula one number at a time, in the boxes' own dtype, with a logarithm that is right to the last place."""
    T = boxes.dtype.type
    out = np.full(boxes.shape, np.nan, boxes.dtype)
    unusable = bad(boxes) | bad(anchors)
    for row, (box, anchor) in enumerate(zip(boxes, anchors, strict=True)):
        if unusable[row]:
            continue
        for axis in (0, 1):
            side, anchor_side = box[axis + 2] - box[axis], anchor[axis + 2] - anchor[axis]
            move = (box[axis] + T(0.5) * side) - (anchor[axis] + T(0.5) * anchor_side)
            out[row, axis] = T(weights[axis]) * move / anchor_side
            out[row, axis + 2] = T(weights[axis + 2]) * T(np.log(np.float64(side / anchor_side)))
    return out


@given(rows(), weights)
def test_deltas_are_those_of_the_formula(ab: Any, weights: Any) -> None:
    boxes, anchors = ab
    found = encode(boxes, anchors, weights=weights)
    expected = naive_encode(boxes, anchors, weights)
    assert found.dtype == expected.dtype
    assert found.shape == (len(boxes), 4)
    assert_array_equal(found[:, :2], expected[:, :2])
    some = ~np.isnan(expected[:, 0])
    assert_array_equal(np.isnan(found).all(axis=1), ~some)
    assert_array_max_ulp(found[some, 2:], expected[some, 2:], maxulp=LAST_PLACES)


@given(rows(), weights)
def test_rows_without_deltas_are_nan_and_nothing_is_infinite(ab: Any, weights: Any) -> None:
    boxes, anchors = ab
    deltas = encode(boxes, anchors, weights=weights)
    unusable = bad(boxes) | bad(anchors)
    assert int(np.isnan(deltas[:, 0]).sum()) == int(unusable.sum())
    assert_array_equal(np.isnan(deltas), np.repeat(unusable[:, None], 4, axis=1))
    assert not np.isinf(deltas).any()
    decoded = decode(np.zeros_like(boxes), anchors)
    assert_array_equal(np.isnan(decoded), np.repeat(bad(anchors)[:, None], 4, axis=1))


def test_a_delta_beyond_the_dtype_is_nan() -> None:
    vast, minute = [[0, 0, 1e30, 1e30]], [[0, 0, 1e-30, 1e-30]]
    assert np.isnan(encode(np.float32(vast), np.float32(minute))).all()
    assert np.isfinite(encode(np.float64(vast), np.float64(minute))).all()


def test_deltas_have_their_values_where_sides_or_their_ratios_are_beyond_the_dtype() -> None:
    ends = {np.float32: (1e-45, 1e-30, 1.0, 1e30, 3e38), np.float64: (5e-324, 1e-200, 1.0, 1e200)}
    for dtype, sizes in ends.items():
        for side, anchor in ((s, t) for s in sizes for t in sizes if s <= t):
            box, other = np.array([[-side, 0, side, side]], dtype), np.array([[-anchor, 0, anchor, anchor]], dtype)
            w, a = (np.longdouble(corners[0, 3]) for corners in (box, other))
            expected = [0, (w - a) / 2 / a, np.log(w) - np.log(a), np.log(w) - np.log(a)]
            np.testing.assert_allclose(encode(box, other)[0], np.array(expected, dtype), rtol=1e-6)


@given(rows(("grid", "odd", "apart")), weights)
def test_decoding_undoes_encoding(ab: Any, weights: Any) -> None:
    boxes, anchors = ab
    deltas = encode(boxes, anchors, weights=weights)
    back = decode(deltas, anchors, weights=weights, clamp=None)
    assert back.dtype == boxes.dtype
    # A delta is off by a few units in its last place, and so is what the anchor makes of it.
    reach = 1 + np.abs(np.concatenate([boxes, anchors], axis=1)).max(axis=1, initial=0)
    assert (np.abs(back - boxes) <= 40 * np.finfo(boxes.dtype).eps * reach[:, None]).all()


@given(rows(("grid", "odd"), np.float64))
def test_means_and_stds_are_mmdetections_weights(ab: Any) -> None:
    boxes, anchors = ab
    by_weights = encode(boxes, anchors, weights=(10, 10, 5, 5))
    by_stds = encode(boxes, anchors, stds=(0.1, 0.1, 0.2, 0.2))
    assert_allclose(by_stds, by_weights, rtol=1e-13, atol=1e-13)
    means = (0.1, -0.2, 0.3, 0.4)
    shifted = encode(boxes, anchors, means=means, stds=(0.1, 0.1, 0.2, 0.2))
    assert_allclose(shifted, by_stds - np.array(means) / (0.1, 0.1, 0.2, 0.2), rtol=1e-12, atol=1e-12)
    back = decode(shifted, anchors, means=means, stds=(0.1, 0.1, 0.2, 0.2), clamp=None)
    assert_allclose(back, boxes, rtol=1e-11, atol=1e-11)


def test_numbers_by_hand() -> None:
    deltas = encode([[2.0, 1.0, 6.0, 9.0]], [[0.0, 0.0, 2.0, 4.0]], weights=(10, 20, 1, 2))
    assert_allclose(deltas, [[10 * 3 / 2, 20 * 3 / 4, math.log(2), 2 * math.log(2)]], rtol=1e-15)
    assert_allclose(decode(deltas, [[0, 0, 2, 4]], weights=(10, 20, 1, 2)), [[2, 1, 6, 9]], rtol=1e-14)


def test_the_numbers_of_mmdetections_documentation() -> None:
    """The example of its delta2bbox; its fourth anchor is a point, which is nan here and itself there."""
    anchors = np.float32([[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [5, 5, 5, 5]])
    deltas = np.float32([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 2, -1], [0.7, -1.9, -0.5, 0.3]])
    expected = [[0, 0, 1, 1], [0.1409, 0.1409, 2.8591, 2.8591], [0, 0.3161, 4.1945, 0.6839]]
    found = decode(deltas, anchors, clamp="both", size=(32, 32))
    assert_allclose(found[:3], expected, atol=5e-5)
    assert np.isnan(found[3]).all()


# Clamps and clips


def test_growth_is_clamped_from_above_or_on_both_sides() -> None:
    anchors = np.tile([0.0, 0.0, 16.0, 16.0], (4, 1))
    deltas = np.array([[0, 0, 99, 0], [0, 0, -99, 0], [0, 0, 0, 5], [0, 0, 0, -5]], float)

    def sizes(**options: Any) -> Any:
        return decode(deltas, anchors, format="cxcywh", **options)[:, 2:]

    assert_allclose(sizes(), [[1000, 16], [0, 16], [16, 1000], [16, 16 * math.exp(-5)]], rtol=1e-12, atol=1e-12)
    low = 16 * 16 / 1000
    assert_allclose(sizes(clamp="both"), [[1000, 16], [low, 16], [16, 1000], [16, low]], rtol=1e-12)
    free = [16 * math.exp(99), 16 * math.exp(-99), 16, 16]
    assert_allclose(sizes(clamp=None)[:, 0], free, rtol=1e-12, atol=1e-12)
    assert_allclose(sizes(max_ratio=2)[:, 0], [32, 0, 16, 16], rtol=1e-12, atol=1e-12)


def test_centres_move_no_farther_than_ctr_clamp() -> None:
    anchors = np.tile([0.0, 0.0, 100.0, 10.0], (3, 1))
    deltas = np.array([[0.5, 0.5, 0, 0], [-0.5, 50, 0, 0], [0.1, -50, 0, 0]])
    found = decode(deltas, anchors, ctr_clamp=32, format="cxcywh")
    assert_allclose(found[:, :2], [[50 + 32, 5 + 5], [50 - 32, 5 + 32], [50 + 10, 5 - 32]])


def test_boxes_are_clipped_to_one_image_or_to_each_ones_own() -> None:
    anchors = np.array([[-5.0, -5, 5, 5], [90, 40, 120, 70], [200, 200, 210, 210]])
    zeros = np.zeros((3, 4))
    assert_array_equal(decode(zeros, anchors), anchors)
    assert_array_equal(decode(zeros, anchors, size=(100, 50)), [[0, 0, 5, 5], [90, 40, 100, 50], [100, 50, 100, 50]])
    own = decode(zeros, anchors, size=([4, 300, 205], [300, 60, 300]))
    assert_array_equal(own, [[0, 0, 4, 5], [90, 40, 120, 60], [200, 200, 205, 210]])
    wide = decode(zeros, anchors, size=(100, 50), format="xywh")
    assert_array_equal(wide, [[0, 0, 5, 5], [90, 40, 10, 10], [100, 50, 0, 0]])


def test_a_nan_delta_stays_nan() -> None:
    deltas = np.zeros((4, 4))
    np.fill_diagonal(deltas, np.nan)
    found = decode(deltas, np.tile([0.0, 0.0, 4.0, 4.0], (4, 1)), size=(9, 9), ctr_clamp=1)
    assert_array_equal(np.isnan(found), [[1, 0, 1, 0], [0, 1, 0, 1]] * 2)


# Forms of input and output


@given(rows(("grid", "apart"), np.float64), formats, formats, layouts)
def test_any_format_and_layout_gives_the_same(ab: Any, first: str, second: str, layout: str) -> None:
    boxes, anchors = ab
    expected = encode(boxes, anchors)
    b = Boxes(laid_out(to_format(boxes, first), layout), first)
    a = Boxes(laid_out(to_format(anchors, second), layout), second)
    assert_array_equal(encode(b, a), expected)
    deltas = laid_out(expected, layout)
    assert_array_equal(decode(deltas, a), decode(expected, anchors))
    turned = decode(deltas, a, format=first)
    assert_allclose(from_format(turned, first), decode(expected, anchors), rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("classes", [1, 2, 3, 21])
def test_a_box_for_each_class_is_the_box_alone(dtype: Any, classes: int) -> None:
    _, anchors = boxes_and_anchors(37, dtype, 5)
    anchors[4, 2] = anchors[4, 0]
    deltas = np.random.default_rng(1).normal(0, 1, (37, classes, 4)).astype(dtype)
    found = decode(deltas, anchors, weights=(10, 10, 5, 5), size=(200, 100))
    assert found.shape == (37, classes, 4)
    assert found.dtype == dtype
    wide = decode(deltas.reshape(37, -1), anchors, weights=(10, 10, 5, 5), size=(200, 100))
    assert wide.shape == ((37, 4) if classes == 1 else (37, classes, 4))
    assert_array_equal(wide.reshape(found.shape), found)
    for c in range(classes):
        alone = decode(deltas[:, c], anchors, weights=(10, 10, 5, 5), size=(200, 100))
        assert_array_equal(alone, found[:, c])


@pytest.mark.parametrize("classes", [None, 0, 1, 5])
def test_nothing_gives_nothing(classes: int | None) -> None:
    assert encode([], []).shape == (0, 4)
    deltas: Any = [] if classes is None else np.zeros((0, classes, 4))
    assert decode(deltas, []).shape == ((0, 4) if classes is None else (0, classes, 4))
    assert decode(np.zeros((3, 0)), np.ones((3, 4))).shape == (3, 0, 4)


def test_dtypes_are_promoted_together() -> None:
    narrow, wide = np.float32([[0, 0, 4, 4]]), np.array([[0, 0, 3, 3]])
    assert encode(narrow, narrow).dtype == np.float32
    assert encode(narrow, wide).dtype == np.float64
    assert decode(narrow.astype(np.float16), narrow).dtype == np.float32
    assert decode(narrow, wide).dtype == np.float64


@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cuts_and_threads_change_no_bit(threads: Any, dtype: Any) -> None:
    boxes, anchors = boxes_and_anchors(50_001, dtype, 3)
    found = []
    for n in (1, 2, 5):
        threads(n)
        deltas = encode(boxes, anchors)
        found.append((deltas, decode(deltas, anchors)))
    deltas, decoded = found[0]
    for others in found[1:]:
        assert_array_equal(others[0], deltas)
        assert_array_equal(others[1], decoded)
    for first, last in ((0, 1), (7, 40), (1000, 2057), (49_990, 50_001)):
        assert_array_equal(encode(boxes[first:last], anchors[first:last]), deltas[first:last])
        assert_array_equal(decode(deltas[first:last], anchors[first:last]), decoded[first:last])


# Beside torch: the formulas of torchvision's BoxCoder and detectron2's Box2BoxTransform, which are the same


def torch_encode(torch: Any, boxes: Any, anchors: Any, weights: Any) -> Any:
    sides, anchor_sides = boxes[:, 2:] - boxes[:, :2], anchors[:, 2:] - anchors[:, :2]
    moves = (boxes[:, :2] + 0.5 * sides) - (anchors[:, :2] + 0.5 * anchor_sides)
    factors = torch.tensor(weights, dtype=boxes.dtype)
    return torch.cat([factors[:2] * moves / anchor_sides, factors[2:] * torch.log(sides / anchor_sides)], dim=1)


def torch_decode(torch: Any, deltas: Any, anchors: Any, weights: Any) -> Any:
    sides = anchors[:, 2:] - anchors[:, :2]
    unweighted = deltas / torch.tensor(weights, dtype=deltas.dtype)
    centres = unweighted[:, :2] * sides + (anchors[:, :2] + 0.5 * sides)
    halves = 0.5 * (torch.exp(torch.clamp(unweighted[:, 2:], max=GROWTH)) * sides)
    return torch.cat([centres - halves, centres + halves], dim=1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weights", WEIGHTS)
def test_torch_gives_the_same(dtype: Any, weights: Any) -> None:
    torch = pytest.importorskip("torch")
    boxes, anchors = boxes_and_anchors(300, dtype, 11)
    expected = torch_encode(torch, torch.from_numpy(boxes), torch.from_numpy(anchors), weights).numpy()
    found = encode(torch.from_numpy(boxes), torch.from_numpy(anchors), weights=weights)
    assert found.dtype == dtype
    assert_array_equal(found[:, :2], expected[:, :2])
    assert_array_max_ulp(found[:, 2:], expected[:, 2:], maxulp=LAST_PLACES)

    deltas = (np.random.default_rng(6).normal(0, 2, (300, 4)) * weights).astype(dtype)
    expected = torch_decode(torch, torch.from_numpy(deltas), torch.from_numpy(anchors), weights).numpy()
    found = decode(torch.from_numpy(deltas), torch.from_numpy(anchors), weights=weights)
    assert found.dtype == dtype
    # The exponential's last bit is one of the side's; a corner may be far smaller than its box is wide.
    scale = np.abs(expected).max(axis=1, keepdims=True)
    assert (np.abs(found - expected) <= 2 * np.finfo(dtype).eps * scale).all()


# What is refused


ONE = [[0.0, 0.0, 4.0, 4.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: encode(ONE, ONE * 2), "as many boxes as anchors, got 1 and 2"),
        (lambda: encode(ONE, ONE, weights=(1, 1, 1)), "weights to be four finite numbers"),  # type: ignore[arg-type]
        (lambda: encode(ONE, ONE, weights=(1, 1, 0, 1)), "weights above 0"),
        (lambda: encode(ONE, ONE, stds=(1, 1, -1, 1)), "stds above 0"),
        (lambda: encode(ONE, ONE, means=(1, 1, math.nan, 1)), "means to be four finite numbers"),
        (lambda: encode(ONE, ONE, means="abcd"), "means to be four finite numbers"),  # type: ignore[arg-type]
        (lambda: decode(ONE * 2, ONE), r"deltas of shape \(1, 4\), \(1, 4 k\) or \(1, k, 4\), got \(2, 4\)"),
        (lambda: decode([[0.0] * 6], ONE), "deltas of shape"),
        (lambda: decode([[[0.0] * 8]], ONE), "deltas of shape"),
        (lambda: decode([0.0], ONE), "deltas of shape"),
        (lambda: decode(0.0, ONE), "deltas of shape"),
        (lambda: decode(ONE, ONE, clamp="below"), "clamp to be 'above', 'both' or None, got 'below'"),
        (lambda: decode(ONE, ONE, max_ratio=0.5), "max_ratio to be at least 1"),
        (lambda: decode(ONE, ONE, ctr_clamp=-1), "ctr_clamp to be at least 0"),
        (lambda: decode(ONE, ONE, format="rel_xyxy"), "format of xyxy"),
        (lambda: decode(ONE, ONE, size=(3,)), r"size=\(width, height\)"),  # type: ignore[arg-type]
        (lambda: decode(ONE, ONE, size=(3, -1)), r"size=\(width, height\)"),
        (lambda: decode(ONE, ONE, size=("3", 4)), r"size=\(width, height\)"),  # type: ignore[arg-type]
        (lambda: decode(ONE, ONE, size=(3, [1, 2])), r"size=\(width, height\)"),
        (lambda: decode(ONE, ONE, size=5), r"size=\(width, height\)"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        call()
    assert str(raised.value).startswith("expected ")


@pytest.mark.parametrize("dtype", FLOATS)
def test_terms_that_are_equal_are_not_taken_for_the_same(dtype: Any) -> None:
    boxes, anchors = np.array([[1, 0, 5, 4]], dtype), np.array([[0, 0, 4, 4]], dtype)
    whole = encode(boxes, anchors, weights=(1, 1, 1, 1), means=(0, 0, 0, 0))
    assert encode(boxes, anchors, weights=(1.0, 1.0, 1.0, 1.0)).tobytes() == whole.tobytes()
    for _ in range(2):
        with pytest.raises(ValueError, match="weights to be four finite numbers"):
            encode(boxes, anchors, weights=(True, True, True, True))
        with pytest.raises(ValueError, match="stds above 0"):
            encode(boxes, anchors, stds=(0.0, 1.0, 1.0, 1.0))


def test_one_size_for_all_is_that_size_for_each() -> None:
    rng = np.random.default_rng(5)
    anchors, deltas = some_boxes(5, np.float64, 3, exact=False), rng.normal(size=(5, 8))
    each = decode(deltas, anchors, size=(np.full(5, 90.0), np.full(5, 80.0)))
    assert decode(deltas, anchors, size=(90, 80)).tobytes() == each.tobytes()
    assert decode(deltas, anchors, size=(90, np.full(5, 80.0))).tobytes() == each.tobytes()
    assert_array_equal(decode(deltas, anchors, size=(np.inf, np.inf)), np.maximum(decode(deltas, anchors), 0))
