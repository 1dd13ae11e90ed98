"""Scan Parquet files as chunks of whole images, in bounded memory, one chunk ahead of the caller.

Tables that are sorted by image are merged, a few batches at a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import reduce
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.arrow.arrays import Place, unsorted
from fastbox.arrow.rows import Rows
from fastbox.boxes.found import boxes_of_columns
from fastbox.errors import InputError
from fastbox.memory import more_memory, most_boxes
from fastbox.parallel import alone
from fastbox.stages import stage
from fastbox.storage.backed import Backed
from fastbox.storage.beside import Beside
from fastbox.storage.locate import Paths
from fastbox.storage.opened import Opened
from fastbox.tables.batches import Batch, boxes_of
from fastbox.tables.chunk import ROWS, Chunk
from fastbox.tables.likely_format import check_format
from fastbox.tables.source import Plan, Source, plans_of
from fastbox.values.labels import place_of, union
from fastbox.values.numbers import shown

__all__ = ["ahead", "check_rows", "scan"]

Item = TypeVar("Item")

LEAST_BATCH = 65_536
CHUNKS = 4  # in memory at once: one is read, one worked on, one written, and the results


def scan(*sources: Source | Paths | None, rows: int = ROWS) -> Generator[Chunk]:
    """Read sources, or Parquet files by their paths, joined by image id, as :func:`fastbox.scan` says."""
    check_rows(rows)
    opened = Opened.now() or Opened()
    own = opened is not Opened.now()
    with opened.active():
        tables = [Source.of(source) for source in sources if source is not None]
        plans = plans_of(*tables)
    most = most_boxes(max(found.carried for found in plans))
    chunks = ahead(_chunks(tables, plans, min(rows, max(1, most // CHUNKS)), most, opened, own))
    return _with_warnings(chunks, tables, plans)


def check_rows(rows: int) -> None:
    """Refuse a number of rows below 1."""
    if not isinstance(rows, int) or rows < 1:
        raise ValueError(f"expected rows of 1 or more, got {shown(rows)}")


def ahead(items: Generator[Item]) -> Generator[Item]:
    """Yield from a generator that runs in a thread, one item ahead; closing also stops and closes that generator."""
    reader = 0

    def step() -> list[Item]:
        nonlocal reader
        reader = threading.get_ident()
        with stage("decode"):
            return list(islice(items, 1))

    if alone():
        with closing(items):
            while found := step():
                yield found.pop()
        return

    beside = Beside("fastbox-reader")
    try:
        coming = beside.call(step)
        while True:
            with stage("wait"):
                found = coming.result()
            if not found:
                return
            coming = beside.call(step)
            yield found.pop()
    finally:
        if threading.get_ident() == reader:  # collected as garbage in the thread that reads, whose end closes the items
            beside.end(wait=False)
        else:
            beside.end()
            items.close()


def _with_warnings(chunks: Generator[Chunk], sources: list[Source], plans: list[Plan]) -> Generator[Chunk]:
    """Yield the chunks; warn of a table whose first boxes look like another format."""
    fragments = [source.fragment for source in sources]
    first = [own is None or not own.groups or own.groups[0].number == 0 for own in fragments]
    with closing(chunks):
        for chunk in chunks:
            every = chunk.a, chunk.b, *(boxes for boxes, *_ in chunk.more)
            for place, boxes in enumerate(every):
                if boxes is not None and len(boxes) and first[place]:
                    first[place] = False
                    beside = zip(sources, every, strict=False)
                    check_format(boxes, plans[place].files[0], sources[place].argument, beside)
            yield chunk


def _chunks(
    sources: list[Source], plans: list[Plan], rows: int, most: int, opened: Opened, own: bool
) -> Generator[Chunk]:
    sides = [_side(source, found, rows, most, opened) for source, found in zip(sources, plans, strict=True)]
    try:
        if plans[0].ids is None:
            yield from _by_row(sides, rows, [found.files[0] for found in plans])
        else:
            yield from _by_image(sides, rows)
        for found in plans:
            opened.check(found.files)
    finally:
        for side in sides:
            side.close()
        if own:
            opened.end()


def _side(source: Source, found: Plan, rows: int, most: int, opened: Opened) -> Side:
    none = np.zeros(0, found.dtype)
    images = None if found.ids is None else np.zeros(0, np.int64 if found.ids == "integer" else np.str_)
    carried = found.columns.empty_table().to_batches() or [pa.RecordBatch.from_pylist([], found.columns)]
    name = found.files[0] if len(found.files) == 1 else f"all rows from {found.files[0]} on"
    empty = Batch((none,) * found.boxes.count, np.zeros(1, np.int64), images, carried[0], name, 0)
    batches = boxes_of(source, found, min(max(rows, LEAST_BATCH), max(1, most // CHUNKS)), opened)
    order = found.files[0].original.boxes if isinstance(found.files[0], Backed) else None
    return Side(batches, source.image, found.boxes.format, empty, most, order)


class Side:
    """One table of a join: its batches in memory.

    ``ids`` are the images in memory, the last perhaps incomplete, and ``bounds`` the numbers of their first boxes in
    the whole table: from ``done``, the first box not given out, to ``read``.
    """

    def __init__(
        self,
        batches: Generator[Batch],
        image: str | None,
        format: str,
        empty: Batch,
        most: int,
        order: NDArray[np.int64] | None = None,
    ) -> None:
        self.order = order
        self.name = empty.where
        self.ids: NDArray[Any] = np.zeros(0, np.int64) if empty.images is None else empty.images
        self.bounds: NDArray[np.int64] = np.zeros(1, np.int64)
        self.done = 0
        self.read = 0
        self.ended = False
        self.format = format
        self._begun = False
        self._incoming = batches
        self._image = image
        self._empty = empty
        self._dtype = empty.columns[0].dtype  # float32 or float64
        self._most = most
        self._batches: deque[tuple[int, Batch]] = deque()

    def load(self) -> None:
        """Read one more batch, or set ``ended``."""
        batch = next(self._incoming, None)
        if batch is None:
            self.ended = True
            return
        if not self._begun:
            self.done = self.read = batch.number
            self.bounds = self.bounds + batch.number
            self._begun = True
        if batch.images is not None and batch.offsets is not None:
            self._append_ids(batch, batch.images, batch.offsets)
        self._batches.append((self.read, batch))
        self.read += len(batch.columns[0])
        if len(self.ids):
            self._check_room(batch.where)

    def close(self) -> None:
        """Stop reading."""
        self._incoming.close()

    def drop_ids(self, count: int) -> None:
        """Drop the first images, whose boxes were taken."""
        self.ids, self.bounds = self.ids[count:], self.bounds[count:]

    def take(self, last: int) -> tuple[tuple[NDArray[Any], ...], pa.RecordBatch]:
        """Return the boxes before a number, as floats, and their carried columns; views if all are of one batch."""
        first, self.done = self.done, last
        taken: list[tuple[tuple[NDArray[Any], ...], pa.RecordBatch]] = []
        while self._batches and self._batches[0][0] < last:
            start, batch = self._batches[0]
            count = len(batch.columns[0])
            begin, end = max(0, first - start), min(last - start, count)
            columns = tuple(column[begin:end].astype(self._dtype, copy=False) for column in batch.columns)
            taken.append((columns, batch.carried.slice(begin, end - begin)))
            if start + count > last:
                break
            self._batches.popleft()
        if not taken:
            return self._empty.columns, self._empty.carried
        if len(taken) == 1:
            return taken[0]
        columns = tuple(np.concatenate(column) for column in zip(*(columns for columns, _ in taken), strict=True))
        return columns, pa.concat_batches([carried for _, carried in taken])

    def _check_room(self, where: str) -> None:
        """Refuse an image that memory can't hold, before it is complete."""
        sizes = np.diff(self.bounds)
        large = int(np.argmax(sizes))
        if sizes[large] > self._most:
            image = self.ids[large : large + 1].tolist()[0]
            raise InputError(
                f"expected images of at most {self._most:,} boxes, as memory allows, got {int(sizes[large]):,} or more "
                f"in image {image!r} of {where}: allow more with "
                f"{more_memory()}, or split it"
            )

    def _append_ids(self, batch: Batch, ids: NDArray[Any], offsets: NDArray[np.int64]) -> None:
        assert self._image is not None
        bounds = offsets + self.read
        if not len(self.ids):
            self.ids, self.bounds = ids, bounds
            return
        if ids[0] < self.ids[-1]:
            place = Place(batch.where, self._image, batch.first_row)
            raise unsorted(place, 0, self.ids[-1], ids[0])
        goes_on = int(ids[0] == self.ids[-1])
        self.ids = np.concatenate((self.ids, ids[goes_on:]))
        self.bounds = np.concatenate((self.bounds[:-1], bounds[goes_on:]))


