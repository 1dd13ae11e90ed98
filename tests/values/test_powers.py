"""Powers of two and logarithms are the nearest floats, and what is cut by them has the same cuts on every processor."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox import jobs
from fastbox.experiments.lookalikes import Lookalikes
from fastbox.results.coverage import ASPECT_EDGES, SIDE_EDGES
from fastbox.values.powers import doublings, logarithm_of_two, power_of_two


@given(st.floats(-1074, 1023.9))
def test_a_power_is_the_nearest_float(exponent: float) -> None:
    with localcontext() as exact:
        exact.prec = 60
        assert power_of_two(exponent) == float(Decimal(2) ** Decimal(exponent))


@given(st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_a_logarithm_is_near_and_exact_where_it_is_whole(value: float) -> None:
    assert logarithm_of_two(value) == pytest.approx(math.log2(value), rel=4e-16, abs=4e-16)
    _, exponent = math.frexp(value)
    assert logarithm_of_two(math.ldexp(0.5, exponent)) == exponent - 1


def test_callers_rules_of_decimals_change_nothing() -> None:
    power_of_two.cache_clear()
    logarithm_of_two.cache_clear()
    with localcontext() as coarse:
        coarse.prec = 2
        assert power_of_two(0.5) == math.sqrt(2)
        assert logarithm_of_two(3.0) == pytest.approx(math.log2(3), rel=1e-15)
    assert power_of_two(2000.0) == math.inf


def test_edges_are_where_sides_of_whole_areas_are() -> None:
    """Half of the edges are square roots of powers of two: a box of 32 by 64 lies on one."""
    np.testing.assert_array_equal(SIDE_EDGES, [math.sqrt(2.0**k) for k in range(23)])
    np.testing.assert_array_equal(ASPECT_EDGES, [math.sqrt(2.0**k) for k in range(-6, 7)])
    np.testing.assert_array_equal(doublings(-10, 16), [2.0**k for k in range(-10, 17)])


def test_octaves_are_those_that_peers_compute() -> None:
    for octave in range(1, 9):
        for step in range(octave):
            assert power_of_two(step / octave) == pytest.approx(2 ** (step / octave), rel=2.3e-16)


def test_distances_of_whole_powers_begin_a_bin() -> None:
    found = Lookalikes()
    pred = np.array([[0.0, 0, 8, 8]] * 3)
    found.add(
        np.arange(3), pred, pred, np.array([2.0, np.nextafter(2, 0), 2.0]), np.array([0.5, 0.5, 0.75]), np.full(3, 8.0)
    )
    keys = dict(zip(found.kept["row"].tolist(), found.kept["key"].tolist(), strict=True))
    assert keys[1] < keys[0] == keys[2]


def test_boxes_whose_areas_are_beyond_floats_are_inspected() -> None:
    wide = pa.table({"image_id": list(range(40)), "category_id": [1] * 40, "bbox": [[0.0, 0.0, 1e200, 1e200]] * 40})
    found = jobs.inspect(wide).to_dict()
    assert found["classes"][0]["boxes"] == 40
    twice = jobs.inspect(pa.concat_tables([wide, wide])).to_dict()["problems"]
    assert {problem["code"]: problem["count"] for problem in twice}["duplicate"] == 40


def test_pairs_whose_distances_are_beyond_floats_are_counted() -> None:
    most = np.finfo(np.float64).max
    far = pa.table({"pred": [[-most, 0.0, most, most], [0.0, 0, 8, 8]], "target": [[0.0, 0, 1, 1], [0.0, 0, 8, 9]]})
    assert jobs.disagreement(far).pairs == 2
