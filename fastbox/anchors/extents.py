"""Widths and heights of a table's boxes at training resolution, chunk by chunk, and a sample of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.anchors.resize import Resize
from fastbox.arrow.arrays import is_number
from fastbox.arrow.columns import number_column
from fastbox.errors import InputError, advice
from fastbox.tables.chunk import Chunk
from fastbox.tables.source import Source, plan
from fastbox.tables.stream import scan
from fastbox.values.formats import sides_of
from fastbox.values.hashing import GOLDEN, splitmix64

__all__ = ["Extents", "Part", "Sample"]

Floats = NDArray[np.float64]


class Part(NamedTuple):
    """A chunk of a table: row numbers, widths and heights of the boxes to use, and counts of the others by reason."""

    boxes: int
    rows: NDArray[np.int64]
    w: Floats
    h: Floats
    not_finite: int
    inverted: int
    no_area: int
    small: int


@dataclass(frozen=True)
class Extents:
    """A table whose boxes' widths and heights can be read several times.

    Attributes
    ----------
    source : Source
        The table; image ids are not read.
    resize : Resize or None
    size : (width, height) or (str, str)
        The size of all images, or the columns of the sizes; used only with ``resize``.
    min_side : float
        A box with both sides below this is small.
    rows : int
        The number of boxes to hold at once.
    """

    source: Source
    resize: Resize | None
    size: tuple[float, float] | tuple[str, str]
    min_side: float
    rows: int

    def parts(self) -> Iterator[Part]:
        """Yield the table chunk by chunk.

        Raises
        ------
        InputError
            A file or column that can't be used, or an image size that is not a number above 0.
        """
        source = replace(self.source, image=None)
        names = [name for name in self.size if isinstance(name, str)] if self.resize else []
        if names:
            found = plan(source)
            how = advice(
                "--size WIDTHxHEIGHT or --size-columns WIDTH,HEIGHT",
                "size=(WIDTH, HEIGHT), or size_columns=(WIDTH, HEIGHT)",
            )
            for name in names:
                if name in found.boxes.names:
                    raise InputError(
                        f"expected the images' sizes in separate columns in {found.files[0]}, got {name!r}, "
                        f"which has boxes: give {how}"
                    )
            source = replace(source, columns=tuple(dict.fromkeys(names)))
        for chunk in scan(source, rows=self.rows):
            yield self._part(chunk)

    def _part(self, chunk: Chunk) -> Part:
        reasons = chunk.a.invalid()
        w, h = sides_of(chunk.a.columns, chunk.a.format)
        if self.resize is not None:
            width, height = (self._image_side(chunk, side) for side in self.size)
            across, down = self.resize.scales(width, height)
            w, h = w * across, h * down
        with np.errstate(invalid="ignore", over="ignore"):
            area = w * h
        valid, flat = reasons == 0, ~((area > 0) & np.isfinite(area))
        small = ~((w >= self.min_side) | (h >= self.min_side))
        used = np.flatnonzero(valid & ~flat & ~small)
        return Part(
            len(reasons),
            chunk.a_rows(used),
            w[used],
            h[used],
            int((reasons == 1).sum()),
            int((reasons == 2).sum()),
            int((valid & flat).sum()),
            int((valid & ~flat & small).sum()),
        )

    def _image_side(self, chunk: Chunk, side: float | str) -> Floats:
        if not isinstance(side, str):
            return np.full(len(chunk.a), side, np.float64)
        kind = chunk.a_columns.schema.field(side).type
        if not is_number(kind):
            raise InputError(f"expected numbers in the column {side!r} of the images' sizes, got {kind}: cast it")
        values = number_column(chunk.a_columns, side, missing=np.nan)
        wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
        if wrong.size:
            row, got = int(chunk.a_rows(wrong[0])), values[wrong[0]]
            raise InputError(f"expected an image's size above 0 in column {side!r}, got {got:g} for box {row}: fix it")
        return values.astype(np.float64)


class Sample:
    """A sample of a stream of boxes: those whose row numbers have the lowest hashes, whatever the chunks are.

    The hash is a bijection (splitmix64; Steele et al., OOPSLA 2014): no two rows have the same hash.
    """

    def __init__(self, size: int, seed: int) -> None:
        self._size = size
        self._seed = np.random.SeedSequence(seed).generate_state(1, np.uint64)
        self._keys, self._w, self._h = np.empty(0, np.uint64), np.empty(0), np.empty(0)

    def add(self, part: Part) -> None:
        """Add the boxes of a chunk, and keep those that belong to the sample so far."""
        keys = np.concatenate((self._keys, splitmix64(part.rows.astype(np.uint64) * GOLDEN + self._seed)))
        w, h = np.concatenate((self._w, part.w)), np.concatenate((self._h, part.h))
        if len(keys) > self._size:
            lowest = np.argpartition(keys, self._size - 1)[: self._size]
            keys, w, h = keys[lowest], w[lowest], h[lowest]
        self._keys, self._w, self._h = keys, w, h

    def sides(self) -> tuple[Floats, Floats]:
        """Return widths and heights, by ascending hash."""
        order = np.argsort(self._keys)
        return self._w[order], self._h[order]
