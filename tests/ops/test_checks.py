"""Arguments of comparisons: memory for the result, and the errors for wrong options."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from reference import METRICS
from strategies import (
    some_boxes,
)
from support.floats import FLOATS

import fastbox


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("metric", METRICS)
def test_the_answer_can_go_into_memory_of_ones_own(metric: str, dtype: Any) -> None:
    a, b = some_boxes(20, dtype, 1, bad=0.1), some_boxes(30, dtype, 2, bad=0.1)
    out = np.full((20, 30), 7, dtype)
    assert fastbox.pairwise(a, b, metric=metric, out=out) is out
    assert_array_equal(out, fastbox.pairwise(a, b, metric=metric))
    row = np.full(20, 7, dtype)
    assert fastbox.aligned(a, b[:20], metric=metric, out=row) is row
    assert_array_equal(row, np.diag(out))


def test_memory_of_ones_own_may_lie_anywhere() -> None:
    a, b = some_boxes(33, np.float32, 1), some_boxes(65, np.float32, 2)
    flat = np.full(33 * 65 + 3, -5, np.float32)
    out = flat[1 : 1 + 33 * 65].reshape(33, 65)
    assert fastbox.pairwise(a, b, out=out) is out
    assert_array_equal(out, fastbox.pairwise(a, b))
    assert_array_equal(flat[[0, -2, -1]], -5)


@pytest.mark.jit
@pytest.mark.parametrize("shift", [0, 1])
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_big_matrix_into_used_memory_has_the_same_bits(dtype: Any, shift: int) -> None:
    """Past the size where other stores are used."""
    n, m = 2051, 4099
    a, b = some_boxes(n, dtype, 1, bad=0.01), some_boxes(m, dtype, 2, bad=0.01)
    flat = np.ones(n * m + 2, dtype)
    out = flat[shift : shift + n * m].reshape(n, m)
    assert out.nbytes > 32 * 2**20
    fastbox.pairwise(a, b, out=out)
    assert out.tobytes() == fastbox.pairwise(a, b).tobytes()
    assert (flat[:shift] == 1).all()
    assert (flat[shift + n * m :] == 1).all()
    fastbox.pairwise(a, b, metric="giou", out=out)
    assert out[5:9].tobytes() == fastbox.pairwise(a[5:9], b, metric="giou").tobytes()


def wrong_memory() -> dict[str, Any]:
    locked = np.empty((2, 3), np.float32)
    locked.flags.writeable = False
    return {
        "shape": np.empty((3, 2), np.float32),
        "flat": np.empty(6, np.float32),
        "dtype": np.empty((2, 3), np.float64),
        "integers": np.empty((2, 3), np.int32),
        "read-only": locked,
        "list": [[0.0] * 3] * 2,
    }


@pytest.mark.parametrize("fault", wrong_memory())
def test_unfit_memory_is_refused(fault: str) -> None:
    a, b = some_boxes(2, np.float32), some_boxes(3, np.float32)
    with pytest.raises(ValueError, match="out"):
        fastbox.pairwise(a, b, out=wrong_memory()[fault])


@pytest.mark.parametrize(
    "out", [np.empty((2, 6), np.float32)[:, ::2], np.empty((3, 2), np.float32).T], ids=["gaps", "fortran"]
)
def test_memory_with_gaps_is_refused(out: Any) -> None:
    a, b = some_boxes(2, np.float32), some_boxes(3, np.float32)
    with pytest.raises(ValueError, match=r"out.*contiguous"):
        fastbox.pairwise(a, b, out=out)


@pytest.mark.parametrize("out", [np.empty(3, np.float32), np.empty((2, 1), np.float32), np.empty(2), [0.0, 0.0]])
def test_unfit_memory_for_rows_is_refused(out: Any) -> None:
    a = some_boxes(2, np.float32)
    with pytest.raises(ValueError, match="out"):
        fastbox.aligned(a, a, out=out)


def test_rows_must_be_as_many_on_both_sides() -> None:
    with pytest.raises(ValueError, match=r"3.*4"):
        fastbox.aligned(some_boxes(3, np.float32), some_boxes(4, np.float32))


@pytest.mark.parametrize("k", [-1, -5])
def test_fewer_than_none_cannot_be_asked_for(k: int) -> None:
    with pytest.raises(ValueError, match=f"k.*{k}"):
        fastbox.top(some_boxes(3, np.float32), some_boxes(3, np.float32), k)


@pytest.mark.parametrize("bins", [0, -1])
def test_a_histogram_needs_bins(bins: int) -> None:
    with pytest.raises(ValueError, match=f"bins.*{bins}"):
        fastbox.histogram(some_boxes(3, np.float32), some_boxes(3, np.float32), bins=bins, range=(0, 1))


@pytest.mark.parametrize("span", [(1, 0), (0.5, 0.5), (0, np.nan), (0, np.inf)])
def test_a_histogram_needs_a_range_that_ascends(span: Any) -> None:
    with pytest.raises(ValueError, match="range"):
        fastbox.histogram(some_boxes(3, np.float32), some_boxes(3, np.float32), bins=3, range=span)


def test_options_are_keywords() -> None:
    a = some_boxes(3, np.float32)
    for call in (fastbox.pairwise, fastbox.aligned, fastbox.best, fastbox.pairs):
        with pytest.raises(TypeError):
            call(a, a, "giou")  # type: ignore[call-overload, arg-type, misc]


@pytest.mark.parametrize("name", ["pairwise", "aligned", "best", "top", "pairs", "histogram"])
def test_an_unknown_metric_is_refused_everywhere(name: str) -> None:
    more: dict[str, Any] = {"top": {"k": 1}, "pairs": {"threshold": 0}, "histogram": {"bins": 2, "range": (0, 1)}}.get(
        name, {}
    )
    a = some_boxes(3, np.float32)
    with pytest.raises(ValueError, match="'overlap'"):
        getattr(fastbox, name)(a, a, metric="overlap", **more)
    with pytest.raises(ValueError, match="beta"):
        getattr(fastbox, name)(a, a, metric="smooth_l1", beta=-0.5, **more)


def test_coordinates_of_the_wrong_shape_are_named() -> None:
    with pytest.raises(ValueError, match=r"\(n, 4\), got \(3, 5\)"):
        fastbox.pairwise(np.zeros((3, 5)), np.zeros((3, 4)))


@pytest.mark.parametrize("of_a", [False, True])
def test_an_output_that_overlaps_an_input_is_refused(of_a: bool) -> None:
    room = np.sort(np.random.default_rng(0).random((2, 300, 2, 2)), axis=2).reshape(2, 300, 4)
    a, b = room
    memory = (a if of_a else b).reshape(-1)
    said = "expected out in memory of its own, got an array that overlaps an input"
    with pytest.raises(ValueError, match=said):
        fastbox.aligned(a, b, out=memory[300:600])
    with pytest.raises(ValueError, match=said):
        fastbox.pairwise(a[:20], b[-20:], out=room.reshape(-1)[60:460].reshape(20, 20))
    assert_array_equal(fastbox.aligned(a, b, out=np.empty(300)), fastbox.aligned(a, b))
