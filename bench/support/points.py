"""Scenes of points and raw predictions, and the peers that assign points: ultralytics, and plain torch.

YOLOX and mmdetection can't be installed beside a recent torch; `simota` and `rtmdet` are this project's own torch code,
written from the rules in docs/points.md with the same matrices of points, truths and classes as theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastbox

STRIDES, CLASSES = (8, 16, 32), 80


class Scene(NamedTuple):
    """Truths of an image, and the predictions of all points: boxes, and scores of classes from 0 to 1."""

    grid: fastbox.PointGrid
    size: tuple[int, int]
    truths: Any
    boxes: Any
    scores: Any
    classes: Any

    def match(self, rule: str, **changed: Any) -> fastbox.Matches:
        given = {"boxes": self.boxes, "scores": self.scores, "classes": self.classes} | changed
        return fastbox.match(self.grid, self.truths, rule=rule, size=self.size, sparse=True, **given)


def truths(n: int, side: int, sides: tuple[float, float], seed: int = 0) -> Any:
    """Draw corners of truths inside a square image, whose sides are log-uniform between two numbers of pixels."""
    rng = np.random.default_rng([seed, n])
    centre, half = rng.uniform(0, side, (n, 2)), np.exp(rng.uniform(*np.log(sides), (n, 2))) / 2
    return np.clip(np.concatenate([centre - half, centre + half], axis=1), 0, side).astype(np.float32)


def scene(
    n: int, side: int = 640, *, sides: tuple[float, float] = (8, 320), offset: float = 0.5, classes: int = CLASSES
) -> Scene:
    """Draw a scene: a point in a truth predicts the smallest such truth with noise, any other point a random box."""
    rng = np.random.default_rng(n)
    grid = fastbox.PointGrid(STRIDES, offset)
    xy = grid.points((side, side))
    strides = np.repeat(STRIDES, grid.counts((side, side)))[:, None]
    wanted = truths(n, side, sides)
    away = rng.uniform(0.3, 4, (len(xy), 4)) * strides
    boxes = np.concatenate([xy - away[:, :2], xy + away[:, 2:]], axis=1)
    extent = wanted[:, 2:] - wanted[:, :2]
    for g in np.argsort(-extent.prod(axis=1)):
        inside = np.flatnonzero(((xy > wanted[g, :2]) & (xy < wanted[g, 2:])).all(axis=1))
        boxes[inside] = wanted[g] + rng.normal(0, 0.08, (len(inside), 4)) * np.tile(extent[g], 2)
    scores = rng.beta(0.3, 4, (len(xy), classes)).clip(1e-4, 0.999)
    made = wanted, boxes.astype(np.float32), scores.astype(np.float32), rng.integers(0, classes, n)
    return Scene(grid, (side, side), *made)


def logits(scores: Any) -> Any:
    return np.log(scores / (1 - scores)).astype(np.float32)


Found = tuple[Any, Any]  # the positive points, and their truths


def one_thread() -> Any:
    import torch

    torch.set_num_threads(1)
    return torch


def ultralytics(given: Scene) -> Callable[[], Found]:
    """Return a call of ultralytics' own TaskAlignedAssigner."""
    from ultralytics.utils.tal import TaskAlignedAssigner

    torch = one_thread()
    assigner = TaskAlignedAssigner(topk=10, num_classes=CLASSES, alpha=0.5, beta=6.0, stride=list(STRIDES))
    tensors = (
        *(torch.from_numpy(array)[None] for array in (given.scores, given.boxes)),
        torch.from_numpy(given.grid.points(given.size)),
        torch.from_numpy(given.classes)[None, :, None],
        torch.from_numpy(given.truths)[None],
        torch.ones(1, len(given.truths), 1, dtype=torch.bool),
    )

    def assign() -> Found:
        *_, positive, owner = assigner(*tensors)
        points = torch.where(positive[0])[0]
        return points.numpy(), owner[0][points].numpy()

    return assign


