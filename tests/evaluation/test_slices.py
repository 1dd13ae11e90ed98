"""Figures of groups: of images as if only these images were evaluated, of truths as if all others were ignored."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox.evaluation import Evaluation, Params

FIRST = ("AP", "AP50", "AP75", "AR1", "AR10", "AR100")
Scene = dict[str, Any]


def scene(seed: int, images: int = 24) -> tuple[Scene, dict[str, np.ndarray]]:
    """Draw detections near truths in images, some with no truth, and values of images and of truths."""
    random = np.random.default_rng(seed)
    m, n = 160, 420
    image = np.sort(random.integers(0, images, m)) * 2
    boxes = np.hstack((random.random((m, 2)) * 90, random.random((m, 2)) * 120 + 3))
    kinds = random.integers(0, 4, m)
    row = random.integers(0, m, n)
    where = np.where(random.random(n) < 0.97, image[row], random.integers(0, images, n) * 2 + random.integers(0, 2, n))
    order = np.argsort(where, kind="stable")
    row, where = row[order], where[order]
    given = {
        "detections": fastbox.Boxes(boxes[row] + random.normal(0, 4, (n, 4)), "xywh", images=where),
        "scores": random.random(n).round(2),
        "truths": fastbox.Boxes(boxes, "xywh", images=image),
        "classes": np.where(random.random(n) < 0.85, kinds[row], 1),
        "truth_classes": kinds,
        "crowd": random.random(m) < 0.05,
        "ignore": random.random(m) < 0.05,
        "models": random.choice(["a", "b"], n),
    }
    values = {"weather": random.choice(["rain", "snow", "sun"], 2 * images), "occluded": random.integers(0, 3, m)}
    return given, values


def of_images(given: Scene, kept: Any) -> Scene:
    """Return the rows of some images."""
    sides = {name: np.isin(images_of(given[name]), kept) for name in ("detections", "truths")}
    rows = {"truth_classes": "truths", "crowd": "truths", "ignore": "truths"}
    part = {name: values[sides[rows.get(name, "detections")]] for name, values in given.items() if name not in sides}
    for name, own in sides.items():
        corners = np.stack(given[name].columns, axis=1)
        part[name] = fastbox.Boxes(corners[own], given[name].format, images=images_of(given[name])[own])
    return part


def images_of(boxes: fastbox.Boxes) -> Any:
    return np.repeat(boxes.images, np.diff(boxes.offsets))


def evaluated(given: Scene, **more: Any) -> Evaluation:
    return fastbox.evaluate(**{**given, **more})


RULES = {
    "coco": Params(),
    "agnostic": Params(class_agnostic=True, max_dets=[1, 10, 100]),
    "few": Params(iou_thresholds=[0.5], area_ranges={"some": (50, 6000), "small": (0, 900)}, max_dets=[3]),
    "many thresholds": Params(iou_thresholds=np.linspace(0.3, 0.95, 27).tolist()),
    "voc": Params(rule="voc07"),
    "tiny": Params(rule="ai-tod"),
}


@pytest.mark.jit
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("seed", range(2))
def test_a_group_of_images_is_an_evaluation_of_these_images(seed: int, rules: str) -> None:
    given, values = scene(seed)
    weather = dict(enumerate(values["weather"].tolist()))
    whole = evaluated(given, params=RULES[rules], slices={"weather": weather})
    for model in ("a", "b"):
        for found in whole.slices(model):
            kept = [image for image, value in weather.items() if value == found.group]
            alone = evaluated(of_images(given, kept), params=RULES[rules])
            expected = alone.stats(model)
            assert found.of == "images" and found.slice == "weather"
            assert found.stats == {name: expected[name] for name in found.stats}
            assert found.images == alone.images
            assert found.truths == alone.collected.regular()[:, 0].sum()
        assert [found.group for found in whole.slices(model)] == ["rain", "snow", "sun"]
    assert len(found.stats) >= 1 and whole.stats("a") == evaluated(given, params=RULES[rules]).stats("a")


@pytest.mark.jit
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("seed", range(2))
def test_outside_a_group_of_truths_truths_are_ignored(seed: int, rules: str) -> None:
    given, values = scene(seed)
    occluded = values["occluded"]
    whole = evaluated(given, params=RULES[rules], slices={"occluded": occluded, "again": occluded == 1})
    for model in ("a", "b"):
        slices = whole.slices(model)
        assert [(found.slice, found.group) for found in slices] == [
            *(("occluded", group) for group in range(3)),
            *(("again", group) for group in (False, True)),
        ]
        for found in slices[:3]:
            alone = evaluated(given, params=RULES[rules], ignore=given["ignore"] | (occluded != found.group))
            expected = alone.stats(model)
            assert found.stats == {name: expected[name] for name in found.stats}
            assert found.truths == alone.collected.regular()[:, 0].sum()
        assert slices[1].stats == slices[4].stats
    plain = evaluated(given, params=RULES[rules])
    assert whole.stats("a") == plain.stats("a")
    assert whole.errors("b").delta_ap == plain.errors("b").delta_ap


@pytest.mark.jit
def test_intervals_are_those_of_the_group_alone() -> None:
    given, values = scene(5)
    weather = dict(enumerate(values["weather"].tolist()))
    whole = evaluated(given, slices={"weather": weather, "occluded": values["occluded"]})
    for found in whole.slices("a", samples=30, seed=4):
        if found.of == "images":
            alone = evaluated(of_images(given, [image for image in weather if weather[image] == found.group]))
        else:
            alone = evaluated(given, ignore=given["ignore"] | (values["occluded"] != found.group))
        drawn = alone.bootstrap("a", samples=30, seed=4)
        assert list(found.intervals) == list(drawn)
        for name, own in drawn.items():
            expected = np.quantile(own[~np.isnan(own)], [0.025, 0.975])
            assert found.intervals[name] == pytest.approx(expected, abs=1e-12)
    assert list(found.intervals) == ["AP", "AP50", "AP75"]
    assert list(found.stats) == list(FIRST)


@pytest.mark.jit
@pytest.mark.parametrize("rows", [1, 50])
def test_sets_and_sums_of_evaluations_have_the_same_slices(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    given, values = scene(6)
    weather = dict(enumerate(values["weather"].tolist()))
    slices = {"weather": weather, "occluded": values["occluded"]}
    whole = evaluated(given, slices=slices)
    monkeypatch.setattr("fastbox.evaluation.arrays.AT_ONCE", rows)
    in_sets = evaluated(given, slices=slices)
    assert in_sets.slices("b") == whole.slices("b")
    first = images_of(given["truths"]) < 20
    halves = []
    for own, kept in ((first, range(20)), (~first, range(20, 48))):
        part = {"weather": {image: weather[image] for image in kept}, "occluded": values["occluded"][own]}
        halves.append(evaluated(of_images(given, list(kept)), slices=part))
    assert (halves[0] + halves[1]).slices("b") == whole.slices("b")
    with pytest.raises(ValueError, match="the same slices"):
        halves[0] + evaluated(of_images(given, list(range(20, 48))))


def test_values_may_be_missing_and_arrays_of_images() -> None:
    boxes = fastbox.Boxes([[0.0, 0, 4, 4], [0, 0, 4, 4], [9, 9, 12, 12]], images=[1, 2, 2])
    slices = {"of images": [None, "x"], "of truths": [1.5, 2, np.nan]}
    found = fastbox.evaluate(boxes, [0.9, 0.8, 0.7], boxes, slices=slices)
    rows = [(own.slice, own.of, own.group, own.images, own.truths) for own in found.slices()]
    assert rows == [
        ("of images", "images", "x", 1, 2),
        ("of images", "images", None, 1, 1),
        ("of truths", "truths", 1.5, 1, 1),
        ("of truths", "truths", 2, 1, 1),
        ("of truths", "truths", None, 1, 1),
    ]
    summary = json.loads("".join(found.to_json()))
    assert summary["slices"][0] | {"AP": 1, "AR1": 0} == {
        "slice": "of images",
        "of": "images",
        "group": "x",
        "images": 1,
        "truths": 2,
        "detections": 2,
        **dict.fromkeys(FIRST, 1),
        "AR1": 0,
    }
    assert found.to_arrow("slices").column("group").to_pylist() == ["x", None, "1.5", "2.0", None]
    one = fastbox.Boxes([[0.0, 0, 4, 4], [0, 0, 4, 4]], images=[1, 2])  # as many truths as images: an array of images
    assert fastbox.evaluate(one, [0.9, 0.8], one, slices={"a": [1, 2]}).slices()[0].of == "images"


def test_slices_that_cannot_be_made() -> None:
    given, values = scene(7)
    for slices, said in (
        ({"x": [1, 2]}, "expected slices.'x'. with a value for each of 160 truths or"),
        ({"x": np.arange(160) // 4}, "expected at most 27 groups of truths, got 40 by 'x'"),
        ({"x": values["occluded"], "y": np.arange(160) % 25}, "got 28 by 'x', 'y'"),
        ({"x": {k: k / 7 for k in range(48)}}, "expected at most 16 groups of fractions by 'x', got [0-9]+ or more"),
    ):
        with pytest.raises(ValueError, match=said):
            evaluated(given, slices=slices)
    more = evaluated(scene(7, 40)[0], slices={"x": {k: k for k in range(80)}})
    assert len(more.slices("a")) == more.images > 31  # more groups than there are bits
    many = fastbox.Boxes(np.tile([0.0, 0, 4, 4], (70, 1)), images=np.arange(70))
    with pytest.raises(ValueError, match="expected at most 64 groups by 'x', got 70 or more"):
        fastbox.evaluate(many, np.ones(70), many, slices={"x": dict(enumerate(range(70)))})
    with pytest.raises(ValueError, match="expected no slices with rule 'crowdhuman'"):
        evaluated(given, rule="crowdhuman", slices={"o": values["occluded"]})
    plain = [[0.0, 0, 4, 4]]
    with pytest.raises(TypeError, match="no ids of images"):
        fastbox.evaluate(plain, [1], plain, slices={"x": {1: 2}})
    own = evaluated(given, rule="voc07", slices={"o": values["occluded"]}).slices("a", samples=30)
    assert all(group.intervals["mAP"][0] <= group.intervals["mAP"][1] for group in own)
