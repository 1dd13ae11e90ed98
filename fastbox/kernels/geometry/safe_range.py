"""Which boxes plain formulas can't overflow or underflow for, and how to tell of many at once that all are such."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastbox.kernels.build.kernel import device
from fastbox.kernels.geometry.metrics import larger, smaller

# On each axis, what lies farthest from the origin lies there or between these: no square and no product of sides leaves
# float32 then, be it of a box or a hull.
LEAST, MOST = 2.0**-38, 2.0**60


@device
def usual_area(x0, y0, x1, y1):
    """The area of a box; nan if it is invalid, or lies beyond LEAST and MOST."""
    zero, least, most, nan = type(x0)(0), type(x0)(LEAST), type(x0)(MOST), type(x0)(np.nan)
    w, h = x1 - x0, y1 - y0
    x, y = larger(-x0, x1), larger(-y0, y1)
    usual = ((x >= least) | (x == zero)) & ((y >= least) | (y == zero)) & (x <= most) & (y <= most)
    return w * h if (w >= zero) & (h >= zero) & usual else nan


def order(x):
    """The bits of a float as an integer: from 0 on as the floats are; what is below 0 and nan lie above them all."""
    return x.view(np.uint32 if x.itemsize == 4 else np.uint64)


def order_less_one(x):
    """As order, less one: that of 0 lies above all."""
    bits = order(x)
    return bits - type(bits)(1) if bits else ~bits


def _ordered(less):
    def typed(typing, x):
        width = x.bitwidth
        element = ir.IntType(width)

        def emit(context, builder, signature, arguments):
            return builder.sub(builder.bitcast(arguments[0], element), element(less))

        return (types.uint32 if width == 32 else types.uint64)(x), emit

    return typed


_order, _order_less_one = intrinsic(_ordered(0)), intrinsic(_ordered(1))


@overload(order)
def _overload_order(x):
    return lambda x: _order(x)


@overload(order_less_one)
def _overload_order_less_one(x):
    return lambda x: _order_less_one(x)


# Integers have maxima and minima that vectorise, and comparisons of them do not have to be joined.


@device
def nothing_seen(zero):
    return order(zero), order_less_one(zero)


@device
def seen(top, low, x0, y0, x1, y1):
    """The highest and the lowest of what boxes are judged by, with one more box."""
    x, y = larger(-x0, x1), larger(-y0, y1)
    top = larger(larger(top, larger(order(x1 - x0), order(y1 - y0))), larger(order(x), order(y)))
    return top, smaller(low, smaller(order_less_one(x), order_less_one(y)))


@device
def all_usual(top, low, zero):
    """Whether all boxes seen are valid and usual; where not, each has still to be looked at."""
    return (top <= order(type(zero)(MOST))) & (low >= order_less_one(type(zero)(LEAST)))
