"""The order of a table's ids, found by reading only the ids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Any

import numpy as np
import pyarrow as pa

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.arrow.arrays import Place, id_kind, one_chunk, plain
from fastbox.errors import InputError
from fastbox.storage.backed import ROW_FORMATS, Backed
from fastbox.storage.locate import find_files
from fastbox.tables.columns import read_batches
from fastbox.tables.source import Source

__all__ = ["Order"]

pc = deferred("pyarrow.compute")

_SHOWN = 5


@dataclass
class Order:
    """The order of a table's ids.

    Attributes
    ----------
    falls : list of dict
        The first rows with a lower id than the row before: ``file``, ``row`` in it, the id that ``begins`` there and
        that ``before``.
    over : list
        The first ids that continue in the next file.
    least, greatest : int, str or None
        None where there is no row.
    """

    falls: list[dict[str, Any]] = field(default_factory=list)
    over: list[Any] = field(default_factory=list)
    least: Any = None
    greatest: Any = None

    @classmethod
    def of(cls, source: Source) -> Order:
        """Read the ids of a table.

        Raises
        ------
        InputError
            An id is null, or neither an integer nor a string.
        """
        assert source.image is not None
        order, last, before = cls(), None, None
        for file, first_row, given in _ids(source):
            ids = plain(given)
            id_kind(ids.type, source.image, file)
            if ids.null_count:
                where = Place(file, source.image, first_row)(ids.is_null().index(True).as_py())
                raise InputError(f"expected an image id in {where}, got null: fill it or drop the row")
            order._add(ids, file, first_row, last)
            if before not in (None, file) and ids[0].as_py() == last and len(order.over) < _SHOWN:
                order.over.append(last)
            last, before = ids[-1].as_py(), file
        return order

    def _add(self, ids: pa.Array, file: str, first_row: int, last: Any) -> None:
        if last is not None and ids[0].as_py() < last:
            self._fell(file, first_row, ids[0].as_py(), last)
        if len(self.falls) < _SHOWN and len(ids) > 1:
            lower = pc.indices_nonzero(pc.less(ids[1:], ids[:-1]))[: _SHOWN - len(self.falls)]
            for row in lower.to_pylist():
                self._fell(file, first_row + row + 1, ids[row + 1].as_py(), ids[row].as_py())
        least, greatest = pc.min_max(ids).as_py().values()
        self.least = least if self.least is None else min(self.least, least)
        self.greatest = greatest if self.greatest is None else max(self.greatest, greatest)

    def _fell(self, file: str, row: int, begins: Any, before: Any) -> None:
        if len(self.falls) < _SHOWN:
            self.falls.append({"file": file, "row": row, "begins": begins, "before": before})


def _ids(source: Source) -> Iterator[tuple[str, int, pa.Array]]:
    """Yield the ids batch by batch, each with its file and first row; in the original order of a table sorted here."""
    assert source.image is not None
    batches = ((file, row, batch.column(0)) for file, row, batch in read_batches(source.path, [source.image]))
    file = find_files(source.path)[0]
    if not (isinstance(file, Backed) and file.read_as in (*ROW_FORMATS, "frame") and file.original.rows is not None):
        yield from batches
        return
    ids = pa.chunked_array([ids for _, _, ids in batches])
    yield file, 0, one_chunk(ids.take(pa.array(np.argsort(file.original.rows))))
