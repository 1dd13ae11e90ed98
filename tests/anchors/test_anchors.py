"""Anchors of grids: boxes and their order, arguments that cannot be used, and values of plain loops."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from support.grids import assert_same_bits

from fastbox.anchors import PRESETS, AnchorGrid, Level
from fastbox.assign.match import match

sides = st.integers(1, 500)


names = st.sampled_from(PRESETS)


# What a grid is made of


@given(names, sides, sides, st.sampled_from([np.float32, np.float64]))
def test_boxes_are_what_the_levels_say(name: str, width: int, height: int, dtype: Any) -> None:
    grid = AnchorGrid.preset(name).astype(dtype)
    size = (width, height)
    expected, counts = [], []
    for level in grid.levels(size):
        shapes, columns, rows = *level.x0.shape, level.y0.shape[1]
        assert level.x1.shape == level.x0.shape
        assert level.y0.shape == level.y1.shape == (shapes, rows)
        assert all(edges.dtype == dtype and edges.flags.c_contiguous and not edges.flags.writeable for edges in level)
        r, c, s = (index.reshape(-1) for index in np.indices((rows, columns, shapes)))
        expected.append(np.stack([level.x0[s, c], level.y0[s, r], level.x1[s, c], level.y1[s, r]], axis=1))
        counts.append(rows * columns * shapes)
    boxes = grid.boxes(size)
    assert_same_bits(boxes.corners(), np.concatenate(expected))
    assert grid.counts(size) == tuple(counts)
    assert grid.count(size) == len(boxes) == sum(counts)
    assert not boxes.invalid().any()


def test_thousands_of_sizes_are_covered_from_edge_to_edge() -> None:
    """Every level reaches the image's last pixel with its last cell, and no cell lies wholly beyond the padding."""
    rng = np.random.default_rng(4)
    grid = AnchorGrid([4, 7, 32], [[8], [14], [64]], [1.0], offset=0.5, pad=16)
    for width, height in rng.integers(1, 3000, (3000, 2)).tolist():
        counts = grid.counts((width, height))
        padded = [(side + 15) // 16 * 16 for side in (width, height)]
        for stride, count in zip(grid.strides, counts, strict=True):
            columns, rows = (math.ceil(side / stride) for side in padded)
            assert count == columns * rows
            assert (columns - 1) * stride < padded[0] <= columns * stride
            assert (rows - 1) * stride < padded[1] <= rows * stride


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=3),
    st.lists(st.floats(1, 600), min_size=1, max_size=3),
    st.lists(st.floats(0.1, 10), min_size=1, max_size=3),
    st.floats(0, 0.9),
    sides,
    sides,
)
def test_a_grid_is_what_loops_give(
    strides: list[int], sizes: list[float], ratios: list[float], offset: float, width: int, height: int
) -> None:
    grid = AnchorGrid(strides, sizes, ratios, offset=offset).astype(np.float64)
    width, height = 1 + width % 60, 1 + height % 60
    expected = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        for stride in strides
        for y in (stride * (row + offset) for row in range(math.ceil(height / stride)))
        for x in (stride * (column + offset) for column in range(math.ceil(width / stride)))
        for w, h in ((size / math.sqrt(ratio), size * math.sqrt(ratio)) for size in sizes for ratio in ratios)
    ]
    np.testing.assert_allclose(grid.boxes((width, height)).corners(), expected, rtol=1e-13, atol=1e-10)


def test_scales_come_between_sizes_and_ratios() -> None:
    boxes = AnchorGrid([64], [10, 20], [1, 4], scales=[1, 3]).boxes((1, 1)).corners()
    assert_array_equal(boxes[:, 2] * 2, [10, 5, 30, 15, 20, 10, 60, 30])
    assert_array_equal(boxes[:, 3] * 2, [10, 20, 30, 60, 20, 40, 60, 120])


