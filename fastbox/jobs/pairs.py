"""Pair the boxes of each image: detections with truths, or a table with itself to find near-duplicates."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.arrow import columns
from fastbox.arrow.turned import coordinate_names, metadata_of
from fastbox.boxes.container import Boxes
from fastbox.boxes.found import frames, outline
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.datasets.as_source import Given
from fastbox.errors import InputError, advice
from fastbox.evaluation.common_images import CommonImages
from fastbox.jobs.base import job
from fastbox.jobs.checks import check_images, check_metrics
from fastbox.jobs.output import Output
from fastbox.jobs.pairing import PAIR, Block, Question, blocks
from fastbox.kernels.codes import PLAIN
from fastbox.losses.figures import edges_of, is_worse_greater, unit_of
from fastbox.memory import most_of
from fastbox.ops.aligned import aligned
from fastbox.ops.result import Pairs
from fastbox.parallel import compile_together
from fastbox.result import Invalid, Result, Rules
from fastbox.results.pair_views import Look
from fastbox.sketch import Sketch
from fastbox.tables.chunk import ROWS, Chunk
from fastbox.tables.class_names import joined_classes, kind_of_classes
from fastbox.tables.source import Plan, Source, plans_of
from fastbox.tables.stream import scan
from fastbox.values.formats import COORDINATES, FORMATS
from fastbox.values.groups import groups_of
from fastbox.values.names import CLASS, Usual

if TYPE_CHECKING:
    from fastbox.report.page.contents import Page

__all__ = ["Paired", "pairs"]

CORNERS = COORDINATES["xyxy"]


@dataclass(repr=False)
class Paired(Result):
    """The result of :func:`pairs`.

    Attributes
    ----------
    images, detections, truths, pairs : int
        The number of images, boxes and pairs; ``truths`` is None if one table is paired with itself.
    unmatched : int
        The number of detections without a pair.
    invalid_detections, invalid_truths : Invalid
        The number of invalid boxes by reason; they are in no pair.
    metrics : dict of str to Sketch
        The values of the pairs.
    rules : Rules
        The ``mode`` (threshold, every or best), the ``metric`` that decides, its ``threshold`` and ``sign``, and the
        column that kept classes apart.
    look : Look, optional
        The worst pairs and a map for a report, if a report was requested.
    """

    MAIN = "metrics"
    TABLES = ("invalid", "metrics")
    FIRST = ("pairs", "unmatched", "detections", "truths", "images")

    images: int = 0
    detections: int = 0
    truths: int | None = None
    pairs: int = 0
    unmatched: int = 0
    invalid_detections: Invalid = field(default_factory=Invalid)
    invalid_truths: Invalid = field(default_factory=Invalid)
    metrics: dict[str, Sketch] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    look: Look | None = field(default=None, repr=False, compare=False)

    def page(self) -> Page:
        """Return everything as a page."""
        from fastbox.report.pages.paired import paired_page

        return paired_page(self.to_dict(), self.look)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        alone = self.truths is None
        return {
            "images": self.images,
            "detections": self.detections,
            **({} if alone else {"truths": self.truths}),
            "pairs": self.pairs,
            "unmatched": self.unmatched,
            "invalid": {
                "detections": self.invalid_detections.to_dict(),
                **({} if alone else {"truths": self.invalid_truths.to_dict()}),
            },
            "rules": self.rules.to_dict(),
            "metrics": {n: {"unit": unit_of(n), **values.to_dict(edges_of(n))} for n, values in self.metrics.items()},
            **self.notes_on_inputs(),
        }


@job("detections", "truths", adds_up=True, rotated=True)
def pairs(
    detections: Given,
    truths: Given | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    threshold: float = 0.5,
    every: bool = False,
    best: bool = False,
    class_column: str = CLASS,
    class_agnostic: bool = True,
    metrics: Sequence[str] = ("iou",),
    beta: float = 1.0,
    keep: Sequence[str] = (),
    boxes: bool = False,
    report: str | os.PathLike[str] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    rows: int = ROWS,
    progress: Callable[[int], object] | None = None,
) -> Paired:
    """Find the pairs of boxes of each image, write them with their values, and summarize them.

    The output has the columns ``image_id``, ``detection`` and ``truth`` (row numbers of the two tables, from 0), a
    column for each metric, and the columns to keep; it is sorted by image, detection and truth. With one table the row
    numbers are ``row`` and ``other``, the later row, and each pair has one row.

    Parameters
    ----------
    detections, truths : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
    out : path, optional
        The file to write; by default only the summary is computed.
    threshold : float
        The value that the first metric must reach; a distance must not exceed it.
    every : bool
        Find every pair of valid boxes, with any value.
    best : bool
        Write one row for each detection, with its best truth; ``truth`` is null if its image has no truth.
    class_column : str
        The class column of both tables; a name other than the usual one needs ``class_agnostic=False``.
    class_agnostic : bool
        Pair boxes of different classes too, as by default; False pairs them per class.
    metrics : sequence of str
        Names from ``fastbox.METRICS``; the first decides. Rotated boxes have ``iou``, ``iof``, ``ios``, ``giou`` and
        ``probiou``.
    keep : sequence of str
        Columns of the detections to carry along.
    boxes : bool
        Write the corners of both boxes, as ``pred_xmin`` … ``target_ymax``, which :func:`measure` reads; of rotated
        boxes the coordinates that they have, as ``pred_cx`` … ``pred_angle`` or ``pred_x1`` … ``pred_y4``.
    report : path, optional
        The HTML page to write, with figures, plots and the worst pairs (the extra ``report``).
    pictures : path, optional
        The folder of the images, to show them behind the boxes of the page's examples (the extra ``formats``).
    rows : int
        About the number of boxes in memory at a time; it makes no difference to the result.
    progress : callable, optional
        Called with the number of boxes done since the last call.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate or class, options that contradict
        one another.
    ValueError
        An unknown metric, an invalid threshold or beta.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "boxes.parquet")
    >>> corners = [[0.0, 0, 4, 4], [0.0, 0, 4, 3], [0.0, 0, 4, 4]]
    >>> pq.write_table(pa.table({"image_id": [1, 1, 2], "bbox": corners}), path)
    >>> found = pairs(path, threshold=0.5)
    >>> found.pairs, found.metrics["iou"].mean
    (1, 0.75)
    """
    asked = Question.of(metrics, "best" if best else "every" if every else "threshold", threshold, beta)
    if best and every:
        raise InputError("expected either every pair or the best of each detection, got both: leave one out")
    if best and truths is None:
        raise InputError("expected two tables to find the best truth of each detection, got one: name the truths")
    if class_agnostic and not isinstance(class_column, Usual):
        how = advice("--per-class", "class_agnostic=False")
        raise InputError(f"the class column {class_column!r} is not used where boxes of all classes meet: add {how}")
    label = None if class_agnostic else class_column
    carried = tuple(dict.fromkeys([*keep, *([label] if label else [])]))
    a = Source.carrying(detections, *carried)
    b = None if truths is None else Source.carrying(truths, label)
    plans = plans_of(*(source for source in (a, b) if source is not None))
    check_images(plans, "pairs are sought")
    geometry = check_metrics(asked.metrics, *(own.boxes for own in plans))
    if label is not None:
        joined = joined_classes([found.files for found in plans], kind_of_classes(plans, label))
        asked = replace(asked, label=label, joined=joined)
    found = Paired(metrics={name: Sketch() for name in asked.metrics}, truths=None if b is None else 0)
    found.rules = asked.rules()
    if report is not None:
        found.look = Look(asked.metrics[0], is_worse_greater(asked.metrics[0]))
    schema = _schema(plans, asked.metrics, carried, boxes)
    files = {"detections": plans[0].files, "truths": plans[1].files if b is not None else None}
    most = most_of(PAIR + plans[0].carried)
    if geometry == PLAIN:
        (first, *further), dtype = asked.metrics, np.result_type(*(own.dtype for own in plans))
        found_by = ("compare.dense", "BEST" if best else "PAIRS", dtype, first)
        compile_together((found_by, *(("compare.aligned", "ALIGNED", dtype, name) for name in further)))
    common = CommonImages()
    with Output(out, schema, command="pairs", parameters=files | asked.parameters(), progress=progress) as output:
        for chunk in scan(a, b, rows=rows):
            paired = np.zeros(len(chunk.a), np.bool_)
            for block in [Block(chunk)] if best else blocks(chunk, most):
                met = block.met(asked.find(block.part))
                values = _add(found, chunk, met, beta, paired)
                output.write(_batch, chunk, met, values, boxes, schema)
            _count(found, chunk, paired)
            if chunk.b is not None:
                assert chunk.a.offsets is not None and chunk.b.offsets is not None
                common.add(chunk.images, chunk.a.offsets, chunk.b.offsets)
            output.step(len(chunk.a) + (0 if chunk.b is None else len(chunk.b)))
        output.finish(found)
    if a.fragment is None:  # an image that one fragment lacks may be in another
        common.warn([own.files[0] for own in plans])
    return found


def _add(found: Paired, chunk: Chunk, pairs: Pairs, beta: float, paired: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Sum up pairs of a chunk and mark the detections that have one.

    Returns the values of the pairs, one array for each metric, nan for a detection without a truth.
    """
    a, b = chunk.a, chunk.b
    met = pairs.cols >= 0
    rows, cols = pairs.rows[met], pairs.cols[met]
    both = a[rows], (a if b is None else b)[cols]
    columns = []
    measured: dict[str, NDArray[Any]] = {}
    for name, sketch in found.metrics.items():
        value = aligned(*both, metric=name, beta=beta) if measured else pairs.values[met]
        sketch.add(value)
        measured[name] = value
        column = np.full(len(met), np.nan, value.dtype)
        column[met] = value
        columns.append(column)
    if found.look is not None:
        numbers = np.stack((chunk.a_rows(rows), _other_rows(chunk, cols)), axis=1)
        measured = {"iou": aligned(*both)} | measured if "iou" not in measured else measured
        own = outline(both[0]), outline(both[1])
        found.look.add(measured, frames(both[0]), frames(both[1]), numbers, _images(chunk, rows), own)
    found.pairs += int(met.sum())
    paired[rows] = True
    if b is None:
        paired[cols] = True
    return columns


