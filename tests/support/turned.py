"""Pairs of rotated rectangles that make other tools fail, by class; each box is centre, sides and radians."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def turned(x: Any, y: Any, angle: Any) -> Array:
    return np.stack([x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)], axis=-1)


def drawn(rng: np.random.Generator, n: int, least: float = 1, most: float = 100, far: float = 30) -> Array:
    sides = np.exp(rng.uniform(np.log(least), np.log(most), (n, 2)))
    return np.concatenate([rng.uniform(-far, far, (n, 2)), sides, rng.uniform(-np.pi, np.pi, (n, 1))], axis=1)


def hard_pairs(n: int, seed: int = 5) -> dict[str, tuple[Array, Array]]:
    rng = np.random.default_rng(seed)
    a, found = drawn(rng, n), {}
    zero = np.zeros(n)
    found["random"] = a, drawn(rng, n)
    found["identical"] = a, a.copy()
    quarter = a[:, [0, 1, 3, 2, 4]] + [0, 0, 0, 0, np.pi / 2]
    found["the same set"] = a, quarter
    beside = a.copy()
    beside[:, :2] += turned(a[:, 2], zero, a[:, 4])
    found["sharing an edge"] = a, beside
    third = a / [1, 1, 3, 1, 1]
    third[:, :2] += turned(a[:, 2] / 3, zero, a[:, 4])
    found["sharing three edges"] = a, third
    parallel = a.copy()
    parallel[:, 4] += rng.choice([-1, 1], n) * 10 ** rng.uniform(-16, -5, n)
    found["nearly parallel"] = a, parallel
    outer = drawn(rng, n, 50, 200)
    inner = drawn(rng, n, 1, 20)
    inner[:, :2] = outer[:, :2]
    found["nested"] = outer, inner
    sliver = a * np.stack([zero, zero, zero + 1, 10 ** -rng.uniform(3, 6, n), zero + 1], axis=1)
    crossing = sliver.copy()
    crossing[:, 4] += rng.normal(size=n) * 10 ** rng.uniform(-7, 0, n)
    found["slivers"] = sliver, crossing
    away = np.array([1e7, -3e6, 0, 0, 0])
    found["far"] = a + away, drawn(rng, n) + away
    scale = np.stack([10 ** rng.uniform(-9, 9, n)] * 4 + [zero + 1], axis=1)
    found["scaled"] = a * scale, drawn(rng, n) * scale
    corner = drawn(rng, n)
    edge = a[:, :2] + turned(rng.uniform(-0.5, 0.5, n) * a[:, 2], a[:, 3] / 2, a[:, 4])
    corner[:, :2] = edge + turned(corner[:, 2] / 2, corner[:, 3] / 2, corner[:, 4])
    found["a corner on an edge"] = a, corner
    nearly = a.copy()
    rows, columns = np.arange(n), rng.integers(0, 5, n)
    nearly[rows, columns] = np.nextafter(a[rows, columns], np.inf)
    found["a bit apart"] = a, nearly
    return found
