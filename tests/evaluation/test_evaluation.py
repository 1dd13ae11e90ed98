"""Evaluation against pycocotools: the same bits, with any thresholds, ranges, counts, crowds, ties, empty corners."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.coco_scenes import Scene

import fastbox
from fastbox.evaluation import Evaluation, Params, curves

pytest.importorskip("pycocotools", reason="pycocotools is not installed")

FIGURES = 12


def assert_same(found: Evaluation, theirs: Any, model: Any = None) -> None:
    traced = found.curves(model)
    np.testing.assert_array_equal(traced.precision, theirs.eval["precision"][..., -1])
    np.testing.assert_array_equal(traced.scores, theirs.eval["scores"][..., -1])
    np.testing.assert_array_equal(traced.recall, theirs.eval["recall"])
    arrays = found.coco_arrays(model)
    for name in ("precision", "recall", "scores"):
        np.testing.assert_array_equal(getattr(arrays, name), theirs.eval[name])
    for place, values in enumerate(found.ap_by_iou(model).values()):
        for value, precision in zip(values, theirs.eval["precision"][..., place, -1], strict=True):
            known = precision[precision > -1]
            assert value == (np.mean(known) if len(known) else -1)


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(60))
def test_curves_are_those_of_pycocotools(seed: int) -> None:
    scene = Scene(seed)
    params = scene.params()
    found = scene.every_class(params)
    scene.add_to(found, 0, scene.images)
    assert_same(found, scene.theirs(params))


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(100, 130))
def test_parts_add_up_to_the_whole(seed: int) -> None:
    scene = Scene(seed)
    params = scene.params()
    marks = np.sort(scene.random.integers(0, scene.images + 1, 2)).tolist()
    streamed, merged = scene.every_class(params), scene.every_class(params)
    for first, last in zip([0, *marks], [*marks, scene.images], strict=True):
        scene.add_to(streamed, first, last)
        streamed.curves()  # so that what is added later comes behind what is ranked already
        part = scene.every_class(params)
        scene.add_to(part, first, last)
        merged = merged + part
    theirs = scene.theirs(params)
    assert_same(streamed, theirs)
    assert_same(merged, theirs)
    assert merged.stats() == streamed.stats()
    assert merged.detections == streamed.detections == len(scene.boxes)
    np.testing.assert_array_equal(merged.errors().counts, streamed.errors().counts)


@pytest.mark.parametrize("seed", range(200, 215))
def test_the_twelve_figures_are_those_of_pycocotools(seed: int) -> None:
    scene = Scene(seed)
    found = scene.every_class(Params())
    scene.add_to(found, 0, scene.images)
    theirs = scene.theirs(Params())
    with contextlib.redirect_stdout(io.StringIO()):
        theirs.summarize()
    assert len(found.stats()) == FIGURES
    by_iou = found.ap_by_iou()["all"]
    assert [by_iou[0], by_iou[5]] == [found.stats()[name] for name in ("AP50", "AP75")]
    assert list(found.stats().values()) == theirs.stats.tolist()


@pytest.mark.parametrize("seed", range(400, 415))
def test_figures_of_tiny_sizes_are_pycocotools_figures_with_other_ranges(seed: int) -> None:
    scene, params = Scene(seed), Params(rule="ai-tod")
    scene.boxes, scene.targets, scene.area = scene.boxes / 4, scene.targets / 4, scene.area / 16
    found = scene.every_class(params)
    scene.add_to(found, 0, scene.images)
    theirs = scene.theirs(params)
    assert_same(found, theirs)

    def mean(values: NDArray[np.float64]) -> float:
        known = values[values > -1]
        return float(np.mean(known)) if len(known) else -1.0

    precision, recall = theirs.eval["precision"][..., -1], theirs.eval["recall"]
    wanted = {
        "AP": mean(precision[..., 0]),
        "AP50": mean(precision[0, ..., 0]),
        "AP75": mean(precision[5, ..., 0]),
        **{name: mean(precision[..., place]) for place, name in enumerate(("APvt", "APt", "APs", "APm"), 1)},
        **{f"AR{limit}": mean(recall[..., 0, place]) for place, limit in enumerate((1, 100, 1500))},
    }
    assert found.stats() == wanted


@pytest.mark.parametrize("seed", range(300, 310))
def test_stats_by_class_are_means_of_its_own_curves(seed: int) -> None:
    scene = Scene(seed)
    found = scene.every_class(Params())
    scene.add_to(found, 0, scene.images)
    theirs = scene.theirs(Params())
    by_class = found.stats_by_class()
    for place, _ in enumerate(found.classes):
        own = theirs.eval["precision"][:, :, place, 0, -1]
        there = own[own > -1]
        assert by_class["AP"][place] == (there.mean() if there.size else -1)


@pytest.mark.parametrize("seed", range(400, 410))
def test_models_are_evaluated_each_by_itself(seed: int) -> None:
    scene = Scene(seed)
    models = scene.random.choice(["b", "a", "c"], len(scene.boxes))
    found = scene.every_class(Params())
    found.code_models(["c", "a", "b"])
    scene.add_to(found, 0, scene.images, models=models)
    assert found.models == ["a", "b", "c"]
    every = scene.boxes, scene.scores, scene.image, scene.kind
    for model in found.models:
        scene.boxes, scene.scores, scene.image, scene.kind = (column[models == model] for column in every)
        assert_same(found, scene.theirs(Params()), model)
    with pytest.raises(ValueError, match="expected a model of 'a', 'b', 'c', got 'd'"):
        found.stats("d")


def test_one_model_has_no_name_and_short_curves() -> None:
    found = fastbox.evaluate([[0, 0, 4, 4]], [0.9], [[0, 0, 4, 4]])
    with pytest.raises(ValueError, match="expected no model of detections without models, got 20: leave it out"):
        found.bootstrap(20)
    assert repr(found.curves()) == "Curves(10 thresholds, 101 recalls, 1 class, 4 ranges)"


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(500, 520))
def test_curves_in_parts_have_the_figures_of_whole_ones(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene(seed)
    params = scene.params()
    found = scene.every_class(params)
    scene.add_to(found, 0, scene.images)
    whole, by_class, precision = found.stats(), found.stats_by_class(), found.traced().precision()
    errors = found.errors()
    monkeypatch.setattr(curves, "WHOLE", int(scene.random.choice([1, 300, 2000])))
    found._forget()
    assert found.stats() == whole
    for name, values in found.stats_by_class().items():
        np.testing.assert_array_equal(values, by_class[name])
    np.testing.assert_array_equal(found.traced().precision(), precision)
    assert found.errors().delta_ap == errors.delta_ap
    assert_same(found, scene.theirs(params))


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_change_nothing(threads: int) -> None:
    scene = Scene(7)
    before = fastbox.get_num_threads()
    expected = scene.every_class(Params())
    scene.add_to(expected, 0, scene.images)
    try:
        fastbox.set_num_threads(threads)
        found = scene.every_class(Params())
        scene.add_to(found, 0, scene.images)
        assert found.stats() == expected.stats()
        for one, other in zip(found.bootstrap(samples=9).values(), expected.bootstrap(samples=9).values(), strict=True):
            np.testing.assert_array_equal(one, other)
    finally:
        fastbox.set_num_threads(before)
