"""Sentences for the rules that figures depend on, for pages and terminals: thresholds with signs, classes, sizes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from fastbox.kernels.metrics import title_of
from fastbox.values.coco import SIDE_BOUNDS, UNBOUNDED

__all__ = [
    "RECALLS_SHOWN",
    "SIZES",
    "assigned_rules",
    "error_rule",
    "evaluated_rules",
    "fitted_rules",
    "fused_rules",
    "inspected_rules",
    "learnt_rules",
    "measured_rules",
    "paired_rules",
    "reached",
    "starved_rules",
    "suppressed_rules",
    "suspected_rules",
]

Rules = Mapping[str, Any]

RECALLS_SHOWN = ("0.3", "0.5", "0.7", "0.9")  # IoU thresholds of the recall of an assignment
PADDED = {
    "center": "padded on both sides",
    "corner": "padded right and below",
    "stretch": "images stretched",
    "none": "boxes in pixels of the input",
}
SIZES = "sizes: small below {:g}² px, large from {:g}² px on".format(*SIDE_BOUNDS)


def threshold(value: Any) -> str:
    """A threshold with two decimals at least.

    >>> threshold(0.5), threshold(0.125), threshold(20.0), threshold("inf")
    ('0.50', '0.125', '20', 'inf')
    """
    if not isinstance(value, float):
        return str(value)
    short = f"{value:g}"
    return f"{value:.2f}" if abs(value) < 1 and len(short) < 4 else short


def classes(column: str | None) -> str:
    """Return the rule on boxes of different classes."""
    return "class-agnostic" if column is None else f"per class ({column})"


def reached(rules: Rules) -> str:
    """Return the condition for pairs of :func:`fastbox.jobs.pairs`: ``with IoU ≥ 0.50``; empty for every pair."""
    if not rules:
        return ""
    name = title_of(rules["metric"])
    if rules["threshold"] is None:
        return f"of best {name}" if rules["mode"] == "best" else ""
    unit = " px" if rules["sign"] == "≤" else ""
    return f"with {name} {rules['sign']} {threshold(rules['threshold'])}{unit}"


def paired_rules(rules: Rules) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.pairs`."""
    if not rules:
        return []
    modes = {
        "best": f"each detection with its truth {reached(rules)}",
        "every": "every pair of valid boxes of an image",
        "threshold": f"pairs {reached(rules)}",
    }
    return [modes[rules["mode"]], classes(rules["class_column"]), *measured_rules(rules)]


def measured_rules(rules: Rules) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.measure`: the distances from which losses are linear."""
    said = {"beta": "Smooth L1 with beta {:g} px", "delta": "Huber loss with delta {:g} px"}
    return [text.format(rules[name]) for name, text in said.items() if name in rules]


def suppressed_rules(rules: Rules) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.nms`."""
    if not rules:
        return []
    if rules["method"] == "soft-gaussian":
        rule = f"soft-gaussian with sigma {rules['sigma']:g}"
    else:
        what = "lower scores" if rules["method"] == "soft-linear" else "suppressed"
        rule = f"{rules['method']}: {what} at IoU > {threshold(rules['iou_threshold'])}"
    least = [] if rules["min_score"] is None else [f"scores ≥ {rules['min_score']:g}"]
    return [rule, classes(rules["class_column"]), *least]


def fused_rules(rules: Rules) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.fuse`."""
    if not rules:
        return []
    said = [f"fused at IoU > {threshold(rules['iou_threshold'])}", classes(rules["class_column"])]
    if rules["weights"] is not None:
        said.append(f"weights {', '.join(f'{weight:g}' for weight in rules['weights'])}")
    if rules["min_score"]:
        said.append(f"scores ≥ {rules['min_score']:g}")
    return [*said, f"confidence {rules['conf_type']}"]


