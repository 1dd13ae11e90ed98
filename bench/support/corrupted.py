"""Truths with seeded mistakes: classes swapped, boxes dropped, shifted, added and doubled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Corrupted", "Truths", "corrupt"]

SHARE = 0.02  # of the truths that are no crowds, for each kind of mistake
SHIFTS = (0.2, 0.5)  # of width and of height, in either direction
JITTER = 0.05  # of width and height: the standard deviation of the sides of a duplicate


@dataclass
class Truths:
    """Truths in the order of their images: corners, ids of images, classes and crowds."""

    boxes: NDArray[Any]
    images: NDArray[np.int64]
    classes: NDArray[np.int64]
    crowd: NDArray[np.bool_]


@dataclass
class Corrupted:
    """Truths with mistakes, the rows of each kind, and the dropped truths."""

    truths: Truths
    rows: dict[str, NDArray[np.int64]]
    dropped: Truths


def corrupt(truths: Truths, seed: int) -> Corrupted:
    """Make mistakes of each kind in as many truths, none in the same truth twice."""
    rng = np.random.default_rng(seed)
    usable = np.flatnonzero(~truths.crowd)
    count = int(SHARE * len(usable))
    swapped, dropped, shifted, doubled, shapes = rng.permutation(usable)[: 5 * count].reshape(5, count)
    boxes, classes = truths.boxes.astype(np.float64), truths.classes.copy()
    kinds = np.unique(classes)
    places = np.searchsorted(kinds, classes[swapped])
    classes[swapped] = kinds[(places + rng.integers(1, len(kinds), count)) % len(kinds)]
    sides = boxes[:, 2:] - boxes[:, :2]
    moved = rng.uniform(*SHIFTS, (count, 2)) * rng.choice([-1, 1], (count, 2)) * sides[shifted]
    boxes[shifted] += np.tile(moved, 2)
    again = boxes[doubled] + rng.normal(0, JITTER, (count, 4)) * np.tile(sides[doubled], 2)
    again = np.concatenate([np.minimum(again[:, :2], again[:, 2:]), np.maximum(again[:, :2], again[:, 2:])], axis=1)
    where = rng.choice(np.unique(truths.images), count)
    corner = rng.uniform(0, 1, (count, 2)) * np.maximum([640, 480] - sides[shapes], 0)
    added = np.concatenate([corner, corner + sides[shapes]], axis=1)

    kept = np.setdiff1d(np.arange(len(boxes)), dropped)
    parts = (
        (boxes[kept], truths.images[kept], classes[kept], truths.crowd[kept]),
        (added, where, truths.classes[shapes], np.zeros(count, np.bool_)),
        (again, truths.images[doubled], truths.classes[doubled], np.zeros(count, np.bool_)),
    )
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(joined[1], kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    new = {row: at for at, row in enumerate(kept.tolist())}
    rows = {
        "wrong_class": place[[new[row] for row in swapped.tolist()]],
        "badly_placed": place[[new[row] for row in shifted.tolist()]],
        "spurious": place[len(kept) : len(kept) + count],
        "duplicate": place[len(kept) + count :],
    }
    gone = Truths(truths.boxes[dropped], truths.images[dropped], truths.classes[dropped], truths.crowd[dropped])
    return Corrupted(Truths(*(column[order] for column in joined)), rows, gone)
