"""Arctangent, exponential and logarithm of plain IEEE operations: the same bits on every processor.

The functions of a C library change their last bit with the processor. The functions of this module are within one unit
of the last place of float64; for float32 they are computed in float64 and rounded at the end. They have neither branch
nor call, so that they vectorise.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.bits import bits_of, float_of
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import vector

TWO_OVER_PI = 0.6366197723675814
TAN_EIGHTH = 0.41421356237309503  # of pi/8
LN2, LN2_REST, PER_LN2 = 0.6931471803691238, 1.9082149292705877e-10, 1.4426950408889634  # of LN2 32 bits are 0
WHOLE = 1.5 * 2.0**52  # added and subtracted again rounds to a whole number, which the last bits of the sum hold
SQRT_HALF = 0x3FE6A09E667F3BCD  # bits
FRACTION = 52  # bits of a float64 behind its exponent
BIAS = 1023


@inlined
def atan(x):
    """Compute the arctangent of a float64.

    A size from 7/16 on is turned back by the arctangent of 1/2, 1, 3/2 or infinity, the nearest; the rest is at most
    7/16 and has a polynomial, the Chebyshev interpolant of (atan(t) / t - 1) / t².
    """
    size = abs(x)
    low, half, one, most = size < 0.4375, size < 0.6875, size < 1.1875, size < 2.4375
    above = size if low else (2.0 * size - 1.0 if half else (size - 1.0 if one else (size - 1.5 if most else -1.0)))
    below = 1.0 if low else (2.0 + size if half else (1.0 + size if one else (1.0 + 1.5 * size if most else size)))
    turned = 0.9827937232473290 if most else 1.5707963267948966
    rest = 1.3903311031230998e-17 if most else 6.123233995736766e-17
    turned, rest = 0.7853981633974483 if one else turned, 3.061616997868383e-17 if one else rest
    turned, rest = 0.4636476090008061 if half else turned, 2.2698777452961687e-17 if half else rest
    turned, rest = 0.0 if low else turned, 0.0 if low else rest
    t = above / below
    u = t * t
    series = 0.01476642155379467
    series = series * u - 0.033121323310643644
    series = series * u + 0.044919637149159995
    series = series * u - 0.05216607416783708
    series = series * u + 0.0587693549653035
    series = series * u - 0.06666240859375808
    series = series * u + 0.0769228548876496
    series = series * u - 0.09090908353049669
    series = series * u + 0.11111111096587765
    series = series * u - 0.1428571428556615
    series = series * u + 0.19999999999999407
    series = series * u - 0.3333333333333333
    found = turned + ((t * u * series + rest) + t)
    return found if x > 0.0 else (-found if x < 0.0 else x)


@inlined
def aspect(w, h):
    """Compute 2/pi times the arctangent of width over height: 1 without height, 0 of a point."""
    if is_single(w):
        tangent, back = rest_of_turn(np.float64(w), np.float64(h))
        return type(w)(turned(tangent, back))
    slope = np.float64(w) / abs(np.float64(h)) if w > type(w)(0) else 0.0  # a height may be -0
    return type(w)(TWO_OVER_PI * atan(slope))


@device
def is_single(x):
    """Return whether a number is a float32, which the compiler knows."""
    return type(x)(1.0 + 2.0**-52) == type(x)(1)


@device
def epsilon(x):
    """Return the distance of 1 from the next number of a number's dtype."""
    return type(x)(2.0**-23) if is_single(x) else type(x)(2.0**-52)


@inlined
def rest_of_turn(w, h):
    """Turn the diagonal of two sides back by 0, 1/2 or 1, the nearest; return the tangent of the rest, and the turn.

    The tangent is at most tan(pi/8), and takes the one division.
    """
    narrow, flat = w <= TAN_EIGHTH * h, h <= TAN_EIGHTH * w
    x, y = 0.0 if flat else w, 0.0 if flat else h
    above, below = x if narrow else x - h, y if narrow else y + w
    back = 0.0 if narrow else (1.0 if flat else 0.5)
    return above / below if w > 0.0 else 0.0, back


@inlined
def turned(tangent, back):
    """Compute the aspect of what :func:`rest_of_turn` returns, to 5 units of the last place: enough for float32.

    The polynomial is the Chebyshev interpolant of 2/pi atan(t) / t.
    """
    u = tangent * tangent
    v = u * u
    low = (0.6366197723675813 - 0.21220659078916262 * u) + v * (0.12732395446622766 - 0.0909456811000147 * u)
    mid = (0.07073549887349968 - 0.05787365885438766 * u) + v * (0.04895576443052839 - 0.042273042021090265 * u)
    high = (0.03621315531577862 - 0.027680558432656155 * u) + v * 0.013455194384385182
    return back + tangent * (low + v * v * (mid + v * v * high))


@inlined
def power(n):
    """Compute 2 to the power of a whole number, given as a float64, between -1022 and 1023."""
    return float_of((bits_of(n + WHOLE) + BIAS) << FRACTION)


@inlined
def exp(x):
    """Compute the exponential of a float64: 2^n e^r, where r is at most ln(2) / 2."""
    x = -746.0 if x < -746.0 else x
    x = 710.0 if x > 710.0 else x
    n = (x * PER_LN2 + WHOLE) - WHOLE
    most, little = x - n * LN2, n * LN2_REST
    r = most - little
    rest = (most - r) - little
    square = r * r
    fourth = square * square  # side by side, for a long chain of terms would be waited for
    first = (0.5 + r * 0.16666666666666666) + square * (0.04166666666666668 + r * 0.008333333333333333)
    second = (0.0013888888888879054 + r * 0.00019841269841263285) + square * (
        2.480158733649766e-05 + r * 2.755731924725567e-06
    )
    third = (2.7557263219790347e-07 + r * 2.505207105477011e-08) + square * (
        2.09181596693241e-09 + r * 1.6086642574672407e-10
    )
    series = first + fourth * (second + fourth * third)
    found = 1.0 + (r + (square * series + rest))
    half = (0.5 * n + WHOLE) - WHOLE  # in two steps, for n may be beyond both ends
    return found * power(half) * power(n - half)


@device
def log(x):
    """Compute the natural logarithm of a float64: n ln(2) + log(1 + f), 1 + f between the roots of 1/2 and 2."""
    small = x < 2.0**-1022
    bits = bits_of(x * 2.0**54 if small else x)
    n = (bits - SQRT_HALF) >> FRACTION
    f = float_of(bits - (n << FRACTION)) - 1.0
    whole = np.float64(n) - (54.0 if small else 0.0)
    s = f / (2.0 + f)
    z = s * s
    series = 0.1308723619665962
    series = series * z + 0.13268714792348096
    series = series * z + 0.15386241881938595
    series = series * z + 0.18181795600060793
    series = series * z + 0.22222222392089008
    series = series * z + 0.28571428570801954
    series = series * z + 0.4000000000000088
    series = series * z + 0.6666666666666666
    half = 0.5 * f * f
    found = whole * LN2 - ((half - (s * (half + z * series) + whole * LN2_REST)) - f)
    found = found if x > 0.0 else (-np.inf if x == 0.0 else np.nan)
    return found if x < np.inf else x


def mapped(values, out):
    """Write a function of each value."""
    for j in range(values.size):
        out[j] = function(values[j])


function = exp  # Kernel binds each in turn

FUNCTIONS = Kernel(
    mapped,
    lambda t: types.void(vector(types.float64), vector(types.float64)),
    {"atan": {"function": atan}, "exp": {"function": exp}, "log": {"function": log}},
)
