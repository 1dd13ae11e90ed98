"""Promises of rotated boxes: suppression beside powerboxes, and pairs beside shapely's tree."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import fastbox
from bench.cases.test_rotated import scene, turned
from bench.promises.promise import Setting, Target
from bench.promises.turns import Reached, Threads, ratio, summed_up, take_turns


def suppressed(setting: Setting) -> Reached:
    """Suppression of an aerial scene, one thread, beside powerboxes' loop; its tree panics on these boxes."""
    import powerboxes

    n = setting.sizes.of(33_000)
    given, scores = scene(n, 1), np.random.default_rng(3).random(n)
    boxes = turned(given)
    calls = {
        "fastbox": lambda: fastbox.nms(boxes, scores, iou_threshold=0.3),
        "powerboxes": lambda: powerboxes.rotated_nms(given, scores, 0.3, 0.0),
    }
    with Threads(1):
        assert np.array_equal(calls["fastbox"](), calls["powerboxes"]())
        return ratio(take_turns(calls, max(setting.rounds // 10, 1)), "powerboxes", "fastbox")


def seconds(setting: Setting) -> Reached:
    n = setting.sizes.of(200_000)
    boxes, scores = turned(scene(n, 1)), np.random.default_rng(3).random(n)
    calls = {"fastbox": lambda: fastbox.nms(boxes, scores, iou_threshold=0.3)}
    with Threads(1):
        return summed_up(take_turns(calls, setting.rounds)["fastbox"], {})


def paired(setting: Setting) -> Reached:
    """Pairs at 0.5, one thread, beside a tree's candidates and the areas of their intersections."""
    import shapely

    n = setting.sizes.of(100_000)
    a, b = turned(scene(n, 1)), turned(scene(n, 2))
    p, q = shapely.polygons(a.corners()), shapely.polygons(b.corners())

    def theirs(of_p: Any, of_q: Any) -> Any:
        rows, cols = shapely.STRtree(q).query(p)
        shared = shapely.area(shapely.intersection(p[rows], q[cols]))
        return ((shared / (of_p[rows] + of_q[cols] - shared)) >= 0.5).sum()

    calls = {
        "fastbox": lambda: len(fastbox.pairs(a, b, threshold=0.5).rows),
        "shapely": partial(theirs, shapely.area(p), shapely.area(q)),
    }
    with Threads(1):
        assert calls["fastbox"]() == calls["shapely"]()
        return ratio(take_turns(calls, max(setting.rounds // 5, 3)), "shapely", "fastbox")


ROTATED = (
    Target("rotated-nms", "nms, 33k rotated boxes: powerboxes", 100, suppressed),
    Target("rotated-nms-time", "nms, 200k rotated boxes", 0.5, seconds, "s", True),
    Target("rotated-pairs", "pairs at 0.5, 10⁵ × 10⁵ rotated boxes: shapely's STRtree", 100, paired),
)
