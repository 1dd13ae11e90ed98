"""How sure figures are: evaluated anew on images drawn from the same ones, with replacement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.evaluation.curves import NOTHING, Floats
from fastbox.evaluation.params import Params

__all__ = ["draw", "interval", "resample"]

AT_ONCE = 64  # samples whose weights are held in memory


def draw(images: int, samples: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """How often each image is drawn, (samples, images), a few samples at a time."""
    random = np.random.default_rng(seed)
    for first in range(0, samples, AT_ONCE):
        yield random.multinomial(images, np.full(images, 1 / images), size=min(AT_ONCE, samples - first))


def resample(
    words: NDArray[np.uint32],
    bounds: NDArray[np.int64],
    image: NDArray[np.int32],
    truth_kinds: NDArray[np.int64],
    truth_image: NDArray[np.int32],
    weights: Iterable[NDArray[np.int64]],
    params: Params,
) -> dict[str, Floats]:
    """AP, AP50 and AP75 in the first range of areas, one value for each sample."""
    from fastbox.kernels import evaluation

    thresholds, recalls = np.array(params.iou_thresholds), np.array(params.recalls)
    resampled = evaluation.RESAMPLED[recalls.dtype, ""]
    shape = len(bounds) - 1, len(thresholds)

    def sampled(some: NDArray[np.int64]) -> Floats:
        means = np.full((len(some), *shape), NOTHING)

        def work(first: int, last: int) -> None:
            resampled(
                words, bounds, image, truth_kinds, truth_image, some, recalls, len(thresholds), first, last, means
            )

        parallel.run(work, parallel.blocks(len(some), 1, 1))
        return means

    means = np.concatenate([sampled(some) for some in weights])
    chosen = {"AP": slice(None), **{f"AP{100 * t:.0f}": thresholds == t for t in (0.5, 0.75) if t in thresholds}}
    return {name: _mean(means[..., some]) for name, some in chosen.items()}


def interval(values: Floats, confidence: float) -> tuple[float, float]:
    """The middle of the values, so much of them: a percentile interval."""
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2]) if len(values) else (np.nan, np.nan)
    return float(low), float(high)


def _mean(means: Floats) -> Floats:
    """The mean over classes and thresholds of what is there, for each sample."""
    flat = means.reshape(len(means), -1)
    there = flat > NOTHING
    with np.errstate(invalid="ignore"):
        found: Floats = np.where(there, flat, 0).sum(axis=1) / there.sum(axis=1)
    return found
