"""Suppression of few boxes: those of one array of corners that are kept, in their order, without segments or a tree.

A number of boxes kept is -1 if a box is inverted: then the caller may have to warn. Boxes of different classes do not
suppress one another; without classes their array is empty.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import boolean, f8, group, i8, readonly, vector
from fastbox.kernels.geometry.elementary import exp
from fastbox.kernels.geometry.extremes import robust_iou, valid
from fastbox.kernels.geometry.formulas import larger, smaller
from fastbox.kernels.geometry.inverted import any_inverted
from fastbox.kernels.suppress.tree import corners, meets


@device
def are_apart(box, other):
    """Return whether two boxes have no point in common but points of their edges, so that their IoU is 0."""
    return (larger(box.x0, other.x0) >= smaller(box.x1, other.x1)) | (
        larger(box.y0, other.y0) >= smaller(box.y1, other.y1)
    )


def keep(boxes, scores, classes, t, rows):
    """Write the rows of the boxes kept, by descending score, the lower row first at ties; return their number."""
    if any_inverted(boxes):
        return -1
    columns = 0, boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3]
    n = 0
    for row in range(boxes.shape[0]):
        box = corners(columns, row)
        if scores[row] != scores[row] or (box.area != box.area and not valid(box)):
            continue
        place = n
        while place and scores[rows[place - 1]] < scores[row]:
            rows[place] = rows[place - 1]
            place -= 1
        rows[place] = row
        n += 1
    kept = 0
    for place in range(n):
        row = rows[place]
        box = corners(columns, row)
        dropped = False
        for k in range(kept if meets(box) else 0):
            if classes.size and classes[rows[k]] != classes[row]:
                continue
            other = corners(columns, rows[k])
            if not are_apart(box, other) and robust_iou(box, other) > t:
                dropped = True
                break
        if not dropped:
            rows[kept] = row
            kept += 1
    return kept


def soften(boxes, scores, classes, how, rows, left):
    """Write the rows of the boxes kept and their lowered scores, by descending score; return their number.

    As `soft_nms` of segments, which finds the next box by a heap.
    """
    t, gaussian, sigma, least = how
    if any_inverted(boxes):
        return -1
    columns = 0, boxes[:, 0], boxes[:, 1], boxes[:, 2], boxes[:, 3]
    n = 0
    for row in range(boxes.shape[0]):
        box = corners(columns, row)
        if scores[row] == scores[row] and (box.area == box.area or valid(box)):
            rows[n], left[n] = row, scores[row]
            n += 1
    for place in range(n):
        best = place
        for k in range(place + 1, n):
            if (left[k] > left[best]) | ((left[k] == left[best]) & (rows[k] < rows[best])):
                best = k
        if not left[best] >= least:
            return place
        rows[place], rows[best] = rows[best], rows[place]
        left[place], left[best] = left[best], left[place]
        box = corners(columns, rows[place])
        for k in range(place + 1, n if meets(box) else 0):
            if classes.size and classes[rows[k]] != classes[rows[place]]:
                continue
            other = corners(columns, rows[k])
            if are_apart(box, other):
                continue
            overlap = robust_iou(box, other)
            if overlap > t:
                share = np.float64(overlap)
                factor = exp(-(share * share) / sigma) if gaussian else 1.0 - share
                left[k] = left[k] * factor if factor > 0.0 else 0.0  # of an infinite score too
    return n


KEEP = Kernel(keep, lambda t: i8(readonly(t, 2), readonly(f8), readonly(i8), t, vector(i8)), {"": {}})
SOFTEN = Kernel(
    soften,
    lambda t: i8(readonly(t, 2), readonly(f8), readonly(i8), group(t, boolean, f8, f8), vector(i8), vector(f8)),
    {"": {}},
)
