"""Results of parts: kept as text and read again, whatever their keys and numbers are."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from fastbox import jobs
from fastbox.jobs.inspection.classes import Classes
from fastbox.result import Invalid, Rules
from fastbox.results.coverage import Covered
from fastbox.results.merge import packed, unpacked
from fastbox.sketch import Sketch

KEYS = (1, "1", None, -(2**62), "", "ä\0", 0.5)


def same(one: Any, two: Any) -> bool:
    """Tell whether two values are alike in type, value and order."""
    if type(one) is not type(two):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()
    if isinstance(one, Sketch):
        return same(one.state(), two.state())
    if isinstance(one, dict):
        return same(list(one.items()), list(two.items()))
    if isinstance(one, list | tuple):
        return len(one) == len(two) and all(map(same, one, two))
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, part.name), getattr(two, part.name)) for part in fields(one))
    return bool(one == two)


def results() -> list[Any]:
    sketch = Sketch()
    sketch.add(np.array([0.1, np.nan, np.inf, -3.0, 0.1]))
    covered = Covered(3, 1, np.arange(13), 2**50)
    assigned = jobs.Assigned((8, 16), images=2, rules=Rules({"thresholds": (0.5, None, np.inf), "rule": "x"}))
    assigned.positives += [1, 2]
    assigned.coverage.classes = {key: Covered(truths=place) for place, key in enumerate((-(2**62), 0, 7))}
    assigned.coverage.sizes["small"] = covered
    classes = Classes(dict.fromkeys(KEYS, 1), dict.fromkeys(KEYS, 2), {None: 0}, np.arange(3), np.zeros(0, np.int64))
    inspected = jobs.Inspected(classes=classes, asked={"ids": True}, names={"1": "car"})
    inspected.problems.examples["huge"] = [{"image_id": "a", "box": [0.0, None, 1.5], "row": 7}]
    return [
        assigned,
        inspected,
        jobs.Paired(3, 4, None, metrics={"iou": sketch, "l1": Sketch()}, invalid_truths=Invalid(1, 2)),
        jobs.Measured(5, zeros={"iou_loss_grad": 3}),
        jobs.Suppressed(class_column=None, rules=Rules({"min_score": None, "iou_threshold": 0.1 + 0.2})),
    ]


@pytest.mark.parametrize("found", results(), ids=lambda found: type(found).__name__)
def test_a_result_is_read_as_it_was(found: Any) -> None:
    text = json.loads(json.dumps(packed(found)))
    again = unpacked(text, type(found))
    assert same(again, found)
    assert again.to_dict() == found.to_dict()
    assert packed(again) == text


@pytest.mark.parametrize("found", results(), ids=lambda found: type(found).__name__)
def test_arrays_that_are_read_can_be_added_to(found: Any) -> None:
    again = unpacked(packed(found), type(found))
    for part in fields(again):
        if isinstance(value := getattr(again, part.name), np.ndarray):
            value += 1


def test_a_record_of_something_else_is_refused() -> None:
    text = packed(jobs.Suppressed(images=2))
    damaged = [text[:-8], text[:20] + "AAAA" + text[24:], "", "?", None, 3, {"images": 2}, packed(Invalid(1, 2))[:-4]]
    others = [packed([1, 2]), packed({"images": "two"}), packed({"rules": {"given": 3}})]
    for wrong in (*damaged, *others):
        with pytest.raises(ValueError, match="expected a record of Suppressed, got something else"):
            unpacked(wrong, jobs.Suppressed)


def test_what_has_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="expected counts, sketches and arrays, got object"):
        packed({"a": object()})
