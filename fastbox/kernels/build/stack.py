"""Arrays on the stack, which nothing else can overlap."""

from __future__ import annotations

import numpy as np

ALIGNMENT = 64  # a cache line


def stack_array(like, count):
    """Return a vector of a constant count of elements, of another array's dtype, not initialised.

    The vector lives until the kernel returns, and must not leave it. The compiler knows that it overlaps no other
    array: loops over such vectors need no test for overlap, which takes as long as a short loop itself.
    """
    return np.empty(count, like.dtype)


def stack_doubles(count):
    """Return such a vector of float64."""
    return np.empty(count, np.float64)


def stack_columns(like, count):
    """Return four such vectors."""
    return stack_array(like, count), stack_array(like, count), stack_array(like, count), stack_array(like, count)


def stack_tile(like, rows, count):
    """Return such an array of two dimensions."""
    return np.empty((rows, count), like.dtype)
