"""Boxes of one image that are the same, nearly the same, or crowded: no matrix, and no list of all pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.container import Boxes, grouped
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.jobs.inspection.problems import Finding
from fastbox.jobs.inspection.view import View
from fastbox.ops import search as ops
from fastbox.values.groups import stable

__all__ = ["duplicates", "overlapping"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MULTIPLIERS = np.array(  # odd, drawn at random
    [0xDB2CD7E7B0F478BF, 0xABF4641A2C71BA49, 0x20C6ED6D9D7B8D41, 0x2C4099DE223C39D5, 0x08FED0759AD485FF], np.uint64
)


def overlapping(view: View, near: float, classes: bool) -> tuple[list[Finding], Floats]:
    """Find duplicates and near-duplicates; return for each box too its best IoU with another of its image.

    The other box of a duplicate is the first row of its image with its class and coordinates. Boxes that are not
    duplicates have two other boxes: the box of the class, and of the other classes, with the best IoU, the first at
    ties. Each such pair whose IoU is at least ``near`` is found once, at the later of its rows. The IoU is 0 where an
    image has one box, and nan for invalid boxes.
    """
    columns = [column + 0.0 for column in view.boxes.columns]  # so that -0 is 0
    repeated = _repeated([view.image, *columns], view.valid)
    firsts = _firsts(repeated, [view.image, *columns])
    distinct = np.ones(len(view.image), np.bool_)
    distinct[repeated] = firsts == repeated
    best = np.zeros(len(view.image))
    best[~view.valid] = np.nan
    rows = np.flatnonzero(distinct & view.valid)
    best[rows] = _best_other(view.boxes, view.image[rows], rows)[0]
    best[repeated] = np.where((view.w[repeated] > 0) & (view.h[repeated] > 0), 1.0, 0.0)

    same = _firsts(repeated, [view.image, *columns, view.codes])
    later = same != repeated
    copies = repeated[later]
    found = [Finding("duplicate", copies, np.full(len(copies), np.nan), same[later] + view.first_row)]
    close = best >= view.boxes.dtype.type(near)
    close[copies] = False
    rows = np.flatnonzero(close)
    keys = view.image[rows] * (len(view.labels) + 1) + view.codes[rows] + 1
    order = stable(keys, int(keys.max(initial=-1)) + 1)
    values, others = _best_other(view.boxes, keys[order], rows[order])
    found.append(_pairs("near_duplicate", rows[order], others, values, view, near))
    if classes and len(rows):
        values, others = _best_of_another_class(view, rows)
        found.append(_pairs("near_duplicate_other_class", rows, others, values, view, near))
    return found, best


def duplicates(image: Ints, columns: Sequence[NDArray[Any]], codes: Ints) -> Ints:
    """Return for each box the first row of its image with the same coordinates and class, most often its own row.

    Coordinates are finite.
    """
    firsts = np.arange(len(image))
    keys = [image, *(column + 0.0 for column in columns), codes]
    repeated = _repeated(keys[:-1], np.ones(len(image), np.bool_))
    firsts[repeated] = _firsts(repeated, keys)
    return firsts


def _repeated(keys: Sequence[NDArray[Any]], these: NDArray[np.bool_]) -> Ints:
    """Return the rows that share all their keys with another row, and a few more whose hashes are equal."""
    mixed = np.zeros(len(keys[0]), np.uint64)
    for key, multiplier in zip(keys, np.resize(MULTIPLIERS, len(keys)), strict=True):
        bits = key.astype(np.float64).view(np.uint64) if key.dtype.kind == "f" else key.view(np.uint64)
        mixed = (mixed ^ bits) * multiplier
        mixed ^= mixed >> np.uint64(29)
    rows = np.flatnonzero(these)
    hashes = np.sort(mixed[rows])
    twice = np.unique(hashes[1:][hashes[1:] == hashes[:-1]])
    if not len(twice):
        return np.zeros(0, np.int64)
    places = np.minimum(np.searchsorted(twice, mixed[rows]), len(twice) - 1)
    repeated: Ints = rows[twice[places] == mixed[rows]]
    return repeated


def _firsts(rows: Ints, keys: Sequence[NDArray[Any]]) -> Ints:
    """Return for each of some ascending rows the first row with the same keys."""
    order = np.lexsort([rows, *(key[rows] for key in keys)])
    fresh = np.ones(len(rows), np.bool_)
    if len(rows):
        fresh[1:] = np.logical_or.reduce([key[rows[order]][1:] != key[rows[order]][:-1] for key in keys])
    firsts = np.empty(len(rows), np.int64)
    firsts[order] = rows[order][np.flatnonzero(fresh)[np.cumsum(fresh) - 1]]
    return firsts


def _best_other(boxes: Boxes | RotatedBoxes, keys: Ints, rows: Ints) -> tuple[Floats, Ints]:
    """Return for each of some rows the best IoU with another row of its group, and that row, -1 without one.

    ``keys`` are the numbers of the rows' groups, ascending.
    """
    groups = grouped(boxes[rows], keys)
    # A box has its best IoU with itself; without this value, the best IoU is the best with another box.
    values, indices = ops.top(groups, groups, 2)
    itself = indices[:, 0] == np.arange(len(rows))
    other = np.where(itself, indices[:, 1], indices[:, 0])
    return np.nan_to_num(values[:, 1].astype(np.float64), nan=0.0), np.where(other >= 0, rows[other], -1)


def _best_of_another_class(view: View, rows: Ints) -> tuple[Floats, Ints]:
    """Return for each of some rows the best IoU with a row of its image and another class, and that row.

    Two classes differ in a bit of their numbers: the best over all bits of the best with the boxes that have the other
    value there.
    """
    image, codes = view.image[rows], view.codes[rows] + 1
    values, others = np.full(len(rows), -1.0), np.full(len(rows), -1)
    for bit in range(int(codes.max()).bit_length()):
        side = (codes >> bit) & 1
        a, b = 2 * image + side, 2 * image + 1 - side
        order_a, order_b = np.argsort(a, kind="stable"), np.argsort(b, kind="stable")
        sides = [grouped(view.boxes[rows[order]], keys[order]) for keys, order in ((a, order_a), (b, order_b))]
        # Not ops.best, whose kernel takes 3 s to compile: the one of ops.top has been compiled already.
        found = ops.top(sides[0], sides[1], 1)
        met = found.indices[:, 0] >= 0
        mine, candidate = order_a[met], rows[order_b[found.indices[met, 0]]]
        value = found.values[met, 0].astype(np.float64)
        better = (value > values[mine]) | ((value == values[mine]) & (candidate < others[mine]))
        values[mine[better]], others[mine[better]] = value[better], candidate[better]
    return values, others


def _pairs(code: str, rows: Ints, others: Ints, values: Floats, view: View, near: float) -> Finding:
    """Return the near pairs of rows, each pair once, by the later row."""
    close = (others >= 0) & (values >= view.boxes.dtype.type(near))
    low, high = np.minimum(rows, others)[close], np.maximum(rows, others)[close]
    _, once = np.unique(high * len(view.image) + low, return_index=True)
    return Finding(code, high[once], values[close][once], low[once] + view.first_row)
