"""Frames and tables in memory: their box columns are found, viewed and grouped by image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fastbox import Boxes


def coordinates() -> dict[str, Any]:
    return {"x": [0.0, 1.0], "y": [0.0, 1.0], "w": [2.0, 2.0], "h": [2.0, 3.0]}


def test_a_table_is_searched_for_its_boxes() -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = arrow.table(coordinates())
    boxes = Boxes(table)
    assert boxes.format == "xywh"
    assert np.shares_memory(boxes.columns[0], table["x"].chunk(0).to_numpy())
    assert_array_equal(boxes.corners(), [[0, 0, 2, 2], [1, 1, 3, 4]])


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_frame_is_searched_for_its_boxes(library: str) -> None:
    frames = pytest.importorskip(library, reason=f"{library} is not installed")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    assert_array_equal(Boxes(frames.DataFrame(coordinates())).corners(), [[0, 0, 2, 2], [1, 1, 3, 4]])


def test_a_table_can_be_grouped_by_a_column() -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    table = arrow.table({**coordinates(), "image_id": [3, 5]})
    boxes = Boxes.from_arrow(table, image="image_id")
    assert_array_equal(boxes.images, [3, 5])
    assert_array_equal(boxes.offsets, [0, 1, 2])


def test_a_table_keeps_the_grouping_it_is_given() -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    boxes = Boxes(arrow.table(coordinates()), images=[4, 4])
    assert_array_equal(boxes.images, [4])
    assert_array_equal(boxes.offsets, [0, 2])


def test_a_table_without_boxes_is_refused() -> None:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    from fastbox.errors import InputError

    with pytest.raises(InputError, match="label"):
        Boxes(arrow.table({"label": ["cat"]}))
