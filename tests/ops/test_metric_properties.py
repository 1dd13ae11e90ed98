"""What must hold of every metric: symmetry, ranges, invalid boxes, and boxes that coincide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given
from numpy.testing import assert_array_equal
from reference import DISTANCES, METRICS, SIMILARITIES, SYMMETRIC
from strategies import EXACT, FORMATS, INVALID, VALID, corners, dtypes, metrics, some_boxes, two
from support.floats import FLOATS
from support.single import one

import fastbox


@given(two(), metrics)
def test_symmetric_metrics_are_symmetric_to_the_bit(ab: Any, metric: str) -> None:
    a, b = ab
    forth, back = fastbox.pairwise(a, b, metric=metric), fastbox.pairwise(b, a, metric=metric)
    if metric in SYMMETRIC:
        assert_array_equal(forth, back.T)
        assert_array_equal(np.signbit(forth[~np.isnan(forth)]), np.signbit(back.T[~np.isnan(forth)]))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", SYMMETRIC)
def test_symmetry_of_unround_boxes(metric: str, dtype: Any) -> None:
    a, b = some_boxes(70, dtype, 6, exact=False), some_boxes(33, dtype, 7, exact=False)
    assert_array_equal(fastbox.pairwise(a, b, metric=metric), fastbox.pairwise(b, a, metric=metric).T)


@given(corners(kinds=("grid", "odd", "tiny", "huge")))
def test_a_box_of_positive_area_is_itself(boxes: Any) -> None:
    positive = boxes[reference.area(boxes) > 0]
    for metric in SIMILARITIES:
        assert_array_equal(np.diag(fastbox.pairwise(positive, positive, metric=metric)), 1.0, metric)
    for metric in DISTANCES:
        assert_array_equal(np.diag(fastbox.pairwise(positive, positive, metric=metric)), 0.0, metric)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
def test_the_same_point_is_zero(metric: str, dtype: Any) -> None:
    assert one([3, 5, 3, 5], [3, 5, 3, 5], metric, dtype) == 0.0
    assert one([0, 0, 0, 0], [0, 0, 0, 0], metric, dtype) == 0.0


@pytest.mark.parametrize("metric", METRICS)
@given(ab=two(("point", "line", "grid"), 1))
def test_degenerate_boxes_are_never_nan(metric: str, ab: Any) -> None:
    values = fastbox.pairwise(*ab, metric=metric)
    assert np.isfinite(values).all()


@pytest.mark.parametrize("dtype", FLOATS)
def test_no_epsilon_is_added(dtype: Any) -> None:
    tiny = [0, 0, 1e-4, 1e-4]
    for metric in SIMILARITIES:
        assert one(tiny, tiny, metric, dtype) == 1.0
    assert one(tiny, [0, 0, 2e-4, 1e-4], "iou", dtype) == pytest.approx(0.5)


@pytest.mark.parametrize("dtype", FLOATS)
def test_touching_boxes_do_not_overlap(dtype: Any) -> None:
    for other in ([2, 0, 4, 2], [0, 2, 2, 4], [2, 2, 4, 4]):
        for metric in ("iou", "iof", "ios"):
            assert one([0, 0, 2, 2], other, metric, dtype) == 0.0
    assert one([0, 0, 2, 2], [2, 0, 4, 2], "giou", dtype) == 0.0


BAD = [
    *([math.nan if k == bad else c for k, c in enumerate((1, 1, 4, 5))] for bad in range(4)),
    *([math.inf if k == bad else c for k, c in enumerate((1, 1, 4, 5))] for bad in range(4)),
    *([-math.inf if k == bad else c for k, c in enumerate((1, 1, 4, 5))] for bad in range(4)),
    [-math.inf, -math.inf, math.inf, math.inf],
    [math.nan] * 4,
    [4, 1, 1, 5],
    [1, 5, 4, 1],
    [10, 10, 0, 0],
    [4, 1, 1, 1],
]


@pytest.mark.jit
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
def test_an_invalid_box_is_nan_against_everything(metric: str, dtype: Any) -> None:
    bad = np.array(BAD, dtype)
    others = np.array([[0, 0, 10, 10], [2, 2, 3, 3], [1, 1, 4, 5], [2, 2, 2, 2], [50, 50, 60, 60], *BAD], dtype)
    for values in (fastbox.pairwise(bad, others, metric=metric), fastbox.pairwise(others, bad, metric=metric)):
        assert np.isnan(values).all()
    for other in others:
        many = np.tile(other, (len(bad), 1))
        assert np.isnan(fastbox.aligned(bad, many, metric=metric)).all()
        assert np.isnan(fastbox.aligned(many, bad, metric=metric)).all()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("metric", METRICS)
def test_an_invalid_box_is_nan_in_every_format(metric: str, format: str) -> None:
    with np.errstate(invalid="ignore"):
        bad = fastbox.Boxes(reference.to_format(np.array(BAD), format), format)
    good = fastbox.Boxes(reference.to_format(np.array([[0.0, 0, 10, 10], [2, 2, 2, 2]]), format), format)
    assert (bad.invalid() > 0).all()
    assert np.isnan(fastbox.pairwise(bad, good, metric=metric)).all()
    assert np.isnan(fastbox.pairwise(good, bad, metric=metric)).all()


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@given(ab=two(VALID + INVALID, 1))
def test_a_value_is_nan_exactly_where_a_box_is_invalid(metric: str, ab: Any) -> None:
    a, b = ab
    bad = (reference.invalid(a) > 0)[:, None] | (reference.invalid(b) > 0)
    assert_array_equal(np.isnan(fastbox.pairwise(a, b, metric=metric)), bad)


@given(two(EXACT, 1))
def test_values_stay_in_their_ranges(ab: Any) -> None:
    value = {metric: fastbox.pairwise(*ab, metric=metric) for metric in METRICS}
    for metric in ("iou", "iof", "ios"):
        assert ((value[metric] >= 0) & (value[metric] <= 1)).all(), metric
    for metric in ("giou", "diou"):
        assert ((value[metric] >= -1) & (value[metric] <= 1)).all(), metric
    assert (value["ciou"] <= value["diou"]).all()
    assert (value["eiou"] <= value["diou"]).all()
    assert (value["giou"] <= value["iou"]).all()
    assert (value["diou"] <= value["iou"]).all()
    assert (value["iou"] <= value["ios"]).all()
    assert (value["l1"] >= 0).all()
    assert (value["smooth_l1"] >= 0).all()
    assert (value["smooth_l1"] <= value["l1"]).all()


@given(two(("odd", "huge", "tiny")))
def test_iou_of_unround_boxes_stays_in_its_range(ab: Any) -> None:
    iou = fastbox.pairwise(*ab)
    assert (iou >= 0).all()
    assert (iou <= 1).all()
    giou = fastbox.pairwise(*ab, metric="giou")
    assert (giou >= -1).all()
    assert (giou <= iou + 1e-5).all()


@given(two(EXACT), dtypes)
def test_moving_the_picture_changes_nothing(ab: Any, dtype: Any) -> None:
    a, b = (boxes.astype(dtype) for boxes in ab)
    for metric in METRICS:
        moved = fastbox.pairwise(a + dtype(64), b + dtype(64), metric=metric)
        assert_array_equal(moved, fastbox.pairwise(a, b, metric=metric), metric)


@given(two(EXACT))
def test_doubling_the_picture_changes_no_similarity(ab: Any) -> None:
    for metric in SIMILARITIES:
        doubled = fastbox.pairwise(ab[0] * 2, ab[1] * 2, metric=metric)
        assert_array_equal(doubled, fastbox.pairwise(*ab, metric=metric), metric)


# Known truths


def test_giou_is_iou_where_the_hull_is_the_union() -> None:
    for other in ([1, 0, 3, 2], [0, 0, 1, 1], [0, 0, 2, 2], [0.5, 0.5, 1, 1.5]):
        assert one([0, 0, 2, 2], other, "giou") == one([0, 0, 2, 2], other, "iou")
    assert one([0, 0, 2, 2], [1, 1, 3, 3], "giou") < one([0, 0, 2, 2], [1, 1, 3, 3], "iou")


def test_equal_l2_distances_can_have_very_different_overlaps() -> None:
    unit = np.array([[0.0, 0, 1, 1]])
    shifted, swollen = unit + np.ones(4), unit + np.array([-1, -1, 1, 1])
    assert np.linalg.norm(shifted - unit) == np.linalg.norm(swollen - unit)
    assert fastbox.aligned(shifted, unit).item() == 0.0
    assert fastbox.aligned(swollen, unit).item() == pytest.approx(1 / 9)
    assert fastbox.aligned(shifted, unit, metric="giou").item() == pytest.approx(-0.5)
    assert fastbox.aligned(swollen, unit, metric="giou").item() == pytest.approx(1 / 9)


def test_disjoint_boxes_feel_giou_but_not_iou() -> None:
    target = [10.0, 10, 14, 14]
    far, nearer = [0.0, 0, 4, 4], [1.0, 1, 5, 5]
    assert one(far, target, "iou") == one(nearer, target, "iou") == 0.0
    assert one(nearer, target, "giou") > one(far, target, "giou")
    assert one(nearer, target, "diou") > one(far, target, "diou")


# Peers' faults that must not be ours


def test_diou_of_disjoint_and_crossing_boxes_is_right() -> None:
    assert 1 - one([0, 0, 2, 2], [1, 1, 3, 3], "diou") == pytest.approx(0.968, abs=1e-3)
    assert one([0, 0, 1, 1], [9, 9, 10, 10], "diou") != one([0, 0, 1, 1], [4, 4, 5, 5], "diou")


@pytest.mark.parametrize("dtype", FLOATS)
def test_the_aspect_of_a_box_without_height_is_its_limit(dtype: Any) -> None:
    rounding = 1e-15 if dtype == np.float64 else 1e-6
    flat, square, thin = [0, 0, 4, 0], [0, 0, 4, 4], [1, 1, 1, 5]
    v = 4 / math.pi**2 * math.atan(1) ** 2
    for a, b in ((flat, square), (square, flat), (square, thin), (thin, square)):
        centres = one(a, b, "diou", dtype)
        assert one(a, b, "ciou", dtype) == pytest.approx(centres - v * v / (1 + v), rel=rounding)
    assert one(flat, thin, "ciou", dtype) == pytest.approx(one(flat, thin, "diou", dtype) - 1 / 2, rel=rounding)
    assert one([1, 1, 3, 5], flat, "ciou", dtype) == pytest.approx(-0.38439822, abs=1e-7)
    nearly = [0, 0, 4, float(np.finfo(dtype).tiny)]
    for other in (square, thin, [1, 1, 3, 5], [2, 2, 2, 2]):
        assert one(nearly, other, "ciou", dtype) == pytest.approx(one(flat, other, "ciou", dtype), rel=1e-6)
        assert one(flat, other, "ciou", dtype) == one(other, flat, "ciou", dtype)
        assert one([0, 0, 4, -0.0], other, "ciou", dtype) == one(flat, other, "ciou", dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_ciou_of_identical_boxes_is_one(dtype: Any) -> None:
    boxes = some_boxes(100, dtype, 8, exact=False)
    assert_array_equal(fastbox.aligned(boxes, boxes, metric="ciou"), 1)
