"""Assign the anchors of a data set to its truths, write the assignment, and sum up the coverage of the truths."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.anchors import AnchorGrid
from fastbox.anchors.presets import PRESETS
from fastbox.anchors.resize import Resize
from fastbox.arrow import columns
from fastbox.assign.match import match
from fastbox.assign.registry import as_rule_of
from fastbox.assign.result import Matches
from fastbox.assign.rule import MatchRule
from fastbox.boxes.found import areas_of, sides_of
from fastbox.datasets.as_source import Given
from fastbox.errors import InputError, advice
from fastbox.jobs.base import job
from fastbox.jobs.checks import check_flags, check_images, check_labels, check_numbers
from fastbox.jobs.output import Output
from fastbox.jobs.resized import Resized, check_centres, columns_of_sizes, levels_of
from fastbox.memory import fitting, more_memory, size_text
from fastbox.parallel import get_num_threads, threads_here
from fastbox.result import Invalid, Result, Row, Rules
from fastbox.results.coverage import Coverage
from fastbox.results.worst_covered import Least
from fastbox.tables.chunk import Chunk
from fastbox.tables.source import Plan, Source, plan
from fastbox.tables.stream import scan
from fastbox.values.groups import values_of_rows
from fastbox.values.names import SIZE_COLUMNS

if TYPE_CHECKING:
    from fastbox.report.page.contents import Page

__all__ = ["Assigned", "assign", "threads_for"]

ANCHOR = 24  # bytes that a thread's space has for an anchor of an image


def _no_levels() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(repr=False)
class Assigned(Result):
    """The result of :func:`assign`.

    Attributes
    ----------
    images, truths, regions, anchors : int
        The number of images in the table, of truths, of regions to ignore and of anchors.
    invalid : Invalid
        Invalid truths by reason; no anchor is theirs.
    positives, ignored : array of int64, shape (levels,)
        The number of positive and of ignored anchors of each level; all others are negative.
    level_anchors : array of int64, shape (levels,)
    strides : tuple of int
    without_positive_images : int
        The number of images without a positive anchor.
    coverage : Coverage
        The best IoU of each valid truth.
    rules : Rules
        The rule's name and numbers, the grid, how images are resized, and the columns of classes and regions.
    least : Least, optional
        The truths with the lowest best IoU, if a report was requested.
    """

    MAIN = "by_level"
    TABLES = ("invalid", "by_level", "coverage.by_size", "coverage.by_class")

    strides: tuple[int, ...]
    images: int = 0
    truths: int = 0
    regions: int = 0
    without_positive_images: int = 0
    invalid: Invalid = field(default_factory=Invalid)
    coverage: Coverage = field(default_factory=Coverage)
    rules: Rules = field(default_factory=Rules)
    least: Least | None = field(default=None, repr=False, compare=False, kw_only=True)
    positives: NDArray[np.int64] = field(default_factory=_no_levels, kw_only=True)
    ignored: NDArray[np.int64] = field(default_factory=_no_levels, kw_only=True)
    level_anchors: NDArray[np.int64] = field(default_factory=_no_levels, kw_only=True)

    def __post_init__(self) -> None:
        for name in ("positives", "ignored", "level_anchors"):
            if not len(getattr(self, name)):
                setattr(self, name, np.zeros(len(self.strides), np.int64))

    @property
    def anchors(self) -> int:
        """The number of anchors of all images."""
        return int(self.level_anchors.sum())

    def _first(self, summary: Row) -> dict[str, Any]:
        return {
            "mean best IoU": summary["coverage_mean_best_iou"],
            "recall (IoU ≥ 0.50)": summary["coverage_recall_0.5"],
            "truths without positive anchor": summary["coverage_without_positive"],
            **{name: summary[name] for name in ("truths", "images")},
        }

    def page(self) -> Page:
        """Return everything as a page."""
        from fastbox.report.pages.assigned import assigned_page

        return assigned_page(self.to_dict(), self.least)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        negatives = self.level_anchors - self.positives - self.ignored
        per_level = zip(self.strides, self.level_anchors, self.positives, self.ignored, negatives, strict=True)
        names = ("stride", "anchors", "positives", "ignored", "negatives")
        return {
            "images": self.images,
            "images_without_positives": self.without_positive_images,
            "truths": self.truths,
            "ignore_regions": self.regions,
            "invalid": {"truths": self.invalid.to_dict()},
            "rules": self.rules.to_dict(),
            "anchors": self.anchors,
            "positives": int(self.positives.sum()),
            "ignored": int(self.ignored.sum()),
            "negatives": int(negatives.sum()),
            "by_level": [dict(zip(names, map(int, level), strict=True)) for level in per_level],
            "coverage": self.coverage.to_dict(),
            **self.notes_on_inputs(),
        }


@job("truths", adds_up=True, rotated=True)
def assign(
    truths: Given,
    anchors: AnchorGrid,
    out: str | os.PathLike[str] | None = None,
    *,
    resize: Resize | float | str,
    rule: MatchRule | str = "fastbox",
    ignore_column: str | None = None,
    class_column: str | None = None,
    report: str | os.PathLike[str] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    rows: int = 65_536,
    progress: Callable[[int], object] | None = None,
) -> Assigned:
    """Assign the anchors of each image to its truths, write the positive and ignored anchors, and sum up.

    The output has the columns ``image_id``, ``level``, ``anchor`` (its number in the image), ``label`` (1 positive, -1
    ignored), ``truth`` (row number of the table, from 0; null for no truth) and ``iou``, sorted by image and anchor.
    All other anchors are negative.

    Parameters
    ----------
    truths : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
        To resize by the shortest side, or to stretch, the table needs columns ``width`` and ``height``: the size of the
        image in pixels, in each row. Rotated truths are matched with the upright anchors by rotated IoU.
    anchors : AnchorGrid
    out : path, optional
        The file to write; by default the assignment is only summed up.
    resize : Resize, float or str
        The resizing of the images, and of their boxes, before anchors are laid out; :meth:`Resize.parse` reads 640,
        "300x200" and "shorter=800,longer=1333".
    rule : MatchRule or str
    ignore_column : str, optional
        A column, such as ``iscrowd``, that marks rows as regions to ignore instead of truths: with true, a number other
        than 0 and nan, or the text 1, true or yes. A null does not mark a row.
    class_column : str, optional
        The class column, for coverage by class; classes don't change the assignment.
    report : path, optional
        The HTML page to write, with figures, plots and the truths with the lowest best IoU (the extra ``report``).
    pictures : path, optional
        The folder of the images, to show them behind the boxes of the page's examples (the extra ``formats``).
    rows : int
        About the number of boxes in memory at a time; it makes no difference to the result.
    progress : callable, optional
        Called with the number of truths done since the last call.

    Raises
    ------
    InputError
        A file or column that can't be used, an invalid image size.
    ValueError
        An unknown rule.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> from fastbox.anchors import AnchorGrid
    >>> path = os.path.join(tempfile.mkdtemp(), "truths.parquet")
    >>> pq.write_table(pa.table({"image_id": [1, 1], "bbox": [[0.0, 0, 32, 32], [100.0, 50, 164, 90]]}), path)
    >>> found = assign(path, AnchorGrid.preset("retinanet"), resize=Resize("none", 256, 128))
    >>> found.truths, int(found.positives.sum()), found.coverage.all.left_out
    (2, 54, 0)
    """
    resize, chosen = Resize.of(resize), as_rule_of(MatchRule, rule)
    source = Source.carrying(truths, *columns_of_sizes(truths, resize), ignore_column, class_column)
    found_plan = _checked(plan(source), resize, ignore_column, class_column)
    check_centres(found_plan, resize, chosen)
    if ignore_column is not None and chosen.ignore_iof is None:
        hint = advice(
            "leave --ignore-column out, or give --rule fastbox",
            "leave ignore_column out, or give a rule with ignore_iof",
        )
        raise InputError(f"rule {chosen.name!r} has no ignore regions, got column {ignore_column!r} of them: {hint}")
    found = Assigned(anchors.strides, rules=_rules(anchors, resize, chosen, ignore_column, class_column))
    if report is not None:
        found.least = Least()
    parameters = {
        "truths": found_plan.files,
        "anchors": repr(anchors),
        "resize": list(resize),
        "rule": rule if isinstance(rule, str) else rule.name,
    }
    with Output(out, _schema(found_plan), command="assign", parameters=parameters, progress=progress) as output:
        for chunk in scan(source, rows=rows):
            seen = Resized.of(chunk, resize, ignore_column)
            with threads_here(threads_for(anchors, chunk.images, seen.sizes)):
                matched = match(
                    anchors.astype(seen.truths.dtype),
                    seen.truths,
                    rule=rule,
                    size=seen.sizes,
                    ignore=seen.regions,
                    sparse=True,
                )
            levels = levels_of(anchors, seen.sizes, matched)
            _add(found, chunk, seen, matched, levels, anchors, class_column)
            if found.least is not None:
                found.least.add(chunk, seen.rows, seen.truths, seen.sizes, matched.best)
            output.write(_batch, chunk, seen, matched, levels, output.schema)
            output.step(len(chunk.a))
        output.finish(found)
    return found


def _checked(planned: Plan, resize: Resize, ignore_column: str | None, class_column: str | None) -> Plan:
    """Refuse a table without image ids, and columns that can't be sizes, flags or labels."""
    check_images([planned], "anchors are assigned")
    sides = () if resize.kind == "none" else SIZE_COLUMNS
    for name in sides:
        if name in planned.boxes.names:
            raise InputError(
                f"expected the images' sizes in columns width and height of {planned.files[0]}, got {name!r} of the "
                "boxes: call the boxes' columns w and h, and add the images' sizes"
            )
    check_numbers(planned, *sides)
    check_flags(planned, ignore_column)
    check_labels(planned, class_column)
    return planned


