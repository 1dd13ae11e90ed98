"""Scan Parquet files as chunks of whole images, in bounded memory, one chunk ahead of the caller."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fastbox.arrow.arrays import Place, id_kind, is_list
from fastbox.arrow.held import typed
from fastbox.boxes.container import Boxes
from fastbox.errors import InputError
from fastbox.memory import most_boxes
from fastbox.storage.backed import Backed
from fastbox.storage.opened import Opened
from fastbox.tables.files import Paths, ahead, batches_of, count_rows, find_files, open_parquet, read_batches
from fastbox.tables.footers import RowGroups, check_bounds, check_footer, leaves_of
from fastbox.tables.join import Chunk, Piece, Side, by_image, by_row
from fastbox.tables.schema import BoxColumns, check_format, find_boxes, require, rows_as_boxes, to_boxes
from fastbox.tables.widths import row_bytes
from fastbox.values.labels import place_of
from fastbox.values.names import BOX, IMAGE, BoxArgument
from fastbox.values.numbers import shown

__all__ = [
    "Chunk",
    "Fragment",
    "Plan",
    "Source",
    "check_rows",
    "count_boxes",
    "count_rows",
    "find_files",
    "open_parquet",
    "plan",
    "plans_of",
    "read_batches",
    "scan",
]

_LEAST_BATCH = 65_536
CHUNKS = 4  # that are in memory at once: one is read, one worked on, one written, and what is made of them


@dataclass(frozen=True)
class Fragment:
    """What a fragment reads of a table: the images from ``low`` on and below ``high`` in some row groups.

    None is no limit.
    """

    groups: tuple[RowGroups, ...]
    low: Any = None
    high: Any = None

    def places(self, ids: NDArray[Any]) -> tuple[int, int]:
        """Return where the images of the fragment begin and end among ascending ids."""
        begin = 0 if self.low is None else place_of(self.low, ids)
        return begin, len(ids) if self.high is None else place_of(self.high, ids)


@dataclass(frozen=True)
class Source:
    """A table of boxes in Parquet files.

    Attributes
    ----------
    path : path or sequence of paths
        A file, a directory (every ``*.parquet`` below it, sorted by name), a glob, or several of these.
    boxes, format, prefix : str
        Where the boxes are, as for :func:`fastbox.tables.schema.find_boxes`.
    image : str or None
        The column of image ids, ascending over all files; None to read rows without images.
    columns : tuple of str
        More columns to carry along with the boxes.
    fragment : Fragment, optional
        What to read of these files; everything when left out.
    aliases : tuple of (str, str)
        Columns that are carried under other names than their own: these, and what the files call them.
    argument : BoxArgument
        What names the columns of boxes, as messages tell it.
    """

    path: Paths
    boxes: str | None = None
    format: str | None = None
    image: str | None = IMAGE
    columns: tuple[str, ...] = ()
    prefix: str = ""
    fragment: Fragment | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    argument: BoxArgument = field(default=BOX, compare=False)

    @classmethod
    def carrying(cls, source: Source | Paths, *names: str | None) -> Source:
        """Return a source, or that of a path, with more columns to carry along; None names none."""
        found = source if isinstance(source, cls) else cls(source)  # type: ignore[arg-type]
        more = [name for name in names if name is not None]
        return replace(found, columns=tuple(dict.fromkeys([*found.columns, *more])))

    def own(self, name: str) -> str:
        """Return what the files call a column that is carried under a name."""
        return dict(self.aliases).get(name, name)


@dataclass(frozen=True)
class Plan:
    """What a source will give, as its files' footers tell.

    Attributes
    ----------
    files : tuple of str
    boxes : BoxColumns
    dtype : numpy.dtype
        float32 or float64, the type of the coordinates.
    ids : str or None
        ``"integer"`` (int64), ``"string"``, or None without an image column.
    columns : pyarrow.Schema
        The carried columns, as a chunk has them.
    carried : int
        Bytes that a box takes in the carried columns of no fixed width, where boxes take most.
    rows : int
        Rows of its files.
    """

    files: tuple[str, ...]
    boxes: BoxColumns
    dtype: np.dtype[Any]
    ids: str | None
    columns: pa.Schema
    carried: int = 0
    rows: int = 0


def plan(source: Source | Paths) -> Plan:
    """Find a source's files and columns, and check that all files agree in them; no row is read.

    Raises
    ------
    InputError
        A file is missing or unreadable, a column is missing or of a wrong type, or two files differ.
    """
    source = _as_source(source)
    every = [_plan_of(source, file) for file in find_files(source.path)]
    plans = [found for found in every if found.rows] or every[:1]  # files without rows often have no types
    files = tuple(file for found in plans for file in found.files)
    expected = _traits(source, plans[0])
    for other in plans[1:]:
        got = _traits(source, other)
        for what in expected:
            if got[what] != expected[what]:
                alike = f"expected {expected[what]} for {what} of {other.files[0]}, as in {files[0]}"
                raise InputError(f"{alike}, got {got[what]}: write all files alike")
    carried, rows = max(found.carried for found in plans), sum(found.rows for found in plans)
    return replace(plans[0], files=files, carried=carried, rows=rows)


def plans_of(*sources: Source) -> list[Plan]:
    """Return the plans with image ids of one kind, which a table without rows takes from the others, or refuse them."""
    plans = [plan(source) for source in sources]
    if len({found.ids for found in plans}) == 1:
        return plans
    filled = [
        (source, found)
        for source, found in zip(sources, plans, strict=True)
        if found.ids is None or count_boxes(source)
    ] or [(sources[0], plans[0])]
    said = [
        f"{found.ids} ids in column {source.image!r} of {found.files[0]}" if found.ids else f"none for {found.files[0]}"
        for source, found in filled
    ]
    kind = filled[0][1].ids
    for (_, found), other in zip(filled[1:], said[1:], strict=True):
        if found.ids != kind:
            tables = "both tables" if len(plans) == 2 else "all tables"
            raise InputError(f"expected image ids of one kind in {tables}, got {said[0]} and {other}: cast one of them")
    return [replace(found, ids=kind) for found in plans]


def count_boxes(source: Source) -> int:
    """Count a source's boxes by its footers; its rows, where each is a list of boxes."""
    return count_rows(source.path) if source.fragment is None else sum(part.boxes for part in source.fragment.groups)


