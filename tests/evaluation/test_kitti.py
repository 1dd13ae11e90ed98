"""KITTI's precisions equal a naive reading of the devkit's rules, to the last bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import fastbox
from fastbox import Boxes, Evaluation, jobs
from fastbox.cli import main

TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare")
LIMITS = {"easy": (40, 0, 0.15), "moderate": (25, 1, 0.3), "hard": (25, 2, 0.5)}
OVERLAP = {"Car": 0.7, "Pedestrian": 0.5, "Cyclist": 0.5}
NEAR = {"Car": "Van", "Pedestrian": "Person_sitting"}
COUNTED, ASIDE, OUT = 0, 1, -1

Box = list[float]


class Scene(NamedTuple):
    """Boxes of images as x, y, w and h."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    kinds: NDArray[Any]
    images: NDArray[np.int64]
    truths: NDArray[np.float64]
    truth_kinds: NDArray[Any]
    truth_images: NDArray[np.int64]
    occluded: NDArray[np.int64]
    truncated: NDArray[np.float64]

    def of(self, some: NDArray[np.bool_]) -> Scene:
        """Return some images."""
        own, its = some[self.images], some[self.truth_images]
        return Scene(*(column[own] for column in self[:4]), *(column[its] for column in self[4:]))

    def evaluate(self) -> Evaluation:
        """Evaluate by the rule."""
        return fastbox.evaluate(
            Boxes(self.boxes, images=self.images, format="xywh"),
            self.scores,
            Boxes(self.truths, images=self.truth_images, format="xywh"),
            classes=self.kinds,
            truth_classes=self.truth_kinds,
            numbers={"occluded": self.occluded, "truncated": self.truncated},
            rule="kitti",
        )


