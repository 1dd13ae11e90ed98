"""Powers of two and their logarithms, to the nearest float: those of C libraries differ between processors."""

from __future__ import annotations

import math
from decimal import Context, Decimal
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["doublings", "logarithm_of_two", "power_of_two"]

_EXACT = Context(prec=30, traps=[])


@lru_cache(maxsize=1 << 15)
def power_of_two(exponent: float) -> float:
    """Return 2 to a finite power.

    >>> power_of_two(0.5), power_of_two(-3)
    (1.4142135623730951, 0.125)
    """
    return float(_EXACT.power(2, Decimal(exponent)))


@lru_cache(maxsize=1 << 15)
def logarithm_of_two(value: float) -> float:
    """Return the logarithm to base 2 of a finite number above 0.

    >>> logarithm_of_two(0.125), logarithm_of_two(3.0)
    (-3.0, 1.584962500721156)
    """
    fraction, exponent = math.frexp(value)
    return exponent - 1 + float(_EXACT.divide(_EXACT.ln(Decimal(2 * fraction)), _EXACT.ln(Decimal(2))))


@lru_cache(maxsize=16)
def doublings(first: int, last: int, parts: int = 1) -> NDArray[np.float64]:
    """Return the edges of bins from 2^first to 2^last, each doubling in ``parts`` bins.

    >>> doublings(-1, 1), doublings(0, 1, 2)
    (array([0.5, 1. , 2. ]), array([1.        , 1.41421356, 2.        ]))
    """
    steps = range(first * parts, last * parts + 1)
    edges = np.array([math.ldexp(power_of_two(step % parts / parts), step // parts) for step in steps])
    edges.flags.writeable = False
    return edges
