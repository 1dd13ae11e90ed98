"""Rotated boxes of data sets: their columns in any format, and the shapes that a file format can hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.datasets.by_image import coordinates
from fastbox.datasets.dataset import COORDINATES, Dataset, boxes_schema, format_of, names_in
from fastbox.datasets.registry import Format
from fastbox.errors import InputError, advice
from fastbox.kernels.codes import PLAIN, QUADS, ROTATED

__all__ = ["Loss", "box_columns", "fitted", "rotated_in"]


@dataclass
class Loss:
    """The loss of boxes that change their shape: invalid ones, and the IoU of quadrilaterals with their rectangles.

    Attributes
    ----------
    changes : bool
        Whether boxes change their shape.
    invalid : int
        The number of invalid boxes, which become nan.
    boxes : int
        The number of quadrilaterals that have an IoU with their rectangle.
    total, least : float
        The sum and the least of these IoU.
    """

    changes: bool = False
    invalid: int = 0
    boxes: int = 0
    total: float = 0.0
    least: float = 1.0

    def add(self, before: RotatedBoxes, after: RotatedBoxes) -> None:
        """Add quadrilaterals and their rectangles; invalid ones have no IoU."""
        from fastbox.ops.aligned import aligned

        values = aligned(before, after)
        values = values[~np.isnan(values)]
        self.boxes += len(values)
        self.total += float(values.sum())
        self.least = min(self.least, float(values.min(initial=1.0)))

    def to_dict(self) -> dict[str, float]:
        """Return what there is to tell: the invalid boxes, the mean and the least IoU."""
        told: dict[str, float] = {"invalid_boxes": self.invalid} if self.changes else {}
        return told | ({"mean_iou": self.total / self.boxes, "min_iou": self.least} if self.boxes else {})


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

    >>> in_format(RotatedBoxes([[1, 1, 4, 2, 90], [1, 1, 4, 2, 0]], "cxcywhd"), "ccw_cxcywhd")[4].tolist()
    [-90.0, 0.0]
    """
    if boxes.format == format:
        return list(boxes.columns)
    if format == "xyxyxyxy":
        corners = np.where(boxes.invalid()[:, None] == 0, boxes.corners().reshape(-1, 8), np.nan)
        return list(corners.T)
    cx, cy, w, h, angle = boxes.columns
    if boxes.format.endswith("d") != format.endswith("d"):
        angle = np.degrees(angle) if format.endswith("d") else np.radians(angle)
    return [cx, cy, w, h, angle if boxes.format.startswith("ccw_") == format.startswith("ccw_") else 0.0 - angle]


def fitted(dataset: Dataset, format: Format, asked: str | None, rectangles: bool, loss: Loss) -> Dataset:
    """Return a data set in a shape that a file format holds: rectangles and plain boxes as quadrilaterals.

    Parameters
    ----------
    dataset : Dataset
    format : Format
        The file format.
    asked : str or None
        The format of boxes to write, if one is named.
    rectangles : bool
        Replace quadrilaterals by the rectangles of smallest area around them.
    loss : Loss
        Counts what that changes.

    Raises
    ------
    InputError
        The format does not hold the boxes without a loss.
    """
    own, holds = _geometry(dataset), format.boxes
    if own == QUADS and rectangles and ROTATED in holds:
        return _changed(dataset, "cxcywhr", loss)
    if own in holds and not (own == ROTATED and asked == "xyxyxyxy"):
        return dataset
    if QUADS in holds:
        return _changed(dataset, "xyxyxyxy", loss)
    if ROTATED in holds and own == QUADS:
        how = advice("--rectangles", "rectangles=True")
        raise InputError(
            f"expected rectangles to write {format.name}, got quadrilaterals: add {how}, which changes them"
        )
    if own == PLAIN:
        return dataset
    raise InputError(
        f"expected plain boxes to write {format.name}, got rotated ones: write Parquet, coco, dota or yolo-obb"
    )


def _geometry(dataset: Dataset) -> str:
    told = format_of(dataset.schema)
    return PLAIN if told in COORDINATES else QUADS if told == "xyxyxyxy" else ROTATED


def _changed(dataset: Dataset, format: str, loss: Loss) -> Dataset:
    """Return a data set whose boxes are in another shape."""
    old, fields = names_in(format_of(dataset.schema)), {field.name: field.type for field in dataset.schema}
    more = [(name, kind) for name, kind in fields.items() if name not in ("image_id", "category_id", *old)]
    schema = boxes_schema(fields["image_id"], *more, format=format)
    schema = schema.set(1, pa.field("category_id", fields["category_id"]))
    loss.changes = True

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in dataset.batches:
            boxes = _as_rotated(batch)
            loss.invalid += int(np.count_nonzero(boxes.invalid()))
            made = boxes if format == "xyxyxyxy" else boxes.rectangles()
            if made is not boxes:
                loss.add(boxes, made)
            columns = in_format(made, format)
            arrays = [batch["image_id"], batch["category_id"], *map(pa.array, columns)]
            yield pa.RecordBatch.from_arrays([*arrays, *(batch[name] for name, _ in more)], schema=schema)

    return replace(dataset, schema=schema, batches=batches())


def _as_rotated(batch: pa.RecordBatch) -> RotatedBoxes:
    """Return the boxes of a batch as rotated boxes; plain boxes as their four corners, those of inverted ones nan."""
    if format_of(batch.schema) not in COORDINATES:
        return rotated_in(batch)
    x0, y0, x1, y1 = coordinates(pa.Table.from_batches([batch]), "xyxy")
    valid = (x0 <= x1) & (y0 <= y1)
    x0, y0, x1, y1 = (np.where(valid, column, np.nan) for column in (x0, y0, x1, y1))
    return RotatedBoxes.of((x0, y0, x1, y0, x1, y1, x0, y1), "xyxyxyxy")
