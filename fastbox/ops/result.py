"""Results of comparing two sets of boxes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.values.groups import stable
from fastbox.values.record_text import record_text

__all__ = ["Best", "Pairs", "Ragged", "Top", "in_row_order"]


class Best(NamedTuple):
    """For each row of a: the best value, and the row of b that has it; nan and -1 without a valid pair."""

    values: NDArray[Any]
    indices: NDArray[np.int64]

    def __repr__(self) -> str:
        return record_text(self)


class Top(NamedTuple):
    """For each row of a: its k best values, best first, and their rows of b; nan and -1 beyond the last valid pair."""

    values: NDArray[Any]
    indices: NDArray[np.int64]

    def __repr__(self) -> str:
        return record_text(self)


class Pairs(NamedTuple):
    """The pairs that reach the threshold, by row of a, then by row of b."""

    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    values: NDArray[Any]

    def __repr__(self) -> str:
        return record_text(self)


def in_row_order(parts: Sequence[tuple[NDArray[Any], ...]], dtype: np.dtype[Any]) -> Pairs:
    """Return the pairs of some parts in the order of their rows; those of a row keep theirs."""
    rows, cols, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = stable(rows, int(rows.max(initial=-1)) + 1)
    return Pairs(rows[order], cols[order], values[order].astype(dtype, copy=False))


class Ragged(Sequence[NDArray[Any]]):
    """One matrix for each image, laid end to end.

    ``values[offsets[g]:offsets[g + 1]]`` is image g's matrix row by row; ``ragged[g]`` is a view of it with its shape.
    """

    __slots__ = ("offsets", "shapes", "values")

    def __init__(self, values: NDArray[Any], offsets: NDArray[np.int64], shapes: NDArray[np.int64]) -> None:
        self.values, self.offsets, self.shapes = values, offsets, shapes

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, image: Any) -> Any:
        if isinstance(image, slice):
            return [self[g] for g in range(*image.indices(len(self)))]
        g = range(len(self))[image]
        return self.values[self.offsets[g] : self.offsets[g + 1]].reshape(self.shapes[g])

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[g] for g in range(len(self)))

    def __repr__(self) -> str:
        return f"Ragged({len(self)} matrices, {self.values.size} values, {self.values.dtype})"
