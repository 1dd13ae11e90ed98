"""Merge-join sorted tables into chunks of whole images, a few batches at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.arrow.arrays import Columns, Place, unsorted
from fastbox.arrow.rows import Rows
from fastbox.boxes.container import Boxes
from fastbox.errors import InputError
from fastbox.memory import more_memory
from fastbox.values.labels import place_of, union

__all__ = ["Chunk", "Piece", "Side", "by_image", "by_row"]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Whole images of one, two or more tables.

    Attributes
    ----------
    images : array of shape (g,), int64 or str, or None
        The ids of the images, ascending; None where the tables are read without ids, as one group.
    a, b : Boxes
        The boxes of these images, ``offsets`` of shape (g + 1,); an image that one table lacks is empty there. ``b`` is
        None where there is one table.
    a_start, b_start : int
        The number, in the whole table, of the first box.
    a_columns, b_columns : pyarrow.RecordBatch
        The columns carried along, one row per box.
    more : tuple of (Boxes, pyarrow.RecordBatch, Rows)
        The boxes, columns and rows of the third table and all after it.
    a_order, b_order : array or None
        Where the boxes of the whole table stood before it was sorted; None where they stood as they do now.
    names : tuple of str
        What messages call the tables.
    """

    images: NDArray[Any] | None
    a: Boxes
    b: Boxes | None
    a_start: int
    b_start: int
    a_columns: pa.RecordBatch
    b_columns: pa.RecordBatch | None
    more: tuple[tuple[Boxes, pa.RecordBatch, Rows], ...] = ()
    a_order: NDArray[np.int64] | None = None
    b_order: NDArray[np.int64] | None = None
    names: tuple[str, ...] = ("", "")

    @property
    def a_rows(self) -> Rows:
        """The rows that the boxes of ``a`` have in the table as it was given, counted from 0."""
        return Rows(self.a_start, self.a_order, self.names[0])

    @property
    def b_rows(self) -> Rows:
        """The rows that the boxes of ``b`` have in the table as it was given; those of ``a`` where it is alone."""
        return Rows(self.b_start, self.b_order, self.names[min(1, len(self.names) - 1)])


class Piece(NamedTuple):
    """A batch as read: its boxes, grouped, the columns carried along, and where it came from.

    ``first_row`` is counted in the file, ``number``, that of the first box, in the whole table.
    """

    boxes: Boxes
    columns: pa.RecordBatch
    where: str
    first_row: int
    number: int = 0


