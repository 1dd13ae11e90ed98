"""The text of records: long arrays by their ends, in few lines, and short records in one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastbox

N = 3000


def scene(n: int) -> Any:
    low = np.random.default_rng(n).uniform(0, 300, (n, 2))
    return np.concatenate([low, low + 40], axis=1)


LONG: dict[str, Callable[[Any, Any], Any]] = {
    "Best": lambda a, scores: fastbox.best(a, a[:50]),
    "Top": lambda a, scores: fastbox.top(a, a[:50], k=30),
    "Pairs": lambda a, scores: fastbox.pairs(a, a[:50], threshold=0.1),
    "GreedyMatches": lambda a, scores: fastbox.match_greedy(a, scores, a[:50]),
    "OptimalMatches": lambda a, scores: fastbox.match_optimal(a[:200], a[:60]),
    "SoftNMS": lambda a, scores: fastbox.soft_nms(a, scores),
    "FusedBoxes": lambda a, scores: fastbox.weighted_boxes_fusion(a, scores, classes=np.arange(N) % 90),
    "LossAndGrad": lambda a, scores: fastbox.giou_loss(a, a[::-1], reduction="none", return_grad=True),
    "Errors": lambda a, scores: fastbox.evaluate(
        a, scores, a[:90], classes=np.arange(N) % 90, truth_classes=range(90)
    ).errors(),
    "Calibration": lambda a, scores: fastbox.evaluate(a, scores, a[:90]).calibration(),
    "Params": lambda a, scores: fastbox.Params(),
}


@pytest.mark.jit
@pytest.mark.parametrize("name", LONG)
def test_a_long_record_takes_at_most_twenty_lines(name: str) -> None:
    text = repr(LONG[name](scene(N), np.linspace(0, 1, N)))
    assert text.startswith(f"{name}(\n    ")
    assert text.endswith(",\n)")
    assert "..." in text
    assert text.count("\n") < 20
    assert max(map(len, text.splitlines())) <= 110 + len("shape=(1000, 4)")


def test_a_short_record_is_one_line_with_all_values() -> None:
    found = fastbox.Best(np.array([0.5, np.nan]), np.array([3, -1]))
    assert repr(found) == "Best(values=array([0.5, nan]), indices=array([ 3, -1]))"


def test_the_ends_of_long_arrays_are_shown_and_their_shape() -> None:
    found = fastbox.Best(np.arange(1000) / 8, np.arange(21))
    assert repr(found).splitlines()[1:] == [
        "    values=array([  0.   ,   0.125,   0.25 , ..., 124.625, 124.75 , 124.875], shape=(1000,)),",
        "    indices=array([ 0,  1,  2, ..., 18, 19, 20], shape=(21,)),",
        ")",
    ]


def test_rows_of_a_matrix_stand_one_below_the_other() -> None:
    lines = repr(fastbox.Top(np.arange(30.0).reshape(10, 3), np.zeros((1, 1), np.int64))).splitlines()
    assert lines[1] == "    values=array([[ 0.,  1.,  2.],"
    assert lines[2] == "                  [ 3.,  4.,  5.],"
