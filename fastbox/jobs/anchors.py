"""Fit anchor shapes to the boxes of a data set, and compare the shapes with the presets of detectors."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox._version import SCHEMA, __version__
from fastbox.anchors.configs import configs, default_levels
from fastbox.anchors.extents import Extents, Part, Sample
from fastbox.anchors.fitting import by_area, cluster, cover, mean_best, refine
from fastbox.anchors.presets import COMPARED, DETECTORS
from fastbox.anchors.resize import Resize
from fastbox.assign.optimal import optimizer
from fastbox.datasets.as_source import Given
from fastbox.errors import InputError
from fastbox.jobs.base import job
from fastbox.result import Invalid, Result, Row, Rules
from fastbox.sketch import Sketch
from fastbox.storage.convention import check_name
from fastbox.storage.folders import check_file, check_folder, new_file
from fastbox.storage.locate import find_files
from fastbox.tables.chunk import ROWS
from fastbox.tables.source import Source
from fastbox.values.names import SIZE_COLUMNS
from fastbox.values.numbers import as_choice, as_whole

__all__ = ["Coverage", "Fitted", "fit_anchors"]

Floats = NDArray[np.float64]

THRESHOLDS = (0.5, 0.7)
LARGEST_RATIO = 4  # ratio of sides above which YOLOv5 assigns no anchor to a box


class Coverage:
    """The cover of boxes by some shapes, all centred on one point; exact, and the same in any order of the boxes.

    Attributes
    ----------
    shapes : array of shape (k, 2)
    resize : str or None
        The resolution that the shapes are meant for.
    counts : array of shape (k,)
        The number of boxes that each shape covers best; at ties the first shape counts.
    """

    def __init__(self, shapes: Floats, resize: str | None = None) -> None:
        self.shapes, self.resize = shapes, resize
        self.counts = np.zeros(len(shapes), np.int64)
        self._reached = np.zeros(len(THRESHOLDS), np.int64)
        self._within = 0
        self._overlaps = Sketch()

    def add(self, w: Floats, h: Floats) -> None:
        """Add boxes of these widths and heights."""
        found = cover(w, h, self.shapes)
        self.counts += np.bincount(found.indices, minlength=len(self.shapes))
        self._reached += [int((found.overlaps >= threshold).sum()) for threshold in THRESHOLDS]
        self._within += int((found.fits > 1 / LARGEST_RATIO).sum())
        self._overlaps.add(found.overlaps)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON holds them."""
        boxes = max(1, self._overlaps.count)
        return {
            "count": len(self.shapes),
            "resize": self.resize,
            "recall": {str(t): int(n) / boxes for t, n in zip(THRESHOLDS, self._reached, strict=True)},
            "mean_iou": self._overlaps.mean,
            "best_possible_recall": self._within / boxes,
        }


@dataclass(repr=False)
class Fitted(Result):
    """The result of :func:`fit_anchors`.

    Attributes
    ----------
    rules : Rules
        The images' size, or the columns of their sizes, where boxes were resized.
    boxes, used, sampled : int
        The number of boxes read, of those that have figures, and of those that the shapes were fitted to.
    invalid : Invalid
        Invalid boxes by reason.
    no_area, small : int
        The number of boxes without area, and of boxes below ``min_side`` on both sides. These boxes have no figures.
    shapes : array of shape (count, 2)
        Widths and heights in pixels, the smallest area first.
    sets : dict of str to Coverage
        The presets, ``"k-means"`` and ``"fitted"``.
    """

    MAIN = "sets"
    TABLES = ("anchors", "sets")
    FIRST = ("levels", "used", "boxes")

    count: int
    seed: int
    levels: int
    resize: str | None = None
    min_side: float = 0.0
    rules: Rules = field(default_factory=Rules)
    boxes: int = 0
    used: int = 0
    sampled: int = 0
    invalid: Invalid = field(default_factory=Invalid)
    no_area: int = 0
    small: int = 0
    shapes: Floats = field(default_factory=lambda: np.empty((0, 2)))
    sets: dict[str, Coverage] = field(default_factory=dict)

    def _first(self, summary: Row) -> dict[str, Any]:
        fitted = self.sets["fitted"].to_dict()
        return {"mean best IoU": fitted["mean_iou"], "anchors": self.count, **super()._first(summary)}

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        shapes = self.shapes.tolist()
        counts = self.sets["fitted"].counts.tolist()
        return {
            **{name: getattr(self, name) for name in ("boxes", "used", "sampled", "count", "levels", "seed", "resize")},
            "min_side": self.min_side,
            "rules": self.rules.to_dict(),
            "left_out": {**self.invalid.to_dict(), "no_area": self.no_area, "small": self.small},
            "anchors": [
                {"width": w, "height": h, "share": n / self.used} for (w, h), n in zip(shapes, counts, strict=True)
            ],
            "sets": {name: found.to_dict() for name, found in self.sets.items()},
            "config": configs(shapes, self.levels),
            **self.notes_on_inputs(),
        }


