"""Assign the points of a detector without anchors to truths, exactly as its training does, and write the positives."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.anchors import PointGrid
from fastbox.anchors.resize import Resize
from fastbox.arrow import columns
from fastbox.assign.point_rule import PointRule
from fastbox.datasets.as_source import Given
from fastbox.errors import InputError, advice
from fastbox.jobs.base import job
from fastbox.jobs.candidates import check_truths, size_columns
from fastbox.jobs.letterboxed import Letterboxed
from fastbox.jobs.matched_points import Detector, MatchedPoints, Predictions, by_truths
from fastbox.jobs.output import Output
from fastbox.jobs.settings import Inputs, as_points
from fastbox.result import Invalid, Result, Row, Rules
from fastbox.results.point_examples import Drawn, PointExamples
from fastbox.results.point_positives import PointPositives
from fastbox.tables.chunk import Chunk
from fastbox.tables.raw import RawFacts, raw_facts, raw_rows
from fastbox.tables.source import Plan, Source, plan
from fastbox.tables.stream import ahead, scan

if TYPE_CHECKING:
    from fastbox.report.page.contents import Page

__all__ = ["AssignedPoints", "assign_points"]


@dataclass(repr=False)
class AssignedPoints(Result):
    """The result of :func:`assign_points`.

    Attributes
    ----------
    images, truths, regions : int
        The number of images that were assigned, of their truths and of regions to ignore.
    without_predictions, without_truths : int
        The number of images with truths that have no predictions, and of those with predictions that have no truths.
    invalid : Invalid
        Invalid truths by reason; they learn nothing, and are in no other count.
    rules : Rules
        The grid, the rule, the input, and the columns of classes and regions.
    learnt : PointPositives
        The truths and their positive points.
    examples : PointExamples, optional
        Truths to draw, if a report was requested.
    """

    MAIN = "by_level"
    TABLES = ("invalid", "by_level", "by_size", "by_class")

    learnt: PointPositives
    images: int = 0
    truths: int = 0
    regions: int = 0
    without_predictions: int = 0
    without_truths: int = 0
    invalid: Invalid = field(default_factory=Invalid)
    rules: Rules = field(default_factory=Rules)
    examples: PointExamples | None = field(default=None, repr=False, compare=False, kw_only=True)

    def _first(self, summary: Row) -> dict[str, Any]:
        return {name: summary[name] for name in ("positives", "unlearnt", "lost", "truths", "images")}

    def check(self) -> None:
        """Refuse predictions of other images than those of the truths."""
        if not self.images and self.without_predictions:
            raise InputError(
                f"expected predictions of the truths' images, got none of {self.without_predictions:,}: compare the ids"
            )

    def page(self) -> Page:
        """Return everything as a page."""
        from fastbox.report.pages.learnt import learnt_page

        return learnt_page(self.to_dict(), self.examples)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {
            "images": self.images,
            "images_without_predictions": self.without_predictions,
            "images_without_truths": self.without_truths,
            "ignore_regions": self.regions,
            "invalid": {"truths": self.invalid.to_dict()},
            "rules": self.rules.to_dict(),
            **self.learnt.to_dict(),
            **self.notes_on_inputs(),
        }


@job("truths", "predictions", adds_up=True)
def assign_points(
    truths: Given,
    predictions: Given | None = None,
    out: str | os.PathLike[str] | None = None,
    *,
    points: str,
    sizes: Sequence[int | str] = (),
    resize: Resize | float | str | None = None,
    pad: str | None = None,
    rule: PointRule | str | None = None,
    ignore_column: str | None = None,
    class_column: str | None = None,
    report: str | os.PathLike[str] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    rows: int = 65_536,
    progress: Callable[[int], object] | None = None,
) -> AssignedPoints:
    """Assign the points of each image to its truths as a detector's training does, write the positives, and sum up.

    The output has the columns ``image_id``, ``level``, ``point`` (its number in the image), ``truth`` (row number of
    the table, from 0), ``value`` (the rule's target score, metric or IoU, as in :func:`fastbox.match`) and ``iou``,
    sorted by image and point. All other points are negative.

    Parameters
    ----------
    truths : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
        With columns ``width`` and ``height``, the size of the image in pixels, in each row.
    predictions : path, directory, glob or list of paths, optional
        What :class:`fastbox.RawPredictions` wrote; FCOS needs none.
    out : path, optional
        The file to write; by default the assignment is only summed up.
    points : str
        A preset of points, as for :func:`fastbox.jobs.candidates`.
    sizes : sequence of int or str
        The input of the network in pixels; by default as the predictions have it.
    resize, pad, rule, ignore_column, report, pictures, rows, progress
        As for :func:`fastbox.jobs.candidates`.
    class_column : str, optional
        The class column, which predictions are looked up by.

    Raises
    ------
    InputError
        A file or column that can't be used, predictions of another grid, of another number of points than the input
        has, or without the class of a truth.
    ValueError
        An unknown preset or rule, or a size that can't be read.

    Examples
    --------
    >>> import numpy as np, os, tempfile
    >>> import fastbox
    >>> path = os.path.join(tempfile.mkdtemp(), "raw.parquet")
    >>> grid = fastbox.PointGrid.preset("yolov8")
    >>> boxes = np.tile(grid.points((64, 64)), 2) + [-9, -9, 9, 9]
    >>> with fastbox.RawPredictions(path, "yolov8", size=64) as raw:
    ...     raw.add(1, boxes, np.full((84, 3), 0.5))
    >>> truths = {"image_id": [1], "bbox": [[20.0, 20, 40, 40]], "category_id": [2], "width": [64], "height": [64]}
    >>> found = assign_points(truths, path, points="yolov8", class_column="category_id")
    >>> found.learnt.all.positives, found.learnt.all.unlearnt
    (5, 0)
    """
    detector = _detector(points, Inputs(sizes, resize, pad), rule, asked=bool(sizes))
    sized = detector.letterbox.pad != "none"
    source = Source.carrying(truths, *(size_columns(truths) if sized else ()), ignore_column, class_column)
    planned = check_truths(plan(source), sized, ignore_column, class_column)
    raw, facts = _predictions(detector, predictions, planned, class_column)
    found = AssignedPoints(PointPositives(detector.grid.strides))
    found.rules = _rules(points, detector, facts, (ignore_column, class_column))
    found.examples = None if report is None else PointExamples()
    parameters = {"truths": planned.files, "points": points, "rule": detector.rule.name}
    with (
        Output(out, _schema(planned), command="assign", parameters=parameters, progress=progress) as output,
        closing(ahead(_read(raw))) as read,
    ):
        given = None if facts is None else Predictions(chain.from_iterable(read), facts, detector)
        for chunk in scan(source, rows=rows):
            seen = Letterboxed(chunk, ignore_column, sized=sized)
            found.regions += seen.regions
            images, counted = found.images, []
            for part in _parts(given, detector, chunk, seen, class_column):
                counted.append(_count(found, chunk, seen, part, detector.grid))
                output.write(_batch, chunk, seen, part, detector.grid, output.schema)
            _add(found.learnt, counted, chunk, seen, class_column)
            found.without_predictions += len(seen.given) - (found.images - images)
            output.step(len(chunk.a))
        if given is not None:
            given.rest()
            found.without_truths = given.unused
        if source.fragment is None:
            found.check()
        output.finish(found)
    return found


def _detector(points: str, inputs: Inputs, rule: PointRule | str | None, *, asked: bool) -> Detector:
    grid, chosen = as_points(points, rule)
    found = inputs.of(points.partition(":")[0])
    if len(found) > 1:
        raise InputError(f"expected one size to assign points at, got {len(found)}: give one, or none")
    return Detector(grid, chosen, found[0], asked)


def _predictions(
    detector: Detector, predictions: Any, planned: Plan, class_column: str | None
) -> tuple[Source | None, RawFacts | None]:
    """Return raw predictions as a source, and their facts; refuses those that do not fit the detector."""
    rule, grid = detector.rule, detector.grid
    if predictions is None:
        if rule.predicts:
            how = advice("--predictions RAW", "predictions=")
            raise InputError(f"expected raw predictions with rule {rule.name!r}, got none: give them with {how}")
        return None, None
    if not rule.predicts:
        how = advice("--predictions", "predictions=")
        raise InputError(f"expected truths alone with rule {rule.name!r}, got raw predictions: leave {how} out")
    source = Source.carrying(predictions)
    facts = raw_facts(source)
    made = PointGrid(facts.strides, facts.offset, fitted=facts.fitted)
    if made != grid:
        raise InputError(f"expected raw predictions of {grid}, got those of {made}: give the points that they are of")
    if class_column is None:
        how = advice("--class-column COLUMN", "class_column='COLUMN'")
        raise InputError(
            f"expected a class column in {planned.files[0]}, by which scores are read, got none: give {how}"
        )
    if rule.family == "rtmdet" and facts.activation != "logits":
        raise InputError(
            f"expected logits with rule {rule.name!r}, got probabilities in {plan(source).files[0]}: write them with "
            f"activation='logits'"
        )
    if plan(source).ids != planned.ids:
        raise InputError(
            f"expected image ids of one kind in both tables, got {planned.ids} ids in {planned.files[0]} and "
            f"{plan(source).ids} ids in {plan(source).files[0]}: cast one of them"
        )
    return source, facts


def _read(raw: Source | None) -> Any:
    if raw is not None:
        yield from raw_rows(raw)


def _rules(points: str, detector: Detector, facts: RawFacts | None, named: tuple[str | None, str | None]) -> Rules:
    own = facts is not None and not detector.asked
    return Rules(
        {
            "points": points,
            "rule": detector.rule.name,
            "size": "of the predictions" if own else detector.letterbox.label,
            "pad": detector.letterbox.pad,
            "ignore_column": named[0],
            "class_column": named[1],
        }
    )


def _parts(
    given: Predictions | None, detector: Detector, chunk: Chunk, seen: Letterboxed, class_column: str | None
) -> Iterable[MatchedPoints]:
    """Return the positive points of the images of a chunk, part by part."""
    if given is None:
        return [by_truths(detector, seen)]
    assert chunk.images is not None
    codes, labels = _classes(chunk, seen, class_column)
    assert codes is not None
    places = given.columns(labels)
    found = places[codes] if len(labels) else codes
    valid = seen.truths.invalid() == 0
    unknown = np.flatnonzero((found < 0) & valid)
    if unknown.size:
        row = chunk.a_rows.described(int(seen.rows[unknown[0]]))
        raise InputError(
            f"expected classes that the predictions have scores of, got {labels[codes[unknown[0]]]!r} at {row}: write "
            f"the predictions with labels=, the class of each column of scores"
        )
    return given.of(chunk.images, seen, np.maximum(found, 0))


def _classes(chunk: Chunk, seen: Letterboxed, class_column: str | None) -> tuple[NDArray[np.int64] | None, list[Any]]:
    if class_column is None:
        return None, []
    (codes,), labels = columns.label_columns((chunk.a_columns, chunk.a_rows), name=class_column)
    return codes[seen.rows], labels


class Counted(NamedTuple):
    """Valid truths: their rows among the truths of the chunk, positive points by level, and number of candidates."""

    truths: NDArray[np.int64]
    positives: NDArray[np.int64]
    candidates: NDArray[np.int64]


def _count(found: AssignedPoints, chunk: Chunk, seen: Letterboxed, part: MatchedPoints, grid: PointGrid) -> Counted:
    """Count the images and points of a part, and return its valid truths."""
    learnt = found.learnt
    reasons = seen.truths[part.truths].invalid()
    found.images += len(part.images)
    found.truths += len(part.truths)
    found.invalid.add(reasons)
    learnt.points += part.cells(grid).sum(axis=0)
    learnt.values.add(part.positives[3])
    learnt.ious.add(part.positives[4])
    valid = reasons == 0
    truths, positives, candidates = part.truths[valid], part.by_level(grid)[valid], part.candidates[valid].sum(axis=1)
    if found.examples is not None:
        none = positives.sum(axis=1) == 0
        kinds = {"lost": none & (candidates > 0), "starved": none & (candidates == 0)}
        assert chunk.images is not None
        image = seen.image[truths]
        own_image = np.searchsorted(part.images, image)
        drawn = Drawn(chunk.images[image], chunk.a_rows(seen.rows[truths]), own_image, part.corners[valid], part.placed)
        found.examples.add(found.rules.given["points"], grid, kinds, drawn)
    return Counted(truths, positives, candidates)


def _add(
    learnt: PointPositives, counted: Sequence[Counted], chunk: Chunk, seen: Letterboxed, class_column: str | None
) -> None:
    """Count the truths of a chunk by size and class."""
    if not counted:
        return
    truths, positives, candidates = map(np.concatenate, zip(*counted, strict=True))
    own = seen.truths[truths].corners().astype(np.float64)
    area = (own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1])
    codes, labels = _classes(chunk, seen, class_column)
    learnt.add(positives, candidates, area, None if codes is None else codes[truths], labels)


def _schema(planned: Plan) -> Any:
    ids = "int64" if planned.ids == "integer" else "string"
    types = {"image_id": ids, "level": "int8", "point": "int64", "truth": "int64"}
    return columns.schema_of(types | {"value": "float32", "iou": "float32"})


def _batch(chunk: Chunk, seen: Letterboxed, part: MatchedPoints, grid: PointGrid, schema: Any) -> Any:
    assert chunk.images is not None
    image, point, truth, value, iou = part.positives
    rows = chunk.a_rows(seen.rows[truth])
    overlaps = np.ma.masked_invalid(iou)
    return columns.batch_of([chunk.images[part.images[image]], part.levels(grid), point, rows, value, overlaps], schema)
