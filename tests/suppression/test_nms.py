"""Non-maximum suppression gives what the plain loop over all pairs gives, in one cell or in a grid, for any layout."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import EXTREME, INVALID, VALID, corners, dtypes, formats, some_boxes
from support.paths import WITHOUT_JIT

import fastbox
from fastbox import Boxes
from fastbox.suppression import nms as suppression
from fastbox.suppression.nms import nms, soft_nms

Array = np.ndarray[Any, Any]

N = 1500 if not WITHOUT_JIT else 120
same_way = settings(suppress_health_check=list(HealthCheck))  # one way for all examples of a test is what is meant
thresholds = st.sampled_from([0.0, 1e-4, 0.1, 0.3, 0.5, 2 / 3, 0.9, 1.0])


@pytest.fixture(params=["one cell", "grid"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small segments in one cell, as ever, or every segment in a grid."""
    if request.param == "grid":
        monkeypatch.setattr(suppression, "DENSE", 0)
    return str(request.param)


def ranked(boxes: Array, scores: Array) -> list[int]:
    usable = (reference.invalid(boxes) == 0) & ~np.isnan(scores)
    return [int(i) for i in np.argsort(-scores, kind="stable") if usable[i]]


def naive_nms(boxes: Array, scores: Array, threshold: float) -> list[int]:
    """The IoU is in the boxes' dtype, the threshold as it is."""
    kept: list[int] = []
    for i in ranked(boxes, scores):
        if not (reference.values(boxes[kept], boxes[i], "iou").astype(np.float64) > threshold).any():
            kept.append(i)
    return kept


def naive_soft(boxes: Array, scores: Array, gaussian: bool, threshold: float, sigma: float, least: float) -> Any:
    left = scores.astype(np.float64)
    waiting, kept = sorted(ranked(boxes, scores)), []
    while waiting:
        i = max(waiting, key=lambda k: (left[k], -k))
        waiting.remove(i)
        if left[i] < least:
            continue
        kept.append(i)
        for j in waiting:
            overlap = float(reference.values(boxes[i], boxes[j], "iou"))
            factor = math.exp(-(overlap * overlap) / sigma) if gaussian else 1.0 - overlap
            if gaussian or overlap > threshold:
                left[j] = left[j] * factor if factor > 0 else 0.0  # of an infinite score too
    return kept, left[kept]


@st.composite
def scored(draw: st.DrawFn, kinds: tuple[str, ...] = VALID + INVALID, max_size: int = 14) -> Any:
    """Boxes with scores of which many tie, and some are nan, infinite or -0.0."""
    boxes = draw(corners(None, kinds, 0, max_size))
    few = st.sampled_from([0.0, -0.0, 0.25, 0.5, 0.5, 0.75, 1.0, -3.0, float("nan"), float("inf")])
    return boxes, np.array(draw(st.lists(few, min_size=len(boxes), max_size=len(boxes))), dtype=draw(dtypes))


def crowd(layout: str, n: int, seed: int = 0) -> Array:
    """Corners in layouts that are hard on a grid."""
    rng = np.random.default_rng(seed)
    low, size = rng.uniform(0, 100, (n, 2)), rng.uniform(2, 6, (n, 2))
    if layout == "all equal":
        low, size = np.full((n, 2), 3.0), np.full((n, 2), 2.0)
    elif layout == "all at one point":
        size *= 0
    elif layout == "lognormal":
        low, size = low * 10, rng.lognormal(2, 2, (n, 2))
    elif layout == "giants among the tiny":
        size[::20] *= 1e4
    elif layout == "one row":
        low[:, 1], low[:, 0] = 0, low[:, 0] * 1e3
    elif layout == "beams":
        size = np.where(rng.random((n, 1)) < 0.5, [[300.0, 1.0]], [[1.0, 300.0]])
    elif layout == "one far away":
        low[0] = 1e7
    elif layout == "two places":
        low[::2] += 3e6
    elif layout == "far from the origin":
        low += 1e7
    elif layout == "many sizes":
        size = 2.0 ** rng.uniform(-30, 30, (n, 2))
        low *= size
    elif layout == "wild":
        size *= 1e-15
        low *= 1e-15
    elif layout == "a chain":
        low = np.stack([np.arange(n) * 1.0, np.zeros(n)], axis=1)
        size = np.full((n, 2), 2.5)
    return np.concatenate([low, low + size], axis=1)


