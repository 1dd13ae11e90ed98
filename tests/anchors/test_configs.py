"""Configuration lines that detectors read hold the fitted shapes."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fastbox.anchors.configs import configs, default_levels

SHAPES = [(6.0, 8.0), (15.25, 30.5), (33.0, 23.0), (30.0, 61.0), (62.0, 45.0), (1234.0, 987.6)]


@pytest.mark.parametrize("levels", [1, 2, 6])
def test_configuration_lines_hold_the_shapes(levels: int) -> None:
    lines = configs(SHAPES, levels)
    each = len(SHAPES) // levels
    expected = [SHAPES[first : first + each] for first in range(0, len(SHAPES), each)]

    head, *rows = lines["yolo"].splitlines()
    assert head == "anchors:"
    figures = [ast.literal_eval(row.split("#")[0].strip().removeprefix("- ")) for row in rows]
    assert [list(zip(row[::2], row[1::2], strict=True)) for row in figures] == expected
    assert rows[-1].endswith(f"# P{2 + levels}/{2 ** (2 + levels)}")

    found: dict[str, Any] = {}
    exec(lines["mmdetection"], {}, found)
    generator = found["anchor_generator"]
    assert generator["base_sizes"] == expected[::-1]
    assert generator["strides"] == [2 ** (2 + k) for k in range(levels, 0, -1)]

    sizes, ratios = (ast.literal_eval(line.split(":", 1)[1].strip()) for line in lines["detectron2"].splitlines()[-2:])
    assert ("every size with every ratio" in lines["detectron2"]) == (each > 1)
    for level, own, ratio in zip(expected, sizes, ratios, strict=True):
        built = [(size / r**0.5, size * r**0.5) for size, r in zip(own, ratio, strict=True)]
        np.testing.assert_allclose(built, level, rtol=1e-5)

    names = {"torch": SimpleNamespace(tensor=np.array), "AnchorGenerator": SimpleNamespace}
    exec(lines["torchvision"], names)
    made = names["anchors"]
    assert [len(s) * len(r) for s, r in zip(made.sizes, made.aspect_ratios, strict=True)] == [each] * levels
    for level, cell in zip(expected, made.cell_anchors, strict=True):
        assert cell.dtype == np.float64
        np.testing.assert_allclose(cell[:, 2:] - cell[:, :2], level, rtol=1e-5)
        np.testing.assert_array_equal(cell[:, :2], -cell[:, 2:])


def test_levels_by_default() -> None:
    assert [default_levels(count) for count in (1, 2, 3, 5, 6, 9, 15)] == [1, 2, 1, 5, 2, 3, 5]
