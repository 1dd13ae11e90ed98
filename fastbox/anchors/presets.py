"""The anchors of well-known detectors, by name, with the figures of their published configurations."""

from __future__ import annotations

from collections.abc import Callable

from fastbox.anchors.grid import AnchorGrid
from fastbox.values.powers import power_of_two

__all__ = ["MAKERS", "PRESETS"]

RATIOS = (0.5, 1.0, 2.0)
SIZES = (32, 64, 128, 256, 512)
FROM_P2, FROM_P3 = (4, 8, 16, 32, 64), (8, 16, 32, 64, 128)
OCTAVE = tuple(power_of_two(i / 3) for i in range(3))

MAKERS: dict[str, Callable[[], AnchorGrid]] = {
    "atss": lambda: AnchorGrid.mmdet(FROM_P3, [1.0], octave_base_scale=8, scales_per_octave=1),
    "detectron2-fpn": lambda: AnchorGrid.detectron2([[s] for s in SIZES], RATIOS, FROM_P2),
    "detectron2-retinanet": lambda: AnchorGrid.detectron2([[s * o for o in OCTAVE] for s in SIZES], RATIOS, FROM_P3),
    "faster-rcnn-fpn": lambda: AnchorGrid.torchvision(SIZES, RATIOS, FROM_P2),
    "mmdet-fpn": lambda: AnchorGrid.mmdet(FROM_P2, RATIOS, [8]),
    "mmdet-retinanet": lambda: AnchorGrid.mmdet(FROM_P3, RATIOS, octave_base_scale=4, scales_per_octave=3),
    "retinanet": lambda: AnchorGrid.torchvision([[int(s * o) for o in OCTAVE] for s in SIZES], RATIOS, FROM_P3),
    "rpn-c4": lambda: AnchorGrid.detectron2(SIZES, RATIOS, [16], pad=1),
    "ssd300": lambda: AnchorGrid.ssd(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        [8, 16, 32, 64, 100, 300],
        size=(300, 300),
    ),
    "ssd512": lambda: AnchorGrid.ssd(
        [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
        [0.04, 0.10, 0.26, 0.42, 0.58, 0.74, 0.90, 1.06],
        [8, 16, 32, 64, 128, 256, 512],
        size=(512, 512),
    ),
    "yolof": lambda: AnchorGrid.mmdet([32], [1.0], [1, 2, 4, 8, 16]),
    "yolov3": lambda: AnchorGrid.yolo(
        [32, 16, 8],
        [[(116, 90), (156, 198), (373, 326)], [(30, 61), (62, 45), (59, 119)], [(10, 13), (16, 30), (33, 23)]],
    ),
}

PRESETS = tuple(sorted(MAKERS))
