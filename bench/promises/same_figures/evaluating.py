"""Evaluations of detections in memory, and all that they tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from bench.promises.same_figures.inputs import Inputs
from bench.promises.same_figures.spellings import call, method, public

Call = tuple[str, Callable[[], Any]]


def calls(given: Inputs) -> Iterator[Call]:
    """Yield all evaluations."""
    boxes = public("Boxes")
    a, b = boxes(given.a, images=given.images_a), boxes(given.b, images=given.images_b)
    n = len(given.b)
    text = np.array(["", "car", "dog", "cat", "bus"])
    classes = {"classes": given.classes_a, "truth_classes": given.classes_b}
    aside = {"crowd": np.arange(n) % 23 == 0, "ignore": np.arange(n) % 17 == 0}
    options: dict[str, dict[str, Any]] = {
        "plain": classes,
        "aside": {**classes, **aside},
        "areas": {**classes, "areas": np.random.default_rng(8).uniform(0, 20_000, n)},
        "agnostic": {},
        "text": {"classes": text[given.classes_a], "truth_classes": text[given.classes_b]},
        "models": {**classes, "models": given.images_a % 2},
        "models.text": {**classes, **aside, "models": np.array(["b", "a"])[np.arange(len(a)) % 2]},
    }
    for name, chosen in options.items():
        yield name, partial(told, call("evaluate", a, given.scores, b, **chosen))
    for name in ("plain", "aside", "text", "models"):
        chosen = {**options[name], "min_suspicion": 0.0}
        yield f"suspects.{name}", partial(suspected, call("suspects", a, given.scores, b, **chosen))
    own: dict[str, dict[str, Any]] = {
        "params.agnostic": {"class_agnostic": True},
        "params.thresholds": {"iou_thresholds": (0.3, 0.75), "max_dets": (2, 50)},
        "params.recalls": {"recalls": np.linspace(0, 1, 11), "area_ranges": {"all": (0.0, 1e10), "low": (0.0, 900.0)}},
    }
    for name, params in own.items():
        yield name, partial(of_params, params, a, given.scores, b, {**classes, **aside})
    yield "sum", partial(summed, given, classes)
    yield "added", partial(added, given, classes)


def of_params(params: dict[str, Any], a: Any, scores: Any, b: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Evaluate with parameters of one's own."""
    return told(call("evaluate", a, scores, b, params=call("Params", **params)(), **options))


def suspected(find: Callable[[], Any]) -> dict[str, Any]:
    """Return the columns of suspects."""
    return dict(vars(find()))


def told(evaluate: Callable[[], Any]) -> dict[str, Any]:
    """Return all that an evaluation tells, of each model."""
    found = evaluate()
    names = method(found, "models", "runs") if callable(getattr(found, "models", None)) else None
    models = list(names() if names else getattr(found, "models", getattr(found, "runs", ()))) or [None]
    return {
        "json": found.to_dict(),
        "tables": {name: found.to_arrow(name) for name in found.tables()},
        "models": {str(model): of_model(found, model) for model in models},
    }


def of_model(found: Any, model: Any) -> dict[str, Any]:
    """Return all that an evaluation tells of one model."""
    return {
        "stats": method(found, "stats", "figures")(model),
        "by_class": method(found, "stats_by_class", "figures_by_class")(model),
        "errors": found.errors(model),
        "calibration": found.calibration(model),
        "pairs": found.pairs(model),
        "curves": found.curves(model),
        "bootstrap": found.bootstrap(model, samples=15, seed=2),
    }


def parts(given: Inputs, classes: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the detections and truths of the first images, and of the others."""
    half = int(given.images_b[len(given.images_b) // 2])
    for low, high in ((-1, half), (half, 1000)):
        a = (given.images_a > low) & (given.images_a <= high)
        b = (given.images_b > low) & (given.images_b <= high)
        boxes = public("Boxes")
        yield (
            boxes(given.a[a], images=given.images_a[a]),
            given.scores[a],
            boxes(given.b[b], images=given.images_b[b]),
            {"classes": classes["classes"][a], "truth_classes": classes["truth_classes"][b]},
        )


def summed(given: Inputs, classes: dict[str, Any]) -> dict[str, Any]:
    """Return the sum of the evaluations of two sets of images."""
    one, other = (call("evaluate", a, scores, b, **own)() for a, scores, b, own in parts(given, classes))
    return told(lambda: one + other)


def added(given: Inputs, classes: dict[str, Any]) -> dict[str, Any]:
    """Return what became of every detection, set by set of images."""
    found = public("Evaluation")()
    judged = [found.add(a, scores, b, **own) for a, scores, b, own in parts(given, classes)]
    return {"judged": judged, "stats": method(found, "stats", "figures")()}
