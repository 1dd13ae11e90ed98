"""Tables of a detector that finds nearly everything, written in any format, and the warnings of their evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fastbox import jobs
from fastbox.fragments import spread

NAMES = {"xyxy": ("xmin", "ymin", "xmax", "ymax"), "xywh": ("x", "y", "w", "h"), "cxcywh": ("cx", "cy", "w", "h")}


class Scene:
    """A detector that finds nearly everything, in every format, and so many boxes of low scores beside each truth."""

    def __init__(self, seed: int = 0, images: int = 40, classes: int = 20, clutter: int = 0) -> None:
        random = np.random.default_rng(seed)
        m = 10 * images
        self.image = np.sort(random.integers(0, images, m))
        self.kind = random.integers(1, classes + 1, m)
        self.corner, self.side = random.random((m, 2)) * [500, 300], random.random((m, 2)) * 100 + 10
        self.noise = random.normal(0, 2, (m, 2))
        self.score = random.random(m)
        k = clutter * m
        self.beside = random.integers(0, images, k), random.integers(1, classes + 1, k), random.random(k) * 0.2
        self.beside_boxes = np.hstack((random.random((k, 2)) * [500, 300], random.random((k, 2)) * 100 + 10))

    def boxes(self, format: str, noise: bool = False) -> NDArray[np.float64]:
        corner, side = self.corner + (self.noise if noise else 0), self.side
        if noise:
            corner, side = np.vstack((corner, self.beside_boxes[:, :2])), np.vstack((side, self.beside_boxes[:, 2:]))
        parts = {
            "xyxy": (corner, corner + side),
            "xywh": (corner, side),
            "cxcywh": (corner + side / 2, side),
            "yxyx": (corner[:, ::-1], (corner + side)[:, ::-1]),
        }
        return np.hstack(parts[format])

    def write(
        self,
        folder: Path,
        *,
        format: str = "xywh",
        called: str = "xywh",
        ids: Any = None,
        kinds: Any = None,
        **more: Any,
    ) -> tuple[Path, Path]:
        image, kind = self.image if ids is None else ids, self.kind if kinds is None else kinds
        if len(self.beside[0]):
            shift = 0 if ids is None else int(ids[0] - self.image[0])
            image, kind = np.append(image, self.beside[0] + shift), np.append(kind, self.beside[1])
        score = np.append(self.score + (0.2 if len(self.beside[2]) else 0), self.beside[2])
        found = {"image_id": image, "category_id": kind, "score": score, **more}
        found |= dict(zip(NAMES[called], self.boxes(format, noise=True).T, strict=True))
        wanted = {
            "image_id": self.image,
            "category_id": self.kind,
            **dict(zip("xywh", self.boxes("xywh").T, strict=True)),
        }
        pq.write_table(pa.table(found).sort_by("image_id"), folder / "dt.parquet")
        pq.write_table(pa.table(wanted), folder / "gt.parquet")
        return folder / "dt.parquet", folder / "gt.parquet"


def warned(*tables: Path, **options: Any) -> list[str]:
    """The warnings of a run, the same in fragments."""
    found = jobs.evaluate(*tables, **options)
    parts = spread(jobs.evaluate, *tables, fragment_rows=100, **options)
    assert [sentence.split("(")[0] for sentence in parts.warnings] == [one.split("(")[0] for one in found.warnings]
    assert found.to_dict()["warnings"] == found.warnings
    return found.warnings
