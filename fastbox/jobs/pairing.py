"""The pairs to find, and their search in a chunk: in blocks that fit in memory, and class by class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.arrow import columns
from fastbox.boxes.container import Boxes, grouped
from fastbox.errors import InputError
from fastbox.kernels.metrics import FACTS
from fastbox.ops import search as ops
from fastbox.ops.result import Pairs
from fastbox.result import Rules
from fastbox.tables.chunk import Chunk
from fastbox.tables.class_names import JoinedClasses
from fastbox.values.groups import groups_of, groups_of_rows, stable
from fastbox.values.numbers import as_choice

__all__ = ["PAIR", "Block", "Question", "blocks"]

PAIR = 400  # bytes that a job takes for a pair while it finds, measures and writes it


@dataclass(frozen=True)
class Question:
    """The pairs to find: the mode, the metrics, of which the first decides, and the joined classes."""

    metrics: tuple[str, ...]
    mode: str
    threshold: float
    beta: float
    label: str | None = None
    joined: JoinedClasses | None = None

    @classmethod
    def of(cls, metrics: Sequence[str], mode: str, threshold: float, beta: float) -> Question:
        """Check the metrics, and refuse a threshold that no pair can reach."""
        if not metrics:
            raise ValueError("expected at least one metric, got none")
        for name in metrics:
            as_choice(name, tuple(FACTS), "a metric")
        limit, first = float(threshold), metrics[0]
        if FACTS[first].distance:
            if limit < 0:
                raise InputError(f"expected a threshold of {first} of 0 or more, got {limit:g}: no distance is below 0")
        elif limit > 1:
            advice = f"as a share of 1 it is {limit / 100:g}" if limit <= 100 else "no pair reaches more"
            raise InputError(f"expected a threshold of {first} of at most 1, got {limit:g}: {advice}")
        return cls(tuple(dict.fromkeys(metrics)), mode, limit, beta)

    @property
    def limit(self) -> float | None:
        """The threshold in the mode ``threshold``, else None."""
        return self.threshold if self.mode == "threshold" else None

    def rules(self) -> Rules:
        """Return the rules of the result."""
        given = {"mode": self.mode, "metric": self.metrics[0], "threshold": self.limit}
        sign = None if self.limit is None else "≤" if FACTS[self.metrics[0]].distance else "≥"
        turns = {"beta": float(self.beta)} if any(FACTS[name].beta for name in self.metrics) else {}
        return Rules({**given, "sign": sign, "class_column": self.label, **turns})

    def parameters(self) -> dict[str, Any]:
        """Return the parameters for the record of the output."""
        more = {"class_column": self.label, "metrics": self.metrics, "beta": self.beta}
        return {"threshold": self.limit, "mode": self.mode, **more}

    def find(self, chunk: Chunk) -> Pairs:
        """Find the pairs of a chunk, sorted; in the mode ``best`` one for each row of a, with -1 without a row of b."""
        a, b = chunk.a, chunk.b
        order_a = order_b = None
        if self.label is not None and self.joined is not None:
            (a, order_a), (b, order_b) = _by_class(chunk, self.label, self.joined)
        if self.mode == "best":
            values, cols = ops.best(a, b, metric=self.metrics[0], beta=self.beta)
            rows = np.arange(len(a))
        else:
            every = np.inf if FACTS[self.metrics[0]].distance else -np.inf
            limit = every if self.limit is None else self.limit
            rows, cols, values = ops.pairs(a, b, threshold=limit, metric=self.metrics[0], beta=self.beta)
        if order_a is None:
            return Pairs(rows, cols, values)
        rows = order_a[rows]
        if order_b is None:
            cols = order_a[cols]
        elif len(order_b):
            cols = np.where(cols >= 0, order_b[cols], -1)
        order = np.lexsort((cols, rows))
        return Pairs(rows[order], cols[order], values[order])


class Block(NamedTuple):
    """Some rows of a, and the boxes of b in their images.

    ``row`` and ``col`` are the places of the first boxes in the whole chunk. In a block ``of_one`` table, where both
    sides are rows of a, each pair is found twice, and each box with itself.
    """

    part: Chunk
    row: int = 0
    col: int = 0
    of_one: bool = False

    def met(self, found: Pairs) -> Pairs:
        """Return the pairs of a block as rows of the whole chunk; of two pairs of the same boxes the first."""
        if not (self.row or self.col or self.of_one):
            return found
        rows, cols, values = found.rows + self.row, found.cols + self.col, found.values
        if self.of_one:
            later = cols > rows
            rows, cols, values = rows[later], cols[later], values[later]
        return Pairs(rows, cols, values)


def blocks(chunk: Chunk, most: int) -> Iterator[Block]:
    """Yield a chunk in blocks of rows of a, in order, with at most ``most`` pairs in each.

    Parameters
    ----------
    chunk : Chunk
        Without ``b`` the pairs are those of ``a`` with itself, each once.
    most : int
        The number of pairs that fit in memory; a row with more pairs is a separate block.
    """
    offsets_a = chunk.a.offsets
    offsets_b = offsets_a if chunk.b is None else chunk.b.offsets
    assert offsets_a is not None and offsets_b is not None
    counts_a, counts_b = np.diff(offsets_a), np.diff(offsets_b)
    if int((counts_a * counts_b).sum()) <= most:
        yield Block(chunk)
        return
    meetings = np.concatenate(([0], np.cumsum(np.repeat(counts_b, counts_a))))
    first = 0
    while first < len(chunk.a):
        last = max(first + 1, int(np.searchsorted(meetings, meetings[first] + most, side="right")) - 1)
        images = slice(int(groups_of(first, offsets_a)), int(np.searchsorted(offsets_a, last, side="left")))
        yield Block(_block(chunk, first, last, images), first, int(offsets_b[images.start]), chunk.b is None)
        first = last


def _block(chunk: Chunk, first: int, last: int, images: slice) -> Chunk:
    """Return a chunk of some rows of a, and of the boxes of their images in b."""
    other, carried = (chunk.a, chunk.a_columns) if chunk.b is None else (chunk.b, chunk.b_columns)
    assert chunk.a.offsets is not None and other.offsets is not None and carried is not None
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
        b_columns=carried.slice(low, high - low),
        b_order=chunk.a_order if chunk.b is None else chunk.b_order,
    )


def _rows_of(boxes: Boxes, bounds: NDArray[np.int64], ids: NDArray[np.generic] | None) -> Boxes:
    some = boxes[int(bounds[0]) : int(bounds[-1])]
    return some.of(some.columns, some.format, bounds - bounds[0], ids)


def _by_class(
    chunk: Chunk, label: str, joined: JoinedClasses
) -> tuple[tuple[Boxes, NDArray[np.int64]], tuple[Boxes | None, NDArray[np.int64] | None]]:
    """Return both sides of a chunk grouped by image and class, each with the earlier rows of its boxes."""
    sides = [(chunk.a, chunk.a_columns)]
    if chunk.b is not None and chunk.b_columns is not None:
        sides.append((chunk.b, chunk.b_columns))
    carried = zip((side[1] for side in sides), (chunk.a_rows, chunk.b_rows), strict=False)
    codes, labels = columns.label_columns(*carried, name=label, joined=joined.tables)
    regrouped = []
    for (boxes, _), classes in zip(sides, codes, strict=True):
        assert boxes.offsets is not None
        image = groups_of_rows(boxes.offsets)
        keys = image * max(1, len(labels)) + classes
        order = stable(keys, int(keys.max(initial=-1)) + 1)
        regrouped.append((grouped(boxes[order], keys[order]), order))
    return regrouped[0], regrouped[1] if len(regrouped) > 1 else (None, None)
