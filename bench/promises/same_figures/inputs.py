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
CLASSES = ("car", "dog", "cat", "bus")
MODELS = ("early", "late", "last")
CORNERS = ("xmin", "ymin", "xmax", "ymax")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Inputs:
    """Detections and ground truth in memory; their tables lie in the current folder."""

    a: Floats
    b: Floats
    images_a: Ints
    images_b: Ints
    scores: Floats
    classes_a: Ints
    classes_b: Ints


def corners(rng: np.random.Generator, n: int, least: float = 3.0, most: float = 250.0) -> Floats:
    """Draw valid boxes as corners."""
    low = rng.uniform(0, SIDE - most, (n, 2))
    return np.concatenate([low, low + np.exp(rng.uniform(np.log(least), np.log(most), (n, 2)))], 1)


def crowded(n: int, seed: int = 7) -> Floats:
    """Draw enough boxes of one image that searches go through the index."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 4000, (n, 2))
    return np.concatenate([low, low + np.exp(rng.normal(3.0, 0.8, (n, 2)))], 1)


def make(seed: int = 5) -> Inputs:
    """Write the tables of the commands into the current folder, and return the boxes that the functions take."""
    rng = np.random.default_rng(seed)
    images_b = np.sort(rng.choice(np.arange(1, IMAGES, 1) * 7 % 61, 900))  # ids with gaps: images of one side alone
    b = corners(rng, len(images_b))
    near = np.flatnonzero((images_b[1:] == images_b[:-1]) & (rng.random(len(b) - 1) < 0.06))
    b[near + 1] = b[near] + rng.normal(0, 0.3, (len(near), 4)) * (rng.random((len(near), 1)) < 0.7)
    copied = np.sort(np.setdiff1d(rng.integers(0, len(b), 3000), np.flatnonzero(images_b % 11 == 0)))
    copied = np.sort(np.concatenate([copied, rng.choice(copied, 800)]))
    images_a = images_b[copied]
    side = np.tile(b[copied, 2:] - b[copied, :2], 2)
    a = b[copied] + rng.normal(0, 0.09, side.shape) * side
    alone = rng.random(len(a)) < 0.15
    a[alone] = corners(rng, int(alone.sum()))
    a[::97, 0], a[::101, 2] = np.nan, 0.0
    b[::83, 2:] = b[::83, :2]
    b[41::211, 0] = np.inf
    classes_b = rng.integers(1, len(CLASSES) + 1, len(b))
    classes_a = np.where(rng.random(len(a)) < 0.85, classes_b[copied], rng.integers(1, len(CLASSES) + 1, len(a)))
    made = Inputs(a, b, images_a, images_b, np.round(rng.random(len(a)), 2), classes_a, classes_b)
    for name, table in tables(made, rng).items():
        pq.write_table(table, f"{name}.parquet", row_group_size=311)
    Path("names.txt").write_text("\n".join(("nothing", *CLASSES)) + "\n")
    return made


def tables(made: Inputs, rng: np.random.Generator) -> dict[str, pa.Table]:
    """Return the tables of the commands by name."""
    truths, detections = truths_of(made, rng), detections_of(made, rng)
    valid = np.isfinite(made.a).all(1) & (made.a[:, 2:] >= made.a[:, :2]).all(1)
    good = pa.table(detections).filter(pa.array(valid))
    right = np.isfinite(made.b).all(1)
    clean = pa.table(truths).filter(pa.array(right))
    return {
        "truths": pa.table(truths),
        "detections": pa.table(detections),
        "clean": clean,
        "good": good.drop_columns(["run"]),
        "other": pa.table(detections).filter(pa.array(rng.random(len(made.a)) < 0.6)).drop_columns(["run"]),
        "nothing": pa.table(detections).slice(0, 0),
        "unsorted": pa.table(detections).take(pa.array(rng.permutation(len(made.a)))),
        "shuffled": pa.table(truths).take(pa.array(rng.permutation(len(made.b)))),
        "images": images_of(made),
        "whole": rounded(clean, pa.int32()),
        "halves": rounded(clean, pa.float16()),
        **other_forms(made, truths, detections, right),
    }


def truths_of(made: Inputs, rng: np.random.Generator) -> dict[str, Any]:
    """Return the columns of the ground truth."""
    b, n = made.b, len(made.b)
    return {
        "image_id": made.images_b,
        "category_id": made.classes_b,
        **dict(zip(CORNERS, b.T, strict=True)),
        "iscrowd": (rng.random(n) < 0.05).astype(np.int8),
        "ignore": (rng.random(n) < 0.05).astype(np.int8),
        "difficult": rng.random(n) < 0.1,
        "area": np.nan_to_num((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]), posinf=1.0, neginf=1.0) * 0.7,
        "id": np.where(np.arange(n) % 149 == 3, 4, np.arange(1, n + 1)),
        "width": np.full(n, 640),
        "height": 480 + made.images_b % 3 * 80,
    }


def detections_of(made: Inputs, rng: np.random.Generator) -> dict[str, Any]:
    """Return the columns of the detections of three models."""
    return {
        "image_id": made.images_a,
        "category_id": made.classes_a,
        **dict(zip(CORNERS, made.a.astype(np.float32).T, strict=True)),
        "score": made.scores.astype(np.float32),
        "run": np.array(MODELS)[rng.integers(0, len(MODELS), len(made.a))],
    }


def images_of(made: Inputs) -> pa.Table:
    """Return the table of all images, of which some have no boxes."""
    ids = np.unique(np.concatenate([made.images_b, made.images_b + 70]))
    return pa.table({"image_id": ids, "width": np.full(len(ids), 640), "height": 480 + ids % 3 * 80})


def rounded(table: pa.Table, kind: pa.DataType) -> pa.Table:
    """Return a table with its boxes in another type."""
    for name in CORNERS:
        values = np.round(table[name].to_numpy()).astype(kind.to_pandas_dtype())
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values, kind))
    return table


def other_forms(made: Inputs, truths: dict[str, Any], detections: dict[str, Any], right: Any) -> dict[str, pa.Table]:
    """Return boxes in other formats and layouts, with ids and classes in words."""
    a, b = made.a.astype(np.float32), made.b
    names = np.array(("", *CLASSES))
    wide, centred = b[:, 2:] - b[:, :2], (b[:, 2:] + b[:, :2]) / 2
    text = {
        "image_id": [f"frame {image:03}" for image in made.images_b],
        "category_id": names[made.classes_b],
        "width": truths["width"],
        "height": truths["height"],
        **dict(zip("xywh", (*b[:, :2].T, *wide.T), strict=True)),
    }
    seen = {
        "image_id": [f"frame {image:03}" for image in made.images_a],
        "category_id": names[made.classes_a],
        "score": detections["score"],
        **dict(zip("xywh", (*a[:, :2].T, *(a[:, 2:] - a[:, :2]).T), strict=True)),
    }
    centres = {
        "image_id": made.images_b,
        "category_id": made.classes_b,
        **dict(zip(("cx", "cy", "w", "h"), (*centred.T, *wide.T), strict=True)),
    }
    listed = {
        "image_id": made.images_a,
        "category_id": made.classes_a,
        "score": made.scores,
        "bbox": pa.FixedSizeListArray.from_arrays(pa.array(a.reshape(-1)), 4),
    }
    pairs = {**{f"p{k}": a[:900, k] for k in range(4)}, **{f"t{k}": b[:900, k] for k in range(4)}}
    return {
        "text": pa.table(text).filter(pa.array(right)),
        "text-detections": pa.table(seen),
        "centres": pa.table(centres),
        "listed": pa.table(listed),
        "frames": pa.table({key: text[key] for key in ("image_id", "width", "height")}),
        "flat": pa.table({"name": [f"row {k}" for k in range(900)], **pairs}),
    }
