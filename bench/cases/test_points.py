"""Points to truths: fastbox beside ultralytics' assigner, and YOLOX's and RTMDet's rules in plain torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.conftest import THREADS, Case, require
from bench.support import points
from bench.support.shapes import Sizes

TRUTHS = (7, 100)
RULES = {"tal": "ultralytics", "yolox": "simota", "rtmdet": "rtmdet"}  # and the peer of each


def scene(sizes: Sizes, rule: str, n: int) -> tuple[points.Scene, dict[str, Any]]:
    given = points.scene(n, 160 if sizes.quick else 640, offset=0.0 if rule == "rtmdet" else 0.5)
    return given, {"scores": points.logits(given.scores)} if rule == "rtmdet" else {}


def facts(rule: str, n: int) -> dict[str, Any]:
    size = f"{n} truths"
    return {"kernel": f"points {rule}", "size": size, "shape": f"8400 points, {size}", "dtype": "float32"}


@pytest.mark.parametrize("n", TRUTHS)
@pytest.mark.parametrize("rule", RULES)
def test_points(case: Case, sizes: Sizes, rule: str, n: int) -> None:
    given, changed = scene(sizes, rule, n)
    case(lambda: given.match(rule, **changed), name="fastbox", role="ours", threads=THREADS[0], **facts(rule, n))


@pytest.mark.parametrize("n", TRUTHS)
@pytest.mark.parametrize("rule", RULES)
def test_points_of_peers(case: Case, sizes: Sizes, rule: str, n: int) -> None:
    require("torch")
    if rule == "tal":
        require("ultralytics")
    given, changed = scene(sizes, rule, n)
    found = given.match(rule, **changed)

    def same(told: Any) -> None:
        for one, other in zip(told, (found.anchors, found.truths), strict=True):
            np.testing.assert_array_equal(one, other)

    peer = RULES[rule]
    case(
        getattr(points, peer)(given),
        name="ultralytics" if rule == "tal" else "torch",
        role="peer",
        expected=same,
        rounds=5,
        **facts(rule, n),
    )