def _overlaps(torch: Any, truths: Any, boxes: Any, floor: float) -> Any:
    low, high = torch.max(truths[:, None, :2], boxes[:, :2]), torch.min(truths[:, None, 2:], boxes[:, 2:])
    inter = (high - low).clamp(min=0).prod(dim=2)
    area_a, area_b = (truths[:, 2:] - truths[:, :2]).prod(dim=1), (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    return inter / (area_a[:, None] + area_b - inter).clamp(min=floor)


def _chosen(torch: Any, costs: Any, ious: Any, topk: int) -> Found:
    """Return points and truths of a matrix of costs, truths by points: each truth's dynamic k, then the least cost."""
    counts = ious.topk(min(topk, ious.shape[1]), dim=1).values.sum(dim=1).int().clamp(min=1).tolist()
    claims = torch.zeros_like(costs, dtype=torch.bool)
    for g, k in enumerate(counts):
        claims[g, costs[g].topk(k, largest=False).indices] = True
    contested = claims.sum(dim=0) > 1
    best = costs[:, contested].argmin(dim=0)
    claims[:, contested] = False
    claims[best, torch.where(contested)[0]] = True
    points = torch.where(claims.any(dim=0))[0]
    return points, claims[:, points].int().argmax(dim=0)


def simota(given: Scene) -> Callable[[], Found]:
    """Return a call of YOLOX's rule in plain torch."""
    torch = one_thread()
    wanted, boxes, scores = (torch.from_numpy(array) for array in (given.truths, given.boxes, given.scores))
    xy = torch.from_numpy(given.grid.points(given.size))
    reach = 1.5 * torch.from_numpy(np.repeat(np.float32(STRIDES), given.grid.counts(given.size)))
    labels = torch.nn.functional.one_hot(torch.from_numpy(given.classes), scores.shape[1]).float()
    bce = torch.nn.functional.binary_cross_entropy

    def assign() -> Found:
        centre = (wanted[:, :2] + wanted[:, 2:]) / 2
        candidate = ((xy - centre[:, None]).abs() < reach[:, None]).all(dim=2)
        valid = torch.where(candidate.any(dim=0))[0]
        ious = _overlaps(torch, wanted, boxes[valid], 0)
        shape = len(wanted), len(valid), scores.shape[1]
        each = bce(scores[valid].expand(shape), labels[:, None].expand(shape), reduction="none").sum(dim=2)
        costs = each + 3 * -(ious + 1e-8).log() + 1e6 * ~candidate[:, valid]
        points, owner = _chosen(torch, costs, ious, 10)
        return valid[points].numpy(), owner.numpy()

    return assign


def rtmdet(given: Scene) -> Callable[[], Found]:
    """Return a call of RTMDet's rule in plain torch."""
    torch = one_thread()
    wanted, boxes, raw = (torch.from_numpy(array) for array in (given.truths, given.boxes, logits(given.scores)))
    xy = torch.from_numpy(given.grid.points(given.size))
    strides = torch.from_numpy(np.repeat(np.float32(STRIDES), given.grid.counts(given.size)))
    labels = torch.nn.functional.one_hot(torch.from_numpy(given.classes), raw.shape[1]).float()
    bce = torch.nn.functional.binary_cross_entropy_with_logits

    def assign() -> Found:
        inside = torch.cat([xy - wanted[:, None, :2], wanted[:, None, 2:] - xy], dim=2).min(dim=2).values > 0
        valid = torch.where(inside.any(dim=0))[0]
        ious = _overlaps(torch, wanted, boxes[valid], 1e-6)
        soft = labels[:, None] * ious[:, :, None]
        predicted = raw[valid].expand(soft.shape)
        each = (bce(predicted, soft, reduction="none") * (soft - predicted.sigmoid()).abs() ** 2).sum(dim=2)
        apart = (xy[valid] - ((wanted[:, :2] + wanted[:, 2:]) / 2)[:, None]).pow(2).sum(dim=2).sqrt() / strides[valid]
        costs = each + 3 * -(ious + 1e-7).log() + 10 ** (apart - 3)
        points, owner = _chosen(torch, costs, ious, 13)
        return valid[points].numpy(), owner.numpy()

    return assign
