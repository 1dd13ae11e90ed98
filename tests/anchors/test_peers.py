"""Anchors are those of the peers to the bit: beside torchvision itself, and beside numbers that peers publish."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from support.grids import assert_same_bits

from fastbox.anchors import AnchorGrid

SIZES = [(1, 1), (1, 700), (2000, 3), (31, 33), (320, 320), (640, 480), (1333, 800), (1344, 800), (801, 1200)]


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
