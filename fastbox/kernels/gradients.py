"""One function per overlap loss: a predicted and a target box in, the loss and its gradient out.

The gradient is that by the predicted box's corners x0, y0, x1, y1. The loss is 1 less the metric, rounded as in
:mod:`fastbox.kernels.metrics`. Where a corner of the one box lies on the other's, a min or max passes half of its
gradient on, as torch's autograd does; boxes that only touch have no gradient of their intersection; and what is guarded
against a zero denominator is a constant there.
"""

from __future__ import annotations

import math

from fastbox.kernels.compile import device
from fastbox.kernels.metrics import hull_sides, ratio


@device
def share_of_larger(x, y):
    """How much of the gradient of max(x, y) is x's."""
    one, half, zero = type(x)(1), type(x)(0.5), type(x)(0)
    return one if x > y else (half if x == y else zero)


@device
def within(a, b):
    """Intersection, and its gradient by the corners of a."""
    zero = type(a.x0)(0)
    w = (a.x1 if a.x1 < b.x1 else b.x1) - (a.x0 if a.x0 > b.x0 else b.x0)
    h = (a.y1 if a.y1 < b.y1 else b.y1) - (a.y0 if a.y0 > b.y0 else b.y0)
    apart = (w <= zero) | (h <= zero)
    w = zero if apart else w
    h = zero if apart else h
    return (
        w * h,
        -h * share_of_larger(a.x0, b.x0),
        -w * share_of_larger(a.y0, b.y0),
        h * share_of_larger(b.x1, a.x1),
        w * share_of_larger(b.y1, a.y1),
    )


@device
def overlap(a, b):
    """IoU, the union and its inverse, and IoU's gradient by the corners of a."""
    one = type(a.x0)(1)
    inter, i0, i1, i2, i3 = within(a, b)
    union = a.area + b.area - inter
    value, inverse = ratio(inter, union), ratio(one, union)
    by_union = -value * inverse
    by_inter = inverse - by_union
    w, h = (a.x1 - a.x0) * by_union, (a.y1 - a.y0) * by_union
    return value, union, by_inter * i0 - h, by_inter * i1 - w, by_inter * i2 + h, by_inter * i3 + w
