"""Assignment of points with whole matrices of points and truths, as peers compute it, from the written rules alone.

Everything is float32 in the order written; atan, log, exp and powers are float64 and rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

F = np.float32
Found = tuple[list[int], list[int]]


def points(size: tuple[int, int], strides: Sequence[int], offset: float) -> tuple[Any, Any]:
    """Return x and y of each point, and its stride."""
    xy, of = [], []
    for stride in strides:
        for row in range(-(-size[1] // stride)):
            for column in range(-(-size[0] // stride)):
                xy.append((F(F(column) + F(offset)) * F(stride), F(F(row) + F(offset)) * F(stride)))
                of.append(stride)
    return np.array(xy, F).reshape(-1, 2), np.array(of, F)


def distances(xy: Any, boxes: Any) -> Any:
    """Return left, top, right and bottom distance of each point in each box: shape (4, points, boxes)."""
    x, y = xy[:, :1], xy[:, 1:]
    return np.stack([x - boxes[:, 0], y - boxes[:, 1], boxes[:, 2] - x, boxes[:, 3] - y])


def near(xy: Any, strides: Any, boxes: Any, radius: float) -> Any:
    cx, cy = (boxes[:, 0] + boxes[:, 2]) / F(2), (boxes[:, 1] + boxes[:, 3]) / F(2)
    r = (F(radius) * strides)[:, None]
    x, y = xy[:, :1], xy[:, 1:]
    return (x > cx - r) & (x < cx + r) & (y > cy - r) & (y < cy + r)


def inside(xy: Any, boxes: Any, margin: float = 0.0) -> Any:
    return distances(xy, boxes).min(axis=0) > F(margin)


def widened(boxes: Any, floor: float, to: float) -> Any:
    centre, side = (boxes[:, :2] + boxes[:, 2:]) / F(2), boxes[:, 2:] - boxes[:, :2]
    half = np.where(side < F(floor), F(to), side) / F(2)
    return np.concatenate([centre - half, centre + half], axis=1)


def shared(truths: Any, boxes: Any) -> Any:
    low, high = np.maximum(truths[:, :2], boxes[:, None, :2]), np.minimum(truths[:, 2:], boxes[:, None, 2:])
    return np.prod(np.maximum(high - low, F(0)), axis=2, dtype=F)


def iou(truths: Any, boxes: Any, floor: float) -> Any:
    inter = shared(truths, boxes)
    own, area = np.prod(truths[:, 2:] - truths[:, :2], axis=1), np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    with np.errstate(invalid="ignore"):
        return inter / np.maximum(area[:, None] + own - inter, F(floor))


def ciou(truths: Any, boxes: Any) -> Any:
    """Return ultralytics' CIoU, at least 0."""
    e = F(1e-7)
    w1, h1 = truths[:, 2] - truths[:, 0], truths[:, 3] - truths[:, 1] + e
    w2, h2 = (boxes[:, 2] - boxes[:, 0])[:, None], (boxes[:, 3] - boxes[:, 1])[:, None] + e
    inter = shared(truths, boxes)
    value = inter / (w1 * h1 + w2 * h2 - inter + e)
    hull = np.maximum(truths[:, 2:], boxes[:, None, 2:]) - np.minimum(truths[:, :2], boxes[:, None, :2])
    c2 = hull[..., 0] * hull[..., 0] + hull[..., 1] * hull[..., 1] + e
    apart = boxes[:, None, :2] + boxes[:, None, 2:] - truths[:, :2] - truths[:, 2:]
    rho2 = (apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1]) / F(4)
    angle = np.arctan((w2 / h2).astype(float)).astype(F) - np.arctan((w1 / h1).astype(float)).astype(F)
    v = F(4 / np.pi**2) * (angle * angle)
    return np.maximum(value - (rho2 / c2 + v * (v / (F(1) - value + v + e))), F(0))


def greatest(values: Any, k: int) -> Any:
    """Return the places of the k greatest values, the first of equals first."""
    return np.argsort(-values, kind="stable")[:k]


def power(values: Any, exponent: float) -> Any:
    return (values.astype(float) ** exponent).astype(F)


def tal(
    xy: Any, truths: Any, boxes: Any, scores: Any, classes: Any, candidate: Any, topk: int = 10, topk2: int = 10
) -> tuple[Found, Any]:
    """Assign as ultralytics does, given the candidates of each truth; return also the target scores."""
    overlaps = np.where(candidate, ciou(truths, boxes), F(0))
    metric = np.where(candidate, power(scores[:, classes], 0.5) * power(overlaps, 6), F(0))
    claimed = np.zeros_like(candidate)
    for g in range(len(truths)):
        claimed[greatest(metric[:, g], topk), g] = True
    claimed &= candidate
    for p in np.flatnonzero(claimed.sum(axis=1) > 1):
        claimed[p] = False
        claimed[p, int(overlaps[p].argmax())] = True
    if topk2 < topk:
        for g in range(len(truths)):
            kept = np.zeros(len(xy), bool)
            kept[greatest(np.where(claimed[:, g], metric[:, g], F(0)), topk2)] = True
            claimed[:, g] &= kept
    at, owner = np.nonzero(claimed)
    values = metric[at, owner] * (overlaps * claimed).max(axis=0)[owner]
    values = values / ((metric * claimed).max(axis=0) + F(1e-9))[owner]
    return (at.tolist(), owner.tolist()), values