def assigned_rules(rules: Rules) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.assign`."""
    if not rules:
        return []
    return [
        f"rule {rules['rule']}: {_labels(rules)}",
        f"anchors {rules['anchors']}",
        _resize(rules["resize"], rules["lengths"]),
        *([] if rules["ignore_column"] is None else [f"regions to ignore by {rules['ignore_column']}"]),
        SIZES,
    ]


def _labels(rules: Rules) -> str:
    """The labels of a rule by IoU: ``positive at IoU ≥ 0.50, negative below 0.40``."""
    if rules["topk"] is not None:
        return f"the {rules['topk']} nearest of each level are candidates"
    if not rules["thresholds"]:
        return "no thresholds"
    places = list(zip(rules["thresholds"], rules["labels"][1:], strict=True))
    positive = [low for low, label in places if label == 1]
    negative = [high for (high, _), label in zip(places, rules["labels"], strict=False) if label == 0]
    best = "" if rules["claims"] == "none" else " or best for a truth"
    said = [f"positive at IoU ≥ {threshold(positive[0])}{best}"] if positive else []
    said += [f"negative below {threshold(negative[-1])}"] if negative else []
    return ", ".join(said)


def _resize(kind: str, lengths: tuple[float, ...]) -> str:
    first, *more = (f"{length:g}" for length in lengths)
    return {
        "shorter": f"shorter side to {first} px, longer at most {' '.join(more)} px",
        "longer": f"longer side to {first} px",
        "both": f"images of {' × '.join([first, *more])} px",
        "none": f"images of {' × '.join([first, *more])} px",
    }[kind]


def fitted_rules(summary: Mapping[str, Any]) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.anchors.fit_anchors`."""
    rules, resize = summary.get("rules", {}), summary["resize"]
    said = ["images not resized" if resize is None else f"images resized to {resize}"]
    if rules.get("image_size") is not None:
        said.append("all images " + " × ".join(f"{side:g}" for side in rules["image_size"]))
    elif rules.get("size_columns") is not None:
        said.append(f"image sizes by {', '.join(rules['size_columns'])}")
    return [*said, *([f"boxes of {summary['min_side']:g} px and more"] if summary["min_side"] else [])]


def inspected_rules(rules: Rules, limits: Mapping[str, Any]) -> list[str]:
    """Sentences for the columns and limits of :func:`fastbox.jobs.inspect`."""
    if not rules:
        return []
    label, sizes = rules["class_column"], rules["size_columns"]
    deviations = limits["class_size"]
    return [
        "no classes" if label is None else f"classes by {label}",
        "image sizes unknown" if sizes is None else f"image sizes by {', '.join(sizes)}",
        f"near-duplicates at IoU ≥ {threshold(limits['near'])}",
        f"out of the image by > {limits['tolerance']:g} px",
        f"sub-pixel below {limits['sub_pixel']:g} px",
        f"aspect > {limits['max_aspect']:g} : 1",
        f"huge above {limits['huge']:.0%} of the image",
        *([] if deviations is None else [f"size > {deviations:g} robust deviations from the median of the class"]),
        SIZES,
    ]


def sign(rules: Rules) -> str:
    """Return the sign between the IoU of a match and the threshold: ``≥``, or ``>`` by strict rules."""
    return ">" if rules.get("strict") else "≥"


def error_rule(rules: Rules) -> str:
    """Return the condition for matches where errors are told apart: TIDE's, whatever the rule of the figures is.

    >>> error_rule({"rule": "coco", "metric": "iou"}), error_rule({"rule": "voc07", "metric": "iou", "strict": True})
    ('IoU ≥ 0.50', "IoU ≥ 0.50 (TIDE's rule)")
    """
    own = "" if rules["rule"] == "coco" else " (TIDE's rule)"
    return f"{title_of(rules['metric'])} ≥ 0.50{own}"


def evaluated_rules(rules: Rules) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.evaluate`."""
    if not rules:
        return []
    thresholds = rules["iou_thresholds"]
    steps = {round(after - before, 9) for before, after in pairwise(thresholds)}
    if len(thresholds) > 2 and len(steps) == 1:
        ious = f"{threshold(thresholds[0])} to {threshold(thresholds[-1])} in steps of {threshold(steps.pop())}"
    else:
        ious = ", ".join(map(threshold, thresholds))
    sizes = [_area(name, *limits) for name, limits in list(rules["area_ranges"].items())[1:]]
    most = ", ".join(f"{count:,}" for count in rules["max_dets"] if count is not None)
    whose = f"detections of an image{'' if rules['class_agnostic'] else ' and class'}"
    return [
        f"rule {rules['rule']}",
        f"{title_of(rules['metric'])} {sign(rules)} {ious}",
        *(["Car: IoU > 0.70"] if rules["rule"] == "kitti" else []),
        "class-agnostic" if rules["class_agnostic"] else "per class",
        f"at most {most} {whose}" if most else f"all {whose}",
        *([f"areas: {', '.join(sizes)}"] if sizes else []),
        *([f"truths with {rules['filter']} count"] if rules.get("filter") else []),
        *(["difficult truths count"] if rules.get("difficult") == "count" else []),
        *(["corners are the outer pixels of boxes"] if rules.get("legacy_pixels") else []),
    ]


def suspected_rules(rules: Rules) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.suspects`."""
    if not rules:
        return []
    return [
        f"detections with scores ≥ {threshold(rules['min_score'])}",
        f"suspicion ≥ {threshold(rules['min_suspicion'])}",
        f"per class ({rules['class_column']})",
        "one model" if rules["by"] is None else f"votes of models by {rules['by']}",
    ]


def _area(name: str, low: float, high: float | None) -> str:
    if high is None or high >= UNBOUNDED:
        return f"{name} from {_square(low)} on"
    return f"{name} below {_square(high)}" if low <= 0 else f"{name} to {_square(high)}"


def _square(area: float) -> str:
    """Return an area as text, as the square of a side if the side is a whole number of pixels.

    >>> _square(1024.0), _square(1000.0)
    ('32² px', '1,000 px²')
    """
    side = math.isqrt(max(int(area), 0))
    return f"{side}² px" if side * side == area else f"{area:,.0f} px²"


def starved_rules(summary: Mapping[str, Any]) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.candidates`."""
    rules = summary["rules"]
    pads = {pad: [name for name, own in rules["pad"].items() if own == pad] for pad in PADDED}
    several = sum(map(bool, pads.values())) > 1
    return [
        *(PADDED[pad] + f" ({', '.join(names)})" * several for pad, names in pads.items() if names),
        *([f"a point reaches {rules['reach']:g} strides"] if rules["reach"] else []),
        *([] if rules["ignore_column"] is None else [f"rows left out by {rules['ignore_column']}"]),
        SIZES,
    ]


def learnt_rules(rules: Rules) -> list[str]:
    """Sentences for the rules of :func:`fastbox.jobs.assign_points`."""
    return [
        f"points {rules['points']}",
        f"rule {rules['rule']}",
        f"input {rules['size']}",
        PADDED[rules["pad"]],
        *([] if rules["ignore_column"] is None else [f"rows left out by {rules['ignore_column']}"]),
        SIZES,
    ]
