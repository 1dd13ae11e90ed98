"""Few boxes: the bits and the types of the kernels for many boxes, and no fewer checks."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from reference import METRICS
from strategies import EXTREME, INVALID, LAYOUTS, VALID, laid_out, layouts, metrics, some_boxes, two
from support.floats import FLOATS

import fastbox
from fastbox import Boxes, FormatWarning
from fastbox.kernels.build.transpose import WIDE
from fastbox.kernels.geometry.read_rows import AT_ONCE, ROWS
from fastbox.ops import few
from fastbox.ops.aligned import ALIGNED_ROWS

KINDS = (*VALID * 2, *EXTREME, *INVALID)
THRESHOLDS = [-np.inf, -0.5, -0.0, 0.0, 0.25, 0.5, 1, np.float32(0.3), 1e300, np.inf]


def same(one: Any, other: Any) -> None:
    """Two arrays have the same bits, and are alike in all that a caller can see."""
    assert one.dtype == other.dtype
    assert one.shape == other.shape
    assert one.flags.c_contiguous
    assert one.tobytes() == other.tobytes()


def are_inverted(boxes: Any) -> bool:
    return bool((boxes[:, 2:] < boxes[:, :2]).any())


def all_same(some: Any, others: Any) -> None:
    assert type(some) is type(others)
    for one, other in zip(some, others, strict=True):
        same(one, other)


@given(two(KINDS), metrics, layouts, layouts, st.sampled_from([0.0, 0.5, 1.0, 1e-30, 1e30]))
def test_few_boxes_have_the_values_of_many(sets: Any, metric: str, one: str, other: str, beta: float) -> None:
    a, b = laid_out(sets[0], one), laid_out(sets[1], other)
    options: dict[str, Any] = {"metric": metric, "beta": beta}
    assert (few.values_of(a, b, metric, beta) is None) == (are_inverted(a) or are_inverted(b))
    same(fastbox.pairwise(a, b, **options), fastbox.pairwise(Boxes(a), Boxes(b), **options))
    all_same(fastbox.best(a, b, **options), fastbox.best(Boxes(a), Boxes(b), **options))
    for k in (1, 2, 20):
        all_same(fastbox.top(a, b, k, **options), fastbox.top(Boxes(a), Boxes(b), k, **options))
    n = min(len(a), len(b))
    same(fastbox.aligned(a[:n], b[:n], **options), fastbox.aligned(Boxes(a[:n]), Boxes(b[:n]), **options))


@given(two(KINDS), metrics, st.sampled_from(THRESHOLDS))
def test_few_boxes_have_the_pairs_of_many(sets: Any, metric: str, threshold: float) -> None:
    a, b = sets
    limits = [threshold, *fastbox.pairwise(a, b, metric=metric)[:1, :2].ravel()]
    for limit in (one for one in limits if one == one):
        options: dict[str, Any] = {"metric": metric, "threshold": limit}
        all_same(fastbox.pairs(a, b, **options), fastbox.pairs(Boxes(a), Boxes(b), **options))
        all_same(fastbox.pairs(a, **options), fastbox.pairs(Boxes(a), **options))


def most_beside(n: int, limit: int) -> int:
    """The most boxes beside n that a limit allows."""
    return (limit - few.BOX_COST * n) // (n + few.BOX_COST)


@pytest.mark.jit
@pytest.mark.parametrize("searched", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
def test_as_many_as_the_kernel_for_few_takes(metric: str, dtype: Any, searched: bool) -> None:
    limit = few.SEARCHED if searched else few.COST
    for n, m in ((1, most_beside(1, limit)), (most_beside(1, limit), 1), (64, most_beside(64, limit)), (61, 67)):
        a, b = some_boxes(n, dtype, 1, bad=0.1, exact=False), some_boxes(m, dtype, 2, bad=0.1, exact=False)
        assert few.values_of(a, b, metric, 1.0, searched=searched) is not None
        same(fastbox.pairwise(a, b, metric=metric), fastbox.pairwise(Boxes(a), Boxes(b), metric=metric))
        all_same(fastbox.best(a, b, metric=metric), fastbox.best(Boxes(a), Boxes(b), metric=metric))
        all_same(fastbox.top(a, b, 3, metric=metric), fastbox.top(Boxes(a), Boxes(b), 3, metric=metric))


@pytest.mark.jit
@pytest.mark.parametrize("n", [1, WIDE - 1, WIDE, WIDE + 1, ROWS, ROWS + WIDE + 1, AT_ONCE + 1])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
def test_aligned_rows_have_the_values_of_columns(metric: str, dtype: Any, n: int) -> None:
    a, b = some_boxes(n, dtype, 3, exact=False), some_boxes(n, dtype, 4, exact=False)
    columns = Boxes(np.asfortranarray(a)), Boxes(np.asfortranarray(b))
    wanted = fastbox.aligned(*columns, metric=metric)
    for one, other in [*itertools.product(LAYOUTS, LAYOUTS[:1]), *((layout, layout) for layout in LAYOUTS)]:
        same(fastbox.aligned(laid_out(a, one), laid_out(b, other), metric=metric), wanted)
        same(fastbox.aligned(Boxes(laid_out(a, one)), Boxes(laid_out(b, other)), metric=metric), wanted)


@pytest.mark.jit
@pytest.mark.parametrize("layout", LAYOUTS)
def test_many_aligned_rows_have_the_values_of_columns(layout: str) -> None:
    n = 2 * ALIGNED_ROWS + 77  # several spans
    a, b = some_boxes(n, np.float32, 3, bad=1e-4), some_boxes(n, np.float32, 4)
    a[[5, n // 2, n - 1], 2] = np.nan, 1e30, np.inf
    wanted = fastbox.aligned(Boxes(np.asfortranarray(a)), Boxes(np.asfortranarray(b)), metric="giou")
    same(fastbox.aligned(laid_out(a, layout), b, metric="giou"), wanted)
    same(fastbox.aligned(a, Boxes(laid_out(b, layout)), metric="giou"), wanted)


@pytest.mark.jit
@pytest.mark.parametrize(
    "bad",
    [(np.nan, 0, 1, 1), (0, 0, np.inf, 1), (0, 0, 1e-20, 1e-20), (-1e30, 0, 1e30, 1), (3, 4, 3, 9), (0, 0, 0, 0)],
)
@pytest.mark.parametrize("row", [0, WIDE + 1, -1])
@pytest.mark.parametrize("side", [0, 1])
def test_one_box_of_another_size_changes_no_other_value(side: int, row: int, bad: Any) -> None:
    for metric in METRICS:
        sets = some_boxes(2 * WIDE + 3, np.float32, 3), some_boxes(2 * WIDE + 3, np.float32, 4)
        before = fastbox.aligned(*sets, metric=metric)
        sets[side][row] = bad
        found = fastbox.aligned(*sets, metric=metric)
        same(found, fastbox.aligned(*(Boxes(np.asfortranarray(one)) for one in sets), metric=metric))
        same(np.delete(found, row), np.delete(before, row))


@pytest.mark.parametrize("n", [3, 137])
@pytest.mark.parametrize("name", ["pairwise", "aligned"])
def test_few_boxes_are_written_to_the_array_that_is_given(name: str, n: int) -> None:
    call, m = getattr(fastbox, name), min(n, 9)
    a, b = some_boxes(n, np.float32, 1), some_boxes(n, np.float32, 2)[: n if name == "aligned" else m]
    wanted = call(Boxes(a), Boxes(b))
    out = np.full(wanted.shape, 7, np.float32)
    assert call(a, b, out=out) is out
    assert_array_equal(out, wanted)
    given = np.concatenate([a.ravel(), np.zeros(out.size, np.float32)])
    for unfit, message in (
        (out.astype(np.float64), "float32 array of shape"),
        (out[..., :-1], "float32 array of shape"),
        (given[: out.size].reshape(out.shape), "array that overlaps an input"),
    ):
        with pytest.raises(ValueError, match=message):
            call(given[: 4 * n].reshape(n, 4), b, out=unfit)
    assert_array_equal(given[: 4 * n], a.ravel())


def test_many_aligned_rows_that_look_like_sizes_are_warned_of() -> None:
    sizes = np.tile(np.float32([50, 60, 20, 10]), (129, 1))
    with pytest.warns(FormatWarning, match="most boxes of a are inverted"):
        assert np.isnan(fastbox.aligned(sizes, sizes[:, [2, 3, 0, 1]])).all()


def test_more_is_for_the_other_kernels() -> None:
    for searched, limit in ((False, few.COST), (True, few.SEARCHED)):
        a = some_boxes(most_beside(1, limit) + 1, np.float32)
        assert few.values_of(a, a[:1], "iou", 1.0, searched=searched) is None


def unusual() -> dict[str, Any]:
    """Arguments that are converted, refused or warned of, beside boxes of float32."""
    boxes = some_boxes(3, np.float32)
    bytes_apart = np.zeros(3, np.dtype([("one", "u1"), ("boxes", "f4", 4)]))
    return {
        "float64": boxes.astype(np.float64),
        "float16": boxes.astype(np.float16),
        "integers": boxes.astype(np.int32),
        "other bytes": boxes.astype(boxes.dtype.newbyteorder()),
        "unaligned": bytes_apart["boxes"],
        "list": boxes.tolist(),
        "masked": np.ma.masked_array(boxes),
        "Boxes": Boxes(boxes),
        "flat": boxes[0],
        "five": np.ones((3, 5), np.float32),
        "empty": np.zeros(0, np.float32),
        "one inverted": np.concatenate([boxes[:2], boxes[2:, [2, 3, 0, 1]]]),
    }


@pytest.mark.parametrize("which", unusual())
def test_anything_unusual_is_for_the_checks(which: str) -> None:
    boxes, other = some_boxes(3, np.float32), unusual()[which]
    assert few.values_of(boxes, other, "iou", 1.0) is None
    assert few.values_of(other, boxes, "iou", 1.0) is None


@pytest.mark.parametrize(
    ("metric", "beta"),
    [("IoU", 1.0), (["iou"], 1.0), (np.str_("iou"), 1.0), ("iou", -1.0), ("iou", np.nan), ("iou", 1e39), ("iou", "1")],
)
def test_unusual_options_are_for_the_checks(metric: Any, beta: Any) -> None:
    boxes = some_boxes(3, np.float32)
    assert few.values_of(boxes, boxes, metric, beta) is None


@pytest.mark.parametrize(
    "call",
    [
        lambda a, b: fastbox.pairwise(a, b, metric="IOU"),
        lambda a, b: fastbox.best(a, b, metric=["iou"]),  # type: ignore[arg-type]
        lambda a, b: fastbox.pairs(a, b, threshold=0.5, beta=-1),
        lambda a, b: fastbox.pairs(a, b, threshold=np.nan),
        lambda a, b: fastbox.pairs(a, b, threshold="high"),  # type: ignore[arg-type]
        lambda a, b: fastbox.aligned(a[:2], b),
        lambda a, b: fastbox.top(a, b, 0),
    ],
    ids=["metric", "metrics", "beta", "nan", "text", "rows", "k"],
)
def test_errors_are_those_of_many_boxes(call: Callable[[Any, Any], Any]) -> None:
    a, b = some_boxes(3, np.float32, 1), some_boxes(3, np.float32, 2)
    with pytest.raises((ValueError, TypeError)) as caught:
        call(a, b)
    with pytest.raises(caught.type) as expected:
        call(Boxes(a), Boxes(b))
    assert str(caught.value) == str(expected.value)


@pytest.mark.parametrize("side", ["a", "b"])
@pytest.mark.parametrize("verb", ["pairwise", "aligned", "best", "pairs"])
def test_few_boxes_that_look_like_sizes_are_warned_of(verb: str, side: str) -> None:
    good = some_boxes(3, np.float64)
    sizes = np.array([[90.0, 80, 10, 20], [50, 60, 20, 10], [0, 0, 5, 5]])
    options = {"threshold": 0.5} if verb == "pairs" else {}
    given = (sizes, good) if side == "a" else (good, sizes)
    with warnings.catch_warnings(), pytest.warns(FormatWarning, match=f"most boxes of {side} are inverted"):
        warnings.simplefilter("always")
        getattr(fastbox, verb)(*given, **options)


def test_results_are_arrays_of_their_own() -> None:
    a = some_boxes(4, np.float32, exact=False)
    before = a.copy()
    for found in (fastbox.pairwise(a, a), fastbox.aligned(a, a), *fastbox.best(a, a), *fastbox.pairs(a, threshold=0)):
        assert found.flags.writeable
        found[...] = 7
    assert_array_equal(a, before)
