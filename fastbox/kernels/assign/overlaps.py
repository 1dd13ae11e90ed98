"""The overlaps that rules rank by, in the order of operations of the library that each rule is named after."""

from __future__ import annotations

import math

import numpy as np

from fastbox.kernels.assign.point_codes import CLAMPED_CIOU, YOLOV6_IOU
from fastbox.kernels.assign.windows import corners_at
from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.geometry.elementary import atan
from fastbox.kernels.geometry.formulas import larger, smaller
from fastbox.kernels.geometry.pack import corners_of, pack

X0, Y0, X1, Y1, AREA, ANGLE, SIZES = range(7)  # the rows of a tile, and their number
OVERLAP, RATED, BATCH_ROWS = SIZES, SIZES + 1, SIZES + 2  # of a batch, behind the rows of a tile
BATCH = 32  # predictions measured together: a constant count, of which no vector register leaves a remainder


@inlined
def angle_of(x0, y0, x1, y1):
    """Return the angle of a box's diagonal, its height raised by 1e-7."""
    T = type(x0)
    return T(atan(np.float64((x1 - x0) / (y1 - y0 + T(1e-7)))))


@inlined
def shared_area(a, b):
    zero = type(a[0])(0)
    w, h = smaller(a[2], b[2]) - larger(a[0], b[0]), smaller(a[3], b[3]) - larger(a[1], b[1])
    return (w if w > zero else zero) * (h if h > zero else zero)


@inlined
def ultralytics_ciou(a, b, angle_a, angle_b):
    """Return the CIoU of a truth and a prediction, at least 0 (Zheng et al., AAAI 2020)."""
    T = type(a[0])
    one, zero, tiny = T(1), T(0), T(1e-7)
    inter = shared_area(a, b)
    union = (a[2] - a[0]) * (a[3] - a[1] + tiny) + (b[2] - b[0]) * (b[3] - b[1] + tiny) - inter + tiny
    iou = inter / union
    w, h = larger(a[2], b[2]) - smaller(a[0], b[0]), larger(a[3], b[3]) - smaller(a[1], b[1])
    x, y = b[0] + b[2] - a[0] - a[2], b[1] + b[3] - a[1] - a[3]
    apart = (x * x + y * y) / T(4)
    v = T(4 / math.pi**2) * ((angle_b - angle_a) * (angle_b - angle_a))
    alpha = v / (one - iou + v + tiny)
    value = iou - (apart / (w * w + h * h + tiny) + v * alpha)
    return value if value > zero else zero


@inlined
def mmyolo_ciou(a, b, angle_a, angle_b):
    """Return the CIoU of a truth and a prediction, from 0 to 1."""
    T = type(a[0])
    one, zero, tiny = T(1), T(0), T(1e-7)
    inter = shared_area(a, b)
    iou = inter / ((b[2] - b[0]) * (b[3] - b[1]) + (a[2] - a[0]) * (a[3] - a[1]) - inter + tiny)
    w, h = larger(a[2], b[2]) - smaller(a[0], b[0]), larger(a[3], b[3]) - smaller(a[1], b[1])
    x, y = (a[0] + a[2]) - (b[0] + b[2]), (a[1] + a[3]) - (b[1] + b[3])
    apart = x * x / T(4) + y * y / T(4)
    v = T(4 / math.pi**2) * ((angle_a - angle_b) * (angle_a - angle_b))
    alpha = v / (v - iou + T(1 + 1e-7))
    value = iou - (apart / (w * w + h * h + tiny) + alpha * v)
    return smaller(value, one) if value > zero else zero


@inlined
def yolov6_iou(a, b):
    """Return the IoU of a truth and a prediction."""
    inter = shared_area(a, b)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    return inter / (union + type(inter)(1e-9))


