"""Promises of calls of ten boxes up to a thousand: microseconds beside the work, and what a second thread costs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fastbox
from bench.promises.promise import Setting, Target
from bench.promises.turns import Reached, Threads, ratio, summed_up, take_turns
from bench.support.shapes import boxes

CALLS = 200  # timed together, for the clock is coarse
TRIES = 20  # of which a round keeps the quickest: the others waited for the machine


def timed(n: int, call: Callable[[Any, Any, Any], Any]) -> Callable[[Setting], Reached]:
    """Return the measurement of a call of two sets of n boxes and of scores, in microseconds."""

    def measure(setting: Setting) -> Reached:
        a, b = boxes(n, "float32", seed=1), boxes(n, "float32", seed=2)
        scores = np.random.default_rng(3).random(n).astype(np.float32)

        def once() -> float:
            start = time.perf_counter()
            for _ in range(CALLS):
                call(a, b, scores)
            return 1e6 * (time.perf_counter() - start) / CALLS

        with Threads(1):
            once()
            return summed_up([min(once() for _ in range(TRIES)) for _ in range(setting.rounds)], {})

    return measure


def few(name: str, work: str, wanted: float, call: Callable[[Any, Any, Any], Any], n: int = 10) -> Target:
    return Target(f"latency-{name}", work, wanted, timed(n, call), "µs", at_most=True)


def second_thread(setting: Setting) -> Reached:
    """Compare one thread with two where two hardly pay: twenty calls in a row, for a thread sleeps between calls."""
    a, b = boxes(1000, "float32", seed=1), boxes(1000, "float32", seed=2)

    def calls(n: int) -> None:
        with Threads(n):
            for _ in range(20):
                fastbox.pairs(a, b, threshold=0.5)

    return ratio(take_turns({"one": lambda: calls(1), "two": lambda: calls(2)}, setting.rounds), "one", "two")


OUT, GRAD_OUT = np.empty(10, np.float32), np.empty((10, 4), np.float32)

LATENCY = (
    few("pairwise", "a call of pairwise, 10 × 10 boxes", 6, lambda a, b, _: fastbox.pairwise(a, b)),
    few("pairwise-100", "a call of pairwise, 100 × 100 boxes", 15, lambda a, b, _: fastbox.pairwise(a, b), 100),
    few("aligned", "a call of aligned, 10 boxes", 4, lambda a, b, _: fastbox.aligned(a, b)),
    few("pairs", "a call of pairs, 10 × 10 boxes", 10, lambda a, b, _: fastbox.pairs(a, b, threshold=0.5)),
    few("nms", "a call of nms, 10 boxes", 8, lambda a, _, scores: fastbox.nms(a, scores, iou_threshold=0.5)),
    few("encode", "a call of encode, 10 boxes", 10, lambda a, b, _: fastbox.encode(a, b)),
    few("decode", "a call of decode, 10 boxes", 15, lambda a, b, _: fastbox.decode(b, a)),
    few(
        "loss",
        "a call of giou_loss with gradient, 10 boxes",
        12,
        lambda a, b, _: fastbox.giou_loss(a, b, return_grad=True),
    ),
    few(
        "loss-out",
        "a call of giou_loss with gradient into out= and grad_out=, 10 boxes",
        12,
        lambda a, b, _: fastbox.giou_loss(a, b, reduction="none", return_grad=True, out=OUT, grad_out=GRAD_OUT),
    ),
    few("aligned-out", "a call of aligned into out=, 10 boxes", 6, lambda a, b, _: fastbox.aligned(a, b, out=OUT)),
    few("aligned-1000", "a call of aligned, 1,000 boxes", 10, lambda a, b, _: fastbox.aligned(a, b), 1000),
    few("loss-1000", "a call of giou_loss, 1,000 boxes", 10, lambda a, b, _: fastbox.giou_loss(a, b), 1000),
    few(
        "nms-1000",
        "a call of nms, 1,000 boxes",
        180,
        lambda a, _, scores: fastbox.nms(a, scores, iou_threshold=0.5),
        1000,
    ),
    Target("latency-threads", "pairs of 1,000 × 1,000 boxes, two threads: one thread", 0.9, second_thread),
)
