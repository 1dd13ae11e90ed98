"""Rules by name, the arguments of their constructors, and the registry of assigners."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.plugins import plugged_in

from fastbox.assign import assigners as home
from fastbox.assign.match import match
from fastbox.assign.point_rule import PointRule
from fastbox.assign.registry import RULES, as_rule, assigners
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


NEAREST = '''
"""Each truth gets the anchor whose corner is nearest to its own."""
from typing import NamedTuple
import numpy as np
from fastbox.assign.assigner import Assigner
from fastbox.assign.result import Matches

class Nearest(NamedTuple):
    name: str = "nearest"

def assign_nearest(rule, anchors, truths, *, size, ignore, sparse):
    far = np.abs(np.asarray(anchors)[:, None, 0] - np.asarray(truths)[None, :, 0])
    labels = np.zeros(len(far), np.int8)
    labels[far.argmin(axis=0)] = 1
    owners = np.where(labels == 1, far.argmin(axis=1), -1)
    return Matches(labels, owners, labels.astype(float), None, np.array([0, len(far)]), None, np.ones(far.shape[1]))

ASSIGNER = Assigner(Nearest, assign_nearest, {"nearest": Nearest})
'''


@pytest.fixture
def nearest(tmp_path: Path) -> Iterator[None]:
    with plugged_in(home, assigners, tmp_path, "nearest", NEAREST):
        yield


@pytest.mark.usefixtures("nearest")
def test_a_new_assigner_is_one_file() -> None:
    boxes = [[0, 0, 4, 4], [6, 0, 9, 4]], [[5, 0, 9, 4]]
    rule = as_rule("nearest")
    assert rule.name == "nearest" and as_rule(rule) is rule
    for given in ("nearest", rule):
        found = match(*boxes, rule=given)
        assert found.labels.tolist() == [0, 1] and found.truths.tolist() == [-1, 0]
    assert match(*boxes).labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="did you mean 'nearest'"):
        as_rule("neerest")


def test_without_its_file_an_assigner_is_unknown() -> None:
    with pytest.raises(ValueError, match="expected a MatchRule or one of atss"):
        match([[0, 0, 4, 4]], [[0, 0, 4, 4]], rule="nearest")


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
        (lambda: MatchRule.mmdet(neg_iou_thr=(0.1,)), r"neg_iou_thr as a number or as \(low, high\), got \(0.1,\)"),
        (lambda: MatchRule.atss(0), "topk"),
        (lambda: MatchRule.atss("9"), "topk to be a whole number, 1 or more, got '9'"),
        (lambda: MatchRule.atss(levels=(-1, 4)), "a level's number of anchors to be a whole number, 0 or more, got -1"),
        (lambda: MatchRule("mine", (0.5,), (0, 1.7)), "a label to be a whole number, -1 or more, got 1.7"),
        (lambda: MatchRule("mine", (0.5,), (0, 1), "all"), "'all'"),
    ],
)
def test_rules_that_cannot_be(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("wrong", [None, 0.5, "0.5"])
def test_what_is_no_tuple(wrong: Any) -> None:
    for make in (MatchRule.detectron2, MatchRule.keras_hub, lambda one: MatchRule("mine", one, (0, 1))):
        with pytest.raises(TypeError, match=f"expected thresholds as a tuple, got {wrong!r}"):
            make(wrong)
    with pytest.raises(TypeError, match=f"expected ranges as a tuple, got {wrong!r}"):
        PointRule("mine", "fcos", "authors", ranges=wrong)
