"""Anchors, their assignment to ground truth, one-to-one matching, suppression and fusion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from bench.promises.same_figures.inputs import Inputs, crowded
from bench.promises.same_figures.lines import PRESETS, RULES
from bench.promises.same_figures.spellings import call, public

Call = tuple[str, Callable[[], Any]]

TYPES = (np.float32, np.float64)


def calls(given: Inputs) -> Iterator[Call]:
    """Yield all matches."""
    yield from grids(given)
    yield from rules(given)
    yield from one_to_one(given)
    yield from suppressed(given)
    yield from fused(given)


def grids(given: Inputs) -> Iterator[Call]:
    """Yield the anchors of every preset and of every way to make a grid."""
    grid = public("AnchorGrid")
    made: dict[str, Callable[[], Any]] = {
        "plain": lambda: grid(strides=[8, 16], sizes=[32, 64], ratios=[0.5, 1.0, 2.0], scales=[1.0, 1.26]),
        "torchvision": lambda: grid.torchvision([[32], [64]], [[0.5, 1.0, 2.0]] * 2, [8, 16]),
        "detectron2": lambda: grid.detectron2([[32], [64]], [[0.5, 1.0, 2.0]] * 2, [8, 16], 0.5),
        "mmdet": lambda: grid.mmdet([8, 16], [0.5, 1.0], octave_base_scale=4, scales_per_octave=3),
        "ssd": lambda: grid.ssd([[2], [2, 3]], [0.2, 0.5, 0.8], [8, 16], size=(64, 64)),
        "yolo": lambda: grid.yolo([8, 16], [[(10, 13), (16, 30)], [(30, 61), (62, 45)]]),
        **{f"preset.{name}": partial(grid.preset, name) for name in PRESETS},
    }
    sizes = {"ssd": (64, 64)}
    for name, size in PRESETS.items():
        width, height = map(int, size.split("x"))
        sizes[f"preset.{name}"] = width, height
    for name, make in made.items():
        yield f"grid.{name}", partial(of_grid, make, sizes.get(name, (200, 120)))


def of_grid(make: Callable[[], Any], size: tuple[int, int]) -> dict[str, Any]:
    """Return all anchors of an image, and their counts."""
    grid = make()
    return {
        "corners": grid.boxes(size).corners(),
        "counts": list(grid.counts(size)),
        "count": grid.count(size),
        "float64": grid.astype(np.float64).boxes(size).corners(),
        "levels": [np.concatenate([np.ravel(part) for part in edges(level)]) for level in grid.levels(size)],
    }


def edges(level: Any) -> list[Any]:
    """Return the edges of the columns and rows of a level."""
    return [level.x0, level.y0, level.x1, level.y1]


def rules(given: Inputs) -> Iterator[Call]:
    """Yield assignments by every rule, of grids and of boxes."""
    boxes = public("Boxes")
    truths = boxes(given.b, images=given.images_b)
    ignore = boxes(given.a[::40], images=given.images_a[::40])
    yield "RULES", lambda: list(public("RULES"))
    for rule in RULES:
        for preset in ("retinanet", "faster-rcnn-fpn", "yolov3"):
            options = {"rule": rule, "size": (256, 320)}
            grid = public("AnchorGrid").preset(preset)
            yield f"match.{preset}.{rule}", call("match", grid, truths, **options)
            yield f"match.{preset}.{rule}.sparse", call("match", grid, truths, sparse=True, **options)
        yield f"match.{rule}.float64", call("match", grid.astype(np.float64), truths, **options)
        if rule != "atss":
            anchors = boxes(given.a, images=given.images_a)
            yield f"match.{rule}.boxes", call("match", anchors, truths, rule=rule)
            yield f"match.{rule}.shared", call("match", np.nan_to_num(given.a[:500]), truths, rule=rule)
    kind = public("MatchRule")
    for name, one in {
        "atss": kind.atss(topk=4),
        "detectron2": kind.detectron2((0.3, 0.7), (0, -1, 1), allow_low_quality_matches=False),
        "fastbox": kind.fastbox(0.7, 0.3, ignore_iof=0.2),
        "keras": kind.keras_hub(force_match_for_each_col=True),
        "mmdet": kind.mmdet(0.7, (0.1, 0.3), 0.3, gt_max_assign_all=False, ignore_iof_thr=0.5),
        "ssd": kind.ssd(0.4),
        "tf": kind.tf(0.6, 0.3),
        "torchvision": kind.torchvision(0.7, 0.3, allow_low_quality_matches=True),
    }.items():
        grid = public("AnchorGrid").preset("retinanet")
        yield f"match.own.{name}", call("match", grid, truths, rule=one, size=(256, 320))
        if one.ignore_iof is not None:
            yield f"match.own.{name}.ignore", call("match", grid, truths, rule=one, size=(256, 320), ignore=ignore)


def one_to_one(given: Inputs) -> Iterator[Call]:
    """Yield greedy and optimal matches."""
    boxes = public("Boxes")
    a, b = boxes(given.a, images=given.images_a), boxes(given.b, images=given.images_b)
    classes = {"classes": given.classes_a, "truth_classes": given.classes_b}
    crowd = np.arange(len(given.b)) % 23 == 0
    yield "greedy", call("match_greedy", a, given.scores, b)
    yield "greedy.classes", call("match_greedy", a, given.scores, b, **classes)
    yield "greedy.crowd", call("match_greedy", a, given.scores, b, crowd=crowd, threshold=0.3, **classes)
    for metric in ("iou", "giou", "diou"):
        yield f"greedy.{metric}", call("match_greedy", a, given.scores, b, metric=metric, threshold=0.1)
    few = np.isfinite(given.a[:80]).all(1), np.isfinite(given.b[:50]).all(1)
    one, other = given.a[:80][few[0]], given.b[:50][few[1]]
    likely = np.random.default_rng(6).random((len(one), 5))
    for dtype in TYPES:
        name = np.dtype(dtype).name
        yield f"optimal.{name}", call("match_optimal", one.astype(dtype), other.astype(dtype))
        yield (
            f"optimal.{name}.classes",
            call(
                "match_optimal",
                one.astype(dtype),
                other.astype(dtype),
                probabilities=likely,
                truth_classes=given.classes_b[:50][few[1]],
                cost_class=2.0,
                cost_l1=1.0,
                cost_giou=3.0,
                size=(640, 480),
            ),
        )


def suppressed(given: Inputs) -> Iterator[Call]:
    """Yield what suppression keeps."""
    crowd = crowded(6000)
    scores = np.random.default_rng(3).random(len(crowd))
    text = np.array(["", "car", "dog", "cat", "bus"])[given.classes_a]
    for dtype in TYPES:
        boxes = public("Boxes")(given.a.astype(dtype), images=given.images_a)
        name = np.dtype(dtype).name
        yield f"nms.{name}.crowded", call("nms", crowd.astype(dtype), scores, iou_threshold=0.4)
        for kind, classes in {"agnostic": None, "classes": given.classes_a, "text": text}.items():
            for least in (0.0, 0.3, 0.5, 0.7, 1.0):
                yield (
                    f"nms.{name}.{kind}.{least}",
                    call("nms", boxes, given.scores, iou_threshold=least, classes=classes),
                )
            for method in ("linear", "gaussian"):
                options: dict[str, Any] = {"method": method, "classes": classes}
                yield f"soft.{name}.{kind}.{method}", call("soft_nms", boxes, given.scores, **options)
                options |= {"sigma": 0.2, "iou_threshold": 0.3, "score_threshold": 0.2}
                yield f"soft.{name}.{kind}.{method}.options", call("soft_nms", boxes, given.scores, **options)


def fused(given: Inputs) -> Iterator[Call]:
    """Yield boxes fused of several models."""
    models = given.images_a % 3
    for dtype in TYPES:
        boxes = public("Boxes")(given.a.astype(dtype), images=given.images_a)
        for kind in ("avg", "max", "box_and_model_avg", "absent_model_aware_avg"):
            for classes in (None, given.classes_a):
                name = f"fusion.{np.dtype(dtype).name}.{kind}.{'agnostic' if classes is None else 'classes'}"
                options: dict[str, Any] = {"classes": classes, "models": models, "conf_type": kind}
                yield name, call("weighted_boxes_fusion", boxes, given.scores, **options)
        options = {"models": models, "weights": [2.0, 1.0, 0.5], "iou_threshold": 0.4, "skip_box_threshold": 0.3}
        yield (
            f"fusion.{np.dtype(dtype).name}.weights",
            call("weighted_boxes_fusion", boxes, given.scores, allows_overflow=True, **options),
        )
