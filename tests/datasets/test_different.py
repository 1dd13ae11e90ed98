"""Different values of a column are counted over batches, in whatever type they come."""

from __future__ import annotations

import pyarrow as pa

from fastbox.datasets.different import Different
from fastbox.values.labels import DENSE


def test_numbers_inside_and_outside_of_the_table_count_once() -> None:
    found = Different()
    for values in ([0, 1, 1, DENSE - 1], [DENSE, -1, 1], [2**62, -1, DENSE], []):
        found.add(pa.array(values, pa.int64()))
    found.add(pa.array([1, 5, None], pa.int8()))
    assert len(found) == len({0, 1, DENSE - 1, DENSE, -1, 2**62, 5})
    more = pa.array([5, 6, -1, -2], pa.int64())
    assert found.count_with(more) == found.count_with(more, more) == len(found) + 2


def test_texts_count_once() -> None:
    found = Different()
    assert not len(found)
    found.add(pa.array(["a", "b", None]))
    found.add(pa.array(["b", "c"]))
    assert len(found) == 3
