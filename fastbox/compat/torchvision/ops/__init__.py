"""The box functions and box losses of :mod:`torchvision.ops`, for tensors on the CPU.

Names, arguments, shapes and dtypes are those of torchvision. :func:`box_iou` and :func:`generalized_box_iou` of valid
float32 and float64 boxes have the bits of torchvision, and :func:`nms` keeps the same boxes. Different on purpose:

- An invalid box (a corner that is not finite, or inverted) gives nan; torchvision computes a number.
- Two boxes that are the same point have IoU and GIoU 0; torchvision divides 0 by 0.
- Integers and half precision are promoted before anything is subtracted, so nothing wraps or overflows.
- No epsilon is added to a denominator, see :func:`distance_box_iou`.
- The losses have gradients. The functions that return a matrix have none and refuse tensors that require it.
- ``torch.jit.script`` does not compile these functions.
"""

from fastbox.compat.torchvision.ops.iou import box_iou, complete_box_iou, distance_box_iou, generalized_box_iou
from fastbox.compat.torchvision.ops.losses import (
    complete_box_iou_loss,
    distance_box_iou_loss,
    generalized_box_iou_loss,
)
from fastbox.compat.torchvision.ops.shapes import box_area, box_convert, clip_boxes_to_image, remove_small_boxes
from fastbox.compat.torchvision.ops.suppression import batched_nms, nms

__all__ = [
    "batched_nms",
    "box_area",
    "box_convert",
    "box_iou",
    "clip_boxes_to_image",
    "complete_box_iou",
    "complete_box_iou_loss",
    "distance_box_iou",
    "distance_box_iou_loss",
    "generalized_box_iou",
    "generalized_box_iou_loss",
    "nms",
    "remove_small_boxes",
]
