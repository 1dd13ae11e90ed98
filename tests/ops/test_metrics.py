"""Every number of every metric: by hand, by shapely, by torch's arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import assume, given
from numpy.testing import assert_allclose, assert_array_equal
from reference import METRICS
from strategies import EXACT, EXTREME, INVALID, VALID, corners, some_boxes, two
from support.floats import FLOATS
from support.single import one

import fastbox


def test_the_metrics_are_those_of_the_definition_in_order() -> None:
    assert fastbox.METRICS == METRICS
    a, b = [[1.0, 2, 5, 8]], [[0.0, 0, 4, 4]]
    for operation in (fastbox.pairwise, fastbox.aligned):
        with pytest.raises(ValueError, match=f"expected a metric of {', '.join(METRICS)}, got"):
            operation(a, b, metric="hausdorff")
    values = {name: fastbox.aligned(a, b, metric=name).item() for name in METRICS}
    assert len(set(values.values())) == len(METRICS)  # no two names are of one formula


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


# What is said of bad input


def test_an_unknown_metric_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"iou.*giou.*'jaccard'"):
        fastbox.pairwise([[0, 0, 1, 1]], [[0, 0, 1, 1]], metric="jaccard")


def test_a_negative_beta_is_refused() -> None:
    with pytest.raises(ValueError, match=r"beta.*-1"):
        fastbox.pairwise([[0, 0, 1, 1]], [[0, 0, 1, 1]], metric="smooth_l1", beta=-1)
