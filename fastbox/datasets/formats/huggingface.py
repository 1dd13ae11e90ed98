"""Hugging Face: Parquet with a row per image, its boxes in the column ``objects``, their names in a ClassLabel."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from fastbox._lazy import deferred
from fastbox.arrow.arrays import Place, flattened, is_list, one_chunk
from fastbox.arrow.fields import require
from fastbox.datasets.by_image import Group, coordinates, grouped
from fastbox.datasets.categories import names_of_all, numbered
from fastbox.datasets.dataset import COORDINATES, IMAGES, Dataset
from fastbox.datasets.formats.huggingface_features import OBJECTS, categories_of, labels_of, schema_of
from fastbox.datasets.formats.jsonlines import ENDINGS, is_json_lines, read_json_lines
from fastbox.datasets.image_sizes import read_images
from fastbox.datasets.listing import beginning
from fastbox.datasets.registry import Format, Signs
from fastbox.datasets.tabular import Layout, read_tables
from fastbox.errors import InputError, advice
from fastbox.storage.folders import check_folder
from fastbox.storage.locate import Paths, find_files
from fastbox.storage.opened import open_parquet
from fastbox.tables.columns import read_batches
from fastbox.tables.record import read_record
from fastbox.tables.sink import Sink
from fastbox.values.formats import FORMATS
from fastbox.values.numbers import as_choice

__all__ = ["FILE_FORMATS", "read", "write"]

pc = deferred("pyarrow.compute")

BOXES = ("bbox", "box", "boxes")
CATEGORIES = ("category", "categories", "category_id", "label", "labels", "class", "classes", "class_id")
IMAGES_BY = ("image_id", "file_name", "id")
# Of images: a row may hold any number of boxes.
ROWS = 16_384

StrPath: TypeAlias = str | os.PathLike[str]


def read(
    source: Paths,
    *,
    box: str | None = None,
    format: str | None = None,
    image_column: str | None = None,
    class_column: str | None = None,
    names: StrPath | None = None,
    sizes: StrPath | None = None,
) -> Dataset:
    """Read a Parquet table of images with their objects, as a struct of lists or as a list of structs.

    Parameters
    ----------
    source : path, glob, directory or a sequence of them
        Parquet files, or one file of JSON lines, as ``metadata.jsonl`` of a folder of images.
    box : str, optional
        The field of the boxes within ``objects``: bbox, box or boxes when left out.
    format : str, optional
        The format of the boxes: that of the footer if fastbox wrote the file, else ``"xywh"`` for lists, as in COCO.
    image_column : str, optional
        The column of image ids: image_id, file_name or id when left out.
    class_column : str, optional
        The field of the classes within ``objects``, numbers or names: category, categories, category_id, label,
        labels, class, classes or class_id when left out.
    names : path, optional
        Names of the categories from 0 on, one on each line; by default those of the ClassLabel in the footer.
    sizes : path, optional
        A Parquet or CSV table of images: image_id, width, height and perhaps file_name. It also names images without
        boxes.

    Returns
    -------
    Dataset
        The boxes in their own format and in float64, with all fields of ``objects`` and columns of numbers and texts.
        Rows without objects are images without boxes.

    Raises
    ------
    InputError
        Files or columns that can't be used; while the batches are read: null objects, values that can't be used, or two
        rows of one image.

    Examples
    --------
    >>> import pathlib, pyarrow as pa, pyarrow.parquet as pq, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "train.parquet")
    >>> objects = [{"bbox": [[2.0, 3.0, 10.0, 5.0]], "category": [4]}, {"bbox": [], "category": []}]
    >>> pq.write_table(pa.table({"image_id": [7, 8], "objects": objects}), path)
    >>> dataset = read(path)
    >>> [row["w"] for batch in dataset.batches for row in batch.to_pylist()], dataset.images()["image_id"].to_pylist()
    ([10.0], [7, 8])
    """
    lines = isinstance(source, str | os.PathLike) and is_json_lines(source)
    table = read_json_lines(os.fspath(source)) if lines else None  # type: ignore[arg-type]
    files = (os.fspath(source),) if lines else find_files(source)  # type: ignore[arg-type]
    schema = table.schema if table is not None else _schema_of(files[0])
    image = image_column or next((name for name in IMAGES_BY if name in schema.names), IMAGES_BY[0])
    require(schema, image, files[0])
    objects = require(schema, OBJECTS, files[0]).type
    fields = _fields(objects, files[0])
    box = _field_of(box, BOXES, fields, files[0], ("--box FIELD", "box=FIELD"))
    category = _field_of(class_column, CATEGORIES, fields, files[0], ("--class-column FIELD", "class_column=FIELD"))
    record = {} if lines else _record(files[0])
    parameters = record.get("parameters", {})
    called = format
    if called is None and not pa.types.is_struct(_element(fields[box])):
        told = parameters.get("format")
        called = told if told in FORMATS else "xywh"
    inner = {name: kind for name, kind in fields.items() if name not in (image, *IMAGES)}
    outer = [field for field in schema if field.name not in (OBJECTS, *inner)]
    flat = pa.schema([*outer, *inner.items()])
    if names is not None:
        categories = numbered(names)
    elif lines:
        categories = {}
    else:
        told_by = ((file, categories_of(_record(file), _schema_of(file).metadata, category)) for file in files)
        categories = names_of_all(told_by)

    def load(columns: list[str]) -> Iterator[tuple[str, int, pa.RecordBatch]]:
        tops = [name for name in columns if name not in inner]
        wanted = [*tops, OBJECTS]
        batches = (
            read_batches(files, wanted, rows=ROWS) if table is None else _batches_of(table.select(wanted), files[0])
        )
        ids: list[pa.Array] = []
        for path, first_row, batch in batches:
            ids.append(batch.column(image))
            lists = _Lists(batch.column(OBJECTS), Place(path, OBJECTS, first_row))
            arrays = [batch.column(name) if name in tops else lists(name) for name in columns]
            yield path, first_row, pa.RecordBatch.from_arrays(arrays, names=columns)
        _check_once(ids, image, files)

    layout = Layout(box, called, image, category, kind=parameters.get("kind"), categories=categories)
    images = None if sizes is None else read_images(sizes, image)
    return read_tables(load, flat, layout, where=files[0], images=images)


def write(dataset: Dataset, target: StrPath, *, out_box_format: str = "xywh", source: str = "") -> None:
    """Write a Parquet table of images by ascending id, complete or not at all; an existing file is replaced.

    ``datasets.load_dataset("parquet", data_files=...)`` reads it: image_id, width, height, file_name if known, and
    objects, a struct of lists: id, area, bbox, category and the other columns of the boxes. Categories are a ClassLabel
    if no number is below 0; an unnamed number gets the number as its name.

    Parameters
    ----------
    dataset : Dataset
    target : path
    out_box_format : str
        ``"xywh"``, as in COCO and in Hugging Face's own examples; ``"xyxy"`` or ``"cxcywh"``.
    source : str
        The origin of the boxes, for the footer.

    Raises
    ------
    ValueError
        An unknown format.
    InputError
        A box lacks an image, a category or a coordinate.
    """
    as_choice(out_box_format, COORDINATES, "an out_box_format")
    check_folder(target)
    used: set[int] = set()

    def seen(batch: pa.RecordBatch) -> pa.RecordBatch:
        used.update(pc.unique(batch.column("category_id")).drop_null().to_pylist())
        return batch

    groups = grouped(replace(dataset, batches=map(seen, dataset.batches)), target)
    first = next(groups, None)
    schema = schema_of(dataset, labels_of(dataset.categories, used))
    parameters = {"source": source, "kind": dataset.kind, "format": out_box_format}
    with Sink(target, schema, command="convert", parameters=parameters) as sink:
        if dataset.categories:
            sink.record(categories={str(number): name for number, name in dataset.categories.items()})
        for group in groups if first is None else chain([first], groups):
            sink.write(_rows(group, schema, out_box_format))


def _check_once(ids: list[pa.Array], image: str, files: Sequence[str]) -> None:
    """Refuse two rows of one image: boxes of two splits that both number images from 0 would be mixed."""
    counts = pc.value_counts(pa.chunked_array(ids)) if ids else []
    many = next((count for count in counts if count["counts"].as_py() > 1), None)
    if many is not None:
        where = files[0] if len(files) == 1 else f"{files[0]} and {len(files) - 1} more"
        raise InputError(
            f"expected a row for every image in {where}, got {many['counts']} with {image} {many['values'].as_py()!r}: "
            "convert splits one by one, or name a column that tells images apart, with "
            f"{advice('--image-column COLUMN', 'image_column=COLUMN')}"
        )


def _schema_of(path: str) -> pa.Schema:
    with open_parquet(path) as file:
        return file.schema_arrow


def _batches_of(table: pa.Table, path: str) -> Iterator[tuple[str, int, pa.RecordBatch]]:
    first_row = 0
    for batch in table.to_batches(max_chunksize=ROWS):
        yield path, first_row, batch
        first_row += batch.num_rows


def _fields(objects: pa.DataType, where: str) -> dict[str, pa.DataType]:
    """Return the fields of the objects with the types of a row's values: lists, if rows hold several objects."""
    struct = objects.value_type if is_list(objects) else objects
    if not pa.types.is_struct(struct):
        raise InputError(
            f"expected a struct of lists, or a list of structs, in column 'objects' of {where}, got {objects}: "
            f"name its format with {advice('--from NAME', 'source_format=NAME')}"
        )
    fields = [struct.field(i) for i in range(struct.num_fields)]
    return {field.name: pa.large_list(field.type) if is_list(objects) else field.type for field in fields}


