"""Anchors are those of the peers to the bit: beside torchvision itself, and beside numbers that peers publish."""

from __future__ import annotations

import importlib
import importlib.util
import math
import pickle
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from fastbox.anchors import PRESETS, AnchorGrid, Level
from fastbox.assign.match import match

SIZES = [(1, 1), (1, 700), (2000, 3), (31, 33), (320, 320), (640, 480), (1333, 800), (1344, 800), (801, 1200)]

sides = st.integers(1, 500)
names = st.sampled_from(PRESETS)


def assert_same_bits(found: Any, expected: Any) -> None:
    assert found.dtype == expected.dtype
    assert_array_equal(found, expected, strict=True)


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


# Beside torchvision: the two files that make anchors need none of its compiled operators


@pytest.fixture(scope="module")
def generators() -> Any:
    pytest.importorskip("torch")
    found = importlib.util.find_spec("torchvision")
    if found is None or found.origin is None:
        pytest.skip("needs torchvision")
    package = types.ModuleType("torchvision_detection")
    package.__path__ = [str(Path(found.origin).parent / "models" / "detection")]
    sys.modules["torchvision_detection"] = package
    return importlib.import_module("torchvision_detection.anchor_utils")


def halved(torch: Any, image: Any, times: int) -> Any:
    """Feature maps from P2 on, through layers with the kernels, strides and paddings of ResNet and its pyramids."""
    kernels = [7, 3, 3, 3, 3, 3, 3]
    for kernel in kernels[:times]:
        image = torch.nn.functional.conv2d(
            image, torch.empty(1, 1, kernel, kernel, device="meta"), stride=2, padding=kernel // 2
        )
    return image


def theirs(generators: Any, generator: Any, size: tuple[int, int], maps: list[Any]) -> Any:
    import torch

    width, height = size
    image = torch.empty(1, 1, height, width, device="meta")
    features = [torch.empty(1, 1, *(f.shape[-2:])) for f in maps]
    (boxes,) = generator(generators.ImageList(image, [(height, width)]), features)
    return boxes.numpy()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["faster-rcnn-fpn", "retinanet"])
def test_torchvision_makes_the_same_of_its_padded_tensor(generators: Any, name: str, size: tuple[int, int]) -> None:
    import torch

    if name == "retinanet":
        sizes = tuple((x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))) for x in (32, 64, 128, 256, 512))
    else:
        sizes = ((32,), (64,), (128,), (256,), (512,))
    generator = generators.AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 5)
    padded = (math.ceil(size[0] / 32) * 32, math.ceil(size[1] / 32) * 32)
    image = torch.empty(1, 1, padded[1], padded[0], device="meta")
    first = 3 if name == "retinanet" else 2
    maps = [halved(torch, image, k) for k in range(first, first + 5)]
    expected = theirs(generators, generator, padded, maps)
    grid = AnchorGrid.preset(name)
    assert_same_bits(grid.boxes(size).corners(), expected)
    assert_same_bits(grid.boxes(padded).corners(), expected)


def test_torchvision_makes_the_same_of_random_grids(generators: Any) -> None:
    import torch

    rng = np.random.default_rng(8)
    for _ in range(100):
        strides = rng.integers(1, 70, 3).tolist()
        sizes = tuple(tuple(rng.integers(4, 600, 2).tolist()) for _ in strides)
        ratios = tuple(rng.choice([0.25, 0.5, 1.0, 2.0, 4.0], 3).tolist())
        width, height = rng.integers(1, 200, 2).tolist()
        maps = [torch.empty(1, 1, math.ceil(height / s), math.ceil(width / s), device="meta") for s in strides]
        expected = theirs(generators, generators.AnchorGenerator(sizes, (ratios,) * 3), (width, height), maps)
        grid = AnchorGrid.torchvision(sizes, ratios, strides, pad=1)
        assert_same_bits(grid.boxes((width, height)).corners(), expected)


SSD300 = [[2], [2, 3], [2, 3], [2, 3], [2], [2]], [0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05], [8, 16, 32, 64, 100, 300]
SSD512 = (
    [[2], [2, 3], [2, 3], [2, 3], [2, 3], [2], [2]],
    [0.04, 0.1, 0.26, 0.42, 0.58, 0.74, 0.9, 1.06],
    [8, 16, 32, 64, 128, 256, 512],
)


