"""The metrics of rotated boxes: two boxes in, one value out, in the dtype of ``beta``.

The formulas of :mod:`fastbox.kernels.geometry.formulas`, for other intersections and hulls: the hull is the convex hull
of both boxes. All is computed in float64 and rounded once at the end. `intersection` and `hull` are those of rotated
rectangles here; quadrilaterals are bound in their place.
"""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.build.bits import bits_of, float_of
from fastbox.kernels.build.device import device, inlined, rebound
from fastbox.kernels.geometry import quads
from fastbox.kernels.geometry.elementary import BIAS, FRACTION, LN2, LN2_REST, PER_LN2, WHOLE, power
from fastbox.kernels.geometry.formulas import larger, ratio, smaller
from fastbox.kernels.geometry.rotated import hull, intersection

TWICE_BIAS, EXPONENT = 2 * BIAS, 0x7FF << FRACTION  # bits of a float64
UNLIKE = 2.0**1000  # shapes as unlike as this have a ProbIoU of 0 to rounding; more could be infinite


@device
def rounded(value, a, b, beta):
    """Return a value in the dtype of beta, and the one nan where a box is invalid."""
    both = a.area + b.area
    return type(beta)(value if both == both else np.nan)


@inlined
def iou(a, b, beta):
    inter = intersection(a, b)
    return rounded(ratio(inter, a.area + b.area - inter), a, b, beta)


@inlined
def iof(a, b, beta):
    return rounded(ratio(intersection(a, b), a.area), a, b, beta)


@inlined
def ios(a, b, beta):
    return rounded(ratio(intersection(a, b), smaller(a.area, b.area)), a, b, beta)


@inlined
def giou(a, b, beta):
    """Compute GIoU with the smallest enclosing convex shape (Rezatofighi et al., CVPR 2019, algorithm 1)."""
    inter = intersection(a, b)
    union = a.area + b.area - inter
    around = hull(a, b)
    finite = around < np.inf
    around = around if around > union else union  # never less than the union by a rounding
    empty = ratio(around - union, around) if finite else 1.0  # of boxes so far apart that the hull overflows
    return rounded(ratio(inter, union) - empty, a, b, beta)


@inlined
def shortfall(q):
    """Compute 1 - exp(-q) of a number from 0 on, without the loss of bits near 0."""
    q = q if q < 700.0 else 700.0
    n = (q * PER_LN2 + WHOLE) - WHOLE
    r = (q - n * LN2) - n * LN2_REST
    t = 1.0 - r * (1.0 / 14.0)
    t = 1.0 - r * (1.0 / 13.0) * t
    t = 1.0 - r * (1.0 / 12.0) * t
    t = 1.0 - r * (1.0 / 11.0) * t
    t = 1.0 - r * (1.0 / 10.0) * t
    t = 1.0 - r * (1.0 / 9.0) * t
    t = 1.0 - r * (1.0 / 8.0) * t
    t = 1.0 - r * (1.0 / 7.0) * t
    t = 1.0 - r * (1.0 / 6.0) * t
    t = 1.0 - r * (1.0 / 5.0) * t
    t = 1.0 - r * (1.0 / 4.0) * t
    t = 1.0 - r * (1.0 / 3.0) * t
    t = 1.0 - r * 0.5 * t
    scale = power(-n)
    return (1.0 - scale) + scale * (r * t)


@inlined
def inverse_power(length):
    """Return 1 over the greatest power of two that is not above a length."""
    return float_of((TWICE_BIAS << FRACTION) - (bits_of(length) & EXPONENT))


@inlined
def probiou(a, b, beta):
    """Compute ProbIoU (Llerena et al., 2021): 1 - sqrt(1 - BC) of Gaussians with the covariances of the rectangles.

    Every sum is of terms of one sign, so no accuracy is lost near 1, and equal boxes have 1. Lengths are in units of a
    power of two, for their fourth powers could overflow.
    """
    unit = inverse_power(larger(larger(a.w, a.h), larger(b.w, b.h)))
    aw, ah, bw, bh = a.w * unit, a.h * unit, b.w * unit, b.h * unit
    dx, dy = (b.cx - a.cx) * unit, (b.cy - a.cy) * unit
    c, s = a.cos * b.cos + a.sin * b.sin, a.cos * b.sin - a.sin * b.cos
    x, y = a.cos * dx + a.sin * dy, a.cos * dy - a.sin * dx
    u, v = b.cos * dx + b.sin * dy, b.cos * dy - b.sin * dx
    far = ((ah * x) * (ah * x) + (aw * y) * (aw * y)) + ((bh * u) * (bh * u) + (bw * v) * (bw * v))
    here, there = aw * ah, bw * bh
    p = 4.0 * (here * there)
    sizes, turned, across = here - there, c * (aw * bh - ah * bw), s * (aw * bw - ah * bh)
    unlike = sizes * sizes + (turned * turned + across * across)
    some = p > 0.0
    delta = smaller(unlike / (p if some else 1.0), UNLIKE)
    root = math.sqrt(1.0 + delta)
    missing = (delta / (root + 1.0) + shortfall(0.75 * far / (p + unlike if some else 1.0))) / root
    return rounded(1.0 - math.sqrt(missing) if some else 0.0, a, b, beta)


FORMULAS = {"iou": iou, "iof": iof, "ios": ios, "giou": giou, "probiou": probiou}


def _of_quads(*names, **bound):
    """Return formulas by name, bound to other areas."""
    return {name: inlined(rebound(FORMULAS[name], bound, f"quads_{name}")) for name in names}


# The formulas of quadrilaterals, and those of loops over them, which leave out a test for roundings.
OF_QUADS = _of_quads("iou", "iof", "ios", "giou", intersection=quads.intersection, hull=quads.hull)
OF_QUADS_IN_LOOPS = _of_quads("iou", "iof", "ios", intersection=quads.plain_intersection)
