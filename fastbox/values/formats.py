"""Formats of boxes: their names, their names in other libraries, and a check for sizes that are given as corners."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.kernels.codes import FORMATS
from fastbox.values.numbers import shown

__all__ = ["ALIASES", "FORMATS", "Columns", "as_format", "looks_like_sizes"]

ALIASES = {"ltrb": "xyxy", "tlbr": "xyxy", "ltwh": "xywh", "tlwh": "xywh"}  # of left and top, as trackers say them
THEIRS = {"coco": "xywh", "pascal_voc": "xyxy", "voc": "xyxy", "yolo": "rel_cxcywh", "albumentations": "rel_xyxy"}

Columns = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]

SAMPLE = 512  # boxes, evenly among all: looking at more would be felt in calls of some thousand boxes
GLANCE = 64  # boxes: where hardly an eighth of these is inverted, most of them all are not


def as_format(name: str) -> str:
    """Return the name of a format without aliases; the prefix ``rel_`` stays.

    ``ltrb`` and ``tlbr`` are ``xyxy``, ``ltwh`` and ``tlwh`` are ``xywh``: left and top come first in all of them.

    Raises
    ------
    ValueError
        There is no such format.

    Examples
    --------
    >>> as_format("tlwh"), as_format("rel_cxcywh")
    ('xywh', 'rel_cxcywh')
    """
    if isinstance(name, str) and name in FORMATS:
        return name
    plain = str(name).removeprefix("rel_")
    found = ALIASES.get(plain, plain)
    if found not in FORMATS:
        known = ", ".join((*FORMATS, *ALIASES))
        lower = name.lower() if isinstance(name, str) else ""
        meant = THEIRS.get(lower, lower if lower.removeprefix("rel_") in (*FORMATS, *ALIASES) else "")
        hint = f"; did you mean {meant!r}?" if meant else ""
        raise ValueError(f"expected a format of {known}, or one of them with rel_ in front, got {shown(name)}{hint}")
    return found if plain == name else f"rel_{found}"


def looks_like_sizes(columns: Columns, format: str) -> bool:
    """Tell whether most boxes of a sample are inverted as corners and would be valid as x, y, width, height."""
    if format != "xyxy" or not len(columns[0]):
        return False
    x0, y0, x1, y1 = columns
    if len(x0) > SAMPLE:
        step = -(-len(x0) // GLANCE)
        inverted = np.count_nonzero(x1[::step] < x0[::step]) + np.count_nonzero(y1[::step] < y0[::step])
        if 8 * inverted * step <= len(x0):
            return False
        step = -(-len(x0) // SAMPLE)
        x0, y0, x1, y1 = x0[::step], y0[::step], x1[::step], y1[::step]
    narrow, flat = x1 < x0, y1 < y0
    if 2 * (np.count_nonzero(narrow) + np.count_nonzero(flat)) <= len(x0):
        return False
    with np.errstate(invalid="ignore", over="ignore"):
        valid = (x1 >= 0) & (y1 >= 0) & np.isfinite(x0 + y0 + x1 + y1)
    return bool(2 * np.count_nonzero((narrow | flat) & valid) > len(x0))
