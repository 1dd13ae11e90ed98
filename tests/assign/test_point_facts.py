"""Assignments of the peers' own code: inputs of this project's making, and what came out."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox.assign.point_rule import POINT_RULES, PointRule
from fastbox.assign.result import Matches

FACTS = Path(__file__).with_name("assign_facts.json")


@cache
def facts() -> dict[str, Any]:
    return {case["id"]: case for case in json.loads(FACTS.read_text())["cases"]}


def ids(*, candidates: bool) -> list[str]:
    return [name for name, case in facts().items() if (case["rule"] == "candidates") is candidates]


def rule_of(case: dict[str, Any]) -> PointRule:
    given, kind, version = case["params"], case["rule"], case["version"]
    numbers = {key: given[key] for key in ("topk", "topk2", "alpha", "beta", "eps") if key in given}
    if kind == "tal":
        name = {"8.4.190": "tal", "8.4.0": "tal-8.4.0", "8.3.253": "tal-8.3", "8.0.0": "tal-8.0"}[version]
        return replace(POINT_RULES[name], **numbers)
    if kind == "tal-mmyolo":
        return PointRule.tal_mmyolo(**given)
    if kind == "tal-mmdet":
        return PointRule.tal_mmdet(**given)
    if kind == "simota-mmdet":
        return replace(POINT_RULES["mmdet-yolox"], radius=given["center_radius"])
    if kind == "simota-yolox":
        return POINT_RULES["yolox-0.3" if version == "0.3.0" else "yolox"]
    if kind.startswith("rtmdet"):
        return POINT_RULES["mmyolo-rtmdet" if kind.endswith("mmyolo") else "rtmdet"]
    if case["peer"] == "torchvision":
        return POINT_RULES["torchvision-fcos"]
    radius = given["center_sample_radius"] if given.get("center_sampling", True) else 0
    return PointRule.fcos(radius, given["regress_ranges"], "authors" if given.get("legacy_area") else "mmdet")


def grid_of(case: dict[str, Any]) -> fastbox.PointGrid:
    fitted = case["offset"] == "torchvision"
    offset = {"torchvision": 0.0, "half-floor": 0.5}.get(case["offset"], case["offset"])
    return fastbox.PointGrid(case["strides"], offset, fitted=fitted)


def columns(case: dict[str, Any], name: str) -> Any:
    return np.array(case[name], np.float32).reshape(len(case[name]), -1 if case[name] else 4)


def assigned(case: dict[str, Any], dtype: Any = np.float32) -> Matches:
    """Match a case as its peer did; padding rows are boxes of nan."""
    truths = columns(case, "truths")
    given: dict[str, Any] = {}
    if "boxes" in case:
        truths[np.array(case.get("mask", [1] * len(truths))) == 0] = np.nan
        boxes = columns(case, "boxes")
        classes = np.array(case["truth_classes"], np.int64)
        scores = columns(case, "logits" if "logits" in case else "scores")
        given = {"boxes": boxes.astype(dtype), "scores": scores.astype(dtype), "classes": classes}
    if case["rule"] == "simota-yolox":  # centre and size
        given["boxes"] = fastbox.Boxes(given["boxes"], "cxcywh")
        given |= {"objectness": np.array(case["objectness"], dtype), "logits": True}
        found = fastbox.Boxes(truths.astype(dtype), "cxcywh")
    else:
        found = fastbox.Boxes(truths.astype(dtype))
    size = tuple(case["size"])
    return fastbox.match(grid_of(case), found, rule=rule_of(case), size=size, sparse=True, **given)


@pytest.mark.parametrize("name", ids(candidates=False))
def test_a_peers_assignment(name: str) -> None:
    case = facts()[name]
    found, expected = assigned(case), case["expect"]
    assert found.anchors is not None
    assert found.anchors.tolist() == expected["points"]
    assert found.truths.tolist() == expected["truths"]
    measured = {"target_scores": found.values, "metrics": found.values, "ious": found.ious}
    assert set(expected) <= {"points", "truths", *measured}
    for key in measured.keys() & set(expected):
        np.testing.assert_allclose(measured[key], expected[key], rtol=0, atol=1e-6)


COUNTED = {
    "ultralytics 8.4.190": "tal",
    "ultralytics 8.4.0": "tal-8.4.0",
    "ultralytics 8.3.253": "tal-8.3",
    "simota mmdet 3.3.0, YOLOX 0.3.0 (inside and centre 2.5)": "yolox-0.3",
    "simota YOLOX HEAD (centre 1.5)": "yolox",
    "inside (RTMDet's valid points, mmyolo's TAL), offset 0.5": "rtmdet",
}


@pytest.mark.parametrize("name", ids(candidates=True))
def test_the_candidates_of_a_peer(name: str) -> None:
    case = facts()[name]
    truths = columns(case, "truths")
    counts = case["expect"]["per_truth_and_level"]
    assert set(counts) == set(COUNTED)
    for peer, expected in counts.items():
        found = fastbox.candidates(grid_of(case), truths, rule=COUNTED[peer], size=tuple(case["size"]))
        assert found.counts.tolist() == expected


def test_facts_are_of_every_family() -> None:
    families = {rule_of(case).family for case in facts().values() if case["rule"] != "candidates"}
    assert families == {"fcos", "tal", "tood", "simota", "rtmdet"} and len(facts()) == 75
