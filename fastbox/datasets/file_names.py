"""The names of images' files, and their sizes, in the tables of a job."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox._record import NamedTuple
from fastbox.datasets.as_source import Given, as_source
from fastbox.storage.backed import Backed
from fastbox.storage.locate import find_files
from fastbox.tables.files import column_names
from fastbox.tables.source import Source
from fastbox.values.names import IMAGE, column_of

__all__ = ["FILE_NAME", "FileName", "FileNames"]

table_columns = deferred("fastbox.tables.columns")
pc = deferred("pyarrow.compute")

FILE_NAME = "file_name"


class FileName(NamedTuple):
    """The name of an image's file, and the width and height of the image in pixels; None where unknown."""

    name: str | None
    size: tuple[int, int] | None = None


class FileNames:
    """The names of images' files: in the list of images of annotations, or in a column ``file_name``.

    Parameters
    ----------
    sources : iterable of Source
        Tables of boxes or of images; the first with the name of an image counts.
    images_table : path, frame or Arrow table, optional
        A further table of images, which is read when a name is asked for.

    Examples
    --------
    >>> boxes = {"image_id": [1, 1, 2], "file_name": ["a.jpg", "a.jpg", "b.jpg"], "bbox": [[0.0, 0, 1, 1]] * 3}
    >>> FileNames([as_source(boxes)])(["2", "3"])
    {'2': FileName(name='b.jpg', size=None)}
    """

    def __init__(self, sources: Iterable[Source], images_table: Given | None = None) -> None:
        self._further = images_table
        # A list of images is kept instead of the table that it came with.
        self._tables: list[pa.Table | Source] = []
        for source in sources:
            first = find_files(source.path)[0]
            listed = first.images if isinstance(first, Backed) else None
            if listed is not None or not isinstance(first, Backed) or FILE_NAME in column_names(first):
                self._tables.append(source if listed is None else listed)

    def __call__(self, images: Collection[str]) -> dict[str, FileName]:
        """Return the names of the files of some images, given and returned by their ids as text."""
        if self._further is not None:
            self._tables += FileNames([as_source(self._further, "images")])._tables
            self._further = None
        found: dict[str, FileName] = {}
        for table in self._tables:
            left = set(images).difference(found)
            if not left:
                break
            found |= dict(_listed(table, left) if isinstance(table, pa.Table) else _in_rows(table, left))
        return found


def _listed(table: pa.Table, images: set[str]) -> Iterator[tuple[str, FileName]]:
    """Yield some images of a list with their files' names and their sizes."""
    columns = [name for name in ("image_id", "width", "height", FILE_NAME) if name in table.column_names]
    for row in _of(table.select(columns), "image_id", images):
        width, height = row.get("width"), row.get("height")
        yield str(row["image_id"]), FileName(row.get(FILE_NAME), (width, height) if width and height else None)


def _in_rows(source: Source, images: set[str]) -> Iterator[tuple[str, FileName]]:
    """Yield some images with the names of their files, from the rows of a table with a column of these names."""
    files = find_files(source.path)
    names = column_names(files[0])
    image = source.image if source.image in names else column_of(names, IMAGE, files[0])
    if image is None or FILE_NAME not in names or image == FILE_NAME:
        return
    left = set(images)
    for _, _, batch in table_columns.read_batches(files, [str(image), FILE_NAME]):
        for row in _of(pa.table(batch), str(image), left):
            name = row[FILE_NAME]
            if str(row[image]) in left and name is not None:
                left.discard(str(row[image]))
                yield str(row[image]), FileName(str(name))
        if not left:
            return


def _of(table: pa.Table, image: str, images: Collection[str]) -> list[dict[str, Any]]:
    """Return the rows of some images."""
    ids = table[image].cast(pa.string())
    rows: list[dict[str, Any]] = table.filter(pc.is_in(ids, pa.array(sorted(images), pa.string()))).to_pylist()
    return rows
