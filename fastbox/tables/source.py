"""Tables of boxes in Parquet files, and the plans of reading them by their footers."""

from __future__ import annotations

from dataclasses import field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.arrow.arrays import id_kind, is_list
from fastbox.arrow.fields import require
from fastbox.arrow.find import find_boxes
from fastbox.arrow.held import typed
from fastbox.arrow.layouts import BoxColumns, to_columns
from fastbox.errors import InputError
from fastbox.storage.locate import Paths, find_files
from fastbox.storage.opened import current, open_parquet
from fastbox.tables.files import count_rows
from fastbox.tables.footers import RowGroups, row_bytes
from fastbox.values.labels import place_of
from fastbox.values.names import BOX, IMAGE, BoxArgument
from fastbox.values.numbers import as_floats

__all__ = ["Fragment", "Plan", "Source", "boxes_in", "count_boxes", "plan", "plans_of"]


MOST_PLANS = 64  # that a job keeps


@dataclass(frozen=True)
class Fragment:
    """The part of a table that a fragment reads: the images from ``low`` on and below ``high`` in some row groups.

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
        The columns of the boxes, as for :func:`fastbox.arrow.find.find_boxes`.
    image : str or None
        The column of image ids, ascending over all files; None to read rows without images.
    columns : tuple of str
        More columns to carry along with the boxes.
    fragment : Fragment, optional
        The part to read; the whole table when left out.
    aliases : tuple of (str, str)
        Columns that are carried under other names: the new name and the files' own name of each.
    argument : BoxArgument
        The option and the argument that name the columns of boxes, for messages.
    rotated : bool
        Rotated boxes are read too; False refuses them.
    asked : dict of str to str
        The columns and the box format that the caller named, by argument.
    """

    path: Paths
    boxes: str | None = None
    format: str | None = None
    image: str | None = IMAGE
    columns: tuple[str, ...] = ()
    prefix: str = ""
    fragment: Fragment | None = None
    aliases: tuple[tuple[str, str], ...] = ()
    argument: BoxArgument = field(default=BOX, repr=False, compare=False)
    rotated: bool = field(default=True, repr=False)
    asked: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        columns = {"boxes": self.boxes, "format": self.format, "image": self.image}
        asked = {name: value for name, value in columns.items() if value is not None and value != IMAGE}
        object.__setattr__(self, "asked", asked)

    @classmethod
    def of(cls, source: Source | Paths) -> Source:
        """Return a source, or that of a path."""
        return source if isinstance(source, cls) else cls(source)  # type: ignore[arg-type]

    @classmethod
    def carrying(cls, source: Source | Paths, *names: str | None) -> Source:
        """Return a source, or that of a path, with more columns to carry along; None is skipped."""
        found = cls.of(source)
        more = [name for name in names if name is not None]
        return replace(found, columns=tuple(dict.fromkeys([*found.columns, *more])))

    def own(self, name: str) -> str:
        """Return the files' own name of a column that is carried under another."""
        return dict(self.aliases).get(name, name)


def boxes_in(schema: pa.Schema, source: Source, where: str) -> BoxColumns:
    """Find the columns of a source's boxes in the schema of one of its files, as :func:`find_boxes` does."""
    return find_boxes(
        schema,
        source.boxes,
        source.format,
        prefix=source.prefix,
        where=where,
        argument=source.argument,
        rotated=source.rotated,
    )


@dataclass(frozen=True)
class Plan:
    """The plan of reading a source, by its files' footers.

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
        The most bytes that a box takes in the carried columns of no fixed width.
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
    source = Source.of(source)
    kept = _kept(source)
    return kept if kept is not None else _keep(source, _planned(source))


def _kept(source: Source) -> Plan | None:
    """Return the plan of this source object, if the running job has made one."""
    home = current.get()
    return None if home is None else home.plans.get(id(source), (None, None))[1]


def _keep(source: Source, made: Plan) -> Plan:
    if (home := current.get()) is not None:
        if len(home.plans) >= MOST_PLANS:
            home.plans.pop(next(iter(home.plans)))
        home.plans[id(source)] = source, made  # the source too, or another may get its id
    return made


def _planned(source: Source) -> Plan:
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
    """Return plans with image ids of one kind; a table without rows takes it from the others; refuse two kinds."""
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
    if source.fragment is not None:
        return sum(part.boxes for part in source.fragment.groups)
    kept = _kept(source)
    return count_rows(source.path) if kept is None else kept.rows


def _plan_of(source: Source, file: str) -> Plan:
    with open_parquet(file) as parquet:
        rows = int(parquet.metadata.num_rows)
        schema = parquet.schema_arrow if rows else typed(parquet.schema_arrow)
        carried = row_bytes(file, parquet, [source.own(name) for name in source.columns])
    boxes = boxes_in(schema, source, file)
    if boxes.format.startswith("rel_"):
        raise InputError(f"expected coordinates in pixels in {file}, got format {boxes.format!r}: scale them first")
    ids = None
    if source.image is not None:
        ids = id_kind(require(schema, source.image, file).type, source.image, file)
    fields = []
    for name in source.columns:
        kind = require(schema, source.own(name), file).type
        fields.append((name, kind.value_type if boxes.layout == "ragged" and is_list(kind) else kind))
    dtype = _dtype(pa.schema([(name, schema.field(name).type) for name in boxes.names]), boxes)
    return Plan((file,), boxes, dtype, ids, pa.schema(fields), carried, rows)


@lru_cache(64)  # many files have one schema
def _dtype(schema: pa.Schema, boxes: BoxColumns) -> np.dtype[Any]:
    """Return the dtype of boxes in these columns: that of an empty batch."""
    columns, *_ = to_columns(schema.empty_table(), boxes)
    return np.result_type(*map(as_floats, columns))


def _traits(source: Source, found: Plan) -> dict[str, str]:
    """Return the traits that all files must share, by their names in messages."""
    boxes = found.boxes
    return {
        "the boxes": f"{boxes.layout} {', '.join(boxes.names + boxes.fields)} in {boxes.format}",
        "the coordinates": str(found.dtype),
        f"column {source.image!r}": str(found.ids),
        **{f"column {field.name!r}": str(field.type) for field in found.columns},
    }
