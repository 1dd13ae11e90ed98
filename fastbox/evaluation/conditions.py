"""Conditions on truths: those that do not meet all of them are ignored."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple

__all__ = ["SIDES", "Condition", "conditions", "met"]

SIDES = ("width", "height")  # of boxes; other names are columns
SIGNS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
FORM = re.compile(r"\s*([A-Za-z_]\w*)\s*(>=|<=|>|<)\s*(\S+)\s*")


class Condition(NamedTuple):
    """A comparison of a column, or of the width or height of a box, with a number."""

    name: str
    sign: str
    value: float


@cache
def conditions(text: str) -> tuple[Condition, ...]:
    """Read conditions, with commas between them.

    >>> [tuple(found) for found in conditions("height >= 50, visibility>=0.65")]
    [('height', '>=', 50.0), ('visibility', '>=', 0.65)]
    """
    found = []
    for part in filter(str.strip, text.split(",")):
        match = FORM.fullmatch(part)
        try:
            value = float(match[3]) if match else np.nan
        except ValueError:
            value = np.nan
        if match is None or np.isnan(value):
            raise ValueError(
                f"expected conditions on truths, got {part.strip()!r}: compare a column, width or height with a "
                "number, as height>=50,visibility>=0.65"
            )
        found.append(Condition(match[1], match[2], value))
    return tuple(found)


def met(
    asked: Sequence[Condition],
    width: NDArray[np.float64],
    height: NDArray[np.float64],
    numbers: Mapping[str, NDArray[np.float64]],
) -> NDArray[np.bool_]:
    """Return a flag for each truth that meets all conditions; one without a value meets none on this column."""
    every = {**numbers, "width": width, "height": height}
    kept = np.ones(len(height), np.bool_)
    for name, sign, value in asked:
        kept &= SIGNS[sign](every[name], value)
    return kept
