"""Anchors assigned to truths by their IoU, exact to a rule of a detector, without the matrix of all IoUs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.assign.assigner import Assigner
from fastbox.assign.images import images_of, sizes_of
from fastbox.assign.result import Matches
from fastbox.assign.rule import MatchRule
from fastbox.boxes.base import Collection
from fastbox.boxes.container import Boxes
from fastbox.kernels import codes
from fastbox.kernels.codes import PLAIN, QUADS
from fastbox.ops.checks import as_collection
from fastbox.ops.geometry import geometry_of
from fastbox.values.groups import offsets_of
from fastbox.values.numbers import in_dtype
from fastbox.values.spare import empty

__all__ = ["ASSIGNER"]

TRUTH_COST = 4096  # the cost of a truth among the anchors of a grid, in pairs


NO_REGIONS = Boxes(np.empty((0, 4), np.float32))


class Grid(Protocol):
    """Anchors in levels, for an image's size.

    A level is x0, y0, x1, y1: columns (shapes, columns) from x0 to x1 and rows (shapes, rows) from y0 to y1.
    """

    def levels(self, size: tuple[int, int], /) -> Sequence[tuple[NDArray[Any], ...]]: ...
    def __hash__(self) -> int: ...


def assign_by_iou(rule: MatchRule, anchors: Any, truths: Any, *, size: Any, ignore: Any, sparse: bool) -> Matches:
    """Assign anchors to truths by a rule; arguments and errors are those of :func:`fastbox.match`."""
    truths = as_collection(truths, "truths")
    if ignore is not None and rule.ignore_iof is None:
        raise ValueError(
            f"expected a rule with ignore_iof for ignore regions, got {rule.name!r} without: give "
            "MatchRule.fastbox() or MatchRule.mmdet(ignore_iof_thr=0.5)"
        )
    regions = NO_REGIONS if ignore is None else as_collection(ignore, "ignore")
    dtype = np.result_type(truths.dtype, regions.dtype)
    if hasattr(anchors, "levels"):
        images, starts = images_of(truths=truths, ignore=None if ignore is None else regions)
        geometry = _geometry_of(rule, truths, regions)
        source = _of_grid(anchors, size, len(starts[0]) - 1, dtype, rule)
    else:
        if size is not None:
            raise ValueError("expected size= with an AnchorGrid alone, got size= with boxes: leave it out")
        boxes = as_collection(anchors, "anchors")
        grouped = boxes.offsets is not None
        sets = {"ignore": None if ignore is None else regions, "anchors": boxes if grouped else None}
        images, starts = images_of(truths=truths, **sets)
        geometry = _geometry_of(rule, truths, regions, boxes)
        source = _of_boxes(boxes, starts[2] if grouped else None, len(starts[0]) - 1, dtype, rule, geometry)
    return _run(source, rule, geometry, (truths, regions), images, starts, sparse)


def _geometry_of(rule: MatchRule, *sets: Collection) -> str:
    """Return the geometry in which anchors are compared with truths and regions."""
    geometry = geometry_of(*sets)
    if geometry == QUADS and rule.topk is not None:
        raise ValueError(
            "expected rectangles for a rule of ATSS, which ranks anchors by their centres, got quadrilaterals: give "
            "boxes.rectangles()"
        )
    return geometry


class _Source(NamedTuple):
    """Anchors in the form that kernels take."""

    kind: str
    dtype: np.dtype[Any]
    arrays: tuple[Any, ...]
    per_image: NDArray[np.int64]  # the number of anchors of each image
    longest: int  # the most of them
    width: int  # the length of the work space
    per_truth: NDArray[np.int64] | int  # the cost of a truth, in pairs


def _run(
    source: _Source,
    rule: MatchRule,
    geometry: str,
    sets: tuple[Collection, Collection],
    images: NDArray[Any] | None,
    starts: list[NDArray[np.int64]],
    sparse: bool,
) -> Matches:
    dtype = source.dtype
    begins = offsets_of(source.per_image)
    rows = 0 if sparse else int(begins[-1])
    labels, owners, values = empty(rows, np.int8), empty(rows, np.int64), empty(rows, dtype)
    counts, best = np.zeros(len(source.per_image), np.int64), np.empty(len(sets[0]), dtype)
    sides = [(boxes.astype(dtype).kernel_args(geometry), begin) for boxes, begin in zip(sets, starts[:2], strict=True)]
    common = (source.arrays, source.width), _numbers(rule, dtype), *sides
    family = parallel.kernels(f"assign.{'iou_rule' if geometry == PLAIN else geometry}")
    kernel = (family.GRID if source.kind.startswith("grid") else family.BOXES)[dtype, source.kind]

    def assign(first: int, last: int) -> Any:
        space = _take_space(source.longest, dtype)
        outputs = (labels, *space[:2], best, counts) if sparse else (labels, owners, values, best, counts)
        found = kernel(*common, (first, last), (begins, sparse), outputs, space[2:])
        _keep_space(space)
        return found

    cost = (starts[0][1:] - starts[0][:-1]) * source.per_truth + (0 if sparse else source.per_image)
    spans = parallel.cut(cost + parallel.ROW_COST)
    if spans and parallel.get_num_threads() == 1:  # each span packs the anchors that its images share anew
        spans = [(0, len(cost))]
    parts = parallel.run(assign, spans)
    if not sparse:
        return Matches(labels, owners, values, None, begins, images, best)
    if len(parts) == 1:
        anchors, labels, owners, values = parts[0]
    else:
        none = np.empty(0, np.int64), labels, owners, values
        anchors, labels, owners, values = (np.concatenate(column) for column in zip(none, *parts, strict=True))
    return Matches(labels, owners, values, anchors, offsets_of(counts), images, best)


def _of_boxes(
    boxes: Collection,
    starts: NDArray[np.int64] | None,
    images: int,
    dtype: np.dtype[Any],
    rule: MatchRule,
    geometry: str,
) -> _Source:
    """Return boxes as a source: grouped by image, or, without starts, the same boxes for all images."""
    boxes = boxes.astype(np.result_type(dtype, boxes.dtype))
    which = np.zeros(images, np.int64) if starts is None else np.arange(images)
    bounds = np.array([0, len(boxes)]) if starts is None else starts
    counts = bounds[1:] - bounds[:-1]
    levels = np.zeros((len(counts), 0), np.int64)
    if rule.topk is not None:
        if rule.levels is None:
            raise ValueError(
                "expected levels= in MatchRule.atss for anchors that are plain boxes, got none: give the number "
                "of anchors of each level"
            )
        wrong = counts != sum(rule.levels)
        if wrong.any():
            raise ValueError(
                f"expected levels that sum to the number of anchors, {counts[wrong][0]}, got {rule.levels}"
            )
        levels = np.tile(np.array(rule.levels, np.int64), (len(counts), 1))
    arrays = (boxes.kernel_args(geometry), bounds, which, levels, rule.topk or 0)
    kind = "boxes" if rule.topk is None else "boxes atss"
    per_image, longest = counts[which], int(counts.max(initial=0))
    return _Source(kind, boxes.dtype, arrays, per_image, longest, _whole_lanes(longest), per_image)


def _of_grid(grid: Grid, size: Any, images: int, dtype: np.dtype[Any], rule: MatchRule) -> _Source:
    from fastbox.kernels.assign import planes

    sizes, which = sizes_of(size, images)
    found = planes.joined([_planes(grid, one, dtype) for one in sizes], dtype)
    per_image = found.counts[which]
    arrays = (*found.arrays, found.counts, found.screenable, which, found.levels, rule.topk or 0)
    longest = int(found.counts.max(initial=0))
    if rule.topk is None:
        return _Source("grid", found.dtype, arrays, per_image, longest, _whole_lanes(found.widest), TRUTH_COST)
    return _Source("grid atss", found.dtype, arrays, per_image, longest, _whole_lanes(longest), per_image)


@lru_cache(maxsize=512)
def _planes(grid: Grid, size: tuple[int, int], dtype: np.dtype[Any]) -> Any:
    from fastbox.kernels.assign import planes

    return planes.laid_out(grid.levels(size), dtype)


@lru_cache(maxsize=64)
def _numbers(rule: MatchRule, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Return a rule in the form that kernels take."""
    flags = {"none": 0, "ties": codes.TIES, "first": codes.FIRST}[rule.claims]
    flags |= {"own": codes.OWN, "first": 0, "last": codes.LAST}[rule.receiver]
    flags |= codes.AT_ZERO * rule.claims_at_zero | codes.ALL_NEGATIVE * rule.negative_without_truths
    divisor = codes.BY_ANCHOR if rule.ignore_by == "anchor" else codes.BY_TRUTH
    most = in_dtype(np.inf if rule.ignore_iof is None else rule.ignore_iof, dtype)
    thresholds = np.array([in_dtype(threshold, dtype) for threshold in rule.thresholds], dtype)
    labels = np.array(rule.labels, np.int8)
    leaves = thresholds[(labels[1:] != 0) & (thresholds > 0)]
    floor = dtype.type(0) if rule.topk is not None else leaves.min(initial=np.inf)
    return thresholds, labels, flags, in_dtype(rule.min_claim, dtype), divisor, most, dtype.type(floor)