LAYOUTS = (
    "uniform", "all equal", "all at one point", "lognormal", "giants among the tiny", "one row", "beams",
    "one far away", "two places", "far from the origin", "many sizes", "wild", "a chain",
)  # fmt: skip


@same_way
@given(scored(), thresholds)
def test_boxes_kept_are_those_of_the_plain_loop(way: str, drawn: Any, threshold: float) -> None:
    boxes, scores = drawn
    found = nms(boxes, scores, iou_threshold=threshold)
    assert found.dtype == np.int64
    assert found.tolist() == naive_nms(boxes, scores, threshold)


@same_way
@given(scored((*EXTREME, "grid")), thresholds)
def test_sizes_near_the_ends_of_the_floats(way: str, drawn: Any, threshold: float) -> None:
    boxes, scores = drawn
    assert nms(boxes, scores, iou_threshold=threshold).tolist() == naive_nms(boxes, scores, threshold)


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_what_the_plain_loop_gives(way: str, layout: str, dtype: Any) -> None:
    boxes = crowd(layout, N).astype(dtype)
    rng = np.random.default_rng(1)
    scores = {"a chain": np.arange(N) / N}.get(layout, np.round(rng.random(N), 2))
    for threshold in (0.0, 0.45, 0.8):
        assert nms(boxes, scores, iou_threshold=threshold).tolist() == naive_nms(boxes, scores, threshold)


@pytest.mark.parametrize("descending", [False, True])
def test_a_chain_in_either_direction_keeps_every_second(descending: bool) -> None:
    n = 100_001 if not WITHOUT_JIT else 101
    low = np.arange(n, dtype=np.float64)
    boxes = np.stack([low, 0 * low, low + 3, 0 * low + 1], axis=1)
    scores = -low if descending else low
    kept = nms(boxes, scores, iou_threshold=0.4)
    expected = np.arange(0, n, 2)
    np.testing.assert_array_equal(kept, expected if descending else expected[::-1])


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_layout_is_slow(layout: str) -> None:
    n = 30_000
    kept = nms(crowd(layout, n), np.random.default_rng(2).random(n), iou_threshold=0.5)
    assert 0 < len(kept) <= n
    if layout == "all equal":
        assert len(kept) == 1
    if layout == "all at one point":
        assert len(kept) == n


def test_a_peer_agrees() -> None:
    powerboxes = pytest.importorskip("powerboxes")
    boxes, scores = some_boxes(N, np.float64, 7, exact=False), np.random.default_rng(7).random(N)
    for threshold in (0.2, 0.5, 0.7):
        expected = powerboxes.nms(boxes, scores, threshold, 0.0)
        np.testing.assert_array_equal(nms(boxes, scores, iou_threshold=threshold), expected)


def test_strictly_above_the_threshold_in_the_boxes_dtype() -> None:
    boxes = np.array([[0, 0, 3, 1], [0, 0, 1, 1]], np.float32)  # IoU 1/3, which float32 rounds up
    assert nms(boxes, [1, 0.5], iou_threshold=1 / 3).tolist() == [0]
    assert nms(boxes, [1, 0.5], iou_threshold=float(np.float32(1 / 3))).tolist() == [0, 1]
    assert nms(boxes.astype(np.float64), [1, 0.5], iou_threshold=1 / 3).tolist() == [0, 1]
    assert nms(boxes, [0.5, 0.5], iou_threshold=0.3).tolist() == [0]
    assert nms(boxes, [-0.0, 0.0], iou_threshold=0.3).tolist() == [0]
    assert nms(boxes[[0, 0]], [1, 1], iou_threshold=1.0).tolist() == [0, 1]


