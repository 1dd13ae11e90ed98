"""Pascal VOC's figures equal a naive loop by the rules of 2007 and of 2012, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray
from support.paths import ROOT

import fastbox
from fastbox import Boxes, Evaluation, Params, jobs
from fastbox.cli import main

Floats = NDArray[np.float64]
EPS = np.finfo(np.float64).eps
TABLES = str(ROOT / "data" / "detections.parquet"), str(ROOT / "data" / "truths.parquet")


class Scene(NamedTuple):
    """Boxes of images as xyxy, with classes; difficult truths; scores without ties."""

    boxes: Floats
    scores: Floats
    classes: NDArray[np.int64]
    images: NDArray[np.int64]
    truths: Floats
    truth_classes: NDArray[np.int64]
    truth_images: NDArray[np.int64]
    difficult: NDArray[np.bool_]

    def evaluate(self, **rules: Any) -> Evaluation:
        """Evaluate by the rules."""
        return fastbox.evaluate(
            Boxes(self.boxes, images=self.images),
            self.scores,
            Boxes(self.truths, images=self.truth_images),
            classes=self.classes,
            truth_classes=self.truth_classes,
            ignore=self.difficult,
            **rules,
        )


def scene(seed: int, images: int = 25) -> Scene:
    """Make truths, and detections near them or twice or elsewhere; whole coordinates, as those of the benchmark."""
    random = np.random.default_rng(seed)
    truth_images = np.sort(random.integers(0, images, 6 * images))
    corners = random.integers(0, 60, (len(truth_images), 2))
    truths = np.hstack([corners, corners + random.integers(1, 40, corners.shape)]).astype(np.float64)
    truth_classes = random.integers(0, 3, len(truths))
    near = np.sort(random.integers(0, len(truths), 2 * len(truths)))
    boxes = truths[near] + random.integers(-6, 7, (len(near), 4))
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
    classes = np.where(random.random(len(near)) < 0.85, truth_classes[near], random.integers(0, 3, len(near)))
    scores = random.permutation(len(near)) / len(near)
    difficult = random.random(len(truths)) < 0.2
    return Scene(boxes, scores, classes, truth_images[near], truths, truth_classes, truth_images, difficult)


def overlap(box: Floats, truths: Floats, more: float) -> Floats:
    """Compute the IoU of a box with truths, with `more` in each width and height."""
    wide = np.maximum(np.minimum(truths[:, 2], box[2]) - np.maximum(truths[:, 0], box[0]) + more, 0)
    high = np.maximum(np.minimum(truths[:, 3], box[3]) - np.maximum(truths[:, 1], box[1]) + more, 0)
    shared = wide * high
    areas = (truths[:, 2] - truths[:, 0] + more) * (truths[:, 3] - truths[:, 1] + more)
    with np.errstate(invalid="ignore"):
        found: Floats = shared / ((box[2] - box[0] + more) * (box[3] - box[1] + more) + areas - shared)
    return np.nan_to_num(found)


def average(found: Scene, kind: int, year: int, more: float, strict: bool) -> float:
    """Compute the AP of a class as the benchmark's code does: all detections of the class, by descending score."""
    mine = np.flatnonzero(found.classes == kind)
    mine = mine[np.argsort(-found.scores[mine])]
    taken = np.zeros(len(found.truths), np.bool_)
    true, false = np.zeros(len(mine)), np.zeros(len(mine))
    for place, row in enumerate(mine):
        its = np.flatnonzero((found.truth_classes == kind) & (found.truth_images == found.images[row]))
        overlaps = overlap(found.boxes[row], found.truths[its], more)
        best = float(overlaps.max(initial=-np.inf))
        if best > 0.5 or (best == 0.5 and not strict):
            chosen = its[np.argmax(overlaps)]
            if not found.difficult[chosen]:
                true[place], false[place] = not taken[chosen], taken[chosen]
                taken[chosen] = True
        else:
            false[place] = 1
    counts = np.cumsum(true), np.cumsum(false)
    recall = counts[0] / float(np.count_nonzero((found.truth_classes == kind) & ~found.difficult))
    precision = counts[0] / np.maximum(counts[0] + counts[1], EPS)
    if year == 2007:
        ap = 0.0
        for least in np.arange(0.0, 1.1, 0.1):
            reached = precision[recall >= least]
            ap += (float(np.max(reached)) if len(reached) else 0.0) / 11.0
        return ap
    recall, precision = np.concatenate(([0.0], recall, [1.0])), np.concatenate(([0.0], precision, [0.0]))
    for place in range(len(precision) - 1, 0, -1):
        precision[place - 1] = np.maximum(precision[place - 1], precision[place])
    rises = np.where(recall[1:] != recall[:-1])[0]
    return float(np.sum((recall[rises + 1] - recall[rises]) * precision[rises + 1]))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("year", [2007, 2012])
