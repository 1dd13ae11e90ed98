"""Values of boxes so large or small that plain formulas overflow or underflow, computed as if exponents had no end.

A valid box beyond :data:`~fastbox.kernels.geometry.safe_range.MOST` or below LEAST has an area of nan, like an invalid
box, so the plain formulas give nan. The slow formulas of this module, seldom needed, then decide: the value, or the one
nan where a box is invalid. They compute in float64, each axis in units of a power of two, which is exact. Metrics whose
values stay the same when an axis is scaled need no slow formula of their own.
"""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.build.device import device, rebound
from fastbox.kernels.geometry import formulas
from fastbox.kernels.geometry.elementary import TWO_OVER_PI, atan
from fastbox.kernels.geometry.formulas import Box, intersection, larger, ratio, smaller
from fastbox.kernels.metrics import METRICS as RECORDS

BEYOND = 1025  # the exponent of a length that overflows


@device
def valid(box):
    """Return whether all corners are finite, and the first corner not beyond the second."""
    infinite = (box.x0 - box.x0) + (box.y0 - box.y0) + (box.x1 - box.x1) + (box.y1 - box.y1)  # 0, or nan
    return (box.x1 >= box.x0) & (box.y1 >= box.y0) & (infinite == type(box.x0)(0))


@device
def widened(box):
    zero = np.float64(0)
    return Box(np.float64(box.x0), np.float64(box.y0), np.float64(box.x1), np.float64(box.y1), zero, zero)


@device
def exponent(length):
    """Return the exponent e of the first power 2^e above a length."""
    return BEYOND if length == np.inf else np.int64(math.frexp(length)[1])


@device
def unit_of(low, high):
    """Return the exponent of an interval's length, or of its position if the length is 0."""
    length = high - low
    return exponent(length if length > 0.0 else larger(-low, high))


@device
def units(a, b):
    """Return the exponents of the hull's width and height."""
    return (
        unit_of(smaller(a.x0, b.x0), larger(a.x1, b.x1)),
        unit_of(smaller(a.y0, b.y0), larger(a.y1, b.y1)),
    )


@device
def scaled(box, ex, ey):
    """Return a box in units of 2^ex by 2^ey."""
    x0, y0, x1, y1 = np.ldexp(box.x0, -ex), np.ldexp(box.y0, -ey), np.ldexp(box.x1, -ex), np.ldexp(box.y1, -ey)
    return Box(x0, y0, x1, y1, (x1 - x0) * (y1 - y0), box.angle)


@device
def along(a0, a1, b0, b1):
    """Scale two intervals by a power of two, so that no result overflows or is lost.

    Returns the power, the length of the scaled hull, the distance of the centres and the difference of the lengths.
    """
    shift = -4 if larger(larger(-a0, a1), larger(-b0, b1)) > 1.0 else 60
    a0, a1, b0, b1 = np.ldexp(a0, shift), np.ldexp(a1, shift), np.ldexp(b0, shift), np.ldexp(b1, shift)
    apart = 0.5 * (a0 + a1) - 0.5 * (b0 + b1)
    return shift, larger(a1, b1) - smaller(a0, b0), apart, (a1 - a0) - (b1 - b0)


@device
def longest(w, h, x_shift, y_shift):
    """Return the exponent of the longer of two sides that are scaled."""
    ex, ey = exponent(w) - x_shift, exponent(h) - y_shift
    return ex if (h == 0.0) | ((w > 0.0) & (ex > ey)) else ey


def in_units(a, b, beta):
    """Compute a value that stays the same when an axis is scaled: the plain formula in units of the hull."""
    ex, ey = units(a, b)
    return plain(scaled(a, ex, ey), scaled(b, ex, ey), beta)


def _in_units(name):
    return device(rebound(in_units, {"plain": getattr(formulas, name)}, name))


iou = _in_units("iou")


@device
def iof(a, b, beta):
    ex, ey = unit_of(a.x0, a.x1), unit_of(a.y0, a.y1)
    inside = scaled(a, ex, ey)
    return ratio(intersection(inside, scaled(b, ex, ey)), inside.area)


@device
def ios(a, b, beta):
    return larger(iof(a, b, beta), iof(b, a, beta))


