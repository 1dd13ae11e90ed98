"""Make a source of anything that a user calls a table: Parquet, any file format, CSV, frames, dicts and Boxes."""

from __future__ import annotations

import glob
import os
import re
import shlex
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.arrow.arrays import one_chunk
from fastbox.arrow.held import typed
from fastbox.datasets import recognize
from fastbox.datasets.as_table import keep
from fastbox.datasets.by_image import by_id
from fastbox.datasets.registry import format_named
from fastbox.errors import InputError, advice
from fastbox.storage.backed import ROW_FORMATS, Backed, Original, Scratch
from fastbox.storage.in_memory import InMemory
from fastbox.storage.locate import Listing, check_named, expand, find_files, like
from fastbox.storage.opened import open_parquet, state_of
from fastbox.storage.stores import is_stored, local
from fastbox.tables.files import count_rows
from fastbox.tables.frames import is_frame, kind_of, listed, table_of
from fastbox.tables.source import Source, boxes_in
from fastbox.values.labels import once
from fastbox.values.names import IMAGE, Usual, are_exact, column_of

__all__ = ["Given", "as_source", "counted", "has_rows", "images_of", "listed_ids", "note_of", "resolved"]

table_columns = deferred("fastbox.tables.columns")
in_order = deferred("fastbox.tables.in_order")
jsonlines = deferred("fastbox.datasets.formats.jsonlines")
pq = deferred("pyarrow.parquet")
separated = deferred("fastbox.tables.separated")

# A source, a path or several, Boxes, a dict of arrays, or anything with the Arrow C interface, which no type tells.
Given: TypeAlias = Any


def as_source(given: Given, name: str = "table") -> Source:
    """Return a table as a source of Parquet files, under the user's name for the table.

    Parquet files are taken as they are, sorted or not. Any other table is read into Parquet and, if it has image ids,
    sorted by them; its rows keep their numbers.

    Parameters
    ----------
    given : Source, path, directory, glob, list of these, frame, Arrow table, dict of arrays or Boxes
        A source may name any of the others as its path.
    name : str
        The name in messages of a table that has none.

    Raises
    ------
    InputError
        The table can't be read.

    Examples
    --------
    >>> import fastbox
    >>> boxes = {"file_name": ["b", "a"], "bbox": [[0.0, 0, 1, 1], [0.0, 0, 2, 2]]}
    >>> [(chunk.images.tolist(), chunk.a_rows(np.arange(2)).tolist()) for chunk in fastbox.scan(as_source(boxes))]
    [(['a', 'b'], [1, 0])]
    """
    source = given if isinstance(given, Source) else Source(given)
    path: Any = listed(source.path)
    if source.fragment is not None or isinstance(path, Backed | Listing):
        return source if source.fragment is not None else _with_image(source)
    if is_frame(path):
        return _of_table(source, table_of(path, _name(name, path)), _name(name, path), "frame")
    check_named(path, name)
    if not isinstance(path, str | os.PathLike):
        source = replace(source, path=tuple(path))
    paths: list[Any] = [path] if isinstance(path, str | os.PathLike) else list(path)
    parts = [part for one in paths for part in _expanded(one)]
    read = [_read(part) for part in parts]
    if not any(isinstance(part, Backed) for part in read):
        return _of_parquet(source)
    source = _with_image(replace(source, path=read[0] if len(read) == 1 else tuple(read)))
    unordered = source.image is not None and (len(read) > 1 or _is_unordered(source))
    return in_order.sorted_source(source) if unordered else source


def has_rows(given: Given) -> bool:
    """Tell whether a path is a CSV or JSON lines file that is a table, rather than annotations in a format."""
    name = os.fspath(given) if isinstance(given, str | os.PathLike) else ""
    return (separated.is_separated(name) or jsonlines.is_json_lines(name)) and _format(name) in ROW_FORMATS


def resolved(sources: Sequence[Source], wanted: str) -> tuple[str, list[Source]]:
    """Return the column that a usual name stands for in some tables, and the tables with that name for it.

    A name that the user gave is kept, and so is a name without a column in any table.
    """
    if not isinstance(wanted, Usual) or not sources:
        return str(wanted), list(sources)
    names = [_column_names(source) for source in sources]
    own = [column_of(here, wanted, find_files(one.path)[0]) for here, one in zip(names, sources, strict=True)]
    called = next(filter(None, own), wanted)
    renamed = [
        source if column is None or column == called else replace(source, aliases=(*source.aliases, (called, column)))
        for source, column in zip(sources, own, strict=True)
    ]
    return called, renamed