def _count(found: Paired, chunk: Chunk, paired: NDArray[np.bool_]) -> None:
    """Count the boxes of a chunk, and the detections that are in no pair."""
    found.images += 0 if chunk.images is None else len(chunk.images)
    found.detections += len(chunk.a)
    found.invalid_detections.add(chunk.a.invalid())
    if chunk.b is not None:
        assert found.truths is not None
        found.truths += len(chunk.b)
        found.invalid_truths.add(chunk.b.invalid())
    found.unmatched += len(chunk.a) - int(paired.sum())


def _other_rows(chunk: Chunk, cols: NDArray[np.int64]) -> NDArray[np.int64]:
    return chunk.a_rows(cols) if chunk.b is None else chunk.b_rows(cols)


def _images(chunk: Chunk, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Return the ids of the images of some rows of a."""
    assert chunk.images is not None and chunk.a.offsets is not None
    return chunk.images[groups_of(rows, chunk.a.offsets)]


def _schema(plans: list[Plan], metrics: Sequence[str], carried: tuple[str, ...], boxes: bool) -> Any:
    dtype = np.result_type(*(p.dtype for p in plans)).name
    ids = "int64" if plans[0].ids == "integer" else "string"
    first, second = ("detection", "truth") if len(plans) > 1 else ("row", "other")
    types = {"image_id": ids, first: "int64", second: "int64"}
    types |= dict.fromkeys(metrics, dtype)
    formats = {side: own.boxes.format for side, own in zip(("pred_", "target_"), plans * 2, strict=False)}
    if boxes:
        types |= {side + name: dtype for side, told in formats.items() for name in _coordinates(told)}
    if clash := [name for name in carried if name in types]:
        raise InputError(f"the column to keep {clash[0]!r} has the name of a column of the output: leave it out")
    found = columns.schema_of(types, plans[0].columns)
    return found.with_metadata(metadata_of(**formats)) if boxes else found


def _coordinates(format: str) -> tuple[str, ...]:
    """Return the names of the coordinates that are written: corners, of rotated boxes those that they have."""
    return CORNERS if format in FORMATS else coordinate_names(format)


def _written(boxes: Boxes | RotatedBoxes) -> list[NDArray[Any]]:
    return list(boxes.columns if isinstance(boxes, RotatedBoxes) else boxes.corners().T)


def _batch(chunk: Chunk, pairs: Pairs, values: list[NDArray[Any]], boxes: bool, schema: Any) -> Any:
    """Return the rows of the output for some pairs of a chunk."""
    rows, cols, _ = pairs
    other = chunk.a if chunk.b is None else chunk.b
    partners = np.ma.masked_array(np.full(len(cols), -1), mask=cols < 0)
    partners[cols >= 0] = _other_rows(chunk, cols[cols >= 0])
    made: list[NDArray[Any]] = [_images(chunk, rows), chunk.a_rows(rows), partners, *values]
    if boxes:
        made += _written(chunk.a[rows])
        for column in _written(other[cols[cols >= 0]]):
            target = np.full(len(cols), np.nan, other.dtype)
            target[cols >= 0] = column
            made.append(target)
    new = columns.batch_of(made, columns.schema_of({}, list(schema)[: len(made)]))
    return columns.joined(new, columns.taken(chunk.a_columns, rows))
