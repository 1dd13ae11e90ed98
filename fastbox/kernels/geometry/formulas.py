"""The formulas: two boxes in, one value out. A metric of :mod:`fastbox.kernels.metrics` has the function of its name.

Plain IEEE operations in the order written, every constant in the boxes' own type, so that float32 stays float32 and all
machines agree. Comparisons are ternaries, which the vector units do in one instruction. An invalid box has an area of
nan, and so has every value of it; a valid box so large or small that a formula could overflow or underflow has an area
of nan too, and :mod:`fastbox.kernels.geometry.extremes` decides.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from fastbox.kernels.build.bits import not_negative
from fastbox.kernels.build.device import device, inlined

Box = namedtuple("Box", "x0 y0 x1 y1 area angle")  # angle: 2/pi times atan(width / height), only for CIoU


@device
def smaller(x, y):
    return x if x < y else y


@device
def larger(x, y):
    return x if x > y else y


@device
def ratio(x, y):
    """Return x / y, and 0 where y is 0: the only guard of a division, never an epsilon."""
    zero = type(y)(0)
    return x / y if y != zero else zero


@device
def one_nan(x):
    """Return a value, any nan as the one nan that is written: the nan of an operation differs with the processor."""
    return x if x == x else type(x)(np.nan)


@device
def intersection(a, b):
    w = smaller(a.x1, b.x1) - larger(a.x0, b.x0)
    h = smaller(a.y1, b.y1) - larger(a.y0, b.y0)
    return not_negative(w) * not_negative(h)


@device
def hull_sides(a, b):
    return larger(a.x1, b.x1) - smaller(a.x0, b.x0), larger(a.y1, b.y1) - smaller(a.y0, b.y0)


@device
def unless_invalid(value, a, b):
    both = a.area + b.area
    return value if both == both else both


@device
def iou(a, b, beta):
    inter = intersection(a, b)
    return ratio(inter, a.area + b.area - inter)


@device
def iou_if_met(a, b, beta):
    """Return the IoU of boxes that overlap; of others a number that is not above 0, or nan, by fewer instructions."""
    w = smaller(a.x1, b.x1) - larger(a.x0, b.x0)
    h = smaller(a.y1, b.y1) - larger(a.y0, b.y0)
    inter = not_negative(w) * h
    return inter / (a.area + b.area - inter)


@device
def iof(a, b, beta):
    return unless_invalid(ratio(intersection(a, b), a.area), a, b)


@device
def ios(a, b, beta):
    return unless_invalid(ratio(intersection(a, b), smaller(a.area, b.area)), a, b)


@inlined
def giou(a, b, beta):
    """Compute GIoU (Rezatofighi et al., CVPR 2019, algorithm 1)."""
    inter = intersection(a, b)
    union = a.area + b.area - inter
    w, h = hull_sides(a, b)
    hull = w * h
    return ratio(inter, union) - ratio(hull - union, hull)


@inlined
def centre_term(a, b):
    """Compute the squared distance of the centres over the squared diagonal of the hull."""
    half = type(a.x0)(0.5)
    w, h = hull_sides(a, b)
    dx = half * (a.x0 + a.x1) - half * (b.x0 + b.x1)
    dy = half * (a.y0 + a.y1) - half * (b.y0 + b.y1)
    return ratio(dx * dx + dy * dy, w * w + h * h)


@inlined
def diou(a, b, beta):
    """Compute DIoU (Zheng et al., AAAI 2020)."""
    return iou(a, b, beta) - centre_term(a, b)


@inlined
def ciou(a, b, beta):
    """Compute CIoU (Zheng et al., AAAI 2020): DIoU less alpha times v, where v compares the aspect ratios."""
    overlap = iou(a, b, beta)
    turn = b.angle - a.angle
    v = turn * turn
    return overlap - centre_term(a, b) - ratio(v * v, type(v)(1) - overlap + v)


@inlined
def eiou(a, b, beta):
    """Compute EIoU (Zhang et al., Focal and Efficient IoU Loss, 2022)."""
    w, h = hull_sides(a, b)
    dw = (a.x1 - a.x0) - (b.x1 - b.x0)
    dh = (a.y1 - a.y0) - (b.y1 - b.y0)
    return iou(a, b, beta) - centre_term(a, b) - ratio(dw * dw, w * w) - ratio(dh * dh, h * h)


@device
def l1(a, b, beta):
    near = abs(a.x0 - b.x0) + abs(a.y0 - b.y0)
    return unless_invalid(near + abs(a.x1 - b.x1) + abs(a.y1 - b.y1), a, b)


@inlined
def smooth(d, beta):
    """Compute Smooth L1 (Girshick, Fast R-CNN, ICCV 2015): quadratic below beta, linear from beta on."""
    half = type(d)(0.5)
    far = abs(d)
    return half * far * far / beta if far < beta else far - half * beta


@inlined
def smooth_l1(a, b, beta):
    near = smooth(a.x0 - b.x0, beta) + smooth(a.y0 - b.y0, beta)
    return unless_invalid(near + smooth(a.x1 - b.x1, beta) + smooth(a.y1 - b.y1, beta), a, b)
