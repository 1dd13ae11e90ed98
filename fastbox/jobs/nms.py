"""Suppress duplicate detections image by image, and write the rows that are kept with all their columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.arrow import columns
from fastbox.arrow.turned import formats_in, metadata_of
from fastbox.boxes.container import Boxes
from fastbox.datasets.as_source import Given
from fastbox.errors import InputError
from fastbox.jobs.base import job
from fastbox.jobs.checks import check_images, check_labels, check_numbers
from fastbox.jobs.output import Output
from fastbox.parallel import compile_together
from fastbox.result import Invalid, Result, Rules
from fastbox.storage.opened import open_parquet
from fastbox.suppression import nms as suppression
from fastbox.tables.chunk import ROWS, Chunk
from fastbox.tables.class_names import names_of
from fastbox.tables.files import column_names
from fastbox.tables.source import Plan, Source, plan
from fastbox.tables.stream import scan
from fastbox.values.names import CLASS, SCORE, is_wanted
from fastbox.values.numbers import as_choice

__all__ = ["Suppressed", "nms"]

LEAST_SOFT_SCORE = 0.001  # of Bodla et al.
SIGMA = 0.5  # likewise

Suppression = Callable[[Boxes, NDArray[Any], Any], tuple[NDArray[np.int64], NDArray[Any] | None]]


@dataclass(repr=False)
class Suppressed(Result):
    """The result of :func:`nms`.

    Attributes
    ----------
    images, boxes, kept : int
        The number of images, of boxes read and of boxes kept.
    class_column : str or None
        The column of classes; None where boxes of all classes met.
    low_scores, no_scores : int
        The number of valid boxes left out at the start, for a score below ``min_score``, or for a score of nan.
    invalid : Invalid
        The number of invalid boxes by reason; they are not kept.
    rules : Rules
        The method and its options, and the columns of scores and classes.
    """

    TABLES = ("invalid",)
    FIRST = ("kept", "suppressed", "low_scores", "no_scores", "boxes", "images")

    images: int = 0
    boxes: int = 0
    kept: int = 0
    class_column: str | None = None
    low_scores: int = 0
    no_scores: int = 0
    invalid: Invalid = field(default_factory=Invalid)
    rules: Rules = field(default_factory=Rules)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        left_out = self.low_scores + self.no_scores + sum(self.invalid.to_dict().values())
        return {
            "images": self.images,
            "boxes": self.boxes,
            "kept": self.kept,
            "suppressed": self.boxes - self.kept - left_out,
            "low_scores": self.low_scores,
            "no_scores": self.no_scores,
            "class_column": self.class_column,
            "rules": self.rules.to_dict(),
            "invalid": {"boxes": self.invalid.to_dict()},
            **self.notes_on_inputs(),
        }


@job("detections", adds_up=True, rotated=True)
def nms(
    detections: Given,
    out: str | os.PathLike[str] | None = None,
    *,
    iou_threshold: float = 0.5,
    method: str = "nms",
    sigma: float | None = None,
    min_score: float | None = None,
    score_column: str = SCORE,
    class_column: str = CLASS,
    class_agnostic: bool | None = None,
    keep: Sequence[str] | None = None,
    rows: int = ROWS,
    progress: Callable[[int], object] | None = None,
) -> Suppressed:
    """Suppress duplicates among the detections of each image, and write the rows that are kept in their order.

    Parameters
    ----------
    detections : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
    out : path, optional
        The file to write; by default boxes are only counted.
    iou_threshold : float
        The IoU, from 0 to 1, above which a box is suppressed, or its score is lowered by ``"soft-linear"``.
    method : str
        ``"nms"``, or ``"soft-linear"`` or ``"soft-gaussian"``: scores are lowered instead, and written so.
    sigma : float, optional
        The width of ``"soft-gaussian"``, above 0, by default 0.5: the smaller, the faster scores fall.
    min_score : float, optional
        Boxes with a lower score are left out at the start, and by the soft methods also boxes whose score falls below
        it; the default of the soft methods is 0.001.
    score_column, class_column : str
        The columns of scores and classes.
    class_agnostic : bool, optional
        Compare boxes of different classes too. By default boxes are compared per class if the table has the class
        column or a class column is named, and class-agnostic otherwise; False requires the column.
    keep : sequence of str, optional
        The columns to write; by default all.
    rows : int
        About the number of boxes in memory at a time; it makes no difference to the result.
    progress : callable, optional
        Called with the number of boxes done since the last call.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate, score or class.
    ValueError
        An invalid threshold, method, sigma or least score.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "boxes.parquet")
    >>> corners = [[0.0, 0, 4, 4], [0.0, 0, 4, 3], [0.0, 0, 4, 4]]
    >>> pq.write_table(pa.table({"image_id": [1, 1, 2], "bbox": corners, "score": [0.5, 0.9, 0.1]}), path)
    >>> nms(path).kept
    2
    """
    as_choice(method, suppression.METHODS, "a method")
    soft = method.removeprefix("soft-") if method != "nms" else None
    sigma = SIGMA if sigma is None else sigma
    least = min_score if min_score is not None else -np.inf if soft is None else LEAST_SOFT_SCORE
    if np.isnan(least):
        raise ValueError("expected a least score that is a number, got nan")
    source = Source.carrying(detections)
    names = column_names(source.path)
    asked = is_wanted(class_column, names) if class_agnostic is None else not class_agnostic
    label = class_column if asked else None
    written = list(names if keep is None else dict.fromkeys(keep))
    source = Source.carrying(source, *written, score_column, label)
    planned = _checked(plan(source), score_column, label, soft is not None)
    suppress = _suppression(soft, iou_threshold, sigma, least)
    suppress(Boxes([]), np.zeros(0), None)  # invalid options are refused before a file is made
    if not planned.boxes.rotated:
        resolve = ("suppress.nms", "RESOLVE_SEGMENTS", planned.dtype, "hard" if soft is None else "soft")
        compile_together([resolve, ("common.sorting", "SORT", np.float64, "")])

    numbers = {"sigma": sigma} if soft == "gaussian" else {"iou_threshold": float(iou_threshold)}
    given = {"method": method, **numbers, "min_score": None if least == -np.inf else float(least)}
    found = Suppressed(class_column=label, rules=Rules({**given, "score_column": score_column, "class_column": label}))
    schema = columns.schema_of({}, [planned.columns.field(name) for name in written])
    with open_parquet(planned.files[0]) as first:
        told = formats_in(first.schema_arrow) | metadata_of(**{"": planned.boxes.format})
    schema = schema.with_metadata(told)
    parameters = {
        "detections": planned.files,
        "iou_threshold": iou_threshold,
        "method": method,
        "sigma": sigma,
        "min_score": min_score,
        "class_column": label,
    }
    with Output(out, schema, command="nms", parameters=parameters, progress=progress) as output:
        for chunk in scan(source, rows=rows):
            side = chunk.a_columns, chunk.a_rows
            scores = columns.number_column(chunk.a_columns, score_column, what="a score", rows=chunk.a_rows)
            classes = None if label is None else columns.label_columns(side, name=label)[0][0]
            kept, left = suppress(chunk.a, np.where(scores >= least, scores, np.nan), classes)
            _add(found, chunk, scores, least, kept)
            output.write(_batch, chunk, kept, left, score_column, schema)
            output.step(len(chunk.a))
        called = names_of(planned.files)
        output.finish(found, **({"categories": called} if called else {}))
    return found


def _checked(planned: Plan, score_column: str, label: str | None, soft: bool) -> Plan:
    """Refuse a table without image ids, and columns that can't be labels, scores, or lowered scores."""
    where = planned.files[0]
    check_images([planned], "boxes are suppressed")
    check_labels(planned, label)
    check_numbers(planned, score_column)
    kind = planned.columns.field(score_column).type
    if soft and str(kind) not in ("halffloat", "float", "double"):
        raise InputError(
            f"expected floats in column {score_column!r} of {where}, where lowered scores fit, got {kind}: cast it"
        )
    return planned


