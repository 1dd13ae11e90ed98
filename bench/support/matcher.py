"""The matrix and the matcher of torchvision's detectors, in torch: the peer of our matching."""

from __future__ import annotations

from typing import Any

BELOW, BETWEEN = -1, -2


def box_iou(truths: Any, anchors: Any) -> Any:
    """IoU of every truth with every anchor, as torchvision computes it."""
    import torch

    area_a = (truths[:, 2] - truths[:, 0]) * (truths[:, 3] - truths[:, 1])
    area_b = (anchors[:, 2] - anchors[:, 0]) * (anchors[:, 3] - anchors[:, 1])
    low = torch.max(truths[:, None, :2], anchors[:, :2])
    high = torch.min(truths[:, None, 2:], anchors[:, 2:])
    sides = (high - low).clamp(min=0)
    inter = sides[:, :, 0] * sides[:, :, 1]
    return inter / (area_a[:, None] + area_b - inter)


def match(truths: Any, anchors: Any, high: float = 0.5, low: float = 0.4) -> Any:
    """The truth of each anchor, -1 below the low threshold, -2 between; each truth keeps its best anchors."""
    import torch

    matrix = box_iou(truths, anchors)
    values, found = matrix.max(dim=0)
    own = found.clone()
    found[values < low] = BELOW
    found[(values >= low) & (values < high)] = BETWEEN
    best = matrix.max(dim=1).values
    claimed = torch.where(matrix == best[:, None])[1]
    found[claimed] = own[claimed]
    return found
