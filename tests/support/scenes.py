"""A table in which everything is wrong somewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fastbox import Boxes
from fastbox.jobs import Limits

NAMES = {
    "xyxy": ("xmin", "ymin", "xmax", "ymax"),
    "xywh": ("x", "y", "w", "h"),
    "cxcywh": ("cx", "cy", "w", "h"),
    "yxyx": ("ymin", "xmin", "ymax", "xmax"),
}


LIMITS = Limits(tolerance=0.5, sub_pixel=1.0, max_aspect=30.0, near=0.8, huge=0.9, class_size=3.0)


def corners_to(boxes: np.ndarray, form: str) -> np.ndarray:
    x0, y0, x1, y1 = boxes.T
    with np.errstate(invalid="ignore"):
        return {
            "xyxy": boxes,
            "xywh": np.stack([x0, y0, x1 - x0, y1 - y0], 1),
            "cxcywh": np.stack([(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0], 1),
            "yxyx": np.stack([y0, x0, y1, x1], 1),
        }[form]


class Scene:
    """A table in which everything is wrong somewhere, and what a loop over its rows says of it."""

    def __init__(
        self,
        folder: Path,
        *,
        form: str = "xyxy",
        dtype: str = "float32",
        ids: str = "int",
        classes: str = "int",
        seed: int = 0,
    ) -> None:
        rng = np.random.default_rng(seed)
        n = 150
        images = [2, 3, 5, 8, 13, 21, 34, 55, 89]
        sizes = {image: (100 + 10 * k, 80.0) for k, image in enumerate(images)}
        number = np.sort(rng.choice(images[:-1], n))
        across = np.array([sizes[image][0] for image in number])
        low = rng.uniform(0, 60, (n, 2))
        made = np.concatenate([low, low + rng.uniform(2, 30, (n, 2))], 1)
        for row in range(1, n):
            same = number[row] == number[row - 1]
            if same and rng.random() < 0.25:
                made[row] = made[row - 1] + rng.choice([0.0, 0.0, 0.3, 1.0])
        kind = rng.integers(0, 3, n)
        planted = [
            ([-3, 2, 20, 30], "cut"),
            ([70, 2, 400, 30], "wide"),
            ([-0.4, -0.4, 20, 30], "within"),
            ([0, 0, 0, 0], "whole"),
            ([0.2, 0, -1, 79.8], "whole"),
            ([5, 5, -6, 78], "huge"),
            ([5, 5, 5, 9], "flat"),
            ([5, 5, 5, 5], "point"),
            ([5, 5, 5.5, 5.5], "small"),
            ([1, 1, 71, 2.5], "long"),
            ([9, 9, 4, 20], "inverted"),
            ([9, 9, 12, 8], "inverted"),
            ([0, 0.4, 0, 0], "whole"),
        ]
        for k, (box, what) in enumerate(planted):
            row = 3 + 11 * k
            made[row] = box
            if what == "whole":
                made[row, 2:] = across[row] + box[2], box[3] or 80
            if what == "huge":
                made[row] = [1, 1, across[row] - 1, 79]
        stored = corners_to(made, form)
        self.dtype = np.dtype(dtype)
        if self.dtype.kind == "f":
            for row, column, value in ((7, 0, np.nan), (40, 2, np.inf), (41, 3, -np.inf), (100, 1, np.nan)):
                stored[row, column] = value
        self.stored = (np.rint(stored) if self.dtype.kind in "iu" else stored).astype(dtype)
        self.form = form
        name = (lambda image: int(image)) if ids == "int" else (lambda image: f"bild {image:04} é")
        self.image = [name(image) for image in number]
        label = (lambda code: int(code)) if classes == "int" else (lambda code: ("cat", "dog", "élan")[code])
        self.label = [None if rng.random() < 0.03 else label(code) for code in kind]
        box_id: list[Any] = list(range(100, 100 + n))
        box_id[17], box_id[90], box_id[91], box_id[130], box_id[131] = box_id[3], box_id[3], box_id[60], None, None
        self.id = box_id if ids == "int" else [None if k is None else f"k{k}" for k in box_id]
        self.size = [sizes[image] for image in number]
        self.table = pa.table(
            {
                "image_id": self.image,
                "category_id": self.label,
                **{column: self.stored[:, k] for k, column in enumerate(NAMES[form])},
                "id": self.id,
                "width": pa.array([size[0] for size in self.size], pa.int32()),
                "height": [size[1] for size in self.size],
            }
        )
        self.path, self.images = folder / "t.parquet", folder / "i.parquet"
        pq.write_table(self.table, self.path, row_group_size=23)
        # One image has no boxes, one is not listed, one is listed three times, one has no size.
        self.listed = [image for image in images if image != 5]
        self.listed += [21, 21]
        self.listed.sort()
        widths = [None if image == 8 else sizes[image][0] for image in self.listed]
        heights = [sizes[image][1] for image in self.listed]
        self.list_sizes = {
            name(image): size for image, *size in zip(self.listed, widths, heights, strict=True) if size[0] is not None
        }
        self.listed = [name(image) for image in self.listed]
        listing = pa.table({"image_id": self.listed, "width": widths, "height": heights})
        pq.write_table(listing, self.images, row_group_size=3)

    @property
    def boxes(self) -> Boxes:
        return Boxes(self.stored, format=self.form)

    def sides(self) -> np.ndarray:
        """Corners, and stored sides, in float64."""
        held = self.stored.astype(np.float64)
        if self.form in ("xywh", "cxcywh"):
            w, h = held[:, 2], held[:, 3]
        else:
            with np.errstate(invalid="ignore"):
                spans = held[:, 2:] - held[:, :2]
            w, h = spans.T if self.form == "xyxy" else spans.T[::-1]
        return np.concatenate([self.boxes.corners().astype(np.float64), np.stack([w, h], 1)], 1)

    def frame(self, row: int, listed: bool, sized: bool = True) -> tuple[float, float]:
        found: Any = self.list_sizes.get(self.image[row]) if listed else self.size[row]
        return (np.nan, np.nan) if found is None or not sized else tuple(map(float, found))
