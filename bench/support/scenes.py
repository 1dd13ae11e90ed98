"""Images with very many boxes, and truths as in real data sets: the inputs of the index and of the matcher."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbox.benchmarks.shapes import heaped

__all__ = ["LAYOUTS", "Annotated", "Layout", "annotated", "crowded", "heaped", "scattered", "shapes", "truths"]

Floats = NDArray[Any]
Layout = Literal["uniform", "giants", "lognormal"]

LAYOUTS: tuple[Layout, ...] = ("uniform", "giants", "lognormal")
AREA_EACH = 1000.0  # square pixels of image for each box: about ten overlaps a box


def scattered(n: int, layout: Layout = "uniform", *, seed: int = 0) -> Floats:
    """Draw (n, 4) float32 corners of boxes up to 100 pixels wide, each of which overlaps about ten others."""
    rng = np.random.default_rng([seed, n])
    side = (n * AREA_EACH) ** 0.5
    corner, sides = rng.uniform(0, side, (n, 2)), rng.uniform(0, 100, (n, 2))
    if layout == "giants":
        sides[:20] = rng.uniform(side / 2, side, (len(sides[:20]), 2))
    elif layout == "lognormal":
        sides = np.exp(rng.normal(np.log(30), 1.0, (n, 2)))
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)


def crowded(n: int, *, seed: int = 0) -> tuple[Floats, Floats]:
    """Draw n detections that crowd around n / 100 objects on a square of 2000 pixels, and their scores."""
    rng = np.random.default_rng([seed, n])
    objects = rng.integers(0, max(n // 100, 1), n)
    centre = rng.uniform(0, 2000, (n, 2))[objects] + rng.normal(0, 4, (n, 2))
    sides = rng.uniform(40, 100, (n, 2))[objects] * np.exp(rng.normal(0, 0.1, (n, 2)))
    corners = np.concatenate([centre - sides / 2, centre + sides / 2], axis=1)
    return corners.astype(np.float32), rng.random(n).astype(np.float32)


def truths(n: int, *, size: tuple[int, int] = (1333, 800), seed: int = 0) -> Floats:
    """Draw (n, 4) float32 corners of objects in an image of (width, height): log-normal sides about 80 pixels."""
    rng = np.random.default_rng([seed, n])
    sides = np.clip(np.exp(rng.normal(np.log(80), 0.8, (n, 2))), 4, 600)
    corner = rng.uniform(0, 1, (n, 2)) * (np.array(size) - sides)
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32)


def shapes(n: int, *, seed: int = 0) -> tuple[Floats, Floats]:
    """Draw widths and heights like those of a dataset's objects: log-normal, of several kinds."""
    rng = np.random.default_rng([seed, n])
    kind = rng.integers(0, 6, n)
    middle = np.array([[12, 16], [30, 25], [40, 90], [90, 60], [150, 200], [400, 300]])[kind]
    sides = middle * np.exp(rng.normal(0, 0.45, (n, 2)))
    return sides[:, 0], sides[:, 1]


class Annotated(NamedTuple):
    """A data set: image and class of each box, its corner and sides; scores of detections, crowds among truths."""

    images: NDArray[np.int64]
    classes: NDArray[np.int32]
    boxes: Floats
    scores: Floats
    target_images: NDArray[np.int64]
    target_classes: NDArray[np.int32]
    targets: Floats
    crowd: NDArray[np.bool_]


def annotated(images: int, truths: int, detections: int, classes: int, *, seed: int = 0) -> Annotated:
    """Draw truths and the detections of a fair detector: half near a truth, four fifths of its class, rare classes."""
    rng = np.random.default_rng([seed, images])
    often = 1 / np.arange(1, classes + 1)
    target_images = np.sort(rng.integers(0, images, truths))
    target_classes = rng.choice(classes, truths, p=often / often.sum()).astype(np.int32) + 1
    sides = np.exp(rng.normal(4, 1, (truths, 2)))
    targets = np.hstack([rng.random((truths, 2)) * [1000, 700], sides]).round(2)
    found = np.sort(rng.integers(0, truths, detections))
    boxes = targets[found] * (1 + rng.normal(0, 0.1, (detections, 4)))
    far = rng.random(detections) < 0.5
    boxes[far, :2] = rng.random((int(far.sum()), 2)) * [1000, 700]
    other = rng.integers(1, classes + 1, detections).astype(np.int32)
    kinds = np.where(rng.random(detections) < 0.8, target_classes[found], other)
    scores = np.where(far, rng.beta(1, 5, detections), rng.beta(2, 3, detections)).round(4)
    crowd = rng.random(truths) < 0.01
    return Annotated(
        target_images[found], kinds, np.abs(boxes).round(2), scores, target_images, target_classes, targets, crowd
    )
