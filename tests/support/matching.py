"""Boxes of which many overlap equally, in images, for the tests of one-to-one matches."""

from __future__ import annotations

import numpy as np


def random_boxes(n: int, rng: np.random.Generator, span: int = 24) -> np.ndarray:
    """Corners on whole pixels, close together: equal overlaps are common, and areas are exact."""
    low = rng.integers(0, span, (n, 2))
    return np.concatenate([low, low + rng.integers(1, span, (n, 2))], axis=1).astype(np.float64)


def images_of(n: int, images: int, rng: np.random.Generator) -> np.ndarray:
    return np.sort(rng.integers(0, images, n))