def test_rounding_is_to_even() -> None:
    boxes = AnchorGrid([8], [9, 11, 13.2], round=True).boxes((1, 1)).corners()
    assert_array_equal(boxes[:, 2], [4, 6, 7])
    assert_array_equal(boxes[:, 0], [-4, -6, -7])


def test_float64_grids_keep_what_float32_rounds() -> None:
    narrow, wide = AnchorGrid([8], [10], [3.0]), AnchorGrid([8], [10], [3.0]).astype(np.float64)
    assert wide.dtype == np.float64
    assert_same_bits(wide.boxes((8, 8)).corners().astype(np.float32), narrow.boxes((8, 8)).corners())
    assert wide.boxes((1, 1)).corners()[0, 2] == math.sqrt(100 / 3) / 2
    assert wide.astype("float32") == narrow
    assert wide != narrow


def test_grids_are_values() -> None:
    for name in PRESETS:
        grid = AnchorGrid.preset(name)
        assert grid == AnchorGrid.preset(name) == pickle.loads(pickle.dumps(grid))
        assert len({grid, AnchorGrid.preset(name)}) == 1
    assert len({AnchorGrid.preset(name) for name in PRESETS}) == len(PRESETS)
    with pytest.raises(AttributeError):
        grid.pad = 7  # type: ignore[misc]


def test_levels_are_kept_and_can_not_be_spoilt() -> None:
    grid = AnchorGrid.preset("retinanet")
    levels = grid.levels((640, 480))
    assert AnchorGrid.preset("retinanet").levels((640, 480)) is levels
    assert all(isinstance(level, Level) for level in levels)
    with pytest.raises(ValueError, match="read-only"):
        levels[0].x0[0, 0] = 1
    boxes = grid.boxes((640, 480))
    boxes.columns[0][:] = 0
    assert grid.boxes((640, 480)).columns[0][0] == levels[0].x0[0, 0]


def test_a_grid_says_what_it_is() -> None:
    assert repr(AnchorGrid.preset("ssd300")) == "AnchorGrid(6 levels of 4 to 6 shapes, strides 8, 16, 32, 64, 100, 300)"
    assert repr(AnchorGrid([8], [1]).astype(float)) == "AnchorGrid(1 level of 1 shape, stride 8, float64)"


