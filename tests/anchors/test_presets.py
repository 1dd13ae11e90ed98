"""The presets are those published, and a preset's grid has the shapes that fitted ones are compared with."""

from __future__ import annotations

import numpy as np
import pytest

from fastbox.anchors import AnchorGrid
from fastbox.anchors.presets import COMPARED, DETECTORS, PRESETS
from fastbox.anchors.resize import Resize


def test_the_presets_are_those_published() -> None:
    counts = {name: len(DETECTORS[name].shapes) for name in COMPARED}
    assert counts == {"faster-rcnn-fpn": 15, "retinanet": 45, "ssd300": 30, "yolov3": 9, "yolov5": 9, "yolov7": 9}
    for name in ("faster-rcnn-fpn", "retinanet"):
        w, h = np.array(DETECTORS[name].shapes).T
        np.testing.assert_allclose(np.sort(np.unique(np.round(h / w, 9))), [0.5, 1, 2])
        assert np.sqrt(w * h).min() == pytest.approx(32)
    np.testing.assert_allclose(DETECTORS["ssd300"].shapes[0], [21, 21])
    np.testing.assert_allclose(DETECTORS["ssd300"].shapes[2], [21 * 2**0.5, 21 / 2**0.5])
    assert np.max(DETECTORS["ssd300"].shapes) == 300
    assert list(PRESETS) == sorted(PRESETS)
    for name in COMPARED:
        assert Resize.parse(str(DETECTORS[name].resize)).first >= 300
        assert np.min(DETECTORS[name].shapes) > 0


@pytest.mark.parametrize("name", COMPARED)
def test_a_preset_has_the_same_shapes_as_a_grid(name: str) -> None:
    """Beside what torchvision rounds: sides to whole numbers, and corners to whole pixels."""
    grid = AnchorGrid.preset(name)
    corners = np.array([shape for level in grid.shapes for shape in level])
    sides = corners[:, 2:] - corners[:, :2]
    if grid.resized is not None:
        sides *= grid.resized
    rounded = 2 if DETECTORS[name].maker == "torchvision" else 1e-4
    far = np.abs(sides[:, None] - np.array(DETECTORS[name].shapes)).max(axis=2)
    assert far.shape[0] == far.shape[1]
    assert max(far.min(axis=0).max(), far.min(axis=1).max()) <= rounded
