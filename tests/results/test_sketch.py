"""The mergeable summary against NumPy and exact sums."""

from __future__ import annotations

import math
import pickle
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.results.merge import Gathered
from fastbox.sketch import Sketch

EDGES = [-(2.0**40), -4.0, -1.0, -0.5, 0.0, 0.0625, 0.125, 0.5, 0.75, 1.0, 16.0, 2.0**40]
finite = st.floats(allow_nan=False, allow_infinity=False)


def sketched(values: list[float]) -> Sketch:
    sketch = Sketch()
    sketch.add(np.array(values, np.float64))
    return sketch


@given(st.lists(finite, min_size=1, max_size=60))
def test_the_mean_is_exact(values: list[float]) -> None:
    exact = sum(map(Fraction, values), Fraction(0)) / len(values)
    assert sketched(values).mean == float(exact)


@given(st.lists(st.floats(), max_size=60), st.integers(0, 60))
def test_parts_add_up_to_the_whole(values: list[float], cut: int) -> None:
    whole, parts = sketched(values), sketched(values[:cut]) + sketched(values[cut:])
    assert repr(whole.to_dict(EDGES)) == repr(parts.to_dict(EDGES))
    assert repr(sketched(values[::-1]).to_dict(EDGES)) == repr(whole.to_dict(EDGES))


@given(st.lists(st.one_of(finite, st.sampled_from([*EDGES, -0.0, math.inf, -math.inf])), max_size=80))
def test_histograms_are_numpys(values: list[float]) -> None:
    inside = [v for v in values if v <= EDGES[-1]]
    expected = np.histogram([v for v in inside if math.isfinite(v)], EDGES)[0]
    np.testing.assert_array_equal(sketched(inside).histogram(EDGES), expected)


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=200), st.floats(0, 1))
def test_quantiles_are_within_a_thousandth_of_their_neighbours(values: list[float], q: float) -> None:
    low, high = np.quantile(values, q, method="lower"), np.quantile(values, q, method="higher")
    assert low * (1 - 1e-3) <= sketched(values).quantile(q) <= high * (1 + 1e-3)


@pytest.mark.parametrize("value", [0.0, 5e-324, 1e-300, 2.0**-64, 2.0**-64 * (1 - 2**-53), 1 / 3, 1.0, 2.0**64, 1e300])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_value_alone_is_kept_by_its_bin(value: float, sign: int) -> None:
    """The bins that are looked at are those between the least value and the greatest one."""
    alone = sketched([sign * value])
    for sketch in (alone, pickle.loads(pickle.dumps(alone)), alone + Sketch()):
        assert (sketch.count, sketch.quantile(0.5), sketch.mean) == (1, sign * value, sign * value)
    assert (alone + sketched([sign * 2.0, math.nan, -math.inf, math.inf])).count == 4
    assert Sketch().count == sketched([math.nan]).count == 0


def test_what_is_no_number_is_counted_apart() -> None:
    sketch = sketched([1.0, math.nan, math.nan])
    assert (sketch.count, sketch.nans, sketch.mean, sketch.min, sketch.max) == (1, 2, 1.0, 1.0, 1.0)
    assert sketched([1.0, math.inf]).mean == math.inf
    assert sketched([-math.inf, 1.0]).quantile(0) == -math.inf
    assert math.isnan(sketched([-math.inf, math.inf]).mean)
    assert sketched([1.0, math.inf]).quantile(1) == math.inf


def test_nothing_has_no_figures() -> None:
    found = sketched([]).to_dict([0.0, 1.0])
    assert (found["count"], found["mean"], found["quantiles"]["p50"]) == (0, None, None)
    assert math.isnan(sketched([]).mean)
    assert math.isnan(sketched([math.nan]).quantile(0.5))


def test_an_edge_between_fine_bins_is_refused() -> None:
    with pytest.raises(ValueError, match=r"11 significant bits, got 0\.1"):
        sketched([0.5]).histogram([0.0, 0.1])


def test_a_sketch_travels_as_what_is_not_zero() -> None:
    sketch = Sketch()
    sketch.add(np.linspace(-1, 1, 1000))
    sketch.add([math.nan, math.inf])
    sent = pickle.dumps(sketch)
    assert len(sent) < 20_000
    assert [array.tolist() for array in pickle.loads(sent).state().values()] == [
        array.tolist() for array in sketch.state().values()
    ]


@given(st.permutations(range(75)))
def test_parts_are_added_up_in_their_order_however_they_come(order: list[int]) -> None:
    parts = Gathered()
    for index in order:
        parts.add(index, [index])
    assert parts.merged() == list(range(75))


def test_memory_does_not_grow_with_the_parts() -> None:
    """A sketch is 2 MiB: ten thousand parts are not held until the last one comes."""
    parts = Gathered()
    tracemalloc.start()
    try:
        for index in range(200):
            sketch = Sketch()
            sketch.add([index])
            parts.add(index ^ 1, sketch)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert parts.merged().count == 200
    assert peak < 80 << 20
