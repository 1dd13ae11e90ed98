"""Assign a dataset's anchors to its truths, write the assignment, and report how well the truths are covered."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.anchors import AnchorGrid
from fastbox.anchors.presets import PRESETS
from fastbox.boxes import Boxes
from fastbox.errors import InputError, advice
from fastbox.jobs.aggregate import conclude
from fastbox.jobs.coverage import Coverage
from fastbox.jobs.least import Least
from fastbox.jobs.opening import takes
from fastbox.jobs.resize import Resize
from fastbox.jobs.result import Result, recorded
from fastbox.jobs.summary import Invalid, Rules
from fastbox.matching import Matches, MatchRule, match
from fastbox.memory import fitting, more_memory, said
from fastbox.parallel import get_num_threads, threads_here
from fastbox.report.assigned_page import assigned_page
from fastbox.report.page import Page
from fastbox.rules import as_rule
from fastbox.tables import columns
from fastbox.tables.arrays import id_kind, is_flag, is_number
from fastbox.tables.files import column_names, find_files
from fastbox.tables.inputs import Given
from fastbox.tables.outputs import check_outputs
from fastbox.tables.sink import Sink
from fastbox.tables.source import Chunk, Plan, Source, plan, scan

__all__ = ["Assigned", "assign"]

SIDES = ("width", "height")
ANCHOR = 24  # bytes that a thread's space has for an anchor of an image


@dataclass
class Assigned(Result):
    """What a run of :func:`assign` found.

    Attributes
    ----------
    images, truths, regions, anchors : int
        How many; regions are boxes to ignore. Images are those in the table.
    invalid : Invalid
        Invalid truths by reason; no anchor is theirs.
    positives, ignored : array of int64, shape (levels,)
        Anchors by level; all others are negative.
    level_anchors : array of int64, shape (levels,)
    strides : tuple of int
    without_positive_images : int
        Images none of whose anchors is positive.
    coverage : Coverage
        The best IoU of each valid truth.
    rules : Rules
        The rule's name and numbers, the grid, how images are resized, and the columns of classes and regions.
    least : Least, optional
        The truths that anchors cover least, where a report was asked for.
    """

    MAIN = "by_level"

    strides: tuple[int, ...]
    images: int = 0
    truths: int = 0
    regions: int = 0
    without_positive_images: int = 0
    invalid: Invalid = field(default_factory=Invalid)
    coverage: Coverage = field(default_factory=Coverage)
    rules: Rules = field(default_factory=Rules)
    least: Least | None = field(default=None, repr=False, compare=False, kw_only=True)
    positives: NDArray[np.int64] = field(init=False)
    ignored: NDArray[np.int64] = field(init=False)
    level_anchors: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.positives, self.ignored, self.level_anchors = (np.zeros(len(self.strides), np.int64) for _ in range(3))

    @property
    def anchors(self) -> int:
        """All anchors of all images."""
        return int(self.level_anchors.sum())

    def page(self) -> Page:
        """Everything as a page."""
        return assigned_page(self.to_dict(), self.least)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
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
            **self.said_of_inputs(),
        }


@recorded
@takes("truths")
def assign(
    truths: Given,
    anchors: AnchorGrid,
    out: str | os.PathLike[str] | None = None,
    *,
    resize: Resize,
    rule: MatchRule | str = "fastbox",
    ignore: str | None = None,
    by_class: str | None = None,
    report: str | os.PathLike[str] | None = None,
    rows: int = 65_536,
    progress: Callable[[int], object] | None = None,
) -> Assigned:
    """Assign the anchors of each image to its truths; write those that are positive or ignored, and sum up.

    The output has the columns ``image_id``, ``level``, ``anchor`` (its number in the image), ``label`` (1 positive, -1
    ignored), ``truth`` (row number of the table, from 0; null where there is none) and ``iou``, sorted by image and
    anchor. All anchors that are not there are negative.

    Parameters
    ----------
    truths : Source, path, directory, glob, list of paths, frame, Arrow table, dict of arrays or Boxes
        To resize by the shortest side, or to stretch, it has columns ``width`` and ``height``: the
        image's, in pixels, in each of its rows.
    anchors : AnchorGrid
    out : path, optional
        Where to write; only summed up when left out.
    resize : Resize
        What becomes of the images, and the boxes with them, before anchors are laid.
    rule : MatchRule or str
    ignore : str, optional
        A column, such as ``iscrowd``, of rows that are regions to ignore, not truths: those where it is true; a number
        other than 0 and nan; or the text 1, true or yes. A null is not set.
    by_class : str, optional
        The class column, for coverage by class; classes don't change what is assigned.
    report : path, optional
        Where to write a page of HTML with figures, plots and the truths covered least (the extra ``report``).
    rows : int
        About how many boxes to hold at once; makes no difference to what comes out.
    progress : callable, optional
        Called with the number of truths done since the last call.

    Raises
    ------
    InputError
        A file or column that can't be used, an image size that can't be.
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
    check_outputs([truths], {"out": out}, {"report": report})
    sides = () if resize.kind == "none" else SIDES
    missing = [side for side in sides if side not in column_names(truths.path)]
    if missing:
        how = advice("--size HEIGHTxWIDTH --resize none", "resize=jobs.Resize('none', WIDTH, HEIGHT)")
        raise InputError(
            f"expected columns width and height, the images' sizes, in {find_files(truths.path)[0]}, got no "
            f"{' and no '.join(missing)}: add them, or say how large all images are with {how}"
        )
    source = Source.carrying(truths, *sides, ignore, by_class)
    found_plan = plan(source)
    if found_plan.ids is None:
        raise InputError("expected a column of image ids, got none: anchors are assigned within an image")
    for name in sides:
        if name in found_plan.boxes.names:
            raise InputError(
                f"expected the images' sizes in columns width and height of {found_plan.files[0]}, got {name!r} of the "
                "boxes: call the boxes' columns w and h, and add the images' sizes"
            )
        kind = found_plan.columns.field(name).type
        if not is_number(kind):
            raise InputError(f"expected numbers in column {name!r} of {found_plan.files[0]}, got {kind}: cast it")
    if ignore is not None:
        kind = found_plan.columns.field(ignore).type
        if not is_flag(kind):
            where = f"column {ignore!r} of {found_plan.files[0]}"
            raise InputError(f"expected booleans, numbers or text in {where}, got {kind}: cast it")
    if by_class is not None:
        id_kind(found_plan.columns.field(by_class).type, by_class, found_plan.files[0])
    chosen = as_rule(rule)
    if ignore is not None and chosen.ignore_iof is None:
        left_out = advice(
            "leave --ignore out, or give --rule fastbox", "leave ignore out, or give a rule with ignore_iof"
        )
        raise InputError(f"rule {chosen.name!r} has no regions to ignore, got column {ignore!r} of them: {left_out}")
    found = Assigned(anchors.strides, rules=_rules(anchors, resize, chosen, ignore, by_class))
    if report is not None:
        found.least = Least()
    sink = None
    if out is not None:
        parameters = {
            "truths": found_plan.files,
            "anchors": repr(anchors),
            "resize": list(resize),
            "rule": rule if isinstance(rule, str) else rule.name,
        }
        sink = Sink(out, _schema(found_plan), command="assign", parameters=parameters)
    with sink or nullcontext():
        for chunk in scan(source, rows=rows):
            part = _Part.of(chunk, resize, ignore)
            with threads_here(_threads(anchors, chunk, part.sizes)):
                matched = match(
                    anchors.astype(part.truths.dtype),
                    part.truths,
                    rule=rule,
                    size=part.sizes,
                    ignore=part.regions,
                    sparse=True,
                )
            levels = _levels(anchors, part.sizes, matched)
            _add(found, chunk, part, matched, levels, anchors, by_class)
            if found.least is not None:
                found.least.add(chunk, part.rows, part.truths, part.sizes, matched.best)
            if sink is not None:
                sink.write(_batch(chunk, part, matched, levels, sink.schema))
            if progress is not None:
                progress(len(chunk.a))
        if sink is not None:
            conclude(sink, out, found)
    return found


