"""Inspect a table of boxes: its statistics, and the problems of each box."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, field, replace
from typing import TYPE_CHECKING, Any

from fastbox._record import dataclass
from fastbox.datasets.as_source import Given, images_of
from fastbox.errors import InputError, advice
from fastbox.jobs.base import job
from fastbox.jobs.inspection.before import Before, first_pass
from fastbox.jobs.inspection.classes import Classes
from fastbox.jobs.inspection.fix import Fix, default_log
from fastbox.jobs.inspection.overlaps import overlapping
from fastbox.jobs.inspection.problems import CODES, SEVERITIES, Limits, Problems, alone, of_images
from fastbox.jobs.inspection.statistics import Statistics
from fastbox.jobs.inspection.table import Table
from fastbox.jobs.output import Output
from fastbox.jobs.progress import halved
from fastbox.result import Result, Row, Rules
from fastbox.storage.outputs import check_outputs
from fastbox.tables.chunk import ROWS
from fastbox.tables.source import Source
from fastbox.values.names import SIZE_COLUMNS

if TYPE_CHECKING:
    from fastbox.report.page.contents import Page

__all__ = ["Inspected", "inspect"]

StrPath = str | os.PathLike[str]


@dataclass(repr=False)
class Inspected(Result):
    """The result of :func:`inspect`.

    Attributes
    ----------
    statistics : Statistics
    classes : Classes
    problems : Problems
    limits : Limits
    rules : Rules
        The columns of classes, of the boxes' ids and of the images' sizes.
    names : dict of str to str
        The names of classes that have one, by the class as text.
    asked : dict of str to bool
        A flag for each of classes, ids, the images' sizes and a table of images: True if the input had it.
    fix : dict or None
        The number of rows of the cleaned copy, of clipped boxes, and of dropped boxes by reason.
    """

    MAIN = "problems"
    TABLES = ("invalid", "metrics", "problems", "classes")
    FIRST = ("boxes", "images", "images_without_boxes")

    statistics: Statistics = field(default_factory=Statistics)
    classes: Classes = field(default_factory=Classes)
    problems: Problems = field(default_factory=Problems)
    limits: Limits = field(default_factory=Limits)
    rules: Rules = field(default_factory=Rules)
    names: Mapping[str, str] = field(default_factory=dict)
    asked: Mapping[str, bool] = field(default_factory=dict)
    fix: Mapping[str, Any] | None = None

    def __add__(self, later: Inspected) -> Inspected:
        """Return the result for two parts of a table; rows are counted within each part."""
        sums = {name: getattr(self, name) + getattr(later, name) for name in ("statistics", "classes", "problems")}
        return replace(self, **sums)

    def _first(self, summary: Row) -> dict[str, Any]:
        counts = dict.fromkeys(("error", "warning", "note"), 0)
        for code, count in self.problems.counts.items():
            counts[SEVERITIES[code]] += count
        return {**{f"{severity}s": count for severity, count in counts.items()}, **super()._first(summary)}

    def page(self) -> Page:
        """Return everything as a page."""
        from fastbox.report.pages.inspected import page_of

        return page_of(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        counts = self.problems.counts
        return {
            **self.statistics.to_dict(),
            "asked": dict(self.asked),
            "limits": asdict(self.limits),
            "rules": self.rules.to_dict(),
            "problems": [
                {
                    "code": code,
                    "severity": SEVERITIES[code],
                    "count": counts[code],
                    "examples": self.problems.examples[code],
                }
                for code in CODES
                if code in counts
            ],
            "classes": self.classes.to_list(self.names) if self.asked.get("classes") else None,
            "fix": self.fix,
            **self.notes_on_inputs(),
        }


@job(
    "truths",
    "images_table",
    adds_up=True,
    whole={"fix": "a cleaned copy", "changes": "a list of changes"},
    rotated=True,
    beside=True,
    first_pass=first_pass,
)
def inspect(
    truths: Given,
    images_table: Given | None = None,
    out: StrPath | None = None,
    *,
    fix: StrPath | None = None,
    changes: StrPath | None = None,
    class_column: str | None = None,
    id_column: str | None = None,
    size_columns: tuple[str, str] | None = None,
    limits: Limits | None = None,
    report: StrPath | None = None,
    pictures: StrPath | None = None,
    rows: int = ROWS,
    progress: Callable[[int], object] | None = None,
    before: Before | None = None,
) -> Inspected:
    """Count the boxes of a table, find their problems, and write the problems.

    The output has the columns ``image_id``, ``row`` (from 0; null for an image as such), ``code``, ``severity``,
    ``other`` (the row of the other box), ``value`` (the measured value) and the box's corners, sorted by image, row and
    code.

    Parameters
    ----------
    truths : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
        Truths, or detections.
    images_table : path, directory, glob or a list of paths, optional
        A table of all images, sorted by id, with their sizes, to find images without boxes and boxes without image.
        COCO instances list images too, and are their own table of images when they are inspected.
    out : path, optional
        The file of problems to write; by default problems are only counted.
    fix : path, optional
        The cleaned copy to write: boxes that are not finite, inverted, without area or exact duplicates are dropped,
        boxes that are partly outside of their image are clipped, unless they are rotated. All other rows do not change.
    changes : path, optional
        The list of changes to write; by default the name of the cleaned copy with ``.log.parquet``.
    class_column, id_column : str, optional
        The columns of classes and of the boxes' ids; by default ``category_id`` and ``id``, if the table has them.
    size_columns : (str, str), optional
        The columns of the images' widths and heights, in the table of images or with the boxes; by default ``width``
        and ``height``, if a table has them and they are not the sides of the boxes.
    limits : Limits, optional
        The limits beyond which a box has a problem.
    report : path, optional
        The HTML page to write, with figures, plots, tables and examples (the extra ``report``).
    pictures : path, optional
        The folder of the images, to show them behind the boxes of the page's examples (the extra ``formats``).
    rows : int
        About the number of boxes in memory at a time; it makes no difference to the result.
    progress : callable, optional
        Called with the number of boxes done since the last call.
    before : Before, optional
        Facts of the whole table on the part that is inspected here; :mod:`fastbox.fragments` gives them.

    Raises
    ------
    InputError
        A file or column that can't be used, a null coordinate, an output that is an input.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "boxes.parquet")
    >>> corners = [[0.0, 0, 40, 40], [0.0, 0, 40, 39], [5.0, 5, 5, 9]]
    >>> pq.write_table(pa.table({"image_id": [1, 1, 2], "bbox": corners}), path)
    >>> inspect(path).problems.counts
    {'near_duplicate': 1, 'zero_side': 1}
    """
    limits = limits or Limits()
    if fix is None and changes is not None:
        how = advice("--fix CLEANED", "fix=CLEANED")
        raise InputError(f"expected a list of changes only with a cleaned copy, got only the list: give {how}")
    changes = default_log(fix) if fix is not None and changes is None else changes
    if fix is not None:
        check_outputs([truths, images_table], {"out": out, "fix": fix, "changes": changes}, {"report": report})
    with ExitStack() as stack:
        boxes = Source.carrying(truths)
        listed = images_of(images_table, boxes)
        table = Table.of(boxes, listed, class_column, id_column, size_columns)
        asked = {"classes": table.label is not None, "ids": table.id is not None, "sizes": table.sized}
        found = Inspected(limits=limits, names=table.names, asked=asked | {"images": listed is not None})
        sizes = table.size or (size_columns or SIZE_COLUMNS if table.sized else None)
        found.rules = Rules({"class_column": table.label, "id_column": table.id, "size_columns": sizes and list(sizes)})
        inputs = list(dict.fromkeys(table.files))
        fixing = None
        if fix is not None and changes is not None:
            fixing = stack.enter_context(Fix(table, fix, changes, limits.tolerance, inputs))
        twice = limits.class_size is not None or table.id is not None
        step = halved(progress) if progress is not None and twice and before is None else progress
        parameters = {"inputs": inputs, "limits": asdict(limits)}
        output = stack.enter_context(Output(out, table.schema, command="inspect", parameters=parameters, progress=step))
        if before is None:
            before = Before.of(table, limits, rows, step) if twice else Before()
        found.classes = before.classes or found.classes
        for view, chunk in table.views(rows, whole=fixing is not None):
            pairs, best = overlapping(view, limits.near, table.label is not None)
            alike = of_images(view, listed is not None)
            problems = [*alone(view, limits), *alike, *pairs, *before.problems(view)]
            found.statistics.add(view, best)
            if before.classes is None:
                found.classes.add(view)
            batch = found.problems.add(view, problems, table.schema)
            output.write_batch(batch)
            if fixing is not None:
                fixing.write(view, chunk, problems)
                found.fix = fixing.to_dict()
            output.step(len(view.image))
        output.finish(found)
    return found
