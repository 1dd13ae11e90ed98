"""Names of formats, their aliases, unknown names, and sizes that are given as corners."""

from __future__ import annotations

import numpy as np
import pytest

from fastbox import Boxes
from fastbox.values.formats import ALIASES, FORMATS, as_format, looks_like_sizes

TWO = [[0, 1, 10, 6], [2, 2, 8, 8]]


@pytest.mark.parametrize("format", [*FORMATS, *ALIASES])
def test_an_alias_is_its_format(format: str) -> None:
    plain = ALIASES.get(format, format)
    assert (as_format(format), as_format(f"rel_{format}")) == (plain, f"rel_{plain}")


@pytest.mark.parametrize("format", ["xyhw", "rel_", "XYXY", "", "rel_rel_xyxy"])
def test_an_unknown_format_is_named_with_the_known_ones(format: str) -> None:
    with pytest.raises(ValueError, match=rf"xyxy, xywh, cxcywh, yxyx.*{format}"):
        Boxes(TWO, format)


@pytest.mark.parametrize(
    ("name", "meant"), [("coco", "xywh"), ("YOLO", "rel_cxcywh"), ("pascal_voc", "xyxy"), ("rel_XYWH", "rel_xywh")]
)
def test_a_name_of_another_library_suggests_the_format(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        as_format(name)


@pytest.mark.parametrize("count", [1, 100, 5000])
def test_sizes_are_told_from_corners(count: int) -> None:
    at, size = np.full(count, 50.0), np.full(count, 8.0)
    assert looks_like_sizes((at, at, size, size), "xyxy")
    assert not looks_like_sizes((at, at, size, size), "xywh")
    assert not looks_like_sizes((at, at, at + size, at + size), "xyxy")
    assert not looks_like_sizes((at, at, -size, size), "xyxy")


def test_no_boxes_look_like_nothing() -> None:
    none = np.empty(0)
    assert not looks_like_sizes((none, none, none, none), "xyxy")