def counted(*given: Given) -> Callable[[], int] | None:
    """Return a function that counts the rows of tables, or None if the tables must be read for that."""
    paths: list[Any] = [one.path if isinstance(one, Source) else one for one in given if one is not None]
    if any(is_frame(path) for path in paths):
        return None
    names = [os.fspath(part) for path in paths for part in ([path] if isinstance(path, str | os.PathLike) else path)]
    unread = [not isinstance(name, Backed) and (recognize.is_other(name) or os.path.isdir(name)) for name in names]
    return (lambda: sum(map(count_rows, paths))) if names and not any(unread) else None


def listed_ids(source: Source) -> NDArray[Any] | None:
    """Return the ascending ids of the images listed beside the boxes; None without such a list."""
    path = source.path
    if not isinstance(path, Backed) or path.images is None:
        return None
    return once(np.asarray(path.images["image_id"]))


def images_of(given: Given | None, boxes: Source) -> Source | None:
    """Return a table of images as a source: the given table, or the list of images beside the boxes.

    Of annotations, such as COCO JSON, take the list of images.
    """
    table = boxes if given is None else as_source(given, "images")
    if isinstance(table.path, Backed) and table.path.images is not None:
        name = str(table.path)
        return Source(
            in_order.sorted_table(table.path.images, replace(table, image="image_id"), name, table.path.read_as)
        )
    if given is None:
        return None
    if isinstance(table.path, Backed) and table.path.read_as not in (*ROW_FORMATS, "frame", "parquet"):
        raise InputError(
            f"expected ground truth in {table.path}, got results, which list no images: give a table of images"
        )
    return table


def note_of(source: Source) -> dict[str, Any]:
    """Return a note on how a table was read; an empty one for a fragment, or sorted Parquet with the usual names."""
    if source.fragment is not None:
        return {}
    file = find_files(source.path)[0]
    note: dict[str, Any] = {}
    if isinstance(file, Backed):
        note |= {"read_as": file.read_as, "sorted_in": file.sorted_in}
    taken = {}
    if isinstance(source.image, Usual) and source.image != IMAGE:
        taken[source.image.what] = str(source.image)
    if source.boxes is None:
        with open_parquet(file) as opened, suppress(InputError):
            found = boxes_in(opened.schema_arrow, source, file)
            if found.layout == "flat" and not are_exact(found.names):
                taken["boxes"] = f"{','.join(found.names)} ({found.format})"
    if taken:
        note["columns"] = taken
    return {"table": str(file), **note} if note else {}


def _name(name: str, given: Any) -> str:
    return f"{name} ({kind_of(given)})"


def _expanded(path: str | os.PathLike[str]) -> list[str | os.PathLike[str]]:
    """List the files that match a pattern and are not Parquet; return any other path as it is."""
    name = local(path)
    if isinstance(path, Backed) or is_stored(name) or os.path.exists(name) or not glob.has_magic(name):
        return [path]
    files = [file for file in expand(name, every=True) if recognize.is_other(file)]
    return [*files] or [path]