def _threads(anchors: AnchorGrid, chunk: Chunk, sizes: NDArray[np.int64]) -> int:
    """How many threads may match, each with space for the anchors of an image; refuses an image that none can."""
    different, images = np.unique(sizes, axis=0, return_index=True)
    counts = [anchors.count((width, height)) for width, height in different.tolist()]
    if not counts:
        return get_num_threads()
    large = int(np.argmax(counts))
    if (fit := fitting(counts[large] * ANCHOR)) < 1:
        assert chunk.images is not None
        image = chunk.images[images[large]].item()
        width, height = different[large].tolist()
        raise InputError(
            f"image {image!r} of {width} x {height} pixels has {counts[large]:,} anchors, which take about "
            f"{said(counts[large] * ANCHOR)} of memory: allow more with "
            f"{more_memory()}, or resize the image to less"
        )
    return min(get_num_threads(), fit)


def _rules(anchors: AnchorGrid, resize: Resize, rule: MatchRule, ignore: str | None, by_class: str | None) -> Rules:
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
            "ignore_column": ignore,
            "class_column": by_class,
        }
    )


@dataclass
class _Part:
    """A chunk as the detector sees it: resized truths, regions to ignore, the row of the chunk that each truth was."""

    sizes: NDArray[np.int64]
    truths: Boxes
    rows: NDArray[np.int64]
    regions: Boxes | None

    @classmethod
    def of(cls, chunk: Chunk, resize: Resize, ignore: str | None) -> _Part:
        offsets = chunk.a.offsets
        assert offsets is not None
        image = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        given = _given_sizes(chunk, offsets, resize)
        sizes = resize.sizes(given)
        boxes = resize.boxes(chunk.a, image, given, sizes)
        if ignore is None:
            return cls(
                sizes,
                Boxes.of(boxes.columns, boxes.format, offsets),
                np.arange(len(boxes)),
                None,
            )
        crowd = columns.flag_column(chunk.a_columns, ignore, chunk.a_rows)
        kept, left = np.flatnonzero(~crowd), np.flatnonzero(crowd)
        return cls(sizes, _rows_of(boxes, kept, offsets), kept, _rows_of(boxes, left, offsets))


