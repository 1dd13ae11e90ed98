"""The kernels of evaluation, bound to a geometry: matching and errors are those of plain boxes.

Boxes are packed once. Only what reads a box and compares it with a truth is another function.
"""

from __future__ import annotations

from collections import namedtuple

from fastbox.kernels.build.device import device, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import packed
from fastbox.kernels.evaluate import match, match_any, tide
from fastbox.kernels.geometry.formulas import ratio
from fastbox.kernels.geometry.rotated import intersection
from fastbox.kernels.geometry.rotated_metrics import probiou

Kernels = namedtuple("Kernels", "match match_any classify_errors")


@device
def frame_of(box):
    """Return the frame of a packed box, outside of which it overlaps nothing."""
    return box.x0, box.y0, box.x1, box.y1


@device
def overlap(box, truth, crowd):
    """Compute the IoU of a box with a truth; with a crowd, the share of the box inside the crowd."""
    if not ((box.x1 > truth.x0) & (truth.x1 > box.x0) & (box.y1 > truth.y0) & (truth.y1 > box.y0)):
        return 0.0
    inter = intersection(box, truth)
    return ratio(inter, box.area if crowd else box.area + truth.area - inter)


@device
def wider_frame_of(box):
    """Return a frame three times as wide and high, outside of which a box has a ProbIoU below 0.0006 with the box.

    Along an axis the variance of a box is at most a third of the square of half its extent e. So the Bhattacharyya
    distance of boxes that lie d apart is at least 3/4 d^2 / (e^2 + e'^2), and 6.75 where d > 3 (e + e').
    """
    w, h = box.x1 - box.x0, box.y1 - box.y0
    return box.x0 - w, box.y0 - h, box.x1 + w, box.y1 + h


@device
def likeness(box, truth, crowd):
    """Compute the ProbIoU of a box with a truth; with a crowd, the share of the box inside the crowd."""
    return overlap(box, truth, crowd) if crowd else probiou(box, truth, 0.0)


def kernels_of(box_at, intersection, columns, module):
    """Return the kernels of a geometry, as :func:`fastbox.kernels.compare.geometry.kernels_of` does.

    ProbIoU is bound for rectangles alone, which have five columns.
    """
    shared = device(rebound(overlap, {"intersection": intersection}, str(columns)))
    bound = {"iou": {"box_at": box_at, "frame_of": frame_of, "overlap": shared}}
    if columns == 5:
        bound["probiou"] = {"box_at": box_at, "frame_of": wider_frame_of, "overlap": likeness}

    return Kernels(
        Kernel(match.match, lambda t: match.signature(t, packed), bound, module),
        Kernel(match_any.match_any, lambda t: match.signature(t, packed), bound, module),
        Kernel(tide.classify_errors, lambda t: tide.signature(t, packed), bound, module),
    )
