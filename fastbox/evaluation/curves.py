"""Curves of precision and recall, and the statistics made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice, pairwise
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple, dataclass
from fastbox.evaluation.params import Params
from fastbox.evaluation.registry import Statistic
from fastbox.kernels.codes import THRESHOLDS_PER_WORD
from fastbox.report.numbers import counted
from fastbox.values.groups import stable
from fastbox.values.labels import once

__all__ = ["NOTHING", "Curves", "Floats", "Ranked", "Traced", "pieces", "rank", "total", "trace"]

NOTHING = -1.0  # COCO's figure without truths
PIECE = 4_000  # detections below which another thread does not pay
WHOLE = 1 << 22  # precisions in memory at once, each with its score: 64 MiB
AT_ONCE = 1 << 16  # numbers that are summed at once

Floats = NDArray[np.float64]
NO_FACTS: Mapping[str, NDArray[Any]] = MappingProxyType({})


class Ranked(NamedTuple):
    """Detections of a model, class by class and by descending score.

    Attributes
    ----------
    words : array of shape (n, ranges, words)
        A bit for each threshold that a detection reaches, and one where it is ignored.
    scores, ranks : arrays of shape (n,)
        A rank counts from 0 among the detections of an image and class.
    bounds : array of shape (classes + 1,)
        The first detection of each class, and the end of the last class.
    """

    words: NDArray[np.uint32]
    scores: Floats
    ranks: NDArray[np.int32]
    bounds: NDArray[np.int64]

    def of_classes(self, first: int, last: int) -> Ranked:
        """Return the detections of some neighbouring classes."""
        begin, end = self.bounds[[first, last]]
        bounds = self.bounds[first : last + 1] - begin
        return Ranked(self.words[begin:end], self.scores[begin:end], self.ranks[begin:end], bounds)

    def of_threshold(self, a: int, t: int) -> Ranked:
        """Return the detections with the marks of one range of areas and one threshold, moved to the first bit."""
        word, bit = divmod(t, THRESHOLDS_PER_WORD)
        return self._replace(words=self.words[:, a : a + 1, word : word + 1] >> np.uint32(bit))


@dataclass(frozen=True)
class Curves:
    """The curves of one model, -1 where a class has no truth in a range.

    Attributes
    ----------
    precision : array of shape (thresholds, recalls, classes, ranges)
        The best precision at this recall or a higher one.
    recall : array of shape (thresholds, classes, ranges, max_dets)
        The highest recall that is reached.
    scores : array like precision
        The score of the detection that reaches the recall.
    truths : array of shape (classes, ranges)
        The number of truths that count.
    """

    precision: Floats
    recall: Floats
    scores: Floats
    truths: NDArray[np.int64]

    def __repr__(self) -> str:
        sizes = zip(self.precision.shape, ("thresholds", "recalls", "classes", "ranges"), strict=True)
        return f"Curves({', '.join(counted(size, things) for size, things in sizes)})"


def rank(groups: NDArray[Any], scores: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rank rows by group and by descending score, ties in their order.

    Returns the rows, the groups that have rows, ascending, and the bounds of each group.
    """
    rows = stable(groups, int(groups.max(initial=0)) + 1)
    ordered_groups = groups[rows]
    starts = np.flatnonzero(ordered_groups[1:] != ordered_groups[:-1]) + 1
    bounds = np.concatenate((np.zeros(min(1, len(rows)), np.int64), starts, [len(rows)]))
    sort, no_codes = parallel.kernels("common.sorting").SORT[scores.dtype, ""], np.empty(0, np.int64)
    parallel.run(sort, [(no_codes, scores, bounds, rows, *span) for span in pieces(bounds)])
    return rows, ordered_groups[bounds[:-1]], bounds


def trace(detections: Ranked, truths: NDArray[np.int64], params: Params) -> Curves:
    """Trace the curves of classes, each with a count of truths in each range of areas."""
    classes, ranges = truths.shape
    thresholds, recalls = len(params.iou_thresholds), np.array(params.recalls)
    limits = np.array(params.max_dets)
    # One array for both: glibc keeps its pages for the next model. With two arrays it returns the pages to the system,
    # and 10% of the time is spent on getting them again.
    precision, at = np.full((2, classes, ranges, thresholds, len(recalls)), NOTHING)
    reached = np.full((classes, ranges, thresholds, len(limits)), NOTHING)
    kernel = parallel.kernels("evaluate.curves").TRACE[np.dtype(np.float64), ""]
    given, outputs = (tuple(detections), truths, (recalls, limits, thresholds)), (precision, reached, at)
    parallel.run(kernel, [(*given, span, outputs) for span in pieces(detections.bounds)])
    return Curves(
        precision.transpose(2, 3, 0, 1),
        reached.transpose(2, 0, 1, 3),
        at.transpose(2, 3, 0, 1),
        truths,
    )


