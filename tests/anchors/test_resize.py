"""Rules that resize images, and text that is no rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fastbox.anchors.resize import Resize


@pytest.mark.parametrize(
    ("rule", "width", "height", "expected"),
    [
        (640, 320, 200, (2, 2)),
        ("640", 320, 1280, (0.5, 0.5)),
        ("300x200", 600, 50, (0.5, 4)),
        ("shorter=800,longer=1333", 400, 500, (2, 2)),
        ("shorter=800,longer=1333", 2666, 400, (0.5, 0.5)),
        (0.5, 1, 1, (0.5, 0.5)),
    ],
)
def test_rules_of_resizing(rule: Any, width: float, height: float, expected: tuple[float, float]) -> None:
    found = Resize.parse(rule).scales(np.array([float(width)]), np.array([float(height)]))
    np.testing.assert_array_equal(np.concatenate(found), expected)


@pytest.mark.parametrize("rule", ["", "0", "300x", "x300", "640x0", "800/1333", "longer=9", "-4", "nan", None])
def test_other_rules_are_refused(rule: Any) -> None:
    with pytest.raises(ValueError, match=r"expected resize as 640, 300x200 or shorter=800,longer=1333"):
        Resize.parse(rule)
