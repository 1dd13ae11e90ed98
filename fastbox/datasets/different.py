"""The number of different values of a column that comes in batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from fastbox.values.labels import DENSE

__all__ = ["Different"]


class Different:
    """The number of different values of a column, counted batch by batch; nulls do not count."""

    def __init__(self) -> None:
        self._small = np.zeros(DENSE, np.bool_)  # whole numbers from 0 on that were there
        self._others: list[pa.Array] = []

    def add(self, column: pa.Array) -> None:
        """Add values, in every batch of one type, or signed integers of any width."""
        column = column.drop_null() if column.null_count else column
        if not pa.types.is_signed_integer(column.type):
            self._others.append(column.unique())
            return
        values = column.to_numpy().astype(np.int64, copy=False)
        if len(values) and not 0 <= int(values.min()) <= int(values.max()) < DENSE:
            inside = (values >= 0) & (values < DENSE)
            self._others.append(pa.array(values[~inside]).unique())
            values = values[inside]
        self._small[values] = True

    def count_with(self, *columns: pa.Array) -> int:
        """Return the number that there are with further values, which are not kept."""
        every = Different()
        every._small, every._others = self._small.copy(), [*self._others]
        for column in columns:
            every.add(column)
        return len(every)

    def __len__(self) -> int:
        others = pa.chunked_array(self._others).unique() if self._others else []
        return int(np.count_nonzero(self._small)) + len(others)
