"""Seeded tables and arrays that the figures are computed from, made with NumPy and Arrow alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

IMAGES = 40
SIDE = 640.0


@dataclass(frozen=True)
class Inputs:
    """Boxes in memory, and the folder of the tables."""

    folder: Path
    a: NDArray[np.float64]
    b: NDArray[np.float64]
    images_a: NDArray[np.int64]
    images_b: NDArray[np.int64]
    scores: NDArray[np.float64]
    classes_a: NDArray[np.int64]
    classes_b: NDArray[np.int64]

    def path(self, name: str) -> str:
        """The path of a table or an output."""
        return str(self.folder / name)


def corners(rng: np.random.Generator, n: int, least: float = 2.0, most: float = 200.0) -> NDArray[np.float64]:
    """Draw valid boxes as corners."""
    low = rng.uniform(0, SIDE - most, (n, 2))
    return np.concatenate([low, low + np.exp(rng.uniform(np.log(least), np.log(most), (n, 2)))], 1)


def crowded(n: int, seed: int = 7) -> NDArray[np.float64]:
    """Draw boxes in one image, enough for questions to go through the index."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 4000, (n, 2))
    return np.concatenate([low, low + np.exp(rng.normal(3.0, 0.8, (n, 2)))], 1)


def make(folder: Path, seed: int = 5) -> Inputs:
    """Write the tables of the commands, and return the boxes that the functions take."""
    rng = np.random.default_rng(seed)
    images_b = np.sort(rng.integers(1, IMAGES, 900))
    b = corners(rng, len(images_b))
    copied = rng.integers(0, len(b), 1500)
    images_a = images_b[copied]
    order = np.argsort(images_a, kind="stable")
    copied, images_a = copied[order], images_a[order]
    a = b[copied] + rng.normal(0, 6, (len(copied), 4))
    a[::97] = [np.nan, 1, 2, 3]
    a[::101] = [9, 9, 3, 3]
    b[::83, 2:] = b[::83, :2]
    classes_b = rng.integers(1, 5, len(b))
    classes_a = np.where(rng.random(len(a)) < 0.85, classes_b[copied], rng.integers(1, 5, len(a)))
    scores = np.round(rng.random(len(a)), 2)
    made = Inputs(folder, a, b, images_a, images_b, scores, classes_a, classes_b)
    _write(made, rng)
    return made


def _write(made: Inputs, rng: np.random.Generator) -> None:
    a, b = made.a.astype(np.float32), made.b
    truths: dict[str, Any] = {
        "image_id": made.images_b,
        "category_id": made.classes_b,
        **dict(zip(("xmin", "ymin", "xmax", "ymax"), b.T, strict=True)),
        "iscrowd": (rng.random(len(b)) < 0.05).astype(np.int8),
        "ignore": (rng.random(len(b)) < 0.05).astype(np.int8),
        "area": (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]),
        "id": np.arange(1, len(b) + 1),
        "width": np.full(len(b), 640),
        "height": np.full(len(b), 480 + made.images_b % 3 * 80),
    }
    detections: dict[str, Any] = {
        "image_id": made.images_a,
        "category_id": made.classes_a,
        **dict(zip(("xmin", "ymin", "xmax", "ymax"), a.T, strict=True)),
        "score": made.scores.astype(np.float32),
        "run": np.array(["early", "late", "last"])[rng.integers(0, 3, len(a))],
    }
    valid = np.isfinite(a).all(1) & (a[:, 2:] >= a[:, :2]).all(1)
    names = np.array(["", "car", "dog", "cat", "bus"])
    text = {
        "image_id": [f"frame {image:03}" for image in made.images_b],
        "category_id": names[made.classes_b],
        "width": truths["width"],
        "height": truths["height"],
        **dict(zip("xywh", (b[:, 0], b[:, 1], b[:, 2] - b[:, 0], b[:, 3] - b[:, 1]), strict=True)),
    }
    pairs = {
        **{f"p{k}": a[:900, k] for k in range(4)},
        **{f"t{k}": b[:900, k] for k in range(4)},
    }
    tables = {
        "truths": pa.table(truths),
        "detections": pa.table(detections),
        "good": pa.table(detections).filter(pa.array(valid)).drop_columns(["run"]),
        "other": pa.table(detections).filter(pa.array(rng.random(len(a)) < 0.6)).drop_columns(["run"]),
        "text": pa.table(text),
        "flat": pa.table(pairs),
        "unsorted": pa.table(detections).take(pa.array(rng.permutation(len(a)))),
    }
    for name, table in tables.items():
        pq.write_table(table, made.path(f"{name}.parquet"), row_group_size=311)