@pytest.mark.parametrize(
    ("figures", "side", "cells", "count"),
    [(SSD300, 300, [38, 19, 10, 5, 3, 1], 8732), (SSD512, 512, [64, 32, 16, 8, 4, 2, 1], 24564)],
)
@pytest.mark.parametrize("clip", [True, False])
def test_torchvision_makes_the_same_default_boxes(
    generators: Any, figures: Any, side: int, cells: list[int], count: int, clip: bool
) -> None:
    import torch

    ratios, scales, steps = figures
    generator = generators.DefaultBoxGenerator(ratios, scales=scales, steps=steps, clip=clip)
    maps = [torch.empty(1, 1, n, n, device="meta") for n in cells]
    expected = theirs(generators, generator, (side, side), maps)
    assert len(expected) == count
    grid = AnchorGrid.ssd(ratios, scales, steps, size=(side, side), clip=clip)
    assert_same_bits(grid.boxes((side, side)).corners(), expected)
    if clip:
        assert grid == AnchorGrid.preset(f"ssd{side}")


# Numbers written out


def test_torchvision_rounds_its_corners() -> None:
    first = AnchorGrid.preset("faster-rcnn-fpn").shapes
    assert first[0] == ((-23, -11, 23, 11), (-16, -16, 16, 16), (-11, -23, 11, 23))
    assert first[4] == ((-362, -181, 362, 181), (-256, -256, 256, 256), (-181, -362, 181, 362))
    expected = ((-23, -11, 23, 11), (-28, -14, 28, 14), (-35, -18, 35, 18), (-16, -16, 16, 16), (-20, -20, 20, 20))
    assert AnchorGrid.preset("retinanet").shapes[0][:5] == expected


def test_torchvisions_cells_are_spaced_by_what_the_map_divides() -> None:
    """800 pixels are 13 cells of P6 and 7 of P7, which lie 61 and 114 pixels apart, not 64 and 128."""
    p6, p7 = AnchorGrid.preset("retinanet").levels((1333, 800))[3:]
    assert (p6.y0.shape[1], p7.y0.shape[1]) == (13, 7)
    assert set(np.diff(p6.y0[0])) == {61}
    assert set(np.diff(p7.y0[0])) == {114}
    assert set(np.diff(p6.x0[0])) == {64}  # 1333 are padded to 1344, which are 21 cells
    assert set(np.diff(p7.x0[0])) == {1344 // 11}
    d6, d7 = AnchorGrid.preset("detectron2-retinanet").levels((1333, 800))[3:]
    assert set(np.diff(d6.y0[0]).round()) == {64}
    assert set(np.diff(d7.x0[0]).round()) == {128}


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        (0.0, [[-32, -8, 32, 8], [-16, -16, 16, 16], [-8, -32, 8, 32], [-64, -16, 64, 16], [-32, -32, 32, 32]]),
        (0.5, [[-30, -6, 34, 10], [-14, -14, 18, 18], [-6, -30, 10, 34], [-62, -14, 66, 18], [-30, -30, 34, 34]]),
    ],
)
def test_the_numbers_of_detectron2s_own_tests(offset: float, expected: list[list[float]]) -> None:
    """tests/modeling/test_anchor_generator.py: sizes 32 and 64, ratios 1/4, 1 and 4, stride 4, one row of two cells."""
    grid = AnchorGrid.detectron2([32, 64], [0.25, 1, 4], [4], offset=offset, pad=1)
    boxes = grid.boxes((8, 4)).corners()
    assert len(boxes) == 12
    assert_array_equal(boxes[:5], expected)
    assert_array_equal(boxes[6:11], np.add(expected, [4, 0, 4, 0]))