def _rows_of(boxes: Boxes, rows: NDArray[np.int64], offsets: NDArray[np.int64]) -> Boxes:
    some = boxes[rows]
    return Boxes.of(some.columns, some.format, np.searchsorted(rows, offsets))


def _given_sizes(chunk: Chunk, offsets: NDArray[np.int64], resize: Resize) -> NDArray[np.int64]:
    """The (g, 2) width and height of each image, those of its first row."""
    if resize.kind == "none":
        return resize.sizes(np.zeros((len(offsets) - 1, 2), np.int64))
    sides = []
    for name in SIDES:
        side = columns.number_column(chunk.a_columns, name, missing=np.nan)[offsets[:-1]]
        wrong = np.flatnonzero(~(side >= 1))
        if wrong.size:
            row = int(chunk.a_rows(offsets[wrong[0]]))
            raise InputError(
                f"expected a {name} of at least 1 pixel in column {name!r}, got {side[wrong[0]]:g} at row {row}"
            )
        sides.append(np.asarray(side, np.int64))
    return np.stack(sides, axis=1)


def _levels(anchors: AnchorGrid, sizes: NDArray[np.int64], matched: Matches) -> NDArray[np.int64]:
    """The level of each anchor of a sparse result, which lists them by image and number."""
    unique, which = np.unique(sizes, axis=0, return_inverse=True)
    counts = np.array([anchors.counts((w, h)) for w, h in unique.tolist()]).reshape(-1, len(anchors.strides))
    ends = np.cumsum(counts[which.reshape(-1)])
    images = np.concatenate(([0], ends[len(anchors.strides) - 1 :: len(anchors.strides)]))
    numbers = matched.anchors + np.repeat(images[:-1], np.diff(matched.offsets))
    stops = np.searchsorted(numbers, ends)
    return np.repeat(np.arange(len(ends)) % len(anchors.strides), np.diff(stops, prepend=0))


def _add(
    found: Assigned,
    chunk: Chunk,
    part: _Part,
    matched: Matches,
    levels: NDArray[np.int64],
    anchors: AnchorGrid,
    by_class: str | None,
) -> None:
    many = len(anchors.strides)
    positive = matched.labels == 1
    found.images += len(part.sizes)
    found.truths += len(part.truths)
    found.regions += 0 if part.regions is None else len(part.regions)
    found.invalid.add(part.truths)
    unique, counts = np.unique(part.sizes, axis=0, return_counts=True)
    for (width, height), count in zip(unique.tolist(), counts.tolist(), strict=True):
        found.level_anchors += count * np.array(anchors.counts((width, height)))
    found.positives += np.bincount(levels[positive], minlength=many)
    found.ignored += np.bincount(levels[~positive], minlength=many)
    per_image = np.add.reduceat(np.append(positive, False), matched.offsets[:-1]) if len(part.sizes) else np.zeros(0)
    found.without_positive_images += int(((per_image == 0) | (np.diff(matched.offsets) == 0)).sum())

    valid = part.truths.invalid() == 0
    won = np.zeros(len(part.truths), np.bool_)
    won[matched.truths[positive]] = True
    corners, own = part.truths.corners()[valid], chunk.a[part.rows].corners()[valid].astype(np.float64)
    area = (own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1])
    codes: NDArray[np.int64] | None = None
    labels: list[Any] = []
    if by_class is not None:
        (codes,), labels = columns.label_columns((chunk.a_columns, chunk.a_rows), name=by_class)
        codes = codes[part.rows][valid]
    found.coverage.add(matched.best[valid], won[valid], area, corners[:, 2:] - corners[:, :2], codes, labels)


def _schema(found: Plan) -> Any:
    ids = "int64" if found.ids == "integer" else "string"
    types = {
        "image_id": ids,
        "level": "int8",
        "anchor": "int64",
        "label": "int8",
        "truth": "int64",
        "iou": found.dtype.name,
    }
    return columns.schema_of(types)


def _batch(chunk: Chunk, part: _Part, matched: Matches, levels: NDArray[np.int64], schema: Any) -> Any:
    assert chunk.images is not None
    assert matched.anchors is not None
    ids = np.repeat(chunk.images, np.diff(matched.offsets))
    none = matched.truths < 0
    rows = part.rows[np.where(none, 0, matched.truths)] if len(part.rows) else np.zeros(len(none), np.int64)
    truths = np.ma.masked_array(chunk.a_rows(rows) if len(part.rows) else rows, mask=none)
    return columns.batch_of([ids, levels, matched.anchors, matched.labels, truths, matched.values], schema)
