"""Labels as codes, so that kernels compare integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Codes"]

DENSE = 1 << 20  # integers in so small a span are told apart by a table of all of them


class Codes:
    """Labels, integers or strings, each with a code: its place in the order of first appearance.

    >>> codes = Codes()
    >>> codes.of_column(np.array([7, 3, 7])), codes.labels
    (array([1, 0, 1]), [3, 7])
    """

    def __init__(self, labels: Iterable[Any] = ()) -> None:
        self.labels: list[Any] = []
        self._code: dict[Any, int] = {}
        self._ascending: tuple[list[Any], NDArray[np.int64]] | None = None
        self.of(labels)

    def of(self, labels: Iterable[Any]) -> NDArray[np.int64]:
        """The codes of some labels; new ones get a code."""
        found = []
        for label in labels:
            if label not in self._code:
                self._code[label] = len(self.labels)
                self.labels.append(label)
                self._ascending = None
            found.append(self._code[label])
        return np.array(found, np.int64)

    def of_column(self, column: NDArray[Any]) -> NDArray[np.int64]:
        """The codes of a column of labels."""
        if column.dtype.kind in "iu" and len(column):
            low, high = int(column.min()), int(column.max())
            if high - low < DENSE:
                seen = np.zeros(high - low + 1, np.bool_)
                seen[column - low] = True
                present = np.flatnonzero(seen)
                code = np.empty(len(seen), np.int64)
                code[present] = self.of((present + low).tolist())
                found: NDArray[np.int64] = code[column - low]
                return found
        labels, places = np.unique(column, return_inverse=True)
        return self.of(labels.tolist())[places.reshape(-1)]

    def ascending(self) -> tuple[list[Any], NDArray[np.int64]]:
        """The labels in ascending order, and the place in it of each code."""
        if self._ascending is None:
            order = sorted(range(len(self.labels)), key=lambda code: self.labels[code])
            places = np.empty(len(order), np.int64)
            places[order] = np.arange(len(order))
            self._ascending = [self.labels[code] for code in order], places
        return self._ascending

    def __len__(self) -> int:
        return len(self.labels)