@given(scored(("odd", "tiny", "huge")), st.integers(0, 90))
def test_the_threshold_is_not_rounded(drawn: Any, which: int) -> None:
    boxes, scores = drawn
    boxes = boxes.astype(np.float32)
    met = reference.pairwise(boxes, boxes).ravel()
    met = met[(met > 0) & (met < 1)]
    if not len(met):
        return
    value = met[which % len(met)]  # an IoU that is met, which three thresholds stand about
    halfway = (float(value) + float(np.nextafter(value, np.float32(0)))) / 2
    for threshold in (float(value), halfway, (float(value) + float(np.nextafter(value, np.float32(1)))) / 2):
        kept = naive_nms(boxes, scores, threshold)
        assert nms(boxes, scores, iou_threshold=threshold).tolist() == kept
        soft = naive_soft(boxes, scores, False, threshold, 0.5, 0.01)
        found = soft_nms(boxes, scores, iou_threshold=threshold, score_threshold=0.01)
        assert found.indices.tolist() == soft[0]
        np.testing.assert_allclose(found.scores, soft[1], rtol=1e-6)


def test_three_tenths_in_float32_is_above_three_tenths() -> None:
    boxes = np.array([[0, 0, 10, 1], [0, 0, 3, 1]], np.float32)
    assert fastbox.pairwise(boxes, boxes)[0, 1] == np.float32(0.3)
    assert nms(boxes, [1, 0.5], iou_threshold=0.3).tolist() == [0]
    assert soft_nms(boxes, [1.0, 0.5], iou_threshold=0.3).scores[1] == pytest.approx(0.35)
    assert nms(boxes, [1, 0.5], iou_threshold=float(np.float32(0.3))).tolist() == [0, 1]
    assert nms(boxes.astype(np.float64), [1, 0.5], iou_threshold=0.3).tolist() == [0, 1]


@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_an_infinite_score_that_is_lowered_to_nothing_ends_nothing(way: str, method: str) -> None:
    boxes, scores = [[0, 0, 4, 4], [0, 0, 4, 4], [8, 8, 9, 9]], [math.inf, math.inf, 0.5]
    found = soft_nms(boxes, scores, method=method, sigma=1e-4)
    assert found.indices.tolist() == [0, 2]
    assert found.scores.tolist() == [math.inf, 0.5]


def test_invalid_boxes_and_nan_scores_neither_stay_nor_suppress() -> None:
    nan, inf = math.nan, math.inf
    boxes = [[0, 0, nan, 4], [4, 4, 0, 0], [0, 0, inf, 4], [0, 0, 4, 4], [0, 0, 4, 4], [2, 2, 2, 2], [0, 0, 4, 4]]
    assert nms(boxes, [9, 8, 7, nan, 0.5, 0.2, 0.1], iou_threshold=0.5).tolist() == [4, 5]
    assert soft_nms(boxes, [9, 8, 7, nan, 0.5, 0.2, 0.1], iou_threshold=0.5).indices.tolist() == [4, 5]


@same_way
@given(scored(max_size=10), st.booleans(), st.sampled_from([0.0, 0.3, 0.6]), st.sampled_from([0.1, 0.5, 3.0]))
def test_soft_scores_are_those_of_the_plain_loop(
    way: str, drawn: Any, gaussian: bool, threshold: float, sigma: float
) -> None:
    boxes, scores = drawn
    method = "gaussian" if gaussian else "linear"
    found = soft_nms(boxes, scores, method=method, iou_threshold=threshold, sigma=sigma, score_threshold=0.01)
    rows, left = naive_soft(boxes, scores, gaussian, threshold, sigma, 0.01)
    assert found.scores.dtype == scores.dtype
    assert found.indices.tolist() == rows
    np.testing.assert_allclose(found.scores, left, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["linear", "gaussian"])
def test_soft_scores_of_a_crowd(way: str, method: str) -> None:
    n = 200 if not WITHOUT_JIT else 50
    boxes, scores = some_boxes(n, np.float64, 3, exact=False), np.random.default_rng(3).random(n)
    found = soft_nms(boxes, scores, method=method, iou_threshold=0.3)
    rows, left = naive_soft(boxes, scores, method == "gaussian", 0.3, 0.5, 0.001)
    assert found.indices.tolist() == rows
    np.testing.assert_allclose(found.scores, left, rtol=1e-10)
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["one far away", "two places", "many sizes", "beams", "lognormal"])
def test_no_box_is_met_twice_in_a_folded_grid(way: str, layout: str) -> None:
    n = 200 if not WITHOUT_JIT else 50
    boxes, scores = crowd(layout, n, 6), np.random.default_rng(6).random(n)
    found = soft_nms(boxes, scores, iou_threshold=0.0)
    rows, left = naive_soft(boxes, scores, False, 0.0, 0.5, 0.001)
    assert found.indices.tolist() == rows
    np.testing.assert_allclose(found.scores, left, rtol=1e-10)


