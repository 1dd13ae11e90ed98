"""Every number of every metric: by hand, by shapely, by torch's arithmetic, by what must hold of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import assume, given
from numpy.testing import assert_allclose, assert_array_equal
from reference import DISTANCES, METRICS, SIMILARITIES, SYMMETRIC
from strategies import EXACT, EXTREME, FORMATS, INVALID, VALID, corners, dtypes, metrics, some_boxes, two

import fastbox

FLOATS = [np.float32, np.float64]


def one(a: Any, b: Any, metric: str, dtype: Any = np.float64, **options: Any) -> float:
    """The value of one pair, the same by the matrix and row by row."""
    a, b = np.array([a], dtype), np.array([b], dtype)
    value = fastbox.pairwise(a, b, metric=metric, **options)
    assert value.dtype == dtype
    assert value.shape == (1, 1)
    assert_array_equal(fastbox.aligned(a, b, metric=metric, **options), value[0])
    return float(value[0, 0])


def test_the_metrics_are_named() -> None:
    assert fastbox.METRICS == METRICS


# By hand

SQUARES = [0, 0, 2, 2], [1, 1, 3, 3]
CROSS = [0, 0, 4, 1], [0, 0, 1, 4]
APART = [0, 0, 1, 1], [3, 4, 4, 5]
NESTED = [0, 0, 4, 4], [1, 1, 3, 2]

_V = 4 / math.pi**2 * (math.atan(1 / 4) - math.atan(4)) ** 2
_V_NESTED = 4 / math.pi**2 * (math.atan(2) - math.atan(1)) ** 2


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("pair", "metric", "value"),
    [
        (SQUARES, "iou", 1 / 7),
        (SQUARES, "iof", 1 / 4),
        (SQUARES, "ios", 1 / 4),
        (SQUARES, "giou", 1 / 7 - 2 / 9),
        (SQUARES, "diou", 1 / 7 - 2 / 18),
        (SQUARES, "ciou", 1 / 7 - 2 / 18),
        (SQUARES, "eiou", 1 / 7 - 2 / 18),
        (SQUARES, "l1", 4),
        (SQUARES, "smooth_l1", 2),
        (CROSS, "iou", 1 / 7),
        (CROSS, "giou", 1 / 7 - 9 / 16),
        (CROSS, "diou", 1 / 7 - 4.5 / 32),
        (CROSS, "ciou", 1 / 7 - 4.5 / 32 - _V * _V / (1 - 1 / 7 + _V)),
        (CROSS, "eiou", 1 / 7 - 4.5 / 32 - 9 / 16 - 9 / 16),
        (CROSS, "l1", 6),
        (CROSS, "smooth_l1", 5),
        (APART, "iou", 0),
        (APART, "iof", 0),
        (APART, "ios", 0),
        (APART, "giou", -18 / 20),
        (APART, "diou", -25 / 41),
        (APART, "ciou", -25 / 41),
        (APART, "eiou", -25 / 41),
        (APART, "l1", 14),
        (APART, "smooth_l1", 12),
        (NESTED, "iou", 2 / 16),
        (NESTED, "iof", 2 / 16),
        (NESTED, "ios", 1),
        (NESTED, "giou", 2 / 16),
        (NESTED, "diou", 2 / 16 - 0.25 / 32),
        (NESTED, "ciou", 2 / 16 - 0.25 / 32 - _V_NESTED**2 / (1 - 2 / 16 + _V_NESTED)),
        (NESTED, "eiou", 2 / 16 - 0.25 / 32 - 4 / 16 - 9 / 16),
    ],
)
def test_values_by_hand(pair: Any, metric: str, value: float, dtype: Any) -> None:
    rounding = 1e-15 if dtype == np.float64 else 1e-6
    assert one(*pair, metric, dtype) == pytest.approx(value, rel=rounding, abs=rounding)


def test_iof_divides_by_the_first() -> None:
    big, small = [0, 0, 10, 10], [0, 0, 5, 5]
    assert one(small, big, "iof") == 1.0
    assert one(big, small, "iof") == 0.25


def test_ciou_of_the_paper_not_of_mmdetection() -> None:
    assert 1 - one(*CROSS, "ciou") == pytest.approx(1.1662, abs=1e-4)


def test_ciou_can_fall_below_minus_one() -> None:
    assert one([0, 0, 1000, 1], [5000, 0, 5001, 1000], "ciou") < -1


@pytest.mark.parametrize("beta", [0, 0.25, 0.5, 1, 2, 100])
@pytest.mark.parametrize("dtype", FLOATS)
def test_smooth_l1_takes_beta(beta: float, dtype: Any) -> None:
    differences = [0, 0.5, 1, 3]
    expected = sum(0.5 * d * d / beta if d < beta else d - 0.5 * beta for d in differences)
    assert one([0, 0, 5, 5], [0, 0.5, 6, 8], "smooth_l1", dtype, beta=beta) == pytest.approx(expected, rel=1e-6)


def test_smooth_l1_without_beta_is_l1() -> None:
    a, b = some_boxes(20, np.float64, exact=False), some_boxes(15, np.float64, 1, exact=False)
    l1 = fastbox.pairwise(a, b, metric="l1")
    assert_array_equal(fastbox.pairwise(a, b, metric="smooth_l1", beta=0), l1)
    assert_array_equal(fastbox.pairwise(a, b, metric="smooth_l1", beta=0.0), l1)


# By other means


@pytest.mark.slow
@given(two((*VALID, *INVALID, *EXTREME)))
def test_iou_giou_and_the_overlaps_equal_the_definition_bit_for_bit(ab: Any) -> None:
    usual = reference.usual(ab[0])[:, None] & reference.usual(ab[1])
    for metric in ("iou", "giou", "iof", "ios"):
        found, expected = fastbox.pairwise(*ab, metric=metric), reference.pairwise(*ab, metric=metric)
        assert_array_equal(found[usual], expected[usual], metric)
        assert_allclose(found, expected, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("metric", METRICS)
@given(ab=two(EXACT + INVALID))
def test_all_metrics_equal_the_definition(metric: str, ab: Any) -> None:
    got = fastbox.pairwise(*ab, metric=metric)
    assert got.dtype == ab[0].dtype
    assert_allclose(got, reference.pairwise(*ab, metric=metric), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("metric", METRICS)
@given(a=corners(np.float64), b=corners(np.float64))
def test_all_metrics_equal_the_definition_in_float64(metric: str, a: Any, b: Any) -> None:
    got = fastbox.pairwise(a, b, metric=metric)
    assert_allclose(got, reference.pairwise(a, b, metric=metric), rtol=1e-9, atol=1e-6)
    ordinary = (np.abs(a) < 1e6).all(1)[:, None] & (np.abs(b) < 1e6).all(1)
    assert_allclose(got[ordinary], reference.pairwise(a, b, metric=metric)[ordinary], rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@given(a=corners(np.float32, EXACT), b=corners(np.float32, EXACT))
def test_float32_is_near_float64(metric: str, a: Any, b: Any) -> None:
    wide = fastbox.pairwise(a.astype(np.float64), b.astype(np.float64), metric=metric)
    assert_allclose(fastbox.pairwise(a, b, metric=metric), wide, rtol=1e-6, atol=2e-6)


def test_areas_are_shapelys() -> None:
    shapely = pytest.importorskip("shapely", reason="shapely is not installed")
    a, b = some_boxes(40, np.float64, 2, exact=False), some_boxes(30, np.float64, 3, exact=False)
    p, q = shapely.box(*a.T)[:, None], shapely.box(*b.T)[None]
    inter = shapely.area(shapely.intersection(p, q))
    iou = inter / shapely.area(shapely.union(p, q))
    hull = shapely.area(shapely.envelope(shapely.union(p, q)))
    union = shapely.area(shapely.union(p, q))
    expected = {
        "iou": iou,
        "iof": inter / shapely.area(p),
        "ios": inter / np.minimum(shapely.area(p), shapely.area(q)),
        "giou": iou - (hull - union) / hull,
    }
    for metric, values in expected.items():
        assert_allclose(fastbox.pairwise(a, b, metric=metric), values, rtol=1e-9, atol=1e-12, err_msg=metric)


def torch_iou(torch: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """IoU and union with torch's operations, in torchvision's order."""
    area_a = (a[:, 2] - a[:, 0]) * (a[:, 3] - a[:, 1])
    area_b = (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1])
    lt = torch.max(a[:, None, :2], b[:, :2])
    rb = torch.min(a[:, None, 2:], b[:, 2:])
    wh = (rb - lt).clamp(min=0)
    inter = wh[:, :, 0] * wh[:, :, 1]
    union = area_a[:, None] + area_b - inter
    return inter / union, union


def torch_giou(torch: Any, a: Any, b: Any) -> Any:
    iou, union = torch_iou(torch, a, b)
    wh = (torch.max(a[:, None, 2:], b[:, 2:]) - torch.min(a[:, None, :2], b[:, :2])).clamp(min=0)
    hull = wh[:, :, 0] * wh[:, :, 1]
    return iou - (hull - union) / hull


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("scale", [1.0, 1e-3, 12345.678])
def test_iou_and_giou_have_torchs_bits(dtype: Any, scale: float) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    a, b = some_boxes(60, dtype, 4, exact=False), some_boxes(50, dtype, 5, exact=False)
    a, b = (a * scale).astype(dtype), (b * scale).astype(dtype)
    b[:10] = a[:10]
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    assert_array_equal(fastbox.pairwise(a, b), torch_iou(torch, ta, tb)[0].numpy())
    assert_array_equal(fastbox.pairwise(a, b, metric="giou"), torch_giou(torch, ta, tb).numpy())


@given(two(("grid", "odd", "tiny", "huge"), 1))
def test_iou_and_giou_have_torchs_bits_on_odd_boxes(ab: Any) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    a, b = ab
    assume((reference.area(a) > 0).all() and (reference.area(b) > 0).all())
    ta, tb = torch.from_numpy(a), torch.from_numpy(b)
    assert_array_equal(fastbox.pairwise(a, b), torch_iou(torch, ta, tb)[0].numpy())
    assert_array_equal(fastbox.pairwise(a, b, metric="giou"), torch_giou(torch, ta, tb).numpy())


# What must hold


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


@pytest.mark.parametrize("dtype", FLOATS)
def test_ciou_of_identical_boxes_is_one(dtype: Any) -> None:
    boxes = some_boxes(100, dtype, 8, exact=False)
    assert_array_equal(fastbox.aligned(boxes, boxes, metric="ciou"), 1)


# What is said of bad input


def test_an_unknown_metric_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"iou.*giou.*'jaccard'"):
        fastbox.pairwise([[0, 0, 1, 1]], [[0, 0, 1, 1]], metric="jaccard")


def test_a_negative_beta_is_refused() -> None:
    with pytest.raises(ValueError, match=r"beta.*-1"):
        fastbox.pairwise([[0, 0, 1, 1]], [[0, 0, 1, 1]], metric="smooth_l1", beta=-1)