def tood(xy: Any, truths: Any, boxes: Any, scores: Any, classes: Any, topk: int = 13) -> Found:
    overlaps = iou(truths, boxes, 1e-6)
    metric = scores[:, classes] * power(overlaps, 6)
    candidate = inside(xy, truths, 0.01)
    claims = np.full_like(overlaps, -1)
    for g in range(len(truths)):
        best = greatest(metric[:, g], topk)
        best = best[(metric[best, g] > 0) & candidate[best, g]]
        claims[best, g] = overlaps[best, g]
    at = np.flatnonzero((claims >= 0).any(axis=1))
    return at.tolist(), [int(claims[p].argmax()) for p in at]


def dynamic(cost: Any, overlaps: Any, valid: Any, topk: int) -> Found:
    """Let each truth claim as many points of the least cost as its greatest overlaps sum up to."""
    rows = np.flatnonzero(valid)
    cost, overlaps = cost[rows], overlaps[rows]
    claimed = np.zeros(cost.shape, bool)
    for g in range(cost.shape[1] if len(rows) else 0):
        total = F(0)
        for value in -np.sort(-np.nan_to_num(overlaps[:, g]), kind="stable")[:topk]:
            total += value
        claimed[np.argsort(cost[:, g], kind="stable")[: max(int(total), 1)], g] = True
    for p in np.flatnonzero(claimed.sum(axis=1) > 1):
        claimed[p] = False
        claimed[p, int(np.nanargmin(cost[p]))] = True
    at, owner = np.nonzero(claimed)
    return rows[at].tolist(), owner.tolist()


def simota(
    xy: Any, strides: Any, truths: Any, boxes: Any, scores: Any, classes: Any, radius: float, both: bool, far: float
) -> Found:
    """Assign as YOLOX does: since 2023, or with `both` until 0.3."""
    close, within = near(xy, strides, truths, radius), inside(xy, truths)
    candidate = close & within if both else close
    valid = (close | within if both else close).any(axis=1)
    overlaps = iou(truths, boxes, 0)
    s = scores.astype(float)
    hit, miss = -np.maximum(np.log(s), -100), -np.maximum(np.log1p(-s), -100)
    classed = np.empty(overlaps.shape, F)
    for p in range(len(xy)):
        for g, label in enumerate(classes):
            terms = miss[p].copy()
            terms[label] = hit[p, label]
            classed[p, g] = terms.sum()
    lost = -np.log((overlaps + F(1e-8)).astype(float)).astype(F)
    cost = classed + F(3) * lost + F(far) * ~candidate
    return dynamic(cost.astype(F), overlaps, valid, 10)


def rtmdet(xy: Any, strides: Any, truths: Any, boxes: Any, logits: Any, classes: Any) -> Found:
    overlaps = iou(truths, boxes, 1e-6)
    x = logits.astype(float)
    s = 1 / (1 + np.exp(-x))
    soft = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    classed = np.empty(overlaps.shape, F)
    for p in range(len(xy)):
        for g, label in enumerate(classes):
            t = np.zeros(x.shape[1])
            t[label] = overlaps[p, g]
            classed[p, g] = ((soft[p] - t * x[p]) * (t - s[p]) ** 2).sum()
    centre = (truths[:, :2] + truths[:, 2:]) / F(2)
    apart = xy[:, None] - centre
    d = np.sqrt((apart[..., 0] * apart[..., 0] + apart[..., 1] * apart[..., 1]).astype(float)).astype(F)
    with np.errstate(over="ignore"):
        far = (10.0 ** (d / strides[:, None] - F(3)).astype(float)).astype(F)
    lost = -np.log((overlaps + F(1e-7)).astype(float)).astype(F) * F(3)
    return dynamic(classed + lost + far, overlaps, inside(xy, truths).any(axis=1), 13)


def fcos(xy: Any, strides: Any, truths: Any, radius: float, ranges: Any, legacy: bool) -> tuple[Found, Any]:
    """Assign as FCOS does; return also the candidates of each truth."""
    cut, far = inside(xy, truths), distances(xy, truths).max(axis=0)
    if radius:
        cut &= near(xy, strides, truths, radius)
    low, high = (np.array([ranges[s][end] for s in strides.tolist()], F)[:, None] for end in (0, 1))
    candidate = cut & (far >= low) & (far <= high)
    sides = truths[:, 2:] - truths[:, :2] + F(legacy)
    area = np.where(candidate, sides[:, 0] * sides[:, 1], F(1e8))
    at = np.flatnonzero((area < F(1e8)).any(axis=1))
    return (at.tolist(), [int(area[p].argmin()) for p in at]), candidate