@device
def overlap(kind, a, b, angle_a, angle_b):
    """Return the overlap of a truth and a prediction that a TAL rule ranks by."""
    if kind == CLAMPED_CIOU:
        return ultralytics_ciou(a, b, angle_a, angle_b)
    return yolov6_iou(a, b) if kind == YOLOV6_IOU else mmyolo_ciou(a, b, angle_a, angle_b)


@inlined
def clear(batch):
    """Write the same valid box and score to all lanes of a batch: the last batch may leave some of them."""
    for row in range(BATCH_ROWS):
        for j in range(BATCH):
            batch[row, j] = 0.0 if row == X0 or row == Y0 else 0.5


@inlined
def gather(boxes, start, points, first, n, batch):
    """Write the corners of n predictions, at most BATCH, of the points from a place of a list on."""
    arrangement, p, q, r, s = boxes
    for j in range(n):
        k = np.uint64(start + points[np.uint64(first + j)])
        batch[X0, j], batch[Y0, j], batch[X1, j], batch[Y1, j] = corners_of(arrangement, p[k], q[k], r[k], s[k])


@inlined
def measure(kind, a, angle, batch):
    """Write the overlaps of a truth with a batch of predictions behind these; they are nan or 0 for invalid ones."""
    if kind == YOLOV6_IOU:
        for j in range(BATCH):
            batch[OVERLAP, j] = yolov6_iou(a, corners_in(batch, j))
        return
    for j in range(BATCH):
        batch[ANGLE, j] = angle_of(*corners_in(batch, j))
    if kind == CLAMPED_CIOU:
        for j in range(BATCH):
            batch[OVERLAP, j] = ultralytics_ciou(a, corners_in(batch, j), angle, batch[ANGLE, j])
    else:
        for j in range(BATCH):
            batch[OVERLAP, j] = mmyolo_ciou(a, corners_in(batch, j), angle, batch[ANGLE, j])


@device
def iou_floored(a, b, floor):
    """Return the IoU of two boxes, the area of their union at least the floor."""
    inter = shared_area(a, b)
    union = (b[2] - b[0]) * (b[3] - b[1]) + (a[2] - a[0]) * (a[3] - a[1]) - inter
    return inter / (union if union > floor else floor)


@inlined
def corners_in(tile, j):
    return tile[X0, j], tile[Y0, j], tile[X1, j], tile[Y1, j]


@device
def write_tile(boxes, first, last, tile):
    """Write truths as corners, areas and angles; an invalid box is nan."""
    for j in range(last - first):
        x0, y0, x1, y1 = corners_at(boxes, first + j)
        tile[X0, j], tile[Y0, j], tile[X1, j], tile[Y1, j] = x0, y0, x1, y1
        tile[AREA, j], tile[ANGLE, j] = (x1 - x0) * (y1 - y0), angle_of(x0, y0, x1, y1)


@device
def pack_predictions(boxes, start, n, tile):
    """Write an image's predictions as corners and areas, without their angles; an invalid box is nan."""
    pack(boxes, start, start + n, tile)
    for j in range(n):
        k = np.uint64(j)
        tile[AREA, k] = (tile[X1, k] - tile[X0, k]) * (tile[Y1, k] - tile[Y0, k])


@device
def first_valid_of(tile, n):
    """Return the place of the first valid box of a tile; n without any."""
    g = 0
    while g < n and tile[0, g] != tile[0, g]:
        g += 1
    return g


@device
def iou_row(tile, n, a, floor, out):
    """Write the IoU of a truth with each of n valid boxes of a tile; `out` may be a further row of it."""
    zero = type(floor)(0)
    area = (a[2] - a[0]) * (a[3] - a[1])
    for j in range(n):
        k = np.uint64(j)
        w = smaller(tile[X1, k], a[2]) - larger(tile[X0, k], a[0])
        h = smaller(tile[Y1, k], a[3]) - larger(tile[Y0, k], a[1])
        inter = (w if w > zero else zero) * (h if h > zero else zero)
        union = tile[AREA, k] + area - inter
        out[k] = inter / (union if union > floor else floor)
