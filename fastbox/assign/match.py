"""Which anchor learns which truth: matching without the matrix, exact to a named rule."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.assign.rule import RULES, MatchRule, as_rule
from fastbox.boxes.container import FORMATS, Boxes, as_boxes
from fastbox.values.arguments import named
from fastbox.values.groups import align_images
from fastbox.values.numbers import as_floats, as_sides, in_dtype

__all__ = ["RULES", "MatchRule", "Matches", "match"]

TRUTH_COST = 4096  # what a truth costs among the anchors of a grid, in pairs


class Grid(Protocol):
    """Anchors laid out in levels for an image's size.

    A level is x0, y0, x1, y1: columns (shapes, columns) from x0 to x1 and rows (shapes, rows) from y0 to y1.
    """

    def levels(self, size: tuple[int, int], /) -> Sequence[tuple[NDArray[Any], ...]]: ...
    def __hash__(self) -> int: ...


class Matches(NamedTuple):
    """What each anchor learns, image by image.

    Attributes
    ----------
    labels : array of int8
        1 positive, 0 negative, -1 ignored.
    truths : array of int64
        The row of the truth, so that ``boxes_of_truths[truths]`` works; -1 for none. Dense results have it for every
        anchor that overlaps a truth, whatever its label.
    values : array of float
        The IoU with that truth; 0 for none.
    anchors : array of int64, or None
        The anchors' numbers within their image, ascending, where only those that are not negative are listed; None
        where all are.
    offsets : array of int64
        Where each image's rows begin, and the end.
    images : array, or None
        The images' ids, where the truths have them.
    best : array of float
        One for each truth: its highest IoU with an anchor that is not ignored, nan if it is invalid.
    """

    labels: NDArray[np.int8]
    truths: NDArray[np.int64]
    values: NDArray[Any]
    anchors: NDArray[np.int64] | None
    offsets: NDArray[np.int64]
    images: NDArray[Any] | None
    best: NDArray[Any]

    def __repr__(self) -> str:
        positive, ignored = np.count_nonzero(self.labels == 1), np.count_nonzero(self.labels == -1)
        among = "" if self.anchors is not None else f", {len(self.labels) - positive - ignored} negative"
        return f"Matches({positive} positive, {ignored} ignored{among}; {len(self.offsets) - 1} images)"


@named
def match(
    anchors: Any,
    truths: Any,
    *,
    rule: MatchRule | str = "fastbox",
    size: Any = None,
    ignore: Any = None,
    sparse: bool = False,
) -> Matches:
    """Match anchors to truths by IoU, without the matrix, exactly as a named rule does.

    Parameters
    ----------
    anchors : AnchorGrid, Boxes or array of shape (n, 4)
        A grid, or boxes that are the same for every image, or boxes grouped by image (proposals, detections).
    truths : Boxes or array of shape (m, 4)
        Grouped by image, a whole dataset is matched in one call.
    rule : MatchRule or str
        A rule, or the name of one from ``fastbox.RULES`` with its defaults.
    size : (width, height), optional
        For a grid, and then required: the image's size in pixels. For grouped truths also one size each: a pair of
        arrays of shape (g,), or an array of shape (g, 2).
    ignore : Boxes or array of shape (k, 4), optional
        Ignore regions, grouped as the truths are. Anchors inside them take no part: they are ignored, and no truth's
        best.
    sparse : bool
        List only the anchors that are not negative: all that a loss needs, in a small fraction of memory and time.

    Returns
    -------
    Matches
        Labels, truths and values, the same bits for any number of threads and as the whole IoU matrix would give.

    Raises
    ------
    ValueError
        An unknown rule, ignore regions with a rule that has none, a size that is missing or can't be, or sets of which
        only some are grouped.

    Notes
    -----
    An invalid truth matches nothing. An invalid anchor is ignored. Values tie towards the first truth. With ``"atss"``
    only positives have a truth and a value.

    Examples
    --------
    >>> import fastbox
    >>> anchors = [[0, 0, 10, 10], [10, 10, 20, 20], [5, 5, 15, 15], [32, 32, 38, 42]]
    >>> truths = [[0, 0, 10, 9], [0, 10, 10, 19]]
    >>> found = fastbox.match(anchors, truths, rule="torchvision")
    >>> found
    Matches(2 positive, 0 ignored, 2 negative; 1 images)
    >>> found.labels, found.truths
    (array([1, 0, 1, 0], dtype=int8), array([ 0, -1,  1, -1]))
    >>> fastbox.match(anchors, truths, sparse=True).anchors
    array([0, 2])
    """
    rule = as_rule(rule)
    truths = as_boxes(truths, "truths")
    if ignore is not None and rule.ignore_iof is None:
        raise ValueError(f"expected a rule with ignore_iof for ignore regions, got {rule.name!r} without")
    regions = Boxes(np.empty((0, 4), np.float32)) if ignore is None else as_boxes(ignore, "ignore")
    dtype = np.result_type(truths.dtype, regions.dtype)
    if hasattr(anchors, "levels"):
        images, starts = _together(truths=truths, ignore=None if ignore is None else regions)
        source = _of_grid(anchors, size, len(starts[0]) - 1, dtype, rule)
    else:
        if size is not None:
            raise ValueError("size= is for an AnchorGrid, got it with boxes")
        boxes = as_boxes(anchors, "anchors")
        grouped = boxes.offsets is not None
        sets = {"ignore": None if ignore is None else regions, "anchors": boxes if grouped else None}
        images, starts = _together(truths=truths, **sets)
        source = _of_boxes(boxes, starts[2] if grouped else None, len(starts[0]) - 1, dtype, rule)
    return _run(source, rule, truths, regions, images, starts, sparse)


class _Source(NamedTuple):
    """Anchors as a kernel takes them."""

    kind: str
    dtype: np.dtype[Any]
    arrays: tuple[Any, ...]
    per_image: NDArray[np.int64]  # how many anchors each image has
    width: int  # of the work space
    per_truth: NDArray[np.int64] | int  # what a truth costs, in pairs


def _run(
    source: _Source,
    rule: MatchRule,
    truths: Boxes,
    regions: Boxes,
    images: NDArray[Any] | None,
    starts: list[NDArray[np.int64]],
    sparse: bool,
) -> Matches:
    dtype = source.dtype
    begins = _sums(source.per_image)
    rows = 0 if sparse else int(begins[-1])
    labels, owners, values = np.empty(rows, np.int8), np.empty(rows, np.int64), np.empty(rows, dtype)
    counts, best = np.zeros(len(source.per_image), np.int64), np.empty(len(truths), dtype)
    longest = int(source.per_image.max(initial=0))
    sides = [(FORMATS.index(b.format), *b.columns) for b in (truths.astype(dtype), regions.astype(dtype))]
    common = source.arrays, source.width, _numbers(rule, dtype), *sides, *starts[:2]
    family = parallel.kernels("assign.iou_rule")
    kernel = (family.GRID if source.kind.startswith("grid") else family.BOXES)[dtype, source.kind]

    def assign(_: int, first: int, last: int) -> Any:
        space = _take_space(longest, dtype)
        outputs = (labels, *space[:2]) if sparse else (labels, owners, values)
        found = kernel(*common, first, last, begins, sparse, outputs, best, space[2:], counts)
        _keep_space(space)
        return found

    cost = np.diff(starts[0]) * source.per_truth + (0 if sparse else source.per_image)
    parts = parallel.run(assign, parallel.cuts(np.arange(len(cost) + 1), _sums(cost)))
    if not sparse:
        return Matches(labels, owners, values, None, begins, images, best)
    none = np.empty(0, np.int64), labels, owners, values
    anchors, labels, owners, values = (np.concatenate(column) for column in zip(none, *parts, strict=True))
    return Matches(labels, owners, values, anchors, _sums(counts), images, best)


def _together(**sets: Boxes | None) -> tuple[NDArray[Any] | None, list[NDArray[np.int64]]]:
    """The images of truths and more: ids where they have them, and where each image's rows of each set begin."""
    truths = sets["truths"]
    assert truths is not None
    given = {name: boxes for name, boxes in sets.items() if boxes is not None}
    every = truths
    for name, boxes in given.items():
        if (boxes.offsets is None) != (truths.offsets is None):
            grouped, flat = (name, "truths") if truths.offsets is None else ("truths", name)
            raise ValueError(
                f"expected truths, ignore and anchors grouped by image alike (only anchors that are the same for every "
                f"image need no groups), got {grouped} grouped and {flat} not: give image ids, as in "
                f"Boxes(boxes, images=ids)"
            )
        images, offsets, _ = align_images(every, boxes, ("truths", name))
        if truths.offsets is not None:
            every = Boxes.of(every.columns, every.format, offsets, images)
    images = every.images
    starts = [np.zeros(0, np.int64) if boxes is None else align_images(every, boxes)[2] for boxes in sets.values()]
    nothing = np.zeros(len(starts[0]), np.int64)
    return images, [nothing if boxes is None else found for boxes, found in zip(sets.values(), starts, strict=True)]