def _read(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return a path of Parquet as it is, and any other file read into Parquet."""
    name = local(path)
    if isinstance(path, Backed) or not (recognize.is_other(name) or os.path.isdir(name)):
        return path
    if is_stored(name):
        raise InputError(f"expected Parquet in an object store, got {name}: copy it here, or convert it to Parquet")
    if not os.path.exists(name):
        raise InputError(f"expected a table of boxes, got no file {name}{like(name)}")
    found = _format(name)
    if found == "parquet":
        return path
    return _of_rows(name, found) if found in ROW_FORMATS else _of_format(name, found, [name])


def _format(name: str) -> str:
    try:
        return recognize.format_of(name)
    except InputError:
        if separated.is_separated(name):
            return "csv"
        if jsonlines.is_json_lines(name) and os.path.isfile(name):
            return "jsonl"
        if os.path.isdir(name) and not os.listdir(name):
            return "parquet"  # its reader says that the folder has no table
        known = "Parquet, CSV with a header, JSON lines, COCO JSON, or a folder of YOLO, VOC or KITTI"
        how = advice(
            f"`fastbox convert {shlex.quote(name)} boxes.parquet --from FORMAT`",
            f"jobs.convert({name!r}, 'boxes.parquet', source_format=FORMAT)",
        )
        raise InputError(
            f"expected a table of boxes ({known}), got {name}, whose format is not recognized: convert it with {how}"
        ) from None


def _of_rows(name: str, format: str) -> Backed:
    """Read a file whose rows are the rows of a table, without a change."""
    scratch = Scratch()
    if format == "csv":
        data = separated.read_separated(name, scratch)
    else:
        data = os.fspath(scratch)
        pq.write_table(jsonlines.read_json_lines(name), data)
    return Backed.of(name, data, format, state=state_of(name), scratch=scratch)


def _of_format(name: str, format: str, given: Sequence[str]) -> Backed:
    """Read annotations in a file format into sorted Parquet, with every number as in the file."""
    scratch = Scratch()
    single = len(given) == 1 and os.path.isfile(name)
    state = state_of(name) if single else None
    try:
        dataset = format_named(format).read(given if len(given) > 1 else given[0])
        data, order = keep(dataset, scratch)
    except InputError as error:
        if not re.search(r"--[a-z]|(sizes|box|class_column|image_column|source_format)=", str(error)):
            raise
        how = advice(f"`fastbox convert {shlex.quote(name)} boxes.parquet`", f"jobs.convert({name!r}, 'boxes.parquet')")
        raise InputError(f"{error}: give this option to {how}, and read its output") from None
    held = isinstance(data, InMemory)
    return Backed.of(
        name,
        data,
        format,
        sorted_in=None if order is None else "memory" if held else "files",
        original=Original(order, order),
        images=None if dataset.kind == "results" else by_id(dataset.images()),
        state=_checked(data) if state is None else state,
        scratch=None if held else scratch,
    )


def _of_parquet(source: Source) -> Source:
    """Return a source of the Parquet files found, with their name for image ids; convert tables of Hugging Face."""
    files = Listing.of(source.path)
    with open_parquet(files[0]) as file:
        schema = file.schema_arrow
        if not file.metadata.num_rows and len(files) == 1 and typed(schema) != schema:
            return _of_table(source, typed(schema).empty_table(), files[0], "parquet")
    if source.boxes is None and recognize.is_huggingface(schema):
        name = os.fspath(source.path) if isinstance(source.path, str | os.PathLike) else files[0]
        return replace(source, path=_of_format(name, "huggingface", files))
    return _with_image(replace(source, path=files), schema.names, files[0])


def _with_image(source: Source, names: Sequence[str] | None = None, where: str = "") -> Source:
    """Return a source with its files' own name for the column of image ids."""
    if not isinstance(source.image, Usual):
        return source
    names = _column_names(source) if names is None else names
    found = column_of(names, source.image, where or find_files(source.path)[0])
    return source if found is None or found == source.image else replace(source, image=source.image.called(found))


def _is_unordered(source: Source) -> bool:
    """Tell whether ids descend anywhere in a table that was read into Parquet here; annotations are sorted already."""
    (file,) = find_files(source.path)
    if not isinstance(file, Backed) or file.read_as not in ROW_FORMATS or source.image not in _column_names(source):
        return False
    last: Any = None
    for _, _, batch in table_columns.read_batches([file], [source.image]):
        ids = one_chunk(batch.column(source.image))
        if ids.null_count or in_order.order_of(pa.chunked_array([ids]), source.image, file) is not None:
            return True
        if last is not None and ids[0].as_py() < last:
            return True
        last = ids[-1].as_py()
    return False


def _checked(data: InMemory | str) -> tuple[int, ...]:
    """Return values that change with the content of a table in memory or in a file."""
    if isinstance(data, InMemory):
        return data.state
    with open(data, "rb") as file:
        sum_ = 0
        while block := file.read(1 << 20):
            sum_ = zlib.crc32(block, sum_)
    return os.path.getsize(data), sum_


def _of_table(source: Source, table: pa.Table, name: str, format: str) -> Source:
    source = _with_image(source, table.column_names, name)
    return replace(source, path=in_order.sorted_table(table, source, name, format))


def _column_names(source: Source) -> list[str]:
    with open_parquet(find_files(source.path)[0]) as file:
        return list(file.schema_arrow.names)