@pytest.mark.parametrize("pixels", [False, True])
@pytest.mark.parametrize("strict", [False, True])
def test_figures_equal_a_naive_loop(seed: int, year: int, pixels: bool, strict: bool) -> None:
    given = scene(seed)
    found = given.evaluate(params=Params(rule=f"voc{year % 100:02d}", legacy_pixels=pixels, strict=strict))
    wanted = [average(given, kind, year, float(pixels), strict) for kind in range(3)]
    assert found.stats_by_class()["mAP"].tolist() == wanted
    assert found.stats() == {"mAP": float(np.mean(wanted))}
    assert found.ap_by_iou()["all"].tolist() == [float(np.mean(wanted))]


def test_a_taken_truth_makes_a_detection_false_although_another_truth_is_free() -> None:
    detections, truths = [[0, 0, 10, 10]] * 2, [[0, 0, 10, 10], [0, 0, 10, 9.0]]
    found = [fastbox.evaluate(detections, [0.9, 0.8], truths, rule=rule).outcomes() for rule in ("coco", "voc12")]
    assert found == [{"true": 2, "false": 0, "ignored": 0}, {"true": 1, "false": 1, "ignored": 0}]


def test_strict_is_above_the_threshold() -> None:
    half = [[0, 0, 10, 10]], [0.9], [[0, 0, 10, 5]]
    assert fastbox.evaluate(*half, rule="voc12").stats() == {"mAP": 1.0}
    assert fastbox.evaluate(*half, params=Params(rule="voc12", strict=True)).stats() == {"mAP": 0.0}


def test_evaluations_of_different_images_add_up() -> None:
    given = scene(9)
    whole = given.evaluate(rule="voc12")
    parts = []
    for some in (np.arange(25) < 10, np.arange(25) >= 10):
        own, its = some[given.images], some[given.truth_images]
        part = Scene(*(column[own] for column in given[:4]), *(column[its] for column in given[4:]))
        parts.append(part.evaluate(rule="voc12"))
    both = parts[0] + parts[1]
    assert both.stats() == whole.stats()
    assert both.outcomes() == whole.outcomes()


def test_no_truth_and_no_detection() -> None:
    nothing = np.zeros((0, 4))
    assert fastbox.evaluate(nothing, [], nothing, rule="voc07").stats() == {"mAP": -1.0}
    assert fastbox.evaluate(nothing, [], [[0, 0, 1, 1]], rule="voc07").stats() == {"mAP": 0.0}


def test_what_a_rule_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an option of rule 'coco', got strict=True: it is one of rule"):
        Params(strict=True)
    with pytest.raises(TypeError, match="expected strict as bool, got 1"):
        Params(rule="voc07", strict=1)
    one = [[0, 0, 1, 1]], [0.5], [[0, 0, 1, 1]]
    with pytest.raises(ValueError, match="expected params or a rule, got params of 'coco' and rule 'voc07'"):
        fastbox.evaluate(*one, params=Params(), rule="voc07")
    with pytest.raises(ValueError, match="expected no samples with rule 'kitti'"):
        fastbox.evaluate(*one, rule="kitti").bootstrap()
    with pytest.raises(ValueError, match=r"expected a threshold of 0\.5, got 0\.75"):
        fastbox.evaluate(*one, rule="voc07").outcomes(threshold=0.75)