def _by_image(sides: Sequence[Side], rows: int) -> Generator[Chunk]:
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
    """Return the bounds of a side for more ids than its own."""
    if own is ids:
        return bounds[: len(ids) + 1]
    places = np.append(np.searchsorted(own, ids), len(own))
    return np.take(bounds, places)


def _chunk(sides: Sequence[Side], ids: NDArray[Any] | None, bounds: Sequence[NDArray[np.int64]]) -> Chunk:
    starts = [side.done for side in sides]
    taken = []
    for side, own in zip(sides, bounds, strict=True):
        columns, carried = side.take(int(own[-1]))
        taken.append((boxes_of_columns(columns, side.format, own - own[0], ids), carried))
    (a, a_columns), (b, b_columns) = taken[0], taken[1] if len(taken) > 1 else (None, None)
    b_start = starts[1] if b is not None else 0
    orders, names = [side.order for side in sides], tuple(side.name for side in sides)
    rows = map(Rows, starts[2:], orders[2:], names[2:])
    more = tuple((*both, own) for both, own in zip(taken[2:], rows, strict=True))
    b_order = orders[1] if len(orders) > 1 else None
    return Chunk(ids, a, b, starts[0], b_start, a_columns, b_columns, more, orders[0], b_order, names)


def _by_row(sides: Sequence[Side], rows: int, names: Sequence[str]) -> Generator[Chunk]:
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
            f"expected as many boxes in {more} as in {less} if no image column pairs them, "
            f"got more than its {sides[0].done}: name the column of image ids"
        )
