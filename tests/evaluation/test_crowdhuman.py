"""CrowdHuman's figures equal naive loops by its rules: AP and MR⁻² to the last bit, the Jaccard index to 1e-12."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import fastbox
from fastbox import Boxes, Evaluation, Params, jobs
from fastbox.cli import main

Floats = NDArray[np.float64]
REFERENCES = (0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1.0)
EPS = 1e-6


class Scene(NamedTuple):
    """Boxes of images as xywh, of models; truths and ignored truths."""

    boxes: Floats
    scores: Floats
    images: NDArray[np.int64]
    truths: Floats
    truth_images: NDArray[np.int64]
    ignored: NDArray[np.bool_]

    def of(self, some: NDArray[np.bool_]) -> Scene:
        """Return some images."""
        own, its = some[self.images], some[self.truth_images]
        return Scene(*(column[own] for column in self[:3]), *(column[its] for column in self[3:]))

    def evaluate(self, **rules: Any) -> Evaluation:
        """Evaluate by the rules."""
        return fastbox.evaluate(
            Boxes(self.boxes, images=self.images, format="xywh"),
            self.scores,
            Boxes(self.truths, images=self.truth_images, format="xywh"),
            ignore=self.ignored,
            **rules,
        )


def scene(seed: int, whole: bool, images: int = 30) -> Scene:
    """Make people close to each other, and detections near them or elsewhere; `whole` coordinates make ties of IoU."""
    random = np.random.default_rng(seed)
    truth_images = np.sort(random.integers(0, images, 5 * images))
    truths = random.random((len(truth_images), 4)) * [60, 40, 30, 40] + [0, 0, 4, 6]
    near = random.integers(0, len(truths), 3 * len(truths))
    boxes = truths[near] + random.normal(0, 2.5, (len(near), 4))
    picked = truth_images[near]
    lost = random.random(len(near)) < 0.1
    picked[lost] = random.integers(0, images, np.count_nonzero(lost))
    order = np.argsort(picked, kind="stable")
    boxes, picked = np.maximum(boxes[order], [-5, -5, 1, 1]), picked[order]
    scores = random.random(len(boxes))
    if whole:
        truths, boxes, scores = np.rint(truths / 3) * 3, np.rint(boxes / 3) * 3, np.rint(scores * 50) / 50
    return Scene(boxes, scores, picked, truths, truth_images, random.random(len(truths)) < 0.25)


def overlap(box: Floats, truth: Floats, region: bool) -> float:
    """Compute IoU, or the share of the box in a region, with corners and a small number in each divisor."""
    (x, y, w, h), (left, top, width, height) = box.tolist(), truth.tolist()
    right, low, end, bottom = x + w, y + h, left + width, top + height
    shared = max(0.0, min(right, end) - max(x, left)) * max(0.0, min(low, bottom) - max(y, top))
    area = (right - x) * (low - y)
    return shared / (area + EPS) if region else shared / (area + (end - left) * (bottom - top) - shared + EPS)


def curves(given: Scene) -> tuple[list[float], list[float], list[float]]:
    """Return recall, precision and false positives in all after each detection that is not ignored."""
    outcomes = []
    for image in np.unique(given.images):
        mine = np.flatnonzero(given.images == image)
        its = np.flatnonzero(given.truth_images == image)
        known, regions = its[~given.ignored[its]], its[given.ignored[its]]
        taken: set[int] = set()
        for row in mine[np.argsort(-given.scores[mine], kind="stable")]:
            best, chosen = 0.5, -1
            for truth in known:
                iou = overlap(given.boxes[row], given.truths[truth], False)
                if truth not in taken and iou > best:
                    best, chosen = iou, truth
            if chosen >= 0:
                taken.add(chosen)
                outcomes.append((given.scores[row], True))
            elif not any(overlap(given.boxes[row], given.truths[region], True) > 0.5 for region in regions):
                outcomes.append((given.scores[row], False))
    true, false, found = 0.0, 0.0, []
    count = np.count_nonzero(~given.ignored)
    for _, hit in sorted(outcomes, key=lambda outcome: outcome[0], reverse=True):
        true, false = true + hit, false + (not hit)
        found.append((true / (true + (count - true)), true / (true + false), false))
    recall, precision, falses = (list(map(float, column)) for column in zip(*found, strict=True))
    return recall, precision, falses


def average(given: Scene) -> float:
    """Compute AP."""
    recall, precision, _ = curves(given)
    area = 0.0
    for place in range(1, len(recall)):
        area += (recall[place] - recall[place - 1]) * ((precision[place - 1] + precision[place]) / 2)
    return area


def miss_rate(given: Scene, images: int) -> float:
    """Compute MR⁻²."""
    recall, _, falses = curves(given)
    misses = []
    for least in REFERENCES:
        reached = [place for place, false in enumerate(falses) if false / images >= least]
        misses.append(1.0 - recall[reached[0] if reached else -1])
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(np.array(misses)).mean()))


def matched(ious: Floats) -> list[tuple[int, int]]:
    """Return the pairs with IoU above 0.5 of the matching with the greatest sum, out of all matchings."""

    @cache
    def best(row: int, taken: int) -> tuple[float, tuple[tuple[int, int], ...]]:
        if row == len(ious):
            return 0.0, ()
        found = best(row + 1, taken)
        for column in np.flatnonzero(ious[row] > 0.5).tolist():
            if not taken >> column & 1:
                total, pairs = best(row + 1, taken | 1 << column)
                found = max(found, (total + float(ious[row, column]), ((row, column), *pairs)))
        return found

    return list(best(0, 0)[1])


def index(given: Scene, least: float) -> tuple[float, int, int, int]:
    """Compute the mean ratio of images, and the numbers of matches, truths and detections, above a score."""
    ratios, sums = [], np.zeros(3, np.int64)
    for image in np.union1d(given.images, given.truth_images):
        its = given.truth_images == image
        boxes = given.boxes[(given.images == image) & (given.scores > least)]
        known, regions = given.truths[its & ~given.ignored], given.truths[its & given.ignored]
        ious = np.array([[overlap(box, truth, False) for truth in known] for box in boxes])
        pairs = matched(ious.reshape(len(boxes), len(known)))
        sides = (known, {column for _, column in pairs}), (boxes, {row for row, _ in pairs})
        m, n = (
            len(own)
            - sum(any(overlap(own[k], r, True) > 0.5 for r in regions) for k in range(len(own)) if k not in met)
            for own, met in sides
        )
        if m or n:
            ratios.append(len(pairs) / (m + n - len(pairs) + EPS))
        sums += len(pairs), m, n
    return sum(ratios) / max(len(ratios), 1), *map(int, sums)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("whole", [False, True])
def test_ap_and_miss_rate_equal_naive_loops(seed: int, whole: bool) -> None:
    given = scene(seed, whole)
    found = given.evaluate(rule="crowdhuman")
    stats = found.stats()
    assert found.ap_by_iou()["all"].tolist() == [average(given)]
    images = len(np.union1d(given.images, given.truth_images))
    assert (stats["AP"], stats["MR-2"]) == (average(given), miss_rate(given, images))
    more = given.evaluate(params=Params(rule="crowdhuman", images=200)).stats()
    assert (more["AP"], more["MR-2"]) == (stats["AP"], miss_rate(given, 200))


@pytest.mark.parametrize("seed", range(3))
def test_the_jaccard_index_equals_the_best_of_all_matchings(seed: int) -> None:
    given = scene(seed, False, images=15)
    found = given.evaluate(rule="crowdhuman")
    wanted = [index(given, 1e-1 * k) for k in range(10)]
    own = found.traced().further()["jaccard"]
    assert [tuple(row[name] for name in ("matches", "truths", "detections")) for row in own] == [w[1:] for w in wanted]
    assert [row["JI"] for row in own] == pytest.approx([w[0] for w in wanted], abs=1e-12, rel=0)
    best = int(np.argmax([w[0] for w in wanted]))
    assert found.stats()["JI"] == pytest.approx(wanted[best][0], abs=1e-12, rel=0)
    assert found.stats()["JI_score"] == 1e-1 * best


def test_a_matching_changes_to_the_greatest_sum_as_detections_are_added() -> None:
    """The first detection takes the only truth of the second, which is added later and has to push the first on."""
    truths = [[0, 0, 10, 10.0], [0, 3, 10, 10]]
    detections = [[0, 1, 10, 10.0], [0, -2, 10, 10]]
    found = fastbox.evaluate(
        Boxes(detections, format="xywh"), [0.9, 0.5], Boxes(truths, format="xywh"), rule="crowdhuman"
    )
    assert [row["matches"] for row in found.traced().further()["jaccard"]] == [2] * 5 + [1] * 4 + [0]
    assert found.outcomes() == {"true": 1, "false": 1, "ignored": 0}


def test_evaluations_of_different_images_and_models_add_up() -> None:
    given = scene(5, False)
    first = np.arange(30) < 11
    both = given.of(first).evaluate(rule="crowdhuman") + given.of(~first).evaluate(rule="crowdhuman")
    assert both.stats() == given.evaluate(rule="crowdhuman").stats()
    some = np.arange(len(given.images)) % 3 == 0
    some[given.images == 4] = False  # an image without a detection of one model
    models = np.where(some, "b", "a")
    found = fastbox.evaluate(
        Boxes(given.boxes, images=given.images, format="xywh"),
        given.scores,
        Boxes(given.truths, images=given.truth_images, format="xywh"),
        ignore=given.ignored,
        models=models,
        rule="crowdhuman",
    )
    for name, own in (("a", ~some), ("b", some)):
        alone = Scene(*(column[own] for column in given[:3]), *given[3:])
        assert found.stats(name) == alone.evaluate(params=Params(rule="crowdhuman", images=found.images)).stats()


def test_no_truth_and_no_detection() -> None:
    nothing = np.zeros((0, 4))
    names = ["AP", "JI", "JI_score", "MR-2"]
    empty = fastbox.evaluate(nothing, [], nothing, rule="crowdhuman")
    assert empty.stats() == dict.fromkeys(names, -1.0) and empty.ap_by_iou()["all"].tolist() == [-1.0]
    missed = fastbox.evaluate(nothing, [], [[0, 0, 1, 1]], rule="crowdhuman").stats()
    assert missed == {"AP": 0.0, "JI": 0.0, "JI_score": 0.0, "MR-2": 1.0}


def test_many_detections_lie_in_an_ignored_truth_of_any_class() -> None:
    detections, classes = [[0, 0, 10, 10], [1, 1, 9, 9], [50, 50, 60, 60.0]], [0, 0, 0]
    found = fastbox.evaluate(
        detections,
        [0.9, 0.8, 0.7],
        [[0, 0, 100, 12.0], [50, 50, 60, 60]],
        classes=classes,
        truth_classes=[1, 0],
        ignore=[1, 0],
        rule="crowdhuman",
    )
    assert found.classes == [None]
    assert found.outcomes() == {"true": 1, "false": 0, "ignored": 2}


def test_a_filter_ignores_truths() -> None:
    given = scene(4, False)
    seen = np.random.default_rng(4).random(len(given.truths))
    seen[3] = np.nan
    kept = (given.truths[:, 3] >= 20) & (seen >= 0.4)
    rules = Params(rule="crowdhuman", filter="height>=20, seen >= 0.4")
    ignored = given.ignored | ~kept
    sides = Boxes(given.boxes, images=given.images, format="xywh"), given.scores
    truths = Boxes(given.truths, images=given.truth_images, format="xywh")
    found = fastbox.evaluate(*sides, truths, ignore=given.ignored, numbers={"seen": seen}, params=rules)
    assert 0 < np.count_nonzero(~ignored) < np.count_nonzero(~given.ignored)
    assert found.stats() == given._replace(ignored=ignored).evaluate(rule="crowdhuman").stats()
    detections = {"image_id": given.images, "score": given.scores, "bbox": given.boxes}
    tables = detections, {"image_id": given.truth_images, "bbox": given.truths, "ignore": given.ignored, "seen": seen}
    read = jobs.evaluate(*(fastbox.Source(table, format="xywh") for table in tables), params=rules)
    assert read.evaluation.stats() == found.stats()
    with pytest.raises(ValueError, match="expected numbers of column 'seen' of the filter, got none"):
        fastbox.evaluate(*sides, truths, params=rules)
    with pytest.raises(ValueError, match="expected conditions on truths, got 'height=5'"):
        Params(rule="crowdhuman", filter="height=5")


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Write a scene as CrowdHuman's files, with 10 images that have no box."""
    given = scene(2, False)
    truths, detections = tmp_path / "truths.odgt", tmp_path / "detections.odgt"
    with truths.open("w") as one, detections.open("w") as other:
        for image in range(40):
            its, own = np.flatnonzero(given.truth_images == image), np.flatnonzero(given.images == image)
            people = [
                {"tag": "mask" if given.ignored[row] else "person", "fbox": given.truths[row].tolist()} for row in its
            ]
            boxes = [{"box": given.boxes[row].tolist(), "score": float(given.scores[row]), "tag": 1} for row in own]
            one.write(json.dumps({"ID": f"{image:03d}", "gtboxes": people}) + "\n")
            other.write(json.dumps({"ID": f"{image:03d}", "dtboxes": boxes}) + "\n")
    return str(detections), str(truths)


