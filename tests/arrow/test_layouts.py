"""Columns of any layout with one row per box, as lists and rows beside the boxes."""

from __future__ import annotations

import pyarrow as pa
import pytest
from support.box_columns import fixed, flat, ragged

from fastbox.arrow.find import find_boxes
from fastbox.arrow.layouts import rows_as_boxes
from fastbox.errors import InputError


def test_carried_columns_follow_the_boxes() -> None:
    table = pa.table({"bbox": ragged(fixed()), "score": [[0.1, 0.2], [], [0.3]], "name": ["a", "b", "c"]})
    batch = table.to_batches()[0]
    found = find_boxes(table.schema)
    carried = rows_as_boxes(batch, found, ["score", "name"])
    assert carried.to_pydict() == {"score": [0.1, 0.2, 0.3], "name": ["a", "a", "c"]}
    assert rows_as_boxes(batch, found, []).num_rows == 3
    rows = flat(name=["a", "b", "c"]).to_batches()[0]
    assert rows_as_boxes(rows, find_boxes(rows.schema), ["name"]).to_pydict() == {"name": ["a", "b", "c"]}
    assert rows_as_boxes(rows, find_boxes(rows.schema), []).num_rows == 3


def test_a_carried_list_must_be_as_long_as_the_boxes() -> None:
    batch = pa.record_batch({"bbox": ragged(fixed()), "score": [[0.1, 0.2], [0.3], [0.4]]})
    with pytest.raises(
        InputError, match=r"as many elements as the row has boxes, 0, in column 'score' of f at row 6, got 1"
    ):
        rows_as_boxes(batch, find_boxes(batch.schema), ["score"], where="f", first_row=5)
