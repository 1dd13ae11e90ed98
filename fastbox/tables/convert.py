"""COCO JSON -> Parquet: instances (ground truth) and results (detections)."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastbox.errors import InputError
from fastbox.tables.coco import Category, Document, Image, Int64, Result, Truth, decode, id_types, read
from fastbox.tables.sink import Sink, check_output

__all__ = ["coco_to_parquet"]

KINDS = ("truths", "results")
COLUMNS = {"xywh": ("x", "y", "w", "h"), "xyxy": ("xmin", "ymin", "xmax", "ymax")}
DTYPES = {"float32": pa.float32(), "float64": pa.float64()}
ROWS = 262_144

StrPath: TypeAlias = str | os.PathLike[str]


def coco_to_parquet(
    source: StrPath,
    out: StrPath,
    *,
    images: StrPath | None = None,
    format: str = "xywh",
    dtype: str = "float64",
    kind: str | None = None,
) -> dict[str, int | str]:
    """Convert a COCO JSON file to a Parquet table of boxes sorted by image.

    Parameters
    ----------
    source : path
        COCO instances, an object of images, annotations and categories, or COCO results, a list of
        ``{image_id, category_id, bbox, score}``; the content tells which. Masks and keypoints are not read.
    out : path
        The table to write. Truths: image_id, id, category_id, the box, iscrowd, area, width, height (the image's).
        Results: image_id, category_id, the box, score. Rows ascend by image_id and keep the file's order within an
        image; what the file leaves out (id, area, the image's size) is null. Category names go to the footer.
    images : path, optional
        A second table, one row per image: image_id, width, height, file_name and its number of boxes. It keeps the
        images without any. Truths only.
    format : str
        ``"xywh"``: x, y, w, h in pixels, exactly as stored; ``"xyxy"``: xmin, ymin, xmax, ymax, with ``x + w``
        computed in float64.
    dtype : str
        ``"float64"`` or ``"float32"``, of the box columns.
    kind : str, optional
        ``"truths"`` or ``"results"``: insist that the file is one.

    Returns
    -------
    dict
        kind, rows, images, categories and images_without_boxes.

    Raises
    ------
    ValueError
        An unknown format, dtype or kind.
    InputError
        A file that is not JSON, not COCO, or has an annotation without a usable box; nothing is left under ``out``.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> results = [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 5], "score": 0.5}]
    >>> _ = (folder / "results.json").write_text(json.dumps(results))
    >>> coco_to_parquet(folder / "results.json", folder / "detections.parquet", format="xyxy")
    {'kind': 'results', 'rows': 1, 'images': 1, 'categories': 1, 'images_without_boxes': 0}
    """
    _check_choice("format", format, COLUMNS)
    _check_choice("dtype", dtype, DTYPES)
    if kind is not None:
        _check_choice("kind", kind, KINDS)
    if images is not None and os.path.abspath(images) == os.path.abspath(out):
        raise ValueError(f"expected two different files to write, got {os.fspath(out)} as both out and images")
    for target in (out, images):
        if target is not None:
            check_output(target, [source])

    document = read(source)
    if kind not in (None, document.kind):
        raise InputError(f"expected {kind} in {document.path}, got {document.kind}: convert it as {document.kind}")
    if document.kind == "results" and images is not None:
        raise InputError(
            f"expected COCO instances for a table of images, got results in {document.path}, which list none"
        )

    kind = document.kind
    boxes, listed, names = _tables(document, COLUMNS[format], DTYPES[dtype])
    # The file's bytes are let go before the boxes are put in order: both at once is the peak of memory.
    del document
    boxes = _complete(boxes.combine_chunks(), listed)
    every_image = _every_image(listed, boxes["image_id"])

    parameters = {"source": os.path.basename(source), "kind": kind, "format": format, "dtype": dtype}
    order = pc.sort_indices(boxes["image_id"])
    with Sink(out, boxes.schema, command="convert", parameters=parameters) as sink:
        if names:
            sink.record(categories=names)
        for start in range(0, len(order), ROWS):
            sink.write(boxes.take(order.slice(start, ROWS)))
        if images is not None:
            with Sink(images, every_image.schema, command="convert", parameters=parameters) as image_sink:
                image_sink.write(every_image)
    return {
        "kind": kind,
        "rows": boxes.num_rows,
        "images": every_image.num_rows,
        "categories": len(names.keys() | set(map(str, boxes["category_id"].unique().to_pylist()))),
        "images_without_boxes": pc.sum(pc.equal(every_image["boxes"], 0), min_count=0).as_py(),
    }


def _check_choice(name: str, given: str, choices: Sequence[str] | Mapping[str, object]) -> None:
    if given not in choices:
        raise ValueError(f"expected {name} to be {' or '.join(map(repr, choices))}, got {given!r}")


def _tables(
    document: Document, columns: Sequence[str], dtype: pa.DataType
) -> tuple[pa.Table, pa.Table, dict[str, str]]:
    """Decode a document into its boxes and its images, both in file order, and its category names."""
    image_id, box_id = id_types(document)
    arrow: dict[Any, pa.DataType] = {str: pa.string(), Int64: pa.int64()}
    categories = decode(document.path, document.categories, Category)
    names = {str(category.id): category.name for batch in categories for category in batch}
    listed = _table(
        decode(document.path, document.images, Image, image_id),
        lambda batch: _image_columns(batch, arrow[image_id]),
    )
    _check_unique(document.path, listed["image_id"])
    if document.kind == "results":
        boxes = _table(
            decode(document.path, document.boxes, Result, image_id),
            lambda batch: _result_columns(batch, columns, dtype, arrow[image_id]),
        )
    else:
        boxes = _table(
            decode(document.path, document.boxes, Truth, image_id, box_id),
            lambda batch: _truth_columns(batch, columns, dtype, arrow[image_id], arrow[box_id]),
        )
    return boxes, listed.combine_chunks(), names


def _table(batches: Iterator[list[Any]], columns: Callable[[list[Any]], dict[str, pa.Array]]) -> pa.Table:
    return pa.Table.from_batches([pa.RecordBatch.from_pydict(columns(batch)) for batch in batches])


def _image_columns(batch: list[Image[Any]], id_type: pa.DataType) -> dict[str, pa.Array]:
    return {
        "image_id": pa.array([image.id for image in batch], id_type),
        "width": pa.array([image.width for image in batch], pa.int32()),
        "height": pa.array([image.height for image in batch], pa.int32()),
        "file_name": pa.array([image.file_name for image in batch], pa.string()),
    }


def _truth_columns(
    batch: list[Truth[Any, Any]],
    columns: Sequence[str],
    dtype: pa.DataType,
    image_type: pa.DataType,
    id_type: pa.DataType,
) -> dict[str, pa.Array]:
    return {
        "image_id": pa.array([truth.image_id for truth in batch], image_type),
        "id": pa.array([truth.id for truth in batch], id_type),
        "category_id": pa.array([truth.category_id for truth in batch], pa.int64()),
        **_box_columns([truth.bbox for truth in batch], columns, dtype),
        "iscrowd": pa.array([bool(truth.iscrowd) for truth in batch], pa.bool_()).cast(pa.int8()),
        "area": pa.array([truth.area for truth in batch], pa.float64()),
    }


def _result_columns(
    batch: list[Result[Any]], columns: Sequence[str], dtype: pa.DataType, image_type: pa.DataType
) -> dict[str, pa.Array]:
    return {
        "image_id": pa.array([result.image_id for result in batch], image_type),
        "category_id": pa.array([result.category_id for result in batch], pa.int64()),
        **_box_columns([result.bbox for result in batch], columns, dtype),
        "score": pa.array([result.score for result in batch], pa.float64()),
    }


def _box_columns(
    boxes: list[tuple[float, float, float, float]], columns: Sequence[str], dtype: pa.DataType
) -> dict[str, pa.Array]:
    x, y, w, h = np.fromiter(chain.from_iterable(boxes), np.float64, 4 * len(boxes)).reshape(-1, 4).T
    # A box too large for its dtype becomes infinite, and is counted as invalid by whoever reads it.
    with np.errstate(over="ignore"):
        values = (x, y, w, h) if columns == COLUMNS["xywh"] else (x, y, x + w, y + h)
        return {
            name: pa.array(value.astype(dtype.to_pandas_dtype())) for name, value in zip(columns, values, strict=True)
        }


def _check_unique(path: str, image_ids: pa.ChunkedArray) -> None:
    counts = pc.value_counts(image_ids)
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    if len(repeated):
        raise InputError(
            f"expected every image of {path} once in its list of images, got id {repeated[0].as_py()!r} twice"
        )


def _complete(boxes: pa.Table, listed: pa.Table) -> pa.Table:
    """Return the boxes with category_id as int32 where every id fits and, for truths, the size of each one's image."""
    extremes = pc.min_max(boxes["category_id"]).as_py()
    if boxes.num_rows == 0 or -(2**31) <= extremes["min"] <= extremes["max"] < 2**31:
        place = boxes.schema.get_field_index("category_id")
        boxes = boxes.set_column(place, "category_id", boxes["category_id"].cast(pa.int32()))
    if "score" not in boxes.column_names:
        listing = pc.index_in(boxes["image_id"], value_set=listed["image_id"])
        for name in ("width", "height"):
            boxes = boxes.append_column(name, listed[name].take(listing))
    return boxes


def _every_image(listed: pa.Table, boxed: pa.ChunkedArray) -> pa.Table:
    """Join the listed images with those that only boxes name, by ascending id, and count the boxes of each."""
    counts = pc.value_counts(boxed)
    ids = pa.chunked_array([*listed["image_id"].chunks, counts.field("values")]).unique()
    ids = ids.take(pc.sort_indices(ids))
    listing = pc.index_in(ids, value_set=listed["image_id"])
    boxes = counts.field("counts").take(pc.index_in(ids, value_set=counts.field("values")))
    columns = {name: listed[name].take(listing) for name in ("width", "height", "file_name")}
    return pa.table({"image_id": ids, **columns, "boxes": pc.fill_null(boxes, 0)})
