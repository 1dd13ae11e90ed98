"""One function per overlap loss: a predicted and a target box in, the loss and its gradient out.

The loss is 1 less the metric of :mod:`fastbox.kernels.metrics`, the gradient that by the corners x0, y0, x1, y1 of the
predicted box. Where corners of both boxes coincide, a min or max hands on half of its gradient, as torch's autograd
does; boxes that only touch have no gradient of their intersection; and what is guarded against a denominator of zero
is a constant there.
"""

from __future__ import annotations

from collections import namedtuple

from fastbox.kernels import metrics
from fastbox.kernels.compile import device
from fastbox.kernels.metrics import hull_sides, intersection, larger, ratio, smaller
from fastbox.kernels.tiles import TWO_OVER_PI

Corners = namedtuple("Corners", "x0 y0 x1 y1")


@device
def share(x, y):
    """What x gets of the gradient of max(x, y), and of that of min(y, x)."""
    one, half, zero = type(x)(1), type(x)(0.5), type(x)(0)
    return one if x > y else (half if x == y else zero)


@device
def by_intersection(a, b):
    """The gradient of the intersection."""
    zero = type(a.x0)(0)
    w = smaller(a.x1, b.x1) - larger(a.x0, b.x0)
    h = smaller(a.y1, b.y1) - larger(a.y0, b.y0)
    apart = (w <= zero) | (h <= zero)
    w, h = zero if apart else w, zero if apart else h
    return Corners(
        -h * share(a.x0, b.x0),
        -w * share(a.y0, b.y0),
        h * share(b.x1, a.x1),
        w * share(b.y1, a.y1),
    )


@device
def by_hull(a, b):
    """The gradients of the hull's width, by x0 and x1, and of its height, by y0 and y1."""
    return Corners(-share(b.x0, a.x0), -share(b.y0, a.y0), share(a.x1, b.x1), share(a.y1, b.y1))


@device
def overlap(a, b, by_union, by_inter):
    """The gradient of what falls with the intersection and the union, given how it does."""
    w, h = by_union * (a.x1 - a.x0), by_union * (a.y1 - a.y0)
    g = by_intersection(a, b)
    by_inter = by_inter - by_union  # the union shrinks as the intersection grows
    return Corners(by_inter * g.x0 - h, by_inter * g.y0 - w, by_inter * g.x1 + h, by_inter * g.y1 + w)


@device
def iou(a, b):
    one = type(a.x0)(1)
    inter = intersection(a, b)
    union = a.area + b.area - inter
    value, inverse = ratio(inter, union), ratio(one, union)
    return one - value, overlap(a, b, value * inverse, -inverse)


@device
def giou(a, b):
    """Of 2 - I/U - U/C, with intersection I, union U and hull C."""
    one = type(a.x0)(1)
    inter = intersection(a, b)
    union = a.area + b.area - inter
    w, h = hull_sides(a, b)
    hull = w * h
    inverse, from_hull = ratio(one, union), ratio(one, hull)
    g = overlap(a, b, ratio(inter, union) * inverse - from_hull, -inverse)
    stretched = union * from_hull * from_hull
    w, h = stretched * w, stretched * h
    d = by_hull(a, b)
    return (
        one - metrics.giou(a, b, one),
        Corners(g.x0 + h * d.x0, g.y0 + w * d.y0, g.x1 + h * d.x1, g.y1 + w * d.y1),
    )


@device
def towards(a, b, g):
    """A gradient with that of the squared distance of the centres over the squared diagonal of the hull added."""
    one, half, two = type(a.x0)(1), type(a.x0)(0.5), type(a.x0)(2)
    w, h = hull_sides(a, b)
    dx = half * (a.x0 + a.x1) - half * (b.x0 + b.x1)
    dy = half * (a.y0 + a.y1) - half * (b.y0 + b.y1)
    inverse = ratio(one, w * w + h * h)
    stretched = two * ((dx * dx + dy * dy) * inverse * inverse)
    dx, dy, w, h = dx * inverse, dy * inverse, stretched * w, stretched * h
    d = by_hull(a, b)
    return Corners(g.x0 + dx - w * d.x0, g.y0 + dy - h * d.y0, g.x1 + dx - w * d.x1, g.y1 + dy - h * d.y1)


@device
def diou(a, b):
    _, g = iou(a, b)
    one = type(a.x0)(1)
    return one - metrics.diou(a, b, one), towards(a, b, g)


@device
def ciou(a, b):
    """The weight alpha of the aspect ratios' term is a constant, as the paper and torchvision have it."""
    one, two, scale = type(a.x0)(1), type(a.x0)(2), type(a.x0)(TWO_OVER_PI)
    _, g = iou(a, b)
    g = towards(a, b, g)
    turn = b.angle - a.angle
    v = turn * turn
    alpha = ratio(v, one - metrics.iou(a, b, one) + v)
    w, h = a.x1 - a.x0, a.y1 - a.y0
    # Of 2/pi atan(w / h); at a height of 0 the angle is the constant that guards it.
    steep = -two * alpha * turn * scale * ratio(one, w * w + h * h)
    zero = type(a.x0)(0)
    by_w, by_h = steep * h, zero if h == zero else -steep * w
    return (
        one - metrics.ciou(a, b, one),
        Corners(g.x0 - by_w, g.y0 - by_h, g.x1 + by_w, g.y1 + by_h),
    )


@device
def eiou(a, b):
    one, two = type(a.x0)(1), type(a.x0)(2)
    _, g = iou(a, b)
    g = towards(a, b, g)
    w, h = hull_sides(a, b)
    by_w, by_h = ratio(one, w), ratio(one, h)
    u = ((a.x1 - a.x0) - (b.x1 - b.x0)) * by_w
    v = ((a.y1 - a.y0) - (b.y1 - b.y0)) * by_h
    by_w, by_h = two * u * by_w, two * v * by_h
    d = by_hull(a, b)
    return (
        one - metrics.eiou(a, b, one),
        Corners(
            g.x0 - by_w * (one + u * d.x0),
            g.y0 - by_h * (one + v * d.y0),
            g.x1 + by_w * (one - u * d.x1),
            g.y1 + by_h * (one - v * d.y1),
        ),
    )


LOSSES = {
    "iou": {"graded": iou, "ANGLES": False},
    "giou": {"graded": giou, "ANGLES": False},
    "diou": {"graded": diou, "ANGLES": False},
    "ciou": {"graded": ciou, "ANGLES": True},
    "eiou": {"graded": eiou, "ANGLES": False},
}
