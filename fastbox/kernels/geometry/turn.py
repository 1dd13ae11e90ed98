"""Sine and cosine of plain IEEE operations: the same bits on every processor.

The angle is reduced by quarter turns (Cody and Waite), the rest is at most 45 degrees and has Taylor's series. Both
results are within 0.81 units of the last place, for radians and degrees; multiples of 90 degrees are exact. A C
library's functions change their last bit with the processor.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.bits import bits_of
from fastbox.kernels.build.device import inlined
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import f8, readonly, vector
from fastbox.kernels.codes import MOST_DEGREES, MOST_RADIANS
from fastbox.kernels.geometry.elementary import WHOLE

# Half of pi in three parts of 33, 33 and 53 bits: products with whole numbers below 2^20 are exact.
HALF_PI, HALF_PI_REST, HALF_PI_LAST = 1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21
TWO_OVER_PI = 0.6366197723675814
PER_DEGREE, PER_DEGREE_REST = 0.017453292519943295, 2.9486522708701687e-19  # radians
SPLIT = 2.0**27 + 1.0  # times a float64 leaves the upper half of its bits (Dekker)


@inlined
def upper_half(x):
    """Return a float64 without the lower half of its bits."""
    t = SPLIT * x
    return t - (t - x)


@inlined
def series(r, rest):
    """Compute sine and cosine of r + rest by Taylor's series, whose remainder is below 2^-60; |r| is at most pi / 4."""
    z = r * r
    s = -8.22063524662433e-18 * z + 2.8114572543455206e-15
    s = s * z + -7.647163731819816e-13
    s = s * z + 1.6059043836821613e-10
    s = s * z + -2.505210838544172e-08
    s = s * z + 2.7557319223985893e-06
    s = s * z + -0.0001984126984126984
    s = s * z + 0.008333333333333333
    s = s * z + -0.16666666666666666
    c = 4.110317623312165e-19 * z + -1.5619206968586225e-16
    c = c * z + 4.779477332387385e-14
    c = c * z + -1.1470745597729725e-11
    c = c * z + 2.08767569878681e-09
    c = c * z + -2.755731922398589e-07
    c = c * z + 2.48015873015873e-05
    c = c * z + -0.001388888888888889
    c = c * z + 0.041666666666666664
    half = 0.5 * z
    whole = 1.0 - half
    return r + (r * z * s + rest), whole + (((1.0 - whole) - half) + (z * z * c - r * rest))


@inlined
def by_quarters(sine, cosine, turns):
    """Turn a sine and a cosine by quarter turns, the last bits of `turns`."""
    quarter = bits_of(turns) & 3
    odd = (quarter & 1) == 1
    s, c = cosine if odd else sine, sine if odd else cosine
    s = -s if quarter >= 2 else s
    c = -c if (quarter == 1) | (quarter == 2) else c
    return s, c


@inlined
def sincos(angle):
    """Compute sine and cosine of an angle in radians; nan beyond 2^20."""
    angle = angle if abs(angle) <= MOST_RADIANS else np.nan
    turns = angle * TWO_OVER_PI + WHOLE
    n = turns - WHOLE
    most, less = angle - n * HALF_PI, n * HALF_PI_REST
    first = most - less
    rest = ((most - first) - less) - n * HALF_PI_LAST
    r = first + rest
    sine, cosine = series(r, (first - r) + rest)
    return by_quarters(sine, cosine, turns)


@inlined
def sincos_degrees(angle):
    """Compute sine and cosine of an angle in degrees; nan beyond 2^20 radians."""
    angle = angle if abs(angle) <= MOST_DEGREES else np.nan
    turns = angle / 90.0 + WHOLE
    d = angle - 90.0 * (turns - WHOLE)
    r = d * PER_DEGREE
    upper, above = upper_half(d), upper_half(PER_DEGREE)
    lower, below = d - upper, PER_DEGREE - above
    rest = ((upper * above - r) + upper * below + lower * above) + lower * below + d * PER_DEGREE_REST
    sine, cosine = series(r, rest)
    return by_quarters(sine, cosine, turns)


def turns(angles, degrees, sines, cosines):
    """Write the sine and the cosine of each angle."""
    for j in range(angles.size):
        if degrees:
            sines[j], cosines[j] = sincos_degrees(angles[j])
        else:
            sines[j], cosines[j] = sincos(angles[j])


TURNS = Kernel(turns, lambda t: types.void(readonly(f8), types.boolean, vector(f8), vector(f8)), {"": {}})
