"""The page on rotated boxes: values of other libraries beside those of fastbox, and cars of KITTI seen from above."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from support.exact import quadrilateral, values
from support.paths import ROOT

import fastbox

pytestmark = pytest.mark.compiler  # kernels of rotated boxes are in no library

PAGE = (ROOT / "docs" / "rotated.md").read_text()
ROWS = re.findall(r"^\| (\d+) \| `(\w+)` \| [^|]* \| ([^|]*) \| ([^|]*) \|$", PAGE, re.MULTILINE)
CASES = json.loads(Path(__file__).with_name("rotated_facts.json").read_text())["cases"]
BY_NUMBER = {str(case["id"]): case for case in CASES}


def said_by(library: str, metric: str, recorded: dict[str, object]) -> set[str]:
    """What a library says of a case, as the page shows it; of two precisions the one that the page names."""
    name, single = library.removesuffix(" (float32)").lower(), library.endswith("(float32)")
    found = set()
    for key, value in recorded.items():
        of = re.search(r"for (giou|probiou)", key)
        if key.lower().startswith(name) and (of[1] if of else "iou") == metric and ("f32" in key) == single:
            found.add("raises an error" if str(value).startswith("raises") else f"{float(str(value)):.4g}")
    return found


@pytest.mark.parametrize(("number", "metric", "exact", "elsewhere"), ROWS, ids=[f"{row[0]} {row[1]}" for row in ROWS])
def test_values_of_the_page_are_fastboxs_and_those_recorded(
    number: str, metric: str, exact: str, elsewhere: str
) -> None:
    case = BY_NUMBER[number]
    told = "cxcywhd" if "degrees" in case.get("angle", "") else case["format"]
    a, b = (fastbox.RotatedBoxes([[float(value) for value in case[side]]], told) for side in "ab")
    found = fastbox.aligned(a, b, metric=metric)[0]
    assert found == pytest.approx(float(exact), rel=1e-3, abs=1e-14) and f"{case['float'][metric]:.4g}" == exact
    for shown in elsewhere.split(", "):
        library, value = (
            (shown[: -len(" raises an error")], "raises an error") if "raises" in shown else shown.rsplit(" ", 1)
        )
        assert said_by(library, metric, case["peers wrong here"]) == {value}, library
        assert value != exact


def test_the_page_has_every_library() -> None:
    names = {"torchvision", "mmcv", "detectron2", "powerboxes", "shapely", "OpenCV", "supervision", "ultralytics"}
    assert len(ROWS) > 15 and {name for name in names if any(name in row[3] for row in ROWS)} == names


def car(x: float, z: float, length: float, width: float, rotation_y: float) -> list[float]:
    """The corners from above as KITTI's development kit has them: turned about y, which points down."""
    c, s = math.cos(rotation_y), math.sin(rotation_y)
    corners = [(length / 2, width / 2), (length / 2, -width / 2), (-length / 2, -width / 2), (-length / 2, width / 2)]
    return [number for p, q in corners for number in (x + c * p + s * q, z - s * p + c * q)]


def test_cars_of_kitti_have_the_angle_less_rotation_y() -> None:
    cars = [(10.0, 20.0, 4.0, 1.6, 0.5), (10.5, 20.3, 4.0, 1.6, 0.6)]
    right = values(*(quadrilateral(car(*one)) for one in cars))["iou"]
    a, b = (fastbox.RotatedBoxes([[*one[:4], -one[4]]], "cxcywhr") for one in cars)
    assert fastbox.aligned(a, b)[0] == pytest.approx(right, abs=1e-14)
    assert f"[{right:.3f}]\n[0.681]" in PAGE