def test_detectron2s_float32_steps_are_the_same() -> None:
    """It steps cells with torch.arange, whose elements are rounded to float32 once, and adds shapes rounded once."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    for _ in range(200):
        stride, offset = int(rng.choice([4, 8, 16, 32, 64])), float(rng.choice([0.0, 0.1, 0.3, 0.5, 0.7]))
        size, ratio, cells = float(rng.uniform(4, 600)), float(rng.uniform(0.1, 6)), int(rng.integers(1, 300))
        width = math.sqrt(size**2.0 / ratio)
        points = torch.arange(offset * stride, cells * stride, step=stride, dtype=torch.float32)
        (level,) = AnchorGrid.detectron2([size], [ratio], [stride], offset, pad=1).levels((cells * stride, 1))
        assert_same_bits(level.x0[0], (points + torch.tensor(-width / 2.0)).numpy())
        assert_same_bits(level.x1[0], (points + torch.tensor(width / 2.0)).numpy())
        assert level.y1[0, 0] == np.float32(offset * stride) + np.float32(ratio * width / 2.0)


def test_detectron2_rounds_nothing() -> None:
    shapes = AnchorGrid.preset("detectron2-retinanet").shapes[0]
    assert len(shapes) == 9
    assert shapes[0] == pytest.approx((-16 * math.sqrt(2), -8 * math.sqrt(2), 16 * math.sqrt(2), 8 * math.sqrt(2)))
    assert shapes[4][2] == pytest.approx(16 * 2 ** (1 / 3))  # by size, then ratio: the second size, square


def test_the_numbers_of_mmdetections_documentation() -> None:
    """The examples of its AnchorGenerator: base sizes 9 and 18, strides 16 and 32."""
    grid = AnchorGrid.mmdet([16, 32], [1.0], [1.0], base_sizes=[9, 18])
    expected = [[-4.5, -4.5, 4.5, 4.5], [11.5, -4.5, 20.5, 4.5], [-4.5, 11.5, 4.5, 20.5], [11.5, 11.5, 20.5, 20.5]]
    assert_same_bits(grid.boxes((32, 32)).corners(), np.array([*expected, [-9, -9, 9, 9]], np.float32))


def test_the_shapes_of_mmdetections_retinanet() -> None:
    """By ratio, then scale; of its own tests: stride 8 has half widths 22.6274, 28.5088 and 35.9188 at ratio 1/2."""
    shapes = np.array(AnchorGrid.preset("mmdet-retinanet").shapes[0])
    widths = [22.6274, 28.5088, 35.9188, 16.0, 20.1587, 25.3984, 11.3137, 14.2544, 17.9594]
    np.testing.assert_allclose(shapes[:, 2], widths, atol=5e-5)
    assert_array_equal(shapes[:, :2], -shapes[:, 2:])
    by_scale = AnchorGrid.mmdet([8], [0.5, 1, 2], octave_base_scale=4, scales_per_octave=3, scale_major=False)
    np.testing.assert_allclose(np.array(by_scale.shapes[0])[:, 2], np.reshape(widths, (3, 3)).T.reshape(-1), atol=5e-5)


def test_mmdetections_centres_move_with_the_base_size() -> None:
    grid = AnchorGrid.mmdet([16], [1.0], [2.0], base_sizes=[9], center_offset=0.5)
    assert_array_equal(grid.boxes((1, 1)).corners()[0], [-4.5, -4.5, 13.5, 13.5])


def test_yolos_anchors_are_about_the_centres_of_cells() -> None:
    grid = AnchorGrid.preset("yolov3")
    assert grid.counts((416, 416)) == (13 * 13 * 3, 26 * 26 * 3, 52 * 52 * 3)
    assert_array_equal(grid.shapes[0], [[-42, -29, 74, 61], [-62, -83, 94, 115], [-170.5, -147, 202.5, 179]])
    assert_array_equal(grid.boxes((416, 416)).corners()[-1], [412 - 16.5, 412 - 11.5, 412 + 16.5, 412 + 11.5])


def test_counts_that_papers_state() -> None:
    assert AnchorGrid.preset("ssd300").count((300, 300)) == 8732
    assert AnchorGrid.preset("ssd512").count((512, 512)) == 24564
    assert AnchorGrid.preset("yolov3").count((416, 416)) == 10647
    cells = (100 * 168, 50 * 84, 25 * 42, 13 * 21, 7 * 11)
    for name in ("retinanet", "detectron2-retinanet", "mmdet-retinanet"):
        assert AnchorGrid.preset(name).counts((1333, 800)) == tuple(9 * n for n in cells)
    assert AnchorGrid.preset("rpn-c4").count((1000, 600)) == 63 * 38 * 15


def test_ssd_stretches_with_the_image() -> None:
    grid = AnchorGrid.preset("ssd300")
    square, wide = grid.boxes((300, 300)).corners(), grid.boxes((1200, 600)).corners()
    np.testing.assert_allclose(wide, square * np.float32([4, 2, 4, 2]), rtol=1e-6, atol=1e-4)


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
