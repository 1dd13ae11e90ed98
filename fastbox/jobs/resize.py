"""How detectors resize images before they look at them, and the boxes with them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes import Boxes
from fastbox.errors import InputError

__all__ = ["MODES", "Resize"]

MODES = ("shortest", "stretch", "none")


@dataclass(frozen=True)
class Resize:
    """A resize rule.

    Attributes
    ----------
    height, width : int
        ``800x1333`` as papers write it.
    mode : str
        ``"shortest"``: the shorter side becomes the smaller of both unless the longer would exceed the larger, as in
        torchvision, detectron2 and mmdetection; ``"stretch"``: every image becomes exactly this size, as in SSD;
        ``"none"``: every image has this size already.
    floor : bool
        Whether a scaled side is rounded down, as torchvision does, or to the nearest pixel, as detectron2 and
        mmdetection do.
    """

    height: int
    width: int
    mode: str = "shortest"
    floor: bool = False

    @classmethod
    def parse(cls, text: str, mode: str = "shortest", floor: bool = False) -> Resize:
        """Read ``HEIGHTxWIDTH``.

        >>> Resize.parse("800x1333")
        Resize(height=800, width=1333, mode='shortest', floor=False)
        """
        sides = text.lower().split("x")
        if len(sides) != 2 or not all(side.strip().isdecimal() and int(side) > 0 for side in sides):
            raise InputError(f"expected a size like 800x1333, height and width in pixels, got {text!r}")
        return cls(int(sides[0]), int(sides[1]), mode, floor)

    def sizes(self, width: NDArray[np.int64], height: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the (g, 2) new widths and heights of images.

        >>> Resize(800, 1333).sizes(np.array([640, 500]), np.array([480, 375])).tolist()
        [[1067, 800], [1067, 800]]
        """
        given = np.stack([width, height], axis=1)
        if self.mode != "shortest":
            return np.broadcast_to(np.array([self.width, self.height]), given.shape).copy()
        short, long = sorted((self.width, self.height))
        scale = np.minimum(short / given.min(axis=1), long / given.max(axis=1))
        scaled = given * scale[:, None]
        # A side that is scaled to just what was asked for must not lose a pixel to the last bit of the scale.
        nearest = np.rint(scaled)
        rounded = np.floor(scaled) if self.floor else np.floor(scaled + 0.5)
        return np.maximum(np.where(np.abs(scaled - nearest) < 1e-6, nearest, rounded), 1).astype(np.int64)

    def boxes(self, boxes: Boxes, image: NDArray[np.int64], given: NDArray[np.int64], new: NDArray[np.int64]) -> Boxes:
        """Scale boxes, each with its image's sides; ``image`` is the number of each box's image among the sizes."""
        if self.mode == "none":
            return boxes
        corners = boxes.corners()
        ratio = (new.astype(corners.dtype) / given.astype(corners.dtype))[image]
        corners *= np.concatenate([ratio, ratio], axis=1)
        return Boxes(corners, offsets=boxes.offsets)
