"""The scores of ObjectLab (Tkachenko et al., 2023) for one detector, after the formulas of the paper.

Each box has a score of quality; the suspicion here is 1 minus that score. The paper then pools the scores of an image,
which a ranking of boxes does not need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["box_suspicions"]

ALPHA = 0.9  # the weight of IoU in a similarity; the rest is the closeness of centres
HIGH, LOW = 0.95, 0.5  # the confidence of detections that may be overlooked or swapped, and of those that locate

Floats = NDArray[Any]


def similarity(boxes: Floats, others: Floats) -> Floats:
    """Return the similarity of every box with every other box of one image: IoU, and the distance of the centres."""
    low, high = np.maximum(boxes[:, None, :2], others[:, :2]), np.minimum(boxes[:, None, 2:], others[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    own, its = ((some[:, 2:] - some[:, :2]).prod(axis=1) for some in (boxes, others))
    iou = shared / (own[:, None] + its - shared)
    centres = [(some[:, :2] + some[:, 2:]) / 2 for some in (boxes, others)]
    reach = np.concatenate((boxes[:, 2:], others[:, 2:])).max(axis=0)
    distance = np.linalg.norm((centres[0][:, None] - centres[1]) / reach, axis=2) / 2**0.5
    return ALPHA * iou + (1 - ALPHA) * (1 - distance)


def box_suspicions(
    boxes: Floats, scores: Floats, classes: NDArray[Any], truths: Floats, truth_classes: NDArray[Any]
) -> tuple[Floats, Floats, Floats]:
    """Return for the boxes of one image how swapped and how badly located each truth is, and how overlooked each
    detection; nan for a detection that is not confident enough.
    """
    overlooked = np.full(len(boxes), np.nan)
    if not len(boxes):
        return np.zeros(len(truths)), np.zeros(len(truths)), overlooked
    alike = similarity(boxes, truths) if len(truths) else np.zeros((len(boxes), 0))
    same = classes[:, None] == truth_classes
    sure, fair = scores >= HIGH, scores >= LOW
    swapped = np.where(sure[:, None] & ~same, alike, 0).max(axis=0, initial=0)
    located = np.where(fair[:, None] & same, alike, -1).max(axis=0, initial=-1)
    badly = np.where(located < 0, 0, 1 - located)
    best = np.where(same, alike, -1).max(axis=1, initial=-1)
    # Without a truth of its class, a detection is overlooked the more, the higher its confidence.
    quality = np.where(best < 0, alike.min(initial=1 - ALPHA) * (1 - scores), best)
    overlooked[sure] = 1 - quality[sure]
    return swapped, badly, overlooked
