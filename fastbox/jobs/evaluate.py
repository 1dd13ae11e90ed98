"""Evaluate the detections of one or many models as COCO does, with the errors that its averages hide."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.arrow import columns
from fastbox.arrow.rows import Rows
from fastbox.datasets.as_source import Given
from fastbox.datasets.categories import Names, numbered
from fastbox.evaluation import Evaluation, Params
from fastbox.evaluation.matching import Judged
from fastbox.evaluation.summary import model_to_dict, streamed
from fastbox.jobs.base import Output, job
from fastbox.jobs.evaluate_tables import Read, check_fit, check_listed, dropped, has, joined, reading
from fastbox.memory import check_kept
from fastbox.report.page.contents import Page
from fastbox.report.pages.evaluated import MODELS, page_of
from fastbox.result import Result
from fastbox.results.error_examples import Gallery, Seen
from fastbox.results.match_types import match_batch, match_schema
from fastbox.tables.chunk import Chunk
from fastbox.tables.class_names import JoinedClasses
from fastbox.tables.files import column_names
from fastbox.tables.source import Source, count_boxes, plans_of
from fastbox.tables.stream import scan
from fastbox.values.names import CLASS, SCORE
from fastbox.values.numbers import as_whole

__all__ = ["Evaluated", "evaluate"]

CROWD, IGNORE, AREA = "iscrowd", "ignore", "area"
KEPT_CLASS = 4096  # bytes that a class takes in the end: 3,600 were measured
KEPT = 256  # bytes that a detection takes until the end, and when all are put in order: 187 were measured


@dataclass(repr=False)
class Evaluated(Result):
    """The result of :func:`evaluate`.

    Attributes
    ----------
    evaluation : Evaluation
        Its ``curves``, ``errors``, ``calibration`` and so on, with their arrays.
    by : str or None
        The column that tells models apart.
    names : dict of str to str
        Names of classes by id, where the table of truths has them.
    samples, seed : int
        The number of draws of images for the intervals, and the seed of the draws.
    read : Read, optional
        The columns and files of the tables, where there were tables.
    gallery : Gallery, optional
        Examples of errors: of one model always, of models side by side where a report was asked for.
    """

    MAIN = "by_class"
    TABLES = ("boxes", "matched.metrics", "matched.by_size", "by_class", "models")
    APART = ("matched",)
    FIRST = ("stats_AP", "stats_AP50", "stats_AP75", "stats_AR100", "detections", "truths", "images")
    NOTHING = ("AP", "AR")

    evaluation: Evaluation
    by: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    samples: int = 0
    seed: int = 0
    read: Read | None = None
    gallery: Gallery | None = field(default=None, repr=False, compare=False)

    def __add__(self, other: Evaluated) -> Evaluated:
        """Return the result for both sets of images, the first before the second."""
        evaluation = self.evaluation + other.evaluation
        read = self.read + other.read if self.read is not None and other.read is not None else self.read
        gallery = self.gallery + other.gallery if self.gallery and other.gallery else None
        return replace(self, evaluation=evaluation, names=self.names | other.names, read=read, gallery=gallery)

    @property
    def warnings(self) -> list[str]:
        """Sentences on likely mistakes in the tables, each with the way to fix it."""
        listed = self.read is not None and self.read.listed is not None
        said = self.evaluation.mismatch.sentences(self.evaluation.class_labels, listed=listed)
        return [*(self.read.sentences if self.read is not None else ()), *said, *self.evaluation.spellings]

    def check(self) -> None:
        """Refuse detections and truths that have nothing in common; a part of the images may have nothing in common."""
        if self.read is not None:
            check_fit(self.evaluation, self.read)

    @property
    def main(self) -> str:
        """The name of the main table: that of classes, or of models side by side."""
        if self.by is None:
            return self.MAIN if self.evaluation.classes else "summary"
        return "models" if self._models else "summary"

    @property
    def _models(self) -> list[Any]:
        """The labels of the models; None is the label of a single model."""
        return [None] if self.by is None else self.evaluation.models

    @property
    def stats(self) -> dict[Any, dict[str, float]]:
        """COCO's figures of each model by its label; the label of a single model is None."""
        return {model: self.evaluation.stats(model) for model in self._models}

    def page(self) -> Page:
        """Return everything as a page, with examples of the errors of the model that has the highest AP."""
        figures = self.stats
        best = sorted(figures, key=lambda model: -figures[model]["AP"])[:MODELS]
        examples = self.gallery.of(best[0]) if self.gallery and best else ()
        return page_of(self._to_dict(set(best)), examples)

    def to_dict(self, *, details: bool = True) -> dict[str, Any]:
        """Return everything as JSON holds it: several models under ``models`` by their labels, a single one at the top.

        Without details only what models are compared by: figures, intervals and errors.
        """
        return self._to_dict(set(self._models) if details else ())

    def to_json(self) -> Iterator[str]:
        """Yield the text of :meth:`to_dict`; of thousands of models the details of one are in memory at a time."""
        if self.by is None:
            return streamed(self.to_dict())
        return streamed(self._around({}), "models", ((str(model), self._of(model)) for model in self._models))

    def _to_dict(self, detailed: Collection[Any]) -> dict[str, Any]:
        """Return everything, with details of some models."""
        models = {str(model): self._of(model, model in detailed) for model in self._models}
        return self._around(models if self.by is not None else models["None"])

    def _of(self, model: Any, details: bool = True) -> dict[str, Any]:
        """Return the figures of one model."""
        asked: dict[str, Any] = {"samples": self.samples, "seed": self.seed, "details": details}
        return model_to_dict(self.evaluation, model, self.names, **asked)

    def _around(self, models: Mapping[str, Any]) -> dict[str, Any]:
        """Return the facts of all models around those of each, or of the single one."""
        found = self.evaluation
        params = found.params
        return {
            "images": found.images,
            "detections": found.detections,
            "truths": found.truths,
            "invalid": dict(found.invalid),
            "images_with_boxes": dict(found.mismatch.images),
            "warnings": self.warnings,
            **({} if self.read is None else self.read.to_dict()),
            "rules": {
                "iou_thresholds": list(params.iou_thresholds),
                "area_ranges": {name: list(limits) for name, limits in params.area_ranges.items()},
                "max_dets": list(params.max_dets),
                "class_agnostic": params.class_agnostic,
            },
            "by": self.by,
            **({"models": models} if self.by is not None else models),
            **self.said_of_inputs(),
        }