def _suppression(soft: str | None, iou_threshold: float, sigma: float, least: float) -> Suppression:
    """Return the function that finds the kept rows of boxes, ascending, and their scores if these are lowered."""

    def suppress(boxes: Boxes, scores: NDArray[Any], classes: Any) -> tuple[NDArray[np.int64], NDArray[Any] | None]:
        if soft is None:
            return np.sort(suppression.nms(boxes, scores, iou_threshold=iou_threshold, classes=classes)), None
        options: dict[str, Any] = {"iou_threshold": iou_threshold, "sigma": sigma, "score_threshold": least}
        kept, left = suppression.soft_nms(boxes, scores, method=soft, classes=classes, **options)
        order = np.argsort(kept)
        return kept[order], left[order]

    return suppress


def _add(found: Suppressed, chunk: Chunk, scores: NDArray[Any], least: float, kept: NDArray[np.int64]) -> None:
    reasons = chunk.a.invalid()
    valid = reasons == 0
    found.images += 0 if chunk.images is None else len(chunk.images)
    found.boxes += len(chunk.a)
    found.kept += len(kept)
    found.low_scores += int((valid & (scores < least)).sum())
    found.no_scores += int((valid & (scores != scores)).sum())
    found.invalid.add(reasons)


def _batch(chunk: Chunk, kept: NDArray[np.int64], left: NDArray[Any] | None, score_column: str, output: Any) -> Any:
    """Return the rows that are kept, with the columns of the output; lowered scores replace the old ones."""
    batch = columns.taken(chunk.a_columns.select(output.names), kept)
    if left is None or score_column not in output.names:
        return batch
    place = output.names.index(score_column)
    return batch.set_column(place, output.field(place), columns.batch_of([left], _alone(output, place)).column(0))


def _alone(schema: Any, place: int) -> Any:
    return columns.schema_of({}, [schema.field(place)])
