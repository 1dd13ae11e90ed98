"""COCO JSON as it is written: instances (ground truth) and results (detections)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import repeat
from typing import Any, BinaryIO, TypeAlias

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.arrow.columns import flag_column
from fastbox.datasets.by_image import grouped, numbers
from fastbox.datasets.dataset import COORDINATES, IMAGES, Dataset, format_of, names_in
from fastbox.datasets.formats.coco.reading import SIDES
from fastbox.datasets.formats.coco.records import Category
from fastbox.datasets.rotated import box_columns
from fastbox.errors import InputError

__all__ = ["write_results", "write_truths"]

pc = deferred("pyarrow.compute")

ROTATED_FORMAT = "ccw_cxcywhd"  # of detectron2
GREATEST_ID = np.iinfo(np.int64).max

StrPath: TypeAlias = str | os.PathLike[str]


class Annotation(msgspec.Struct, gc=False, omit_defaults=True):
    """An annotation as it is written."""

    id: int | str
    image_id: int | str
    category_id: int
    bbox: tuple[float, ...]
    area: float
    iscrowd: int
    ignore: int = 0
    score: float | None = None


class Detection(msgspec.Struct, gc=False):
    """A result as it is written."""

    image_id: int | str
    category_id: int
    bbox: tuple[float, ...]
    score: float


class Ids:
    """The ids of annotations: their own, or new ones above the greatest for annotations without an id or with the id 0.

    Parameters
    ----------
    schema : pyarrow.Schema
        The schema of the rows. A column ``id`` of another type than integers or strings is ignored.
    """

    def __init__(self, schema: pa.Schema) -> None:
        kind = schema.field("id").type if "id" in schema.names else None
        self._kind: Any = str if kind == pa.string() else int
        self._given = kind is not None and (pa.types.is_integer(kind) or kind == pa.string())
        self._greatest = 0

    def seen(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return a batch, its greatest id noted."""
        if self._given:
            ids = batch.column("id")
            if self._kind is str:
                ids = ids.filter(pc.match_substring_regex(ids, "^[0-9]{1,18}$")).cast(pa.int64())
            self._greatest = max(self._greatest, pc.max(ids).as_py() or 0)
        return batch

    def of(self, rows: pa.Table) -> Iterator[int | str]:
        """Yield the id of every row; all batches must have been seen.

        Raises
        ------
        InputError
            A number is beyond int64, so that no reader takes it.
        """
        for row, given in enumerate(rows["id"].to_pylist() if self._given else repeat(None, rows.num_rows)):
            if given is None or given == 0:
                self._greatest += 1
                given = self._kind(self._greatest)
            if self._kind is int and given > GREATEST_ID:
                raise InputError(
                    f"expected whole numbers of 64 bits in column 'id', got {given} in a box of image "
                    f"{rows['image_id'][row].as_py()!r}: number the boxes anew, or leave the column out"
                )
            yield given


class Listed(msgspec.Struct, gc=False, omit_defaults=True):
    """An image as it is written."""

    id: int | str
    width: int | None = None
    height: int | None = None
    file_name: str | None = None


def write_truths(file: BinaryIO, dataset: Dataset, target: StrPath) -> None:
    """Write instances to a file; errors call it by its path."""
    ids = Ids(dataset.schema)
    images: list[Listed] = []
    used: set[int] = set()
    file.write(b'{"annotations":[')
    for group in grouped(replace(dataset, batches=map(ids.seen, dataset.batches)), target):
        if group.rows.num_rows:
            file.write((b",\n" if used else b"") + _elements(_annotations(group.rows, ids)))
            used |= set(pc.unique(group.rows["category_id"]).to_pylist())
        images += map(Listed, *(group.images[name].to_pylist() for name in IMAGES))
    names = dataset.categories
    categories = [Category(number, names.get(number, str(number))) for number in sorted(used | names.keys())]
    file.write(b'],\n"images":' + msgspec.json.encode(images))
    file.write(b',\n"categories":' + msgspec.json.encode(categories) + b"}\n")


def write_results(file: BinaryIO, dataset: Dataset, target: StrPath) -> None:
    """Write results to a file; errors call it by its path."""
    separator = b"["
    for group in grouped(dataset, target):
        if group.rows.num_rows:
            file.write(separator + _elements(_detections(group.rows)))
            separator = b",\n"
    file.write(b"[]\n" if separator == b"[" else b"]\n")


def _elements(found: Iterable[Any]) -> bytes:
    return msgspec.json.encode(list(found))[1:-1]


def _annotations(rows: pa.Table, ids: Ids) -> Iterator[Annotation]:
    boxes = _boxes(rows)
    with np.errstate(over="ignore", invalid="ignore"):  # numbers that are not finite are refused below
        areas = boxes[2] * boxes[3]
    if "area" in rows.column_names:
        areas = np.where(rows["area"].is_null(), areas, numbers(rows, "area", 0.0))
    flags = (
        flag_column(rows, name).astype(int).tolist() if name in rows.column_names else repeat(0)
        for name in ("iscrowd", "ignore")
    )
    scores = _scores(rows) if "score" in rows.column_names else repeat(None)
    return map(Annotation, ids.of(rows), *_common(rows, boxes), _finite(areas, "area", rows), *flags, scores)


def _boxes(rows: pa.Table) -> list[NDArray[np.float64]]:
    """Return the coordinates as they are written: x, y, w, h, or as detectron2 has rotated boxes."""
    return box_columns(rows, "xywh" if format_of(rows.schema) in COORDINATES else ROTATED_FORMAT)


def _scores(rows: pa.Table) -> list[float | None]:
    scores = rows["score"].cast(pa.float64())
    _finite(scores.fill_null(0.0).to_numpy(), "score", rows)
    found: list[float | None] = scores.to_pylist()
    return found


def _detections(rows: pa.Table) -> Iterator[Detection]:
    return map(Detection, *_common(rows, _boxes(rows)), _finite(rows["score"].to_numpy(), "score", rows))


def _common(rows: pa.Table, boxes: list[NDArray[np.float64]]) -> tuple[Iterable[Any], Iterable[Any], Iterable[Any]]:
    names = SIDES if len(boxes) == len(SIDES) else names_in(ROTATED_FORMAT)
    quads = zip(*(_finite(column, name, rows) for column, name in zip(boxes, names, strict=True)), strict=True)
    return rows["image_id"].to_pylist(), rows["category_id"].to_pylist(), quads


def _finite(values: NDArray[np.float64], name: str, rows: pa.Table) -> list[float]:
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        image, value = rows["image_id"][int(wrong[0])].as_py(), float(values[wrong[0]])
        raise InputError(
            f"expected finite numbers for COCO JSON, which has no others, got {name} {value} in a box of image "
            f"{image!r}: leave that box out"
        )
    found: list[float] = values.tolist()
    return found
