"""Read the rows of a data set image by image, with the size and file name of each, in bounded memory."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._lazy import deferred
from fastbox._record import NamedTuple
from fastbox.arrow.arrays import array_of, is_number
from fastbox.datasets.dataset import COORDINATES, Dataset, format_of, names_in
from fastbox.errors import InputError
from fastbox.values.formats import one_nan
from fastbox.values.groups import order_of, stable

__all__ = ["MOST_HELD", "Group", "by_id", "coordinates", "file_stems", "grouped", "numbers", "taken", "whole_numbers"]

pc = deferred("pyarrow.compute")
folders = deferred("fastbox.storage.folders")
pictures = deferred("fastbox.storage.pictures")
mmap, tempfile = deferred("mmap"), deferred("tempfile")

SPAN = 1 << 20  # between the least and the greatest image id: a table of all ids in between is small
FEW = 8192  # rows that are taken as Python objects in less time than pyarrow.compute takes to load
ROWS = 65_536  # boxes of the images that are written together
MOST_HELD = 128 << 20  # bytes of boxes that are held in memory until the order of the images is known


class Group(NamedTuple):
    """Some whole images and their boxes, both in the order of their ids: image i has rows ``offsets[i:i + 2]``.

    ``order`` has the number of each row in the data set; None if the whole data set is in the order of its images.
    """

    images: pa.Table
    rows: pa.Table
    offsets: NDArray[np.int64]
    order: NDArray[np.int64] | None


def grouped(dataset: Dataset, target: str | os.PathLike[str], rows: int = ROWS) -> Iterator[Group]:
    """Yield all images of a data set by ascending id, those without boxes too, about ``rows`` boxes at a time.

    The size of an image may follow its boxes, and boxes may come in any order. So boxes are held in memory first; many
    boxes in an unnamed file beside ``target``, which is then mapped: memory holds about 20 bytes a box, and one group.

    Raises
    ------
    InputError
        A box has no image, no category or a null coordinate.
    """
    with _rows(dataset, target) as boxes:
        images, owners = _images_of(dataset.images(), boxes["image_id"])
        order = None
        if not np.all(owners[:-1] <= owners[1:]):
            order, boxes = _order_and_whole(owners, images.num_rows, boxes)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(owners, minlength=images.num_rows))])
        first = 0
        while first < images.num_rows:
            last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + rows, side="right")) - 1)
            last = min(last, first + rows)
            start, stop = int(offsets[first]), int(offsets[last])
            own = None if order is None else order[start:stop]
            if own is None:  # the rows behind those that are handed on: the ones before need not stay in memory
                part, boxes = boxes.slice(0, stop - start), boxes.slice(stop - start)
            else:
                part = taken(boxes, own)
            yield Group(images.slice(first, last - first), part, offsets[first : last + 1] - start, own)
            first = last


def _order_and_whole(owners: NDArray[Any], count: int, boxes: pa.Table) -> tuple[NDArray[np.int64], pa.Table]:
    """Return the order of boxes by their images, and the boxes with every column in one chunk, made side by side."""
    columns = [boxes.select([name]) for name in boxes.column_names]
    order, *made = parallel.run_calls([(stable, owners, count), *((pa.Table.combine_chunks, one) for one in columns)])
    return order, pa.Table.from_arrays([one.column(0) for one in made], schema=boxes.schema)


@contextlib.contextmanager
def _rows(dataset: Dataset, target: str | os.PathLike[str]) -> Iterator[pa.Table]:
    """Give the rows of a data set: in memory, or mapped from a file."""
    needed = {"image_id", "category_id", *names_in(format_of(dataset.schema))}
    needed |= {"score"} if dataset.kind == "results" else set()
    held: list[pa.RecordBatch] = []
    size = 0
    batches = iter(dataset.batches)
    for batch in batches:
        _check_nulls(batch, needed)
        held.append(batch)
        size += batch.nbytes
        if size > MOST_HELD:
            break
    else:
        rows = [pa.Table.from_batches(held, schema=dataset.schema)]
        held.clear()
        yield rows.pop()
        return
    with tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(target))) as file:
        with pa.ipc.new_file(pa.PythonFile(file, "w"), dataset.schema) as writer:
            while held:
                writer.write_batch(held.pop(0))
            for batch in batches:
                _check_nulls(batch, needed)
                writer.write_batch(batch)
        file.flush()
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        yield pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped))).read_all()


def coordinates(rows: pa.Table, format: str) -> list[NDArray[np.float64]]:
    """Return the four coordinates of boxes in a format, converted from the table's own; its own are returned unchanged.

    >>> rows = pa.table({"x": [10.0], "y": [20.0], "w": [4.0], "h": [6.0]})
    >>> [column.tolist() for column in coordinates(rows, "cxcywh")]
    [[12.0], [23.0], [4.0], [6.0]]
    """
    given = next(form for form, names in COORDINATES.items() if set(names) <= set(rows.column_names))
    columns = (rows[name] for name in COORDINATES[given])
    own = [_as_numpy(one if pa.types.is_float64(one.type) else one.cast(pa.float64())) for one in columns]
    if given == format:
        return own
    a, b, c, d = own
    with np.errstate(invalid="ignore", over="ignore"):
        if given == "xyxy":
            made = [a, b, c - a, d - b] if format == "xywh" else [(a + c) / 2, (b + d) / 2, c - a, d - b]
        elif given == "xywh":
            made = [a, b, a + c, b + d] if format == "xyxy" else [a + c / 2, b + d / 2, c, d]
        else:
            x, y = a - c / 2, b - d / 2
            made = [x, y, c, d] if format == "xywh" else [x, y, a + c / 2, b + d / 2]
    return [column if any(column is one for one in own) else one_nan(column) for column in made]


def taken(table: pa.Table, rows: NDArray[np.int64]) -> pa.Table:
    """Return some rows of a table; numbers without nulls, and few rows, without pyarrow.compute.

    >>> taken(pa.table({"image_id": [7, 8], "file_name": ["a", None]}), np.array([1, 0])).to_pylist()
    [{'image_id': 8, 'file_name': None}, {'image_id': 7, 'file_name': 'a'}]
    """
    return pa.Table.from_arrays([_taken(column, rows) for column in table.columns], schema=table.schema)


def by_id(images: pa.Table) -> pa.Table:
    """Return images by ascending id, those of one id in their order.

    >>> by_id(pa.table({"image_id": [8, 7]})).to_pylist()
    [{'image_id': 7}, {'image_id': 8}]
    """
    ids = images["image_id"]
    if ids.type != pa.int64() or ids.null_count:
        return images.sort_by("image_id")
    order = order_of(_as_numpy(ids))
    return images if order is None else taken(images, order)


def _taken(column: pa.ChunkedArray, rows: NDArray[np.int64]) -> pa.Array | pa.ChunkedArray:
    kind = column.type
    if (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and not column.null_count:
        return array_of(_as_numpy(column)[rows])
    if max(len(column), len(rows)) <= FEW and (pa.types.is_integer(kind) or pa.types.is_string(kind)):
        values = column.to_pylist()
        return pa.array([values[row] for row in rows.tolist()], kind)
    return column.take(pa.array(rows))


def numbers(rows: pa.Table, name: str, missing: float = np.nan) -> NDArray[np.float64]:
    """Return a column of numbers or truth values in float64, ``missing`` for null; ``InputError`` for another type.

    >>> numbers(pa.table({"occ": [1, None]}), "occ", -1).tolist()
    [1.0, -1.0]
    """
    column = rows[name]
    if not (is_number(column.type) or pa.types.is_boolean(column.type)):
        raise InputError(f"expected numbers in column {name!r}, got {column.type}: cast it, or leave the column out")
    return np.asarray(_as_numpy(column.cast(pa.float64(), safe=False).fill_null(missing)), np.float64)


def whole_numbers(rows: pa.Table, name: str, bits: int = 32) -> list[int | None]:
    """Return a column of whole numbers, None for null and nan; ``InputError`` for another type or number.

    >>> whole_numbers(pa.table({"occ": [1.0, None]}), "occ")
    [1, None]
    """
    values = numbers(rows, name)
    most = 2 ** (bits - 1)
    wrong = np.flatnonzero(~(np.isnan(values) | ((np.trunc(values) == values) & (values >= -most) & (values < most))))
    if wrong.size:
        image, value = rows["image_id"][int(wrong[0])].as_py(), float(values[wrong[0]])
        raise InputError(
            f"expected whole numbers of {bits} bits in column {name!r}, got {value} in a box of image {image!r}: set "
            "it to one, or leave the column out"
        )
    return [None if value != value else int(value) for value in values.tolist()]


def file_stems(images: pa.Table, *, ids: bool) -> list[str]:
    """Return the name of each image's file, without its extension.

    The name is the image's id if ids are strings and ``ids`` is True; else the image's file name, if known, without
    the extension of an image file: ``scene.0001`` has no such extension.

    Raises
    ------
    InputError
        The name is not a relative path of plain names.
    """
    keys, names = images["image_id"].to_pylist(), images["file_name"].to_pylist()
    if ids and pa.types.is_string(images["image_id"].type):
        names = [None] * len(keys)
    stems = [str(key) if name is None else pictures.stem_of(name) for key, name in zip(keys, names, strict=True)]
    for stem in stems:
        folders.check_name(stem)
    return stems


def _images_of(listed: pa.Table, boxed: pa.ChunkedArray) -> tuple[pa.Table, NDArray[Any]]:
    """Return every image by ascending id, and for each box the number of its image."""
    found = _by_number(listed, boxed)
    if found is not None:
        return found
    images = _every_image(listed, boxed)
    return images, _as_numpy(pc.index_in(boxed, value_set=images["image_id"]))


def _by_number(listed: pa.Table, boxed: pa.ChunkedArray) -> tuple[pa.Table, NDArray[Any]] | None:
    """Return the images and the image of each box, found in a table of all ids; None where that table is no way."""
    column = listed["image_id"]
    if column.type != pa.int64() or boxed.type != pa.int64() or column.null_count or boxed.null_count:
        return None
    own, others = _as_numpy(column), _as_numpy(boxed)
    given = [ids for ids in (own, others) if ids.size]
    least = min((int(ids.min()) for ids in given), default=0)
    span = max((int(ids.max()) for ids in given), default=0) - least + 1
    if span > SPAN:
        return None
    used = np.zeros(span, np.bool_)
    used[own - least] = True
    places = others - least
    if own.size and not used[places].all():
        return None  # some images are listed and some are not
    used[places] = True
    ids = np.flatnonzero(used)
    if own.size:
        firsts = np.empty(span, np.int64)
        firsts[own[::-1] - least] = np.arange(len(own))[::-1]  # of an id that is listed again, the first
        rows = firsts[ids]
        images = listed if np.array_equal(rows, np.arange(listed.num_rows)) else taken(listed, rows)
    else:
        nothing = [pa.nulls(len(ids), field.type) for field in listed.schema if field.name != "image_id"]
        images = pa.Table.from_arrays([array_of(ids + least), *nothing], schema=listed.schema)
    return images.combine_chunks(), (np.cumsum(used) - 1)[places]


def _every_image(listed: pa.Table, boxed: pa.ChunkedArray) -> pa.Table:
    """Return the listed images, each once, and the images that only boxes name, by ascending id."""
    ids = pc.unique(listed["image_id"])
    if len(ids) < listed.num_rows:
        listed = listed.take(pc.index_in(ids, value_set=listed["image_id"].combine_chunks()))
    unlisted = pc.unique(boxed.filter(pc.invert(pc.is_in(boxed, value_set=listed["image_id"]))))
    nothing = [pa.nulls(len(unlisted), field.type) for field in listed.schema][1:]
    images = pa.concat_tables([listed, pa.Table.from_arrays([unlisted, *nothing], schema=listed.schema)])
    return images.take(pc.sort_indices(images["image_id"])).combine_chunks()


def _check_nulls(batch: pa.RecordBatch, needed: set[str]) -> None:
    for name in batch.schema.names:
        column = batch.column(name)
        if name in needed and column.null_count:
            row = pc.index(pc.is_null(column), True).as_py()
            image = batch.column("image_id")[row].as_py()
            got = f"null for one of image {image!r}" if name != "image_id" else "null for one"
            raise InputError(f"expected {name} of every box, got {got}: fill it, or drop the box")


def _as_numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    return np.asarray(column.to_numpy())