def pieces(bounds: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut groups into pieces of about as many rows."""
    rows = int(bounds[-1] - bounds[0])
    count = min(parallel.get_num_threads() * parallel.SPANS_PER_THREAD, rows // PIECE)
    if count < 2:
        return [(0, len(bounds) - 1)] if len(bounds) > 1 else []
    marks = np.linspace(bounds[0], bounds[-1], count + 1)[1:-1]
    edges = once(np.concatenate(([0], np.searchsorted(bounds, marks), [len(bounds) - 1])))
    return list(pairwise(edges.tolist()))


class Slice(NamedTuple):
    """Some thresholds in a range of areas: precision (thresholds, recalls, classes) and recall (thresholds, max_dets,
    classes) of the classes with truths.
    """

    precision: Floats
    recall: Floats


class Range(NamedTuple):
    """The means of a range of areas: AP, AP at each threshold, and AR at each limit."""

    ap: float
    alone: dict[float, float]
    recalls: list[float]

    def value(self, found: Statistic) -> float:
        """Return the value of a statistic, -1 at a threshold that the rules lack."""
        if found.recall:
            return self.recalls[found.limit]
        return self.ap if found.threshold is None else self.alone.get(found.threshold, NOTHING)


class Traced:
    """The curves of one model: kept if they are small, else traced again for each part that is requested.

    Parameters are those of :func:`trace`, the number of images, and further facts of images that the benchmark keeps.
    """

    def __init__(
        self,
        detections: Ranked,
        truths: NDArray[np.int64],
        params: Params,
        images: int = 0,
        facts: Mapping[str, NDArray[Any]] = NO_FACTS,
    ) -> None:
        self.detections = detections
        self.truths = truths
        self.params = params
        self.images = images
        self.facts = facts
        self._kept: Curves | None = None

    @property
    def whole(self) -> Curves:
        """The curves of all classes."""
        if self._kept is not None:
            return self._kept
        whole = trace(self.detections, self.truths, self.params)
        if whole.precision.size <= WHOLE:
            self._kept = whole
        return whole

    @property
    def size(self) -> int:
        """The number of precisions that are kept after tracing."""
        return self._each * len(self.truths) if self._is_small() else 0

    def stats(self) -> dict[str, float]:
        """Return the statistics of the protocol, COCO's twelve.

        Means are summed in COCO's order: thresholds, recalls, classes.
        """
        return {found.name: self._ranges[found.area].value(found) for found in self.params.statistics}

    def ap_by_iou(self) -> dict[str, Floats]:
        """Return AP at each threshold by range of areas, arrays of shape (thresholds,), -1 without truths.

        A benchmark whose AP has no threshold of these returns an empty dict.
        """
        thresholds = self.params.iou_thresholds
        return {
            name: np.array([found.alone.get(threshold, NOTHING) for threshold in thresholds])
            for name, found in zip(self.params.area_ranges, self._ranges, strict=True)
        }

    def stats_by_class(self) -> dict[str, Floats]:
        """Return the same statistics for each class separately, arrays of shape (classes,)."""
        thresholds = np.array(self.params.iou_thresholds)

        def value(block: Curves, found: Statistic) -> Floats:
            if found.recall:
                return _mean_by_class(block.recall[..., found.area, found.limit])
            precision = block.precision[..., found.area]
            return _mean_by_class(precision if found.threshold is None else precision[thresholds == found.threshold])

        statistics = self.params.statistics
        blocks = [[value(block, found) for found in statistics] for block in self._blocks()]
        parts = zip(*blocks, strict=True)
        return {found.name: np.concatenate(part) for found, part in zip(statistics, parts, strict=True)}

    def further(self) -> dict[str, Any]:
        """Return the benchmark's further figures, as JSON holds them."""
        return {}

    def ap(self) -> float:
        """Return only AP."""
        return self._range(0).ap

    def precision(self) -> Floats:
        """Return the mean precision of the classes with truths, (thresholds, recalls), nan where there are none."""
        shape = len(self.params.iou_thresholds), len(self.params.recalls)
        if not self.truths[:, 0].any():
            return np.full(shape, np.nan)
        return np.concatenate([part.precision.mean(axis=2) for part in self._slices(0)])

    @cached_property
    def _ranges(self) -> list[Range]:
        return [self._range(a) for a in range(self.truths.shape[1])]

    def _range(self, a: int) -> Range:
        """Return the means of a range of areas."""
        classes = int(np.count_nonzero(self.truths[:, a]))
        if not classes:
            return Range(NOTHING, {}, [NOTHING] * len(self.params.max_dets))
        alone: dict[float, float] = {}
        recalls: list[Floats] = []

        def parts() -> Iterator[Floats]:
            thresholds = iter(self.params.iou_thresholds)
            for part in self._slices(a):
                recalls.append(part.recall)
                for threshold, own in zip(islice(thresholds, len(part.precision)), part.precision, strict=True):
                    alone[threshold] = float(own.reshape(-1).mean())
                yield part.precision.reshape(-1)

        count = len(self.params.iou_thresholds) * len(self.params.recalls) * classes
        ap = total(count, parts()) / count
        reached = np.concatenate(recalls)
        return Range(ap, alone, [float(reached[:, place].reshape(-1).mean()) for place in range(reached.shape[1])])

    def _slices(self, a: int) -> Iterator[Slice]:
        """Yield the curves of a range of areas, all thresholds at once if they are small, else one by one."""
        there = np.flatnonzero(self.truths[:, a])
        if self._is_small():
            precision, recall = self.whole.precision[..., a], self.whole.recall[..., a, :]
            yield Slice(np.ascontiguousarray(precision[..., there]), recall[:, there].transpose(0, 2, 1))
            return
        rules = Params(self.params.iou_thresholds[:1], self.params.recalls, {"all": (0, np.inf)}, self.params.max_dets)
        for t in range(len(self.params.iou_thresholds)):
            yield self._slice(a, t, there, rules)

    def _slice(self, a: int, t: int, there: NDArray[np.int64], rules: Params) -> Slice:
        precision = np.empty((len(rules.recalls), len(there)))
        recall = np.empty((len(rules.max_dets), len(there)))
        truths = self.truths[:, a : a + 1]
        for first, last in self._cuts(len(rules.recalls)):
            own = trace(self.detections.of_classes(first, last).of_threshold(a, t), truths[first:last], rules)
            low, high = np.searchsorted(there, (first, last))
            precision[:, low:high] = own.precision[0][:, there[low:high] - first, 0]
            recall[:, low:high] = own.recall[0, there[low:high] - first, 0].T
        return Slice(precision[None], recall[None])

    def _blocks(self) -> Iterator[Curves]:
        """Yield the curves of some classes at a time."""
        if self._is_small():
            yield self.whole
            return
        for first, last in self._cuts(self._each):
            yield trace(self.detections.of_classes(first, last), self.truths[first:last], self.params)

    @property
    def _each(self) -> int:
        """The number of precisions of a class."""
        return len(self.params.iou_thresholds) * len(self.params.recalls) * int(self.truths.shape[1])

    def _is_small(self) -> bool:
        return self._each * len(self.truths) <= WHOLE

    def _cuts(self, each: int) -> Iterator[tuple[int, int]]:
        """Cut the classes, each with a number of precisions, into blocks that may be held."""
        step = max(1, WHOLE // each)
        for first in range(0, len(self.truths), step):
            yield first, min(first + step, len(self.truths))


def total(count: int, parts: Iterable[Floats]) -> float:
    """Sum `count` numbers that come in parts, with the same bits as NumPy's sum of one array.

    >>> numbers = np.random.default_rng(0).random(1000)
    >>> bool(total(1000, [numbers[:7], numbers[7:900], numbers[900:]]) == np.add.reduce(numbers))
    True
    """
    return _summed(Coming(parts), count)


class Coming:
    """Numbers that come in parts and are taken in order."""

    def __init__(self, parts: Iterable[Floats]) -> None:
        self._parts = iter(parts)
        self._held = np.empty(0)

    def take(self, count: int) -> Floats:
        """Return the next `count` numbers."""
        while len(self._held) < count:
            more = next(self._parts)
            self._held = np.concatenate((self._held, more)) if len(self._held) else more
        taken, self._held = self._held[:count], self._held[count:]
        return taken


def _summed(coming: Coming, count: int) -> float:
    if count <= AT_ONCE:
        return float(np.add.reduce(coming.take(count)))
    half = count // 2 - count // 2 % 8  # the place where NumPy's pairwise sum divides the array
    return _summed(coming, half) + _summed(coming, count - half)


def _mean_by_class(values: Floats) -> Floats:
    """Return the mean of each class, the last axis; -1 of nothing."""
    classes = values.shape[-1]
    rows = np.moveaxis(values, -1, 0).reshape(classes, values.size // max(classes, 1))
    return rows.mean(axis=1) if rows.size else np.full(len(rows), NOTHING)
