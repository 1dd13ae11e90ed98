"""Rules that resize images to the resolution of a detector, and their effect on boxes."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.boxes.container import Boxes
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.kernels.codes import ROTATED

__all__ = ["Resize"]

Floats = NDArray[np.float64]

_NUMBER = r"(\d+(?:\.\d+)?)"
_FORMS = (
    ("longer", _NUMBER),
    ("both", f"{_NUMBER}x{_NUMBER}"),
    ("shorter", f"shorter={_NUMBER},longer={_NUMBER}"),
)


class Resize(NamedTuple):
    """A rule that resizes images: a kind, and one or two lengths in pixels; with one length the second is nan.

    ``"longer"`` scales the longer side to the first length. ``"shorter"`` scales the shorter side to the first length,
    or to less where the longer side would exceed the second. ``"both"`` stretches width and height to the two lengths.
    ``"none"`` means that images have this width and height already. ``floor`` rounds scaled sides of images down, as
    torchvision does; without it sides are rounded to the nearest pixel, as in detectron2 and mmdetection.
    """

    kind: str
    first: float
    second: float
    floor: bool = False

    @classmethod
    def of(cls, rule: Resize | float | str) -> Resize:
        """Return a rule, or read one as :meth:`parse` does."""
        return rule if isinstance(rule, cls) else cls.parse(rule)  # type: ignore[arg-type]

    @classmethod
    def parse(cls, rule: float | str) -> Resize:
        """Read a rule.

        ``640`` brings the longer side to 640 (YOLO's letterbox), ``"300x200"`` the width to 300 and the height to 200
        (SSD), ``"shorter=800,longer=1333"`` the shorter side to 800 unless the longer one would exceed 1333
        (detectron2, torchvision). Lengths are in pixels.

        Raises
        ------
        ValueError
            A rule of another form, or a length of 0.

        Examples
        --------
        >>> Resize.parse(640)
        Resize(kind='longer', first=640.0, second=nan, floor=False)
        >>> Resize.parse("shorter=800,longer=1333").scales(np.array([640.0, 2000.0]), np.array([480.0, 1000.0]))[0]
        array([1.66666667, 0.6665    ])
        """
        text = str(rule).strip()
        for kind, pattern in _FORMS:
            found = re.fullmatch(pattern, text)
            if found:
                first, *more = (float(length) for length in found.groups())
                if min(first, *more, first) > 0:
                    return cls(kind, first, more[0] if more else float("nan"))
        raise ValueError(f"expected resize as 640, 300x200 or shorter=800,longer=1333, in pixels above 0, got {text!r}")

    def __str__(self) -> str:
        """Return the rule as :meth:`parse` reads it, or the size that all images have already."""
        if self.kind == "shorter":
            return f"shorter={self.first:g},longer={self.second:g}"
        return f"{self.first:g}" if self.kind == "longer" else f"{self.first:g}x{self.second:g}"

    def scales(self, width: Floats, height: Floats) -> tuple[Floats, Floats]:
        """Return the factors of the widths and the heights of boxes, from the widths and heights of their images."""
        if self.kind == "none":
            return np.ones_like(width), np.ones_like(height)
        if self.kind == "both":
            return self.first / width, self.second / height
        scale: Floats = self.first / np.maximum(width, height)
        if self.kind == "shorter":
            scale = np.minimum(self.first / np.minimum(width, height), self.second / np.maximum(width, height))
        return scale, scale

    def sizes(self, given: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the (g, 2) new widths and heights of images, in whole pixels.

        >>> Resize.parse("shorter=800,longer=1333").sizes(np.array([[640, 480], [333, 1000]])).tolist()
        [[1067, 800], [444, 1333]]
        """
        if self.kind in ("both", "none"):
            return np.tile(np.array([self.first, self.second]).astype(np.int64), (len(given), 1))
        scaled = given * np.stack(self.scales(*given.T.astype(np.float64)), axis=1)
        # A side that is scaled exactly to a length must not lose a pixel to the last bit of the scale.
        nearest = np.rint(scaled)
        rounded = np.floor(scaled) if self.floor else np.floor(scaled + 0.5)
        return np.maximum(np.where(np.abs(scaled - nearest) < 1e-6, nearest, rounded), 1).astype(np.int64)

    def boxes(
        self,
        boxes: Boxes | RotatedBoxes,
        image: NDArray[np.int64],
        given: NDArray[np.int64],
        new: NDArray[np.int64],
    ) -> Boxes | RotatedBoxes:
        """Scale boxes from the given sizes of images to the new ones; ``image`` is the number of each box's image.

        Rotated rectangles stay rectangles, as in mmrotate: their sides are scaled by the root of both factors, which
        differ by the rounding of the images' sides alone. Stretched by ``"both"``, they become quadrilaterals.
        """
        if self.kind == "none":
            return boxes
        if isinstance(boxes, RotatedBoxes):
            return self._turned(boxes, (new / given)[image])
        corners = boxes.corners()
        ratio = (new.astype(corners.dtype) / given.astype(corners.dtype))[image]
        corners *= np.concatenate([ratio, ratio], axis=1)
        x0, y0, x1, y1 = corners.T
        return Boxes.of((x0, y0, x1, y1), "xyxy", boxes.offsets)

    def _turned(self, boxes: RotatedBoxes, ratio: Floats) -> RotatedBoxes:
        across, down = ratio.T
        with np.errstate(over="ignore", invalid="ignore"):  # a number that is not finite makes the box invalid
            if boxes.geometry == ROTATED and self.kind != "both":
                x, y, w, h, angle = boxes.columns
                root = np.sqrt(across * down)
                columns: list[NDArray[Any]] = [x * across, y * down, w * root, h * root, angle]
                told = boxes.format
            else:
                columns, told = [*(boxes.corners() * ratio[:, None]).reshape(-1, 8).T], "xyxyxyxy"
            return RotatedBoxes.of(tuple(column.astype(boxes.dtype) for column in columns), told, boxes.offsets)
