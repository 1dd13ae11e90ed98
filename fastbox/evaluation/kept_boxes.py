"""The boxes of an evaluation, kept in the form in which they were matched, so that they can be matched again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.matching import Found, Wanted
from fastbox.evaluation.sides import Detections, GroundTruths
from fastbox.kernels.codes import CLASS_MASK

__all__ = ["KeptBoxes"]

MODEL_BITS = 32  # the code of a class is in the bits below
OTHERS = ("boxes", "bounds", "order", "numbers")  # fields without one value for each row

Side = TypeVar("Side", Found, Wanted)

NO_ROWS: NDArray[Any] = np.empty(0, np.int64)
NO_BOXES = (np.empty(0), np.empty(0), np.empty(0), np.empty(0))
NO_FLAGS, NO_BITS, NO_IMAGES = NO_ROWS.astype(np.bool_), NO_ROWS.astype(np.uint32), np.zeros(1, np.int64)
NO_FOUND = Found(NO_BOXES, NO_ROWS, np.empty(0), NO_BITS, NO_IMAGES, NO_ROWS)
NO_WANTED = Wanted(NO_BOXES, NO_ROWS, NO_FLAGS, NO_FLAGS, NO_BITS, NO_IMAGES, NO_ROWS, {})


class KeptBoxes:
    """Detections and truths of all images that were added, set by set."""

    def __init__(self, sets: Sequence[tuple[Found, Wanted]] = ()) -> None:
        self._sets = list(sets)

    def add(self, found: Found, wanted: Wanted, detections: Detections, truths: GroundTruths) -> None:
        """Add whole images that were prepared for matching, without the rows that are left out."""
        self._sets.append((_of_rows(found, ~detections.left_out), _of_rows(wanted, ~truths.left_out)))

    def joined(self, other: KeptBoxes, kinds: NDArray[np.int64], models: NDArray[np.int64]) -> KeptBoxes:
        """Return the boxes of both, given the new codes of the other's classes and models."""
        both = KeptBoxes(self._sets)
        for found, wanted in other._sets:
            codes = models[found.codes >> MODEL_BITS] << MODEL_BITS | kinds[found.codes & CLASS_MASK]
            both._sets.append((found._replace(codes=codes), wanted._replace(kinds=kinds[wanted.kinds])))
        return both

    def of_model(
        self, model: int, places: Callable[[NDArray[Any]], NDArray[np.int64]]
    ) -> tuple[Found, Wanted, NDArray[np.int64]]:
        """Return the detections of a model, all truths, and the rows of the detections among those of all models.

        The model is given by its code; codes of classes become their places.
        """
        found, wanted = map(_joined, zip(*(self._sets or [(NO_FOUND, NO_WANTED)]), strict=True))
        own = found.codes >> MODEL_BITS == model
        found = _of_rows(found, own)
        found = found._replace(codes=places(found.codes & CLASS_MASK))
        return found, wanted._replace(kinds=places(wanted.kinds)), np.flatnonzero(own)


def _of_rows(side: Side, rows: NDArray[np.bool_]) -> Side:
    """Return the rows of some flags, numbered from 0."""
    if rows.all():
        return side
    numbers = np.concatenate(([0], np.cumsum(rows)))
    columns: dict[str, Any] = {name: column[rows] for name, column in side._asdict().items() if name not in OTHERS}
    x, y, w, h = (column[rows] for column in side.boxes)
    bounds, order = numbers[side.bounds], numbers[side.order[rows[side.order]]]
    return side._replace(boxes=(x, y, w, h), bounds=bounds, order=order, **columns)


def _joined(sides: Sequence[Side]) -> Side:
    """Return the rows of all sides, in their order."""
    first = sides[0]
    starts: list[int] = np.cumsum([0, *(len(side.order) for side in sides)]).tolist()
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(side, name) for side in sides]) for name in first._fields if name not in OTHERS
    }
    x, y, w, h = (np.concatenate(column) for column in zip(*(side.boxes for side in sides), strict=True))
    bounds = np.concatenate(([0], *(side.bounds[1:] + start for side, start in zip(sides, starts, strict=False))))
    order = np.concatenate([side.order + start for side, start in zip(sides, starts, strict=False)])
    return first._replace(boxes=(x, y, w, h), bounds=bounds, order=order, **columns)
