"""Two models compared: intervals against images that are evaluated again, truths found against a loop."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox.evaluation import Evaluation, Params
from fastbox.evaluation.comparison import FOUND_BY

Scene = dict[str, Any]


def scene(seed: int, models: tuple[str, ...] = ("a", "b")) -> Scene:
    """Draw the truths of an image, some crowds or ignored, and detections of several models near them."""
    random = np.random.default_rng(seed)
    m = int(random.integers(0, 8))
    truths = np.hstack((random.random((m, 2)) * 60, random.random((m, 2)) * 30 + 4))
    truths[:, 2:] += truths[:, :2]
    near = np.repeat(np.arange(m), 3)
    boxes = truths[near] + random.normal(0, 3, (len(near), 4))
    kinds = random.integers(0, 3, m)
    return {
        "detections": boxes,
        "scores": random.random(len(near)),
        "truths": truths,
        "classes": np.where(random.random(len(near)) < 0.8, kinds[near], 1),
        "truth_classes": kinds,
        "crowd": random.random(m) < 0.1,
        "ignore": random.random(m) < 0.1,
        "models": random.choice(models, len(near)),
    }


def evaluated(scenes: list[Scene], params: Params | None = None) -> Evaluation:
    found = Evaluation(params)
    found.code_models(["a", "b"])
    for one in scenes:
        if len(one["detections"]):
            found.add(**one)
        else:  # no detection has a class or a model
            found.add(
                np.zeros((0, 4)),
                [],
                np.zeros((0, 4)),
                classes=np.zeros(0, np.int64),
                truth_classes=np.zeros(0, np.int64),
                models=np.zeros(0, np.str_),
            )
    return found


def overlap(box: Any, truth: Any, crowd: bool) -> float:
    sides = np.minimum(box[2:], truth[2:]) - np.maximum(box[:2], truth[:2])
    if (sides <= 0).any():
        return 0.0
    own, its = ((one[2] - one[0]) * (one[3] - one[1]) for one in (box, truth))
    shared = sides[0] * sides[1]
    return float(shared / (own if crowd else own + its - shared))


def found_in(one: Scene, model: str) -> set[int]:
    """Return the truths that the detections of a model take at IoU ≥ 0.50, one after another."""
    taken: set[int] = set()
    rows = [row for row in np.argsort(-one["scores"], kind="stable").tolist() if one["models"][row] == model]
    for row in rows:
        best, chosen = 0.5, -1
        for truth, box in enumerate(one["truths"]):
            aside = one["crowd"][truth] or one["ignore"][truth]
            if aside or truth in taken or one["truth_classes"][truth] != one["classes"][row]:
                continue
            iou = overlap(one["detections"][row], box, False)
            if iou >= best:
                best, chosen = iou, truth
        if chosen >= 0:
            taken.add(chosen)
    return taken


@pytest.mark.parametrize("seed", range(4))
def test_truths_found_are_those_of_a_loop(seed: int) -> None:
    scenes = [scene(100 * seed + image) for image in range(12)]
    scenes = [one | {"scores": one["scores"].round(1)} for one in scenes]
    whole = evaluated(scenes)
    parts = evaluated(scenes[:5]) + evaluated(scenes[5:])
    expected = {kind: dict.fromkeys(FOUND_BY, 0) for kind in whole.classes}
    for one in scenes:
        first, second = (found_in(one, model) for model in ("a", "b"))
        for truth, kind in enumerate(one["truth_classes"].tolist()):
            if not (one["crowd"][truth] or one["ignore"][truth]):
                name = FOUND_BY[2 * (truth not in first) + (truth not in second)]
                expected[kind][name] += 1
    for found in (whole, parts):
        rows = found.compare("a", "b", samples=0).to_dict()["by_class"]
        assert {row["class"]: {name: row[name] for name in FOUND_BY} for row in rows} == expected
    turned = whole.compare("b", "a", samples=0).found
    assert np.array_equal(turned, whole.compare("a", "b", samples=0).found[:, [0, 2, 1, 3]])
    assert whole.compare("a", "a", samples=0).found[:, 1:3].sum() == 0


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(3))
def test_intervals_are_those_of_images_evaluated_again(seed: int) -> None:
    images, samples = 6, 40
    scenes = [scene(1000 + 10 * seed + image) for image in range(images)]
    rules = Params(iou_thresholds=[0.5, 0.75], max_dets=[100])
    found = evaluated(scenes, rules).compare("a", "b", samples=samples, seed=seed)
    drawn = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=samples)
    again = [
        evaluated([scenes[image] for image in range(images) for _ in range(times[image])], rules) for times in drawn
    ]
    for name in ("AP", "AP50", "AP75"):
        pairs = [(one.stats("a")[name], one.stats("b")[name]) for one in again]
        differences = np.array([first - second for first, second in pairs if first >= 0])
        own = found.differences[name]
        assert own.difference == own.model - own.other
        assert (own.low, own.high) == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=1e-12)
        sign = 1 if own.difference > 0 else -1
        assert own.other_side == pytest.approx(np.mean(sign * differences <= 1e-15), abs=1e-12)
    assert np.isnan(found.differences["AR100"].low)
    assert not np.isnan(found.differences["AR100"].difference)


def test_a_comparison_is_a_result() -> None:
    found = evaluated([scene(image) for image in range(9)]).compare("a", "b", samples=20, seed=1)
    summary = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert summary["truths"]["both"] == found.found[:, 0].sum()
    assert [row["name"] for row in summary["differences"]] == list(found.differences)
    assert found.to_arrow().column_names[:4] == ["name", "model", "other", "difference"]
    assert "only model" in found._repr_html_()
    same = evaluated([scene(image) for image in range(9)]).compare("a", "a", samples=20)
    assert same.differences["AP"][2:] == (0.0, 0.0, 0.0, 1.0)


def test_nothing_to_compare() -> None:
    nothing = evaluated([scene(0) | {"detections": np.zeros((0, 4))}])
    own = nothing.compare("a", "b", samples=3).differences["AP"]
    assert np.isnan(own.difference) and np.isnan(own.low)
    with pytest.raises(ValueError, match="expected a model of 'a', 'b', got 'c'"):
        nothing.compare("a", "c")
    with pytest.raises(ValueError, match="samples"):
        nothing.compare("a", "b", samples=-1)
    one = fastbox.evaluate([[0, 0, 4, 4]], [0.5], [[0, 0, 4, 4]])
    with pytest.raises(ValueError, match="leave it out"):
        one.compare("a", "b")