def scan(*sources: Source | Paths | None, rows: int = 262_144) -> Generator[Chunk]:
    """Read sources, or Parquet files by their paths, joined by image id, as :func:`fastbox.scan` says."""
    check_rows(rows)
    opened = Opened.now() or Opened()
    own = opened is not Opened.now()
    with opened.active():
        tables = [_as_source(source) for source in sources if source is not None]
        plans = plans_of(*tables)
    most = most_boxes(max(found.carried for found in plans))
    chunks = ahead(_chunks(tables, plans, min(rows, max(1, most // CHUNKS)), most, opened, own))
    return _told(chunks, tables, plans)


def check_rows(rows: int) -> None:
    """Refuse a number of rows below 1."""
    if not isinstance(rows, int) or rows < 1:
        raise ValueError(f"expected rows of 1 or more, got {shown(rows)}")


def _told(chunks: Generator[Chunk], sources: list[Source], plans: list[Plan]) -> Generator[Chunk]:
    """Chunks as they come; of a table whose first boxes look like those of another format this is said."""
    fragments = [source.fragment for source in sources]
    first = [own is None or not own.groups or own.groups[0].number == 0 for own in fragments]
    with closing(chunks):
        for chunk in chunks:
            for place, boxes in enumerate((chunk.a, chunk.b, *(boxes for boxes, *_ in chunk.more))):
                if boxes is not None and len(boxes) and first[place]:
                    first[place] = False
                    check_format(boxes, plans[place].files[0])
            yield chunk


def _chunks(
    sources: list[Source], plans: list[Plan], rows: int, most: int, opened: Opened, own: bool
) -> Generator[Chunk]:
    sides = [_side(source, found, rows, most, opened) for source, found in zip(sources, plans, strict=True)]
    try:
        if plans[0].ids is None:
            yield from by_row(sides, rows, [found.files[0] for found in plans])
        else:
            yield from by_image(sides, rows)
        for found in plans:
            opened.check(found.files)
    finally:
        for side in sides:
            side.close()
        if own:
            opened.end()


def _as_source(source: Source | Paths) -> Source:
    return source if isinstance(source, Source) else Source(source)


def _plan_of(source: Source, file: str) -> Plan:
    with open_parquet(file) as parquet:
        rows = int(parquet.metadata.num_rows)
        schema = parquet.schema_arrow if rows else typed(parquet.schema_arrow)
        carried = row_bytes(file, parquet, [source.own(name) for name in source.columns])
    boxes = find_boxes(schema, source.boxes, source.format, prefix=source.prefix, where=file, argument=source.argument)
    if boxes.format.startswith("rel_"):
        raise InputError(f"expected coordinates in pixels in {file}, got format {boxes.format!r}: scale them first")
    ids = None
    if source.image is not None:
        ids = id_kind(require(schema, source.image, file).type, source.image, file)
    fields = []
    for name in source.columns:
        kind = require(schema, source.own(name), file).type
        fields.append((name, kind.value_type if boxes.layout == "ragged" and is_list(kind) else kind))
    return Plan((file,), boxes, _dtype(schema, boxes), ids, pa.schema(fields), carried, rows)


def _dtype(schema: pa.Schema, boxes: BoxColumns) -> np.dtype[Any]:
    """The dtype that boxes of these columns have: that of an empty batch."""
    return to_boxes(pa.schema([schema.field(name) for name in boxes.names]).empty_table(), boxes).dtype


def _traits(source: Source, found: Plan) -> dict[str, str]:
    """What all files must have alike, under the names that a message gives it."""
    boxes = found.boxes
    return {
        "the boxes": f"{boxes.layout} {', '.join(boxes.names + boxes.fields)} in {boxes.format}",
        "the coordinates": str(found.dtype),
        f"column {source.image!r}": str(found.ids),
        **{f"column {field.name!r}": str(field.type) for field in found.columns},
    }


def _side(source: Source, found: Plan, rows: int, most: int, opened: Opened) -> Side:
    none = np.zeros(0, found.dtype)
    empty = Boxes.from_columns(none, none, none, none, found.boxes.format, offsets=[0])
    if found.ids is not None:
        empty.images = np.zeros(0, np.int64 if found.ids == "integer" else np.str_)
    carried = found.columns.empty_table().to_batches() or [pa.RecordBatch.from_pylist([], found.columns)]
    pieces = _pieces(source, found, min(max(rows, _LEAST_BATCH), max(1, most // CHUNKS)), opened)
    order = found.files[0].boxes if isinstance(found.files[0], Backed) else None
    name = found.files[0] if len(found.files) == 1 else f"all rows from {found.files[0]} on"
    return Side(pieces, source.image, Piece(empty, carried[0], name, 0), most, order)


def _pieces(source: Source, found: Plan, rows: int, opened: Opened) -> Generator[Piece]:
    carried_names = [source.own(name) for name in found.columns.names]
    named = [*found.boxes.paths, *carried_names, *([source.image] if source.image else [])]
    # Only the first id of every image becomes a string: codes decode and compare 1.4 times as fast.
    coded = [source.image] if source.image and found.ids == "string" and source.image not in carried_names else []
    fragment = source.fragment
    number = 0
    for part in found.files if fragment is None else fragment.groups:
        file = part.file if isinstance(part, RowGroups) else part
        number = part.number if isinstance(part, RowGroups) else number
        most = _batch_rows(file, found.boxes, rows, opened)
        with closing(batches_of(part, named, most, coded, opened)) as batches:
            for first_row, batch in batches:
                boxes = to_boxes(batch, found.boxes, image=source.image, where=file, first_row=first_row)
                carried = rows_as_boxes(batch, found.boxes, carried_names, where=file, first_row=first_row)
                if source.aliases:
                    carried = carried.rename_columns(found.columns.names)
                piece = Piece(boxes, carried, file, first_row, number)
                number += len(boxes)
                if isinstance(part, RowGroups) and source.image is not None:
                    check_bounds(part, batch.column(source.image), Place(file, source.image, first_row))
                if fragment is not None:
                    piece = _within(piece, fragment)
                if piece.boxes.images is None or len(piece.boxes.images):
                    yield piece


def _within(piece: Piece, fragment: Fragment) -> Piece:
    """The images of a piece that are in a fragment."""
    ids, offsets = piece.boxes.images, piece.boxes.offsets
    if ids is None or offsets is None:
        return piece
    begin, end = fragment.places(ids)
    if (begin, end) == (0, len(ids)):
        return piece
    bounds = offsets[begin : end + 1]
    first, last = int(bounds[0]), int(bounds[-1])
    rows = piece.boxes[first:last]
    boxes = Boxes.of(rows.columns, rows.format, bounds - first, ids[begin:end])
    carried = piece.columns.slice(first, last - first)
    return Piece(boxes, carried, piece.where, piece.first_row + first, piece.number + first)


def _batch_rows(file: str, boxes: BoxColumns, rows: int, opened: Opened) -> int:
    """How many rows of a file hold about ``rows`` boxes, as its footer tells: in a ragged layout a row is an image."""
    if boxes.layout != "ragged":
        return rows
    with open_parquet(file, (), opened) as parquet:
        check_footer(file, parquet.metadata, boxes.names[0])
        held, per_box = _values(parquet.metadata, boxes.names[0]), 1 if boxes.fields else 4
        return max(1, rows * per_box * int(parquet.metadata.num_rows) // max(1, held))


def _values(footer: pq.FileMetaData, name: str) -> int:
    """The number of values in the first leaf of a column."""
    leaf = next(iter(leaves_of(footer.schema, name)))
    return sum(int(footer.row_group(i).column(leaf).num_values) for i in range(footer.num_row_groups))
