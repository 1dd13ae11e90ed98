"""Random widths and heights, tables of them, and the naive figures of shapes, for the tests of fitted anchors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox.anchors import fitting


def search_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Search for shapes less: they may be worse, and all else is the same."""
    for name, value in {"RESTARTS": 2, "POPULATION": 8, "GENERATIONS": 5}.items():
        monkeypatch.setattr(fitting, name, value)


def random_sides(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return np.rint(np.exp(rng.normal(3, 1, n)) + 1), np.rint(np.exp(rng.normal(3, 1, n)) + 1)


def boxes_of(w: np.ndarray, h: np.ndarray) -> np.ndarray:
    """Corners of boxes centred on one point."""
    return np.stack([-w / 2, -h / 2, w / 2, h / 2], axis=1)


def write(path: Path, w: Any, h: Any, **more: Any) -> Path:
    w, h = np.asarray(w, np.float64), np.asarray(h, np.float64)
    xmin = np.arange(len(w)) % 7.0
    table = {"xmin": xmin, "ymin": xmin, "xmax": xmin + w, "ymax": xmin + h}
    pq.write_table(pa.table({**table, **more}), path, row_group_size=50)
    return path


def naive(w: np.ndarray, h: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Best IoU, its shape and the best fit of each box."""
    inter = np.minimum(w[:, None], own[:, 0]) * np.minimum(h[:, None], own[:, 1])
    overlaps = inter / (w[:, None] * h[:, None] + own[:, 0] * own[:, 1] - inter)
    ratios = np.stack([w[:, None] / own[:, 0], h[:, None] / own[:, 1]])
    fits = np.minimum(ratios, 1 / ratios).min(axis=0)
    return overlaps.max(axis=1), overlaps.argmax(axis=1), fits.max(axis=1)