def _of_boxes(
    boxes: Boxes, starts: NDArray[np.int64] | None, images: int, dtype: np.dtype[Any], rule: MatchRule
) -> _Source:
    """Plain boxes: grouped by image, or without starts the same for all images."""
    boxes = boxes.astype(np.result_type(dtype, boxes.dtype))
    which = np.zeros(images, np.int64) if starts is None else np.arange(images)
    bounds = np.array([0, len(boxes)]) if starts is None else starts
    counts = np.diff(bounds)
    levels = np.zeros((len(counts), 0), np.int64)
    if rule.topk is not None:
        if rule.levels is None:
            raise ValueError("expected levels= in MatchRule.atss for anchors that are plain boxes, got none")
        wrong = counts != sum(rule.levels)
        if wrong.any():
            raise ValueError(
                f"expected levels that sum to the number of anchors, {counts[wrong][0]}, got {rule.levels}"
            )
        levels = np.tile(np.array(rule.levels, np.int64), (len(counts), 1))
    arrays = ((FORMATS.index(boxes.format), *boxes.columns), bounds, which, levels, rule.topk or 0)
    kind = "boxes" if rule.topk is None else "boxes atss"
    return _Source(kind, boxes.dtype, arrays, counts[which], _lanes(counts), counts[which])


def _of_grid(grid: Grid, size: Any, images: int, dtype: np.dtype[Any], rule: MatchRule) -> _Source:
    from fastbox.kernels.assign import planes

    sizes, which = _sizes(size, images)
    found = planes.joined([_planes(grid, one, dtype) for one in sizes], dtype)
    per_image = found.counts[which]
    arrays = (*found.arrays, found.counts, found.tame, which, found.levels, rule.topk or 0)
    if rule.topk is None:
        return _Source("grid", found.dtype, arrays, per_image, found.widest, TRUTH_COST)
    return _Source("grid atss", found.dtype, arrays, per_image, _lanes(found.counts), per_image)


