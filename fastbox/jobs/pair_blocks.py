"""A chunk of images in blocks of rows whose pairs fit in memory, whatever pairs up with what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.container import Boxes
from fastbox.memory import most_of
from fastbox.tables.join import Chunk

__all__ = ["pairs_by_block"]

PAIR = 400  # bytes that a job takes for a pair while it finds, measures and writes it

Pairs = tuple[NDArray[np.int64], NDArray[np.int64]]


def pairs_by_block(chunk: Chunk, more: int, find: Callable[[Chunk], Pairs]) -> Iterator[Pairs]:
    """Yield the pairs of a chunk, rows of a and of b, in order and a block of rows of a at a time.

    Parameters
    ----------
    chunk : Chunk
        Without ``b`` the pairs are those of ``a`` with itself, each once.
    more : int
        Bytes that a pair takes beside the usual.
    find : callable
        Finds the pairs of a chunk.
    """
    offsets_a = chunk.a.offsets
    offsets_b = offsets_a if chunk.b is None else chunk.b.offsets
    assert offsets_a is not None and offsets_b is not None
    most = most_of(PAIR + more)
    counts_a, counts_b = np.diff(offsets_a), np.diff(offsets_b)
    if int((counts_a * counts_b).sum()) <= most:
        yield find(chunk)
        return
    meetings = np.concatenate(([0], np.cumsum(np.repeat(counts_b, counts_a))))
    first = 0
    while first < len(chunk.a):
        last = max(first + 1, int(np.searchsorted(meetings, meetings[first] + most, side="right")) - 1)
        images = slice(
            int(np.searchsorted(offsets_a, first, side="right")) - 1, int(np.searchsorted(offsets_a, last, side="left"))
        )
        column = int(offsets_b[images.start])
        rows, cols = find(_block(chunk, first, last, images))
        rows, cols = rows + first, cols + column
        if chunk.b is None:
            later = cols > rows
            rows, cols = rows[later], cols[later]
        yield rows, cols
        first = last


def _block(chunk: Chunk, first: int, last: int, images: slice) -> Chunk:
    """Rows of a, and all that they may pair up with: the boxes of their images in b."""
    other, columns = (chunk.a, chunk.a_columns) if chunk.b is None else (chunk.b, chunk.b_columns)
    assert chunk.a.offsets is not None and other.offsets is not None and columns is not None
    ids = None if chunk.images is None else chunk.images[images]
    bounds_a = np.clip(chunk.a.offsets[images.start : images.stop + 1], first, last)
    bounds_b = other.offsets[images.start : images.stop + 1]
    low, high = int(bounds_b[0]), int(bounds_b[-1])
    return replace(
        chunk,
        images=ids,
        a=_rows_of(chunk.a, bounds_a, ids),
        b=_rows_of(other, bounds_b, ids),
        a_start=chunk.a_start + first,
        b_start=(chunk.a_start if chunk.b is None else chunk.b_start) + low,
        a_columns=chunk.a_columns.slice(first, last - first),
        b_columns=columns.slice(low, high - low),
        b_order=chunk.a_order if chunk.b is None else chunk.b_order,
    )


def _rows_of(boxes: Boxes, bounds: NDArray[np.int64], ids: NDArray[np.generic] | None) -> Boxes:
    some = boxes[int(bounds[0]) : int(bounds[-1])]
    found = Boxes.from_columns(*some.columns, format=some.format, offsets=bounds - bounds[0])
    found.images = ids
    return found