def scene(seed: int, images: int = 40) -> Scene:
    """Make objects of all types and difficulties, and detections near them, small ones and some of another class."""
    random = np.random.default_rng(seed)
    truth_images = np.sort(random.integers(0, images, 9 * images))
    m = len(truth_images)
    truths = np.round(random.random((m, 4)) * [250, 90, 90, 70] + [0, 0, 15, 15], 2)
    kinds = random.choice(TYPES, m, p=[0.35, 0.1, 0.02, 0.2, 0.05, 0.15, 0.02, 0.01, 0.1])
    near = np.sort(random.integers(0, m, 3 * m // 2))
    boxes = np.round(truths[near] + random.normal(0, 2, (len(near), 4)), 2)
    other = random.choice(list(OVERLAP), len(near))
    detected = np.where(np.isin(kinds[near], list(OVERLAP)) & (random.random(len(near)) < 0.9), kinds[near], other)
    detected = np.where(kinds[near] == "Van", "Car", detected)
    return Scene(
        np.maximum(boxes, [0, 0, 2, 2]),
        np.round(random.random(len(near)), 2),
        detected,
        truth_images[near],
        truths,
        kinds,
        truth_images,
        random.integers(0, 4, m),
        random.choice([0, 0.1, 0.3, 0.4, 0.6], m),
    )


def overlap(box: Box, truth: Box, region: bool = False) -> float:
    (x, y, w, h), (left, top, width, height) = box, truth
    across, down = min(x + w, left + width) - max(x, left), min(y + h, top + height) - max(y, top)
    if across <= 0 or down <= 0:
        return 0.0
    shared = across * down
    return shared / (w * h if region else w * h + width * height - shared)


class Image(NamedTuple):
    """The boxes of an image with their roles, and regions."""

    boxes: list[Box]
    scores: list[float]
    roles: list[int]
    truths: list[Box]
    truth_roles: list[int]
    regions: list[Box]


def images_of(given: Scene, kind: str, difficulty: str) -> list[Image]:
    height, occluded, truncated = LIMITS[difficulty]
    found = []
    for image in np.union1d(given.images, given.truth_images):
        own, its = np.flatnonzero(given.images == image), np.flatnonzero(given.truth_images == image)
        roles = []
        for row in own:
            small = int(given.boxes[row, 3]) < height
            roles.append(ASIDE if small else COUNTED if given.kinds[row] == kind else OUT)
        truth_roles = []
        for row in its:
            hard = given.occluded[row] > occluded or given.truncated[row] > truncated or given.truths[row, 3] < height
            name = given.truth_kinds[row]
            truth_roles.append(
                ASIDE if name == NEAR.get(kind) or (hard and name == kind) else COUNTED if name == kind else OUT
            )
        regions = [given.truths[row].tolist() for row in its if given.truth_kinds[row] == "DontCare"]
        found.append(
            Image(
                given.boxes[own].tolist(),
                given.scores[own].tolist(),
                roles,
                given.truths[its].tolist(),
                truth_roles,
                regions,
            )
        )
    return found


def first_pass(image: Image, least: float) -> list[float]:
    """Return the scores of detections that truths take by their scores."""
    taken, scores = set[int](), []
    for truth, role in zip(image.truths, image.truth_roles, strict=True):
        free = [
            k
            for k, box in enumerate(image.boxes)
            if role != OUT and image.roles[k] != OUT and k not in taken and overlap(box, truth) > least
        ]
        if free:
            best = max(free, key=lambda k: (image.scores[k], -k))
            taken.add(best)
            if role == COUNTED and image.roles[best] == COUNTED:
                scores.append(image.scores[best])
    return scores


def counts(image: Image, least: float, level: float) -> tuple[int, int]:
    """Return the numbers of true and false detections from a score on."""
    taken, true, false = set[int](), 0, 0
    for truth, role in zip(image.truths, image.truth_roles, strict=True):
        free = [
            k
            for k, box in enumerate(image.boxes)
            if role != OUT
            and image.roles[k] != OUT
            and k not in taken
            and image.scores[k] >= level
            and overlap(box, truth) > least
        ]
        counted = [k for k in free if image.roles[k] == COUNTED]
        if free:
            best = max(counted, key=lambda k: (overlap(image.boxes[k], truth), -k)) if counted else free[0]
            taken.add(best)
            true += role == COUNTED and image.roles[best] == COUNTED
    for k, box in enumerate(image.boxes):
        alone = image.roles[k] == COUNTED and k not in taken and image.scores[k] >= level
        false += alone and not any(overlap(box, region, True) > least for region in image.regions)
    return true, false


def precisions(given: Scene, kind: str, difficulty: str) -> list[float]:
    images, least = images_of(given, kind, difficulty), OVERLAP[kind]
    truths = sum(image.truth_roles.count(COUNTED) for image in images)
    scores = sorted((score for image in images for score in first_pass(image, least)), reverse=True)
    levels, recall = [], 0.0
    for place, score in enumerate(scores):
        last = place == len(scores) - 1
        if not last and (place + 2) / truths - recall < recall - (place + 1) / truths:
            continue
        levels.append(score)
        recall += 1.0 / 40.0
    found = [0.0] * 41
    for place, level in enumerate(levels):
        true, false = map(sum, zip(*(counts(image, least, level) for image in images), strict=True))
        found[place] = true / (true + false)
    return [max(found[place:]) for place in range(41)]


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(3))
def test_precisions_equal_a_naive_loop(seed: int) -> None:
    given = scene(seed)
    found = given.evaluate()
    rows = found.traced().further()["difficulties"]
    assert len(rows) == 9
    for row in rows:
        wanted = precisions(given, row["class"], row["difficulty"])
        assert row["precision"] == wanted
        aps = [sum(wanted[1:]) / 40, sum(wanted[::4]) / 11] if row["truths"] else [-1, -1]
        assert [row["AP40"], row["AP11"]] == pytest.approx(aps, rel=1e-14)
    assert sum(row["truths"] > 0 for row in rows) >= 8
    moderate = [row["AP40"] for row in rows if row["difficulty"] == "moderate"]
    assert found.stats()["AP40_moderate"] == pytest.approx(np.mean(moderate), rel=1e-14)
    by_class = found.stats_by_class()["AP11_hard"]
    assert by_class[found.classes.index("Car")] == next(row["AP11"] for row in rows if row["difficulty"] == "hard")
    assert by_class[found.classes.index("Van")] == -1


def test_every_detection_and_truth_is_a_number() -> None:
    given = scene(7)
    for row in given.evaluate().traced().further()["difficulties"]:
        aside = row["on_ignored"] + row["on_regions"] + row["small"]
        assert row["true"] + row["false"] + aside == np.count_nonzero(given.kinds == row["class"])
        assert row["on_ignored"] > 0 < row["on_regions"]
        its = np.isin(given.truth_kinds, [row["class"], NEAR.get(row["class"], "")])
        assert row["truths"] + row["ignored_truths"] == np.count_nonzero(its)
        assert row["missed"] <= row["truths"] - row["true"]


def test_evaluations_of_different_images_add_up() -> None:
    given = scene(5)
    first = np.arange(40) < 13
    both = given.of(first).evaluate() + given.of(~first).evaluate()
    assert both.traced().further() == given.evaluate().traced().further()


def test_no_truth_no_detection_and_no_class() -> None:
    nothing = np.zeros((0, 4))
    names = [f"{kind}_{name}" for kind in ("AP40", "AP11") for name in ("moderate", "easy", "hard")]
    empty = fastbox.evaluate(nothing, [], nothing, classes=[], truth_classes=[], rule="kitti")
    assert empty.stats() == dict.fromkeys(names, -1.0)
    missed = fastbox.evaluate(nothing, [], [[0, 0, 50, 50.0]], classes=[], truth_classes=["car"], rule="kitti")
    assert missed.stats() == dict.fromkeys(names, 0.0)
    box = [[0, 0, 50, 50.0]]
    with pytest.raises(ValueError, match="expected numbers that the rule reads \\(occluded, truncated\\), got 'depth'"):
        fastbox.evaluate(box, [0.5], box, numbers={"depth": [1.0]}, rule="kitti")
    wrong = fastbox.evaluate(box, [0.5], box, classes=["dog"], truth_classes=["dog"], rule="kitti")
    with pytest.raises(ValueError, match="expected classes Car, Pedestrian or Cyclist with rule 'kitti', got dog"):
        wrong.stats()


@pytest.mark.jit
def test_folders_of_the_benchmark(tmp_path: Path) -> None:
    given = scene(2)
    for side in ("truths", "detections"):
        (tmp_path / side / "label_2").mkdir(parents=True)
    for image in range(40):
        lines: dict[str, list[str]] = {"truths": [], "detections": []}
        for row in np.flatnonzero(given.truth_images == image):
            x, y, w, h = given.truths[row]
            seen = f"{given.truth_kinds[row]} {given.truncated[row]} {given.occluded[row]} 0"
            lines["truths"].append(f"{seen} {x:.2f} {y:.2f} {x + w:.2f} {y + h:.2f} 1 1 1 0 0 0 0")
        for row in np.flatnonzero(given.images == image):
            x, y, w, h = given.boxes[row]
            corners = f"{x:.2f} {y:.2f} {x + w:.2f} {y + h:.2f}"
            lines["detections"].append(f"{given.kinds[row]} -1 -1 0 {corners} 1 1 1 0 0 0 0 {given.scores[row]}")
        for side, own in lines.items():
            (tmp_path / side / "label_2" / f"{image:06d}.txt").write_text("".join(f"{line}\n" for line in own))
    tables, page = [str(tmp_path / "detections"), str(tmp_path / "truths")], tmp_path / "page.html"
    stats = jobs.evaluate(*tables, rule="kitti").evaluation.stats()
    assert stats == pytest.approx(given.evaluate().stats(), abs=1e-12)
    shown = CliRunner().invoke(main, ["evaluate", *tables, "--rule", "kitti", "--report", str(page)]).stdout
    assert shown.startswith("AP40_moderate ")
    assert "Car: IoU > 0.70" in shown
    assert (
        sum(line.startswith(("Car", "Pedestrian", "Cyclist")) and "moderate" in line for line in shown.splitlines())
        == 3
    )
    assert "Classes by difficulty" in page.read_text()
    found = json.loads(CliRunner().invoke(main, ["evaluate", *tables, "--rule", "kitti", "--json"]).stdout)
    assert (found["columns"]["occluded"], found["columns"]["truncated"]) == ("occluded", "truncated")
    assert [row["class"] for row in found["difficulties"]] == ["Car"] * 3 + ["Pedestrian"] * 3 + ["Cyclist"] * 3