@device
def centre_term(a, b):
    x_shift, w, dx, _ = along(a.x0, a.x1, b.x0, b.x1)
    y_shift, h, dy, _ = along(a.y0, a.y1, b.y0, b.y1)
    unit = longest(w, h, x_shift, y_shift)
    w, dx = np.ldexp(w, -x_shift - unit), np.ldexp(dx, -x_shift - unit)
    h, dy = np.ldexp(h, -y_shift - unit), np.ldexp(dy, -y_shift - unit)
    return ratio(dx * dx + dy * dy, w * w + h * h)


@device
def diou(a, b, beta):
    return iou(a, b, beta) - centre_term(a, b)


@device
def angle(box):
    x_shift, w, _, _ = along(box.x0, box.x1, box.x0, box.x1)
    y_shift, h, _, _ = along(box.y0, box.y1, box.y0, box.y1)
    return TWO_OVER_PI * atan(np.ldexp(w / abs(h), y_shift - x_shift) if w > 0.0 else 0.0)  # a height may be -0


@device
def ciou(a, b, beta):
    overlap = iou(a, b, beta)
    turn = angle(b) - angle(a)
    v = turn * turn
    return overlap - centre_term(a, b) - ratio(v * v, 1.0 - overlap + v)


@device
def eiou(a, b, beta):
    _, w, _, dw = along(a.x0, a.x1, b.x0, b.x1)
    _, h, _, dh = along(a.y0, a.y1, b.y0, b.y1)
    u, v = ratio(dw, w), ratio(dh, h)
    return iou(a, b, beta) - centre_term(a, b) - u * u - v * v


@device
def l1(a, b, beta):
    return abs(a.x0 - b.x0) + abs(a.y0 - b.y0) + abs(a.x1 - b.x1) + abs(a.y1 - b.y1)


@device
def smooth(x, y, beta):
    """Compute Smooth L1 of x - y, a difference that may overflow where a quarter of it does not."""
    far, quarter = abs(0.25 * x - 0.25 * y), 0.25 * beta
    return 4.0 * (0.5 * far * (far / quarter) if far < quarter else far - 0.5 * quarter) if beta > 0.0 else abs(x - y)


@device
def smooth_l1(a, b, beta):
    near = smooth(a.x0, b.x0, beta) + smooth(a.y0, b.y0, beta)
    return near + smooth(a.x1, b.x1, beta) + smooth(a.y1, b.y1, beta)


def robust_value(a, b, beta):
    """Compute the value of two boxes of any size."""
    T = type(a.x0)
    found = plain(a, b, beta)
    if found == found:
        return found
    if valid(a) and valid(b):
        return T(formula(widened(a), widened(b), np.float64(beta)))
    return T(np.nan)


# These are bound anew for each metric; here they are iou's.
formula, plain = iou, formulas.iou

_OWN = {
    "iou": iou, "iof": iof, "ios": ios, "diou": diou, "ciou": ciou, "eiou": eiou, "l1": l1, "smooth_l1": smooth_l1,
}  # fmt: skip
_IF_MET = {"iou": formulas.iou_if_met}
SLOW = {name: _in_units(name) for name, metric in RECORDS.items() if metric.by_axis and name not in _OWN} | _OWN


def _bound_to_metric(name, metric):
    """Return the names that kernels are bound to for a metric."""
    value = getattr(formulas, name)
    robust = device(rebound(robust_value, {"formula": SLOW[name], "plain": value}, name))
    facts = {"SCREEN": metric.screen, "DISTANCE": metric.distance, "ANGLES": metric.angles, "APART": metric.zero_apart}
    return {"value": value, "if_met": _IF_MET.get(name, value), "robust": robust, **facts}


METRICS = {name: _bound_to_metric(name, metric) for name, metric in RECORDS.items()}
iou_of, iof_of = METRICS["iou"]["robust"], METRICS["iof"]["robust"]


@device
def robust_iou(a, b):
    """Compute the IoU of two boxes of any size."""
    found = formulas.iou(a, b, type(a.x0)(0))
    return found if found == found else iou_of(a, b, type(a.x0)(0))
