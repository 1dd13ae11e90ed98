"""Measure pairs: each row of a predicted and a target box gets a column for each metric and loss."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox import losses
from fastbox._record import dataclass
from fastbox.arrow import columns
from fastbox.arrow.fields import require
from fastbox.arrow.layouts import BoxColumns
from fastbox.arrow.turned import formats_in, metadata_of
from fastbox.boxes.container import Boxes
from fastbox.boxes.found import frames, outline, to_boxes
from fastbox.datasets.as_source import Given
from fastbox.errors import InputError
from fastbox.jobs.base import job
from fastbox.jobs.checks import check_metrics
from fastbox.jobs.output import Output
from fastbox.losses import LossAndGrad
from fastbox.losses.figures import edges_of, is_worse_greater, unit_of
from fastbox.losses.names import LOSSES, PARAMETERS, check_name
from fastbox.ops.aligned import aligned
from fastbox.ops.metrics import ROTATED_METRICS
from fastbox.parallel import compile_together
from fastbox.result import Invalid, Result, Rules
from fastbox.results.pair_views import Look
from fastbox.sketch import Sketch
from fastbox.tables.chunk import ROWS
from fastbox.tables.columns import read_batches
from fastbox.tables.likely_format import check_format
from fastbox.tables.pairing import find_pairs
from fastbox.tables.source import Source
from fastbox.values.formats import COORDINATES
from fastbox.values.names import IMAGE, column_of

if TYPE_CHECKING:
    from fastbox.report.page.contents import Page

__all__ = ["Measured", "measure"]

DEFAULT = ("iou", "giou", "smooth_l1")  # of rotated boxes those that they have
SHORT_COORDINATES = {**COORDINATES, "xyxy": ("x0", "y0", "x1", "y1"), "yxyx": ("y0", "x0", "y1", "x1")}


@dataclass(repr=False)
class Measured(Result):
    """The result of :func:`measure`.

    Attributes
    ----------
    rows : int
    pred, target : Invalid
        Invalid boxes on either side, by reason.
    metrics : dict of str to Sketch
        The values of metrics and losses by their names, and the lengths of gradients, as ``iou_loss_grad``.
    zeros : dict of str to int
        Gradients that are exactly zero, by the same names.
    rules : Rules
        The metrics, and the distances from which Smooth L1 and Huber loss are linear.
    look : Look, optional
        The worst pairs and a map for a report, if a report was requested.
    """

    MAIN = "metrics"
    TABLES = ("invalid", "metrics")
    FIRST = ("rows",)

    rows: int = 0
    pred: Invalid = field(default_factory=Invalid)
    target: Invalid = field(default_factory=Invalid)
    metrics: dict[str, Sketch] = field(default_factory=dict)
    zeros: dict[str, int] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    look: Look | None = field(default=None, repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {
            "rows": self.rows,
            "invalid": {"pred": self.pred.to_dict(), "target": self.target.to_dict()},
            "rules": self.rules.to_dict(),
            "metrics": {name: self._figures(name) for name in self.metrics},
            **self.notes_on_inputs(),
        }

    def page(self) -> Page:
        """Return everything as a page."""
        from fastbox.report.pages.paired import measured_page

        return measured_page(self.to_dict(), self.look)

    def _figures(self, name: str) -> dict[str, Any]:
        zero = {"zero": self.zeros[name]} if name in self.zeros else {}
        return {"unit": unit_of(name), **self.metrics[name].to_dict(edges_of(name)), **zero}


@job("pairs", by_image=False, adds_up=True, rotated=True)
def measure(
    pairs: Given,
    out: str | os.PathLike[str] | None = None,
    *,
    metrics: Sequence[str] = DEFAULT,
    pred: str | None = None,
    target: str | None = None,
    format: str | None = None,
    beta: float = 1.0,
    delta: float = 1.0,
    grad: bool = False,
    keep: Sequence[str] | None = None,
    report: str | os.PathLike[str] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    rows: int = ROWS,
    progress: Callable[[int], object] | None = None,
) -> Measured:
    """Compute metrics and losses of the predicted and the target box in each row, and append them as columns.

    Parameters
    ----------
    pairs : Source, path, directory, glob or a list of them
        Parquet files of one schema.
    out : path, optional
        The file of rows with new columns to write; by default only the summary is computed.
    metrics : sequence of str
        Names from ``fastbox.METRICS`` and ``fastbox.LOSSES``; each is the name of its column. Losses of coordinates are
        summed over the four corners' coordinates. Rotated boxes have ``iou``, ``iof``, ``ios``, ``giou`` and
        ``probiou``; by default the first and the fourth.
    pred, target : str, optional
        The columns of the boxes: one column, or four names (five or eight of rotated boxes) with commas between; by
        default found by the prefixes ``pred_`` and ``target_``.
    format : str, optional
        The format of both boxes; by default the format that the names of the columns imply.
    beta : float
        The distance in pixels from which ``smooth_l1`` and ``smooth_l1_loss`` are linear.
    delta : float
        The distance in pixels from which ``huber_loss`` is linear.
    grad : bool
        Append the gradient of each loss with respect to the predicted box: four columns of the values' dtype, named by
        the coordinates of its format, from ``iou_loss_grad_x0`` to ``iou_loss_grad_y1`` for xyxy, ``_x`` to ``_h`` for
        xywh. The summary has the Euclidean lengths of the gradients, as ``iou_loss_grad``.
    keep : sequence of str, optional
        The columns of the input to keep in the output; by default all. A new column replaces one of the same name.
    report : path, optional
        The HTML page to write, with figures, plots and the worst rows (the extra ``report``).
    pictures : path, optional
        The folder of the images, to show them behind the boxes of the page's examples (the extra ``formats``).
    rows : int
        The number of rows in memory at a time; it makes no difference to the result.
    progress : callable, optional
        Called with the number of rows done since the last call.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate, ``grad`` without a loss.
    ValueError
        An unknown metric or loss, a negative beta, a delta that is not above 0.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "pairs.parquet")
    >>> pq.write_table(pa.table({"pred": [[0.0, 0, 2, 2]], "target": [[1.0, 0, 3, 2]]}), path)
    >>> measure(path, metrics=["iou"]).metrics["iou"].mean
    0.3333333333333333
    >>> measure(path, metrics=["iou_loss"], grad=True).zeros
    {'iou_loss_grad': 0}
    """
    metrics = list(dict.fromkeys(metrics))
    for name in metrics:
        check_name(name)
    asked = [name for name in metrics if name in LOSSES]
    if grad and not asked:
        raise InputError(
            f"expected a loss among the metrics to give its gradient, got none: add one of {', '.join(LOSSES)}"
        )
    source = Source.carrying(pairs)
    files, schema, pred_at, target_at = find_pairs(source.path, pred, target, format, rotated=True)
    dtype, its_format = _dtype_and_format(schema, pred_at, target_at)
    rotated = pred_at.rotated or target_at.rotated
    if rotated and tuple(metrics) == DEFAULT:
        metrics = [name for name in DEFAULT if name in ROTATED_METRICS]
    plain = [name for name in metrics if name not in LOSSES]
    check_metrics(metrics if rotated else plain, pred_at, target_at)
    if not rotated:
        compile_together([("compare.aligned", "ALIGNED", dtype, name) for name in plain])
    new = _new_columns(metrics, its_format if grad else None)
    kept = [name for name in (schema.names if keep is None else dict.fromkeys(keep)) if name not in new]
    for name in kept:
        require(schema, name, files[0])
    image = None if pictures is None else _image_column(schema.names, files[0])
    shown = () if image is None else (image,)
    read = dict.fromkeys([*pred_at.names, *target_at.names, *shown, *(kept if out is not None else ())])

    found = Measured(zeros={f"{name}_grad": 0 for name in asked if grad})
    used = {PARAMETERS.get(name) for name in metrics}
    found.rules = Rules({name: value for name, value in (("beta", beta), ("delta", delta)) if name in used})
    found.metrics = {name: Sketch() for name in (*metrics, *found.zeros)}
    if report is not None:
        found.look = Look(metrics[0], is_worse_greater(metrics[0])) if metrics else None
    new_schema = columns.extended(schema.remove_metadata(), kept, dict.fromkeys(new, dtype.name))
    told = formats_in(schema) | metadata_of(pred_=pred_at.format, target_=target_at.format)
    new_schema = new_schema.with_metadata(told)
    parameters = {"paths": files, "metrics": metrics, "pred": pred, "target": target, "format": format, "beta": beta}
    parameters |= {"delta": delta, "grad": grad}
    with Output(out, new_schema, command="measure", parameters=parameters, progress=progress) as output:
        groups = None if source.fragment is None else source.fragment.groups
        for file, first_row, batch in read_batches(files, list(read), rows=rows, groups=groups):
            a = to_boxes(batch, pred_at, where=file, first_row=first_row)
            b = to_boxes(batch, target_at, where=file, first_row=first_row)
            if found.rows == 0:
                check_format(a, file)
                check_format(b, file)
            values = {name: _values(name, a, b, beta, delta, grad) for name in metrics}
            _add(found, a, b, values, None if image is None else batch.column(image))
            made = [column for graded in values.values() for column in (graded.loss, *graded.grad.T)]
            output.write(columns.appended, batch, made, new_schema)
            output.step(batch.num_rows)
        output.finish(found)
    return found


def _values(name: str, a: Boxes, b: Boxes, beta: float, delta: float, grad: bool) -> LossAndGrad:
    """Return the values of a metric or loss, and the gradient of a loss if it is requested, else no columns."""
    nothing = np.empty((len(a), 0))
    if name not in LOSSES:
        return LossAndGrad(aligned(a, b, metric=name, beta=beta), nothing)
    parameter = PARAMETERS.get(name)
    options = {parameter: {"beta": beta, "delta": delta}[parameter]} if parameter else {}
    loss = getattr(losses, name)(a, b, reduction="box", return_grad=grad, **options)
    return loss if grad else LossAndGrad(loss, nothing)


def _new_columns(metrics: Sequence[str], grad_format: str | None) -> list[str]:
    """Return the columns of metrics and losses, each loss with the columns of its gradient, for boxes in a format."""
    ends = () if grad_format is None else tuple(f"_grad_{coordinate}" for coordinate in SHORT_COORDINATES[grad_format])
    return [name + end for name in metrics for end in ("", *(ends if name in LOSSES else ()))]


def _image_column(names: Sequence[str], file: str) -> str:
    """Return the column of images, whose pictures are shown; refuses a table without one."""
    image = column_of(names, IMAGE, file)
    if image is None:
        raise InputError(f"expected a column image_id in {file} to find the pictures of its rows, got none: add it")
    return str(image)


def _add(found: Measured, a: Boxes, b: Boxes, values: Mapping[str, LossAndGrad], images: Any = None) -> None:
    if found.look is not None:
        numbers = np.arange(found.rows, found.rows + len(a))[:, None]
        measured = {name: graded.loss for name, graded in values.items()}
        measured |= {} if "iou" in measured else {"iou": aligned(a, b)}
        ids = None if images is None else images.cast("string").to_numpy(zero_copy_only=False)
        found.look.add(measured, frames(a), frames(b), numbers, ids, (outline(a), outline(b)))
    found.rows += len(a)
    for name, (column, grad) in values.items():
        found.metrics[name].add(column)
        if grad.shape[1]:
            lengths = _lengths(grad)
            found.metrics[f"{name}_grad"].add(lengths)
            # A length can underflow to 0 where the gradient doesn't.
            found.zeros[f"{name}_grad"] += int(np.count_nonzero(~grad[lengths == 0].any(axis=1)))
    # A valid pair has a value, so only rows without one are looked at for the reason.
    rows = np.flatnonzero(np.isnan(next(iter(values.values())).loss)) if values else np.arange(len(a))
    if len(rows):
        found.pred.add(a[rows].invalid())
        found.target.add(b[rows].invalid())


def _lengths(grad: NDArray[Any]) -> NDArray[np.float64]:
    """Return the Euclidean lengths of rows, summed in one order on every machine."""
    with np.errstate(over="ignore"):
        squares = np.square(grad, dtype=np.float64)
        lengths: NDArray[np.float64] = np.sqrt((squares[:, 0] + squares[:, 1]) + (squares[:, 2] + squares[:, 3]))
    return lengths


def _dtype_and_format(schema: Any, pred: BoxColumns, target: BoxColumns) -> tuple[np.dtype[Any], str]:
    """Return the dtype of the values and the format of the predicted boxes, found with an empty batch."""
    a, b = (to_boxes(schema.empty_table(), place) for place in (pred, target))
    return np.result_type(a.dtype, b.dtype), a.format
