"""Coordinates as fractions of an image's size, written so that they read back as exactly the same pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["shortest"]

# With at most this number of decimals, a fraction of integers in float64 is rounded once, like its text when read.
_MOST = 17


def shortest(pixels: NDArray[np.float64], size: NDArray[np.float64] | NDArray[np.int32], digits: int = 6) -> list[str]:
    """Return the shortest decimal ``d`` of each coordinate with ``float(d) * size == pixels`` in float64.

    Parameters
    ----------
    pixels : (n,) array of float64
        Finite.
    size : (n,) array
        Widths or heights of the images in pixels, above 0.
    digits : int
        Decimals to try first; one more at a time as long as the fraction reads back as other pixels.

    Returns
    -------
    list of str
        Without trailing zeros, and without an exponent. If no float64 gives these pixels, which can happen for pixels
        that were never a fraction, the full quotient, which reads back one unit in the last place away.

    Examples
    --------
    >>> import numpy as np
    >>> shortest(np.array([320.0, 0.1 * 640, 213.0]), np.array([640, 640, 640]))
    ['0.5', '0.1', '0.3328125']
    """
    pixels, size = np.asarray(pixels, np.float64), np.asarray(size, np.float64)
    texts = np.empty(len(pixels), object)
    left = np.arange(len(pixels))
    for places in range(digits, _MOST + 1):
        if not left.size:
            break
        scale = float(10**places)
        with np.errstate(over="ignore"):  # what becomes infinite reads back as other pixels
            fractions = np.rint(pixels[left] / size[left] * scale) / scale
            good = fractions * size[left] == pixels[left]
        texts[left[good]] = _formatted(fractions[good], places)
        left = left[~good]
    texts[left] = [_positional(value) for value in _nearest(pixels[left], size[left]).tolist()]
    found: list[str] = texts.tolist()
    return found


def _nearest(pixels: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the quotient, or a neighbour in float64 if only this gives the pixels back."""
    quotient = pixels / size
    best = quotient.copy()
    for limit in (np.inf, -np.inf):
        beside = np.nextafter(quotient, limit)
        better = (best * size != pixels) & (beside * size == pixels)
        best[better] = beside[better]
    return best


def _formatted(fractions: NDArray[np.float64], places: int) -> list[str]:
    texts = map(f"%.{places}f".__mod__, fractions.tolist())
    return [text.rstrip("0").rstrip(".") for text in texts] if places else list(texts)


def _positional(value: float) -> str:
    text = repr(value)
    return np.format_float_positional(value, trim="-") if "e" in text else text.removesuffix(".0")
