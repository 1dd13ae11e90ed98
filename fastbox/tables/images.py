"""A table of images, read along with their boxes: ids, and sizes if it has them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.arrow.arrays import Place, id_kind, image_runs, is_number, one_chunk, unsorted
from fastbox.arrow.columns import number_column
from fastbox.arrow.fields import require
from fastbox.errors import InputError
from fastbox.storage.locate import Paths, find_files
from fastbox.storage.opened import open_parquet
from fastbox.tables.columns import read_batches
from fastbox.tables.source import Source
from fastbox.values.labels import place_of

__all__ = ["Images", "Listed"]

ROWS = 65_536


@dataclass(frozen=True, eq=False)
class Listed:
    """Some images, by ascending id.

    Attributes
    ----------
    ids : array of shape (m,)
    times : array of shape (m,), int64
        The number of rows of each id in the table.
    sizes : two arrays of shape (m,), float64
        Widths and heights in pixels, nan if they are not numbers above 0.
    sized : bool
        Whether the table has columns of sizes.
    """

    ids: NDArray[Any]
    times: NDArray[np.int64]
    sizes: tuple[NDArray[np.float64], NDArray[np.float64]]
    sized: bool

    def cut(self, at: int) -> tuple[Listed, Listed]:
        """Return the images before a place, and those from the place on."""
        width, height = self.sizes
        return (
            Listed(self.ids[:at], self.times[:at], (width[:at], height[:at]), self.sized),
            Listed(self.ids[at:], self.times[at:], (width[at:], height[at:]), self.sized),
        )


class Images:
    """The images of Parquet files that are sorted by id, returned step by step up to an id.

    Parameters
    ----------
    table : Source, path, directory, glob or a list of paths
        Of a source with a fragment, only the fragment is read.
    image : str
        The column of ids.
    size : (str, str)
        The columns of widths and heights; sizes are not known where both are missing.

    Raises
    ------
    InputError
        A file or column that can't be used; while reading, unsorted ids, a null id.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "images.parquet")
    >>> pq.write_table(pa.table({"image_id": [2, 5, 9], "width": [640] * 3, "height": [480] * 3}), path)
    >>> images = Images(path)
    >>> images.upto(5).ids, images.block().ids, images.block() is None
    (array([2, 5]), array([9]), True)
    """

    def __init__(
        self, table: Source | Paths, image: str = "image_id", size: tuple[str, str] = ("width", "height")
    ) -> None:
        path, self._fragment = (table.path, table.fragment) if isinstance(table, Source) else (table, None)
        self.files = find_files(path)
        with open_parquet(self.files[0]) as parquet:
            schema = parquet.schema_arrow
        self.kind = id_kind(require(schema, image, self.files[0]).type, image, self.files[0])
        self.sized = any(name in schema.names for name in size)
        self._image, self._size = image, size if self.sized else ()
        for name in self._size:
            kind = require(schema, name, self.files[0]).type
            if not is_number(kind):
                raise InputError(f"expected numbers in column {name!r} of {self.files[0]}, got {kind}: cast it")
        none = np.zeros(0)
        ids: NDArray[Any] = np.zeros(0, np.int64 if self.kind == "integer" else np.str_)
        self._empty = Listed(ids, np.zeros(0, np.int64), (none, none), self.sized)
        self._waiting = self._empty
        self._batches = self._listed()
        self._ended = False

    def upto(self, last: Any) -> Listed:
        """Return the images up to an id that were not returned before."""
        parts: list[Listed] = []
        while True:
            at = place_of(last, self._waiting.ids, "right")
            # The last id that was read may continue in the next batch.
            if at < len(self._waiting.ids) or self._ended:
                found, self._waiting = self._waiting.cut(at)
                return _joined([*parts, found])
            found, self._waiting = self._waiting.cut(max(0, at - 1))
            parts.append(found)
            self._load()

    def block(self) -> Listed | None:
        """Return some of the images that are left; None at the end."""
        while len(self._waiting.ids) < 2 and not self._ended:
            self._load()
        if not len(self._waiting.ids):
            return None
        found, self._waiting = self._waiting.cut(len(self._waiting.ids) - (0 if self._ended else 1))
        return found

    def close(self) -> None:
        """Stop reading."""
        self._batches.close()

    def _load(self) -> None:
        more = next(self._batches, None)
        if more is None:
            self._ended = True
            return
        before = self._waiting
        if len(before.ids) and before.ids[-1] == more.ids[0]:
            more.times[0] += before.times[-1]
            sizes = tuple(np.append(old[-1:], new[1:]) for old, new in zip(before.sizes, more.sizes, strict=True))
            more = Listed(more.ids, more.times, (sizes[0], sizes[1]), self.sized)
            before, _ = before.cut(len(before.ids) - 1)
        self._waiting = _joined([before, more])

    def _listed(self) -> Generator[Listed]:
        """Yield the images of each batch; ids ascend over all batches."""
        last = None
        fragment = self._fragment
        named = list(dict.fromkeys([self._image, *self._size]))
        batches = read_batches(self.files, named, rows=ROWS, groups=None if fragment is None else fragment.groups)
        try:
            for file, first_row, batch in batches:
                place = Place(file, self._image, first_row)
                ids, bounds = image_runs(one_chunk(batch.column(self._image)), place)
                if last is not None and ids[0] < last:
                    raise unsorted(place, 0, last, ids[0])
                last = ids[-1]
                begin, end = (0, len(ids)) if fragment is None else fragment.places(ids)
                if begin == end:
                    continue
                ids, bounds = ids[begin:end], bounds[begin : end + 1]
                firsts = bounds[:-1]
                none = np.full(len(ids), np.nan)
                sides = [_pixels(batch, name)[firsts] for name in self._size] or [none, none]
                yield Listed(ids, np.diff(bounds), (sides[0], sides[1]), self.sized)
        finally:
            batches.close()


def _joined(parts: list[Listed]) -> Listed:
    if len(parts) == 1:
        return parts[0]
    width, height = (np.concatenate([part.sizes[k] for part in parts]) for k in (0, 1))
    ids, times = (np.concatenate(column) for column in zip(*((part.ids, part.times) for part in parts), strict=True))
    return Listed(ids, times, (width, height), parts[0].sized)


def _pixels(batch: pa.RecordBatch, name: str) -> NDArray[np.float64]:
    values = number_column(batch, name, missing=np.nan).astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.where((values > 0) & np.isfinite(values), values, np.nan)
