"""What evaluation says beside AP, against a few lines that spell each of it out."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

import fastbox
from fastbox.evaluation import Evaluation, Params, evaluate
from fastbox.evaluation.matching import MATCH_TYPES
from fastbox.evaluation.quantiles import spread
from fastbox.evaluation.tide import ERRORS

Boxes = NDArray[np.float64]


def iou(a: Boxes, b: Boxes) -> float:
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    return float(w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h))


def match_types(
    boxes: Boxes, scores: Boxes, kinds: NDArray[np.int64], truths: Boxes, wanted: NDArray[np.int64]
) -> list[str]:
    """The match type of each detection of one image, by Bolya's definitions, in the order of TIDE."""
    taken: set[int] = set()
    found = [""] * len(boxes)
    for j in np.argsort(-scores, kind="stable"):
        best, chosen = 0.5, None
        for t in range(len(truths)):
            if wanted[t] == kinds[j] and t not in taken and iou(boxes[j], truths[t]) >= best:
                best, chosen = iou(boxes[j], truths[t]), t
        if chosen is not None:
            taken.add(chosen)
            found[j] = "matched"
    for j in range(len(boxes)):
        if found[j]:
            continue
        own = max((iou(boxes[j], truths[t]) for t in range(len(truths)) if wanted[t] == kinds[j]), default=0.0)
        other = max((iou(boxes[j], truths[t]) for t in range(len(truths)) if wanted[t] != kinds[j]), default=0.0)
        if 0.1 <= own < 0.5:
            found[j] = "localization"
        elif other >= 0.5:
            found[j] = "classification"
        elif own >= 0.5:
            found[j] = "duplicate"
        elif max(own, other) < 0.1:
            found[j] = "background"
        else:
            found[j] = "both"
    return found


def scene(seed: int) -> tuple[Boxes, Boxes, NDArray[np.int64], Boxes, NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    corner = random.random((12, 2)) * 60
    truths = np.hstack((corner, corner + 5 + random.random((12, 2)) * 30))
    boxes = np.vstack([truths + random.normal(0, spread, (12, 4)) for spread in (1, 4, 12)])
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    return boxes, random.random(36), random.integers(0, 3, 36), truths, random.integers(0, 3, 12)


@pytest.mark.parametrize("seed", range(25))
def test_verdicts_are_tides(seed: int) -> None:
    boxes, scores, kinds, truths, wanted = scene(seed)
    found = Evaluation()
    judged = found.add(boxes, scores, truths, classes=kinds, truth_classes=wanted)
    expected = match_types(boxes, scores, kinds, truths, wanted)
    assert [MATCH_TYPES[match_type] for match_type in judged.match_type] == expected
    counts = dict(zip((*MATCH_TYPES, "missed"), found.errors().counts.sum(axis=0).tolist(), strict=True))
    assert {name: counts[name] for name in MATCH_TYPES} == {name: expected.count(name) for name in MATCH_TYPES}
    about = {
        int(t) for t, name in zip(judged.truth, expected, strict=True) if name in ("localization", "classification")
    }
    taken = {int(t) for t, name in zip(judged.truth, expected, strict=True) if name == "matched"}
    assert counts["missed"] == len(truths) - len(about | taken)


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(25))
def test_delta_ap_is_the_rise_of_ap_when_errors_are_fixed_by_hand(seed: int) -> None:
    boxes, scores, kinds, truths, wanted = scene(seed)
    rules = Params(iou_thresholds=[0.5])
    found = Evaluation(rules)
    judged = found.add(boxes, scores, truths, classes=kinds, truth_classes=wanted)
    errors = found.errors()
    assert errors.ap == found.stats()["AP"]
    names = np.array(MATCH_TYPES)[judged.match_type]
    taken = set(judged.truth[names == "matched"].tolist())
    for name in ("localization", "classification"):
        fixed, put = boxes.copy(), kinds.copy()
        keep = names != name
        claimed: set[int] = set()
        for j in np.argsort(-scores, kind="stable"):
            t = int(judged.truth[j])
            if names[j] == name and t not in taken and t not in claimed:
                claimed.add(t)
                keep[j] = True
                fixed[j], put[j] = truths[t], wanted[t]
        # What is fixed takes its truth before others can: each match has its truth's own box.
        mine = names == "matched"
        fixed[mine] = truths[judged.truth[mine]]
        # What matched nothing shall not match now.
        wrong = ~mine & (names != name)
        fixed[wrong] = [500, 500, 501, 501]
        right = evaluate(fixed[keep], scores[keep], truths, classes=put[keep], truth_classes=wanted, params=rules)
        assert errors.delta_ap[name] == pytest.approx(right.stats()["AP"] - errors.ap, abs=1e-12), name
    for name in ("duplicate", "background", "both"):
        keep = names != name
        less = evaluate(boxes[keep], scores[keep], truths, classes=kinds[keep], truth_classes=wanted, params=rules)
        assert errors.delta_ap[name] == pytest.approx(less.stats()["AP"] - errors.ap, abs=1e-12), name
    assert set(errors.delta_ap) == set(ERRORS)
    assert min(errors.delta_ap.values()) >= -1e-12