def _field_of(
    given: str | None, usual: tuple[str, ...], fields: Mapping[str, pa.DataType], where: str, options: tuple[str, str]
) -> str:
    found = next((name for name in ([given] if given is not None else usual) if name in fields), None)
    if found is None:
        wanted = repr(given) if given is not None else f"{', '.join(usual[:-1])} or {usual[-1]}"
        got, how = ", ".join(fields) or "no field", advice(*options)
        raise InputError(f"expected {wanted} in column 'objects' of {where}, got {got}: name it with {how}")
    return found


def _element(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if is_list(kind) else kind


def _record(path: str) -> dict[str, Any]:
    """Return the record in a file's footer; an empty one for a file of another program."""
    with contextlib.suppress(InputError):
        record = read_record(path)
        return record if record.get("command") == "convert" else {}
    return {}


class _Lists:
    """The fields of a column of objects, each as a column of lists."""

    def __init__(self, column: pa.Array, place: Place) -> None:
        self._bounds: pa.Array | None = None
        self._objects = column
        if is_list(column.type):
            self._objects, bounds = flattened(column, place)
            self._bounds = pa.array(bounds)
            if self._objects.null_count:
                at = Place(place.where, place.name, place.first_row, bounds)
                raise InputError(f"expected an object in {at(_first_null(self._objects))}, got null: drop it")
        elif column.null_count:
            where = place(_first_null(column))
            raise InputError(f"expected objects in {where}, got null: write empty lists for an image without boxes")

    def __call__(self, name: str) -> pa.Array:
        field = self._objects.field(name)
        return field if self._bounds is None else pa.LargeListArray.from_arrays(self._bounds, field)


def _first_null(array: pa.Array) -> int:
    return int(pc.index(pc.is_null(array), True).as_py())


def _rows(group: Group, schema: pa.Schema, format: str) -> pa.Table:
    offsets = pa.array(group.offsets.astype(np.int32))
    quads = np.stack(coordinates(group.rows, format), axis=1)
    columns: dict[str, pa.Array] = {
        "bbox": pa.FixedSizeListArray.from_arrays(pa.array(quads.ravel()), 4),
        "category": one_chunk(group.rows["category_id"]).cast(pa.int64()),
    }
    objects = schema.field(OBJECTS).type
    fields = [objects.field(i) for i in range(objects.num_fields)]
    lists = [
        pa.ListArray.from_arrays(
            offsets, columns[field.name] if field.name in columns else one_chunk(group.rows[field.name])
        ).cast(field.type)
        for field in fields
    ]
    images = [group.images[name] for name in schema.names[:-1]]
    return pa.table([*images, pa.StructArray.from_arrays(lists, fields=fields)], schema=schema)


FILE_FORMATS = (
    Format(
        "huggingface",
        read,
        write,
        kind="table",
        text="Parquet with a row for each image, or JSON lines",
        signs=Signs(endings=ENDINGS, is_file=lambda path: b'"objects"' in beginning(path)),
    ),
)