# Work space for the anchors of one image, kept for each thread, since filling a new one takes longer than matching. A
# kernel returns the space as it was; a space whose kernel was interrupted is not kept.
_spaces = threading.local()


def _take_space(n: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    """Return arrays for n anchors: truths of -1, values of 0, claims of -1, and one without defined values."""
    space: tuple[NDArray[Any], ...] | None = _spaces.__dict__.pop(dtype.char, None)
    if space is None or len(space[0]) < n:
        space = np.full(n, -1), np.zeros(n, dtype), np.full(n, -1, np.int32), np.empty(n, np.int32)
    return space


def _keep_space(space: tuple[NDArray[Any], ...]) -> None:
    _spaces.__dict__[space[1].dtype.char] = space


def _whole_lanes(n: int) -> int:
    """Return the length of a set filled up to whole lanes."""
    return -(-n // codes.LANES) * codes.LANES


ASSIGNER = Assigner(
    MatchRule,
    assign_by_iou,
    {
        "atss": MatchRule.atss,
        "detectron2": MatchRule.detectron2,
        "fastbox": MatchRule.fastbox,
        "keras-hub": MatchRule.keras_hub,
        "mmdet": MatchRule.mmdet,
        "ssd": MatchRule.ssd,
        "tf": MatchRule.tf,
        "torchvision": MatchRule.torchvision,
    },
)