@lru_cache(maxsize=512)
def _planes(grid: Grid, size: tuple[int, int], dtype: np.dtype[Any]) -> Any:
    from fastbox.kernels.assign import planes

    return planes.laid_out(grid.levels(size), dtype)


def _sizes(size: Any, images: int) -> tuple[tuple[tuple[int, int], ...], NDArray[np.int64]]:
    """The different sizes there are, and which of them each image has."""
    if size is None:
        raise ValueError("expected size=(width, height) with an AnchorGrid, got none")
    pair = isinstance(size, tuple) and len(size) == 2
    if pair and type(size[0]) is type(size[1]) is int and min(size) > 0 and max(size) < 2**31:
        return (size,), np.zeros(images, np.int64)
    if pair or not hasattr(size, "__len__") or isinstance(size, str):
        width, height = as_sides(size)
        shapes = {side.shape for side in (width, height)} - {()}
        found = np.stack(np.broadcast_arrays(width, height), axis=-1) if len(shapes) < 2 else width
    else:
        found = as_floats(size, "size")
    if found.shape not in ((2,), (images, 2)):
        raise ValueError(f"expected size=(width, height) or {images} of them, got shape {found.shape}")
    if not ((found >= 1) & (found < 2**31) & (found == np.floor(found))).all():
        raise ValueError(f"expected sizes of whole pixels, at least 1, got {size!r}")
    whole = np.broadcast_to(found.astype(np.int64), (images, 2))
    different, which = np.unique(whole, axis=0, return_inverse=True)
    return tuple((w, h) for w, h in different.tolist()), which.reshape(-1).astype(np.int64, copy=False)


@lru_cache(maxsize=64)
def _numbers(rule: MatchRule, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """A rule as a kernel takes it."""
    from fastbox.kernels.assign import candidates
    from fastbox.kernels.assign import iou_rule as kernels

    flags = {"none": 0, "ties": kernels.TIES, "first": kernels.FIRST}[rule.claims]
    flags |= {"own": kernels.OWN, "first": 0, "last": kernels.LAST}[rule.receiver]
    flags |= kernels.AT_ZERO * rule.claims_at_zero | kernels.ALL_NEGATIVE * rule.negative_without_truths
    divisor = candidates.BY_ANCHOR if rule.ignore_by == "anchor" else candidates.BY_TRUTH
    most = in_dtype(np.inf if rule.ignore_iof is None else rule.ignore_iof, dtype)
    thresholds = np.array([in_dtype(threshold, dtype) for threshold in rule.thresholds], dtype)
    labels = np.array(rule.labels, np.int8)
    leaves = thresholds[(labels[1:] != 0) & (thresholds > 0)]
    floor = dtype.type(0) if rule.topk is not None else leaves.min(initial=np.inf)
    return thresholds, labels, flags, in_dtype(rule.min_claim, dtype), divisor, most, dtype.type(floor)


# Space for one image's anchors, kept for each thread since to fill it anew costs more than to match. A kernel hands it
# back as it came; one that was interrupted keeps it.
_spaces = threading.local()


def _take_space(n: int, dtype: np.dtype[Any]) -> tuple[NDArray[Any], ...]:
    """Truths of -1, values of 0, claims of -1, and anything."""
    space: tuple[NDArray[Any], ...] | None = _spaces.__dict__.pop(dtype.name, None)
    if space is None or len(space[0]) < n:
        space = np.full(n, -1), np.zeros(n, dtype), np.full(n, -1, np.int32), np.empty(n, np.int32)
    return space


def _keep_space(space: tuple[NDArray[Any], ...]) -> None:
    _spaces.__dict__[space[1].dtype.name] = space


def _sums(counts: Any) -> NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


def _lanes(counts: NDArray[np.int64]) -> int:
    """Room for the longest set, filled up as kernels/tiles.py packs it."""
    return -(-int(counts.max(initial=0)) // 32) * 32