@pytest.mark.parametrize("labels", ["int", "negative", "str", "object", "huge"])
def test_images_and_classes_are_apart(way: str, labels: str) -> None:
    n = 400 if not WITHOUT_JIT else 60
    rng = np.random.default_rng(4)
    boxes, scores = some_boxes(n, np.float32, 4, bad=0.02), np.round(rng.random(n), 1)
    image, kind = np.sort(rng.integers(0, 9, n)), rng.integers(0, 4, n)
    classes = {
        "int": kind,
        "negative": kind - 2,
        "str": np.array(["a", "b", "é", "zz"])[kind],
        "object": np.array(["a", "b", "é", "zz"], object)[kind],
        "huge": kind.astype(np.uint64) + np.uint64(2**64 - 9),
    }[labels]
    expected, softened = [], []
    for g in np.unique(image):
        hard, soft = [], []
        for c in range(4):
            rows = np.flatnonzero((image == g) & (kind == c))
            hard += rows[naive_nms(boxes[rows], scores[rows], 0.4)].tolist()
            kept, left = naive_soft(boxes[rows], scores[rows], False, 0.4, 0.5, 0.05)
            soft += list(zip(rows[kept].tolist(), left, strict=True))
        expected += sorted(hard, key=lambda i: (-scores[i], i))
        softened += sorted(soft, key=lambda pair: (-pair[1], pair[0]))
    grouped = Boxes(boxes, images=image)
    assert nms(grouped, scores, iou_threshold=0.4, classes=classes).tolist() == expected
    found = soft_nms(grouped, scores, iou_threshold=0.4, score_threshold=0.05, classes=classes)
    assert found.indices.tolist() == [row for row, _ in softened]
    np.testing.assert_allclose(found.scores, [left for _, left in softened], rtol=1e-12)


@given(scored(VALID), formats)
def test_every_format_gives_the_same(drawn: Any, format: str) -> None:
    boxes, scores = drawn
    written = reference.to_format(boxes, format)
    read = reference.from_format(written, format)
    found = nms(Boxes(written, format), scores, iou_threshold=0.4).tolist()
    assert found == naive_nms(read, scores, 0.4)


def test_grouped_is_a_loop_over_images(way: str) -> None:
    boxes, scores = some_boxes(N, np.float64, 5, exact=False), np.random.default_rng(5).random(N)
    cuts = np.sort(np.random.default_rng(6).integers(0, N, 12))
    offsets = np.concatenate(([0, 0], cuts, [N]))
    expected = [
        first + nms(boxes[first:last], scores[first:last], iou_threshold=0.5) for first, last in pairwise(offsets)
    ]
    found = nms(Boxes(boxes, offsets=offsets), scores, iou_threshold=0.5)
    np.testing.assert_array_equal(found, np.concatenate(expected))


