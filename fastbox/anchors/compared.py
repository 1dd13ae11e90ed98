"""The anchor shapes that well-known detectors come with: (width, height) in pixels at the resolution they train at."""

from __future__ import annotations

import math
from typing import NamedTuple

from fastbox.values.powers import power_of_two

__all__ = ["PRESETS", "Preset"]

Shapes = tuple[tuple[float, float], ...]


class Preset(NamedTuple):
    """Shapes, and the resolution they are meant for, as one gives it to ``resize``."""

    shapes: Shapes
    resize: str


def _products(sizes: tuple[float, ...], ratios: tuple[float, ...] = (0.5, 1.0, 2.0)) -> Shapes:
    """Every size with every ratio of height to width, at equal area: detectron2's anchors, and torchvision's."""
    return tuple((size / math.sqrt(ratio), size * math.sqrt(ratio)) for size in sizes for ratio in ratios)


def _defaults(side: float, scales: tuple[float, ...], ratios: tuple[tuple[float, ...], ...]) -> Shapes:
    """The default boxes of Liu et al., SSD, ECCV 2016, section 2.2, none larger than the image."""
    shapes = []
    for scale, after, own in zip(scales[:-1], scales[1:], ratios, strict=True):
        shapes += [(scale, scale), (math.sqrt(scale * after),) * 2]
        for ratio in own:
            long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            shapes += [(long, short), (short, long)]
    return tuple((side * min(w, 1.0), side * min(h, 1.0)) for w, h in shapes)


_YOLOV3 = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
_YOLOV4 = ((12, 16), (19, 36), (40, 28), (36, 75), (76, 55), (72, 146), (142, 110), (192, 243), (459, 401))

# torchvision rounds its anchors to even sides, which is less than 1 px here and left out.
PRESETS = {
    "faster-rcnn": Preset(_products((32, 64, 128, 256, 512)), "800/1333"),
    "retinanet": Preset(
        _products(tuple(size * power_of_two(step / 3) for size in (32, 64, 128, 256, 512) for step in range(3))),
        "800/1333",
    ),
    "ssd300": Preset(
        _defaults(300, (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05), ((2,), (2, 3), (2, 3), (2, 3), (2,), (2,))),
        "300x300",
    ),
    "yolov3": Preset(_YOLOV3, "416"),
    "yolov5": Preset(_YOLOV3, "640"),
    "yolov7": Preset(_YOLOV4, "640"),
}
