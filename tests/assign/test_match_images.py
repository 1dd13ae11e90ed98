"""Matching of many images at once, of proposals, and what cannot be matched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from strategies import corners
from support.paths import WITHOUT_JIT
from support.rules import both, crowd, retina, small

import fastbox
from fastbox import Boxes
from fastbox.assign.match import match
from fastbox.assign.rule import MatchRule

Array = Any


# Datasets: images, sizes, threads.


def dataset(images: int, size: tuple[int, int], dtype: Any = np.float32) -> tuple[Boxes, list[Array]]:
    counts = np.random.default_rng(images).poisson(3, images)
    parts = [crowd(int(n), size, dtype, 100 + k, 25) for k, n in enumerate(counts)]
    return Boxes(np.concatenate(parts), offsets=[0, *np.cumsum(counts)]), parts


@pytest.mark.jit
@pytest.mark.parametrize("rule", ["fastbox", "mmdet", "atss"])
@pytest.mark.parametrize("form", ["one", "arrays", "rows"])
def test_a_dataset_is_its_images(rule: str, form: str, threads: Any) -> None:
    grid, images = small(), 40 if not WITHOUT_JIT else 4
    truths, parts = dataset(images, (100, 80))
    rng = np.random.default_rng(0)
    wide, high = rng.integers(90, 93, images), rng.integers(70, 73, images)
    size: Any = {"one": (91, 72), "arrays": (wide, high), "rows": np.stack([wide, high], axis=1)}[form]
    for sparse in (False, True):
        answers = []
        for n in (1, 2, 3):
            threads(n)
            answers.append(match(grid, truths, rule=rule, size=size, sparse=sparse))
        for other in answers[1:]:
            for one, two in zip(answers[0][:3], other[:3], strict=True):
                assert one.tobytes() == two.tobytes()
        found = answers[0]
        for k, part in enumerate(parts):
            its_size = (91, 72) if form == "one" else (int(wide[k]), int(high[k]))
            alone = match(grid, part, rule=rule, size=its_size, sparse=sparse)
            rows = slice(found.offsets[k], found.offsets[k + 1])
            first = truths.offsets[k]
            np.testing.assert_array_equal(found.labels[rows], alone.labels)
            np.testing.assert_array_equal(found.truths[rows], np.where(alone.truths < 0, -1, alone.truths + first))
            np.testing.assert_array_equal(found.values[rows], alone.values)
            if found.anchors is not None:
                np.testing.assert_array_equal(found.anchors[rows], alone.anchors)


@pytest.mark.jit
@pytest.mark.parametrize("sparse", [True, False])
def test_many_threads_share_the_images_of_a_large_call(sparse: bool, threads: Any) -> None:
    grid, anchors = small(), small().boxes((100, 80))
    truths, _ = dataset(600, (100, 80))
    for source, size in ((grid, (100, 80)), (anchors, None)):
        answers = []
        for n in (1, 2, 8):
            threads(n)
            answers.append(match(source, truths, size=size, sparse=sparse))
        assert len({tuple(part.tobytes() for part in answer[:3]) for answer in answers}) == 1
    np.testing.assert_array_equal(answers[0].labels, match(grid, truths, size=(100, 80), sparse=sparse).labels)


def test_proposals_meet_their_own_image_by_id() -> None:
    truths = Boxes([[0, 0, 4, 4], [0, 0, 9, 9], [0, 0, 2, 2]], images=["a", "a", "c"])
    proposals = Boxes([[0, 0, 4, 4], [0, 0, 2, 2], [0, 0, 2, 2.5]], images=["a", "b", "c"])
    found = match(proposals, truths)
    assert found.images is not None
    assert found.images.tolist() == ["a", "b", "c"]
    assert found.offsets.tolist() == [0, 1, 2, 3]
    assert found.truths.tolist() == [0, -1, 2]
    assert found.labels.tolist() == [1, 0, 1]
    ignore = Boxes([[0, 0, 5, 5]], images=["d"])
    assert match(proposals, truths, ignore=ignore).offsets.tolist() == [0, 1, 2, 3, 3]
    assert match([[0, 0, 2, 2]], truths, ignore=ignore).labels.tolist() == [1, 1, -1]
    ignored = match([[0, 0, 2, 2]], truths, ignore=ignore, sparse=True)
    assert ignored.offsets.tolist() == [0, 1, 2, 3]
    assert ignored.anchors is not None
    assert ignored.anchors.tolist() == [0, 0, 0]


def test_images_without_truths_are_negative() -> None:
    truths = Boxes(np.empty((0, 4), np.float64), offsets=[0, 0, 0])
    for rule in (MatchRule.fastbox(), MatchRule.mmdet(0.5, (0.1, 0.4)), MatchRule.tf(0.5, 0.2, False)):
        found = both([[0, 0, 1, 1]], truths, rule)
        assert found.labels.tolist() == [0, 0]
        assert found.truths.tolist() == [-1, -1]
    assert len(match([[0, 0, 1, 1]], Boxes(np.empty((0, 4)), offsets=[0])).labels) == 0
    assert len(match(small(), Boxes(np.empty((0, 4), np.float32), offsets=[0]), size=(9, 9), sparse=True).labels) == 0


def test_a_truth_that_overlaps_nothing() -> None:
    anchors, far = [[0, 0, 4, 4], [2, 2, 6, 6]], [[0, 0, 4, 4], [50, 50, 60, 60]]
    assert match(anchors, far).labels.tolist() == [1, 0]
    assert match(anchors, far, rule="torchvision").labels.tolist() == [1, 1]
    assert match(anchors, far[1:], rule="torchvision").truths.tolist() == [0, 0]
    assert match(anchors, far, rule="mmdet").truths.tolist() == [1, 1]
    assert match(anchors, far, rule=MatchRule.mmdet(min_pos_iou=0.1)).labels.tolist() == [1, 0]


def test_any_format_stride_and_dtype() -> None:
    anchors, truths = small(np.float64).boxes((60, 50)), crowd(5, (60, 50), np.float64, 1, 25)
    expected = match(anchors, truths)
    w = truths[:, 2:] - truths[:, :2]
    exact = np.array_equal(truths[:, :2] + w, truths[:, 2:])
    wider = np.zeros((5, 9))
    wider[:, ::2][:, :4] = truths
    for other in (Boxes(truths[:, [1, 0, 3, 2]], "yxyx"), wider[:, ::2][:, :4], np.asfortranarray(truths)):
        found = match(anchors, other)
        np.testing.assert_array_equal(found.values, expected.values)
    if exact:
        boxes = Boxes(np.concatenate([truths[:, :2], w], axis=1), "xywh")
        np.testing.assert_array_equal(match(anchors, boxes).values, expected.values)
    assert match(anchors, truths.astype(np.float32)).values.dtype == np.float64
    assert match(small(np.float64), truths.astype(np.float32), size=(60, 50)).values.dtype == np.float64


@pytest.mark.jit
def test_a_crowd_takes_little_memory() -> None:
    import tracemalloc

    grid, size = retina(), (1333, 800)
    truths = crowd(5000, size, np.float32, 1)
    match(grid, truths[:2], size=size, sparse=True)
    tracemalloc.start()
    found = match(grid, truths, size=size, sparse=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6
    assert np.count_nonzero(found.labels == 1) >= 5000


# Arguments and results


BOX = [[0.0, 0.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: match(BOX, BOX, size=(3, 3)), "AnchorGrid"),
        (lambda: match(small(), BOX), "expected size"),
        (lambda: match(small(), BOX, size=(3, 3, 3)), "shape"),
        (lambda: match(small(), BOX, size=(3.5, 3)), "whole pixels"),
        (lambda: match(small(), BOX, size=(0, 3)), "at least 1"),
        (lambda: match(small(), BOX, size=(float("nan"), 3)), "whole pixels"),
        (lambda: match(small(), BOX, size="wide"), "width, height.*got 'wide'"),
        (lambda: match(small(), Boxes(BOX, offsets=[0, 1]), size=([3, 4], [3, 4])), "1 of them"),
        (lambda: match(BOX, BOX, rule="torchvision", ignore=BOX), "ignore_iof"),
        (lambda: match(BOX, BOX, rule="atss"), "levels="),
        (lambda: match(BOX, BOX, rule=MatchRule.atss(levels=[2])), "sum"),
        (lambda: match(Boxes(BOX, offsets=[0, 1]), BOX), "got anchors grouped and truths not"),
        (lambda: match(Boxes(BOX, offsets=[0, 1]), BOX, ignore=BOX), "got anchors grouped and truths not"),
        (lambda: match(BOX, BOX, ignore=Boxes(BOX, offsets=[0, 1])), "got ignore grouped and truths not"),
        (lambda: match(BOX, BOX, rule="none such"), "none such"),
    ],
)
def test_what_cannot_be_is_said(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_results_describe_themselves() -> None:
    assert repr(match(BOX, BOX)) == "Matches(1 positive, 0 ignored, 0 negative; 1 images)"
    assert repr(match(BOX, BOX, sparse=True)) == "Matches(1 positive, 0 ignored; 1 images)"


@pytest.mark.slow
@given(corners(np.float32, max_size=8), corners(np.float32, max_size=8))
def test_the_best_of_each_truth(truths: Array, anchors: Array) -> None:
    expected = np.nan_to_num(fastbox.best(truths, anchors).values)
    expected[Boxes(truths).invalid() != 0] = np.nan
    for rule in ("fastbox", "ssd"):
        np.testing.assert_array_equal(match(anchors, truths, rule=rule).best, expected)
