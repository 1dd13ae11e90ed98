"""Images placed in the input of a network: scaled, and padded at their sides or on the right and below."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.anchors.presets import PRESETS
from fastbox.anchors.resize import Resize
from fastbox.boxes.container import Boxes

__all__ = ["PADS", "Letterbox", "Placed", "letterbox_of", "own_size"]

PADS = ("center", "corner", "stretch", "none")
MULTIPLE = 32  # of the sides of the input, where images are resized by a rule and padded

# Where each detector pads, and how it rounds the sides of a scaled image; "exact" scales boxes without rounding.
CENTER, CORNER, DOWN, EXACT, STRETCH = (
    ("center", "up"),
    ("corner", "nearest"),
    ("center", "down"),
    ("corner", "exact"),
    ("stretch", "nearest"),
)
PADDING = {
    **dict.fromkeys(("mmyolo-yolov8", "yolov6"), DOWN),
    **dict.fromkeys(("yolox", "yolox-0.3"), EXACT),
    **dict.fromkeys(("fcos", "mmdet-fcos", "torchvision-fcos", "tood"), CORNER),
    **dict.fromkeys(("mmdet-yolox", "rtmdet", "rtmdet-p6", "mmyolo-rtmdet"), CORNER),
    **dict.fromkeys((name for name in PRESETS if not name.startswith("yolov")), CORNER),
    "ppyoloe": STRETCH,
}
BY_RULE = ("fcos", "mmdet-fcos", "torchvision-fcos", "tood")  # trained with the shorter side at 800


class Placed(NamedTuple):
    """Some images in their inputs.

    Attributes
    ----------
    sizes : array of int64, shape (g, 2)
        The width and height of each image's input.
    factors, shifts : array of float64, shape (g, 2)
        The scale of the image's pixels along both axes, and the place of its left top corner in the input.
    images : array of int64, shape (g, 2) or (0, 2)
        The width and height of each image; empty if they are not known.
    """

    sizes: NDArray[np.int64]
    factors: NDArray[np.float64]
    shifts: NDArray[np.float64]
    images: NDArray[np.int64]

    def one(self, image: int) -> Placed:
        """Return one image."""
        own = slice(image, image + 1)
        return Placed(self.sizes[own], self.factors[own], self.shifts[own], self.images[own])

    def back(self, x: float, y: float) -> tuple[float, float]:
        """Return the place in the first image of a place in its input."""
        left, top = (np.array([x, y]) - self.shifts[0]) / self.factors[0]
        return float(left), float(top)

    @property
    def given(self) -> tuple[float, float] | None:
        """The width and height of the first image; None if they are not known."""
        return None if not len(self.images) else (float(self.images[0, 0]), float(self.images[0, 1]))

    def boxes(self, boxes: Boxes, image: NDArray[np.int64]) -> Boxes:
        """Return boxes as the network sees them; `image` is the number of each box's image."""
        corners = boxes.corners()
        factors, shifts = (np.tile(side[image], (1, 2)) for side in (self.factors, self.shifts))
        x0, y0, x1, y1 = (corners * factors + shifts).astype(corners.dtype).T
        return Boxes.of((x0, y0, x1, y1), "xyxy", boxes.offsets, boxes.images)


class Letterbox(NamedTuple):
    """The input of a network, and how images are placed in it.

    Attributes
    ----------
    width, height : int
        The input in pixels; 0 where `resize` decides.
    pad : str
        ``"center"``: on both sides of the image, as ultralytics does; ``"corner"``: right and below, as YOLOX and
        mmdetection do; ``"stretch"``: the image fills the input; ``"none"``: boxes are in pixels of the input already.
    rounding : str
        Scaled sides are rounded ``"up"`` (ultralytics), ``"down"``, to the ``"nearest"`` pixel, or not: ``"exact"``
        (YOLOX). Boxes are scaled by the rounded sides.
    resize : Resize, optional
        A rule by which images are scaled; the input then has the image's sides, up to the next multiple of 32.
    """

    width: int
    height: int
    pad: str = "center"
    rounding: str = "up"
    resize: Resize | None = None

    @property
    def label(self) -> str:
        """The size as text: ``640``, ``640x480`` or the rule of resizing."""
        if self.resize is not None:
            return str(self.resize)
        return f"{self.width}" if self.width == self.height else f"{self.width}x{self.height}"

    def place(self, given: NDArray[np.int64], inputs: NDArray[np.int64] | None = None) -> Placed:
        """Place images of these (g, 2) widths and heights, each in an input of its own where these are given.

        >>> Letterbox(640, 640).place(np.array([[500, 375]])).shifts.tolist()
        [[0.0, 80.0]]
        """
        if self.resize is not None:
            new = self.resize.sizes(given)
            padded = -(-new // MULTIPLE) * MULTIPLE if inputs is None else inputs
            return Placed(padded, new / given, np.zeros(given.shape), given)
        if inputs is None:
            inputs = np.tile(np.array([self.width, self.height], np.int64), (len(given), 1))
        if self.pad == "none":
            return Placed(inputs, np.ones(given.shape), np.zeros(given.shape), given[:0])
        if self.pad == "stretch":
            return Placed(inputs, inputs / given, np.zeros(given.shape), given)
        scale = (inputs / given).min(axis=1, keepdims=True)
        new = np.minimum(self._rounded(given * scale), inputs)
        factors = np.broadcast_to(scale, given.shape) if self.rounding == "exact" else new / given
        shifts = np.abs(np.rint((inputs - new) / 2 - 0.1)) if self.pad == "center" else np.zeros(given.shape)
        return Placed(inputs, factors, shifts, given)

    def _rounded(self, sides: NDArray[np.float64]) -> NDArray[np.float64]:
        nearest = np.rint(sides)
        # A side that is scaled exactly to a length must not lose or win a pixel by the last bit of the scale.
        whole = np.abs(sides - nearest) < 1e-6
        rounded = {"up": np.ceil(sides), "down": np.floor(sides), "nearest": np.floor(sides + 0.5), "exact": sides}
        return np.maximum(np.where(whole, nearest, rounded[self.rounding]), 1)


def letterbox_of(name: str, size: tuple[int, int], pad: str | None = None) -> Letterbox:
    """Return the input of a size for a preset of points or anchors, padded as the detector does or as given.

    >>> letterbox_of("yolox", (640, 640)).pad, letterbox_of("yolov8", (640, 640)).pad
    ('corner', 'center')
    """
    own, rounding = PADDING.get(name, CENTER)
    return Letterbox(*size, own if pad is None else pad, rounding)


def own_size(name: str) -> Letterbox:
    """Return the input that a detector without anchors is trained with."""
    if name in BY_RULE:
        return Letterbox(0, 0, "corner", "nearest", Resize.parse("shorter=800,longer=1333"))
    side = 1280 if name.endswith("-p6") else 640
    return letterbox_of(name, (side, side))
