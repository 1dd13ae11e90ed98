"""The claims of the detections of some images about their truths, apart for each model."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.evaluation.matching import BACKGROUND, FOREGROUND
from fastbox.evaluation.shapes import Columns, areas_of, invalid, sided, unmatchable
from fastbox.evaluation.sides import Detections, GroundTruths, Images
from fastbox.evaluation.suspects.recalls import sizes_of

__all__ = ["TWINS", "Cells", "Claims", "Scene", "blocks"]

BESIDE = BACKGROUND  # IoU with a truth of another class from which on a detection shows no missing object
TWINS = 0.5  # least IoU of two truths of one class that may be one object
CELLS = 1 << 18  # pairs of a truth and a model in memory at a time: 60 bytes each

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Cells(NamedTuple):
    """The claims of each model about each truth, arrays of shape (truths, models); a row of -1 means no detection.

    Attributes
    ----------
    own : array of float64
        The best IoU of a detection of the truth's class that hits the truth; 0 for no such detection.
    near : array of bool
        True for a detection near the truth: of its class with a small IoU, or of another class that hits it.
    wrong, wrong_iou : arrays of int64 and float64
        The detection of another class that hits the truth, and no truth of its own class.
    placed, placed_iou : arrays of int64 and float64
        The detection of the class that is near the truth, and hits no truth.
    shared, several : arrays of int64 and int32
        The detection of the class that hits the truth and its twin; the number of detections that hit either.
    """

    own: Floats
    near: NDArray[np.bool_]
    wrong: Ints
    wrong_iou: Floats
    placed: Ints
    placed_iou: Floats
    shared: Ints
    several: NDArray[np.int32]


class Claims(NamedTuple):
    """The places of detections, their best IoU, the twin of each truth with their IoU, and the cells."""

    statuses: NDArray[np.int8]
    most: Floats
    twins: Ints
    twin_ious: Floats
    cells: Cells


class Scene:
    """Detections and truths of whole images, ready for kernels.

    Parameters
    ----------
    images : Images
    detections : Detections
    truths : GroundTruths
        Crowds, truths that do not count and invalid boxes take no part.
    """

    def __init__(self, images: Images, detections: Detections, truths: GroundTruths) -> None:
        self.images = images
        self.kinds, self.models = detections.classes, detections.models
        self.scores = detections.scores.astype(np.float64, copy=False)
        self.columns, self.truth_columns = sided(detections.boxes), sided(truths.boxes)
        self.lost = np.isnan(self.scores)
        self.invalid, self.truth_invalid = invalid(self.columns), invalid(self.truth_columns)
        self.skip = self.invalid | self.lost | detections.left_out
        self.truth_kinds, self.crowd = truths.classes, truths.crowd & ~truths.left_out
        self.apart = truths.crowd | truths.ignore | truths.left_out | self.truth_invalid
        self.truth_columns = unmatchable(self.truth_columns, truths.left_out)
        self.sizes, self.truth_sizes = (sizes_of(areas_of(columns)) for columns in (self.columns, self.truth_columns))

    def between(self, first: int, last: int) -> Scene:
        """Return some neighbouring images."""
        part = object.__new__(Scene)
        own = slice(*self.images.bounds[[first, last]])
        its = slice(*self.images.truth_bounds[[first, last]])
        part.images = self.images.between(first, last)
        for name in ("scores", "kinds", "models", "skip", "sizes"):
            setattr(part, name, getattr(self, name)[own])
        for name in ("truth_kinds", "crowd", "apart", "truth_sizes"):
            setattr(part, name, getattr(self, name)[its])
        part.columns, part.truth_columns = _rows(self.columns, own), _rows(self.truth_columns, its)
        return part

    def claims(self, models: int, least: float) -> Claims:
        """Return what the detections of each model claim; those with a score below `least` take no part."""
        n, m = len(self.scores), len(self.truth_kinds)
        shape = m, models
        cells = Cells(
            np.zeros(shape),
            np.zeros(shape, np.bool_),
            np.full(shape, -1, np.int64),
            np.zeros(shape),
            np.full(shape, -1, np.int64),
            np.zeros(shape),
            np.full(shape, -1, np.int64),
            np.zeros(shape, np.int32),
        )
        found = Claims(np.zeros(n, np.int8), np.zeros(n), np.full(m, -1, np.int64), np.zeros(m), cells)
        kernel = parallel.kernels("evaluate.suspects").SURVEY[np.dtype(np.float64), ""]
        bounds, truth_bounds = self.images.bounds, self.images.truth_bounds
        skip = self.skip | (self.scores < least)
        detections = self.columns, self.kinds, self.models, self.scores, skip, bounds
        truths = self.truth_columns, self.truth_kinds, self.crowd, self.apart, truth_bounds
        outputs = tuple(found[:2]), tuple(found[2:4]), tuple(cells[:4]), tuple(cells[4:])
        rule = FOREGROUND, BACKGROUND, BESIDE, TWINS
        costs = (np.diff(bounds) + np.diff(truth_bounds)) * np.diff(truth_bounds) + np.diff(bounds)
        parallel.run(kernel, [(detections, truths, rule, span, outputs) for span in parallel.cut(costs)])
        return found

    def leaders(self, rows: Ints) -> Ints:
        """Return for each of some detections the detection of the highest score that shows the same object.

        Both are of one class and overlap as a hit does; the leaders are places among the rows.
        """
        bounds = np.searchsorted(rows, self.images.bounds)
        boxes = _rows(self.columns, rows)
        kinds, scores = self.kinds[rows], self.scores[rows]
        order, leaders, f8 = np.arange(len(rows)), np.empty(len(rows), np.int64), np.dtype(np.float64)
        sort = parallel.kernels("common.sorting").SORT[f8, ""]
        kernel = parallel.kernels("evaluate.suspects").GATHER[f8, ""]

        def work(*span: int) -> None:
            sort(kinds, scores, bounds, order, *span)
            kernel(boxes, kinds, bounds, order, FOREGROUND, span, leaders)

        parallel.run(work, parallel.cut(np.diff(bounds) ** 2))
        return leaders


def blocks(scene: Scene, models: int) -> Iterator[tuple[int, int, Scene]]:
    """Yield the images of a scene in sets with a bounded number of cells: first detection, first truth and scene."""
    bounds, truth_bounds = scene.images.bounds, scene.images.truth_bounds
    marks = np.arange(max(CELLS // max(models, 1), 1), int(truth_bounds[-1]), max(CELLS // max(models, 1), 1))
    edges = np.unique(np.concatenate(([0], np.searchsorted(truth_bounds[1:], marks) + 1, [len(scene.images)])))
    for first, last in pairwise(edges.tolist()):
        yield int(bounds[first]), int(truth_bounds[first]), scene.between(first, last)


def _rows(columns: Columns, rows: slice | Ints) -> Columns:
    x, y, w, h = (column[rows] for column in columns)
    return x, y, w, h
