"""The points of a chunk's images assigned to its truths, alone or by raw predictions as they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.anchors import PointGrid
from fastbox.anchors.letterbox import Letterbox, Placed
from fastbox.assign.match import match
from fastbox.assign.point_rule import PointRule
from fastbox.boxes.container import Boxes
from fastbox.errors import InputError
from fastbox.jobs.letterboxed import Letterboxed
from fastbox.tables.raw import RawFacts, RawRow

__all__ = ["Detector", "MatchedPoints", "Predictions", "by_truths"]

TOGETHER = 16 << 20  # bytes of predictions that are assigned side by side: larger ones leave the cache
AT_ONCE = 32  # images that are assigned side by side


class Detector(NamedTuple):
    """The grid and rule of a detector, its input, and whether this input was asked for."""

    grid: PointGrid
    rule: PointRule
    letterbox: Letterbox
    asked: bool


class MatchedPoints(NamedTuple):
    """The positive points of some images of a chunk.

    Attributes
    ----------
    images : array of int64
        The numbers of the images in the chunk, ascending.
    placed : Placed
        These images in their inputs.
    positives : tuple of arrays
        For each positive point its image among these, its number, its truth among the truths of the chunk, its value
        and its overlap.
    truths : array of int64
        The rows, among the truths of the chunk, of the truths of these images.
    corners : array of shape (n, 4)
        These truths as the network sees them.
    candidates : array of int64, shape (n, levels)
    """

    images: NDArray[np.int64]
    placed: Placed
    positives: tuple[NDArray[Any], ...]
    truths: NDArray[np.int64]
    corners: NDArray[Any]
    candidates: NDArray[np.int64]

    def cells(self, grid: PointGrid) -> NDArray[np.int64]:
        """Return the number of points of each image and level."""
        return np.stack([(-(-self.placed.sizes // stride)).prod(axis=1) for stride in grid.strides], axis=1)

    def levels(self, grid: PointGrid) -> NDArray[np.int64]:
        """Return the level of each positive point."""
        image, point = self.positives[:2]
        found: NDArray[np.int64] = (point[:, None] >= np.cumsum(self.cells(grid), axis=1)[image]).sum(axis=1)
        return found

    def by_level(self, grid: PointGrid) -> NDArray[np.int64]:
        """Return the number of positive points of each truth and level."""
        many, places = len(grid.strides), np.searchsorted(self.truths, self.positives[2])
        found = np.bincount(places * many + self.levels(grid), minlength=len(self.truths) * many)
        return found.reshape(-1, many)


def by_truths(detector: Detector, seen: Letterboxed) -> MatchedPoints:
    """Assign points by a rule that needs no predictions."""
    boxes, placed = seen.seen(detector.letterbox)
    found = match(detector.grid, boxes, rule=detector.rule, size=placed.sizes, sparse=True)
    images = np.repeat(np.arange(len(placed.sizes)), np.diff(found.offsets))
    assert found.candidates is not None and found.anchors is not None
    positives = images, found.anchors, found.truths, found.values, np.full(len(images), np.nan)
    every = np.arange(len(boxes))
    return MatchedPoints(np.arange(len(placed.sizes)), placed, positives, every, boxes.corners(), found.candidates)


class Predictions:
    """Raw predictions as they are read, assigned to the truths of one chunk after another.

    Parameters
    ----------
    rows : iterator of RawRow
        By ascending image.
    facts : RawFacts
    detector : Detector

    Attributes
    ----------
    unused : int
        The number of images that had predictions and no truths.
    """

    def __init__(self, rows: Iterator[RawRow], facts: RawFacts, detector: Detector) -> None:
        self._rows, self._facts, self._detector = rows, facts, detector
        self._waiting: RawRow | None = None
        self._space = np.zeros(0, np.float32)
        self.unused = 0
        labels = range(facts.classes) if facts.labels is None else facts.labels
        self._columns = {label: column for column, label in enumerate(labels)}

    def columns(self, labels: Sequence[Any]) -> NDArray[np.int64]:
        """Return the columns of scores of some classes; -1 for a class that the predictions do not have."""
        return np.array([self._columns.get(label, -1) for label in labels], np.int64)

    def of(self, images: NDArray[Any], seen: Letterboxed, classes: NDArray[np.int64]) -> Iterator[MatchedPoints]:
        """Yield the positive points of the images that have predictions, some images at a time.

        ``classes`` are the columns of scores of the truths' classes.
        """
        rows = self._upto(images)
        while group := list(_together(rows)):
            yield self._matched(group, seen, classes)

    def rest(self) -> None:
        """Count the predictions that are left."""
        self.unused += (self._waiting is not None) + sum(1 for _ in self._rows)
        self._waiting = None

    def _upto(self, images: NDArray[Any]) -> Iterator[tuple[int, RawRow]]:
        """Yield the predictions of images, with the places of these, and skip those of other images."""
        ids = images.tolist()
        place = 0
        while place < len(ids):
            row = self._waiting if self._waiting is not None else next(self._rows, None)
            self._waiting = row
            if row is None:
                return
            if row.image < ids[place]:
                self.unused += 1
                self._waiting = None
            elif row.image == ids[place]:
                self._waiting = None
                yield place, row
                place += 1
            else:
                place += 1

    def _matched(self, group: list[tuple[int, RawRow]], seen: Letterboxed, classes: NDArray[np.int64]) -> MatchedPoints:
        places, rows = np.array([place for place, _ in group]), [row for _, row in group]
        for row in rows:
            self._check(row)
        placed = self._detector.letterbox.place(seen.given[places], np.array([self._size(row) for row in rows]))
        offsets = seen.truths.offsets
        assert offsets is not None
        counts = np.diff(offsets)[places]
        ends = np.cumsum([0, *counts])
        image = np.repeat(np.arange(len(rows)), counts)
        truths = offsets[places][image] + np.arange(ends[-1]) - ends[image]
        boxes = placed.boxes(seen.truths[truths], image).astype(np.dtype(np.float32))
        found = match(
            self._detector.grid,
            Boxes.of(boxes.columns, "xyxy", ends, np.arange(len(rows))),
            rule=self._detector.rule,
            size=placed.sizes,
            sparse=True,
            classes=self._own_columns(rows, ends, classes[truths]),
            logits=self._facts.activation == "logits",
            **self._joined(rows),
        )
        assert found.anchors is not None and found.ious is not None and found.candidates is not None
        images = np.repeat(np.arange(len(rows)), np.diff(found.offsets))
        positives = images, found.anchors, truths[found.truths], found.values, found.ious
        return MatchedPoints(places, placed, positives, truths, boxes.corners(), found.candidates)

    def _own_columns(
        self, rows: Sequence[RawRow], ends: NDArray[np.int64], classes: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the places of the truths' classes among those that each image has scores of."""
        found = np.zeros(len(classes), np.int64)
        for k, row in enumerate(rows):
            own = classes[ends[k] : ends[k + 1]]
            places = np.searchsorted(row.classes, own)
            missing = np.append(row.classes, -1)[places] != own
            if missing.any():
                label = next(label for label, column in self._columns.items() if column == own[missing][0])
                raise InputError(
                    f"expected scores of class {label!r} of image {row.image!r}, which has a truth of it, got none: "
                    "write the predictions with the classes of all truths"
                )
            found[ends[k] : ends[k + 1]] = places
        return found

    def _joined(self, rows: Sequence[RawRow]) -> dict[str, Any]:
        """Return the boxes and scores of some images, one image after the other; scores stay class by class in memory.

        They are valid until the next call, which uses the same space.
        """
        ends = np.cumsum([0, *(row.boxes.shape[1] for row in rows)])
        count, classes = int(ends[-1]), max(1, *(len(row.classes) for row in rows))
        if len(self._space) < (4 + classes) * count:
            self._space = np.zeros((4 + classes) * count, np.float32)
        space = self._space[: (4 + classes) * count].reshape(4 + classes, count)
        for row, first, last in zip(rows, ends[:-1].tolist(), ends[1:].tolist(), strict=True):
            space[:4, first:last] = row.boxes
            space[4 : 4 + len(row.classes), first:last] = row.scores
        x0, y0, x1, y1 = space[:4]
        boxes = Boxes.of((x0, y0, x1, y1), "xyxy", ends, np.arange(len(rows)))
        return {"boxes": boxes, "scores": space[4:].T}

    def _size(self, row: RawRow) -> tuple[int, int]:
        wanted = self._detector.letterbox
        return (wanted.width, wanted.height) if self._detector.asked else row.size

    def _check(self, row: RawRow) -> None:
        """Refuse predictions that do not fit the grid at the size."""
        size, points = self._size(row), row.boxes.shape[1]
        wanted = self._detector.grid.count(size)
        if points != wanted:
            raise InputError(
                f"expected {wanted:,} predictions of image {row.image!r}, one for each point of {self._detector.grid} "
                f"at {size[0]} x {size[1]} pixels, got {points:,}: give the size and strides that they were made with"
            )
        if self._detector.rule.family in ("simota", "rtmdet") and len(row.classes) < self._facts.classes:
            raise InputError(
                f"expected the scores of all {self._facts.classes} classes with rule {self._detector.rule.name!r}, got "
                f"{len(row.classes)} of image {row.image!r}: write the predictions without classes="
            )


def _together(rows: Iterator[tuple[int, RawRow]]) -> Iterator[tuple[int, RawRow]]:
    """Yield predictions that are assigned side by side."""
    held = 0
    for place, row in islice(rows, AT_ONCE):
        yield place, row
        held += row.boxes.nbytes + row.scores.nbytes
        if held >= TOGETHER:
            return
