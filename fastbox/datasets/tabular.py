"""Read tables of boxes in any layout, with a row per box or per image, into a data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.arrow.arrays import id_kind, is_list, is_number
from fastbox.arrow.fields import require
from fastbox.arrow.find import find_boxes
from fastbox.arrow.layouts import rows_as_boxes
from fastbox.arrow.turned import BOX_FORMAT
from fastbox.boxes.found import to_boxes
from fastbox.datasets.categories import Numbering
from fastbox.datasets.dataset import COORDINATES, IMAGES, Dataset, images_schema, names_in
from fastbox.errors import InputError
from fastbox.values.names import BoxArgument

__all__ = ["Layout", "read_tables"]

pc = deferred("pyarrow.compute")

BOX = BoxArgument("--box", "box={}")
_OURS = {*IMAGES, "category_id", *(name for names in COORDINATES.values() for name in names)}


@dataclass(frozen=True)
class Layout:
    """The columns of a table, as the user names them.

    Attributes
    ----------
    box, format : str, optional
        Of the boxes, as for :func:`fastbox.arrow.find.find_boxes`.
    image, category : str
        The columns of image ids and of categories: their numbers, or their names.
    kind : str, optional
        ``"truths"`` or ``"results"``; by default results if the table has a column ``score``.
    categories : mapping of int to str
        Names that are known already.
    """

    box: str | None = None
    format: str | None = None
    image: str = "image_id"
    category: str = "category_id"
    kind: str | None = None
    categories: Mapping[int, str] = dataclasses.field(default_factory=dict)


def read_tables(
    load: Callable[[list[str]], Iterable[tuple[str, int, pa.RecordBatch]]],
    schema: pa.Schema,
    layout: Layout,
    *,
    where: str,
    images: pa.Table | None = None,
) -> Dataset:
    """Return the data set of a table of this schema.

    Columns of numbers, texts and truth values are carried along; width, height and file_name are facts of the image.

    Parameters
    ----------
    load : callable
        Reads columns: yields for each batch its file, the number of its first row in the file, and its rows.
    schema : pyarrow.Schema
    layout : Layout
    where : str
        The name of the table in messages.
    images : pyarrow.Table, optional
        More images, also images without boxes: image_id, width, height, file_name.

    Raises
    ------
    InputError
        No boxes, image ids or categories are found; while the batches are read: a value can't be used.
    """
    table = _Table(schema, layout, where)
    listed = [] if images is None else [_typed(images, table.image_type, where)]
    categories = dict(layout.categories)
    numbering = Numbering(categories, closed=False)

    def batches() -> Iterator[pa.RecordBatch]:
        for file, first_row, batch in load(table.columns):
            listed.append(table.images(batch, file))
            yield table.rows(batch, file, first_row, numbering)

    return Dataset(
        kind=layout.kind or ("results" if "score" in table.schema.names else "truths"),
        schema=table.schema,
        batches=batches(),
        ordered=False,
        images=lambda: _first_of_each(listed, table.image_type),
        categories=categories,
    )


class _Table:
    """The columns of a table and the change of its rows to a data set's."""

    def __init__(self, schema: pa.Schema, layout: Layout, where: str) -> None:
        self._layout = layout
        self._boxes = find_boxes(schema, layout.box, layout.format, where=where, argument=BOX, rotated=True)
        if self._boxes.format.startswith("rel_"):
            got = f"got format {self._boxes.format!r}: scale them first"
            raise InputError(f"expected coordinates in pixels in {where}, {got}")
        ids = id_kind(require(schema, layout.image, where).type, layout.image, where)
        self.image_type = pa.int64() if ids == "integer" else pa.string()
        self._about = [name for name in IMAGES[1:] if name in schema.names and name not in self._boxes.names]
        self._more = {}
        box = names_in("xyxy" if self._boxes.format == "yxyx" else self._boxes.format)
        ours = {*self._boxes.names, *box, *_OURS}
        for field in schema:
            kind = self._carried(field.type)
            if kind is not None and field.name not in (layout.image, layout.category, *ours):
                self._more[field.name] = kind
        if "score" in self._more:
            self._more["score"] = pa.float64()
        self.schema = pa.schema(
            [
                ("image_id", self.image_type),
                ("category_id", self._category_type(schema, where)),
                *((name, pa.float64()) for name in box),
                *self._more.items(),
            ],
            {BOX_FORMAT: self._boxes.format} if self._boxes.rotated else None,
        )

    @property
    def columns(self) -> list[str]:
        """The columns to read."""
        wanted = (self._layout.image, self._layout.category, *self._boxes.names, *self._about, *self._more)
        return list(dict.fromkeys(wanted))

    def images(self, batch: pa.RecordBatch, file: str) -> pa.Table:
        """Return the facts on images that a batch holds; of adjacent rows of one image the first."""
        schema = images_schema(self.image_type)
        columns = [_cast(batch.column(self._layout.image), self.image_type, self._layout.image, file)]
        for field in list(schema)[1:]:
            known = field.name in self._about
            columns.append(
                _cast(batch.column(field.name), field.type, field.name, file)
                if known
                else pa.nulls(len(batch), field.type)
            )
        changes = pc.fill_null(pc.not_equal(columns[0][1:], columns[0][:-1]), True)
        firsts = np.flatnonzero(np.append(True, changes.to_numpy(zero_copy_only=False))[: len(batch)])
        return pa.Table.from_arrays(columns, schema=schema).take(pa.array(firsts))

    def rows(self, batch: pa.RecordBatch, file: str, first_row: int, numbering: Numbering) -> pa.RecordBatch:
        """Return the rows of a batch in the schema, one per box."""
        boxes = to_boxes(batch, self._boxes, where=file, first_row=first_row)
        box = boxes.columns
        if boxes.format == "yxyx":
            box = box[1], box[0], box[3], box[2]
        names = [self._layout.image, self._layout.category, *self._more]
        found = rows_as_boxes(batch, self._boxes, names, where=file, first_row=first_row)
        image, category, *more = found.columns
        for name, column in ((self._layout.image, image), (self._layout.category, category)):
            if column.null_count:
                row = pc.index(pc.is_null(column), True).as_py()
                ragged = self._boxes.layout == "ragged"
                where = f"image {image[row].as_py()!r} of {file}" if ragged else f"row {first_row + row} of {file}"
                raise InputError(f"expected {name} of every box, got null in {where}: fill it, or drop the box")
        if not pa.types.is_integer(category.type):
            category = _numbered(category, numbering, file)
        arrays = [image, category, *(pa.array(column.astype(np.float64)) for column in box), *more]
        arrays = [_cast(array, field.type, field.name, file) for array, field in zip(arrays, self.schema, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _category_type(self, schema: pa.Schema, where: str) -> pa.DataType:
        kind = self._element(require(schema, self._layout.category, where).type)
        if _is_text(kind):
            return pa.int32()
        if not pa.types.is_integer(kind):
            got = f"got {kind}: cast it"
            raise InputError(f"expected numbers or names in column {self._layout.category!r} of {where}, {got}")
        return pa.int32() if kind == pa.int32() or kind.bit_width < 32 else pa.int64()

    def _element(self, kind: pa.DataType) -> pa.DataType:
        """Return the type of a column's values, one per box."""
        kind = kind.value_type if self._boxes.layout == "ragged" and is_list(kind) else kind
        return kind.value_type if pa.types.is_dictionary(kind) else kind

    def _carried(self, kind: pa.DataType) -> pa.DataType | None:
        """Return the type in which a column is carried along; None if it is left out, as a column without values is."""
        kind = self._element(kind)
        if pa.types.is_null(kind):
            return None
        if _is_text(kind):
            return pa.string()
        return kind if is_number(kind) or pa.types.is_boolean(kind) else None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _cast(array: pa.Array, kind: pa.DataType, name: str, file: str) -> pa.Array:
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    try:
        return array.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        value = next((value for value in array if not _casts(value, kind)), None)
        got = (
            "values that it can't hold"
            if value is None
            else str(array.type)
            if pa.types.is_nested(array.type)
            else f"{value.as_py()!r}"
        )
        raise InputError(f"expected {kind} in column {name!r} of {file}, got {got}: cast the column") from error


def _casts(value: pa.Scalar, kind: pa.DataType) -> bool:
    try:
        value.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _numbered(names: pa.Array, numbering: Numbering, file: str) -> pa.Array:
    codes = names if pa.types.is_dictionary(names.type) else names.dictionary_encode()
    used = pc.unique(codes.indices).drop_null().to_pylist()
    numbers = np.zeros(len(codes.dictionary), np.int32)
    for code in used:
        numbers[code] = numbering(codes.dictionary[code].as_py(), file)
    return pa.array(numbers).take(codes.indices)


def _typed(images: pa.Table, image_type: pa.DataType, where: str) -> pa.Table:
    try:
        return images.cast(images_schema(image_type))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        got = images["image_id"].type
        raise InputError(
            f"expected ids of images to be {image_type}, as in {where}, got {got} among the sizes: cast one of them"
        ) from error


def _first_of_each(listed: list[pa.Table], image_type: pa.DataType) -> pa.Table:
    schema = images_schema(image_type)
    every = pa.concat_tables([schema.empty_table(), *listed]).combine_chunks()
    ids = every["image_id"].unique()
    return every.take(pc.index_in(ids, value_set=every["image_id"])).combine_chunks()
