"""The figures that COCO makes of curves, which are traced a part at a time where the whole would fill memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.curves import NOTHING, Curves, Floats, trace
from fastbox.evaluation.params import Params
from fastbox.kernels.codes import THRESHOLDS_PER_WORD

__all__ = ["Traced", "total"]

WHOLE = 1 << 22  # precisions that are held at once, each with its score: 64 MiB
ALONE = (0.5, 0.75)  # thresholds that have figures of their own
AT_ONCE = 1 << 16  # numbers that are summed at once

T = TypeVar("T")


class Slice(NamedTuple):
    """Some thresholds in a range of areas: precision (thresholds, recalls, classes) and recall (thresholds, max_dets,
    classes) of the classes with truths.
    """

    precision: Floats
    recall: Floats


class Traced:
    """The curves of one model: kept where they are small, else traced anew for each part that is asked for.

    Parameters are those of :func:`fastbox.evaluation.curves.trace`.
    """

    def __init__(
        self,
        words: NDArray[np.uint32],
        scores: Floats,
        ranks: NDArray[np.int32],
        bounds: NDArray[np.int64],
        truths: NDArray[np.int64],
        params: Params,
    ) -> None:
        self._words, self._scores, self._ranks, self._bounds = words, scores, ranks, bounds
        self.truths = truths
        self.params = params
        self._kept: Curves | None = None

    @property
    def whole(self) -> Curves:
        """The curves of all classes."""
        if self._kept is not None:
            return self._kept
        whole = trace(self._words, self._scores, self._ranks, self._bounds, self.truths, self.params)
        if whole.precision.size <= WHOLE:
            self._kept = whole
        return whole

    def stats(self) -> dict[str, float]:
        """COCO's figures: AP, AP50, AP75, AP in each range, AR of each count, AR in each range.

        Means are summed in COCO's order: thresholds, recalls, classes.
        """
        ranges = [self._range(a) for a in range(self.truths.shape[1])]
        return named(
            self.params,
            lambda a: ranges[a][0],
            lambda threshold: ranges[0][1].get(threshold, NOTHING),
            lambda a, most: ranges[a][2][most],
        )

    def stats_by_class(self) -> dict[str, Floats]:
        """The same figures of each class by itself, arrays of shape (classes,)."""
        thresholds = np.array(self.params.iou_thresholds)

        def of_block(block: Curves) -> dict[str, Floats]:
            return named(
                self.params,
                lambda a: _mean_by_class(block.precision[..., a]),
                lambda threshold: _mean_by_class(block.precision[thresholds == threshold, ..., 0]),
                lambda a, most: _mean_by_class(block.recall[..., a, most]),
            )

        blocks = [of_block(block) for block in self._blocks()]
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}

    def ap(self) -> float:
        """The first of the figures by itself."""
        return self._range(0)[0]

    def precision(self) -> Floats:
        """The mean precision of the classes with truths, (thresholds, recalls), nan where there are none."""
        shape = len(self.params.iou_thresholds), len(self.params.recalls)
        if not self.truths[:, 0].any():
            return np.full(shape, np.nan)
        return np.concatenate([part.precision.mean(axis=2) for part in self._slices(0)])

    def _range(self, a: int) -> tuple[float, dict[float, float], list[float]]:
        """AP in a range of areas, AP at each threshold by itself, and AR of each count."""
        classes = int(np.count_nonzero(self.truths[:, a]))
        if not classes:
            return NOTHING, {}, [NOTHING] * len(self.params.max_dets)
        alone: dict[float, float] = {}
        recalls: list[Floats] = []

        def parts() -> Iterator[Floats]:
            thresholds = iter(self.params.iou_thresholds)
            for part in self._slices(a):
                recalls.append(part.recall)
                for threshold, own in zip(islice(thresholds, len(part.precision)), part.precision, strict=True):
                    if a == 0 and threshold in ALONE:
                        alone[threshold] = float(own.reshape(-1).mean())
                yield part.precision.reshape(-1)

        count = len(self.params.iou_thresholds) * len(self.params.recalls) * classes
        ap = total(count, parts()) / count
        reached = np.concatenate(recalls)
        return ap, alone, [float(reached[:, place].reshape(-1).mean()) for place in range(reached.shape[1])]

    def _slices(self, a: int) -> Iterator[Slice]:
        """What a range of areas has, all thresholds at once where that is little, else one by one."""
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
            begin, end = self._bounds[[first, last]]
            # The one threshold's marks, moved to where those of a first one are.
            words = self._words[
                begin:end, a : a + 1, t // THRESHOLDS_PER_WORD : t // THRESHOLDS_PER_WORD + 1
            ] >> np.uint32(t % THRESHOLDS_PER_WORD)
            bounds = self._bounds[first : last + 1] - begin
            own = trace(words, self._scores[begin:end], self._ranks[begin:end], bounds, truths[first:last], rules)
            low, high = np.searchsorted(there, (first, last))
            precision[:, low:high] = own.precision[0][:, there[low:high] - first, 0]
            recall[:, low:high] = own.recall[0, there[low:high] - first, 0].T
        return Slice(precision[None], recall[None])

    def _blocks(self) -> Iterator[Curves]:
        """The curves of some classes at a time."""
        if self._is_small():
            yield self.whole
            return
        for first, last in self._cuts(self._each):
            begin, end = self._bounds[[first, last]]
            bounds = self._bounds[first : last + 1] - begin
            found = self._words[begin:end], self._scores[begin:end], self._ranks[begin:end], bounds
            yield trace(*found, self.truths[first:last], self.params)

    @property
    def _each(self) -> int:
        """The precisions of a class."""
        return len(self.params.iou_thresholds) * len(self.params.recalls) * int(self.truths.shape[1])

    def _is_small(self) -> bool:
        return self._each * len(self.truths) <= WHOLE

    def _cuts(self, each: int) -> Iterator[tuple[int, int]]:
        """Cut classes, each with so many precisions, into blocks that may be held."""
        step = max(1, WHOLE // each)
        for first in range(0, len(self.truths), step):
            yield first, min(first + step, len(self.truths))


def named(
    params: Params, ap: Callable[[int], T], alone: Callable[[float], T], ar: Callable[[int, int], T]
) -> dict[str, T]:
    """Name figures: AP by range, AP at a threshold alone, AR by range and count, each by its place."""
    _, *others = params.area_ranges
    figures = {"AP": ap(0), **{f"AP{threshold * 100:.0f}": alone(threshold) for threshold in ALONE}}
    figures |= {f"AP_{name}": ap(a) for a, name in enumerate(others, 1)}
    figures |= {f"AR{most}": ar(0, place) for place, most in enumerate(params.max_dets)}
    return figures | {f"AR_{name}": ar(a, -1) for a, name in enumerate(others, 1)}


def total(count: int, parts: Iterable[Floats]) -> float:
    """Sum so many numbers, which come in parts, to the bit as NumPy sums them in one array.

    >>> numbers = np.random.default_rng(0).random(1000)
    >>> bool(total(1000, [numbers[:7], numbers[7:900], numbers[900:]]) == np.add.reduce(numbers))
    True
    """
    return _summed(Coming(parts), count)


class Coming:
    """Numbers that come in parts, taken in order as many as are asked for."""

    def __init__(self, parts: Iterable[Floats]) -> None:
        self._parts = iter(parts)
        self._held = np.empty(0)

    def take(self, count: int) -> Floats:
        """The next ones."""
        while len(self._held) < count:
            more = next(self._parts)
            self._held = np.concatenate((self._held, more)) if len(self._held) else more
        taken, self._held = self._held[:count], self._held[count:]
        return taken


def _summed(coming: Coming, count: int) -> float:
    if count <= AT_ONCE:
        return float(np.add.reduce(coming.take(count)))
    half = count // 2 - count // 2 % 8  # where NumPy cuts
    return _summed(coming, half) + _summed(coming, count - half)


def _mean_by_class(values: Floats) -> Floats:
    """The mean of each class, the last axis: all is there, or nothing."""
    classes = values.shape[-1]
    rows = np.moveaxis(values, -1, 0).reshape(classes, values.size // max(classes, 1))
    return rows.mean(axis=1) if rows.size else np.full(len(rows), NOTHING)
