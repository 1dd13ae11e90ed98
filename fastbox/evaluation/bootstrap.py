"""Confidence intervals of figures, from samples of the images that are drawn with replacement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.evaluation.curves import NOTHING, Floats
from fastbox.evaluation.params import Params

__all__ = ["Draws", "Weights", "draw", "interval", "resample"]

HELD = 1 << 24  # numbers that the samples in memory have at most
LENT = 1 << 29  # bytes that threads work in at most


class Weights(NamedTuple):
    """The number of times that each image is drawn in some samples, as the kernel takes them.

    Attributes
    ----------
    samples : int
    lanes : array of (groups, images * the samples of a group)
        The samples of each group, image by image; 0 in the lanes after the last sample.
    """

    samples: int
    lanes: NDArray[np.int32]


def draw(images: int, samples: int, seed: int, each: int = 1) -> Iterator[Weights]:
    """Yield the number of times that each image is drawn, for as many samples at a time as memory holds.

    `each` is the number of further numbers that a sample takes in memory.
    """
    lanes = _kernels().SIDE_BY_SIDE
    random = np.random.default_rng(seed)
    step = max(1, HELD // max(images, 2 * each, 1))
    if step > lanes:
        step -= step % lanes
    for first in range(0, samples, step):
        size = min(step, samples - first)
        weights = np.zeros((-(-size // lanes), images, lanes), np.int32)
        for group, begin in enumerate(range(0, size if images else 0, lanes)):
            some = min(lanes, size - begin)
            weights[group, :, :some] = random.multinomial(images, np.full(images, 1 / images), size=some).T
        yield Weights(size, weights.reshape(len(weights), images * lanes))


class Draws:
    """Samples of images for one model after another: the latest are kept if they are in memory all at once."""

    def __init__(self) -> None:
        self._given: tuple[int, ...] = ()
        self._kept: list[Weights] = []

    def of(self, images: int, samples: int, seed: int, each: int) -> Iterable[Weights]:
        """Return what :func:`draw` yields."""
        given = images, samples, seed, each
        if images * samples > HELD:
            return draw(*given)
        if given != self._given:
            self._given, self._kept = given, list(draw(*given))
        return self._kept


def resample(
    words: NDArray[np.uint32],
    bounds: NDArray[np.int64],
    image: NDArray[np.int32],
    truth_kinds: NDArray[np.int64],
    truth_image: NDArray[np.int32],
    weights: Iterable[Weights],
    params: Params,
) -> dict[str, Floats]:
    """Return the statistics of precision in the first range of areas, one value for each sample; nan without truths."""
    thresholds, recalls = np.array(params.iou_thresholds), np.array(params.sampled_recalls)
    kernel = _kernels().RESAMPLE[recalls.dtype, ""]
    shape = len(bounds) - 1, len(thresholds)
    detections, truths = (words, bounds, image), (truth_kinds, truth_image)
    threads = max(1, LENT // _room(words, bounds, truth_kinds))
    chosen = {
        found.name: slice(None) if found.threshold is None else thresholds == found.threshold
        for found in params.statistics
        if not found.recall and found.area == 0 and found.threshold in (None, *params.iou_thresholds)
    }

    def sampled(some: Weights) -> dict[str, Floats]:
        means = np.full((some.samples, *shape), NOTHING)

        def work(first: int, last: int) -> None:
            kernel(detections, truths, some.lanes, (recalls, len(thresholds)), (first, last), means)

        with parallel.threads_here(min(threads, parallel.get_num_threads())):
            parallel.run(work, parallel.blocks(len(some.lanes), 1, 1))
        return {name: _mean(means[..., place]) for name, place in chosen.items()}

    batches = [sampled(some) for some in weights]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in chosen}


def _kernels() -> Any:
    return parallel.kernels("evaluate.bootstrap")


def _room(words: NDArray[np.uint32], bounds: NDArray[np.int64], truth_kinds: NDArray[np.int64]) -> int:
    """Return about the bytes that a thread works in: three numbers of each lane for a row that changes a curve."""
    marked = np.concatenate(([0], np.cumsum((words[:, 0] != 0).any(axis=1))))[bounds]
    most = int(np.diff(marked).max(initial=0)), int(np.bincount(truth_kinds).max(initial=0))
    return 4 * int(_kernels().SIDE_BY_SIDE) * (2 * most[0] + most[1] + 1)


def interval(values: Floats, confidence: float) -> tuple[float, float]:
    """Return the percentile interval that holds the share `confidence` of the values but nan; nan without values."""
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, [(1 - confidence) / 2, (1 + confidence) / 2]) if len(known) else (np.nan, np.nan)
    return float(low), float(high)


def _mean(means: Floats) -> Floats:
    """Return the mean over thresholds and the classes with truths, for each sample."""
    flat = means.reshape(len(means), means.shape[1] * means.shape[2])
    there = flat > NOTHING
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(there, flat, 0).sum(axis=1) / there.sum(axis=1)
    return found
