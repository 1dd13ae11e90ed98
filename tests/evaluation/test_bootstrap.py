"""Samples of images that are drawn with replacement: each sample's precision has the bits of a plain loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fastbox.evaluation import Evaluation, Params, bootstrap
from fastbox.kernels.codes import THRESHOLDS_PER_WORD
from fastbox.kernels.evaluate.bootstrap import RESAMPLE, SIDE_BY_SIDE

EPS = np.finfo(np.float64).eps
RECALLS = {
    "coco": np.linspace(0, 1, 101),
    "eleven": np.linspace(0, 1, 11),
    "one": np.array([0.0]),
    "area": np.zeros(0),
    "thirds, sevenths and the like": np.sort([p / q for q in range(1, 14) for p in range(q + 1)]),
}


def precision(matched: list[bool], weights: list[int], truths: int, recalls: NDArray[np.float64]) -> float:
    """The mean precision of rows in descending order of their scores, all of which count, by the definition."""
    true, total, points = 0, 0, []
    for hit, weight in zip(matched, weights, strict=True):
        total += weight
        if hit and weight:
            true += weight
            points.append((true / truths, true / (total + EPS)))
    area, before = 0.0, 0.0
    for recall in recalls.tolist():
        area += max((precise for reached, precise in points if reached >= recall), default=0.0)
    if len(recalls):
        return area / len(recalls)
    for place, (reached, _) in enumerate(points):  # the area under the envelope
        area += (reached - before) * max(precise for _, precise in points[place:])
        before = reached
    return area


def scene(random: np.random.Generator, thresholds: int) -> tuple[Any, Any]:
    """Random detections and truths of a few classes, some empty: the arrays that the kernel takes."""
    images, shares = int(random.integers(1, 12)), random.random(3)
    sizes = random.integers(0, random.choice([1, 6, 40]), random.integers(1, 4))
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    rows, words = int(bounds[-1]), -(-thresholds // THRESHOLDS_PER_WORD)
    bits = np.zeros((rows, 2, words), np.uint32)
    never = random.random(rows) < shares[0] / 2
    for n in range(thresholds):
        mark = np.uint32(1) << np.uint32(n % THRESHOLDS_PER_WORD)
        bits[random.random((rows, 2)) < shares[1], n // THRESHOLDS_PER_WORD] |= mark
        hidden = (random.random((rows, 2)) < shares[2] / 2) | never[:, None]
        bits[hidden, n // THRESHOLDS_PER_WORD] |= mark << np.uint32(THRESHOLDS_PER_WORD)
    image = random.integers(0, images, rows).astype(np.int32)
    further = int(random.integers(0, 20))
    kinds = np.concatenate((np.repeat(np.arange(len(sizes)), sizes), random.integers(0, len(sizes), further)))
    truth_image = np.concatenate((image, random.integers(0, images, further).astype(np.int32)))
    return (bits, bounds, image), (kinds, truth_image)


@given(
    st.integers(0, 2**32),
    st.sampled_from([1, 3, THRESHOLDS_PER_WORD, THRESHOLDS_PER_WORD + 1]),
    st.sampled_from(list(RECALLS)),
)
def test_each_sample_has_the_bits_of_a_plain_loop(seed: int, thresholds: int, named: str) -> None:
    random, recalls = np.random.default_rng(seed), RECALLS[named]
    (bits, bounds, image), truths = scene(random, thresholds)
    images = int(truths[1].max(initial=0)) + 1
    groups = int(random.integers(1, 3))
    weights = random.integers(0, random.choice([1, 2, 5]), (groups, images, SIDE_BY_SIDE), dtype=np.int32)
    weights *= random.integers(0, 2, weights.shape, dtype=np.int32)
    means = np.full((groups * SIDE_BY_SIDE, len(bounds) - 1, thresholds), -1.0)
    lanes = weights.reshape(groups, images * SIDE_BY_SIDE)
    given = (bits, bounds, image), truths, lanes, (recalls, thresholds)
    for g in range(groups):
        RESAMPLE[np.dtype(np.float64), ""](*given, (g, g + 1), means)
    for sample in random.integers(0, len(means), 4).tolist():
        weight = weights[sample // SIDE_BY_SIDE, :, sample % SIDE_BY_SIDE]
        for k, n in np.ndindex(means.shape[1:]):
            positives = int(weight[truths[1][truths[0] == k]].sum())
            word, bit = divmod(n, THRESHOLDS_PER_WORD)
            own = bits[bounds[k] : bounds[k + 1], 0, word]
            counted = own >> np.uint32(bit + THRESHOLDS_PER_WORD) & 1 == 0
            matched = (own >> np.uint32(bit) & 1)[counted] == 1
            counts = weight[image[bounds[k] : bounds[k + 1]][counted]]
            found = precision(matched.tolist(), counts.tolist(), positives, recalls) if positives else -1.0
            assert means[sample, k, n] == (found if len(recalls) else pytest.approx(found, rel=1e-13, abs=1e-13))


@given(st.integers(1, 70), st.integers(1, 9), st.integers(0, 3))
def test_samples_are_those_of_the_multinomial_distribution(samples: int, images: int, seed: int) -> None:
    (found,) = bootstrap.draw(images, samples, seed)
    counts = np.random.default_rng(seed).multinomial(images, np.full(images, 1 / images), size=samples)
    lanes = found.lanes.reshape(-1, images, SIDE_BY_SIDE).transpose(0, 2, 1).reshape(-1, images)
    assert (lanes[:samples] == counts).all()
    assert found.samples == samples
    assert not lanes[samples:].any()


def evaluated(images: int) -> Evaluation:
    random, found = np.random.default_rng(3), Evaluation(Params(iou_thresholds=[0.5, 0.75]))
    for _ in range(images):
        truths = np.tile(random.integers(0, 60, (4, 2)), 2) + np.array([0, 0, 20, 20])
        boxes = np.concatenate((truths + random.integers(-3, 4, (4, 4)), truths + 100))
        classes = random.integers(0, 2, 4)
        found.add(boxes, random.random(8), truths, classes=np.tile(classes, 2), truth_classes=classes)
    return found


def test_samples_do_not_depend_on_how_many_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluated(12).bootstrap(samples=135)
    assert len(np.unique(whole["AP"])) > 100
    for held in (12 * 40, 12 * 130):
        monkeypatch.setattr(bootstrap, "HELD", held)
        some = evaluated(12).bootstrap(samples=135)
        assert all((some[name] == whole[name]).all() for name in whole)


def test_threads_that_would_take_much_memory_wait_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    found = evaluated(6)
    whole = found.bootstrap(samples=200)
    asked: list[int] = []
    run = bootstrap.parallel.run
    monkeypatch.setattr(bootstrap, "LENT", 1)
    monkeypatch.setattr(
        bootstrap.parallel, "run", lambda *given: (asked.append(bootstrap.parallel.get_num_threads()), run(*given))[1]
    )
    again = found.bootstrap(samples=200)
    assert asked == [1]
    assert all((again[name] == whole[name]).all() for name in whole)


def test_the_latest_samples_are_kept_for_the_next_model() -> None:
    draws = bootstrap.Draws()
    first = draws.of(5, 70, 0, 1)
    assert draws.of(5, 70, 0, 1) is first
    assert draws.of(5, 70, 1, 1) is not first
