"""Relative coordinates as text that reads back as the very same pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["shortest"]

MOST_DIGITS = 15


def shortest(pixels: NDArray[np.float64], size: NDArray[np.generic], digits: int = 6) -> list[str]:
    """Return decimals d with ``float(d) * size == pixels``, with as few digits from ``digits`` on as that takes.

    Not every float64 is the product of a size and a float64: up to one in six of arbitrary pixels is none. Its d is
    the repr of the ratio, whose product is one unit in the last place away. What was read from decimals comes back.

    Examples
    --------
    >>> import numpy as np
    >>> shortest(np.array([320.0, 213.25]), np.array([640, 640]))
    ['0.500000', '0.333203125']
    """
    sizes = np.asarray(size, np.float64)
    with np.errstate(all="ignore"):
        ratio = np.asarray(pixels / sizes)
        texts = np.empty(len(ratio), object)
        left = np.arange(len(ratio))
        for more in range(digits, MOST_DIGITS + 1):
            rounded = np.round(ratio[left], more)
            same = rounded * sizes[left] == pixels[left]
            texts[left[same]] = [f"{value:.{more}f}" for value in rounded[same].tolist()]
            left = left[~same]
        texts[left] = list(map(repr, ratio[left].tolist()))
        for towards in (-np.inf, np.inf):
            near = np.nextafter(ratio[left], towards)
            same = near * sizes[left] == pixels[left]
            texts[left[same]] = list(map(repr, near[same].tolist()))
        # Rounding may miss by a bit what the text of large numbers reads back as.
        for i in np.flatnonzero(np.array(list(map(float, texts.tolist()))) * sizes != pixels).tolist():
            texts[i] = repr(float(ratio[i]))
    return list(texts.tolist())
