"""Promises of matching at scale: the index, anchors, suppression and the commands on top of them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fastbox
from bench.promises.promise import Setting, Target, in_process
from bench.promises.turns import Calls, Reached, ratio, summed_up, take_turns
from bench.support import floors, matcher, scenes
from bench.support.paths import public_data
from bench.support.process import COMMAND

RETINANET = (1333, 800)


def indexed(question: str, n: int, layout: scenes.Layout = "uniform") -> Callable[[Setting], Reached]:
    """The index compared with our own dense kernels; both give the same results."""

    def measure(setting: Setting) -> Reached:
        count = setting.sizes.of(n)
        a, b = (scenes.scattered(count, layout, seed=seed) for seed in (1, 2))

        def ask() -> Any:
            return fastbox.best(a, b) if question == "best" else fastbox.pairs(a, b, threshold=0.5)

        def ask_dense() -> Any:
            with floors.dense():
                return ask()

        for one, other in zip(ask(), ask_dense(), strict=True):
            np.testing.assert_array_equal(one, other)
        rounds = max(setting.rounds // (5 if n > 50_000 else 1), 1)
        return ratio(take_turns({"index": ask, "dense": ask_dense}, rounds), "dense", "index")

    return measure


SCENES = """
import sys, time
import fastbox
from bench.support import scenes
from bench.support.process import peak
n = int(sys.argv[1])
"""
MILLION = """
a, b = scenes.scattered(n, seed=1), scenes.scattered(n, seed=2)
fastbox.pairs(a[:3000], b[:3000], threshold=0.5)
start = time.perf_counter()
fastbox.pairs(a, b, threshold=0.5)
print(time.perf_counter() - start, peak())
"""
MANY_TRUTHS = """
grid = fastbox.AnchorGrid.preset("retinanet")
fastbox.match(grid, scenes.truths(3), size=(1333, 800), sparse=True)
truths = scenes.truths(n)
before = peak()
fastbox.match(grid, truths, size=(1333, 800), sparse=True)
print(0, peak() - before)
"""


def in_pairs(code: str, which: int, n: int) -> Callable[[Setting], Reached]:
    """Seconds (0) or MiB (1) that a fresh process reports."""

    def measure(setting: Setting) -> Reached:
        rounds = max(setting.rounds // 5, 1)
        reports = [in_process(SCENES + code, str(setting.sizes.of(n)), words=2) for _ in range(rounds)]
        return summed_up([float(words[which]) for words in reports], {})

    return measure


def matched(truths: int) -> Callable[[Setting], Reached]:
    def measure(setting: Setting) -> Reached:
        import torch

        grid = fastbox.AnchorGrid.preset("retinanet")
        size = (133, 80) if setting.sizes.quick else RETINANET
        found = scenes.truths(truths, size=RETINANET)
        anchors = grid.boxes(size).corners()
        tensors = torch.from_numpy(found), torch.from_numpy(anchors)

        dense = fastbox.match(grid, found, rule="torchvision", size=size)
        told = np.where(dense.labels == 1, dense.truths, np.where(dense.labels == 0, matcher.BELOW, matcher.BETWEEN))
        np.testing.assert_array_equal(told, matcher.match(*tensors).numpy())
        calls: Calls = {
            "fastbox": lambda: fastbox.match(grid, found, rule="torchvision", size=size, sparse=True),
            "fastbox, dense": lambda: fastbox.match(grid, found, rule="torchvision", size=size),
            "torch": lambda: matcher.match(*tensors),
        }
        reached = ratio(take_turns(calls, max(setting.rounds // 3, 3), settle=True), "torch", "fastbox")
        reached.details["anchors"] = len(anchors)
        return reached

    return measure


def suppressed(scene: str, peer: str) -> Callable[[Setting], Reached]:
    def measure(setting: Setting) -> Reached:
        if scene in ("crowded", "heaped"):
            boxes, scores = getattr(scenes, scene)(setting.sizes.of(33_000))
        else:
            boxes = scenes.scattered(setting.sizes.of(1_000_000))
            scores = np.random.default_rng(0).permutation(len(boxes)).astype(np.float32)
        wide, weights = boxes.astype(np.float64), scores.astype(np.float64)

        def ours() -> Any:
            return fastbox.nms(boxes, scores, iou_threshold=0.5)

        if peer == "lsnms":
            import lsnms

            def theirs() -> Any:
                return lsnms.nms(wide, weights, iou_threshold=0.5)
        else:
            import powerboxes

            def theirs() -> Any:
                return powerboxes.rtree_nms(wide, weights, 0.5, 0.0)

        kept = fastbox.nms(wide, weights, iou_threshold=0.5)
        assert len(set(kept.tolist()) ^ set(np.asarray(theirs()).tolist())) <= len(kept) // 1000
        return ratio(take_turns({"fastbox": ours, peer: theirs}, max(setting.rounds // 5, 1)), peer, "fastbox")

    return measure


def assigned(setting: Setting) -> Reached:
    """The command on COCO val2017's truths, from the start of the process to its end."""
    truths = public_data("coco_val2017_gt.parquet")
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder, "out.parquet"))
        arguments = [
            "assign",
            str(truths),
            "--anchors",
            "retinanet",
            "--resize",
            "shorter=800,longer=1333",
            "-o",
            out,
            "--json",
        ]
        return summed_up(command(arguments, setting), {})


