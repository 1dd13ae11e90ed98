"""Anything with the Arrow C interface, and a dict of columns, as a table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from support.box_columns import CORNERS, QUADS, fixed, flat, lists, struct

from fastbox.arrow.find import find_boxes
from fastbox.arrow.held import as_table
from fastbox.boxes.container import Boxes
from fastbox.boxes.found import to_boxes
from fastbox.errors import InputError


@pytest.mark.parametrize(
    "obj",
    [
        flat(),
        flat().to_batches()[0],
        flat().to_reader(),
        struct(),
        fixed(),
        lists(),
        pa.chunked_array([fixed()]),
        pd.DataFrame({name: QUADS[:, k] for k, name in enumerate(CORNERS)}),
        pl.DataFrame({name: QUADS[:, k].copy() for k, name in enumerate(CORNERS)}),
        pl.Series("any", QUADS),
    ],
    ids=lambda obj: f"{type(obj).__module__}.{type(obj).__name__}",
)
def test_anything_with_the_arrow_interface_is_a_table(obj: object) -> None:
    table = as_table(obj)
    assert table.num_rows == 3
    np.testing.assert_array_equal(to_boxes(table, find_boxes(table.schema)).corners(), QUADS)


def test_boxes_are_made_from_arrow() -> None:
    frame = pl.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "w": [1.0, 1.0], "h": [2.0, 2.0], "image": ["a", "b"]})
    boxes = Boxes.from_arrow(frame, image="image")
    assert boxes.format == "xywh"
    np.testing.assert_array_equal(Boxes(frame).corners(), boxes.corners())


def test_an_empty_stream_is_a_table() -> None:
    reader = pa.RecordBatchReader.from_batches(flat().schema, [])
    assert as_table(reader).num_rows == 0


def test_other_objects_are_refused() -> None:
    with pytest.raises(TypeError, match="Arrow C interface, got set"):
        as_table({"xmin", "ymin"})
    for columns in ({"xmin": [1], "ymin": [1, 2]}, {"xmin": [object()]}, {"xmin": 1}):
        with pytest.raises(InputError, match=r"expected (columns of one length|numbers, text).* table, got"):
            as_table(columns)
