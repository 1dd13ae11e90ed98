"""Rotated boxes: exact to rounding, with equal bits from every function, whatever is measured beside them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.exact import probiou, quadrilateral, rectangle, values
from support.paths import WITHOUT_JIT
from support.turned import drawn, hard_pairs

import fastbox
from fastbox import RotatedBoxes
from fastbox.ops import geometry, indexing

pytestmark = pytest.mark.compiler  # kernels of rotated boxes are in no library

FACTS = json.loads(Path(__file__).with_name("rotated_facts.json").read_text())
METRICS = ("iou", "iof", "ios", "giou", "probiou")
AREAS = METRICS[:-1]


def boxes_of(case: dict[str, Any], side: str) -> RotatedBoxes:
    told = "cxcywhd" if "degrees" in case.get("angle", "") else case["format"]
    return RotatedBoxes([[float(number) for number in case[side]]], told)


def sides_of(boxes: RotatedBoxes) -> np.ndarray:
    """The four sides of each box."""
    if boxes.geometry == "rotated":
        return np.stack(boxes.columns[2:4], axis=1)
    corners = boxes.corners().astype(np.float64)
    return np.hypot(*np.moveaxis(corners - np.roll(corners, 1, axis=1), 2, 0))


def bound(a: RotatedBoxes, b: RotatedBoxes) -> np.ndarray:
    """The promise: 16 roundings, more for slivers."""
    sides = np.concatenate([sides_of(a), sides_of(b)], axis=1)
    return 16 * 2.0**-53 * (1 + sides.max(axis=1) / np.maximum(sides.min(axis=1), 1e-300))


@pytest.mark.parametrize("case", FACTS["cases"], ids=lambda case: f"{case['id']} {case['name']}")
def test_facts(case: dict[str, Any]) -> None:
    a, b = boxes_of(case, "a"), boxes_of(case, "b")
    for metric in METRICS if WITHOUT_JIT else ("iou", "giou", "probiou"):
        if metric in case["float"]:
            found = fastbox.aligned(a, b, metric=metric)
            assert abs(found[0] - case["float"][metric]) <= bound(a, b)[0], metric
            if metric != "iof":
                assert fastbox.aligned(b, a, metric=metric) == found, metric


@pytest.mark.parametrize("case", FACTS["invalid"], ids=lambda case: str(case["name"]))
def test_invalid_boxes_are_nan_and_never_found(case: dict[str, Any]) -> None:
    a, b = boxes_of(case, "a"), boxes_of(case, "b")
    assert np.isnan(fastbox.aligned(a, b)).all() and np.isnan(fastbox.pairwise(b, a)).all()
    assert a.invalid()[0] == int(case["expect"].rpartition("reason ")[2])
    for found in (fastbox.best(a, b), fastbox.best(b, a)):
        assert found.indices.tolist() == [-1] and np.isnan(found.values).all()
    assert len(fastbox.pairs(a, b, threshold=0).rows) == 0
    assert fastbox.histogram(a, b).sum() == 0


@cache
def exact(kind: str, n: int) -> dict[str, np.ndarray]:
    a, b = hard_pairs(n)[kind]
    found = [values(rectangle(p), rectangle(q)) for p, q in zip(a, b, strict=True)]
    areas = {name: np.array([one[name] for one in found]) for name in AREAS}
    return areas | {"probiou": np.array([probiou(p, q) for p, q in zip(a, b, strict=True)])}


@pytest.mark.slow
@pytest.mark.parametrize("kind", hard_pairs(1))
def test_values_are_exact_to_rounding(kind: str) -> None:
    n = 8 if WITHOUT_JIT else 30
    a, b = (RotatedBoxes(side, "cxcywhr") for side in hard_pairs(n)[kind])
    for metric in METRICS if WITHOUT_JIT else ("iou", "giou", "probiou"):
        found = fastbox.aligned(a, b, metric=metric)
        wrong = abs(found - exact(kind, n)[metric]) / bound(a, b)
        assert (wrong <= 1).all(), f"{metric}: {wrong.max()} of the bound"
        high = exact(kind, n)["iou"] >= 0.01
        sides = np.concatenate([sides_of(a), sides_of(b)], axis=1)
        tame = high & (sides.max(axis=1) <= 100 * sides.min(axis=1))
        if metric == "iou":
            np.testing.assert_allclose(found[tame], exact(kind, n)["iou"][tame], rtol=1e-12)


def outlines(n: int, seed: int = 6) -> np.ndarray:
    """Simple quadrilaterals, a fourth of them not convex, with corners on a coarse grid."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, (n, 4)), axis=1)
    radii = np.where(rng.random((n, 4)) < 0.1, 1.5, rng.uniform(4, 12, (n, 4)))
    points = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=2) + rng.uniform(-6, 6, (n, 1, 2))
    return np.round(points * 8).reshape(n, 8) / 8


