"""The losses of rotated rectangles: a predicted and a target box in, the loss and its gradient out.

The gradient is by the centre, the full sides and the angle, from +x to +y in radians, of the predicted box. All
arithmetic is float64. Edges of both boxes that coincide count half; without an area of either box, ProbIoU and KLD are
constants.
"""

from __future__ import annotations

import math
from collections import namedtuple

import numpy as np

from fastbox.kernels.build.device import inlined
from fastbox.kernels.geometry.elementary import exp, log
from fastbox.kernels.geometry.formulas import larger, ratio, smaller
from fastbox.kernels.geometry.rotated import SMALL, are_apart, intersection, placed
from fastbox.kernels.geometry.rotated_metrics import UNLIKE, inverse_power, shortfall

TINY, UNIT = 2.0**-900, 2.0**500  # areas below, and what their boxes' lengths are multiplied by

NEARLY = 2.0**-13  # of a sine up to it the cosine is 1 less half the square, to rounding

Gradient = namedtuple("Gradient", "x y w h angle")
Piece = namedtuple("Piece", "length moment")


@inlined
def along(a, gx, gy, w, h, angle):
    """Return a gradient of which the centre's part is given along the axes of the box."""
    return Gradient(a.cos * gx - a.sin * gy, a.sin * gx + a.cos * gy, w, h, angle)


@inlined
def where(some, g):
    """Return a gradient, or 0 where the loss is a constant."""
    return Gradient(
        g.x if some else 0.0,
        g.y if some else 0.0,
        g.w if some else 0.0,
        g.h if some else 0.0,
        g.angle if some else 0.0,
    )


@inlined
def turn_between(a, b):
    """Return cosine and sine of the turn from b to a; near a quarter turn the larger one follows from the smaller."""
    c, s = b.cos * a.cos + b.sin * a.sin, b.cos * a.sin - b.sin * a.cos
    c, s = 0.0 if abs(c) < SMALL else c, 0.0 if abs(s) < SMALL else s
    full_c, full_s = 1.0 - 0.5 * (s * s), 1.0 - 0.5 * (c * c)
    by_s, by_c = abs(s) <= NEARLY, abs(c) <= NEARLY
    full_c, full_s = -full_c if c < 0.0 else full_c, -full_s if s < 0.0 else full_s
    return full_c if by_s else c, full_s if by_c else s


@inlined
def crossings(m, inverse, level, limit):
    """Return for which t the points m + t d are within a limit on one axis, and the share that counts of an edge."""
    p, q = (-limit - m) * inverse, (limit - m) * inverse
    beside = 1.0 if abs(m) < limit else (0.5 if abs(m) == limit else 0.0)
    return -1.0 if level else smaller(p, q), 1.0 if level else larger(p, q), beside if level else 1.0


@inlined
def inside(mx, my, dx, dy, w, h):
    """Return length and moment, in t, of the points m + t d with |t| <= 1 within [-w, w] x [-h, h].

    An edge that lies on an edge of that box counts half.
    """
    level, steep = dy == 0.0, dx == 0.0
    low_x, high_x, share_x = crossings(mx, 1.0 / (1.0 if steep else dx), steep, w)
    low_y, high_y, share_y = crossings(my, 1.0 / (1.0 if level else dy), level, h)
    low, high = larger(-1.0, larger(low_x, low_y)), smaller(1.0, smaller(high_x, high_y))
    length = (share_x * share_y) * (high - low if high > low else 0.0)
    return Piece(length, 0.5 * length * (high + low))


