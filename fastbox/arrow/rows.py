"""Row numbers in the given table, before it was sorted or cut into chunks."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox._record import dataclass

__all__ = ["Rows"]


@dataclass(frozen=True, eq=False)
class Rows:
    """Row numbers in the given table, from 0, for places in a chunk.

    Attributes
    ----------
    start : int
        The number of the first row in the whole table.
    order : array or None
        The places of the rows of the whole table before it was sorted; None for a table that was not sorted.
    where : str
        The user's name for the table.

    Examples
    --------
    >>> rows = Rows(1, np.array([4, 2, 9]), "boxes.csv")
    >>> rows([0, 1]).tolist(), rows.described(1)
    ([2, 9], 'row 9 of boxes.csv')
    """

    start: int = 0
    order: NDArray[np.int64] | None = None
    where: str = ""

    def __call__(self, places: ArrayLike) -> NDArray[np.int64]:
        numbers = np.asarray(places, np.int64) + self.start
        return numbers if self.order is None else np.asarray(self.order[numbers], np.int64)

    def described(self, place: int) -> str:
        """Return the words that name a row in a message."""
        return f"row {int(self(place))}{f' of {self.where}' if self.where else ''}"
