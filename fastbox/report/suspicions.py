"""Words for suspects, for pages and terminals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import NONE, counted

__all__ = ["MEANINGS", "change_of", "class_of", "evidence", "invalid_of"]

MEANINGS = {
    "wrong_class": "detections of another class, none of its own",
    "missing": "a detection far from every truth",
    "badly_placed": "detections of its class, IoU from 0.10 to 0.50",
    "spurious": "no detection near the truth",
    "duplicate": "the same object as another truth",
}


def class_of(suspect: Mapping[str, Any], side: str) -> str:
    """Return the name of the class of a truth or the suggested class, else its label.

    >>> class_of({"truth_class": 3, "truth_class_name": None}, "truth_class")
    '3'
    """
    label = suspect[side] if suspect.get(f"{side}_name") is None else suspect[f"{side}_name"]
    return NONE if label is None else str(label)


def change_of(suspect: Mapping[str, Any]) -> str:
    """Return the class of a truth and the suggested one, or one of both where they are the same.

    >>> change_of({"truth_class": "dog", "suggested_class": "cat"}), change_of({"truth_class": 1, "suggested_class": 1})
    ('dog → cat', '1')
    """
    known = [class_of(suspect, side) for side in ("truth_class", "suggested_class") if suspect[side] is not None]
    return " → ".join(dict.fromkeys(known))


def evidence(suspect: Mapping[str, Any], models: int) -> str:
    """Return the evidence against a truth in a few words.

    >>> found = dict.fromkeys(("other", "score", "iou", "suggested_class", "suggested_class_name"))
    >>> evidence(found | {"kind": "badly_placed", "score": 0.9, "iou": 0.25, "models": 2}, 3)
    'score 0.90, IoU 0.25, 2 of 3 models'
    """
    said = []
    if suspect["kind"] == "wrong_class":
        said.append(f"rather {class_of(suspect, 'suggested_class')}")
    if suspect["score"] is not None:
        said.append(f"score {suspect['score']:.2f}")
    if suspect["iou"] is not None and suspect["kind"] != "missing":
        other = "" if suspect["other"] is None else f" with truth {suspect['other']:,}"
        said.append(f"IoU {suspect['iou']:.2f}{other}")
    if suspect["kind"] == "spurious":
        said.append("found by no model" if models > 1 else "not found")
    elif models > 1:
        said.append(f"{suspect['models']:,} of {counted(models, 'models')}")
    return ", ".join(said)


def invalid_of(summary: Mapping[str, Any]) -> list[str]:
    """Return the counts of what takes no part for its invalid values.

    >>> invalid_of({"invalid": {"detections": 0, "truths": 1, "scores": 2}})
    ['1 invalid truth', '2 scores of nan']
    """
    count = summary["invalid"]
    boxes = [
        counted(count[side], side).replace(" ", " invalid ", 1) for side in ("detections", "truths") if count[side]
    ]
    return [*boxes, *([f"{counted(count['scores'], 'scores')} of nan"] if count["scores"] else [])]