@inlined
def growth(a, b, unit):
    """Compute the gradient of the intersection by the centre along the axes of a, by its sides and its angle.

    An edge of a that moves outward adds the length of it that lies in b. All lengths are first multiplied by a unit.
    """
    c, s = turn_between(a, b)
    dx, dy = (a.cx - b.cx) * unit, (a.cy - b.cy) * unit
    aw, ah, bw, bh = a.w * unit, a.h * unit, b.w * unit, b.h * unit
    x, y = b.cos * dx + b.sin * dy, b.cos * dy - b.sin * dx
    ux, uy, vx, vy = aw * c, aw * s, -ah * s, ah * c
    right, left = inside(x + ux, y + uy, vx, vy, bw, bh), inside(x - ux, y - uy, vx, vy, bw, bh)
    below, above = inside(x + vx, y + vy, ux, uy, bw, bh), inside(x - vx, y - vy, ux, uy, bw, bh)
    turning = (below.moment - above.moment) * (aw * aw) - (right.moment - left.moment) * (ah * ah)
    return Gradient(
        (right.length - left.length) * ah,
        (below.length - above.length) * aw,
        0.5 * (right.length + left.length) * ah,
        0.5 * (below.length + above.length) * aw,
        turning,
    )


@inlined
def iou(a, b, tau):
    """Compute 1 - IoU; boxes that an axis separates have a gradient of 0."""
    inter = intersection(a, b)
    union = a.area + b.area - inter
    still = are_apart(a, b, placed(a, b)) | (b.area == 0.0)
    tiny = (union < TINY) & (not still) & (larger(a.w, a.h) < 1.0 / UNIT)
    unit = UNIT if tiny else 1.0  # one over an area could overflow
    value, inverse = ratio(inter, union), 0.0 if still else ratio(1.0, union * unit * unit)
    more = growth(a, b, unit)
    by_inter, by_area = 0.0 if still else -(1.0 + value) * inverse, value * inverse
    return 1.0 - value, along(
        a,
        unit * (by_inter * more.x),
        unit * (by_inter * more.y),
        unit * (by_inter * more.w + by_area * (2.0 * (a.h * unit))),
        unit * (by_inter * more.h + by_area * (2.0 * (a.w * unit))),
        by_inter * more.angle,
    )


@inlined
def probiou(a, b, tau):
    """Compute 1 - ProbIoU, the Hellinger distance; the gradient is 0 at its tip, where the boxes are equal.

    Lengths are in units of a power of two, and differences of products are sums of differences, for nearly equal boxes.
    """
    unit = inverse_power(larger(larger(a.w, a.h), larger(b.w, b.h)))
    aw, ah, bw, bh = a.w * unit, a.h * unit, b.w * unit, b.h * unit
    p = 4.0 * (aw * ah * (bw * bh))
    some = p > 0.0
    p = p if some else 1.0
    dx, dy = (a.cx - b.cx) * unit if some else 0.0, (a.cy - b.cy) * unit if some else 0.0
    c, s = turn_between(a, b)
    x, y = b.cos * dx + b.sin * dy, b.cos * dy - b.sin * dx
    u, v = a.cos * dx + a.sin * dy, a.cos * dy - a.sin * dx
    far = ((bh * x) * (bh * x) + (bw * y) * (bw * y)) + ((ah * u) * (ah * u) + (aw * v) * (aw * v))
    sizes, turned = (bw - aw) * bh + aw * (bh - ah), (bw - aw) * ah + aw * (ah - bh)
    across = (bw - ah) * aw + ah * (aw - bh)
    unlike = sizes * sizes + (c * c * (turned * turned) + s * s * (across * across))
    whole, delta = p + unlike, smaller(unlike / p, UNLIKE)
    root = math.sqrt(1.0 + delta)
    away = 0.75 * far / whole
    loss = math.sqrt((delta / (root + 1.0) + shortfall(away)) / root)
    slope = exp(-away) / (2.0 * loss * root) if some & (loss > 0.0) else 0.0
    by_far, by_unlike, share = slope * 0.75 / whole, slope * 0.5 / whole, far / whole
    p_w, p_h = p / (aw if some else 1.0), p / (ah if some else 1.0)
    unlike_w = 2.0 * (s * s * bw * across - ah * sizes - c * c * bh * turned)
    unlike_h = 2.0 * (c * c * bw * turned - aw * sizes - s * s * bh * across)
    unlike_turn = 2.0 * c * s * ((bw - bh) * (bw + bh) * ((aw - ah) * (aw + ah)))
    by_w = by_far * (2.0 * aw * v * v - share * (p_w + unlike_w)) + by_unlike * (unlike_w - delta * p_w)
    by_h = by_far * (2.0 * ah * u * u - share * (p_h + unlike_h)) + by_unlike * (unlike_h - delta * p_h)
    turning = 2.0 * u * v * ((ah - aw) * (ah + aw)) - share * unlike_turn
    to_x, to_y = 2.0 * by_far * (bh * bh * x), 2.0 * by_far * (bw * bw * y)
    own = along(a, 2.0 * by_far * (ah * ah * u), 2.0 * by_far * (aw * aw * v), 0.0, 0.0, 0.0)
    gradient = Gradient(
        unit * (own.x + (b.cos * to_x - b.sin * to_y)),
        unit * (own.y + (b.sin * to_x + b.cos * to_y)),
        0.5 * unit * by_w,
        0.5 * unit * by_h,
        by_far * turning + by_unlike * unlike_turn,
    )
    return loss if some else 1.0, where(slope > 0.0, gradient)