def test_difficult_truths_of_a_table() -> None:
    given = scene(3)
    detections = {"image_id": given.images, "category_id": given.classes, "score": given.scores, "bbox": given.boxes}
    truths = {"image_id": given.truth_images, "category_id": given.truth_classes, "bbox": given.truths}
    tables = [fastbox.Source(table, format="xyxy") for table in (detections, truths | {"difficult": given.difficult})]
    assert jobs.evaluate(*tables, rule="voc12").evaluation.stats() == given.evaluate(rule="voc12").stats()


def test_rules_side_by_side(tmp_path: Path) -> None:
    found = jobs.compare_rules(*TABLES).to_dict()
    assert [row["rule"] for row in found["rules"]] == ["coco", "voc07", "voc12"]
    for row in found["rules"]:
        alone = jobs.evaluate(*TABLES, rule=row["rule"])
        assert row["stats"] == alone.evaluation.stats()
        assert row["AP50"] == row["stats"]["AP50" if row["rule"] == "coco" else "mAP"]
        assert row["true"] + row["false"] + row["ignored"] + row["beyond"] == alone.evaluation.detections
    assert len(found["by_class"]) == 80
    with pytest.raises(ValueError, match="expected a rule of ai-tod, coco,"):
        jobs.compare_rules(*TABLES, rules=["coco", "voc08"])


def test_the_command_says_what_differs_between_rules() -> None:
    """The first figure of each rule; below the table what does not fit; and whether matching differs."""
    both = ["evaluate", *TABLES, "--rule", "coco,voc12"]
    narrow, wide = (CliRunner().invoke(main, both, env={"COLUMNS": width}).stdout for width in ("80", "140"))
    found = jobs.compare_rules(*TABLES, rules=["coco", "voc12"])
    for row in found.to_dict()["rules"]:
        assert f"{row['statistic']} {row['value']:.4f}" in narrow
        assert f"{row['rule']}: {row['says']}" in narrow and row["says"] in wide
    assert max(map(len, narrow.splitlines())) <= 80
    assert "how AP is computed" in wide.splitlines()[0] and "how AP is computed" not in narrow
    assert "AP of coco: the mean over 10 IoU thresholds" in narrow
    assert not found.same_true and "the rules match differently" in narrow


def test_rules_that_match_alike_differ_only_in_averaging() -> None:
    boxes = {"image_id": np.array([1, 1]), "category_id": np.array([3, 3])}
    truths = boxes | {"bbox": np.array([[0.0, 0, 4, 4], [9, 9, 14, 14]])}
    apart = truths | {"score": np.array([0.9, 0.8])}
    assert jobs.compare_rules(apart, truths).same_true
    # The second detection overlaps the taken truth most, and the other one enough: free for COCO, false for VOC.
    near = {"bbox": np.array([[0.0, 0, 10, 10], [0, 3.2, 10, 13.2]])}
    again = {"bbox": np.array([[0.0, 0, 10, 10], [0, 1.5, 10, 11.5]]), "score": np.array([0.9, 0.8])}
    found = jobs.compare_rules(boxes | again, boxes | near)
    assert not found.same_true
    assert [row["true"] for row in found.to_dict()["rules"]] == [2, 1, 1]


def test_the_command_shows_rules_side_by_side() -> None:
    shown = CliRunner().invoke(main, ["evaluate", *TABLES, "--rule", "coco,voc12"]).stdout
    assert [line.split()[0] for line in shown.splitlines()[2:4]] == ["coco", "voc12"]
    assert "AP50 of the classes whose figures differ most" in shown
    refused = CliRunner().invoke(main, ["evaluate", *TABLES, "--rule", "coco,voc12", "-o", "x.parquet"])
    assert (refused.exit_code, "expected one rule with -o" in refused.stderr) == (2, True)
    styled = CliRunner().invoke(main, ["evaluate", *TABLES, "--rule", "voc07", "--style", "coco"])
    assert "expected a rule with COCO's figures for the style coco, got voc07" in styled.stderr
