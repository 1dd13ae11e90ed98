"""Frames given as boxes are grouped by their image ids, and sizes given as corners are found."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox import Boxes, FormatWarning

pandas = pytest.importorskip("pandas", reason="pandas is not installed")

TWO = [[0, 0, 4, 4], [1, 0, 4, 4]]
FRAME = {"image_id": [1, 2], "xmin": [0.0, 1], "ymin": [0.0, 0], "xmax": [4.0, 4], "ymax": [4.0, 4]}
COCO = [[100, 120, 30, 40], [200, 50, 64, 20], [5, 5, 50, 50]]


def test_frames_are_grouped_by_their_image_ids() -> None:
    frame = pandas.DataFrame(FRAME)
    for table in (frame, FRAME):
        found = fastbox.best(table, table)
        assert found.indices.tolist() == [0, 1] and found.values.tolist() == [1, 1]
        assert Boxes(table).images.tolist() == [1, 2]
        assert Boxes(table, images=[7, 7]).images.tolist() == [7]
        assert (
            Boxes.from_arrow(table, image=False).offsets is None and Boxes.from_arrow(table, image=None).images is None
        )
    for name, values in (("imageId", [1, 2]), ("file_name", ["a.jpg", "b.jpg"])):
        renamed = {name if column == "image_id" else column: given for column, given in FRAME.items()}
        assert Boxes(pandas.DataFrame(renamed | {name: values})).images.tolist() == values
    assert Boxes(pandas.DataFrame(FRAME | {"image": [b"1", b"2"]}).drop(columns="image_id")).offsets is None
    other = pandas.DataFrame(FRAME | {"image_id": [2, 3]})
    assert fastbox.best(frame, other).indices.tolist() == [-1, 0]
    assert fastbox.nms(frame, [1, 1], iou_threshold=0.5).tolist() == [0, 1]


def test_a_frame_with_images_beside_one_without_is_refused() -> None:
    frame = pandas.DataFrame(FRAME)
    with pytest.raises(ValueError, match="expected a and b grouped by image both or neither, got a grouped and b not"):
        fastbox.best(frame, frame.drop(columns="image_id"))


@pytest.mark.parametrize("name", ["pandas", "polars", "pyarrow", "dict"])
def test_an_unsorted_frame_says_how_to_sort_it(name: str) -> None:
    columns = FRAME | {"image_id": [2, 1]}
    if name == "dict":
        frame: Any = columns
    else:
        module = pytest.importorskip(name, reason=f"{name} is not installed")
        frame = module.table(columns) if name == "pyarrow" else module.DataFrame(columns)
    with pytest.raises(
        ValueError, match="ascending ids in column 'image_id' of a at row 1, got 1 after 2: sort"
    ) as said:
        fastbox.best(frame, frame)
    assert "Boxes.from_arrow(frame, image=False)" in str(said.value)
    mend = re.search(r"frame\.(\S.*?\)), or", str(said.value))
    assert (mend is None) == (name == "dict")
    if mend is not None:
        assert Boxes(eval(f"frame.{mend[1]}", {"frame": frame})).images.tolist() == [1, 2]


def test_what_compares_row_with_row_asks_for_no_order() -> None:
    frame = pandas.DataFrame(FRAME | {"image_id": [2, 1]})
    assert fastbox.aligned(frame, frame).tolist() == [1, 1]
    assert fastbox.iou_loss(frame, frame) == fastbox.smooth_l1_loss(frame, frame) == 0
    assert fastbox.encode(frame, frame).tolist() == np.zeros((2, 4)).tolist()


@pytest.mark.parametrize(
    "call",
    [
        lambda: fastbox.best(COCO, TWO),
        lambda: fastbox.pairs(COCO, threshold=0.5),
        lambda: fastbox.nms(COCO, [1, 1, 1], iou_threshold=0.5),
        lambda: fastbox.match(TWO, COCO),
        lambda: fastbox.match_greedy(TWO, [1, 1], COCO),
        lambda: fastbox.iou_loss(COCO, COCO),
        lambda: fastbox.encode(COCO, COCO),
        lambda: Boxes(np.array(COCO, np.float32)),
        lambda: Boxes.from_columns(*np.array(COCO).T),
        lambda: Boxes({"bbox": COCO}),
    ],
)
def test_sizes_given_as_corners_are_said_at_the_callers_line(call: Callable[[], Any]) -> None:
    with pytest.warns(FormatWarning, match='give format="xywh"') as said:
        call()
    assert said[0].filename == __file__


@pytest.mark.filterwarnings("error")
def test_sizes_given_as_sizes_and_stray_boxes_are_not() -> None:
    for boxes in (Boxes(COCO, "xywh"), Boxes([*TWO, *TWO, *COCO]), Boxes([[5, 5, -1, -1]]), Boxes([[np.nan] * 4])):
        fastbox.pairs(boxes, threshold=0.5)
        assert len(boxes[:1]) == 1
