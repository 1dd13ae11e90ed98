"""Losses of boxes so large or small that plain formulas overflow or underflow, and their gradients.

They are computed as the values are, by :mod:`~fastbox.kernels.geometry.extremes`.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device, rebound
from fastbox.kernels.geometry import gradients
from fastbox.kernels.geometry.extremes import SLOW, along, angle, exponent, iou, longest, scaled, units, valid, widened
from fastbox.kernels.geometry.formulas import Box, larger, smaller
from fastbox.kernels.metrics import METRICS

DUST = 2.0**-448
ROOM = 900  # how far a coordinate may be, in powers of two, above a length that is measured in the same unit


@device
def without_dust(x):
    """Round a small number to a multiple of 2^-500: then no area above 0 has an infinite inverse."""
    return (x + DUST) - DUST if abs(x) < DUST else x


@device
def cleared(box):
    x0, y0, x1, y1 = without_dust(box.x0), without_dust(box.y0), without_dust(box.x1), without_dust(box.y1)
    return Box(x0, y0, x1, y1, (x1 - x0) * (y1 - y0), box.angle)


@device
def held(slope, T):
    """Cast a slope to a type, at most half of the greatest float: sums of two, for other formats, are finite too."""
    most = 0.5 * np.float64(np.nextafter(T(np.inf), T(0)))
    return T(smaller(larger(slope, -most), most))


def robust_loss_and_grad(a, b):
    """Compute the loss of two boxes of any size, and its gradient."""
    T = type(a.x0)
    loss, g = loss_and_grad(a, b)
    if loss == loss:
        return loss, g
    if not (valid(a) and valid(b)):
        nan = T(np.nan)
        return nan, gradients.Corners(nan, nan, nan, nan)
    p, q = widened(a), widened(b)
    ex, ey = units(p, q)
    if SQUARE:
        x_shift, w, _, _ = along(p.x0, p.x1, q.x0, q.x1)
        y_shift, h, _, _ = along(p.y0, p.y1, q.y0, q.y1)
        far = larger(larger(larger(-p.x0, p.x1), larger(-q.x0, q.x1)), larger(larger(-p.y0, p.y1), larger(-q.y0, q.y1)))
        ex = ey = max(longest(w, h, x_shift, y_shift), exponent(far) - ROOM)
    turned_p, turned_q = Box(p.x0, p.y0, p.x1, p.y1, 0.0, angle(p)), Box(q.x0, q.y0, q.x1, q.y1, 0.0, angle(q))
    _, steep = loss_and_grad(cleared(scaled(turned_p, ex, ey)), cleared(scaled(turned_q, ex, ey)))
    by_x0, by_x1 = np.ldexp(steep.x0, -ex), np.ldexp(steep.x1, -ex)
    by_y0, by_y1 = np.ldexp(steep.y0, -ey), np.ldexp(steep.y1, -ey)
    slopes = gradients.Corners(held(by_x0, T), held(by_y0, T), held(by_x1, T), held(by_y1, T))
    return T(1.0 - formula(p, q, 0.0)), slopes


# These are bound anew for each loss; here they are iou's. SQUARE: both axes must have one unit.
formula, loss_and_grad, SQUARE = iou, gradients.iou, False


def _bound_to_loss(name, bound):
    """Return the names that kernels are bound to for a loss."""
    slow = {"formula": SLOW[name], "SQUARE": not METRICS[name].by_axis}
    robust = device(rebound(robust_loss_and_grad, {**slow, "loss_and_grad": bound["loss_and_grad"]}, name))
    return {**bound, "robust": robust}


LOSSES = {name: _bound_to_loss(name, bound) for name, bound in gradients.LOSSES.items()}
robust_iou_loss_and_grad = LOSSES["iou"]["robust"]
