"""Numbers of JSON as float64, rounded correctly: by one operation where it is exact, else by Eisel and Lemire."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device
from fastbox.kernels.build.masks import eight

LARGEST = 64  # the greatest power of ten that the table has, up and down; others are left to the caller
MOST_DIGITS = 18  # of a significand that int64 holds for sure

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
ONE = np.uint64(1)

# Powers of ten in whole numbers, for the digits behind a point.
WHOLE_POWERS = np.array([10**power for power in range(MOST_DIGITS + 1)])

# Powers of ten that float64 holds exactly.
EXACT = np.array([float(10**power) for power in range(23)])


def _power(power: int) -> int:
    """Return the first 128 bits of a power of ten, rounded down for positive powers, up for negative ones."""
    if power >= 0:
        whole: int = 10**power
        size = whole.bit_length()
        return whole << 128 - size if size <= 128 else whole >> size - 128
    whole = int(10**-power)
    return (1 << 127 + whole.bit_length()) // whole + 1


POWERS = np.array(
    [[_power(power) >> 64, _power(power) & (1 << 64) - 1] for power in range(-LARGEST, LARGEST + 1)], np.uint64
)


@device
def few_digits(data, at, count):
    """Return the number that 1 to 8 digits make: pairs of digits, then pairs of pairs, then both halves at once."""
    word = eight(data, at) << np.uint64(64 - 8 * count)
    word = ((word & np.uint64(0x0F0F0F0F0F0F0F0F)) * np.uint64(2561)) >> np.uint64(8)
    word = ((word & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(6553601)) >> np.uint64(16)
    return np.int64(((word & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(42949672960001)) >> np.uint64(32))


@device
def some_digits(data, at, count):
    """Return the number that 1 to 18 digits make."""
    if count <= 8:
        return few_digits(data, at, count)
    if count <= 16:
        return few_digits(data, at, count - 8) * 100_000_000 + few_digits(data, at + count - 8, 8)
    first = few_digits(data, at, count - 16) * 100_000_000 + few_digits(data, at + count - 16, 8)
    return first * 100_000_000 + few_digits(data, at + count - 8, 8)


@device
def product(a, b):
    """Return the high and the low 64 bits of a product."""
    a_high, a_low, b_high, b_low = a >> HALF, a & LOW, b >> HALF, b & LOW
    low, middle, other, high = a_low * b_low, a_high * b_low, a_low * b_high, a_high * b_high
    carried = (low >> HALF) + (middle & LOW) + (other & LOW)
    return high + (middle >> HALF) + (other >> HALF) + (carried >> HALF), carried << HALF | low & LOW


@device
def rounded(significand, power):
    """Return the float64 nearest to significand * 10**power, for 0 < significand < 2**63; -1.0 if that takes more bits.

    As in D. Lemire, Number Parsing at a Gigabyte per Second, 2021.
    """
    if power < -LARGEST or power > LARGEST:
        return -1.0
    size = (np.float64(significand).view(np.int64) >> 52) - 1022  # one too many where the conversion rounds up
    shift = 64 - size
    shifted = np.uint64(significand) << np.uint64(shift)
    if shifted >> np.uint64(63) == 0:
        shift += 1
        shifted = shifted << ONE
    high, low = product(shifted, POWERS[power + LARGEST, 0])
    if high & np.uint64(0x1FF) == np.uint64(0x1FF):
        more, _ = product(shifted, POWERS[power + LARGEST, 1])
        if more > ALL - low:
            high += ONE
            low = more - (ALL - low) - ONE
        else:
            low += more
    if low == ALL or (low <= ONE and -4 <= power <= 23):
        return -1.0  # perhaps halfway between two numbers
    upper = high >> np.uint64(63)
    bits = high >> (upper + np.uint64(9))
    bits += bits & ONE
    bits = bits >> ONE
    exponent = (217706 * power >> 16) + 63 + np.int64(upper) - shift + 1023
    if bits >> np.uint64(53) != 0:
        bits = bits >> ONE
        exponent += 1
    return np.int64((np.uint64(exponent) << np.uint64(52)) | (bits & np.uint64((1 << 52) - 1))).view(np.float64)


@device
def scaled(significand, power):
    """Return the float64 nearest to significand * 10**power, for 0 <= significand < 2**63; -1.0 if it is not found."""
    if significand <= 1 << 53:
        if 0 <= power <= 22:
            return float(significand) * EXACT[power]
        if -22 <= power < 0:
            return float(significand) / EXACT[-power]
        if significand == 0:
            return 0.0
    return rounded(significand, power)
