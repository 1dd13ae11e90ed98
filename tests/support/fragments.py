"""Jobs in fragments, and their outputs as tables and as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fastbox import jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.jobs.inspection.problems import Limits

ANCHORS = {"anchors": AnchorGrid.preset("retinanet"), "resize": Resize("none", 320, 256)}


JOBS: dict[str, tuple[Callable[..., Any], tuple[str, ...], dict[str, Any]]] = {
    "measure": (jobs.measure, ("pairs",), {"metrics": ["iou", "giou_loss"], "grad": True}),
    "pairs": (jobs.pairs, ("detections", "truths"), {"threshold": 0.1, "metrics": ["iou", "giou"], "keep": ["score"]}),
    "pairs of one table": (jobs.pairs, ("truths",), {"threshold": 0.1, "class_agnostic": False}),
    "nms": (jobs.nms, ("detections",), {"iou_threshold": 0.3}),
    "assign": (jobs.assign, ("truths",), ANCHORS | {"class_column": "category_id"}),
    "candidates": (
        jobs.candidates,
        ("truths",),
        {"points": ["tal-8.3", "rtmdet"], "sizes": ["320x256"], "pad": "none", "class_column": "category_id"},
    ),
    "inspect": (jobs.inspect, ("truths", "images"), {"limits": Limits(near=0.5, class_size=1.0)}),
    "inspect by two files": (jobs.inspect, ("detections",), {"limits": Limits(near=0.5, class_size=None)}),
    "suspects": (jobs.suspects, ("detections", "truths"), {"min_score": 0.2, "min_suspicion": 0.1}),
    "evaluate": (jobs.evaluate, ("detections", "truths"), {"samples": 20, "seed": 5}),
}


def boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    corner, side = rng.uniform(0, 200, (n, 2)), rng.uniform(5, 100, (n, 2))
    return np.hstack((corner, corner + side)).astype(np.float32)


def columns(corners: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    return {f"{prefix}{name}": corners[:, k] for k, name in enumerate(("xmin", "ymin", "xmax", "ymax"))}


def table_of(out: Path) -> pa.Table:
    return pq.read_table(out) if out.is_file() else pa.concat_tables(map(pq.read_table, sorted(out.iterdir())))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


class Counting:
    """An engine that counts what it ran, stops after some, and runs backwards."""

    def __init__(self, most: int = 1000) -> None:
        self.most, self.done = most, 0

    def __call__(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for index in reversed(range(len(items))):
            if self.done == self.most:
                raise KeyboardInterrupt
            self.done += 1
            yield index, task(items[index])


UNSORTED = {
    "all": lambda n: np.random.default_rng(0).permutation(n),
    "in row groups": lambda n: np.concatenate([np.arange(k, min(k + 50, n))[::-1] for k in range(0, n, 50)]),
    "over row groups": lambda n: np.argsort(np.arange(n) // 25 % 2, kind="stable"),
    "over files": lambda n: np.roll(np.arange(n), n // 2),
}
