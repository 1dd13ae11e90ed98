"""Rules by name, the arguments of their constructors, and the registry of assigners."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from fastbox.assign import registry
from fastbox.assign.match import match
from fastbox.assign.registry import RULES, Assigner, as_rule
from fastbox.assign.result import Matches
from fastbox.assign.rule import MatchRule


def test_every_rule_has_a_name() -> None:
    assert list(RULES) == sorted(RULES)
    for name in RULES:
        assert as_rule(name).name == name
    assert as_rule("fastbox") == MatchRule.fastbox()
    with pytest.raises(ValueError, match="did you mean 'torchvision'"):
        as_rule("torchvison")
    with pytest.raises(ValueError, match="expected a MatchRule"):
        as_rule(3)


class Nearest(NamedTuple):
    """A rule of another type: each truth gets the anchor whose corner is nearest to its own."""

    name: str = "nearest"


def assign_nearest(rule: Nearest, anchors: Any, truths: Any, *, size: Any, ignore: Any, sparse: bool) -> Matches:
    far = np.abs(np.asarray(anchors)[:, None, 0] - np.asarray(truths)[None, :, 0])
    labels = np.zeros(len(far), np.int8)
    labels[far.argmin(axis=0)] = 1
    owners = np.where(labels == 1, far.argmin(axis=1), -1)
    return Matches(labels, owners, labels.astype(float), None, np.array([0, len(far)]), None, np.ones(far.shape[1]))


def test_a_line_of_the_registry_makes_an_assigner(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [[0, 0, 4, 4], [6, 0, 9, 4]], [[5, 0, 9, 4]]
    with pytest.raises(ValueError, match="expected a MatchRule"):
        match(*boxes, rule=Nearest())  # type: ignore[arg-type]
    line = Assigner(Nearest, assign_nearest, {"nearest": Nearest})
    monkeypatch.setattr(registry, "ASSIGNERS", (*registry.ASSIGNERS, line))
    found = match(*boxes, rule=Nearest())  # type: ignore[arg-type]
    assert found.labels.tolist() == [0, 1] and found.truths.tolist() == [-1, 0]
    assert match(*boxes).labels.tolist() == [0, 1]


def test_what_presets_are_made_of() -> None:
    assert MatchRule.mmdet(0.5, (0.1, 0.7)).thresholds == (0.1, 0.5, 0.5)
    assert MatchRule.mmdet(1, 0).labels == (0, -1, 1)
    assert MatchRule.tf(0.6).thresholds == (0.6, 0.6)
    assert MatchRule.keras_hub().labels == (0, -1, 1)
    assert MatchRule.atss(levels=[4, 2]).levels == (4, 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MatchRule.fastbox(0.3, 0.6), "0.6 and 0.3"),
        (lambda: MatchRule.fastbox(float("nan")), "nan"),
        (lambda: MatchRule.detectron2([0.5, 0.4], [0, -1, 1]), "ascend"),
        (lambda: MatchRule.detectron2([0.5], [0, -1, 1]), "2 labels"),
        (lambda: MatchRule.detectron2([0.5], [0, 2]), "labels of 1"),
        (lambda: MatchRule.keras_hub([0.5], [0, 1]), "match_values"),
        (lambda: MatchRule.mmdet(min_pos_iou=float("nan")), "min_claim"),
        (lambda: MatchRule.atss(0), "topk"),
        (lambda: MatchRule("mine", (0.5,), (0, 1), "all"), "'all'"),
    ],
)
def test_rules_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