def threads_for(anchors: AnchorGrid, images: NDArray[Any] | None, sizes: NDArray[np.int64]) -> int:
    """Return the number of threads that fit in memory with the anchors of an image; refuses too large images."""
    different, places = np.unique(sizes, axis=0, return_index=True)
    counts = [anchors.count((width, height)) for width, height in different.tolist()]
    if not counts:
        return get_num_threads()
    large = int(np.argmax(counts))
    if (fit := fitting(counts[large] * ANCHOR)) < 1:
        assert images is not None
        image = images[places[large]].item()
        width, height = different[large].tolist()
        raise InputError(
            f"image {image!r} of {width} x {height} pixels has {counts[large]:,} anchors, which take about "
            f"{size_text(counts[large] * ANCHOR)} of memory: allow more with "
            f"{more_memory()}, or resize the image to a smaller size"
        )
    return min(get_num_threads(), fit)


def _rules(
    anchors: AnchorGrid, resize: Resize, rule: MatchRule, ignore_column: str | None, class_column: str | None
) -> Rules:
    preset = next((name for name in PRESETS if AnchorGrid.preset(name) == anchors), None)
    return Rules(
        {
            "rule": rule.name,
            "thresholds": rule.thresholds,
            "labels": rule.labels,
            "claims": rule.claims,
            "topk": rule.topk,
            "anchors": preset or str(anchors),
            "resize": resize.kind,
            "lengths": tuple(length for length in (resize.first, resize.second) if length == length),
            "ignore_column": ignore_column,
            "class_column": class_column,
        }
    )