@pytest.mark.parametrize("grouped", [False, True])
def test_threads_change_nothing(threads: Any, grouped: bool) -> None:
    n = 60_000 if not WITHOUT_JIT else 120
    rng = np.random.default_rng(8)
    low = rng.uniform(0, 2000, (n, 2))
    boxes = np.concatenate([low, low + rng.uniform(20, 60, (n, 2))], axis=1).astype(np.float32)
    scores, classes = np.round(rng.random(n), 3), rng.integers(0, 3, n)
    sizes = np.concatenate(([n // 3, 0, n // 6], np.full(6, n // 12)))
    given = Boxes(boxes, offsets=np.concatenate(([0], np.cumsum(sizes)))) if grouped else boxes
    answers = set()
    for count in (1, 2, 5):
        threads(count)
        hard = nms(given, scores, iou_threshold=0.5, classes=classes)
        soft = soft_nms(given, scores, classes=classes)
        answers.add((hard.tobytes(), soft.indices.tobytes(), soft.scores.tobytes()))
    assert len(answers) == 1


def test_many_equal_scores_keep_the_order_of_rows() -> None:
    n = 3000 if not WITHOUT_JIT else 100
    boxes = crowd("a chain", n) * [10, 1, 10, 1]
    assert nms(boxes, np.zeros(n), iou_threshold=0.99).tolist() == list(range(n))
    scores = np.random.default_rng(9).choice([-np.inf, -2.5, -0.0, 0.0, 1e-300, 7.0, np.inf], n)
    assert nms(boxes, scores, iou_threshold=0.99).tolist() == np.argsort(-scores, kind="stable").tolist()


def test_nothing_in_nothing_out() -> None:
    assert nms([], [], iou_threshold=0.5).tolist() == []
    assert nms(Boxes([], offsets=[0, 0]), [], iou_threshold=0.5, classes=[]).tolist() == []
    empty = soft_nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32))
    assert empty.indices.dtype == np.int64
    assert empty.scores.dtype == np.float32


def test_inputs_are_left_alone() -> None:
    boxes, scores, classes = some_boxes(50, np.float64, 1), np.linspace(0, 1, 50), np.arange(50) % 3
    for array in (boxes, scores, classes):
        array.flags.writeable = False
    before = scores.copy()
    nms(boxes, scores, iou_threshold=0.5, classes=classes)
    soft_nms(boxes, scores[::-1][::-1], classes=classes)
    np.testing.assert_array_equal(scores, before)


def test_tensors_go_in() -> None:
    torch = pytest.importorskip("torch")
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]])
    scores = torch.tensor([0.5, 0.9, 0.7], requires_grad=True)
    assert nms(boxes, scores, iou_threshold=0.5).tolist() == [1, 2]
    assert nms(boxes, scores, iou_threshold=0.5, classes=torch.tensor([0, 1, 0])).tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"iou_threshold": -0.1}, ValueError, "from 0 to 1, got -0.1"),
        ({"iou_threshold": 1.1}, ValueError, "from 0 to 1, got 1.1"),
        ({"iou_threshold": math.nan}, ValueError, "from 0 to 1, got nan"),
        ({"scores": [1.0]}, ValueError, r"scores of shape \(2,\), got \(1,\)"),
        ({"scores": [[1.0, 2.0]]}, ValueError, r"got \(1, 2\)"),
        ({"scores": ["a", "b"]}, TypeError, "real numbers"),
        ({"classes": [1]}, ValueError, r"classes of shape \(2,\), got \(1,\)"),
        ({"classes": [1.5, 2]}, TypeError, "integers or strings, got dtype float64"),
    ],
)
def test_what_does_not_go_is_refused(options: Any, error: Any, words: str) -> None:
    arguments = {"scores": [1.0, 0.5], "iou_threshold": 0.5, **options}
    for call in (nms, soft_nms):
        with pytest.raises(error, match=words):
            call([[0, 0, 1, 1]] * 2, **arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"method": "lineer"}, "linear, gaussian, got 'lineer'"),
        ({"sigma": 0}, "sigma above 0, got 0"),
        ({"sigma": math.inf}, "sigma above 0, got inf"),
        ({"score_threshold": -1}, "at least 0, got -1"),
        ({"score_threshold": math.nan}, "at least 0, got nan"),
    ],
)
def test_what_soft_nms_can_not_use_is_refused(options: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        soft_nms([[0, 0, 1, 1]], [1.0], **options)


@pytest.mark.jit
def test_interleaved_boxes_are_settled_alike_by_more_threads_than_processors(threads: Any) -> None:
    boxes, scores = crowd("uniform", 20_000, 5), np.random.default_rng(5).random(20_000)
    threads(1)
    alone = nms(boxes, scores, iou_threshold=0.2)
    threads(8)
    for _ in range(5):
        np.testing.assert_array_equal(nms(boxes, scores, iou_threshold=0.2), alone)
    assert fastbox.get_num_threads() == 8
