"""Points assigned to truths, exact to a rule of a detector without anchors, without the matrix of points and truths."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.anchors.points import PointGrid
from fastbox.assign.assigner import Assigner
from fastbox.assign.assigners.iou_rule import ASSIGNER as ANCHORED
from fastbox.assign.candidates import counted
from fastbox.assign.grids import LaidOut, laid_out, shape_of
from fastbox.assign.point_rule import POINT_RULES, PointRule
from fastbox.assign.result import Matches
from fastbox.assign.scores import Predicted, predicted
from fastbox.boxes.container import Boxes, as_boxes
from fastbox.kernels.assign import point_codes as codes
from fastbox.values.groups import align_images, offsets_of
from fastbox.values.numbers import in_dtype

__all__ = ["ASSIGNER"]

OVERLAPS = {"ultralytics": codes.CLAMPED_CIOU, "mmyolo": codes.MMYOLO_CIOU, "yolov6": codes.YOLOV6_IOU}
AREAS = {"authors": codes.LEGACY_AREA, "mmdet": codes.PLAIN_AREA, "torchvision": codes.TORCHVISION_AREA}
TRUTH_COST = {"fcos": 64, "tal": 2048, "tood": 4096, "simota": 4096, "rtmdet": 8192}  # in pairs
POINT_COST = {"fcos": 1, "tal": 1, "tood": 2, "simota": 64, "rtmdet": 64}


# The floats and the 32-bit integers of work space for a point, and whether it has a float64: 84 bytes at most.
SPACES = {"fcos": (1, 2, 0), "tal": (3, 5, 0), "tood": (8, 2, 0), "simota": (7, 5, 1), "rtmdet": (6, 4, 1)}
BLOCK = 64  # points: work space has a multiple


class _Call(NamedTuple):
    """The arguments of every kernel of points, and its outputs."""

    grid: tuple[Any, ...]
    truths: tuple[Any, ...]
    shape: tuple[Any, ...]
    ranges: NDArray[Any]
    outputs: tuple[NDArray[Any], ...]


def assign_points(
    rule: PointRule,
    anchors: Any,
    truths: Any,
    *,
    size: Any,
    ignore: Any,
    sparse: bool,
    **predictions: Any,
) -> Matches:
    """Assign points to truths by a rule; arguments and errors are those of :func:`fastbox.match`."""
    if not isinstance(anchors, PointGrid):
        raise ValueError(
            f"expected a PointGrid with rule {rule.name!r}, a rule for points, got {type(anchors).__name__}: give "
            f"PointGrid.preset(...), or a rule for anchors: {', '.join(ANCHORED.named)}"
        )
    if ignore is not None:
        raise ValueError(f"expected no ignore= with rule {rule.name!r}, which has no regions to ignore: leave it out")
    wanted = as_boxes(truths, "truths")
    given = predicted(rule, wanted, **predictions)
    dtype = wanted.dtype if given is None else np.result_type(wanted.dtype, given.boxes.dtype)
    wanted = wanted.astype(dtype)
    images, starts, firsts = _images(wanted, given)
    points = laid_out(anchors, size, len(starts) - 1, dtype)
    if given is not None:
        given.check(points.counts, firsts, images)
    return _run(rule, anchors, wanted, given, (images, starts, firsts), points, sparse)


def _images(truths: Boxes, given: Predicted | None) -> tuple[NDArray[Any] | None, NDArray[np.int64], NDArray[np.int64]]:
    """Return the ids of images, if any, and the first row of each image among truths and predictions."""
    if given is not None:
        return align_images(truths, given.boxes, ("truths", "boxes"))
    starts = np.array([0, len(truths)]) if truths.offsets is None else truths.offsets
    return truths.images, starts, starts


def _run(
    rule: PointRule,
    grid: PointGrid,
    truths: Boxes,
    given: Predicted | None,
    alignment: tuple[NDArray[Any] | None, NDArray[np.int64], NDArray[np.int64]],
    points: LaidOut,
    sparse: bool,
) -> Matches:
    (images, starts, firsts), dtype = alignment, truths.dtype
    shape, ranges = shape_of(rule, grid, dtype)
    candidates, _, valid = counted(points, truths, starts, shape, ranges)
    best = np.where(valid, dtype.type(0 if rule.predicts else np.nan), dtype.type(np.nan))
    per_image, positives = np.zeros(len(starts) - 1, np.int64), np.zeros(len(truths), np.int64)
    call = _Call(points.arrays, (truths.kernel_args(), starts), shape, ranges, (per_image, positives, best))
    task = TASKS[rule.family]
    sizes = starts[1:] - starts[:-1]
    cost = sizes * TRUTH_COST[rule.family] + points.counts * POINT_COST[rule.family]
    spans = parallel.cut(cost)
    if spans and parallel.get_num_threads() == 1:
        spans = [(0, len(cost))]

    def assign(first: int, last: int) -> Found:
        most = int(points.counts[first:last].max()), int(sizes[first:last].max())
        found: Found = task(rule, call, given, firsts, (first, last), _space(rule, *most, dtype))
        return found

    parts = parallel.run(assign, spans)
    none = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, dtype), np.empty(0, dtype)
    columns = parts[0] if len(parts) == 1 else tuple(map(np.concatenate, zip(none, *parts, strict=True)))
    return _matches(columns, points.counts, call.outputs, images, candidates, sparse)


def _space(rule: PointRule, points: int, truths: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    """Return work space for an image of a number of points and truths."""
    floats, ints, doubles = SPACES[rule.family]
    points = -(-points // BLOCK) * BLOCK
    return (
        np.empty((floats, points), dtype),
        np.empty((ints, points), np.int32),
        np.empty(points * doubles, np.float64),
        np.empty((6, truths), dtype),
        np.empty((2, rule.topk), dtype),
        np.empty((2, rule.topk), np.int64),
    )


def _matches(
    columns: tuple[NDArray[Any], ...],
    counts: NDArray[np.int64],
    outputs: tuple[NDArray[Any], ...],
    images: NDArray[Any] | None,
    candidates: NDArray[np.int64],
    sparse: bool,
) -> Matches:
    numbers, rows, values, ious = columns
    per_image, positives, best = outputs
    if sparse:
        labels = np.ones(len(numbers), np.int8)
        return Matches(labels, rows, values, numbers, offsets_of(per_image), images, best, ious, candidates, positives)
    begins = offsets_of(counts)
    total = int(begins[-1])
    labels, owners = np.zeros(total, np.int8), np.full(total, -1)
    every_value, every_iou = np.zeros(total, values.dtype), np.zeros(total, values.dtype)
    at = numbers + np.repeat(begins[:-1], per_image)
    labels[at], owners[at], every_value[at], every_iou[at] = 1, rows, values, ious
    return Matches(labels, owners, every_value, None, begins, images, best, every_iou, candidates, positives)


Found = tuple[NDArray[Any], ...]


def _fcos(
    rule: PointRule, call: _Call, given: None, firsts: NDArray[np.int64], span: tuple[int, int], space: Found
) -> Found:
    dtype = call.ranges.dtype
    kernel = parallel.kernels("assign.fcos").FCOS[dtype, ""]
    numbers, rows = kernel(
        call.grid, call.truths, (call.shape, call.ranges, AREAS[rule.variant]), span, call.outputs, space
    )
    return numbers, rows, np.ones(len(rows), dtype), np.full(len(rows), np.nan, dtype)


def _tal(
    rule: PointRule, call: _Call, given: Predicted, firsts: NDArray[np.int64], span: tuple[int, int], space: Found
) -> Found:
    kernel = parallel.kernels("assign.tal").TAL[call.ranges.dtype, ""]
    kept = rule.topk if rule.topk2 is None else rule.topk2
    numbers = rule.topk, kept, OVERLAPS[rule.variant], rule.alpha, rule.beta
    rules = numbers, call.shape, rule.everywhere, in_dtype(rule.eps, call.ranges.dtype)
    predictions = given.kernel_args(call.ranges.dtype, firsts)
    found: Found = kernel(call.grid, (*call.truths, given.classes), predictions, rules, span, call.outputs, space)
    return found


def _tood(
    rule: PointRule, call: _Call, given: Predicted, firsts: NDArray[np.int64], span: tuple[int, int], space: Found
) -> Found:
    kernel = parallel.kernels("assign.tood").TOOD[call.ranges.dtype, ""]
    predictions = given.kernel_args(call.ranges.dtype, firsts)
    numbers = rule.topk, rule.alpha, rule.beta
    found: Found = kernel(call.grid, (*call.truths, given.classes), predictions, numbers, span, call.outputs, space)
    return found


def _simota(
    rule: PointRule, call: _Call, given: Predicted, firsts: NDArray[np.int64], span: tuple[int, int], space: Found
) -> Found:
    dtype = call.ranges.dtype
    kernel = parallel.kernels("assign.simota").SIMOTA[dtype, ""]
    weights = rule.far, rule.least_union, rule.eps, rule.weight
    numbers = *(in_dtype(weight, dtype) for weight in weights), rule.topk
    predictions = given.scored_args(dtype, firsts)
    truths = *call.truths, given.classes
    found: Found = kernel(call.grid, truths, predictions, (numbers, call.shape), span, call.outputs, space)
    return found


def _rtmdet(
    rule: PointRule, call: _Call, given: Predicted, firsts: NDArray[np.int64], span: tuple[int, int], space: Found
) -> Found:
    dtype = call.ranges.dtype
    kernel = parallel.kernels("assign.rtmdet").RTMDET[dtype, ""]
    numbers = in_dtype(rule.radius, dtype), in_dtype(rule.weight, dtype), rule.topk, rule.variant == "mmyolo"
    predictions = given.kernel_args(dtype, firsts)
    found: Found = kernel(call.grid, (*call.truths, given.classes), predictions, numbers, span, call.outputs, space)
    return found


TASKS: dict[str, Any] = {"fcos": _fcos, "tal": _tal, "tood": _tood, "simota": _simota, "rtmdet": _rtmdet}

ASSIGNER = Assigner(PointRule, assign_points, {name: partial(POINT_RULES.__getitem__, name) for name in POINT_RULES})
