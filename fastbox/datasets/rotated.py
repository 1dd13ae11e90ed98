"""Rotated boxes of data sets: their columns in any format, and the shapes that a file format can hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.boxes.rotated import RotatedBoxes
from fastbox.datasets.by_image import coordinates
from fastbox.datasets.dataset import COORDINATES, Dataset, boxes_schema, format_of, names_in
from fastbox.errors import InputError, advice
from fastbox.kernels.codes import PLAIN, QUADS, ROTATED
from fastbox.ops import search as ops

__all__ = ["Loss", "box_columns", "fitted", "rotated_in"]


@dataclass
class Loss:
    """The loss of quadrilaterals that become rectangles: their number, and the IoU of each with its rectangle."""

    boxes: int = 0
    total: float = 0.0
    least: float = 1.0

    def add(self, before: RotatedBoxes, after: RotatedBoxes) -> None:
        """Add quadrilaterals and their rectangles; invalid ones have no IoU."""
        values = ops.aligned(before, after)
        values = values[~np.isnan(values)]
        self.boxes += len(values)
        self.total += float(values.sum())
        self.least = min(self.least, float(values.min(initial=1.0)))

    def to_dict(self) -> dict[str, float]:
        """Return the mean and the least IoU of boxes with the rectangles that replace them."""
        return {"mean_iou": self.total / self.boxes, "min_iou": self.least} if self.boxes else {}


def rotated_in(rows: pa.Table | pa.RecordBatch) -> RotatedBoxes:
    """Return the rotated boxes of rows of a data set.

    >>> batch = pa.RecordBatch.from_pylist([dict(zip(("cx", "cy", "w", "h", "angle"), [0.0, 0, 4, 2, 90]))])
    >>> rotated_in(batch.replace_schema_metadata({"box_format": "cxcywhd"})).columns[4]
    array([90.])
    """
    told = format_of(rows.schema)
    columns = (rows[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in names_in(told))
    return RotatedBoxes.of(tuple(columns), told)


def box_columns(rows: pa.Table, format: str) -> list[NDArray[np.float64]]:
    """Return the coordinates of boxes in a format, plain or rotated; those of the table's own format unchanged."""
    return coordinates(rows, format) if format in COORDINATES else in_format(rotated_in(rows), format)


def in_format(boxes: RotatedBoxes, format: str) -> list[NDArray[np.float64]]:
    """Return the coordinates of rotated boxes in a format that loses nothing: quadrilaterals stay as they are.

    Corners of an invalid rectangle would be a valid quadrilateral, so they are nan.

    >>> [column.tolist() for column in in_format(RotatedBoxes([[0, 0, 4, 2, 90]], "cxcywhd"), "ccw_cxcywhd")]
    [[0.0], [0.0], [4.0], [2.0], [-90.0]]
    """
    if boxes.format == format:
        return list(boxes.columns)
    if format == "xyxyxyxy":
        corners = np.where(boxes.invalid()[:, None] == 0, boxes.corners().reshape(-1, 8), np.nan)
        return list(corners.T)
    cx, cy, w, h, angle = boxes.columns
    if boxes.format.endswith("d") != format.endswith("d"):
        angle = np.degrees(angle) if format.endswith("d") else np.radians(angle)
    return [cx, cy, w, h, angle if boxes.format.startswith("ccw_") == format.startswith("ccw_") else -angle]


def fitted(dataset: Dataset, name: str, holds: tuple[str, ...], rectangles: bool, loss: Loss) -> Dataset:
    """Return a data set in a shape that a file format holds: rectangles and plain boxes as quadrilaterals.

    Parameters
    ----------
    dataset : Dataset
    name : str
        The name of the file format, for messages.
    holds : tuple of str
        The geometries that it holds.
    rectangles : bool
        Replace quadrilaterals by the rectangles of smallest area around them.
    loss : Loss
        Counts what that changes.

    Raises
    ------
    InputError
        The format does not hold the boxes without a loss.
    """
    own = _geometry(dataset)
    if own == QUADS and rectangles and ROTATED in holds:
        return _changed(dataset, "cxcywhr", lambda boxes: _rectangles(boxes, loss))
    if own in holds:
        return dataset
    if QUADS in holds:
        return _changed(dataset, "xyxyxyxy", lambda boxes: boxes)
    if ROTATED in holds and own == QUADS:
        how = advice("--rectangles", "rectangles=True")
        raise InputError(f"expected rectangles to write {name}, got quadrilaterals: add {how}, which changes them")
    if own == PLAIN:
        return dataset
    raise InputError(f"expected plain boxes to write {name}, got rotated ones: write Parquet, dota or yolo-obb")


def _geometry(dataset: Dataset) -> str:
    told = format_of(dataset.schema)
    return PLAIN if told in COORDINATES else QUADS if told == "xyxyxyxy" else ROTATED


def _rectangles(boxes: RotatedBoxes, loss: Loss) -> RotatedBoxes:
    found = boxes.rectangles()
    loss.add(boxes, found)
    return found


def _changed(dataset: Dataset, format: str, change: Any) -> Dataset:
    """Return a data set whose boxes are in another shape."""
    old, fields = names_in(format_of(dataset.schema)), {field.name: field.type for field in dataset.schema}
    more = [(name, kind) for name, kind in fields.items() if name not in ("image_id", "category_id", *old)]
    schema = boxes_schema(fields["image_id"], *more, format=format)
    schema = schema.set(1, pa.field("category_id", fields["category_id"]))

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in dataset.batches:
            made = change(_as_rotated(batch))
            columns = in_format(made, format)
            arrays = [batch["image_id"], batch["category_id"], *map(pa.array, columns)]
            yield pa.RecordBatch.from_arrays([*arrays, *(batch[name] for name, _ in more)], schema=schema)

    return replace(dataset, schema=schema, batches=batches())


def _as_rotated(batch: pa.RecordBatch) -> RotatedBoxes:
    """Return the boxes of a batch as rotated boxes; plain boxes as their four corners."""
    if format_of(batch.schema) not in COORDINATES:
        return rotated_in(batch)
    x0, y0, x1, y1 = coordinates(pa.Table.from_batches([batch]), "xyxy")
    return RotatedBoxes.of((x0, y0, x1, y0, x1, y1, x0, y1), "xyxyxyxy")
