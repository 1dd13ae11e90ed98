"""Suppression of few boxes: those of one array of corners that are kept, in their order, without segments or cells."""

from __future__ import annotations

from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import f8, i8, readonly, vector
from fastbox.kernels.geometry.extremes import robust_iou, valid
from fastbox.kernels.geometry.formulas import larger, smaller
from fastbox.kernels.geometry.inverted import any_inverted
from fastbox.kernels.suppress.cells import corners, meets


def keep(boxes, scores, classes, t, rows):
    """Write the rows of the boxes kept, by descending score, the lower row first at ties; return their number.

    The number is -1 if a box is inverted: then the caller may have to warn. Boxes of different classes do not suppress
    one another; without classes their array is empty.
    """
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
            apart = (larger(box.x0, other.x0) >= smaller(box.x1, other.x1)) | (
                larger(box.y0, other.y0) >= smaller(box.y1, other.y1)
            )
            if not apart and robust_iou(box, other) > t:
                dropped = True
                break
        if not dropped:
            rows[kept] = row
            kept += 1
    return kept


KEEP = Kernel(keep, lambda t: i8(readonly(t, 2), readonly(f8), readonly(i8), t, vector(i8)), {"": {}})
