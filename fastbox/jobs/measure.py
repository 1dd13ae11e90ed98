"""Measure pairs: rows that hold a predicted and a target box get a column for each metric, and a summary at the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import ops
from fastbox.boxes import Boxes
from fastbox.errors import InputError
from fastbox.jobs.summary import Invalid, edges_of
from fastbox.sketch import Sketch
from fastbox.tables import columns
from fastbox.tables.files import Paths, find_files, open_parquet, read_batches
from fastbox.tables.schema import find_boxes, require, to_boxes
from fastbox.tables.sink import Sink, check_output

__all__ = ["Measured", "measure"]


@dataclass
class Measured:
    """What a run of :func:`measure` found.

    Attributes
    ----------
    rows : int
    pred, target : Invalid
        Invalid boxes on either side, by reason.
    metrics : dict of str to Sketch
    """

    rows: int = 0
    pred: Invalid = field(default_factory=Invalid)
    target: Invalid = field(default_factory=Invalid)
    metrics: dict[str, Sketch] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        return {
            "rows": self.rows,
            "invalid": {"pred": self.pred.to_dict(), "target": self.target.to_dict()},
            "metrics": {name: sketch.to_dict(edges_of(name)) for name, sketch in self.metrics.items()},
        }


def measure(
    paths: Paths,
    out: str | os.PathLike[str] | None = None,
    *,
    metrics: Sequence[str] = ("iou", "giou", "smooth_l1"),
    pred: str | None = None,
    target: str | None = None,
    format: str | None = None,
    beta: float = 1.0,
    keep: Sequence[str] | None = None,
    rows: int = 262_144,
    progress: Callable[[int], object] | None = None,
) -> Measured:
    """Compute metrics of the predicted and the target box in each row, and append them as columns.

    Parameters
    ----------
    paths : path, directory, glob or a list of them
        Parquet files of one schema.
    out : path, optional
        Where to write the rows with their new columns; only summed up when left out.
    metrics : sequence of str
        Names from ``fastbox.METRICS``; each is the name of its column.
    pred, target : str, optional
        Where the boxes are: one column, or four names with commas between; found by the prefixes ``pred_`` and
        ``target_`` when left out.
    format : str, optional
        Of both boxes; told by the columns' names when left out.
    beta : float
        Where ``smooth_l1`` turns linear, in pixels.
    keep : sequence of str, optional
        The columns of the input to keep in the output; all when left out. One with a metric's name is replaced.
    rows : int
        How many to hold at once; makes no difference to what comes out.
    progress : callable, optional
        Called with the number of rows done since the last call.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "pairs.parquet")
    >>> pq.write_table(pa.table({"pred": [[0.0, 0, 2, 2]], "target": [[1.0, 0, 3, 2]]}), path)
    >>> measure(path, metrics=["iou"]).metrics["iou"].mean
    0.3333333333333333
    """
    metrics = list(dict.fromkeys(metrics))
    for name in metrics:
        ops.check_metric(name)
    files = find_files(paths)
    with open_parquet(files[0]) as first:
        schema = first.schema_arrow
    pred_at = find_boxes(schema, pred, format, prefix="pred_", where=files[0])
    target_at = find_boxes(schema, target, format, prefix="target_", where=files[0])
    if set(pred_at.names) == set(target_at.names):
        names = ", ".join(pred_at.names)
        raise InputError(f"expected a predicted and a target box in {files[0]}, found only {names}: name both")
    kept = [name for name in (schema.names if keep is None else dict.fromkeys(keep)) if name not in metrics]
    for name in kept:
        require(schema, name, files[0])
    read = dict.fromkeys([*pred_at.names, *target_at.names, *(kept if out is not None else ())])

    found = Measured(metrics={name: Sketch() for name in metrics})
    dtype = _dtype(schema, pred_at, target_at)
    output = columns.extended(schema.remove_metadata(), kept, dict.fromkeys(metrics, dtype.name))
    parameters = {"paths": files, "metrics": metrics, "pred": pred, "target": target, "format": format, "beta": beta}
    sink = None
    if out is not None:
        check_output(out, files)
        sink = Sink(out, output, command="measure", parameters=parameters)
    with sink or nullcontext():
        for file, first_row, batch in read_batches(files, list(read), rows=rows):
            a = to_boxes(batch, pred_at, where=file, first_row=first_row)
            b = to_boxes(batch, target_at, where=file, first_row=first_row)
            values = [ops.aligned(a, b, metric=name, beta=beta) for name in metrics]
            _add(found, a, b, values)
            if sink is not None:
                sink.write(columns.appended(batch, values, output))
            if progress is not None:
                progress(batch.num_rows)
        if sink is not None:
            sink.record(summary=found.to_dict())
    return found


def _add(found: Measured, a: Boxes, b: Boxes, values: list[NDArray[Any]]) -> None:
    found.rows += len(a)
    for sketch, column in zip(found.metrics.values(), values, strict=True):
        sketch.add(column)
    # A valid pair has a value, so only rows without one are looked at for the reason.
    rows = np.flatnonzero(np.isnan(values[0])) if values else np.arange(len(a))
    if len(rows):
        found.pred.add(a[rows])
        found.target.add(b[rows])


def _dtype(schema: Any, *places: Any) -> np.dtype[Any]:
    """The dtype of the values: that of an empty batch."""
    sides = [to_boxes(schema.empty_table(), place).dtype for place in places]
    return np.result_type(*sides)