@job("truths", by_image=False, writes=("out",))
def fit_anchors(
    truths: Given,
    out: str | os.PathLike[str] | None = None,
    *,
    count: int = 9,
    levels: int | None = None,
    resize: Resize | float | str | None = None,
    size: tuple[float, float] | None = None,
    size_columns: tuple[str, str] = SIZE_COLUMNS,
    min_side: float = 0.0,
    against: Sequence[str] = COMPARED,
    seed: int = 0,
    sample: int = 16_384,
    rows: int = ROWS,
    progress: Callable[[int], object] | None = None,
) -> Fitted:
    """Find the widths and heights that cover the boxes of a data set best, all centred on one point.

    Shapes are fitted to a sample of the boxes: k-means with the distance 1 - IoU, its result improved by differential
    evolution of the mean best IoU. Figures are of all boxes, exact, and read in a second pass; memory doesn't grow with
    the number of boxes. The same seed gives the same shapes, for any number of threads and any ``rows``.

    Parameters
    ----------
    truths : Source, path, directory, glob or a list of paths
        Image ids are not read.
    out : path, optional
        The JSON file of the whole result.
    count : int
        The number of shapes to fit.
    levels : int, optional
        The number of feature levels in the configuration lines; by default a third of ``count`` if 3 divides it, and
        otherwise ``count``.
    resize : Resize, float or str, optional
        The resizing of images in training; :meth:`Resize.parse` reads 640, "300x200" and "shorter=800,longer=1333".
        By default boxes are not resized.
    size : (width, height), optional
        The size of all images, in pixels.
    size_columns : (str, str)
        The columns of the images' widths and heights, used with ``resize`` and without ``size``.
    min_side : float
        Boxes with both sides below this number of pixels, after resizing, are left out.
    against : sequence of str
        Presets to compare with; by default all whose training resolution is known: faster-rcnn-fpn, retinanet,
        ssd300, yolov3, yolov5 and yolov7.
    seed : int
        Not negative.
    sample : int
        The number of boxes to fit to: those with the lowest hash of seed and row, in any order of reading.
    rows : int
        The number of boxes in memory at a time.
    progress : callable, optional
        Called with the number of boxes done since the last call, twice for each box.

    Raises
    ------
    InputError
        A file or column that can't be used, no boxes, fewer distinct boxes than ``count``, or levels that don't divide
        ``count``.
    ValueError
        An unknown preset, an invalid count, seed, sample, size or resize.
    ImportError
        SciPy is missing: it comes with ``fastbox-engine[optimize]``.

    References
    ----------
    Redmon and Farhadi, YOLO9000: Better, Faster, Stronger, CVPR 2017, section 2.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "truths.parquet")
    >>> pq.write_table(pa.table({"bbox": [[0.0, 0, 4, 4], [5.0, 5, 9, 9], [0.0, 0, 30, 20]]}), path)
    >>> fit_anchors(path, count=2).shapes.tolist()
    [[4.0, 4.0], [30.0, 20.0]]
    """
    optimize = optimizer("fitting anchors")
    count, seed, sample = as_whole(count, "count", 1), as_whole(seed, "seed"), as_whole(sample, "sample", 1)
    levels = default_levels(count) if levels is None else _checked_levels(levels, count)
    if not min_side >= 0:
        raise InputError(f"expected min_side to be at least 0, got {min_side!r}")
    for name in against:
        as_choice(name, COMPARED, "presets")
    if out is not None:
        check_name(out, ".json", "a JSON file")
    source = Source.carrying(truths)
    rule = None if resize is None else Resize.of(resize)
    _check_size(size, rule)
    table = Extents(source, rule, size_columns if size is None else size, min_side, rows)
    files = find_files(source.path)
    if out is not None:
        check_file(out)
        check_folder(out)
    found = Fitted(count, seed, levels, None if resize is None else str(resize), min_side)
    sizes = None if rule is None or size is not None else size_columns
    found.rules = Rules({"image_size": size, "size_columns": sizes, "largest_ratio": LARGEST_RATIO})

    drawn = Sample(sample, seed)
    for part in _with_progress(table, progress):
        _add(found, part)
        drawn.add(part)
    w, h = drawn.sides()
    found.sampled = len(w)
    _check_distinct(w, h, found, files[0])

    rng = np.random.Generator(np.random.PCG64(seed))
    clustered = cluster(w, h, count, rng)
    tried = [by_area(shapes) for shapes in (clustered, refine(w, h, clustered, optimize, rng))]
    found.shapes = tried[int(np.argmax(mean_best(w, h, np.stack(tried))))]
    presets = {name: DETECTORS[name] for name in against}
    found.sets = {name: Coverage(np.array(own.shapes, np.float64), own.resize) for name, own in presets.items()}
    found.sets |= {"k-means": Coverage(tried[0], found.resize), "fitted": Coverage(found.shapes, found.resize)}
    for part in _with_progress(table, progress):
        for coverage in found.sets.values():
            coverage.add(part.w, part.h)
    if out is not None:
        parameters = {"paths": files, "sample": sample, "size_columns": size_columns, "size": size}
        _write(out, {"version": __version__, "command": "anchors", "parameters": parameters, **found.to_dict()})
    return found