@job("detections", "truths", adds_up=True, reads=("names",), kept=KEPT)
def evaluate(
    detections: Given,
    truths: Given,
    out: str | os.PathLike[str] | None = None,
    *,
    by: str | None = None,
    params: Params | None = None,
    score: str = SCORE,
    class_column: str = CLASS,
    crowd: str | None = CROWD,
    ignore: str | None = IGNORE,
    area: str | None = AREA,
    box: str | None = None,
    truth_box: str | None = None,
    format: str | None = None,
    truth_format: str | None = None,
    names: Names | None = None,
    samples: int = 0,
    seed: int = 0,
    report: str | os.PathLike[str] | None = None,
    rows: int = 262_144,
    progress: Callable[[int], object] | None = None,
) -> Evaluated:
    """Evaluate detections of images against their truths, every figure as pycocotools has it, to the last bit.

    Parameters
    ----------
    detections, truths : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
    out : path, optional
        Where to write what became of each detection: ``image_id``, ``detection`` (its row, from 0), the model,
        ``match_type`` (matched, localization, classification, duplicate, background, both, ignored, or null for one
        beyond the greatest of ``max_dets``), ``truth`` (the row of the truth it took, or that its error is about) and
        ``iou``.
    by : str, optional
        A column of the detections that tells models apart; each is evaluated by itself.
    params : Params, optional
        The thresholds, ranges of areas and numbers of detections that count; by default COCO's.
    score, class_column : str
        The columns of scores and of classes, the latter in both tables.
    crowd, ignore, area : str or None
        Columns of the truths, used where the table has them: regions that hold many objects, truths that do not count,
        and areas in square pixels that differ from width times height. Set are true, a number other than 0 and nan,
        and the text 1, true or yes. A null is not set.
    box, truth_box : str, optional
        The columns of the boxes of detections and of truths: one, or four with commas; by default found by name.
    format, truth_format : str, optional
        The formats of these boxes, such as ``"xywh"``; by default truths have the format of the detections.
    names : list, dict or path, optional
        Names of classes in the order of their numbers from 0, by number, or a file with one a line.
    samples : int
        The number of draws of images for intervals of confidence; 0 for no intervals.
    seed : int
        The seed of these draws.
    report : path, optional
        Where to write a page of HTML with figures, plots, tables and examples (the extra ``report``).
    rows : int
        About the number of boxes in memory at a time; it makes no difference to the result.
    progress : callable, optional
        Called with the number of detections done since the last call.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate, score or class.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> folder = tempfile.mkdtemp()
    >>> truths, detections = os.path.join(folder, "gt.parquet"), os.path.join(folder, "dt.parquet")
    >>> boxes = {"image_id": [1, 2], "category_id": [7, 7], "bbox": [[0.0, 0, 4, 4], [0.0, 0, 4, 3]]}
    >>> pq.write_table(pa.table(boxes), truths)
    >>> pq.write_table(pa.table(boxes | {"score": [0.5, 0.9]}), detections)
    >>> evaluate(detections, truths).evaluation.stats()["AR100"]
    1.0
    """
    samples, seed = as_whole(samples, "samples"), as_whole(seed, "seed")
    evaluation = Evaluation(params)
    params = evaluation.params
    truth_format = format if truth_format is None else truth_format
    detections = reading(Source.carrying(detections), box, format)
    truths = reading(Source.carrying(truths), truth_box, truth_format)
    known = column_names(truths.path)
    there = {
        name: (column if column in known or column != default else None)
        for name, column, default in (("crowd", crowd, CROWD), ("ignore", ignore, IGNORE), ("area", area, AREA))
    }
    label = class_column if not params.class_agnostic or has(detections, truths, class_column) else None
    a = Source.carrying(detections, score, label, by)
    b = Source.carrying(truths, label, *there.values())
    plans = plans_of(a, b)
    classes = joined(plans, score, label, by, there)
    check_kept(count_boxes(a), KEPT)
    read = Read.of((a, b), plans, {"score": score, "class": label, **there}, classes, by)
    called = {} if names is None else {str(number): name for number, name in numbered(names).items()}
    found = Evaluated(evaluation, by, classes.names | called, samples, seed, read)
    found.gallery = Gallery() if by is None or report is not None else None
    parameters = {"detections": plans[0].files, "truths": plans[1].files, "by": by, "class": label}
    schema = match_schema(plans[0], by) if out is not None else None
    with Output(out, schema, command="evaluate", parameters=parameters, progress=progress) as output:
        for chunk in scan(a, b, rows=rows):
            if read.listed is not None:
                check_listed(chunk, read.listed, read.files[1])
            judged = _add(found, chunk, score, label, classes, by, there)
            check_kept(len(found.evaluation.class_labels), KEPT_CLASS, "classes")
            output.write(match_batch, chunk, judged, by, schema)
            output.step(len(chunk.a))
        if a.fragment is None:  # what a fragment lacks another may have
            found.check()
        if out is not None:
            output.record(stats={str(model): stats for model, stats in found.stats.items()})
    return found