class Side:
    """One table of a join: what was read of it and not yet handed out.

    ``ids`` and ``bounds`` are the images that are here, the last perhaps in part, and where their boxes begin, counted
    over the whole table: from ``done``, the first not handed out, to ``read``.
    """

    def __init__(
        self,
        pieces: Generator[Piece],
        image: str | None,
        empty: Piece,
        most: int,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        self.order = order
        self.name = empty.where
        self.ids: NDArray[Any] = np.zeros(0, np.int64) if empty.boxes.images is None else empty.boxes.images
        self.bounds: NDArray[np.int64] = np.zeros(1, np.int64)
        self.done = 0
        self.read = 0
        self.ended = False
        self.format = empty.boxes.format
        self._begun = False
        self._incoming = pieces
        self._image = image
        self._empty = empty
        self._most = most
        self._pieces: deque[tuple[int, Piece]] = deque()

    def load(self) -> None:
        """Read one more batch, or notice the end."""
        piece = next(self._incoming, None)
        if piece is None:
            self.ended = True
            return
        if not self._begun:
            self.done = self.read = piece.number
            self.bounds = self.bounds + piece.number
            self._begun = True
        if piece.boxes.images is not None:
            self._append_ids(piece)
        self._pieces.append((self.read, piece))
        self.read += len(piece.boxes)
        if len(self.ids):
            self._check_room(piece.where)

    def close(self) -> None:
        """Stop reading."""
        self._incoming.close()

    def drop_ids(self, count: int) -> None:
        """Forget the first images, which were handed out."""
        self.ids, self.bounds = self.ids[count:], self.bounds[count:]

    def take(self, last: int) -> tuple[Columns, pa.RecordBatch]:
        """Hand out the boxes before a number and their carried columns; views where they come from one batch."""
        first, self.done = self.done, last
        parts: list[tuple[Columns, pa.RecordBatch]] = []
        while self._pieces and self._pieces[0][0] < last:
            start, piece = self._pieces[0]
            begin, end = max(0, first - start), min(last - start, len(piece.boxes))
            p, q, r, s = piece.boxes.columns
            columns = p[begin:end], q[begin:end], r[begin:end], s[begin:end]
            parts.append((columns, piece.columns.slice(begin, end - begin)))
            if start + len(piece.boxes) > last:
                break
            self._pieces.popleft()
        if not parts:
            return self._empty.boxes.columns, self._empty.columns
        if len(parts) == 1:
            return parts[0]
        p, q, r, s = (np.concatenate(column) for column in zip(*(part[0] for part in parts), strict=True))
        return (p, q, r, s), pa.concat_batches([part[1] for part in parts])

    def _check_room(self, where: str) -> None:
        """Refuse an image that memory can't hold, before it does."""
        sizes = np.diff(self.bounds)
        large = int(np.argmax(sizes))
        if sizes[large] > self._most:
            image = self.ids[large : large + 1].tolist()[0]
            raise InputError(
                f"expected images of at most {self._most:,} boxes, as memory allows, got {int(sizes[large]):,} or more "
                f"in image {image!r} of {where}: allow more with "
                f"{more_memory()}, or split it"
            )

    def _append_ids(self, piece: Piece) -> None:
        ids, offsets = piece.boxes.images, piece.boxes.offsets
        assert ids is not None and offsets is not None and self._image is not None
        bounds = offsets + self.read
        if not len(self.ids):
            self.ids, self.bounds = ids, bounds
            return
        if ids[0] < self.ids[-1]:
            place = Place(piece.where, self._image, piece.first_row)
            raise unsorted(place, 0, self.ids[-1], ids[0])
        goes_on = int(ids[0] == self.ids[-1])
        self.ids = np.concatenate((self.ids, ids[goes_on:]))
        self.bounds = np.concatenate((self.bounds[:-1], bounds[goes_on:]))


def by_image(sides: Sequence[Side], rows: int) -> Generator[Chunk]:
    """Yield chunks of whole images of about ``rows`` boxes, the images of all sides merged."""
    while True:
        waiting = [side for side in sides if not side.ended]
        unread = [side for side in waiting if not len(side.ids)]
        if unread:
            unread[0].load()
            continue
        if waiting:
            min(waiting, key=lambda side: side.ids[-1]).load()
        yield from _ready(sides, rows)
        if not waiting:
            return


def _ready(sides: Sequence[Side], rows: int) -> Iterator[Chunk]:
    """Cut chunks of the images that no side can add boxes to: those before the last id of every unfinished side."""
    waiting = [side for side in sides if not side.ended]
    counts = [len(side.ids) for side in sides]
    if waiting:
        frontier = min(side.ids[-1] for side in waiting)
        counts = [place_of(frontier, side.ids) for side in sides]
    known = [side.ids[:count] for side, count in zip(sides, counts, strict=True)]
    alike = all(np.array_equal(known[0], own) for own in known[1:])
    ids = known[0] if alike else reduce(union, known)
    bounds = [_spread(side.bounds, own, ids) for side, own in zip(sides, known, strict=True)]
    boxes = np.sum(bounds, axis=0)
    first = 0
    while first < len(ids) and (not waiting or 2 * (boxes[-1] - boxes[first] + len(ids) - first) >= rows):
        last = max(first + 1, int(np.searchsorted(boxes, boxes[first] + rows, "right")) - 1)
        yield _chunk(sides, ids[first:last], [own[first : last + 1] for own in bounds])
        first = last
    if first:
        for side, own in zip(sides, known, strict=True):
            side.drop_ids(place_of(ids[first], own) if first < len(ids) else len(own))


def _spread(bounds: NDArray[np.int64], own: NDArray[Any], ids: NDArray[Any]) -> NDArray[np.int64]:
    """The bounds of a side over more ids than its own."""
    if own is ids:
        return bounds[: len(ids) + 1]
    places = np.append(np.searchsorted(own, ids), len(own))
    return np.take(bounds, places)


def _chunk(sides: Sequence[Side], ids: NDArray[Any] | None, bounds: Sequence[NDArray[np.int64]]) -> Chunk:
    starts = [side.done for side in sides]
    taken = []
    for side, own in zip(sides, bounds, strict=True):
        columns, carried = side.take(int(own[-1]))
        taken.append((Boxes.of(columns, side.format, own - own[0], ids), carried))
    (a, a_columns), (b, b_columns) = taken[0], taken[1] if len(taken) > 1 else (None, None)
    b_start = starts[1] if b is not None else 0
    orders, names = [side.order for side in sides], tuple(side.name for side in sides)
    rows = map(Rows, starts[2:], orders[2:], names[2:])
    more = tuple((*both, own) for both, own in zip(taken[2:], rows, strict=True))
    b_order = orders[1] if len(orders) > 1 else None
    return Chunk(ids, a, b, starts[0], b_start, a_columns, b_columns, more, orders[0], b_order, names)


def by_row(sides: Sequence[Side], rows: int, names: Sequence[str]) -> Generator[Chunk]:
    """Yield chunks of ``rows`` boxes in all, the same row numbers of every side, without images.

    Raises
    ------
    InputError
        One table ends before the other.
    """
    most = max(1, rows // len(sides))
    while True:
        for side in sides:
            while not side.ended and side.read - side.done < most:
                side.load()
        left = [side.read - side.done for side in sides]
        count = min(most, *left)
        if count == 0:
            break
        yield _chunk(sides, None, [np.array([side.done, side.done + count]) for side in sides])
    if any(left):
        more, less = (names[0], names[-1]) if left[0] else (names[-1], names[0])
        raise InputError(
            f"expected as many boxes in {more} as in {less} where no image column pairs them, "
            f"got more than its {sides[0].done}: name the column of image ids"
        )