def _add(
    found: Assigned,
    chunk: Chunk,
    seen: Resized,
    matched: Matches,
    levels: NDArray[np.int64],
    anchors: AnchorGrid,
    class_column: str | None,
) -> None:
    many = len(anchors.strides)
    positive = matched.labels == 1
    found.images += len(seen.sizes)
    found.truths += len(seen.truths)
    found.regions += 0 if seen.regions is None else len(seen.regions)
    reasons = seen.truths.invalid()
    found.invalid.add(reasons)
    unique, counts = np.unique(seen.sizes, axis=0, return_counts=True)
    for (width, height), count in zip(unique.tolist(), counts.tolist(), strict=True):
        found.level_anchors += count * np.array(anchors.counts((width, height)))
    found.positives += np.bincount(levels[positive], minlength=many)
    found.ignored += np.bincount(levels[~positive], minlength=many)
    per_image = np.add.reduceat(np.append(positive, False), matched.offsets[:-1]) if len(seen.sizes) else np.zeros(0)
    found.without_positive_images += int(((per_image == 0) | (np.diff(matched.offsets) == 0)).sum())

    valid = reasons == 0
    won = np.zeros(len(seen.truths), np.bool_)
    won[matched.truths[positive]] = True
    area, sides = areas_of(chunk.a[seen.rows][valid]), sides_of(seen.truths[valid])
    codes: NDArray[np.int64] | None = None
    labels: list[Any] = []
    if class_column is not None:
        (codes,), labels = columns.label_columns((chunk.a_columns, chunk.a_rows), name=class_column)
        codes = codes[seen.rows][valid]
    found.coverage.add(matched.best[valid], won[valid], area, sides, codes, labels)


def _schema(found: Plan) -> Any:
    ids = "int64" if found.ids == "integer" else "string"
    types = {"image_id": ids, "level": "int8", "anchor": "int64", "label": "int8", "truth": "int64"}
    return columns.schema_of(types | {"iou": found.dtype.name})


def _batch(chunk: Chunk, seen: Resized, matched: Matches, levels: NDArray[np.int64], schema: Any) -> Any:
    assert chunk.images is not None
    assert matched.anchors is not None
    ids = values_of_rows(chunk.images, matched.offsets)
    none = matched.truths < 0
    rows = seen.rows[np.where(none, 0, matched.truths)] if len(seen.rows) else np.zeros(len(none), np.int64)
    truths = np.ma.masked_array(chunk.a_rows(rows) if len(seen.rows) else rows, mask=none)
    return columns.batch_of([ids, levels, matched.anchors, matched.labels, truths, matched.values], schema)
