"""Every operation against the matrix: the same bits, whatever is asked for and however the boxes lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import DISTANCES, METRICS, SIMILARITIES
from strategies import (
    EXACT,
    EXTREME,
    FORMATS,
    INVALID,
    LAYOUTS,
    VALID,
    corners,
    formats,
    laid_out,
    layouts,
    metrics,
    some_boxes,
    two,
)

import fastbox
from fastbox import Boxes

FLOATS = [np.float32, np.float64]
EDGES = [1, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025]


def thresholds(matrix: Any) -> list[float]:
    """A few thresholds, those that some values are equal to among them."""
    values = np.unique(matrix[~np.isnan(matrix)])
    some = values[:: max(1, len(values) // 3)]
    around = [np.nextafter(some, -9, dtype=some.dtype), some, np.nextafter(some, 9, dtype=some.dtype)]
    return [-2.0, -0.5, 0.0, 0.1, 0.5, 0.7, 1.0, 3.0, *(float(v) for v in np.concatenate(around))]


def check_all(a: Any, b: Any, metric: str, matrix: Any) -> None:
    """Every reduction equals that of the matrix, to the bit."""
    found = fastbox.best(a, b, metric=metric)
    expected = reference.best(matrix, metric)
    assert_array_equal(found.indices, expected.indices)
    assert_array_equal(found.values, expected.values)
    for k in (1, 3, matrix.shape[1] + 2):
        some = fastbox.top(a, b, k, metric=metric)
        assert_array_equal(some.indices, reference.top(matrix, k, metric).indices)
        assert_array_equal(some.values, reference.top(matrix, k, metric).values)
    for threshold in thresholds(matrix):
        listed = fastbox.pairs(a, b, threshold=threshold, metric=metric)
        for got, right in zip(listed, reference.pairs(matrix, threshold, metric), strict=True):
            assert_array_equal(got, right)
    for bins, span in ((10, (0.0, 1.0)), (7, (-1.5, 1.5))):
        counts = fastbox.histogram(a, b, bins=bins, range=span, metric=metric)
        assert_array_equal(counts, reference.histogram(matrix, bins, span))


# The matrix and what is made of it


@given(two(), metrics)
def test_every_answer_is_that_of_the_matrix(ab: Any, metric: str) -> None:
    matrix = fastbox.pairwise(*ab, metric=metric)
    assert matrix.shape == (len(ab[0]), len(ab[1]))
    check_all(*ab, metric, matrix)


@given(two((*VALID, *INVALID, *EXTREME)), metrics)
def test_boxes_of_extreme_size_have_the_same_bits_everywhere(ab: Any, metric: str) -> None:
    """Areas near both ends of float32, where a shortcut by areas would round away."""
    check_all(*ab, metric, fastbox.pairwise(*ab, metric=metric))


@given(two(EXACT), st.sampled_from(["iou", "iof", "ios", "giou", "l1"]))
def test_every_answer_is_that_of_the_definition(ab: Any, metric: str) -> None:
    check_all(*ab, metric, reference.pairwise(*ab, metric=metric))


@given(two(min_size=1), metrics)
def test_rows_alone_have_the_bits_of_the_matrix(ab: Any, metric: str) -> None:
    n = min(map(len, ab))
    rows = fastbox.aligned(ab[0][:n], ab[1][:n], metric=metric)
    assert rows.shape == (n,)
    assert_array_equal(rows, np.diag(fastbox.pairwise(*ab, metric=metric))[:n])


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
def test_unround_boxes_have_the_same_bits_everywhere(metric: str, dtype: Any) -> None:
    a, b = some_boxes(37, dtype, 1, exact=False, bad=0.1), some_boxes(41, dtype, 2, exact=False, bad=0.1)
    matrix = fastbox.pairwise(a, b, metric=metric)
    check_all(a, b, metric, matrix)
    assert_array_equal(fastbox.aligned(a, b[:37], metric=metric), np.diag(matrix))


@pytest.mark.parametrize("n", [pytest.param(n, marks=pytest.mark.jit if n > 300 else ()) for n in EDGES])
@pytest.mark.parametrize("metric", ["iou", "l1"])
def test_sizes_around_the_edges_of_tiles(metric: str, n: int) -> None:
    few, many = some_boxes(3, np.float32, 3), some_boxes(n, np.float32, n, bad=0.05)
    for a, b in ((few, many), (many, few)):
        matrix = reference.pairwise(a, b, metric)
        assert_array_equal(fastbox.pairwise(a, b, metric=metric), matrix)
        check_all(a, b, metric, matrix)
    assert_array_equal(fastbox.aligned(many, many[::-1], metric=metric), reference.aligned(many, many[::-1], metric))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", ["iou", "giou", "smooth_l1"])
@pytest.mark.parametrize("shape", [(65, 1025), (1023, 64), (129, 2049)], ids=str)
def test_several_tiles_each_way(shape: tuple[int, int], metric: str, dtype: Any) -> None:
    a, b = some_boxes(shape[0], dtype, 4, exact=False, bad=0.01), some_boxes(shape[1], dtype, 5, exact=False, bad=0.01)
    check_all(a, b, metric, fastbox.pairwise(a, b, metric=metric))


@given(two(), metrics, st.integers(0, 12), st.integers(0, 12))
def test_cutting_the_boxes_changes_no_bits(ab: Any, metric: str, i: int, j: int) -> None:
    a, b = ab
    whole = fastbox.pairwise(a, b, metric=metric)
    assert_array_equal(fastbox.pairwise(a[i:], b[:j], metric=metric), whole[i:, :j])


@given(two(kinds=VALID))
def test_the_peers_loop_gives_the_same_answer(ab: Any) -> None:
    """One row at a time, one box at a time."""
    matrix = fastbox.pairwise(*ab)
    for i, row in enumerate(ab[0]):
        for j, other in enumerate(ab[1]):
            assert fastbox.pairwise(row[None], other[None]).item() == matrix[i, j]


# Layouts and formats


@given(two((*EXACT, "nan", "inverted")), formats, formats, layouts, layouts, metrics)
def test_format_and_layout_change_no_bits(
    ab: Any, format_a: str, format_b: str, layout_a: str, layout_b: str, metric: str
) -> None:
    matrix = fastbox.pairwise(*ab, metric=metric)
    with np.errstate(invalid="ignore"):
        a = Boxes(laid_out(reference.to_format(ab[0], format_a), layout_a), format_a)
        b = Boxes(laid_out(reference.to_format(ab[1], format_b), layout_b), format_b)
    assert_array_equal(fastbox.pairwise(a, b, metric=metric), matrix)
    assert_array_equal(fastbox.best(a, b, metric=metric).indices, reference.best(matrix, metric).indices)


@pytest.mark.jit
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_format_in_every_layout(dtype: Any, layout: str, format: str) -> None:
    a, b = some_boxes(19, dtype, 6), some_boxes(33, dtype, 7)
    matrix = reference.pairwise(a, b)
    p, q = (Boxes(laid_out(reference.to_format(x, format), layout), format) for x in (a, b))
    assert_array_equal(fastbox.pairwise(p, q), matrix)
    assert_array_equal(fastbox.pairwise(p, b), matrix)
    check_all(p, q, "iou", matrix)
    assert_array_equal(fastbox.aligned(p, q[:19]), np.diag(matrix))


@given(two())
def test_arrays_lists_and_boxes_are_alike(ab: Any) -> None:
    matrix = fastbox.pairwise(*ab)
    assert_array_equal(fastbox.pairwise(Boxes(ab[0]), ab[1]), matrix)
    wide = fastbox.pairwise(ab[0].tolist(), ab[1].tolist())
    assert wide.dtype == np.float64
    assert_array_equal(wide, fastbox.pairwise(ab[0].astype(np.float64), ab[1].astype(np.float64)))


@given(corners(np.float32), corners(np.float64), metrics)
def test_mixed_floats_become_float64(a: Any, b: Any, metric: str) -> None:
    wide = fastbox.pairwise(a.astype(np.float64), b, metric=metric)
    for one, other, right in ((a, b, wide), (b, a, fastbox.pairwise(b, a.astype(np.float64), metric=metric))):
        mixed = fastbox.pairwise(one, other, metric=metric)
        assert mixed.dtype == np.float64
        assert_array_equal(mixed, right)


def test_nothing_given_is_written_to() -> None:
    a, b = some_boxes(20, np.float32, 1, bad=0.2), some_boxes(20, np.float32, 2, bad=0.2)
    before = a.tobytes(), b.tobytes()
    check_all(a, b, "giou", fastbox.pairwise(a, b, metric="giou"))
    assert (a.tobytes(), b.tobytes()) == before


# Best and top


@pytest.mark.jit
def test_ties_go_to_the_lowest_index() -> None:
    b = np.tile(np.array([[0.0, 0, 2, 2], [5, 5, 6, 6]]), (600, 1))
    for metric in METRICS:
        found = fastbox.best([[0, 0, 2, 2], [5, 5, 6, 6]], b, metric=metric)
        assert_array_equal(found.indices, [0, 1], metric)
        some = fastbox.top([[0, 0, 2, 2], [5, 5, 6, 6]], b, 4, metric=metric)
        assert_array_equal(some.indices, [[0, 2, 4, 6], [1, 3, 5, 7]], metric)


def test_no_overlap_is_a_tie_too() -> None:
    found = fastbox.best([[0, 0, 1, 1]], [[5, 5, 6, 6], [2, 2, 3, 3]])
    assert (found.values.item(), found.indices.item()) == (0.0, 0)


@pytest.mark.parametrize("metric", METRICS)
def test_a_box_far_off_is_still_the_best_of_one(metric: str) -> None:
    """In line with it along one axis and far along the other: no intersection, but a gap larger than both areas."""
    for one in ([0, 0, 10, 1], [0, 0, 1, 10]):
        for other in ([0, 1000, 10, 1001], [1000, 0, 1001, 10], [-1000, 2, -999, 3], [3, -1000, 4, -999]):
            value = fastbox.pairwise([one], [other], metric=metric).item()
            assert fastbox.best([one], [other], metric=metric) == (value, 0)
            assert fastbox.top([one], [other], 1, metric=metric) == (value, 0)
            assert fastbox.pairs([one], [other], threshold=value, metric=metric) == (0, 0, value)


def test_negative_values_can_be_best() -> None:
    found = fastbox.best([[0, 0, 1, 1]], [[50, 50, 51, 51], [3, 0, 4, 1], [90, 90, 91, 91]], metric="giou")
    assert found.indices.item() == 1
    assert found.values.item() == pytest.approx(-0.5)


@pytest.mark.parametrize("metric", METRICS)
def test_invalid_boxes_never_win(metric: str) -> None:
    bad = [[0, 0, np.nan, 1], [1, 1, 0, 0], [0, 0, np.inf, np.inf]]
    found = fastbox.best([[0, 0, 1, 1], *bad], [*bad, [30, 30, 40, 40]], metric=metric)
    assert_array_equal(found.indices, [3, -1, -1, -1])
    assert_array_equal(np.isnan(found.values), [False, True, True, True])
    alone = fastbox.best([[0, 0, 1, 1]], bad, metric=metric)
    assert alone.indices.item() == -1
    assert np.isnan(alone.values.item())
    assert all(len(part) == 0 for part in fastbox.pairs([[0, 0, 1, 1]], bad, threshold=-100, metric=metric))
    assert fastbox.histogram([[0, 0, 1, 1]], bad, bins=3, range=(-1e9, 1e9), metric=metric).sum() == 0


@pytest.mark.parametrize("metric", DISTANCES)
def test_the_nearest_is_the_best(metric: str) -> None:
    b = [[0, 0, 9, 9], [0, 0, 2, 2], [0, 0, 5, 5]]
    found = fastbox.top([[0, 0, 1, 1]], b, 3, metric=metric)
    assert_array_equal(found.indices, [[1, 2, 0]])
    assert (np.diff(found.values) > 0).all()
    assert fastbox.best([[0, 0, 1, 1]], b, metric=metric).indices.item() == 1


def test_more_than_there_are_is_filled_with_nothing() -> None:
    found = fastbox.top([[0, 0, 1, 1]], [[0, 0, 1, 1], [0, 0, np.nan, 1]], 4)
    assert_array_equal(found.indices, [[0, -1, -1, -1]])
    assert_array_equal(found.values, [[1, np.nan, np.nan, np.nan]])


def test_beta_reaches_every_operation() -> None:
    a, b = some_boxes(9, np.float64, 1), some_boxes(12, np.float64, 2)
    matrix = fastbox.pairwise(a, b, metric="smooth_l1", beta=20)
    assert not np.array_equal(matrix, fastbox.pairwise(a, b, metric="smooth_l1"))
    assert_array_equal(fastbox.aligned(a, b[:9], metric="smooth_l1", beta=20), np.diag(matrix))
    assert_array_equal(fastbox.best(a, b, metric="smooth_l1", beta=20).values, matrix.min(1))
    assert_array_equal(fastbox.top(a, b, 2, metric="smooth_l1", beta=20).values, np.sort(matrix)[:, :2])
    assert_array_equal(fastbox.pairs(a, b, threshold=1e9, metric="smooth_l1", beta=20).values, matrix.ravel())
    counts = fastbox.histogram(a, b, bins=9, range=(0, 900), metric="smooth_l1", beta=20)
    assert_array_equal(counts, reference.histogram(matrix, 9, (0, 900)))


# Pairs


def test_a_threshold_is_rounded_to_the_dtype_of_the_boxes() -> None:
    a, b = np.array([[0, 0, 7, 1]], np.float32), np.array([[0, 0, 10, 1]], np.float32)
    assert float(fastbox.pairwise(a, b).item()) < 0.7
    assert len(fastbox.pairs(a, b, threshold=0.7).rows) == 1
    assert len(fastbox.pairs(a, b, threshold=np.nextafter(np.float32(0.7), np.float32(1))).rows) == 0
    assert len(fastbox.pairs(a.astype(np.float64), b.astype(np.float64), threshold=0.7).rows) == 1


@pytest.mark.parametrize("metric", SIMILARITIES)
def test_a_threshold_may_be_zero_or_less(metric: str) -> None:
    a, b = some_boxes(9, np.float32, 1, bad=0.2), some_boxes(11, np.float32, 2, bad=0.2)
    matrix = fastbox.pairwise(a, b, metric=metric)
    for threshold in (0, -0.25, -1, -1000):
        for got, right in zip(
            fastbox.pairs(a, b, threshold=threshold, metric=metric),
            reference.pairs(matrix, threshold, metric),
            strict=True,
        ):
            assert_array_equal(got, right)


@pytest.mark.parametrize("metric", DISTANCES)
def test_a_distance_is_a_pair_up_to_the_threshold(metric: str) -> None:
    a = [[0, 0, 1, 1]]
    b = [[0, 0, 1, 3], [0, 0, 1, 1], [0, 0, 1, 8]]
    at_two = fastbox.pairwise(a, b, metric=metric)[0, 0]
    assert_array_equal(fastbox.pairs(a, b, threshold=at_two, metric=metric).cols, [0, 1])
    assert_array_equal(fastbox.pairs(a, b, threshold=0, metric=metric).cols, [1])
    assert len(fastbox.pairs(a, b, threshold=-1, metric=metric).cols) == 0


@given(corners(), metrics)
def test_pairs_of_a_collection_with_itself_are_listed_once(a: Any, metric: str) -> None:
    matrix = fastbox.pairwise(a, a, metric=metric)
    for threshold in thresholds(matrix):
        for got, right in zip(
            fastbox.pairs(a, threshold=threshold, metric=metric),
            reference.pairs(matrix, threshold, metric, itself=True),
            strict=True,
        ):
            assert_array_equal(got, right)


@pytest.mark.parametrize("n", EDGES)
def test_pairs_with_itself_around_the_edges_of_tiles(n: int) -> None:
    boxes = np.zeros((n, 4), np.float32)
    boxes[:, 0] = 10 * np.arange(n)
    boxes[:, 2:] = boxes[:, :2] + 15
    some = fastbox.pairs(boxes[: 130 if n > 130 else n], threshold=0.1)
    last = min(n, 130) - 1
    assert_array_equal(some.rows, np.arange(last))
    assert_array_equal(some.cols, np.arange(1, last + 1))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("kind", ["scattered", "crowded", "giants", "one place", "points", "far away", "with invalid"])
def test_pairs_of_many_boxes_are_those_of_the_matrix(kind: str, dtype: Any) -> None:
    """Many enough for whatever index there is."""
    a, b = some_boxes(900, dtype, 8), some_boxes(1300, dtype, 9)
    for boxes in (a, b):
        if kind == "scattered":
            boxes *= 50
            boxes[:, 2:] = boxes[:, :2] + (boxes[:, 2:] - boxes[:, :2]) / 40
        elif kind == "giants":
            boxes[::97] = [-1000, -1000, 5000, 5000]
        elif kind == "one place":
            boxes[:] = boxes[:1]
        elif kind == "points":
            boxes[::2, 2:] = boxes[::2, :2]
        elif kind == "far away":
            boxes += 1e6
        elif kind == "with invalid":
            boxes[::5, 1] = np.nan
            boxes[1::7] = boxes[1::7][:, [2, 3, 0, 1]]
            boxes[2::11, 2] = np.inf
    for metric, threshold in (("iou", 0.3), ("iou", 1.0), ("ios", 0.9), ("giou", 0.2), ("diou", 0.4), ("l1", 40.0)):
        matrix = fastbox.pairwise(a, b, metric=metric)
        for got, right in zip(
            fastbox.pairs(a, b, threshold=threshold, metric=metric),
            reference.pairs(matrix, threshold, metric),
            strict=True,
        ):
            assert_array_equal(got, right)
        itself = reference.pairs(fastbox.pairwise(a, a, metric=metric), threshold, metric, itself=True)
        for got, right in zip(fastbox.pairs(a, threshold=threshold, metric=metric), itself, strict=True):
            assert_array_equal(got, right)
    itself = reference.pairs(fastbox.pairwise(b, b), 0.3, itself=True)
    for got, right in zip(fastbox.pairs(b, threshold=0.3), itself, strict=True):
        assert_array_equal(got, right)
    assert_array_equal(fastbox.best(a, b).indices, reference.best(fastbox.pairwise(a, b)).indices)


# Histograms


@given(two(min_size=1), metrics, st.integers(1, 40), st.floats(-2, 1), st.floats(0.01, 3))
def test_a_histogram_is_numpys(ab: Any, metric: str, bins: int, low: float, width: float) -> None:
    matrix = fastbox.pairwise(*ab, metric=metric)
    counts = fastbox.histogram(*ab, bins=bins, range=(low, low + width), metric=metric)
    assert counts.dtype == np.int64
    assert counts.shape == (bins,)
    assert_array_equal(counts, np.histogram(matrix, bins, (low, low + width))[0])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bins", [10, 20, 3, 7])
def test_values_on_the_edges_of_bins(bins: int, dtype: Any) -> None:
    side = np.arange(1, 61, dtype=dtype)
    b = np.stack([0 * side, 0 * side, side, 0 * side + 1], 1)
    for last in (60, 20, 30, 10):
        a = np.array([[0, 0, last, 1]], dtype)
        values = fastbox.pairwise(a, b)
        assert_array_equal(fastbox.histogram(a, b, bins=bins, range=(0, 1)), np.histogram(values, bins, (0, 1))[0])
        assert_array_equal(
            fastbox.histogram(a, b, bins=bins, range=(0.1, 0.7)), np.histogram(values, bins, (0.1, 0.7))[0]
        )


@given(two())
def test_histograms_of_parts_add_up(ab: Any) -> None:
    a, b = ab
    parts = [fastbox.histogram(x, y, bins=9, range=(0, 1)) for x in (a[:3], a[3:]) for y in (b[:5], b[5:])]
    assert_array_equal(sum(parts), fastbox.histogram(a, b, bins=9, range=(0, 1)))


# What comes back


@pytest.mark.parametrize("dtype", FLOATS)
def test_results_say_what_they_are(dtype: Any) -> None:
    a, b = some_boxes(5, dtype, 1), some_boxes(6, dtype, 2)
    assert fastbox.pairwise(a, b).dtype == dtype
    assert fastbox.aligned(a, a).dtype == dtype
    assert fastbox.pairwise(a, b).flags.c_contiguous
    found = fastbox.best(a, b)
    assert found._fields == ("values", "indices")
    assert (found.values.dtype, found.indices.dtype) == (dtype, np.int64)
    assert found.values.shape == found.indices.shape == (5,)
    some = fastbox.top(a, b, 2)
    assert some._fields == ("values", "indices")
    assert (some.values.dtype, some.indices.dtype) == (dtype, np.int64)
    assert some.values.shape == some.indices.shape == (5, 2)
    listed = fastbox.pairs(a, b, threshold=0)
    assert listed._fields == ("rows", "cols", "values")
    assert (listed.rows.dtype, listed.cols.dtype, listed.values.dtype) == (np.int64, np.int64, dtype)
    assert fastbox.histogram(a, b, bins=4, range=(0, 1)).dtype == np.int64


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (0, 1025), (1025, 0)])
@pytest.mark.parametrize("metric", ["iou", "l1"])
def test_empty_inputs_give_empty_answers(metric: str, shape: tuple[int, int], dtype: Any) -> None:
    a, b = np.empty((shape[0], 4), dtype), some_boxes(shape[1], dtype)
    a[:] = some_boxes(shape[0], dtype)
    matrix = fastbox.pairwise(a, b, metric=metric)
    assert (matrix.shape, matrix.dtype) == (shape, dtype)
    found = fastbox.best(a, b, metric=metric)
    assert_array_equal(found.indices, np.full(shape[0], -1))
    assert_array_equal(found.values, np.full(shape[0], np.nan, dtype))
    some = fastbox.top(a, b, 3, metric=metric)
    assert_array_equal(some.indices, np.full((shape[0], 3), -1))
    assert_array_equal(some.values, np.full((shape[0], 3), np.nan, dtype))
    listed = fastbox.pairs(a, b, threshold=0, metric=metric)
    assert [(len(part), part.dtype) for part in listed] == [(0, np.int64), (0, np.int64), (0, dtype)]
    assert_array_equal(fastbox.histogram(a, b, bins=3, range=(0, 1), metric=metric), [0, 0, 0])
    assert fastbox.aligned(a[:0], b[:0], metric=metric).shape == (0,)
    assert all(len(part) == 0 for part in fastbox.pairs(a[:0], threshold=0, metric=metric))
    assert fastbox.pairwise([], b, metric=metric).shape == (0, shape[1])


def test_one_box_has_no_pair_with_itself() -> None:
    assert all(len(part) == 0 for part in fastbox.pairs([[0, 0, 1, 1]], threshold=0))


# out=


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
def test_the_answer_can_go_into_memory_of_ones_own(metric: str, dtype: Any) -> None:
    a, b = some_boxes(20, dtype, 1, bad=0.1), some_boxes(30, dtype, 2, bad=0.1)
    out = np.full((20, 30), 7, dtype)
    assert fastbox.pairwise(a, b, metric=metric, out=out) is out
    assert_array_equal(out, fastbox.pairwise(a, b, metric=metric))
    row = np.full(20, 7, dtype)
    assert fastbox.aligned(a, b[:20], metric=metric, out=row) is row
    assert_array_equal(row, np.diag(out))


def test_memory_of_ones_own_may_lie_anywhere() -> None:
    a, b = some_boxes(33, np.float32, 1), some_boxes(65, np.float32, 2)
    flat = np.full(33 * 65 + 3, -5, np.float32)
    out = flat[1 : 1 + 33 * 65].reshape(33, 65)
    assert fastbox.pairwise(a, b, out=out) is out
    assert_array_equal(out, fastbox.pairwise(a, b))
    assert_array_equal(flat[[0, -2, -1]], -5)


@pytest.mark.jit
@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_big_matrix_into_used_memory_has_the_same_bits(dtype: Any, shift: int) -> None:
    """Past the size where other stores are used."""
    n, m = 2051, 4099
    a, b = some_boxes(n, dtype, 1, bad=0.01), some_boxes(m, dtype, 2, bad=0.01)
    flat = np.ones(n * m + 2, dtype)
    out = flat[shift : shift + n * m].reshape(n, m)
    assert out.nbytes > 32 * 2**20
    fastbox.pairwise(a, b, out=out)
    assert out.tobytes() == fastbox.pairwise(a, b).tobytes()
    assert (flat[:shift] == 1).all()
    assert (flat[shift + n * m :] == 1).all()
    fastbox.pairwise(a, b, metric="giou", out=out)
    assert out[5:9].tobytes() == fastbox.pairwise(a[5:9], b, metric="giou").tobytes()


def wrong_memory() -> dict[str, Any]:
    locked = np.empty((2, 3), np.float32)
    locked.flags.writeable = False
    return {
        "shape": np.empty((3, 2), np.float32),
        "flat": np.empty(6, np.float32),
        "dtype": np.empty((2, 3), np.float64),
        "integers": np.empty((2, 3), np.int32),
        "read-only": locked,
        "list": [[0.0] * 3] * 2,
    }


@pytest.mark.parametrize("fault", wrong_memory())
def test_unfit_memory_is_refused(fault: str) -> None:
    a, b = some_boxes(2, np.float32), some_boxes(3, np.float32)
    with pytest.raises(ValueError, match="out"):
        fastbox.pairwise(a, b, out=wrong_memory()[fault])


@pytest.mark.parametrize(
    "out", [np.empty((2, 6), np.float32)[:, ::2], np.empty((3, 2), np.float32).T], ids=["gaps", "fortran"]
)
def test_memory_with_gaps_is_refused(out: Any) -> None:
    a, b = some_boxes(2, np.float32), some_boxes(3, np.float32)
    with pytest.raises(ValueError, match=r"out.*contiguous"):
        fastbox.pairwise(a, b, out=out)


@pytest.mark.parametrize("out", [np.empty(3, np.float32), np.empty((2, 1), np.float32), np.empty(2), [0.0, 0.0]])
def test_unfit_memory_for_rows_is_refused(out: Any) -> None:
    a = some_boxes(2, np.float32)
    with pytest.raises(ValueError, match="out"):
        fastbox.aligned(a, a, out=out)


# What is said of bad input


def test_rows_must_be_as_many_on_both_sides() -> None:
    with pytest.raises(ValueError, match=r"3.*4"):
        fastbox.aligned(some_boxes(3, np.float32), some_boxes(4, np.float32))


@pytest.mark.parametrize("k", [-1, -5])
def test_fewer_than_none_cannot_be_asked_for(k: int) -> None:
    with pytest.raises(ValueError, match=f"k.*{k}"):
        fastbox.top(some_boxes(3, np.float32), some_boxes(3, np.float32), k)


@pytest.mark.parametrize("bins", [0, -1])
def test_a_histogram_needs_bins(bins: int) -> None:
    with pytest.raises(ValueError, match=f"bins.*{bins}"):
        fastbox.histogram(some_boxes(3, np.float32), some_boxes(3, np.float32), bins=bins, range=(0, 1))


@pytest.mark.parametrize("span", [(1, 0), (0.5, 0.5), (0, np.nan), (0, np.inf)])
def test_a_histogram_needs_a_range_that_ascends(span: Any) -> None:
    with pytest.raises(ValueError, match="range"):
        fastbox.histogram(some_boxes(3, np.float32), some_boxes(3, np.float32), bins=3, range=span)


def test_options_are_keywords() -> None:
    a = some_boxes(3, np.float32)
    for call in (fastbox.pairwise, fastbox.aligned, fastbox.best, fastbox.pairs):
        with pytest.raises(TypeError):
            call(a, a, "giou")  # type: ignore[call-overload, arg-type, misc]


@pytest.mark.parametrize("name", ["pairwise", "aligned", "best", "top", "pairs", "histogram"])
def test_an_unknown_metric_is_refused_everywhere(name: str) -> None:
    more: dict[str, Any] = {"top": {"k": 1}, "pairs": {"threshold": 0}, "histogram": {"bins": 2, "range": (0, 1)}}.get(
        name, {}
    )
    a = some_boxes(3, np.float32)
    with pytest.raises(ValueError, match="'overlap'"):
        getattr(fastbox, name)(a, a, metric="overlap", **more)
    with pytest.raises(ValueError, match="beta"):
        getattr(fastbox, name)(a, a, metric="smooth_l1", beta=-0.5, **more)


def test_coordinates_of_the_wrong_shape_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(n, 4\), got \(3, 5\)"):
        fastbox.pairwise(np.zeros((3, 5)), np.zeros((3, 4)))
