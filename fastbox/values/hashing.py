"""Hashes of 64-bit integers: splitmix64 (Steele et al., OOPSLA 2014)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["GOLDEN", "splitmix64"]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the distance of one state of the generator from the next


def splitmix64(states: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the output of the generator for each state: a bijection, so that no two states have the same output.

    Examples
    --------
    >>> import numpy as np
    >>> splitmix64(np.array([GOLDEN])).tolist()  # the first output of the seed 0
    [16294208416658607535]
    """
    mixed = (states ^ (states >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    outputs: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return outputs