def test_quadrilaterals_are_measured_as_they_are() -> None:
    n = 30 if WITHOUT_JIT else 300
    p, q = outlines(n), outlines(n, 7)
    a, b = RotatedBoxes(p, "xyxyxyxy"), RotatedBoxes(q, "xyxyxyxy")
    good = (a.invalid() == 0) & (b.invalid() == 0)
    assert good.mean() > 0.7
    for metric in ("iou", "giou"):
        found = fastbox.aligned(a, b, metric=metric)
        assert (np.isnan(found) == ~good).all()
        for row in np.flatnonzero(good):
            right = values(quadrilateral(p[row]), quadrilateral(q[row]))[metric]
            assert abs(found[row] - right) <= bound(a, b)[row], (metric, row)
        assert (found == fastbox.aligned(b, a, metric=metric))[good].all()


def test_shapely_agrees() -> None:
    shapely = pytest.importorskip("shapely", reason="needs shapely")
    n = 10 if WITHOUT_JIT else 60
    rng = np.random.default_rng(8)
    a, b = RotatedBoxes(drawn(rng, n), "cxcywhr"), RotatedBoxes(outlines(n, 9), "xyxyxyxy")[: n - 3]
    b = b[b.invalid() == 0]
    p, q = shapely.polygons(a.corners())[:, None], shapely.polygons(b.corners())[None]
    inter = shapely.area(shapely.intersection(p, q))
    np.testing.assert_allclose(fastbox.pairwise(a, b), inter / shapely.area(shapely.union(p, q)), rtol=0, atol=1e-9)


def test_a_box_with_itself_is_exactly_1_and_all_values_are_in_their_range() -> None:
    n = 10 if WITHOUT_JIT else 200
    for kind, (p, q) in hard_pairs(n).items():
        a, b = RotatedBoxes(p, "cxcywhr"), RotatedBoxes(q, "cxcywhr")
        iou, giou, probiou = (fastbox.aligned(a, b, metric=m) for m in ("iou", "giou", "probiou"))
        for metric in ("iou", "giou", "probiou"):
            assert (fastbox.aligned(b, b, metric=metric) == 1).all(), (kind, metric)
            assert (fastbox.aligned(a, b, metric=metric) == fastbox.aligned(b, a, metric=metric)).all(), (kind, metric)
        assert ((iou >= 0) & (iou <= 1) & (giou <= iou) & (giou >= -1) & (probiou >= 0) & (probiou <= 1)).all()
    quads = RotatedBoxes(outlines(n), "xyxyxyxy")
    assert (fastbox.aligned(quads, quads)[quads.invalid() == 0] == 1).all()


def test_the_smaller_area_is_what_a_nested_box_shares() -> None:
    p, q = hard_pairs(20)["nested"]
    a, b = RotatedBoxes(p, "cxcywhr"), RotatedBoxes(q, "cxcywhr")
    assert (fastbox.aligned(a, b) == (q[:, 2] * q[:, 3]) / (p[:, 2] * p[:, 3])).all()


def test_moving_by_whole_numbers_and_scaling_by_powers_of_two_change_no_bit() -> None:
    n = 10 if WITHOUT_JIT else 100
    rng = np.random.default_rng(10)
    p, q = np.round(drawn(rng, n), 4), np.round(drawn(rng, n), 4)
    p[:, :2], q[:, :2] = np.round(p[:, :2]), np.round(q[:, :2])
    move, scale = np.array([2.0**20, -(2.0**30), 0, 0, 0]), np.array([2.0**-40] * 4 + [1])
    corners = np.round(p[:, :2], 0).repeat(4, axis=0).reshape(n, 8) + np.array([0, 0, 9, 2, 8, 7, 1, 6])
    shift = np.tile([2.0**20, -(2.0**30)], 4)
    for metric in ("iou", "giou", "probiou"):
        plain = fastbox.aligned(RotatedBoxes(p, "cxcywhr"), RotatedBoxes(q, "cxcywhr"), metric=metric)
        huge = scale**-8 if metric == "probiou" else scale
        for x, y in ((p + move, q + move), (p * scale, q * scale), (p * huge, q * huge)):
            found = fastbox.aligned(RotatedBoxes(x, "cxcywhr"), RotatedBoxes(y, "cxcywhr"), metric=metric)
            assert (found == plain).all()
    rolled = np.roll(corners, 1, axis=0)
    plain = fastbox.aligned(RotatedBoxes(corners, "xyxyxyxy"), RotatedBoxes(rolled, "xyxyxyxy"))
    for x, y in ((corners + shift, rolled + shift), (corners * 2.0**-40, rolled * 2.0**-40)):
        assert (fastbox.aligned(RotatedBoxes(x, "xyxyxyxy"), RotatedBoxes(y, "xyxyxyxy")) == plain).all()


