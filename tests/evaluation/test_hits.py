"""The metrics of hits: the bits of `aligned`, for boxes of any size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import fastbox
from fastbox.evaluation.matching import BETA, PAIR_METRICS
from fastbox.kernels.evaluate.hits import MEASURE_HITS

# Corners and sides from dust to almost the greatest float, so that areas underflow and overflow too.
LENGTH = st.sampled_from([0.0, 5e-324, 1e-300, 1e-160, 0.1, 1.0, 7.3, 640.0, 1e10, 1e155, 4e307])
CORNER = st.sampled_from([0.0, -1e-300, 1e-170, -2.5, 3.0, 639.9, -1e12, 1e160, -4e307])
BOX = st.tuples(CORNER, CORNER, LENGTH, LENGTH)


@given(st.lists(BOX, min_size=1, max_size=12), st.lists(BOX, min_size=1, max_size=12), st.data())
def test_hits_have_the_bits_of_aligned(
    ours: list[tuple[float, ...]], theirs: list[tuple[float, ...]], data: st.DataObject
) -> None:
    boxes, targets = np.array(ours), np.array(theirs)
    rows = np.array(data.draw(st.lists(st.integers(0, len(boxes) - 1), min_size=1, max_size=20)))
    taken = np.array(data.draw(st.lists(st.integers(0, len(targets) - 1), min_size=len(rows), max_size=len(rows))))
    found = np.full((len(PAIR_METRICS), len(rows)), -7.0)
    columns = tuple(np.ascontiguousarray(boxes.T)), tuple(np.ascontiguousarray(targets.T))
    MEASURE_HITS[found.dtype, ""](*columns, (rows, taken), BETA, (0, len(rows)), tuple(found))
    pairs = fastbox.Boxes(boxes[rows], "xywh"), fastbox.Boxes(targets[taken], "xywh")
    for metric, values in zip(PAIR_METRICS, found, strict=True):
        assert_array_equal(values, fastbox.aligned(*pairs, metric=metric))
