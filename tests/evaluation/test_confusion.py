"""The confusion matrix and the operating points equal naive loops."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from support.paths import ROOT

import fastbox
from fastbox import Boxes, Evaluation, InputError, jobs
from fastbox.evaluation.curves import Ranked
from fastbox.evaluation.operating import operating
from fastbox.fragments import spread

TABLES = ROOT / "data" / "detections.parquet", ROOT / "data" / "truths.parquet"
CLASSES = 3


class Scene(NamedTuple):
    """Boxes with classes and images; scores; crowds and ignored truths."""

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    kinds: NDArray[np.int64]
    images: NDArray[np.int64]
    truths: NDArray[np.float64]
    truth_kinds: NDArray[np.int64]
    truth_images: NDArray[np.int64]
    crowd: NDArray[np.bool_]
    ignore: NDArray[np.bool_]

    def of(self, first: int, last: int) -> Scene:
        """Return some images."""
        own, its = ((ids >= first) & (ids < last) for ids in (self.images, self.truth_images))
        return Scene(*(column[own] for column in self[:4]), *(column[its] for column in self[4:]))

    def evaluate(self, **more: Any) -> Evaluation:
        """Evaluate."""
        return fastbox.evaluate(
            Boxes(self.boxes, images=self.images),
            self.scores,
            Boxes(self.truths, images=self.truth_images),
            classes=self.kinds,
            truth_classes=self.truth_kinds,
            crowd=self.crowd,
            ignore=self.ignore,
            **more,
        )


def scene(seed: int, images: int = 12) -> Scene:
    """Make whole coordinates, so that IoUs and scores tie."""
    random = np.random.default_rng(seed)
    truth_images = np.sort(random.integers(0, images, 5 * images))
    corners = random.integers(0, 20, (len(truth_images), 2))
    truths = np.hstack([corners, corners + random.integers(2, 12, corners.shape)]).astype(np.float64)
    near = np.sort(random.integers(0, len(truths), 2 * len(truths)))
    boxes = truths[near] + random.integers(-2, 3, (len(near), 4))
    kinds = random.integers(0, CLASSES, len(truths))
    own = np.where(random.random(len(near)) < 0.7, kinds[near], random.integers(0, CLASSES, len(near)))
    flags = random.random((2, len(truths))) < 0.15
    scores = random.integers(0, 10, len(near)) / 10
    return Scene(boxes, scores, own, truth_images[near], truths, kinds, truth_images, *flags)


def overlap(a: NDArray[np.float64], b: NDArray[np.float64], *, share: bool = False) -> float:
    """Compute the IoU, or the share of the first box."""
    wide, high = (min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1))
    if wide <= 0 or high <= 0 or min(a[2] - a[0], a[3] - a[1]) < 0:
        return 0.0
    area, other = ((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b))
    return float(wide * high / (area if share else area + other - wide * high))


def matrix(given: Scene, least: float, score: float) -> NDArray[np.int64]:
    """Count pair by pair."""
    counts = np.zeros((CLASSES + 1, CLASSES + 1), np.int64)
    aside = given.crowd | given.ignore
    for image in range(int(given.truth_images.max()) + 1):
        own = [i for i in np.flatnonzero(given.images == image) if given.scores[i] >= score]
        its = np.flatnonzero(given.truth_images == image)
        asked = [j for j in its if not aside[j]]
        near = [(overlap(given.boxes[i], given.truths[j]), i, j) for i in own for j in asked]
        near = sorted(
            (pair for pair in near if pair[0] >= least), key=lambda p: (-p[0], -given.scores[p[1]], p[1], p[2])
        )
        taken: dict[Any, Any] = {}
        for _, i, j in near:
            if i not in taken and j not in taken.values():
                taken[i] = j
                counts[given.truth_kinds[j], given.kinds[i]] += 1
        for i in own:
            on = [j for j in its if aside[j]]
            if i not in taken and not any(
                overlap(given.boxes[i], given.truths[j], share=bool(given.crowd[j])) >= least for j in on
            ):
                counts[CLASSES, given.kinds[i]] += 1
        for j in asked:
            counts[given.truth_kinds[j], CLASSES] += j not in taken.values()
    return counts


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("least", "score"), [(0.5, 0.0), (0.3, 0.5), (0.75, 0.85)])
def test_counts_equal_a_naive_loop(seed: int, least: float, score: float) -> None:
    given = scene(seed)
    found = given.evaluate(confusion_iou=least).confusion(score=score)
    np.testing.assert_array_equal(found.counts, matrix(given, least, score))
    assert sum(count for _, _, count in found.entries) == found.counts.sum()


def test_counts_of_evaluations_add_up() -> None:
    given = scene(40)
    whole = given.evaluate(confusion_iou=0.5).confusion(score=0.3)
    parts = [given.of(first, last).evaluate(confusion_iou=0.5) for first, last in ((0, 5), (5, 6), (6, 12))]
    np.testing.assert_array_equal((parts[0] + parts[1] + parts[2]).confusion(score=0.3).counts, whole.counts)
    np.testing.assert_array_equal(sum(part.confusion(score=0.3).counts for part in parts), whole.counts)
    with pytest.raises(ValueError, match="expected evaluations with one confusion_iou, got two"):
        parts[0] + given.of(5, 6).evaluate(confusion_iou=0.6)


def test_a_matrix_is_made_on_request() -> None:
    given = scene(41)
    with pytest.raises(ValueError, match="expected an evaluation with confusion_iou, got one without"):
        given.evaluate().confusion()
    with pytest.raises(ValueError, match="confusion_iou"):
        given.evaluate(confusion_iou=0.0)
    assert given.evaluate(confusion_iou=0.5).confusion().score == given.evaluate().operating_points().best.score


def test_nothing_on_either_side() -> None:
    nothing = np.zeros((0, 4))
    assert fastbox.evaluate(nothing, [], nothing, confusion_iou=0.5).confusion(score=0).counts.sum() == 0
    alone = fastbox.evaluate(nothing, [], [[0, 0, 1, 1]], confusion_iou=0.5)
    assert alone.confusion(score=0).counts.tolist() == [[0, 1], [0, 0]]
    assert np.isnan(alone.operating_points().best.score)
    found = fastbox.evaluate([[0, 0, 1, 1], [2, 2, 3, 3]], [0.5, -3], nothing, confusion_iou=0.5)
    assert found.confusion(score=0).counts[1, 0] == 1
    assert found.confusion().counts[1, 0] == 2  # no score is best: all detections are where nothing is
    assert found.to_dict()["confusion"] == {
        "iou": 0.5,
        "score": None,
        "counts": [{"truth": "background", "detection": None, "count": 2}],
    }


@pytest.mark.jit
def test_tables_fragments_and_pages_have_the_matrix(tmp_path: Path) -> None:
    whole = jobs.evaluate(*TABLES, confusion_iou=0.5, confusion_score=0.25)
    found = whole.to_dict()["confusion"]
    assert (found["iou"], found["score"]) == (0.5, 0.25)
    parts = spread(jobs.evaluate, *TABLES, fragment_rows=300, confusion_iou=0.5, confusion_score=0.25)
    assert parts.to_dict()["confusion"] == found
    assert "confusion" not in jobs.evaluate(*TABLES).to_dict()
    drawn = jobs.evaluate(*TABLES, report=tmp_path / "page.html")
    assert drawn.to_dict()["confusion"]["score"] == drawn.to_dict()["operating_points"]["best"]["score"]
    titles = [section.title for section in drawn.page().sections]
    assert {"Confusion of classes", "Choice of a score"} <= set(titles)
    with pytest.raises((InputError, ValueError), match="confusion_iou"):
        jobs.evaluate(*TABLES, confusion_iou=2)


def points(given: Scene, beta: float) -> tuple[list[tuple[float, float, float, float]], dict[float, float]]:
    """Compute precision, recall and F of all classes at each score, and the mean of F over classes."""
    found = given.evaluate()
    ranked, truths = found.collected.ranked(None), found.collected.regular()[:, 0]
    words = ranked.words[:, 0, 0]
    kind = np.repeat(np.arange(len(truths)), np.diff(ranked.bounds))
    counted, true = words >> np.uint32(16) & 1 == 0, words & 1 != 0

    def figures(score: float, some: NDArray[np.bool_], wanted: int) -> tuple[float, float, float]:
        kept = counted & some & (ranked.scores >= score)
        hits = int((true & kept).sum())
        precision, recall = hits / max(int(kept.sum()), 1), hits / max(wanted, 1)
        below = beta**2 * precision + recall
        return precision, recall, (1 + beta**2) * precision * recall / below if below else 0.0

    every = np.ones(len(kind), np.bool_)
    scores = sorted(set(ranked.scores[counted].tolist()), reverse=True)
    classes = [k for k in range(len(truths)) if truths[k]]
    whole = [(score, *figures(score, every, int(truths.sum()))) for score in scores]
    macro = {score: float(np.mean([figures(score, kind == k, int(truths[k]))[2] for k in classes])) for score in scores}
    return whole, macro


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(20, 26))
@pytest.mark.parametrize("beta", [1.0, 2.0])
def test_operating_points_equal_a_naive_loop(seed: int, beta: float) -> None:
    given = scene(seed)
    found = given.evaluate().operating_points(beta=beta)
    whole, macro = points(given, beta)
    np.testing.assert_allclose(
        np.column_stack((found.scores, found.precision, found.recall, found.f)), np.array(whole), rtol=1e-12
    )
    np.testing.assert_allclose(found.macro, list(macro.values()), rtol=1e-12, atol=1e-12)
    assert found.best.f == found.f.max() and found.best.score == found.scores[np.argmax(found.f)]
    for k in range(CLASSES):
        alone = given._replace(
            kinds=np.where(given.kinds == k, k, 99), truth_kinds=np.where(given.truth_kinds == k, k, 98)
        )
        alone = Scene(
            *(column[alone.kinds == k] for column in alone[:4]), *(c[alone.truth_kinds == k] for c in alone[4:])
        )
        best = alone.evaluate().operating_points(beta=beta).best
        for name in ("score", "precision", "recall", "f"):
            assert found.by_class[name][k] == pytest.approx(getattr(best, name), rel=1e-12)


def test_equal_f_has_the_highest_score_and_json_has_finite_scores() -> None:
    boxes = np.arange(5)[:, None] * 10 + np.array([0, 0, 4, 4])
    found = fastbox.evaluate(boxes, [np.inf, 0.9, 0.8, -np.inf, np.nan], boxes[[0, 1, 3]]).operating_points()
    assert found.to_dict()["curves"]["scores"] == [0.9, 0.8]
    assert found.to_dict()["curves"]["precision"] == [1.0, 2 / 3]
    # 2 of 2 detections for 4 truths, then 3 of 5: F is 2/3 both times.
    boxes = np.arange(7)[:, None] * 10 + np.array([0, 0, 4, 4])
    best = fastbox.evaluate(boxes[:5], [0.9, 0.8, 0.7, 0.6, 0.5], boxes[[0, 1, 4, 6]]).operating_points().best
    assert best.score == 0.8 and best.f == 2 / 3


def test_operating_points_of_many_detections_need_little_memory() -> None:
    count, classes = 400_000, 80
    random = np.random.default_rng(0)
    scores = -np.sort(-random.random((classes, count // classes)), axis=1).ravel()
    words = (random.random(count) < scores).astype(np.uint32)[:, None, None]
    bounds = np.arange(classes + 1) * (count // classes)
    ranked = Ranked(words, scores, np.zeros(count, np.int32), bounds)
    tracemalloc.start()
    operating(ranked, np.full(classes, 5000), 1.0).to_dict()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 60 * count