def fitted(setting: Setting) -> Reached:
    import pyarrow as pa
    import pyarrow.parquet as pq

    width, height = scenes.shapes(setting.sizes.of(1_000_000))
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "truths.parquet"))
        zeros = np.zeros(len(width), np.float32)
        table = {"x": zeros, "y": zeros, "w": width.astype(np.float32), "h": height.astype(np.float32)}
        pq.write_table(pa.table(table), path)
        return summed_up(command(["anchors", path, "--count", "9", "--json"], setting), {})


def command(arguments: list[str], setting: Setting) -> list[float]:
    """Seconds that a command takes as a process of its own."""
    in_process(COMMAND, *arguments)
    seconds = []
    for _ in range(max(setting.rounds // 3, 1)):
        start = time.perf_counter()
        in_process(COMMAND, *arguments)
        seconds.append(time.perf_counter() - start)
    return seconds


def _indexed() -> list[Target]:
    found = []
    for question in ("best", "pairs"):
        name = "best" if question == "best" else "pairs at 0.5"
        found += [
            Target(f"index-{question}-4", f"{name}, index, 10⁴ × 10⁴: our dense kernel", 5, indexed(question, 10_000)),
            Target(
                f"index-{question}-5",
                f"{name}, index, 10⁵ × 10⁵: dense",
                {"best": 60, "pairs": 50}[question],
                indexed(question, 100_000),
            ),
            *(
                Target(f"index-{question}-{layout}", f"the same, {layout}", 20, indexed(question, 100_000, layout))
                for layout in scenes.LAYOUTS[1:]
            ),
        ]
    return found


MATCHING = (
    *_indexed(),
    Target("million-time", "pairs at 0.5, 10⁶ × 10⁶ in one image", 10, in_pairs(MILLION, 0, 10**6), "s", True),
    Target("million-memory", "its peak memory", 2048, in_pairs(MILLION, 1, 10**6), "MiB", True),
    *(
        Target(f"match-{n}", f"match RetinaNet 800 × 1333, {n} truths: torch, matrix and matcher", wanted, matched(n))
        for n, wanted in ((7, 80), (30, 80), (100, 100))
    ),
    Target("match-memory", "that match, 5,000 truths, memory", 100, in_pairs(MANY_TRUTHS, 1, 5000), "MiB", True),
    Target("assign-coco", "fastbox assign, COCO val2017, RetinaNet anchors", 5, assigned, "s", True),
    *(
        Target(f"nms-{scene}-{peer}", f"nms, {amount} {scene}: {peer}", 5, suppressed(scene, peer))
        for scene, amount in (("crowded", "33k"), ("heaped", "33k"), ("scattered", "10⁶"))
        for peer in ("lsnms", "powerboxes")
    ),
    Target("fit-anchors", "fastbox anchors, 10⁶ boxes", 20, fitted, "s", True),
)
