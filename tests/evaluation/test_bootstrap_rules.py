"""Intervals by the rules of VOC and Open Images: each sample is an evaluation of its images, as often as drawn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastbox
from fastbox import jobs
from fastbox.evaluation import Evaluation, Federation, Params

SAMPLES, CLASSES = 66, 3
RULES: dict[str, dict[str, Any]] = {
    "voc07": {},
    "voc12": {"iou_thresholds": [0.5, 0.75]},
    "open-images": {},
}


def images(random: np.random.Generator) -> list[dict[str, Any]]:
    """Images with few boxes, whose scores are distinct in an image; some are empty, some truths crowds or ignored."""
    found = []
    for _ in range(random.integers(1, 6)):
        n, m = random.integers(0, 7, 2)
        truths = np.tile(random.integers(0, 20, (m, 2)), 2) + np.array([0, 0, 12, 12])
        boxes = np.tile(random.integers(0, 20, (n, 2)), 2) + np.array([0, 0, 12, 12])
        boxes[: min(n, m)] = truths[: min(n, m)] + random.integers(-1, 2, (min(n, m), 4))
        found.append(
            {
                "detections": boxes.reshape(-1, 4),
                "scores": random.choice(8, n, replace=False) / 8,
                "truths": truths.reshape(-1, 4),
                "classes": random.integers(0, CLASSES, n),
                "truth_classes": random.integers(0, CLASSES, m),
                "crowd": random.random(m) < 0.2,
                "ignore": random.random(m) < 0.2,
            }
        )
    return found


def evaluated(rule: str, scenes: list[dict[str, Any]], counts: list[int]) -> Evaluation:
    known = Federation(present={0: range(CLASSES)}) if rule == "open-images" else None
    found = Evaluation(Params(rule=rule, **RULES[rule]), federation=known)
    found.code_classes(range(CLASSES))
    for image, count in zip(scenes, counts, strict=True):
        for _ in range(count):
            found.add(**image)
    return found


@pytest.mark.long
@pytest.mark.slow
@given(st.integers(0, 2**32), st.sampled_from(list(RULES)))
def test_samples_equal_evaluations_of_repeated_images(seed: int, rule: str) -> None:
    scenes = images(np.random.default_rng(seed))
    count = len(scenes)
    (found,) = evaluated(rule, scenes, [1] * count).bootstrap(samples=SAMPLES, seed=3).values()
    drawn = np.random.default_rng(3).multinomial(count, np.full(count, 1 / count), size=SAMPLES)
    for value, counts in zip(found.tolist(), drawn.tolist(), strict=True):
        stats = evaluated(rule, scenes, counts).stats()
        expected = stats["mAP"]
        assert np.isnan(value) if expected < 0 else value == pytest.approx(expected, rel=1e-12, abs=1e-12)


@pytest.mark.jit
@pytest.mark.parametrize("rule", ["voc07", "voc12"])
def test_models_are_compared_with_intervals(rule: str) -> None:
    random = np.random.default_rng(0)
    corners = np.tile(random.integers(0, 400, (60, 2)), 2) + np.array([0, 0, 20, 20])
    image = np.repeat(np.arange(20), 3)
    table = {"image_id": image, "bbox": corners.tolist(), "category_id": image % 2}
    better = table | {"score": random.random(60)}
    worse = better | {"bbox": np.where(random.random((60, 1)) < 0.5, corners + 300, corners).tolist()}
    found = jobs.evaluate(better, table, others=[worse], compare=True, rule=rule)
    (own,) = found.comparisons
    assert own.samples == 1000 and 0 < own.differences["mAP"].low < own.differences["mAP"].high
    model = found.to_dict()["models"][str(own.model)]
    assert model["intervals"]["mAP"] == [1.0, 1.0]


def test_rules_without_samples_are_refused() -> None:
    found = fastbox.evaluate([[0, 0, 1, 1]], [0.5], [[0, 0, 1, 1]], rule="crowdhuman")
    with pytest.raises(ValueError, match="expected no samples with rule 'crowdhuman'"):
        found.bootstrap()
