"""The anchors of well-known detectors, by name, as data: the figures of their published configurations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastbox._record import NamedTuple
from fastbox.values.powers import power_of_two

__all__ = ["COMPARED", "DETECTORS", "PRESETS", "Detector"]

Shapes = Sequence[tuple[float, float]]


class Detector(NamedTuple):
    """The anchors of one detector.

    Attributes
    ----------
    maker : str
        The constructor of :class:`fastbox.AnchorGrid` that makes them.
    arguments : dict
        The arguments of the constructor.
    resize : str or None
        The resizing of images in training, as :meth:`Resize.parse` reads it; None if fitted shapes are not compared
        with these shapes.
    shapes : sequence of (width, height)
        The shapes that fitted shapes are compared with, in pixels of resized images. torchvision also rounds its
        anchors to even sides, by less than 1 px; these shapes are not rounded.
    """

    maker: str
    arguments: Mapping[str, Any]
    resize: str | None = None
    shapes: Shapes = ()


def _products(sizes: Sequence[float], ratios: Sequence[float]) -> Shapes:
    """Return every size with every ratio of height to width, at equal area."""
    return tuple((size / math.sqrt(ratio), size * math.sqrt(ratio)) for size in sizes for ratio in ratios)


def _defaults(side: float, scales: Sequence[float], ratios: Sequence[Sequence[float]]) -> Shapes:
    """Return the default boxes of Liu et al., SSD, ECCV 2016, section 2.2, none larger than the image."""
    shapes = []
    for scale, after, own in zip(scales[:-1], scales[1:], ratios, strict=True):
        shapes += [(scale, scale), (math.sqrt(scale * after),) * 2]
        for ratio in own:
            long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
            shapes += [(long, short), (short, long)]
    return tuple((side * min(w, 1.0), side * min(h, 1.0)) for w, h in shapes)


RATIOS = (0.5, 1.0, 2.0)
SIZES = (32, 64, 128, 256, 512)
FROM_P2, FROM_P3 = (4, 8, 16, 32, 64), (8, 16, 32, 64, 128)
OCTAVE = tuple(power_of_two(i / 3) for i in range(3))
OCTAVES = tuple(tuple(size * step for step in OCTAVE) for size in SIZES)  # by level
SSD300_RATIOS, SSD300_SCALES = ([2], [2, 3], [2, 3], [2, 3], [2], [2]), (0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05)
YOLOV3 = (((10, 13), (16, 30), (33, 23)), ((30, 61), (62, 45), (59, 119)), ((116, 90), (156, 198), (373, 326)))
YOLOV4 = (((12, 16), (19, 36), (40, 28)), ((36, 75), (76, 55), (72, 146)), ((142, 110), (192, 243), (459, 401)))

DETECTORS = {
    "atss": Detector("mmdet", {"strides": FROM_P3, "ratios": [1.0], "octave_base_scale": 8, "scales_per_octave": 1}),
    "detectron2-fpn": Detector("detectron2", {"sizes": [[s] for s in SIZES], "ratios": RATIOS, "strides": FROM_P2}),
    "detectron2-retinanet": Detector("detectron2", {"sizes": OCTAVES, "ratios": RATIOS, "strides": FROM_P3}),
    "faster-rcnn-fpn": Detector(
        "torchvision",
        {"sizes": SIZES, "ratios": RATIOS, "strides": FROM_P2},
        "shorter=800,longer=1333",
        _products(SIZES, RATIOS),
    ),
    "mmdet-fpn": Detector("mmdet", {"strides": FROM_P2, "ratios": RATIOS, "scales": [8]}),
    "mmdet-retinanet": Detector(
        "mmdet", {"strides": FROM_P3, "ratios": RATIOS, "octave_base_scale": 4, "scales_per_octave": 3}
    ),
    "retinanet": Detector(
        "torchvision",
        {"sizes": [[int(size) for size in level] for level in OCTAVES], "ratios": RATIOS, "strides": FROM_P3},
        "shorter=800,longer=1333",
        _products([size for level in OCTAVES for size in level], RATIOS),
    ),
    "rpn-c4": Detector("detectron2", {"sizes": SIZES, "ratios": RATIOS, "strides": [16], "pad": 1}),
    "ssd300": Detector(
        "ssd",
        {
            "ratios": SSD300_RATIOS,
            "scales": SSD300_SCALES,
            "steps": [8, 16, 32, 64, 100, 300],
            "size": (300, 300),
        },
        "300x300",
        _defaults(300, SSD300_SCALES, SSD300_RATIOS),
    ),
    "ssd512": Detector(
        "ssd",
        {
            "ratios": [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
            "scales": [0.04, 0.10, 0.26, 0.42, 0.58, 0.74, 0.90, 1.06],
            "steps": [8, 16, 32, 64, 128, 256, 512],
            "size": (512, 512),
        },
    ),
    "yolof": Detector("mmdet", {"strides": [32], "ratios": [1.0], "scales": [1, 2, 4, 8, 16]}),
    "yolov3": Detector("yolo", {"strides": [32, 16, 8], "base_sizes": YOLOV3[::-1]}, "416", sum(YOLOV3, ())),
    "yolov5": Detector("yolo", {"strides": [8, 16, 32], "base_sizes": YOLOV3}, "640", sum(YOLOV3, ())),
    "yolov7": Detector("yolo", {"strides": [8, 16, 32], "base_sizes": YOLOV4}, "640", sum(YOLOV4, ())),
}

PRESETS = tuple(DETECTORS)
COMPARED = tuple(name for name, detector in DETECTORS.items() if detector.resize is not None)
