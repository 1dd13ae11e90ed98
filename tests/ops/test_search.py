"""Every operation against the matrix: the same bits, whatever is asked for and however the boxes lie in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import DISTANCES, METRICS
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
from support.floats import FLOATS

import fastbox
from fastbox import Boxes

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


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", ["iou", "giou", "smooth_l1"])
@pytest.mark.parametrize("shape", [(65, 1025), (1023, 64), (129, 2049)], ids=str)
def test_several_tiles_each_way(shape: tuple[int, int], metric: str, dtype: Any) -> None:
    a, b = some_boxes(shape[0], dtype, 4, exact=False, bad=0.01), some_boxes(shape[1], dtype, 5, exact=False, bad=0.01)
    check_all(a, b, metric, fastbox.pairwise(a, b, metric=metric))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", ["iou", "ciou", "smooth_l1"])
@pytest.mark.parametrize("factor", [1, 2.0**40], ids=["plain", "some vast"])
def test_stores_past_the_caches_change_no_bits(
    metric: str, dtype: Any, factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of any length, from any place in a cache line on; nothing beside the array is written."""
    a, b = some_boxes(35, dtype, 8, exact=False, bad=0.05), some_boxes(2100, dtype, 9, exact=False, bad=0.05)
    b[::9] *= dtype(factor)
    right = fastbox.pairwise(a, b, metric=metric)
    monkeypatch.setattr("fastbox.ops.search.STREAMED_BYTES", 0)
    per_line = 64 // np.dtype(dtype).itemsize
    for m in (*range(1, 70), *(edge + k for edge in (256, 1024, 2048) for k in range(-17, 18))):
        memory = np.full(35 * m + 64, 7, dtype)
        first = (-memory.ctypes.data) % 64 // memory.itemsize + m % per_line
        out = memory[first : first + 35 * m].reshape(35, m)
        assert_array_equal(fastbox.pairwise(a, b[:m], metric=metric, out=out), right[:, :m])
        assert (memory[:first] == 7).all()
        assert (memory[first + 35 * m :] == 7).all()


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
def test_images_are_stored_past_the_caches_too(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    a, b = (
        Boxes(some_boxes(int(counts.sum()), dtype, 7, exact=False, bad=0.01), images=np.repeat(np.arange(40), counts))
        for counts in (rng.integers(0, 40, 40), rng.integers(0, 90, 40))
    )
    right = fastbox.pairwise(a, b, metric="giou").values
    monkeypatch.setattr("fastbox.ops.search.STREAMED_BYTES", 0)
    memory = np.full(right.size + 5, 7, dtype)
    fastbox.pairwise(a, b, metric="giou", out=memory[5:])
    assert_array_equal(memory[5:], right)
    assert (memory[:5] == 7).all()


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
    a, b = some_boxes(19, dtype, 6), some_boxes(64, dtype, 7)
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


@pytest.mark.slow
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


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", ["iou", "iof", "ios", "giou"])
def test_histograms_where_few_boxes_overlap_and_where_most_do(metric: str, dtype: Any) -> None:
    apart, crowded = some_boxes(70, dtype, 1), some_boxes(40, dtype, 2)
    apart += 1000 * np.arange(70, dtype=dtype)[:, None]
    crowded[:, :2], crowded[:, 2:], apart[::9], crowded[::9] = 0, 1 + crowded[:, 2:], np.nan, np.nan
    a, b = np.concatenate([apart[:35], crowded[:33], apart[35:]]), np.concatenate([crowded, apart, crowded[:5]])
    for rows, columns in ((a, b), (b, a), (a, b[:7]), (crowded, crowded), (apart, np.tile(b, (12, 1)))):
        right = np.histogram(fastbox.pairwise(rows, columns, metric=metric), 7, (0, 1))[0]
        assert_array_equal(fastbox.histogram(rows, columns, bins=7, range=(0, 1), metric=metric), right)


@given(two())
def test_histograms_of_parts_add_up(ab: Any) -> None:
    a, b = ab
    parts = [fastbox.histogram(x, y, bins=9, range=(0, 1)) for x in (a[:3], a[3:]) for y in (b[:5], b[5:])]
    assert_array_equal(sum(parts), fastbox.histogram(a, b, bins=9, range=(0, 1)))
