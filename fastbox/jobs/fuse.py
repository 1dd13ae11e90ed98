"""Fuse the boxes of several detectors, image by image, one table for each detector: weighted boxes fusion."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.arrow import columns
from fastbox.arrow.arrays import plain_type
from fastbox.boxes.container import Boxes
from fastbox.datasets.as_source import Given
from fastbox.jobs.base import job
from fastbox.jobs.checks import check_images, check_numbers
from fastbox.jobs.output import Output
from fastbox.parallel import compile_together
from fastbox.result import Invalid, Result, Rules
from fastbox.suppression.fusion import FusedBoxes, weighted_boxes_fusion
from fastbox.tables.chunk import ROWS, Chunk
from fastbox.tables.class_names import JoinedClasses, joined_classes, kind_of_classes
from fastbox.tables.files import column_names
from fastbox.tables.source import Plan, Source, plans_of
from fastbox.tables.stream import scan
from fastbox.values.formats import COORDINATES
from fastbox.values.groups import groups_of_rows, stable, values_of_rows
from fastbox.values.names import CLASS, SCORE, is_wanted

__all__ = ["FusedTables", "fuse"]

CORNERS = COORDINATES["xyxy"]


@dataclass(repr=False)
class FusedTables(Result):
    """The result of :func:`fuse`.

    Attributes
    ----------
    images, boxes, fused : int
        The number of images, of boxes read and of boxes written.
    models : int
    invalid : Invalid
        Invalid boxes by reason, which are left out.
    rules : Rules
        The ``iou_threshold``, weights, least score and type of confidence, and the column that kept classes apart.
    """

    TABLES = ("invalid",)
    FIRST = ("fused", "boxes", "models", "images")

    models: int
    images: int = 0
    boxes: int = 0
    fused: int = 0
    invalid: Invalid = field(default_factory=Invalid)
    rules: Rules = field(default_factory=Rules)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        counts = {"models": self.models, "images": self.images, "boxes": self.boxes, "fused": self.fused}
        return {
            **counts,
            "rules": self.rules.to_dict(),
            "invalid": {"boxes": self.invalid.to_dict()},
            **self.notes_on_inputs(),
        }


@job("*tables")
def fuse(
    tables: Given,
    out: str | os.PathLike[str] | None = None,
    *,
    iou_threshold: float = 0.55,
    weights: Sequence[float] | None = None,
    min_score: float = 0.0,
    conf_type: str = "avg",
    score_column: str = SCORE,
    class_column: str = CLASS,
    class_agnostic: bool | None = None,
    rows: int = ROWS,
    progress: Callable[[int], object] | None = None,
) -> FusedTables:
    """Fuse the detections of several models by weighted boxes fusion (Solovyev et al., 2021), and write them.

    The output has the columns ``image_id``, ``xmin`` … ``ymax`` in pixels, ``score`` and, if boxes are fused per class,
    the class column; it is sorted by image, then by descending score. Coordinates, scores and classes have a type that
    holds the values of all tables.

    Parameters
    ----------
    tables : sequence of (Source, path, directory, glob or list of paths)
        One table for each model; an image that a table lacks has no boxes of that model.
    out : path, optional
        The file to write; by default boxes are only counted.
    iou_threshold : float
        The IoU, from 0 to 1, above which boxes are fused.
    weights : sequence of float, optional
        The weight of each model, above 0; 1 by default.
    min_score : float
        Boxes with a lower score are left out.
    conf_type : str
        As for :func:`fastbox.weighted_boxes_fusion`.
    score_column, class_column : str
        The columns of scores and classes, the same in all tables.
    class_agnostic : bool, optional
        Fuse boxes of different classes too. By default boxes are fused per class if the first table has the class
        column or a class column is named, and class-agnostic otherwise; False requires the column.
    rows : int
        About the number of boxes in memory at a time; it makes no difference to the result.
    progress : callable, optional
        Called with the number of boxes done since the last call.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate, score or class, classes that no
        integer type holds together.
    ValueError
        An invalid threshold, conf_type, least score or weight.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> folder = tempfile.mkdtemp()
    >>> paths = [os.path.join(folder, name) for name in ("one.parquet", "two.parquet")]
    >>> for path, box in zip(paths, ([0.0, 0, 4, 4], [1.0, 0, 4, 4])):
    ...     pq.write_table(pa.table({"image_id": [7], "bbox": [box], "score": [0.5]}), path)
    >>> fuse(paths).to_dict()["fused"]
    1
    """
    if not tables:
        raise ValueError("expected at least one table, got none")
    first = Source.carrying(tables[0])
    asked = is_wanted(class_column, column_names(first.path)) if class_agnostic is None else not class_agnostic
    label = class_column if asked else None
    sources = [Source.carrying(table, score_column, label) for table in tables]
    plans = plans_of(*sources)
    joined = _joined(plans, score_column, label)
    options: dict[str, Any] = {
        "weights": weights,
        "iou_threshold": iou_threshold,
        "skip_box_threshold": min_score,
        "conf_type": conf_type,
    }
    nothing = np.zeros(0)
    if weights is not None and len(weights) != len(sources):
        raise ValueError(f"expected a weight for each of {len(sources)} tables, got {len(weights)}")
    weighted_boxes_fusion(Boxes([]), nothing, models=nothing.astype(int), **options)  # refuses invalid options
    dtype = np.result_type(*(found.dtype for found in plans))
    compile_together([("suppress.fusion", "FUSE", dtype, ""), ("common.sorting", "SORT", np.float64, "")])

    # All models count, also in a chunk in which the last models found nothing.
    trust = [1.0] * len(sources) if weights is None else weights
    given: dict[str, Any] = {
        "iou_threshold": float(iou_threshold),
        "weights": None if weights is None else tuple(map(float, weights)),
    }
    given |= {
        "min_score": float(min_score),
        "conf_type": conf_type,
        "score_column": score_column,
        "class_column": label,
    }
    found = FusedTables(len(sources), rules=Rules(given))
    parameters = {"tables": [one.files for one in plans], **options, "class_column": label}
    schema = _schema(plans, score_column, label, joined)
    with Output(out, schema, command="fuse", parameters=parameters, progress=progress) as output:
        for chunk in scan(*sources, rows=rows):
            boxes, scores, models, classes, labels = _together(chunk, len(sources), score_column, label, joined)
            fused = weighted_boxes_fusion(boxes, scores, models=models, classes=classes, **options | {"weights": trust})
            found.images += 0 if chunk.images is None else len(chunk.images)
            found.boxes += len(boxes)
            found.fused += len(fused.scores)
            found.invalid.add(boxes.invalid())
            output.write(_batch, chunk, fused, label, labels, schema)
            output.step(len(boxes))
        output.finish(found, **({"categories": joined.names} if joined and joined.names else {}))
    return found


def _joined(plans: list[Plan], score_column: str, label: str | None) -> JoinedClasses | None:
    """Join the classes of the tables; refuses tables without image ids, and scores that are not numbers."""
    check_images(plans, "boxes are fused")
    for found in plans:
        check_numbers(found, score_column)
    if label is None:
        return None
    return joined_classes([found.files for found in plans], kind_of_classes(plans, label))


def _together(
    chunk: Chunk, models: int, score_column: str, label: str | None, joined: JoinedClasses | None
) -> tuple[Boxes, NDArray[Any], NDArray[np.int64], NDArray[np.int64] | None, list[Any]]:
    """Return the boxes of all models by image, with their scores, models, and classes as places among the labels."""
    first_two = (chunk.a, chunk.a_columns, chunk.a_rows), (chunk.b, chunk.b_columns, chunk.b_rows)
    sides = [*first_two, *chunk.more][:models]
    corners, image, scores = [], [], []
    for boxes, carried, rows in sides:
        assert boxes is not None
        assert boxes.offsets is not None
        corners.append(boxes.corners())
        image.append(groups_of_rows(boxes.offsets))
        scores.append(columns.number_column(carried, score_column, what="a score", rows=rows))
    images = np.concatenate(image)
    assert chunk.images is not None
    order = stable(images, len(chunk.images))
    offsets = np.searchsorted(images[order], np.arange(len(chunk.images) + 1))
    model = np.repeat(np.arange(models), [len(rows) for rows in image])[order]
    x0, y0, x1, y1 = np.concatenate(corners)[order].T
    every = Boxes.of((x0, y0, x1, y1), "xyxy", offsets)
    if label is None or joined is None:
        return every, np.concatenate(scores)[order], model, None, []
    carried_labels = ((carried, rows) for _, carried, rows in sides)
    codes, labels = columns.label_columns(*carried_labels, name=label, joined=joined.tables)
    return every, np.concatenate(scores)[order], model, np.concatenate(codes)[order], labels


def _batch(chunk: Chunk, fused: FusedBoxes, label: str | None, labels: list[Any], schema: Any) -> Any:
    """Return the rows of the fused boxes of a chunk."""
    assert chunk.images is not None
    made = [values_of_rows(chunk.images, fused.offsets), *fused.boxes.T, fused.scores]
    if label is not None and fused.classes is not None:
        made.append(columns.labelled(labels, fused.classes, schema.field(label)))
    return columns.batch_of(made, schema)


def _schema(plans: list[Plan], score_column: str, label: str | None, joined: JoinedClasses | None) -> Any:
    dtype = np.result_type(*(found.dtype for found in plans)).name
    ids = "int64" if plans[0].ids == "integer" else "string"
    scores = np.result_type(*(_float(found, score_column) for found in plans)).name
    types = {"image_id": ids, **dict.fromkeys(CORNERS, dtype), "score": scores}
    if label is None:
        return columns.schema_of(types)
    if joined is not None and joined.by_name:
        return columns.schema_of({**types, label: "int64"})
    filled = [found for found in plans if found.rows] or plans
    return columns.schema_of(types, [columns.common_field([found.columns.field(label) for found in filled])])


def _float(found: Plan, score_column: str) -> Any:
    kind = str(plain_type(found.columns.field(score_column).type))
    return np.float32 if kind in ("float", "halffloat") else np.float64
