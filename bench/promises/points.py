"""Promises of points: candidates and assignments without anchors, on one thread, beside ultralytics and plain torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fastbox
from bench.promises.promise import Setting, Target
from bench.promises.turns import Calls, Reached, Threads, ratio, summed_up, take_turns
from bench.support import points
from bench.support.paths import public_data

CROWDED = 4967  # truths of the most crowded of the 128 images of ultralytics' issue 25990
IN_ALL = 75_357


def assigned(rule: str, peer: str, truths: int) -> Callable[[Setting], Reached]:
    """A match of one image compared with the peer's; both find the same points and truths."""

    def measure(setting: Setting) -> Reached:
        n = max(truths // 10, 3) if setting.sizes.quick else truths
        crowd = truths > 100
        given = points.scene(
            n,
            1280 if crowd else 640,
            sides=(16, 100) if crowd else (8, 320),
            offset=0.0 if rule == "rtmdet" else 0.5,
        )
        changed = {"scores": points.logits(given.scores)} if rule == "rtmdet" else {}
        theirs = getattr(points, peer)(given)
        ours = given.match(rule, **changed)
        for one, other in zip(theirs(), (ours.anchors, ours.truths), strict=True):
            np.testing.assert_array_equal(one, other)
        calls: Calls = {"fastbox": lambda: given.match(rule, **changed), peer: theirs}
        with Threads(1):
            times = take_turns(calls, max(setting.rounds // 3, 3), settle=True, clock=time.thread_time)
        return ratio(times, peer, "fastbox")

    return measure


def val2017(side: int = 640) -> fastbox.Boxes:
    """Read COCO val2017's truths as ultralytics has them: images scaled to a side, and padded on both sides."""
    import pyarrow.parquet as pq

    table = pq.read_table(public_data("coco_val2017_gt.parquet")).sort_by("image_id")
    read = {name: table[name].to_numpy() for name in table.column_names}
    size = np.stack([read["width"], read["height"]], axis=1)
    scale = side / size.max(axis=1, keepdims=True)
    left = np.round((side - np.round(size * scale)) / 2 - 0.1)
    corners = np.stack([read[name] for name in ("xmin", "ymin", "xmax", "ymax")], axis=1)
    kept = ~read["iscrowd"]
    moved = (corners * scale + np.tile(left, 2)).astype(np.float32)
    return fastbox.Boxes(moved[kept], images=read["image_id"][kept])


def geometry(rule: str) -> Callable[[Setting], Reached]:
    """Milliseconds for the truths of all images: their candidates counted, or FCOS' exact assignment."""

    def measure(setting: Setting) -> Reached:
        truths, grid = val2017(), fastbox.PointGrid.preset(rule)

        def ours() -> Any:
            if rule == "fcos":
                return fastbox.match(grid, truths, rule=rule, size=(640, 640), sparse=True)
            return fastbox.candidates(grid, truths, rule=rule, size=(640, 640))

        with Threads(1):
            seconds = take_turns({"fastbox": ours}, setting.rounds, clock=time.thread_time)["fastbox"]
        return summed_up([1e3 * one for one in seconds], {})

    return measure


def masked(setting: Setting) -> Reached:
    """Candidates of val2017 counted, compared with the masks that ultralytics makes of each image."""
    from ultralytics.utils.tal import TaskAlignedAssigner

    torch = points.one_thread()
    truths, grid = val2017(), fastbox.PointGrid.preset("yolov8")
    assert truths.offsets is not None
    assigner = TaskAlignedAssigner(topk=10, num_classes=80, alpha=0.5, beta=6.0, stride=[8, 16, 32])
    xy, corners = torch.from_numpy(grid.points((640, 640))), torch.from_numpy(truths.corners())
    images = [corners[s:e][None] for s, e in zip(truths.offsets[:-1], truths.offsets[1:], strict=True)]
    images = images[:100] if setting.sizes.quick else images
    present = [torch.ones(1, one.shape[1], 1, dtype=torch.bool) for one in images]

    def theirs() -> Any:
        made = zip(images, present, strict=True)
        return [assigner.select_candidates_in_gts(xy, one, mask).sum(dim=2)[0] for one, mask in made]

    def ours() -> Any:
        return fastbox.candidates(grid, truths, rule="yolov8", size=(640, 640))

    told = torch.cat(theirs()).numpy()
    np.testing.assert_array_equal(ours().totals[: len(told)], told)
    with Threads(1):
        times = take_turns(
            {"fastbox": ours, "ultralytics": theirs}, max(setting.rounds // 5, 2), clock=time.thread_time
        )
    return ratio(times, "ultralytics", "fastbox")


def batch(setting: Setting) -> Reached:
    """Seconds for TAL of a batch of 128 images, the most crowded with 4,967 truths; boxes and scores are made up."""
    rng = np.random.default_rng(0)
    rest = rng.lognormal(0, 1, 127)
    counts = np.concatenate([[CROWDED], np.maximum(rest / rest.sum() * (IN_ALL - CROWDED), 1).astype(int)])
    counts[1] += IN_ALL - counts.sum()
    counts = counts // 100 + 1 if setting.sizes.quick else counts
    grid = fastbox.PointGrid.preset("yolov8")
    wanted = fastbox.Boxes(points.truths(int(counts.sum()), 640, (6, 60)), offsets=np.cumsum([0, *counts]))
    one = points.scene(100, classes=8)
    boxes = fastbox.Boxes(np.tile(one.boxes, (128, 1)), offsets=np.arange(129) * len(one.boxes))
    given = {"boxes": boxes, "scores": np.tile(one.scores, (128, 1)), "classes": rng.integers(0, 8, len(wanted))}
    with Threads(1):
        times = take_turns(
            {"fastbox": lambda: fastbox.match(grid, wanted, rule="tal", size=640, sparse=True, **given)},
            max(setting.rounds // 3, 3),
            clock=time.thread_time,
        )
    return summed_up(times["fastbox"], {"truths": len(wanted)})


POINTS = (
    Target("points-count", "candidates of val2017 at 640, TAL", 10, geometry("yolov8"), "ms", True),
    Target("points-fcos", "FCOS' exact assignment of val2017 at 640", 60, geometry("fcos"), "ms", True),
    Target("points-mask", "candidates of val2017: ultralytics' masks", 400, masked),
    *(
        Target(
            f"points-tal-{n}", f"TAL, {p} points, {n} truths: ultralytics", wanted, assigned("tal", "ultralytics", n)
        )
        for n, p, wanted in ((7, "8,400", 15), (100, "8,400", 25), (1000, "33,600", 500))
    ),
    Target("points-simota", "SimOTA, 8,400 points, 100 truths: torch", 250, assigned("yolox", "simota", 100)),
    Target("points-rtmdet", "RTMDet, 8,400 points, 100 truths: torch", 100, assigned("rtmdet", "rtmdet", 100)),
    Target("points-batch", "TAL, a batch of 128 images with 75,357 truths", 0.15, batch, "s", True),
)
