"""The calls of Python functions whose results are compared."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import fastbox
from bench.promises.same_figures.inputs import Inputs, crowded

Call = tuple[str, Callable[[], Any]]

# Arguments of today, and their earlier names.
EARLIER = {"models": "runs"}
THRESHOLD = {"l1": 60.0, "smooth_l1": 60.0}
TYPES = (np.float32, np.float64)
IOU_FORMATS = ("xyxy", "xywh", "cxcywh", "yxyx")
LOSSES = ("iou_loss", "giou_loss", "diou_loss", "ciou_loss", "eiou_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


def spelled(function: Callable[..., Any], **options: Any) -> Callable[[], Any]:
    """Return a call with the options by the names that the function has for them."""
    known = inspect.signature(function).parameters
    named = {name if name in known else EARLIER.get(name, name): value for name, value in options.items()}
    return partial(function, **named)


def calls(given: Inputs) -> Iterator[Call]:
    """Yield every call by its name."""
    for part in (searches, indexed, grouped, anchors, suppression, losses, coder, evaluation, experiments):
        for name, call in part(given):
            yield f"{part.__name__}.{name}", call


def searches(given: Inputs) -> Iterator[Call]:
    """Yield the questions asked of two collections, for each metric, dtype and format."""
    for metric in fastbox.METRICS:
        for dtype in TYPES:
            a, b = given.a[:300].astype(dtype), given.b[:200].astype(dtype)
            name, least = f"{metric}.{np.dtype(dtype).name}", THRESHOLD.get(metric, 0.2)
            yield f"pairwise.{name}", partial(fastbox.pairwise, a, b, metric=metric)
            yield f"aligned.{name}", partial(fastbox.aligned, a[:200], b, metric=metric)
            yield f"best.{name}", partial(fastbox.best, a, b, metric=metric)
            yield f"top.{name}", partial(fastbox.top, a, b, k=5, metric=metric)
            yield f"pairs.{name}", partial(fastbox.pairs, a, b, threshold=least, metric=metric)
            yield f"within.{name}", partial(fastbox.pairs, b, threshold=least, metric=metric)
            yield f"histogram.{name}", partial(fastbox.histogram, a, b, metric=metric, range=(-1, 4000))
    for form in IOU_FORMATS:
        a, b = fastbox.Boxes(given.a[:300], form), fastbox.Boxes(given.b[:200], form)
        yield f"pairwise.{form}", partial(fastbox.pairwise, a, b, metric="giou")
        for other in IOU_FORMATS:
            if hasattr(a, "to"):
                yield f"to.{form}.{other}", partial(lambda boxes, other: boxes.to(other).columns, a, other)
        yield f"corners.{form}", a.corners
        yield f"areas.{form}", lambda a=a: a.areas() if hasattr(a, "areas") else None


def indexed(given: Inputs) -> Iterator[Call]:
    """Yield the questions that go through the index."""
    for dtype in TYPES:
        a, b = crowded(6000).astype(dtype), crowded(5000, 8).astype(dtype)
        for metric in ("iou", "iof", "ios", "giou"):
            name = f"{metric}.{np.dtype(dtype).name}"
            yield f"best.{name}", partial(fastbox.best, a, b, metric=metric)
            yield f"pairs.{name}", partial(fastbox.pairs, a, b, threshold=0.3, metric=metric)
        yield f"top.{np.dtype(dtype).name}", partial(fastbox.top, a, b, k=3)
        scores = np.random.default_rng(3).random(len(a))
        yield f"nms.{np.dtype(dtype).name}", partial(fastbox.nms, a, scores, iou_threshold=0.4)


def grouped(given: Inputs) -> Iterator[Call]:
    """Yield questions asked image by image."""
    a = fastbox.Boxes(given.a, images=given.images_a)
    b = fastbox.Boxes(given.b, images=given.images_b)
    for metric in fastbox.METRICS:
        yield f"pairwise.{metric}", partial(fastbox.pairwise, a, b, metric=metric)
        yield f"best.{metric}", partial(fastbox.best, a, b, metric=metric)
        yield f"pairs.{metric}", partial(fastbox.pairs, a, b, threshold=THRESHOLD.get(metric, 0.4), metric=metric)
        yield f"top.{metric}", partial(fastbox.top, a, b, k=3, metric=metric)
        yield f"histogram.{metric}", partial(fastbox.histogram, a, b, metric=metric, range=(-1, 4000))


def anchors(given: Inputs) -> Iterator[Call]:
    """Yield the anchors of every preset, and their assignment by every rule."""
    presets = fastbox.anchors.PRESETS if hasattr(fastbox, "anchors") else ("retinanet", "mmdet-fpn", "ssd300", "yolov3")
    truths = fastbox.Boxes(given.b, images=given.images_b)
    for preset in sorted(set(presets) & KNOWN):
        grid = fastbox.AnchorGrid.preset(preset)
        size = (300, 300) if preset == "ssd300" else (512, 512) if preset == "ssd512" else (256, 320)
        yield f"boxes.{preset}", partial(lambda grid, size: grid.boxes(size).corners(), grid, size)
        for rule in fastbox.RULES:
            if preset in ("retinanet", "mmdet-fpn", "yolov3"):
                yield f"match.{preset}.{rule}", partial(fastbox.match, grid, truths, rule=rule, size=size)
                yield f"sparse.{preset}.{rule}", partial(fastbox.match, grid, truths, rule=rule, size=size, sparse=True)
    boxes = fastbox.Boxes(given.a, images=given.images_a)
    for rule in fastbox.RULES:
        if rule != "atss":
            yield f"match.boxes.{rule}", partial(fastbox.match, boxes, truths, rule=rule)
    options = {"classes": given.classes_a, "truth_classes": given.classes_b}
    yield "greedy", partial(fastbox.match_greedy, boxes, given.scores, truths, **options)
    yield "greedy.agnostic", partial(fastbox.match_greedy, boxes, given.scores, truths, threshold=0.3)
    ones = fastbox.Boxes(given.a[2:60], images=None), fastbox.Boxes(given.b[1:40], images=None)
    yield "optimal", partial(fastbox.match_optimal, *ones)


KNOWN = {
    "atss", "detectron2-fpn", "detectron2-retinanet", "faster-rcnn-fpn", "mmdet-fpn", "mmdet-retinanet", "retinanet",
    "rpn-c4", "ssd300", "ssd512", "yolof", "yolov3",
}  # fmt: skip


def suppression(given: Inputs) -> Iterator[Call]:
    """Yield what suppression and fusion keep."""
    for dtype in TYPES:
        boxes = fastbox.Boxes(given.a.astype(dtype), images=given.images_a)
        name = np.dtype(dtype).name
        for classes in (None, given.classes_a):
            kind = f"{name}.{'agnostic' if classes is None else 'classes'}"
            for least in (0.3, 0.5, 0.7):
                yield (
                    f"nms.{kind}.{least}",
                    partial(fastbox.nms, boxes, given.scores, iou_threshold=least, classes=classes),
                )
            for method in ("linear", "gaussian"):
                yield (
                    f"soft.{kind}.{method}",
                    partial(fastbox.soft_nms, boxes, given.scores, method=method, classes=classes),
                )
            yield (
                f"fusion.{kind}",
                partial(fastbox.weighted_boxes_fusion, boxes, given.scores, classes=classes, models=given.images_a % 3),
            )


def losses(given: Inputs) -> Iterator[Call]:
    """Yield every loss with its gradient, in every reduction, dtype and format."""
    weights = np.random.default_rng(2).random(900)
    for name in LOSSES:
        loss = getattr(fastbox, name)
        for dtype in TYPES:
            a, b = given.a[:900].astype(dtype), given.b[:900].astype(dtype)
            for reduction in ("none", "box", "sum", "mean"):
                key = f"{name}.{np.dtype(dtype).name}.{reduction}"
                yield key, partial(loss, a, b, reduction=reduction, return_grad=True)
                if reduction in ("sum", "mean"):
                    yield f"{key}.weights", partial(loss, a[5:90], b[5:90], reduction=reduction, weights=weights[5:90])
        for form in IOU_FORMATS:
            a, b = fastbox.Boxes(given.a[:900], form), fastbox.Boxes(given.b[:900])
            yield f"{name}.{form}", partial(loss, a, b, reduction="none", return_grad=True)


def coder(given: Inputs) -> Iterator[Call]:
    """Yield deltas and the boxes made of them."""
    for dtype in TYPES:
        a, b = given.a[:900].astype(dtype), given.b[:900].astype(dtype)
        yield f"encode.{np.dtype(dtype).name}", partial(fastbox.encode, a, b, weights=(10.0, 10.0, 5.0, 5.0))
        deltas = np.random.default_rng(4).normal(0, 1, (900, 4)).astype(dtype)
        for form in ("xyxy", "xywh", "cxcywh"):
            yield f"decode.{np.dtype(dtype).name}.{form}", partial(fastbox.decode, deltas, b, format=form)


def evaluation(given: Inputs) -> Iterator[Call]:
    """Yield all figures of an evaluation, of one model and of several."""
    a, b = fastbox.Boxes(given.a, images=given.images_a), fastbox.Boxes(given.b, images=given.images_b)
    crowd = np.arange(len(b)) % 23 == 0
    classes = {"classes": given.classes_a, "truth_classes": given.classes_b}
    options: dict[str, dict[str, Any]] = {
        "plain": classes,
        "crowd": {**classes, "crowd": crowd, "ignore": np.arange(len(b)) % 17 == 0},
        "agnostic": {},
        "models": {**classes, "models": given.images_a % 2},
    }
    for name, chosen in options.items():
        found = spelled(partial(fastbox.evaluate, a, given.scores, b), **chosen)
        yield name, lambda found=found: found().to_dict()


def experiments(given: Inputs) -> Iterator[Call]:
    """Yield the summaries of jobs on boxes in memory."""
    jobs = fastbox.jobs
    a, b = fastbox.Boxes(given.a, images=given.images_a), fastbox.Boxes(given.b, images=given.images_b)
    yield "pairs", lambda: jobs.pairs(a, b, metrics=("iou", "giou", "smooth_l1")).to_dict()
    yield "inspect", lambda: jobs.inspect(b).to_dict()
    yield "regression", lambda: jobs.regression(points=20, steps=30).to_dict()
