"""Scan tables of every kind as chunks of whole images."""

from __future__ import annotations

from collections.abc import Generator

from fastbox.datasets.as_source import Given, as_source
from fastbox.storage.opened import Opened
from fastbox.tables import stream
from fastbox.tables.chunk import ROWS, Chunk
from fastbox.tables.source import Source
from fastbox.values.arguments import named

__all__ = ["scan"]


@named
def scan(a: Given, b: Given | None = None, *more: Given, rows: int = ROWS) -> Generator[Chunk]:
    """Read one table, or two or more joined by image id, as chunks of whole images.

    A table is a Parquet file, a folder or a pattern of Parquet files, a :class:`Source`, or anything else that a job
    reads. A chunk has about ``rows`` boxes of all tables together, or one larger image. An image that one table lacks
    has no boxes of this table. The next chunk is decoded in a thread while the caller works on this one. Memory holds a
    few chunks, or the largest image; an image that ``fastbox.get_memory()`` can't hold is refused. With ``image=None``
    a chunk has the same rows of each table.

    Raises
    ------
    InputError
        At once: unusable files or columns, ids of two kinds. While reading: unsorted ids, a null coordinate, damaged
        data, an image too large for the memory; the message names file, column and row.

    Examples
    --------
    >>> import fastbox, pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "boxes.parquet")
    >>> pq.write_table(pa.table({"image_id": [3, 3, 8], "bbox": [[0.0, 0.0, 1.0, 1.0]] * 3}), path)
    >>> [(chunk.images, chunk.a) for chunk in fastbox.scan(path)]
    [(array([3, 8]), Boxes(3 boxes in 2 images, xyxy, float64))]
    """
    stream.check_rows(rows)
    opened = Opened.now() or Opened()
    own = opened is not Opened.now()
    with opened.active():
        given = (a, *(one for one in (b, *more) if one is not None))
        chunks = stream.scan(*(one if isinstance(one, Source) else as_source(one) for one in given), rows=rows)
    return _ended(chunks, opened) if own else chunks


def _ended(chunks: Generator[Chunk], opened: Opened) -> Generator[Chunk]:
    """Yield chunks, and close the files when no more are wanted."""
    try:
        yield from chunks
    finally:
        opened.end()
