"""COCO JSON: instances (ground truth) and results (detections)."""

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
from fastbox.datasets.formats.cocojson import Category
from fastbox.datasets.formats.cocoread import SIDES, dataset_of
from fastbox.datasets.registry import Format, Signs
from fastbox.datasets.rotated import box_columns
from fastbox.errors import InputError
from fastbox.kernels.codes import PLAIN, ROTATED
from fastbox.storage.folders import new_file
from fastbox.values.numbers import as_choice

__all__ = ["FILE_FORMATS", "read", "write"]

pc = deferred("pyarrow.compute")

KINDS = ("truths", "results")
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


def read(source: StrPath, *, kind: str | None = None, quads: bool = False) -> Dataset:
    """Read COCO instances or results; masks and keypoints are skipped.

    Parameters
    ----------
    source : path
        Instances, an object of images, annotations and categories, or results, a list of
        ``{image_id, category_id, bbox, score}``; recognized by the content.
    kind : str, optional
        ``"truths"`` or ``"results"``: refuse a file of the other kind.
    quads : bool
        Read the polygons of ``segmentation``, each of four points, as quadrilaterals.

    Returns
    -------
    Dataset
        x, y, w, h in pixels, exactly as stored. Truths have id, iscrowd and area, null if not given, ignore if the file
        has such a key, and score if the first annotation has one; results have a score, and list no images. An image
        that is listed twice has two rows; a category without a name is not in ``categories``. If an annotation has
        an ``obb``, or the first one a bbox of five numbers, boxes are rotated: cx, cy, w, h and the angle, in radians
        clockwise of an ``obb`` (hotcoco), in degrees counter-clockwise of a bbox (detectron2).

    Raises
    ------
    ValueError
        An unknown kind.
    InputError
        The file is not JSON or not COCO, or (while the batches are read) an annotation has no usable box.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "results.json")
    >>> _ = path.write_text('[{"image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 5], "score": 0.5}]')
    >>> dataset = read(path)
    >>> dataset.kind, [row["w"] for batch in dataset.batches for row in batch.to_pylist()]
    ('results', [10.0])
    """
    if kind is not None:
        as_choice(kind, KINDS, "a kind")
    return dataset_of(source, kind, quads)


def write(dataset: Dataset, target: StrPath, *, kind: str | None = None) -> None:
    """Write COCO instances, or results, complete or not at all; an existing file is replaced.

    Annotations ascend by image id and keep their order within an image. Numbers have the fewest digits that read back
    as the same number. Rotated rectangles are written as detectron2 has them: a bbox of the centre, width, height and
    the angle in degrees, counter-clockwise. An annotation keeps its id; annotations without an id, or with the id 0,
    which pycocotools takes for a missing id, are numbered from the largest id on. A missing area is written as w * h. A
    category without a name gets its number as its name. Truths are written with ``ignore`` if it is not 0, and with
    their score if they have one.

    Parameters
    ----------
    dataset : Dataset
    target : path
    kind : str, optional
        ``"truths"`` or ``"results"``: refuse a data set of the other kind; truths with scores are results as well.

    Raises
    ------
    ValueError
        An unknown kind.
    InputError
        The data set is of the other kind, has a number that JSON can't hold (nan or infinity), or an id of a box beyond
        int64.
    """
    if kind is not None:
        as_choice(kind, KINDS, "a kind")
    if kind == "results" and "score" in dataset.schema.names:
        dataset = replace(dataset, kind="results")
    if kind not in (None, dataset.kind):
        names = {"truths": "coco", "results": "coco-results"}
        raise InputError(
            f"expected {kind} to write as {names[kind]}, got {dataset.kind}: write them as {names[dataset.kind]}"
        )
    with new_file(target) as file:
        if dataset.kind == "results":
            _write_results(file, dataset, target)
        else:
            _write_truths(file, dataset, target)


def _write_truths(file: BinaryIO, dataset: Dataset, target: StrPath) -> None:
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


def _write_results(file: BinaryIO, dataset: Dataset, target: StrPath) -> None:
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


SIGNS = Signs(endings=(".json", ".json.gz", ".json.zst"))
FILE_FORMATS = (
    Format(
        "coco",
        read,
        write,
        "file",
        "instances JSON",
        ".json",
        implied={"kind": "truths"},
        lacks=("difficult",),
        boxes=(PLAIN, ROTATED),
        signs=SIGNS,
    ),
    Format(
        "coco-results",
        read,
        write,
        "file",
        "results JSON",
        ".json",
        implied={"kind": "results"},
        lists_images=False,
        boxes=(PLAIN, ROTATED),
    ),
)