def _add(
    found: Evaluated,
    chunk: Chunk,
    score: str,
    label: str | None,
    classes: JoinedClasses,
    by: str | None,
    there: Mapping[str, str | None],
) -> Judged:
    assert chunk.b is not None and found.read is not None
    evaluation = found.evaluation
    size = len(chunk.b)
    kinds, truth_kinds = np.zeros(len(chunk.a), np.int64), np.zeros(size, np.int64)
    if label is not None:
        both = (chunk.a_columns, chunk.a_rows), (chunk.b_columns, chunk.b_rows)
        kinds, truth_kinds = _codes(evaluation.code_classes, label, *both, joined=classes)
    if label is None:
        evaluation.code_classes([None])
    if by is None:
        evaluation.code_models([None])
    flags = {
        name: np.zeros(size, np.bool_) if column is None else columns.flag_column(chunk.b_columns, column, chunk.b_rows)
        for name, column in there.items()
        if name != "area"
    }
    area = there["area"]
    scores = columns.number_column(chunk.a_columns, score, what="a score", rows=chunk.a_rows)
    if by is None:
        models = np.zeros(len(chunk.a), np.int64)
    else:
        models = _codes(evaluation.code_models, by, (chunk.a_columns, chunk.a_rows), what="a label")[0]
    judged = evaluation.add_coded(
        chunk.a,
        scores,
        chunk.b,
        kinds=kinds,
        truth_kinds=truth_kinds,
        models=models,
        areas=None if area is None else columns.number_column(chunk.b_columns, area, missing=np.nan),
        dropped=dropped(chunk, found.read, kinds, truth_kinds, evaluation.class_labels),
        **flags,
    )
    if found.gallery is None:
        return judged
    sides = {"found": kinds, "truth": truth_kinds}

    def said(side: str, row: int) -> str:
        name = str(evaluation.class_labels[sides[side][row]])
        return found.names.get(name, f"class {name}" if label is not None else "any class")

    asked = ~(flags["crowd"] | flags["ignore"])
    found.gallery.add(Seen(chunk, judged, scores, models, evaluation.model_labels, asked, said))
    return judged


def _codes(
    code: Callable[[list[Any]], NDArray[np.int64]],
    name: str,
    *sides: tuple[Any, Rows],
    what: str = "a class",
    joined: JoinedClasses | None = None,
) -> list[NDArray[np.int64]]:
    """Return a column of some tables as codes of the evaluation."""
    found, labels = columns.label_columns(*sides, name=name, what=what, joined=joined.tables if joined else ())
    own = code(labels)
    return [own[places] if len(places) else places for places in found]
