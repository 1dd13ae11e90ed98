"""Boxes that benchmarks are measured on: seeded, with realistic shapes."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.boxes.container import Boxes

__all__ = ["DTYPES", "Floats", "Kind", "Ragged", "boxes", "heaped", "ragged"]

Kind = Literal["uniform", "crowded"]
Floats = NDArray[Any]

DTYPES = ("float32", "float64")
TRUTHS, DETECTIONS = 7, 30  # boxes of an image, in the mean
HEAVY_TAIL = 0.8  # sigma of their log-normal counts
MOST = 100  # boxes of one side in one image


class Ragged(NamedTuple):
    """Detections and truths of images: corners, and the first rows of the images."""

    detections: Floats
    detection_offsets: NDArray[np.int64]
    truths: Floats
    truth_offsets: NDArray[np.int64]

    @property
    def images(self) -> int:
        """The number of images."""
        return len(self.truth_offsets) - 1

    @property
    def pairs(self) -> int:
        """The number of pairs of a detection and a truth of one image."""
        return int(np.sum(np.diff(self.detection_offsets) * np.diff(self.truth_offsets)))

    def grouped(self) -> tuple[Boxes, Boxes]:
        """Detections and truths as fastbox takes them."""
        return (
            Boxes(self.detections, offsets=self.detection_offsets),
            Boxes(self.truths, offsets=self.truth_offsets),
        )


def boxes(n: int, dtype: str, *, seed: int = 0, kind: Kind = "uniform") -> Floats:
    """Draw (n, 4) corners: sides of 1 to 100 pixels on a square of 1,000; most pairs of crowded boxes overlap."""
    rng = np.random.default_rng([seed, n])
    spread, least, most = (1000.0, 1.0, 100.0) if kind == "uniform" else (250.0, 50.0, 150.0)
    corner, side = rng.uniform(0, spread, (n, 2)), rng.uniform(least, most, (n, 2))
    return np.concatenate([corner, corner + side], axis=1).astype(dtype)


def ragged(images: int, dtype: str, *, seed: int = 0, by_size: bool = False) -> Ragged:
    """Draw images of log-normal counts, about 7 truths by 30 detections; in order, or the largest first."""
    rng = np.random.default_rng([seed, images])
    truths, detections = (
        np.minimum(rng.lognormal(np.log(mean) - HEAVY_TAIL**2 / 2, HEAVY_TAIL, images).astype(np.int64), MOST)
        for mean in (TRUTHS, DETECTIONS)
    )
    if by_size:
        order = np.argsort(-truths * detections, kind="stable")
        truths, detections = truths[order], detections[order]
    starts = [np.concatenate(([0], np.cumsum(counts))) for counts in (detections, truths)]
    return Ragged(
        boxes(int(starts[0][-1]), dtype, seed=seed + 1),
        starts[0],
        boxes(int(starts[1][-1]), dtype, seed=seed + 2),
        starts[1],
    )


def heaped(n: int, *, seed: int = 0) -> tuple[Floats, Floats]:
    """Draw n detections on a square of 1000 pixels, each of which overlaps hundreds of others, and their scores."""
    rng = np.random.default_rng([seed, n])
    corner, sides = rng.uniform(0, 1000, (n, 2)), rng.uniform(40, 100, (n, 2))
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32), rng.random(n).astype(np.float32)