def test_precision_by_score_and_how_far_scores_are_off() -> None:
    truths = np.array([[0.0, 0, 10, 10], [20.0, 0, 30, 10]])
    boxes = np.array([[0.0, 0, 10, 10], [20.0, 0, 30, 8], [50.0, 0, 60, 10]])
    found = evaluate(boxes, [0.92, 0.93, 0.51], truths).calibration()
    assert found.counts.sum() == 3
    assert found.counts[18] == 2 and found.precision[18] == 1.0
    assert found.iou[18] == pytest.approx(0.9) and found.scores[18] == pytest.approx(0.925)
    assert found.counts[10] == 1 and found.precision[10] == 0.0
    assert found.ece == pytest.approx((2 * 0.075 + 0.51) / 3)
    logits = evaluate(boxes, [-3.0, 4.0, 1.0], truths).calibration()
    assert np.isnan(logits.ece)  # no probabilities
    assert logits.edges[0] == -3.0 and logits.edges[-1] == 4.0 and logits.counts.sum() == 3


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(5))
def test_a_sample_is_an_evaluation_of_the_images_drawn(seed: int) -> None:
    random = np.random.default_rng(seed)
    images = 6
    each = [scene(10 * seed + image) for image in range(images)]
    rules = Params(iou_thresholds=[0.5, 0.75, 0.8])

    def evaluated(order: list[int]) -> Evaluation:
        found = Evaluation(rules)
        for image in order:
            boxes, scores, kinds, truths, wanted = each[image]
            found.add(boxes, scores, truths, classes=kinds, truth_classes=wanted)
        return found

    samples = evaluated(list(range(images))).bootstrap(samples=70, seed=seed)
    drawn = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=70)
    for sample in random.integers(0, 70, 4):
        again = evaluated([image for image in range(images) for _ in range(drawn[sample][image])]).stats()
        for name in ("AP", "AP50", "AP75"):
            assert samples[name][sample] == pytest.approx(again[name], abs=1e-12)


def test_pairs_are_detections_with_the_truths_they_take() -> None:
    boxes, scores, kinds, truths, wanted = scene(3)
    found = Evaluation()
    judged = found.add(boxes, scores, truths, classes=kinds, truth_classes=wanted)
    hits = np.flatnonzero(judged.match_type == 0)
    pairs = found.pairs()
    own, its = fastbox.Boxes(boxes[hits]), fastbox.Boxes(truths[judged.truth[hits]])
    for metric in ("iou", "giou", "smooth_l1"):
        np.testing.assert_allclose(np.sort(pairs[metric]), np.sort(fastbox.aligned(own, its, metric=metric)), rtol=1e-9)


def test_spread_is_numpys_mean_and_quantiles() -> None:
    random = np.random.default_rng(0)
    values, groups = np.sort(random.random(500)), random.integers(0, 7, 500)
    found = spread(groups, values, 8)
    for group in range(7):
        own = values[groups == group]
        assert found["mean"][group] == pytest.approx(own.mean())
        for name, q in (("p5", 0.05), ("p50", 0.5), ("p95", 0.95)):
            assert found[name][group] == pytest.approx(np.quantile(own, q))
    assert all(np.isnan(column[7]) for column in found.values())