def test_all_images_of_a_file_count(files: tuple[str, str]) -> None:
    given = scene(2, False)
    found = jobs.evaluate(*files, rule="crowdhuman")
    assert found.evaluation.stats() == given.evaluate(params=Params(rule="crowdhuman", images=40)).stats()
    assert found.evaluation.stats()["MR-2"] == miss_rate(given, 40)


def test_the_command_and_the_page_show_the_figures(files: tuple[str, str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    shown = CliRunner().invoke(main, ["evaluate", *files, "--rule", "crowdhuman", "--report", str(page)]).stdout
    assert shown.startswith("AP ")
    assert "rule crowdhuman · IoU > 0.50 · class-agnostic" in shown
    assert sum(line.endswith("  best") for line in shown.splitlines()) == 1
    outcomes = jobs.evaluate(*files, rule="crowdhuman").evaluation.outcomes()
    said = " · ".join(f"{name} {count:,}" for name, count in outcomes.items())
    assert f"detections: {said}" in shown
    assert sum(outcomes.values()) == len(scene(2, False).boxes)
    assert "Miss rate by false positives per image" in page.read_text()
    fewer = CliRunner().invoke(main, ["evaluate", *files, "--rule", "crowdhuman", "--images", "20", "--json"]).stdout
    assert json.loads(fewer)["rules"]["images"] == 20
    assert json.loads(fewer)["stats"]["MR-2"] == miss_rate(scene(2, False), 20)
    high = CliRunner().invoke(main, ["evaluate", *files, "--rule", "crowdhuman", "--filter", "height>=30"]).stdout
    assert "truths with height>=30 count" in high
    lacking = CliRunner().invoke(main, ["evaluate", *files, "--rule", "crowdhuman", "--filter", "seen>=1"]).stderr
    assert "expected column 'seen' of the filter" in lacking
    refused = CliRunner().invoke(main, ["evaluate", *files, "--images", "20"])
    assert "expected an option of rule 'coco', got --images: it is one of rule 'crowdhuman'" in refused.stderr


def test_beside_rules_with_classes(files: tuple[str, str]) -> None:
    """The rule with one class has no figure of the classes of others."""
    found = jobs.compare_rules(*files, rules=["coco", "voc07", "crowdhuman"])
    assert [row["class"] for row in found.to_dict()["by_class"]] == [0, 1, None]
    shown = CliRunner().invoke(main, ["evaluate", *files, "--rule", "coco,voc07,crowdhuman"]).stdout
    lines = shown.splitlines()
    assert [line.split()[0] for line in lines[2:5]] == ["coco", "voc07", "crowdhuman"]
    assert next(line for line in lines if line.startswith("person")).endswith("–")
