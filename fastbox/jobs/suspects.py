"""Find the truths that confident detections of one or many models disagree with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import field
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbox._record import dataclass
from fastbox.datasets.as_source import Given
from fastbox.datasets.categories import Names, numbered
from fastbox.evaluation.protocols.coco import COCO
from fastbox.evaluation.suspects.survey import blocks
from fastbox.evaluation.suspects.votes import KINDS, Suspects, vote
from fastbox.jobs.base import job
from fastbox.jobs.output import Output
from fastbox.jobs.progress import halved
from fastbox.jobs.suspicion.before import MIN_SCORE, Facts, first_pass, read_first
from fastbox.jobs.suspicion.tables import Columns, Seen, Tables
from fastbox.parallel import compile_together
from fastbox.result import Result, Rules
from fastbox.results.suspected import Listed, Ranked, schema_of
from fastbox.tables.chunk import ROWS
from fastbox.tables.class_names import kind_of_classes
from fastbox.tables.source import Source
from fastbox.values.labels import Codes
from fastbox.values.names import CLASS, SCORE
from fastbox.values.numbers import as_number_from

if TYPE_CHECKING:
    from fastbox.report.page.contents import Page

__all__ = ["Suspected", "suspects"]

MIN_SUSPICION = 0.5

# In descending order of the time of compiling.
KERNELS = (
    ("evaluate.suspects", "SURVEY", np.float64, ""),
    ("common.sorting", "SORT", np.float64, ""),
    ("evaluate.suspects", "GATHER", np.float64, ""),
)


@dataclass(repr=False)
class Suspected(Result):
    """The result of :func:`suspects`.

    Attributes
    ----------
    images, detections, truths : int
    invalid : dict of str to int
        Invalid ``detections`` and ``truths``, and ``scores`` of nan; they take no part.
    ranked : Ranked
        The number of suspects of each kind, and those with the highest suspicion.
    rules : Rules
        The least score and suspicion, the number of models, and the columns.
    names : dict of str to str
        Names of classes by id, if the table of truths has names.
    warnings : tuple of str
        Sentences on likely mistakes in the tables, each with the way to fix it.
    """

    MAIN = "suspects"
    TABLES = ("kinds", "suspects")

    images: int = 0
    detections: int = 0
    truths: int = 0
    invalid: dict[str, int] = field(default_factory=lambda: {"detections": 0, "truths": 0, "scores": 0})
    ranked: Ranked = field(default_factory=Ranked)
    rules: Rules = field(default_factory=Rules)
    names: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def _first(self, summary: dict[str, Any]) -> dict[str, Any]:
        return {**self.ranked.counts, **{name: summary[name] for name in ("truths", "detections", "images")}}

    def page(self) -> Page:
        """Return everything as a page."""
        from fastbox.report.pages.suspected import suspected_page

        return suspected_page(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        examples = self.ranked.examples
        return {
            "images": self.images,
            "detections": self.detections,
            "truths": self.truths,
            "invalid": self.invalid,
            "rules": self.rules.to_dict(),
            "warnings": list(self.warnings),
            "kinds": [
                {
                    "kind": kind,
                    "count": self.ranked.counts[kind],
                    "highest": examples[kind][0]["suspicion"] if examples[kind] else None,
                }
                for kind in KINDS
            ],
            "suspects": [self._named(one) for kind in KINDS for one in examples[kind]],
            **self.notes_on_inputs(),
        }

    def _named(self, example: dict[str, Any]) -> dict[str, Any]:
        """Return an example with the names of its classes."""
        labels = {f"{name}_name": example[name] for name in ("truth_class", "suggested_class")}
        return example | {name: None if label is None else self.names.get(str(label)) for name, label in labels.items()}


@job("detections", "truths", adds_up=True, reads=("names",), first_pass=first_pass)
def suspects(
    detections: Given,
    truths: Given,
    out: str | os.PathLike[str] | None = None,
    *,
    by: str | None = None,
    min_score: float = MIN_SCORE,
    min_suspicion: float = MIN_SUSPICION,
    score_column: str = SCORE,
    class_column: str = CLASS,
    crowd_column: str | None = COCO.crowd,
    ignore_column: str | None = COCO.ignore,
    names: Names | None = None,
    report: str | os.PathLike[str] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    rows: int = ROWS,
    progress: Callable[[int], object] | None = None,
    facts: Facts | None = None,
) -> Suspected:
    """Find truths that confident detections disagree with, and objects without a truth; write and rank them.

    The kinds are ``wrong_class`` (IoU ≥ 0.50 with detections of another class), ``missing`` (a detection with IoU
    below 0.10 with every truth), ``badly_placed`` (IoU from 0.10 to 0.50 with detections of its class), ``spurious``
    (no detection is near the truth) and ``duplicate`` (a truth that shows the same object as another of its class).
    The suspicion, from 0 to 1, is the mean over models; docs/suspects.md has its formula for each kind.

    The output has a row for each suspect, sorted by image, kind and row: ``image_id``, ``kind``, ``truth`` (its row,
    from 0; null for a missing truth), ``suspicion``, the ``detection`` with the strongest claim, its ``score`` and its
    ``iou`` with the truth, ``truth_class``, ``suggested_class``, ``other`` (the row of the other truth of a duplicate),
    ``models`` (the number that agree), and the corners of the suggested box.

    Parameters
    ----------
    detections, truths : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
    out : path, optional
        The file to write; by default suspects are only counted and ranked.
    by : str, optional
        The column of the detections with the model of each; the models vote.
    min_score : float
        Detections with a lower score are left out.
    min_suspicion : float
        Suspects with a lower suspicion are left out.
    score_column, class_column : str
        The columns of scores, which are from 0 to 1, and of classes, the latter in both tables.
    crowd_column, ignore_column : str or None
        Columns of the truths, used if the table has them: truths that take no part, and no detections on them.
    names : list, dict or path, optional
        Names of classes in the order of their numbers from 0, by number, or a file with one name on each line.
    report : path, optional
        The HTML page to write, with counts and drawings of the strongest suspects (the extra ``report``).
    pictures : path, optional
        The folder of the images, to show them behind the boxes of the page's examples (the extra ``formats``).
    rows : int
        About the number of boxes in memory at a time; it makes no difference to the result.
    progress : callable, optional
        Called with the number of detections done since the last call.
    facts : Facts, optional
        The facts of whole tables on the part that is read here; :mod:`fastbox.fragments` gives them.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate, score or class, a score beyond 0 to 1, tables without a
        common image or class.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> folder = tempfile.mkdtemp()
    >>> truths, detections = os.path.join(folder, "gt.parquet"), os.path.join(folder, "dt.parquet")
    >>> boxes = {"image_id": [1, 2], "category_id": [7, 8], "bbox": [[0.0, 0, 40, 40], [0.0, 0, 40, 30]]}
    >>> pq.write_table(pa.table(boxes), truths)
    >>> pq.write_table(pa.table(boxes | {"category_id": [7, 7], "score": [0.5, 0.9]}), detections)
    >>> found = suspects(detections, truths)
    >>> [(row["kind"], row["truth"], row["suspicion"]) for row in found.to_dict()["suspects"]]
    [('wrong_class', 1, 0.9)]
    """
    least, doubt = as_number_from(min_score, "min_score", 0, 1), as_number_from(min_suspicion, "min_suspicion", 0, 1)
    a, b = Source.carrying(detections), Source.carrying(truths)
    asked = Columns(by, score_column, class_column, crowd_column, ignore_column)
    tables = Tables.of(a, b, asked)
    compile_together(KERNELS)
    step = progress if facts is not None or progress is None else halved(progress)
    if facts is None:
        facts = read_first(a, b, columns=asked, least=least, rows=rows, progress=step).facts()
    recalls, shares = facts.recalls, facts.recalls.shares()
    called = {} if names is None else {str(number): name for number, name in numbered(names).items()}
    found = Suspected(names=tables.classes.names | called, warnings=facts.warnings)
    given = {"min_score": least, "min_suspicion": doubt, "by": by, "models": len(recalls.models)}
    found.rules = Rules({**given, "score_column": score_column, "class_column": class_column})
    schema = schema_of(tables.plans, class_column, kind_of_classes(tables.plans, class_column))
    parameters = {"detections": tables.plans[0].files, "truths": tables.plans[1].files, **given}
    models, classes = Codes(recalls.models, "models"), Codes(recalls.classes, "classes")
    with (
        Output(out, schema, command="suspects", parameters=parameters, progress=step) as output,
        closing(tables.scenes(rows, models, classes)) as scenes,
    ):
        for seen in scenes:
            listed = _listed(seen, shares, least, doubt, classes.labels)
            _count(found, seen)
            found.ranked.add(listed)
            output.write(listed.batch, schema)
            output.step(len(seen.chunk.a))
        output.finish(found)
    return found


def _listed(seen: Seen, shares: Any, least: float, doubt: float, labels: list[Any]) -> Listed:
    """Return the suspects of a chunk."""
    parts = [
        vote(scene, scene.claims(len(shares), least), shares).moved(first, first_truth)
        for first, first_truth, scene in blocks(seen.scene, len(shares))
    ]
    found = reduce(add, parts, Suspects.none())
    codes = seen.detections.classes, seen.truths.classes
    return Listed(seen.chunk, found.taken(found.suspicion >= doubt), seen.scene.scores, codes, labels)


def _count(found: Suspected, seen: Seen) -> None:
    """Count the images and boxes of a chunk."""
    scene = seen.scene
    counted, kept = ~seen.detections.left_out, ~seen.truths.left_out
    found.images += len(scene.images)
    found.detections += int(np.count_nonzero(counted))
    found.truths += int(np.count_nonzero(kept))
    found.invalid["detections"] += int(np.count_nonzero(scene.invalid & counted))
    found.invalid["truths"] += int(np.count_nonzero(scene.truth_invalid & kept))
    found.invalid["scores"] += int(np.count_nonzero(scene.lost & counted))
