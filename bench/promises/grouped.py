"""Promises of functions of many small images at once, beside pycocotools in a loop over the images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastbox
from bench.promises.promise import Setting, Target
from bench.promises.turns import Calls, Reached, Threads, ratio, take_turns
from bench.support import peers
from bench.support.shapes import ragged


def best_grouped(setting: Setting) -> Reached:
    peer = next(peer for peer in peers.MATRIX if peer.name == "pycocotools")
    data = ragged(setting.sizes.of(200_000), "float32")
    a, b = data.grouped()
    images = peers.split(data, peer)
    loop, matrices = peers.loop_best(peer, "iou"), peers.loop_matrix(peer, "iou")
    calls: Calls = {
        "fastbox": lambda: fastbox.best(a, b),
        "pycocotools in a loop": lambda: loop(images),
        "its matrices alone": lambda: matrices(images),
    }
    reached = ratio(take_turns(calls, max(setting.rounds // 3, 1)), "pycocotools in a loop", "fastbox")
    reached.details["pairs"] = data.pairs
    return reached


def pairs_grouped(setting: Setting) -> Reached:
    peer = next(peer for peer in peers.MATRIX if peer.name == "pycocotools")
    data = ragged(setting.sizes.of(200_000), "float32")
    a, b = data.grouped()
    images = peers.split(data, peer)
    matrices = peers.loop_matrix(peer, "iou")
    calls: Calls = {
        "fastbox": lambda: fastbox.pairs(a, b, threshold=0.5),
        "pycocotools in a loop, its matrices alone": lambda: matrices(images),
    }
    with Threads(1):
        times = take_turns(calls, max(setting.rounds // 3, 1))
    return ratio(times, "pycocotools in a loop, its matrices alone", "fastbox")


def beside_best(name: str, call: Callable[[fastbox.Boxes, fastbox.Boxes], Any]) -> Callable[[Setting], Reached]:
    """The best of both sides, whose pairs are the same, compared with a function of the detections and the truths."""

    def measure(setting: Setting) -> Reached:
        a, b = ragged(setting.sizes.of(200_000), "float32").grouped()
        calls: Calls = {name: lambda: call(a, b), "best": lambda: (fastbox.best(a, b), fastbox.best(b, a))}
        with Threads(1):
            return ratio(take_turns(calls, max(setting.rounds // 3, 1)), "best", name)

    return measure


def cut_out(setting: Setting) -> Reached:
    """The best of boxes that are rows of four numbers compared with that of boxes inside rows of six."""
    sides = ragged(setting.sizes.of(200_000), "float32").grouped()
    wide = [np.pad(side.corners(), [(0, 0), (0, 2)])[:, :4] for side in sides]
    inside = [fastbox.Boxes(rows, offsets=side.offsets) for rows, side in zip(wide, sides, strict=True)]
    calls: Calls = {"six": lambda: fastbox.best(*inside), "four": lambda: fastbox.best(*sides)}
    with Threads(1):
        return ratio(take_turns(calls, max(setting.rounds // 3, 1)), "four", "six")


def two_threads(setting: Setting) -> Reached:
    a, b = ragged(setting.sizes.of(200_000), "float32", by_size=True).grouped()

    def on(threads: int) -> Callable[[], Any]:
        def call() -> Any:
            with Threads(threads):
                return fastbox.best(a, b)

        return call

    return ratio(take_turns({"1 thread": on(1), "2 threads": on(2)}, setting.rounds), "1 thread", "2 threads")


GROUPED = (
    Target("best-grouped", "best, 200k images of ~30 × 7: loop with pycocotools", 60, best_grouped),
    Target("pairs-grouped", "pairs at 0.5, 200k images of ~30 × 7, 1 thread: pycocotools' matrices", 15, pairs_grouped),
    Target(
        "match-grouped",
        "match, 200k images of ~30 × 7, 1 thread: best of both sides",
        0.4,
        beside_best("match", fastbox.match),
    ),
    Target(
        "top-grouped",
        "top 3 of the truths, 200k images of ~7 × 30, 1 thread: best of both sides",
        0.5,
        beside_best("top", lambda a, b: fastbox.top(b, a, 3)),
    ),
    Target("cut-out", "best, 200k images of ~30 × 7, rows of six numbers, 1 thread: rows of four", 0.7, cut_out),
    Target("threads", "2 threads: 1 thread, images sorted by size", 1.7, two_threads),
)