@inlined
def divergence(a, b):
    """Compute ½ (dᵀ Σa⁻¹ d + tr(Σa⁻¹ Σb) + ln(|Σa| / |Σb|)) - 1 of boxes with areas, and its gradient.

    Σ has the squares of the half sides along the axes of a box. The trace is that of the boxes with their sides paired,
    longer with longer, and what the turn adds: a sum of terms from 0 on.
    """
    dx, dy = a.cx - b.cx, a.cy - b.cy
    u, v = (a.cos * dx + a.sin * dy) / a.w, (a.cos * dy - a.sin * dx) / a.h
    c, s = turn_between(a, b)
    area = a.w * a.h
    own, other = (a.h - a.w) * (a.h + a.w), (b.h - b.w) * (b.h + b.w)
    crossed = (own < 0.0) ^ (other < 0.0)
    w, h = b.h if crossed else b.w, b.w if crossed else b.h
    sine = c if crossed else s
    other = -other if crossed else other
    more_w, more_h = (w - a.w) * (w + a.w) / (a.w * a.w), (h - a.h) * (h + a.h) / (a.h * a.h)
    turned = (own / area) * (other / area)
    found = 0.5 * (((more_w + more_h) + sine * sine * turned) + (u * u + v * v)) - log(w * h / area)
    by_w = -(u * u + (more_w + sine * sine * (other / (a.w * a.w)))) / a.w
    by_h = -(v * v + (more_h - sine * sine * (other / (a.h * a.h)))) / a.h
    signed = -turned if crossed else turned
    turning = u * v * (own / area) + c * s * signed
    return (found if found > 0.0 else 0.0), along(a, u / a.w, v / a.h, 0.5 * by_w, 0.5 * by_h, turning)


@inlined
def kld(a, b, tau):
    """Compute 1 - 1 / (tau + log(1 + KLD)), or log(1 + KLD) with a tau of 0 (Yang et al., KLD, NeurIPS 2021)."""
    some = (a.area > 0.0) & (b.area > 0.0)
    far, g = divergence(a, b)
    finite = some & (far < np.inf)
    far = far if finite else 0.0
    more = 1.0 + far
    length = log(more) + (far - (more - 1.0)) / more
    bounded = tau >= 1.0
    below = tau + length if bounded else 1.0
    loss = (tau - 1.0 + length) / below if bounded else length
    most = 1.0 if bounded else np.inf
    scale = 1.0 / (below * below * more)
    gradient = Gradient(scale * g.x, scale * g.y, scale * g.w, scale * g.h, scale * g.angle)
    return loss if finite else most, where(finite, gradient)


LOSSES = {"iou": iou, "probiou": probiou, "kld": kld}
