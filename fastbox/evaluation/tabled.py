"""The tables of an evaluation that its summary holds in other shapes than rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["tables_of"]

Row = dict[str, Any]
OVERALL = {"best": "all classes", "best_macro": "mean of classes"}
CURVES = ("precision", "recall", "f", "macro")


def tables_of(summary: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Return the tables by name, without those that have no rows; models side by side are told by a column.

    ``errors`` has the number of detections of each match type and of missed truths, and ΔAP50; ``ap_by_iou`` AP by
    range of areas and threshold; ``operating_points`` some points of the curves; ``best_scores`` the best score of all
    classes and of each, with the limits of intervals; ``confusion`` the entries of the matrix above 0; and
    ``truths_found`` the truths of each class that both models, one or neither of them finds.
    """
    models = summary["models"] if summary["by"] is not None else {None: summary}
    makers = {
        "errors": _errors,
        "ap_by_iou": _ap_by_iou,
        "operating_points": _points,
        "best_scores": _best_scores,
        "confusion": _confusion,
    }
    found = {
        name: [
            {**({} if label is None else {"model": label}), **row} for label, own in models.items() for row in rows(own)
        ]
        for name, rows in makers.items()
    }
    found["truths_found"] = [
        {"model": one["model"], "other": one["other"], **row}
        for one in summary.get("comparisons", ())
        for row in one["by_class"]
    ]
    return {name: rows for name, rows in found.items() if rows}


def _errors(model: Mapping[str, Any]) -> Iterator[Row]:
    errors = model["errors"]
    for name, count in errors["counts"].items():
        yield {"match_type": name, "count": count, "delta_ap": errors["delta_ap"].get(name)}


def _ap_by_iou(model: Mapping[str, Any]) -> Iterator[Row]:
    for area, found in model.get("curves", {}).get("ap", {}).items():
        for threshold, ap in found.items():
            yield {"area_range": area, "iou": float(threshold), "ap": ap}


def _points(model: Mapping[str, Any]) -> Iterator[Row]:
    curves = model.get("operating_points", {}).get("curves", {})
    for place, score in enumerate(curves.get("scores", ())):
        yield {"score": score, **{name: curves[name][place] for name in CURVES}}


def _best_scores(model: Mapping[str, Any]) -> Iterator[Row]:
    found = model.get("operating_points")
    if found is None:
        return
    for kind, said in OVERALL.items():
        yield {
            "of": said,
            "class": None,
            "name": None,
            **_limited(found[kind], found.get("intervals", {}).get(kind, {})),
        }
    for own in model["by_class"]:
        best = {name: value for name, value in own["best"].items() if name != "intervals"}
        limits = own["best"].get("intervals", {})
        yield {"of": "class", "class": own["class"], "name": own["name"], **_limited(best, limits)}


def _limited(best: Mapping[str, Any], limits: Mapping[str, Any]) -> Row:
    """Return figures with the limits of their intervals, if there are any."""
    pairs = {
        f"{name}_{side}": value
        for name, pair in limits.items()
        for side, value in zip(("low", "high"), pair, strict=True)
    }
    return {**best, **pairs}


def _confusion(model: Mapping[str, Any]) -> Iterator[Row]:
    yield from model.get("confusion", {}).get("counts", ())
