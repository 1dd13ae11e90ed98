"""Boxes grouped by image: every operation is that of a Python loop over the images, to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from strategies import FORMATS, metrics, sides, some_boxes
from support.floats import FLOATS

import fastbox
from fastbox import Boxes


def grouped(side: Any, dtype: Any) -> Boxes:
    """Boxes of a list of (image id, boxes)."""
    coords = np.concatenate([np.empty((0, 4), dtype), *(boxes for _, boxes in side)])
    ids = [image for image, boxes in side for _ in boxes]
    return Boxes(coords, images=np.array(ids) if ids else np.empty(0, np.int64))


def looped_best(a: Any, b: Any, k: int, metric: str, dtype: Any) -> tuple[Any, Any]:
    """Values and indices of the k best, the matrix of one image after the other."""
    values, indices = [np.empty((0, k), dtype)], [np.empty((0, k), np.int64)]
    for g in reference.groups(a, b):
        found = reference.top(fastbox.pairwise(g.a, g.b, metric=metric), k, metric)
        values.append(found.values)
        indices.append(np.where(found.indices < 0, -1, found.indices + g.first_b))
    return np.concatenate(values), np.concatenate(indices)


def looped_pairs(a: Any, b: Any, threshold: float, metric: str, dtype: Any, itself: bool = False) -> tuple[Any, ...]:
    parts = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, dtype))]
    for g in reference.groups(a, b):
        found = reference.pairs(fastbox.pairwise(g.a, g.b, metric=metric), threshold, metric, itself)
        parts.append((found.rows + g.first_a, found.cols + g.first_b, found.values))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def check_all(a: Boxes, b: Boxes, side_a: Any, side_b: Any, metric: str, dtype: Any) -> None:
    images = list(reference.groups(side_a, side_b))
    ragged = fastbox.pairwise(a, b, metric=metric)
    assert len(ragged) == len(images)
    for matrix, g in zip(ragged, images, strict=True):
        assert_array_equal(matrix, fastbox.pairwise(g.a, g.b, metric=metric))
    values, indices = looped_best(side_a, side_b, 1, metric, dtype)
    found = fastbox.best(a, b, metric=metric)
    assert_array_equal(found.indices, indices[:, 0])
    assert_array_equal(found.values, values[:, 0])
    for k in (1, 3):
        values, indices = looped_best(side_a, side_b, k, metric, dtype)
        some = fastbox.top(a, b, k, metric=metric)
        assert_array_equal(some.indices, indices)
        assert_array_equal(some.values, values)
    for threshold in (-1.0, 0.0, 0.3, 1.0):
        listed = fastbox.pairs(a, b, threshold=threshold, metric=metric)
        for got, right in zip(listed, looped_pairs(side_a, side_b, threshold, metric, dtype), strict=True):
            assert_array_equal(got, right)
    counts = [fastbox.histogram(g.a, g.b, bins=8, range=(-1, 1), metric=metric) for g in images]
    assert_array_equal(
        fastbox.histogram(a, b, bins=8, range=(-1, 1), metric=metric), sum(counts, np.zeros(8, np.int64))
    )


@pytest.mark.slow
@given(sides(), metrics)
def test_every_operation_is_a_loop_over_images(drawn: Any, metric: str) -> None:
    side_a, side_b, dtype = drawn
    check_all(grouped(side_a, dtype), grouped(side_b, dtype), side_a, side_b, metric, dtype)


@given(sides(strings=True))
def test_images_may_have_names(drawn: Any) -> None:
    side_a, side_b, dtype = drawn
    if side_a and side_b:
        check_all(grouped(side_a, dtype), grouped(side_b, dtype), side_a, side_b, "iou", dtype)


@pytest.mark.slow
@given(sides(), metrics)
def test_groups_without_ids_are_taken_in_order(drawn: Any, metric: str) -> None:
    side_a, side_b, dtype = drawn
    images = list(reference.groups(side_a, side_b))
    a = Boxes(
        np.concatenate([np.empty((0, 4), dtype), *(g.a for g in images)]),
        offsets=[0, *np.cumsum([len(g.a) for g in images])],
    )
    b = Boxes(
        np.concatenate([np.empty((0, 4), dtype), *(g.b for g in images)]),
        offsets=[0, *np.cumsum([len(g.b) for g in images])],
    )
    check_all(a, b, side_a, side_b, metric, dtype)


@given(sides(), metrics, st.sampled_from([-1.0, 0.0, 0.25, 1.0]))
def test_pairs_with_itself_stay_within_images(drawn: Any, metric: str, threshold: float) -> None:
    side_a, _, dtype = drawn
    listed = fastbox.pairs(grouped(side_a, dtype), threshold=threshold, metric=metric)
    for got, right in zip(listed, looped_pairs(side_a, side_a, threshold, metric, dtype, itself=True), strict=True):
        assert_array_equal(got, right)


def test_one_image_is_the_whole_matrix() -> None:
    a, b = some_boxes(7, np.float32, 1), some_boxes(9, np.float32, 2)
    ragged = fastbox.pairwise(Boxes(a, images=[4] * 7), Boxes(b, images=[4] * 9))
    assert_array_equal(ragged[0], fastbox.pairwise(a, b))


@pytest.mark.jit
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_groups_in_every_format(dtype: Any, format: str) -> None:
    a, b = some_boxes(40, dtype, 1, bad=0.1), some_boxes(60, dtype, 2, bad=0.1)
    with np.errstate(invalid="ignore"):
        p = Boxes(reference.to_format(a, format)[::-1][::-1], format, offsets=[0, 0, 10, 39, 40])
        q = Boxes(np.asfortranarray(reference.to_format(b, format)), format, offsets=[0, 5, 5, 58, 60])
    side_a = [(i, a[s:e]) for i, (s, e) in enumerate([(0, 0), (0, 10), (10, 39), (39, 40)])]
    side_b = [(i, b[s:e]) for i, (s, e) in enumerate([(0, 5), (5, 5), (5, 58), (58, 60)])]
    check_all(p, q, side_a, side_b, "giou", dtype)


def test_mixed_floats_become_float64() -> None:
    a, b = some_boxes(4, np.float32, 1), some_boxes(4, np.float64, 2)
    ragged = fastbox.pairwise(Boxes(a, offsets=[0, 1, 4]), Boxes(b, offsets=[0, 3, 4]))
    assert ragged.values.dtype == np.float64
    assert_array_equal(ragged[1], fastbox.pairwise(a[1:], b[3:]))


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
def test_many_images_of_uneven_size(dtype: Any) -> None:
    rng = np.random.default_rng(3)
    counts_a, counts_b = rng.integers(0, 9, 300), rng.integers(0, 40, 300)
    counts_a[17], counts_b[17] = 300, 400
    a = some_boxes(counts_a.sum(), dtype, 4, exact=False, bad=0.02)
    b = some_boxes(counts_b.sum(), dtype, 5, exact=False, bad=0.02)
    p, q = Boxes(a, offsets=[0, *np.cumsum(counts_a)]), Boxes(b, offsets=[0, *np.cumsum(counts_b)])
    ragged, found, some = fastbox.pairwise(p, q), fastbox.best(p, q), fastbox.top(p, q, 3)
    listed = fastbox.pairs(p, q, threshold=0.2)
    counts = np.zeros(10, np.int64)
    rows = 0
    for g, (i, n, j, m) in enumerate(zip(p.offsets, counts_a, q.offsets, counts_b, strict=False)):  # type: ignore[arg-type]
        one, other = a[i : i + n], b[j : j + m]
        matrix = fastbox.pairwise(one, other)
        assert_array_equal(ragged[g], matrix)
        right = reference.top(matrix, 3)
        assert_array_equal(some.values[i : i + n], right.values)
        assert_array_equal(some.indices[i : i + n], np.where(right.indices < 0, -1, right.indices + j))
        assert_array_equal(found.indices[i : i + n], some.indices[i : i + n, 0])
        assert_array_equal(found.values[i : i + n], right.values[:, 0])
        within = reference.pairs(matrix, 0.2)
        here = slice(rows, rows := rows + len(within.rows))
        assert_array_equal(listed.rows[here], within.rows + i)
        assert_array_equal(listed.cols[here], within.cols + j)
        assert_array_equal(listed.values[here], within.values)
        counts += reference.histogram(matrix, 10, (0, 1))
    assert rows == len(listed.rows)
    assert_array_equal(fastbox.histogram(p, q, bins=10, range=(0, 1)), counts)


# The ragged matrix


def test_a_ragged_matrix_says_what_it_is() -> None:
    a, b = some_boxes(5, np.float32, 1), some_boxes(6, np.float32, 2)
    ragged = fastbox.pairwise(Boxes(a, images=[1, 1, 2, 5, 5]), Boxes(b, images=[1, 3, 3, 5, 5, 5]))
    assert len(ragged) == 4
    assert_array_equal(ragged.shapes, [[2, 1], [1, 0], [0, 2], [2, 3]])
    assert_array_equal(ragged.offsets, [0, 2, 2, 2, 8])
    assert (ragged.offsets.dtype, ragged.values.dtype, ragged.values.shape) == (np.int64, np.float32, (8,))
    assert [matrix.shape for matrix in ragged] == [(2, 1), (1, 0), (0, 2), (2, 3)]
    assert np.shares_memory(ragged[3], ragged.values)
    assert_array_equal(ragged[-1], ragged[3])
    with pytest.raises(IndexError):
        ragged[4]


def test_no_images_make_no_matrices() -> None:
    nothing = Boxes(np.empty((0, 4), np.float32), images=np.empty(0, np.int64))
    ragged = fastbox.pairwise(nothing, nothing)
    assert len(ragged) == 0
    assert_array_equal(ragged.offsets, [0])
    assert len(fastbox.best(nothing, nothing).values) == 0
    assert len(fastbox.pairs(nothing, threshold=0).rows) == 0


def test_the_best_match_of_an_image_can_be_looked_up() -> None:
    a, b = some_boxes(30, np.float64, 1), some_boxes(50, np.float64, 2)
    p, q = Boxes(a, images=np.repeat([2, 4, 6], 10)), Boxes(b, images=np.repeat([2, 4, 6, 8, 9], 10))
    found = fastbox.best(p, q, metric="giou")
    assert_array_equal(fastbox.aligned(p[:], q[found.indices], metric="giou"), found.values)
    assert_array_equal(found.indices // 10, np.repeat([0, 1, 2], 10))


def test_an_image_without_partner_matches_nothing() -> None:
    a = Boxes(some_boxes(2, np.float64), images=[1, 2])
    found = fastbox.best(a, Boxes(some_boxes(1, np.float64), images=[2]))
    assert_array_equal(found.indices, [-1, 0])
    assert np.isnan(found.values[0])


# What is said of bad input


OPERATIONS = {
    "pairwise": lambda a, b: fastbox.pairwise(a, b),
    "best": lambda a, b: fastbox.best(a, b),
    "top": lambda a, b: fastbox.top(a, b, 2),
    "pairs": lambda a, b: fastbox.pairs(a, b, threshold=0.5),
    "histogram": lambda a, b: fastbox.histogram(a, b, bins=2, range=(0, 1)),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_one_side_alone_cannot_be_grouped(name: str) -> None:
    flat = some_boxes(3, np.float32)
    for together in (Boxes(flat, images=[1, 2, 2]), Boxes(flat, offsets=[0, 3])):
        with pytest.raises(ValueError, match="grouped"):
            OPERATIONS[name](together, flat)
        with pytest.raises(ValueError, match="grouped"):
            OPERATIONS[name](flat, together)


@pytest.mark.parametrize("name", OPERATIONS)
def test_groups_without_ids_must_be_as_many(name: str) -> None:
    boxes = some_boxes(3, np.float32)
    with pytest.raises(ValueError, match=r"2.*3"):
        OPERATIONS[name](Boxes(boxes, offsets=[0, 1, 3]), Boxes(boxes, offsets=[0, 1, 2, 3]))


def test_ids_on_one_side_and_offsets_on_the_other_do_not_align() -> None:
    boxes = some_boxes(3, np.float32)
    with pytest.raises(ValueError, match="ids"):
        fastbox.best(Boxes(boxes, images=[1, 1, 2]), Boxes(boxes, offsets=[0, 2, 3]))


def test_ids_must_be_of_one_kind() -> None:
    boxes = some_boxes(3, np.float32)
    with pytest.raises((ValueError, TypeError), match="ids"):
        fastbox.best(Boxes(boxes, images=[1, 1, 2]), Boxes(boxes, images=["1", "1", "2"]))
