"""Images evaluated a set at a time: the same figures and warnings, in room that is reserved or in parts."""

from __future__ import annotations

import importlib
import pickle
from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox.evaluation import Evaluation, Params, columns
from fastbox.evaluation.columns import Rows
from fastbox.evaluation.sides import Images

ARRAYS = importlib.import_module("fastbox.evaluation.arrays")


def drawn(seed: int, shift: int = 0) -> tuple[tuple[Any, Any, Any], dict[str, Any]]:
    """Draw detections near truths in images of very unequal sizes, some of which one side lacks."""
    random = np.random.default_rng(seed)
    images = np.sort(random.choice(60, 900, p=(weights := random.random(60) ** 4) / weights.sum()))
    corner, side = random.random((900, 2)) * 90, random.random((900, 2)) * 40 + 4
    kinds = random.integers(0, 5, 900)
    wanted = np.sort(random.choice(900, 300, replace=False))
    found = np.sort(random.integers(0, 900, 1200))
    boxes = np.hstack((corner, side))
    near = boxes[found] + random.normal(0, 2, (1200, 4))
    options = {
        "classes": (kinds[found] + shift) % 5,
        "truth_classes": kinds[wanted],
        "crowd": random.random(300) < 0.1,
        "ignore": random.random(300) < 0.1,
        "areas": random.random(300) * 9000,
        "models": random.integers(0, 3, 1200),
    }
    scores = random.random(1200).round(2)
    scores[::100] = np.nan
    sides = (
        fastbox.Boxes(near, "xywh", images=images[found]),
        fastbox.Boxes(boxes[wanted], "xywh", images=images[wanted]),
    )
    return (sides[0], scores, sides[1]), options


@pytest.mark.jit
@pytest.mark.parametrize("rows", [1, 40, 700])
@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("shift", [0, 1])
def test_sets_of_images_change_no_figure_and_no_warning(
    monkeypatch: pytest.MonkeyPatch, rows: int, agnostic: bool, shift: int
) -> None:
    sides, options = drawn(7 + shift, shift)
    params = Params(class_agnostic=agnostic, max_dets=[1, 4])
    whole = Evaluation(params)
    whole.add(*sides, **options)
    collect, sets = Evaluation._collect, []

    def counted(found: Evaluation, *given: Any) -> Any:
        sets.append(len(given[1].scores))
        return collect(found, *given)

    monkeypatch.setattr(Evaluation, "_collect", counted)
    monkeypatch.setattr(ARRAYS, "AT_ONCE", rows)
    if shift and not agnostic:
        with pytest.warns(fastbox.InputWarning, match="lie on truths of another class"):
            found = fastbox.evaluate(*sides, **options, params=params)
    else:
        found = fastbox.evaluate(*sides, **options, params=params)
    assert len(sets) > 1
    assert sum(sets) == 1200
    assert found.warnings == whole.warnings
    assert vars(found.mismatch) == vars(whole.mismatch)
    assert "".join(found.to_json()) == "".join(whole.to_json())
    for model in whole.models:
        for name in ("precision", "recall", "scores", "truths"):
            assert np.array_equal(getattr(found.curves(model), name), getattr(whole.curves(model), name))


def test_cuts_are_of_whole_images() -> None:
    images = Images(None, np.array([0, 5, 5, 6, 30, 31]), np.array([0, 0, 2, 2, 2, 9]))
    assert images.cuts(8) == [(0, 3), (3, 4), (4, 5)]
    assert images.cuts(100) == [(0, 5)]
    assert Images(None, np.array([0]), np.array([0])).cuts(8) == []
    part = images.between(3, 5)
    assert (part.bounds.tolist(), part.truth_bounds.tolist()) == ([0, 24, 25], [0, 0, 7])


@pytest.mark.parametrize("room", [0, 3, 5, 9])
def test_rows_are_the_same_with_room_and_without(room: int) -> None:
    rows, words = Rows(word=np.dtype((np.uint32, (2, 1))), kind=np.int32), np.arange(12).reshape(6, 2, 1)
    rows.reserve(room)
    for first, last in ((0, 2), (2, 5), (5, 5)):
        rows.add(word=words[first:last], kind=np.arange(first, last))
    assert len(rows) == 5
    assert rows["word"].dtype == np.uint32
    assert np.array_equal(rows["word"], words[:5])
    before = rows["kind"]
    rows.put(np.array([4, 3, 2, 1, 0]))
    rows.add(word=words[5:], kind=np.array([9]))
    assert before.tolist() == [0, 1, 2, 3, 4]
    assert rows["kind"].tolist() == [4, 3, 2, 1, 0, 9]
    assert np.array_equal(rows["word"][:, 0, 0], [8, 6, 4, 2, 0, 10])
    assert rows.distinct("kind") == [0, 1, 2, 3, 4, 9]


def test_rows_are_the_same_ordered_at_once_or_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "MANY", 2)  # copied on threads
    numbers, order = np.arange(9), np.array([8, 1, 0, 7, 2, 6, 3, 5, 4])
    rows = Rows(a=np.int64, b=np.float32, c=np.int8)
    rows.reserve(12)
    rows.add(a=numbers[:4], b=numbers[:4], c=numbers[:4])
    rows.add(a=numbers[4:], b=numbers[4:], c=numbers[4:])
    rows.put(order, "a", "b")
    assert rows["a"].tolist() == rows["b"].tolist() == rows["c"].tolist() == order.tolist()
    rows.put(order, "b")
    both = rows.joined(pickle.loads(pickle.dumps(rows)))
    rows.put(order)
    twice, thrice = numbers[order][order], numbers[order][order][order]
    assert all(both[name].tolist() == [*twice, *twice] for name in "abc")
    assert all(rows[name].tolist() == thrice.tolist() for name in "abc")
    assert (rows["b"].dtype, rows["c"].dtype, len(rows)) == (np.float32, np.int8, 9)
