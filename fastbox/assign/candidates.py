"""The points that truths could have, from the truths alone: does my small object get a point?"""

from __future__ import annotations

from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import dataclass
from fastbox.anchors.points import PointGrid
from fastbox.assign.grids import LaidOut, laid_out, shape_of
from fastbox.assign.point_rule import PointRule
from fastbox.boxes.container import Boxes, as_boxes
from fastbox.values.arguments import named
from fastbox.values.numbers import as_number_from, in_dtype

__all__ = ["Candidates", "candidates", "counted"]

TRUTH_COST = 32  # the cost of counting a truth's candidates, in pairs


@dataclass(frozen=True)
class Candidates:
    """The candidate points of each truth, by a rule.

    Attributes
    ----------
    counts : array of int64, shape (truths, levels)
        The number of points of each level that the truth could have, before predictions and contests.
    reach : array of int64, or None
        The number of these points from which the distances to all sides are at most `reach` strides; None if not asked
        for.
    valid : array of bool
        Whether the truth is a valid box; an invalid one has no candidates.
    offsets : array of int64
        The first truth of each image, and the end.
    images : array, or None
        The ids of the images, where the truths have ids.
    """

    counts: NDArray[np.int64]
    reach: NDArray[np.int64] | None
    valid: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    images: NDArray[Any] | None
    _call: tuple[Any, ...] = field(repr=False, compare=False)

    @property
    def totals(self) -> NDArray[np.int64]:
        """The number of candidates of each truth on all levels."""
        found: NDArray[np.int64] = self.counts.sum(axis=1)
        return found

    @property
    def starved(self) -> NDArray[np.int64]:
        """The rows of the valid truths without any candidate, ascending."""
        return np.flatnonzero((self.totals == 0) & self.valid)

    @property
    def unreached(self) -> NDArray[np.int64]:
        """The rows of the truths with candidates of which none reaches all sides, ascending.

        Raises
        ------
        ValueError
            Nothing was asked for: ``reach=`` was 0.
        """
        if self.reach is None:
            raise ValueError("expected a reach to look for, got none: give candidates(..., reach=15)")
        return np.flatnonzero((self.totals > 0) & (self.reach == 0))

    @property
    def shared(self) -> NDArray[np.bool_]:
        """Flags of the truths with candidates, each of which is another truth's as well."""
        points, truths, shape, ranges = self._call
        shared = np.zeros(len(truths), np.bool_)
        kernel = parallel.kernels("assign.points").SHARE[truths.dtype, ""]
        given = truths.kernel_args(), self.offsets

        def share(first: int, last: int) -> None:
            kernel(points.arrays, given, shape, ranges, (first, last), shared)

        parallel.run(share, parallel.cut(np.add.reduceat(np.append(self.totals, 0), self.offsets[:-1]) + 1))
        return shared

    def __repr__(self) -> str:
        images = len(self.offsets) - 1
        return (
            f"Candidates({len(self.counts)} truth{'s' * (len(self.counts) != 1)}, {len(self.starved)} without any; "
            f"{images} image{'s' * (images != 1)})"
        )


@named
def candidates(
    grid: PointGrid, truths: Any, *, rule: PointRule | str = "tal", size: Any = None, reach: float = 0.0
) -> Candidates:
    """Count the points of a grid that each truth could have by a rule, from the truths alone.

    A truth without candidates is starved: TAL and FCOS train it as background. Counting visits no point: the candidates
    of a level are the columns and rows of a window.

    Parameters
    ----------
    grid : PointGrid
    truths : Boxes or array of shape (m, 4)
        One image's truths, or those of a whole dataset grouped by image, in pixels of the network's input.
    rule : PointRule or str
        A rule, or the name of one, such as ``"yolov8"``.
    size : (width, height) or int
        The size of the network's input in pixels; or one for each image, as in :func:`fastbox.match`.
    reach : float
        A number of strides: candidates from which no side of the truth is farther are counted, too. 15 is the reach of
        16 bins of distribution focal loss. 0: not counted.

    Returns
    -------
    Candidates

    Raises
    ------
    ValueError
        A rule for anchors, an unknown rule, a size that is missing or not of whole pixels, or a reach below 0.

    Notes
    -----
    SimOTA and RTMDet may give a starved truth points of other truths. Figures are of the still image: augmentation
    changes the sizes that a detector is trained with.

    Examples
    --------
    >>> import fastbox
    >>> grid = fastbox.PointGrid.preset("yolov8")
    >>> found = fastbox.candidates(grid, [[13, 13, 15, 15], [100, 80, 180, 200]], rule="tal-8.3", size=(640, 640))
    >>> found
    Candidates(2 truths, 1 without any; 1 image)
    >>> found.counts
    array([[  0,   0,   0],
           [135,  35,   9]])
    >>> found.starved
    array([0])
    """
    from fastbox.assign.registry import as_rule, rules_of

    chosen = as_rule(rule)
    if not isinstance(chosen, PointRule) or not isinstance(grid, PointGrid):
        fitting = ", ".join(rules_of(PointRule))
        raise ValueError(
            f"expected a PointGrid with a rule for points, got {type(grid).__name__} with {chosen.name!r}: give "
            f"PointGrid.preset(...) and a rule of {fitting}"
        )
    boxes = as_boxes(truths, "truths")
    starts = np.array([0, len(boxes)]) if boxes.offsets is None else boxes.offsets
    points = laid_out(grid, size, len(starts) - 1, boxes.dtype)
    shape, ranges = shape_of(chosen, grid, boxes.dtype)
    far = as_number_from(reach, "reach", 0)
    counts, reaching, valid = counted(points, boxes, starts, shape, ranges, far)
    call = points, boxes, shape, ranges
    return Candidates(counts, reaching if far else None, valid, starts, boxes.images, call)


def counted(
    points: LaidOut,
    truths: Boxes,
    starts: NDArray[np.int64],
    shape: tuple[Any, ...],
    ranges: NDArray[Any],
    reach: float = 0.0,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return each truth's candidates by level, those that reach all sides, and whether the truth is valid."""
    counts = np.empty((len(truths), len(points.arrays[2])), np.int64)
    outputs = counts, np.empty(len(truths), np.int64), np.empty(len(truths), np.bool_)
    kernel = parallel.kernels("assign.points").COUNT[truths.dtype, ""]
    given, far = (truths.kernel_args(), starts), in_dtype(reach, truths.dtype)

    def count(first: int, last: int) -> None:
        kernel(points.arrays, given, shape, ranges, far, (first, last), outputs)

    parallel.run(count, parallel.cut((starts[1:] - starts[:-1]) * TRUTH_COST))
    return outputs
