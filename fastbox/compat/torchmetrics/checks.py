"""Arguments of the metric, and the batches that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from fastbox.values.numbers import as_choice

__all__ = ["as_format_of_boxes", "as_limits", "as_thresholds", "check_iou_type", "check_items"]

LIMITS = [1, 10, 100]


def as_format_of_boxes(name: str) -> str:
    """Return the format of boxes.

    Raises
    ------
    ValueError
        Another format.
    """
    return as_choice(name, ("xyxy", "xywh", "cxcywh"), "box_format to be")


def check_iou_type(iou_type: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return the types of IoU as a tuple.

    Raises
    ------
    ValueError
        Masks.
    """
    types = (iou_type,) if isinstance(iou_type, str) else tuple(iou_type)
    if types != ("bbox",):
        raise ValueError(f"expected iou_type 'bbox', got {iou_type!r}: evaluate masks with torchmetrics itself")
    return types


def as_thresholds(given: list[float] | None, name: str) -> list[float]:
    """Return thresholds as a list of floats, empty if there are none.

    Raises
    ------
    ValueError
        Anything but None and lists.
    """
    if given is not None and not isinstance(given, list):
        raise ValueError(f"expected {name} to be None or a list of floats, got {given!r}: give list({name})")
    return [float(number) for number in given or []]


def as_limits(given: list[int] | None) -> list[int]:
    """Return the limits on detections, ascending.

    Raises
    ------
    ValueError
        Anything but None and lists of three numbers.
    """
    if given is not None and (not isinstance(given, list) or len(given) != 3):
        raise ValueError(f"expected max_detection_thresholds to be None or a list of three numbers, got {given!r}")
    return sorted(int(limit) for limit in given or LIMITS)


def check_items(preds: Any, target: Any) -> None:
    """Refuse batches that are not sequences of dicts with the entries of detections and of truths.

    Raises
    ------
    ValueError
    """
    for name, items in (("preds", preds), ("target", target)):
        if not isinstance(items, Sequence):
            raise ValueError(f"expected {name} to be a list of dicts, got {type(items).__name__}: give list({name})")
    if len(preds) != len(target):
        raise ValueError(f"expected as many images in preds as in target, got {len(preds)} and {len(target)}")
    for place, item in enumerate(preds):
        _check_item(item, f"preds[{place}]", ("boxes", "scores", "labels"), ())
        if not item["scores"].is_floating_point():
            raise ValueError(f"expected scores of preds[{place}] to be floats, got {item['scores'].dtype}")
    for place, item in enumerate(target):
        _check_item(item, f"target[{place}]", ("boxes", "labels"), ("iscrowd", "area"))


def _check_item(item: Any, name: str, needed: Sequence[str], optional: Sequence[str]) -> None:
    if not isinstance(item, Mapping):
        raise ValueError(f"expected {name} to be a dict, got {type(item).__name__}")
    for key in needed:
        if key not in item:
            raise ValueError(f"expected {name} with the entry {key!r}, got {', '.join(map(str, item)) or 'none'}")
    columns = [key for key in (*needed, *optional) if key in item]
    for key in columns:
        if not isinstance(item[key], torch.Tensor):
            raise ValueError(f"expected {key!r} of {name} to be a tensor, got {type(item[key]).__name__}")
    labels, boxes = item["labels"], item["boxes"]
    if labels.dim() != 1 or labels.is_floating_point() or labels.is_complex():
        kind = f"{labels.dtype} of shape {tuple(labels.shape)}"
        if labels.numel() or labels.dim() != 1:
            raise ValueError(f"expected 'labels' of {name} to be integers of shape (n,), got {kind}")
    count = len(labels)
    if boxes.shape != (count, 4) and not (count == 0 and boxes.numel() == 0):
        raise ValueError(
            f"expected 'boxes' of {name} of shape ({count}, 4) for {count} labels, got {tuple(boxes.shape)}"
        )
    for key in columns:
        if key != "boxes" and item[key].shape != (count,):
            raise ValueError(
                f"expected {key!r} of {name} of shape ({count},) for {count} labels, got {tuple(item[key].shape)}"
            )