def _checked_levels(levels: int, count: int) -> int:
    """Return a number of levels, which must divide the number of shapes."""
    levels = as_whole(levels, "levels", 1)
    if count % levels:
        raise InputError(
            f"expected as many anchors on each level, got {count} on {levels} levels: choose a multiple of {levels}"
        )
    return levels


def _check_size(size: tuple[float, float] | None, rule: Resize | None) -> None:
    """Refuse an invalid size of images, and a size that is not needed."""
    if size is not None and rule is None:
        raise ValueError(f"expected resize= with size=, got {size!r} alone")
    if size is not None and not all(np.isfinite(side) and side > 0 for side in size):
        raise ValueError(f"expected a size of two numbers above 0, got {size!r}")


def _with_progress(table: Extents, progress: Callable[[int], object] | None) -> Iterator[Part]:
    """Yield a table chunk by chunk, and report the progress after each chunk."""
    for part in table.parts():
        yield part
        if progress is not None:
            progress(part.boxes)


def _add(found: Fitted, part: Part) -> None:
    found.boxes += part.boxes
    found.used += len(part.w)
    found.invalid.not_finite += part.not_finite
    found.invalid.inverted += part.inverted
    found.no_area += part.no_area
    found.small += part.small


def _check_distinct(w: Floats, h: Floats, found: Fitted, file: str) -> None:
    """Refuse to fit more shapes than there are distinct boxes."""
    if not found.used:
        reasons = {**asdict(found.invalid), "no_area": found.no_area, "small": found.small}
        left_out = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in reasons.items() if count)
        what = f"{found.boxes:,}, all left out ({left_out})" if found.boxes else "none"
        raise InputError(f"expected boxes to fit anchors to in {file}, got {what}")
    distinct = len(np.unique(np.stack([w, h]), axis=1).T)
    if distinct < found.count:
        sampled = "" if found.sampled == found.used else f" among the {found.sampled:,} sampled"
        raise InputError(
            f"expected at least {found.count} boxes of different width or height in {file} to fit {found.count} "
            f"anchors, got {distinct}{sampled}: ask for fewer"
        )


def _write(path: str | os.PathLike[str], everything: dict[str, Any]) -> None:
    """Write a JSON file that appears complete or not at all."""
    text = json.dumps({"schema": SCHEMA, **everything}, indent=2, allow_nan=False)
    with new_file(path) as file:
        file.write(f"{text}\n".encode())