# What is refused


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AnchorGrid.preset("retinnet"), "did you mean 'retinanet'"),
        (lambda: AnchorGrid([], [8]), "strides to be whole numbers"),
        (lambda: AnchorGrid([8, 0], [8]), "strides to be whole numbers"),
        (lambda: AnchorGrid([7.5], [8]), "strides to be whole numbers"),  # type: ignore[list-item]
        (lambda: AnchorGrid(8, [8]), "strides to be whole numbers"),  # type: ignore[arg-type]
        (lambda: AnchorGrid([8], 8), "expected sizes for 1 levels, got 8"),  # type: ignore[arg-type]
        (lambda: AnchorGrid([8], []), "sizes to be numbers above 0"),
        (lambda: AnchorGrid([8], [-3]), "sizes to be numbers above 0"),
        (lambda: AnchorGrid([8], ["3"]), "sizes to be numbers above 0"),
        (lambda: AnchorGrid([8], [3], [float("nan")]), "ratios to be numbers above 0"),
        (lambda: AnchorGrid([8], [3], [float("inf")]), "ratios to be numbers above 0"),
        (lambda: AnchorGrid([8, 16], [[3], [4], [5]]), "sizes for 2 levels, got 3"),
        (lambda: AnchorGrid([8], [3], scales=[0]), "scales to be numbers above 0"),
        (lambda: AnchorGrid([8], [3], offset=1), "offset of at least 0 and below 1"),
        (lambda: AnchorGrid([8], [3], offset=float("nan")), "offset of at least 0 and below 1"),
        (lambda: AnchorGrid([8], [3], pad=0), "pad to be whole numbers"),
        (lambda: AnchorGrid([8], [3]).astype(np.float16), "float32 or float64"),
        (lambda: AnchorGrid.torchvision([32, 64], [1], [4]), "sizes for 1 levels, got 2"),
        (lambda: AnchorGrid.torchvision(32, [1], [4]), "sizes for 1 levels, got 32"),  # type: ignore[arg-type]
        (lambda: AnchorGrid.mmdet([8], [1.0]), "expected scales, or octave_base_scale"),
        (lambda: AnchorGrid.mmdet([8], [1.0], [1], octave_base_scale=4), "expected scales, or octave_base_scale"),
        (lambda: AnchorGrid.mmdet([8], [1.0], octave_base_scale=4), "expected scales, or octave_base_scale"),
        (lambda: AnchorGrid.mmdet([8], [1.0], [1], base_sizes=[1, 2]), "base_sizes for 1 levels, got 2"),
        (lambda: AnchorGrid.mmdet([8], [1.0], [1], center_offset=2), "center_offset from 0 to 1"),
        (lambda: AnchorGrid.yolo([8], []), "base_sizes for 1 levels, got 0"),
        (lambda: AnchorGrid.yolo([8], [[(1, 2, 3)]]), "base_sizes of"),
        (lambda: AnchorGrid.yolo([8], [[1, 2]]), "base_sizes to be numbers above 0"),
        (lambda: AnchorGrid.yolo([8], [[(1, 2), (3,)]]), "base_sizes of"),
        (lambda: AnchorGrid.ssd([[2]], [0.5], [8], size=(8, 8)), "expected 2 scales for 1 steps, got 1"),
        (lambda: AnchorGrid.ssd([[2], [2]], [0.5, 0.6], [8], size=(8, 8)), "ratios for 1 levels, got 2"),
        (lambda: AnchorGrid.ssd([[2]], [0.5, 0.6], [8], size=(8, 0)), "size to be"),
    ],
)
def test_bad_arguments_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        make()
    assert str(raised.value).startswith("expected ")


@pytest.mark.parametrize("size", [640, (640,), (640, 480, 3), (640.0, 480), (0, 480), (640, -1), "ab", None])
def test_bad_sizes_are_named(size: Any) -> None:
    for ask in ("levels", "boxes", "count", "counts"):
        with pytest.raises(ValueError, match=r"expected size to be \(width, height\)"):
            getattr(AnchorGrid.preset("retinanet"), ask)(size)


@pytest.mark.parametrize(
    "make",
    [
        lambda: AnchorGrid([4], [1e39], [1.0]),
        lambda: AnchorGrid([4], [1e300], [1e-300]),
        lambda: AnchorGrid.mmdet([4], [1e-300], [1e300]),
        lambda: AnchorGrid.mmdet([4], [1.0], octave_base_scale=1e300, scales_per_octave=3),
        lambda: AnchorGrid.yolo([4], [[(1e300, 1)]]),
        lambda: AnchorGrid.detectron2([1e300], [1.0], [4]),
        lambda: AnchorGrid.torchvision([1e300], [1.0], [4]),
    ],
)
def test_anchors_that_float32_can_not_hold_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="expected anchors whose corners float32 holds, got sides beyond it"):
        make()


@pytest.mark.parametrize("huge", [2**31, 2**70, 10**400], ids=["2**31", "2**70", "10**400"])
def test_sizes_strides_and_pads_that_no_image_has_are_refused(huge: int) -> None:
    grid = AnchorGrid([4], [32], [1.0])
    with pytest.raises(ValueError, match=r"sizes of whole pixels|within the floats"):
        match(grid, [[0, 0, 4, 4]], size=(huge, 1))
    with pytest.raises(ValueError, match="whole pixels of at least 1, below"):
        grid.boxes((huge, 1))
    for call in (lambda: AnchorGrid([huge], [32], [1.0]), lambda: AnchorGrid([4], [32], [1.0], pad=huge)):
        with pytest.raises(ValueError, match=r"whole numbers of at least 1, below 2\*\*31, got"):
            call()
