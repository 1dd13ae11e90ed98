"""One function per overlap loss: a predicted and a target box in, the loss and its gradient out.

The loss is 1 less the metric of :mod:`~fastbox.kernels.geometry.formulas`, the gradient is by the corners x0, y0, x1,
y1 of the predicted box. Where corners of both boxes coincide, a min or max hands on half of its gradient, as torch's
autograd does; boxes that only touch have no gradient of their intersection; and a quotient that is guarded against a
denominator of zero is a constant there.
"""

from __future__ import annotations

from collections import namedtuple

from fastbox.kernels.build.device import inlined
from fastbox.kernels.geometry import formulas
from fastbox.kernels.geometry.elementary import TWO_OVER_PI
from fastbox.kernels.geometry.formulas import hull_sides, intersection, larger, ratio, smaller
from fastbox.kernels.metrics import METRICS

Corners = namedtuple("Corners", "x0 y0 x1 y1")
Pull = namedtuple("Pull", "bound_x bound_y outer_x outer_y free_x free_y")


@inlined
def chosen(x, y, more, less, equal):
    """Return one of three, as x compares with y: in a sum, the largest would leave its rounding where it cancels."""
    return more if x > y else (less if x < y else equal)


@inlined
def overlap(a, b, by_union, by_inter):
    """Compute the pull at the sides of a: `free` always, `bound` where they bound the intersection, `outer` the hull.

    The loss depends on the union and the intersection as given; the union shrinks as the intersection grows.
    """
    zero = type(a.x0)(0)
    w = smaller(a.x1, b.x1) - larger(a.x0, b.x0)
    h = smaller(a.y1, b.y1) - larger(a.y0, b.y0)
    by_inter = zero if (w <= zero) | (h <= zero) else by_inter - by_union
    return Pull(by_inter * h, by_inter * w, zero, zero, by_union * (a.y1 - a.y0), by_union * (a.x1 - a.x0))


@inlined
def stretch(pull, by_width, by_height):
    """Add the pull of the hull to a pull."""
    outer_x, outer_y = pull.outer_x + by_width, pull.outer_y + by_height
    return Pull(pull.bound_x, pull.bound_y, outer_x, outer_y, pull.free_x, pull.free_y)


@inlined
def freed(pull, by_width, by_height):
    """Add the pull of the box's own width and height to a pull."""
    free_x, free_y = pull.free_x + by_width, pull.free_y + by_height
    return Pull(pull.bound_x, pull.bound_y, pull.outer_x, pull.outer_y, free_x, free_y)


@inlined
def corners(a, b, pull):
    """Return the gradient by the corners of a: a pull outwards at one side has the other sign at the opposite side."""
    half, zero = type(a.x0)(0.5), type(a.x0)(0)
    x, y = half * (pull.bound_x + pull.outer_x), half * (pull.bound_y + pull.outer_y)
    return Corners(
        zero - (chosen(a.x0, b.x0, pull.bound_x, pull.outer_x, x) + pull.free_x),
        zero - (chosen(a.y0, b.y0, pull.bound_y, pull.outer_y, y) + pull.free_y),
        chosen(b.x1, a.x1, pull.bound_x, pull.outer_x, x) + pull.free_x,
        chosen(b.y1, a.y1, pull.bound_y, pull.outer_y, y) + pull.free_y,
    )


@inlined
def iou(a, b):
    one = type(a.x0)(1)
    inter = intersection(a, b)
    union = a.area + b.area - inter
    value, inverse = ratio(inter, union), ratio(one, union)
    return one - value, corners(a, b, overlap(a, b, value * inverse, -inverse))


@inlined
def giou(a, b):
    """Compute 2 - I/U - U/C, with intersection I, union U and hull C, and its gradient."""
    one = type(a.x0)(1)
    inter = intersection(a, b)
    union = a.area + b.area - inter
    w, h = hull_sides(a, b)
    inverse, from_hull = ratio(one, union), ratio(one, w * h)
    pull = overlap(a, b, ratio(inter, union) * inverse - from_hull, -inverse)
    by_hull = union * from_hull * from_hull
    return one - formulas.giou(a, b, one), corners(a, b, stretch(pull, by_hull * h, by_hull * w))


@inlined
def apart(a, b):
    """Compute the pull of IoU and of the centres' squared distance over the hull's squared diagonal; and the move."""
    one, half, two = type(a.x0)(1), type(a.x0)(0.5), type(a.x0)(2)
    inter = intersection(a, b)
    union = a.area + b.area - inter
    inverse = ratio(one, union)
    pull = overlap(a, b, ratio(inter, union) * inverse, -inverse)
    w, h = hull_sides(a, b)
    dx = half * (a.x0 + a.x1) - half * (b.x0 + b.x1)
    dy = half * (a.y0 + a.y1) - half * (b.y0 + b.y1)
    inverse = ratio(one, w * w + h * h)
    by_hull = -two * ((dx * dx + dy * dy) * inverse * inverse)
    return stretch(pull, by_hull * w, by_hull * h), dx * inverse, dy * inverse


@inlined
def moved(g, dx, dy):
    """Add a gradient by the centre to a gradient by corners."""
    return Corners(g.x0 + dx, g.y0 + dy, g.x1 + dx, g.y1 + dy)


@inlined
def diou(a, b):
    one = type(a.x0)(1)
    pull, dx, dy = apart(a, b)
    return one - formulas.diou(a, b, one), moved(corners(a, b, pull), dx, dy)


@inlined
def ciou(a, b):
    """Compute 1 - CIoU and its gradient; the weight alpha is a constant, as in the paper and in torchvision."""
    one, two, scale = type(a.x0)(1), type(a.x0)(2), type(a.x0)(TWO_OVER_PI)
    pull, dx, dy = apart(a, b)
    turn = b.angle - a.angle
    v = turn * turn
    alpha = ratio(v, one - formulas.iou(a, b, one) + v)
    w, h = a.x1 - a.x0, a.y1 - a.y0
    steep = -two * alpha * turn * scale * ratio(one, w * w + h * h)  # of 2/pi atan(w / h)
    pull = freed(pull, steep * h, -steep * w)
    return one - formulas.ciou(a, b, one), moved(corners(a, b, pull), dx, dy)


@inlined
def eiou(a, b):
    one, two = type(a.x0)(1), type(a.x0)(2)
    pull, dx, dy = apart(a, b)
    w, h = hull_sides(a, b)
    by_w, by_h = ratio(one, w), ratio(one, h)
    u = ((a.x1 - a.x0) - (b.x1 - b.x0)) * by_w
    v = ((a.y1 - a.y0) - (b.y1 - b.y0)) * by_h
    by_w, by_h = two * u * by_w, two * v * by_h
    pull = freed(stretch(pull, -u * by_w, -v * by_h), by_w, by_h)
    return one - formulas.eiou(a, b, one), moved(corners(a, b, pull), dx, dy)


LOSSES = {
    name: {"loss_and_grad": globals()[name], "ANGLES": metric.angles} for name, metric in METRICS.items() if metric.loss
}
