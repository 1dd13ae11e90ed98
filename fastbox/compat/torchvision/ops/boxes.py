"""The functions of :mod:`torchvision.ops.boxes`, for imports from that module."""

from fastbox.compat.torchvision.ops.iou import box_iou, complete_box_iou, distance_box_iou, generalized_box_iou
from fastbox.compat.torchvision.ops.shapes import box_area, box_convert, clip_boxes_to_image, remove_small_boxes
from fastbox.compat.torchvision.ops.suppression import batched_nms, nms

__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "complete_box_iou",
    "distance_box_iou",
    "generalized_box_iou",
    "nms",
    "remove_small_boxes",
]
