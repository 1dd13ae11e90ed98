"""Boxes that the cases are measured on: seeded, with realistic shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbox import Boxes

Kind = Literal["uniform", "crowded"]
Floats = NDArray[Any]

DTYPES = ("float32", "float64")
TRUTHS, DETECTIONS = 7, 30  # boxes of an image, in the mean
HEAVY_TAIL = 0.8  # sigma of their log-normal counts
MOST = 100  # boxes of one side in one image


class Ragged(NamedTuple):
    """Detections and truths image by image: corners, and where each image's rows begin."""

    detections: Floats
    detection_offsets: NDArray[np.int64]
    truths: Floats
    truth_offsets: NDArray[np.int64]

    @property
    def images(self) -> int:
        return len(self.truth_offsets) - 1

    @property
    def pairs(self) -> int:
        return int(np.sum(np.diff(self.detection_offsets) * np.diff(self.truth_offsets)))

    def grouped(self) -> tuple[Boxes, Boxes]:
        """Detections and truths as fastbox takes them."""
        return (
            Boxes(self.detections, offsets=self.detection_offsets),
            Boxes(self.truths, offsets=self.truth_offsets),
        )


@dataclass(frozen=True)
class Sizes:
    """Sizes of all cases: the full amounts, or small ones to see that every case runs."""

    quick: bool = False

    def matrix(self, name: str) -> tuple[int, int]:
        """Rows and columns of a named matrix."""
        full = {"small": (1000, 1000), "large": (4000, 4000), "wide": (200_000, 10), "huge": (10_000, 10_000)}
        little = {"small": (64, 64), "large": (200, 200), "wide": (1000, 10), "huge": (300, 300)}
        return (little if self.quick else full)[name]

    def of(self, full: int) -> int:
        """A number of rows, elements or images."""
        return max(full // 1000, 100) if self.quick else full


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