def scene(n: int, seed: int, dtype: Any = np.float64) -> RotatedBoxes:
    """Boxes of which some are invalid and some have no area."""
    rng = np.random.default_rng(seed)
    found = drawn(rng, n, 2, 30, 60 if n > 100 else 15)
    found[::17, 2], found[5::19, 3], found[7::23, 2] = np.nan, -1, 0
    return RotatedBoxes(found.astype(dtype), "cxcywhr", images=np.sort(rng.integers(0, 2, n)))


def same(found: Any, expected: Any) -> None:
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


@pytest.mark.parametrize("format", ["cxcywhd", "xyxyxyxy"])
@pytest.mark.parametrize("indexed", [False, True])
def test_values_that_float32_rounds_alike_are_ties(indexed: bool, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    n, m = (3, 30) if WITHOUT_JIT else (40, 420)
    rng = np.random.default_rng(5)
    near = np.column_stack(
        [rng.normal(0, 1, (m, 2)) * rng.choice([0, 1e-7, 1e-6, 1e-5], (m, 1)), np.full((m, 3), (10, 7, 30.0))]
    )
    b = RotatedBoxes(near.astype(np.float32), "cxcywhd")
    a = RotatedBoxes(near[rng.integers(0, m, n)].astype(np.float32), "cxcywhd")
    if format == "xyxyxyxy":
        a, b = (RotatedBoxes(one.corners().reshape(-1, 8), format) for one in (a, b))
    monkeypatch.setattr(indexing, "GAIN", 0 if indexed else 10**9)
    monkeypatch.setattr(indexing, "crowded", lambda one: False)
    matrix = fastbox.pairwise(a, b)
    order = np.argsort(-matrix, axis=1, kind="stable")[:, :4]
    assert matrix.dtype == np.float32
    assert len(np.unique(fastbox.pairwise(a.astype(float), b.astype(float)))) > len(np.unique(matrix))
    same(fastbox.best(a, b).indices, order[:, 0])
    same(fastbox.top(a, b, 4).indices, order)
    threshold = float(np.sort(matrix, axis=None)[matrix.size // 2])
    same(fastbox.pairs(a, b, threshold=threshold).cols, np.nonzero(matrix >= threshold)[1])
    span = float(matrix.min()), 1.0
    same(fastbox.histogram(a, b, bins=7, range=span), np.histogram(matrix, 7, span)[0])


@pytest.mark.parametrize("indexed", [False, True])
def test_every_function_has_the_values_of_the_matrix(indexed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    n, m = (24, 40) if WITHOUT_JIT else (150, 420)
    a, b = scene(n, 1), scene(m, 2)
    monkeypatch.setattr(indexing, "GAIN", 0 if indexed else 10**9)
    monkeypatch.setattr(indexing, "crowded", lambda one: False)
    monkeypatch.setattr(geometry, "MEASURED", 1000)
    matrix = np.full((n, m), np.nan)
    for g, part in enumerate(fastbox.pairwise(a, b)):
        matrix[a.offsets[g] : a.offsets[g + 1], b.offsets[g] : b.offsets[g + 1]] = part
    low = np.where(np.isnan(matrix), -1, matrix)
    order = np.argsort(-low, axis=1, kind="stable")[:, :4]
    ranked = np.take_along_axis(low, order, axis=1)
    top = fastbox.top(a, b, 4)
    same(top.indices, np.where(ranked < 0, -1, order))
    same(top.values, np.where(ranked < 0, np.nan, ranked))
    same(fastbox.best(a, b).indices, top.indices[:, 0])
    rows, cols = np.nonzero(low >= 0.2)
    found = fastbox.pairs(a, b, threshold=0.2)
    assert len(rows) > 10
    same(found.rows, rows), same(found.cols, cols), same(found.values, matrix[rows, cols])
    alone = fastbox.pairs(b, threshold=0.2)
    assert (alone.rows < alone.cols).all() and len(alone.rows)
    same(fastbox.histogram(a, b, bins=5), np.histogram(matrix[~np.isnan(matrix)], 5, (0, 1))[0])
    rows = np.repeat(np.arange(n), m)[:: 7 if indexed else 1]
    cols = np.tile(np.arange(m), n)[:: 7 if indexed else 1]
    together = np.isin(a.images[np.searchsorted(a.offsets, rows, "right") - 1], b.images)
    together &= np.searchsorted(a.offsets, rows, "right") == np.searchsorted(b.offsets, cols, "right")
    same(fastbox.aligned(a[rows[together]], b[cols[together]]), matrix[rows[together], cols[together]])


def test_plain_boxes_are_boxes_of_angle_0_and_rectangles_are_measured_with_quadrilaterals() -> None:
    plain = fastbox.Boxes([[0, 0, 4, 2], [1, 1, 3, 5]], "xywh")
    turned = RotatedBoxes([[2, 1, 4, 2, 0], [2.5, 3.5, 3, 5, 0], [2, 1, 4, 2, 45]], "cxcywhd")
    same(fastbox.pairwise(plain, turned), fastbox.pairwise(turned[:2], turned))
    same(fastbox.pairwise(turned, [[0.0, 0, 4, 2]]), fastbox.pairwise(turned, turned[:1]))
    quads = RotatedBoxes(turned.corners(), "xyxyxyxy")
    for other in (plain, turned, quads):
        np.testing.assert_allclose(fastbox.pairwise(other, quads), fastbox.pairwise(other, turned), rtol=1e-14)


def test_values_of_float32_are_rounded_once() -> None:
    a, b = scene(60, 1, np.float32)[:], scene(60, 2, np.float32)[:]
    found = fastbox.pairwise(a, b)
    assert found.dtype == np.float32 and fastbox.pairwise(a, b.astype(np.float64)).dtype == np.float64
    same(found, fastbox.pairwise(a.astype(np.float64), b.astype(np.float64)).astype(np.float32))


def test_pairs_of_float32_reach_the_threshold_once_rounded() -> None:
    a, b = scene(60, 1, np.float32)[:], scene(60, 2, np.float32)[:]
    matrix = fastbox.pairwise(a, b)
    some = np.unique(matrix[matrix > 0.1])[::40]
    for least in (*some, *np.nextafter(some, np.float32(1))):
        rows, cols = np.nonzero(matrix >= least)
        found = fastbox.pairs(a, b, threshold=float(least))
        assert found.rows.tolist() == rows.tolist() and found.cols.tolist() == cols.tolist()
        same(found.values, matrix[rows, cols])


def test_metrics_that_rotated_boxes_do_not_have_are_refused_in_one_sentence() -> None:
    a = RotatedBoxes([[0, 0, 1, 1, 0]], "cxcywhr")
    with pytest.raises(
        ValueError, match="expected a metric of rotated boxes of iou, iof, ios, giou, probiou, got 'l1'"
    ):
        fastbox.pairwise(a, a, metric="l1")
    with pytest.raises(ValueError, match="expected rectangles for probiou, got quadrilaterals"):
        fastbox.best(a, RotatedBoxes(a.corners(), "xyxyxyxy"), metric="probiou")
    with pytest.raises(ValueError, match="got 'probiou'"):
        fastbox.pairwise([[0, 0, 1, 1]], [[0, 0, 1, 1]], metric="probiou")


@pytest.mark.compiler
@pytest.mark.jit
def test_a_side_of_minus_zero_is_one_of_zero() -> None:
    a, b = (RotatedBoxes([box], "cxcywhd") for box in ([1, 3, -0.0, 2, 45], [1, 2, 2, 2, 45]))
    for found in (
        *(fastbox.pairwise(a, b), fastbox.aligned(a, b), fastbox.aligned(b, a), fastbox.best(a, b).values),
        fastbox.pairs(a, b, threshold=0).values,
    ):
        assert found.tolist() == [[0.0]] or found.tolist() == [0.0]
        assert not np.signbit(found).any()
