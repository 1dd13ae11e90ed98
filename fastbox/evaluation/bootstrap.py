"""Confidence intervals of figures, from samples of the images that are drawn with replacement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.evaluation.curves import NOTHING, Floats
from fastbox.evaluation.params import Params

__all__ = ["draw", "interval", "resample"]

AT_ONCE = 64  # samples that are held in memory at most
HELD = 1 << 23  # numbers that the samples in memory have at most


def draw(images: int, samples: int, seed: int, each: int = 1) -> Iterator[NDArray[np.int64]]:
    """Yield the number of times that each image is drawn, (samples, images), for a few samples at a time.

    `each` is the number of further numbers that a sample takes in memory.
    """
    random = np.random.default_rng(seed)
    step = max(1, min(AT_ONCE, HELD // max(images, each, 1)))
    for first in range(0, samples, step):
        size = min(step, samples - first)
        yield (
            random.multinomial(images, np.full(images, 1 / images), size=size)
            if images
            else np.zeros((size, 0), np.int64)
        )


def resample(
    words: NDArray[np.uint32],
    bounds: NDArray[np.int64],
    image: NDArray[np.int32],
    truth_kinds: NDArray[np.int64],
    truth_image: NDArray[np.int32],
    weights: Iterable[NDArray[np.int64]],
    params: Params,
) -> dict[str, Floats]:
    """Return the statistics of precision in the first range of areas, one value for each sample; nan without truths."""
    thresholds, recalls = np.array(params.iou_thresholds), np.array(params.recalls)
    kernel = parallel.kernels("evaluate.bootstrap").RESAMPLE[recalls.dtype, ""]
    shape = len(bounds) - 1, len(thresholds)
    detections, truths = (words, bounds, image), (truth_kinds, truth_image)
    chosen = {
        found.name: slice(None) if found.threshold is None else thresholds == found.threshold
        for found in params.statistics
        if not found.recall and found.area == 0 and found.threshold in (None, *params.iou_thresholds)
    }

    def sampled(some: NDArray[np.int64]) -> dict[str, Floats]:
        means = np.full((len(some), *shape), NOTHING)

        def work(first: int, last: int) -> None:
            kernel(detections, truths, some, (recalls, len(thresholds)), (first, last), means)

        parallel.run(work, parallel.blocks(len(some), 1, 1))
        return {name: _mean(means[..., place]) for name, place in chosen.items()}

    batches = [sampled(some) for some in weights]
    return {name: np.concatenate([batch[name] for batch in batches]) for name in chosen}


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
