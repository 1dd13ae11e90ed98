"""Figures are asked for by thresholds, scores and rules as a person writes them, and refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox import Evaluation, Params

BOXES = [[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]]
MOVED = [[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 7.0]]  # the second at IoU 0.7


def found(params: Params | None = None) -> Evaluation:
    """Return an evaluation of two detections, one of which is moved."""
    return fastbox.evaluate(MOVED, [0.9, 0.8], BOXES, params=params, confusion_iou=0.5)


@pytest.mark.parametrize("threshold", [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, np.float64(0.9)])
def test_each_of_cocos_thresholds_is_found_as_it_is_written(threshold: float) -> None:
    true = 2 if threshold <= 0.7 else 1
    assert found().outcomes(threshold=threshold) == {"true": true, "false": 2 - true, "ignored": 0}
    assert found().operating_points(threshold=threshold).true.tolist() == [1, true]


def test_a_threshold_between_those_of_the_rules_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a threshold of 0\.5, .*, got 0\.91"):
        found().outcomes(threshold=0.91)


def test_operating_points_are_those_of_the_lowest_threshold_in_any_order() -> None:
    falling, rising = (found(Params(iou_thresholds=own)).operating_points() for own in ([0.9, 0.5], [0.5, 0.9]))
    assert falling.true.tolist() == rising.true.tolist() == [1, 2]
    assert falling.best == rising.best


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: found().outcomes(threshold="x"), "expected threshold to be a number, got 'x'"),  # type: ignore[arg-type]
        (lambda: found().operating_points(threshold=[0.5]), "expected threshold to be a number"),  # type: ignore[arg-type]
        (lambda: found().operating_points(threshold=np.nan), "expected a threshold of 0.5, .*, got nan"),
        (lambda: found().operating_points(beta=np.inf), "expected beta from 0.01 to 1000, got inf"),
        (lambda: found().confusion(score="x"), "expected score to be a number, got 'x'"),  # type: ignore[arg-type]
        (lambda: found().confusion(score=np.nan), "expected score to be a number, got nan"),
        (lambda: found(params="voc07"), "expected params to be a fastbox.Params, got 'voc07'"),  # type: ignore[arg-type]
        (lambda: found() + "x", "unsupported operand"),  # type: ignore[operator]
    ],
)
def test_other_values_are_refused_in_one_sentence(call: Callable[[], Any], said: str) -> None:
    with pytest.raises((ValueError, TypeError), match=said):
        call()
