"""Compare kernels with the limits of the machine: exit 1 if one has become far slower than it should be.

    python -m bench.promises.gate

Each kernel takes turns with its floor in one process, on one thread: filling, reading or copying as much memory, or a
plain loop over the same boxes. Both are timed by the processor, and the median of the ratios of the rounds counts, so
that other load on the machine changes little. A bound is about half of what is reached, and a kernel below its bound is
measured again before the gate fails: it finds a kernel that no longer vectorises, streams or prunes, and nothing less.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np

import fastbox
from bench.promises.turns import Calls, Reached, Threads, ratio, take_turns
from bench.support import floors, naive, scenes
from bench.support.shapes import Sizes, boxes

ROUNDS = 9
ATTEMPTS = 3  # measurements of a kernel, the last with more rounds, before the gate fails


class Gate(NamedTuple):
    """A kernel and its floor: the least time of the floor over that of the kernel, and both as calls.

    With ``settle`` each call that is timed comes after two that are not: it finds its own memory in the caches.
    """

    name: str
    work: str
    least: float
    calls: Callable[[Sizes], Calls]
    settle: bool = False


def fill(sizes: Sizes) -> Calls:
    n, m = sizes.matrix("large")
    a, b = boxes(n, "float32", seed=1), boxes(m, "float32", seed=2)
    ours, filled = floors.touched((n, m), "float32"), floors.touched((n, m), "float32")
    return {"fastbox": lambda: fastbox.pairwise(a, b, out=ours), "floor": lambda: filled.fill(0.5)}


def best(sizes: Sizes) -> Calls:
    n = sizes.of(1500)
    a, b = boxes(n, "float32", seed=1), boxes(n, "float32", seed=2)
    return {"fastbox": lambda: fastbox.best(a, b), "floor": lambda: floors.run_naive_best(a, b)}


def histogram(sizes: Sizes) -> Calls:
    n = sizes.of(1500)
    a, b = boxes(n, "float32", seed=1), boxes(n, "float32", seed=2)
    return {"fastbox": lambda: fastbox.histogram(a, b), "floor": lambda: naive.histogram(a, b, 20)}


def nms(sizes: Sizes) -> Calls:
    detections, scores = scenes.heaped(sizes.of(5000))
    return {
        "fastbox": lambda: fastbox.nms(detections, scores, iou_threshold=0.5),
        "floor": lambda: naive.nms(detections, scores, 0.5),
    }


def aligned(sizes: Sizes, pairs: int = 2_000_000) -> Calls:
    n = sizes.of(pairs)
    a, b, room = boxes(n, "float32", seed=1), boxes(n, "float32", seed=2), floors.touched(n, "float32")
    p, q = a.reshape(-1), b.reshape(-1)
    return {
        "fastbox": lambda: fastbox.aligned(a, b, out=room),
        "floor": lambda: floors.read_both_and_add(p, q, 1),
    }


def encode(sizes: Sizes) -> Calls:
    n = sizes.of(1_000_000)
    anchors, truths = boxes(n, "float32", seed=1), boxes(n, "float32", seed=2)
    return {
        "fastbox": lambda: fastbox.encode(truths, anchors),
        "floor": lambda: (anchors.copy(), truths.copy()),
    }


def loss(sizes: Sizes) -> Calls:
    n = sizes.of(8_000_000)
    rng = np.random.default_rng(3)
    target = rng.uniform(0, 640, n).astype(np.float32)
    pred = target + rng.normal(0, 1.5, n).astype(np.float32)
    return {
        "fastbox": lambda: fastbox.smooth_l1_loss(pred, target),
        "floor": lambda: floors.read_both_and_add(pred, target, 1),
    }


def gradient(sizes: Sizes, pairs: int = 1_000_000) -> Calls:
    n = sizes.of(pairs)
    pred, target = boxes(n, "float32", seed=1), boxes(n, "float32", seed=2)
    room, other = floors.touched(pred.shape, "float32"), floors.touched(pred.size, "float32")
    p, q = pred.reshape(-1), target.reshape(-1)
    return {
        "fastbox": lambda: fastbox.giou_loss(pred, target, return_grad=True, grad_out=room),
        "floor": lambda: floors.subtract(p, q, other, 1),
    }


GATES = (
    Gate("fill", "pairwise IoU into out=, 64 MB: fill", 0.3, fill, settle=True),
    Gate("best", "best IoU, 1500²: naive loop", 2.5, best),
    Gate("histogram", "histogram of IoU, 1500²: naive loop", 0.5, histogram),
    Gate("nms", "nms, 5,000 heaped: naive loop", 2.5, nms),
    Gate("aligned", "aligned IoU, 2M pairs: read and add", 0.35, aligned),
    Gate("aligned-cached", "aligned IoU, 40,000 pairs: read and add", 0.3, partial(aligned, pairs=40_000), settle=True),
    Gate("encode", "encode, 1M boxes: copy", 0.12, encode),
    Gate("loss", "mean smooth L1, 8M: read and add", 0.4, loss),
    Gate("gradient", "GIoU loss and gradient, 1M boxes: c = a - b", 0.3, gradient, settle=True),
    Gate(
        "gradient-cached",
        "GIoU loss and gradient, 40,000 boxes: c = a - b",
        0.12,
        partial(gradient, pairs=40_000),
        settle=True,
    ),
)


def measured(gate: Gate, sizes: Sizes, rounds: int) -> Reached:
    with Threads(1):
        times = take_turns(gate.calls(sizes), rounds, settle=gate.settle, clock=time.thread_time)
    return ratio(times, "floor", "fastbox")


def holds(gate: Gate, sizes: Sizes, rounds: int) -> bool:
    """Measure until the bound is reached, at most ATTEMPTS times, and tell whether it was."""
    for attempt in range(1, ATTEMPTS + 1):
        reached = measured(gate, sizes, rounds * (3 if attempt == ATTEMPTS else 1))
        passed = reached.value >= gate.least
        verdict = "yes" if passed else "measured again" if attempt < ATTEMPTS else "NO"
        spread = f"[{reached.low:.3g}, {reached.high:.3g}]"
        print(f"{gate.work:<44} ≥ {gate.least:<4g} reached {reached.value:>5.3g} {spread:>15}  {verdict}", flush=True)
        if passed:
            return True
    return False


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compare kernels with the limits of the machine.")
    parser.add_argument("--only", metavar="NAME", default="", help="kernels whose name begins so")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all of it runs; always exits 0")
    given = parser.parse_args(arguments)
    sizes, rounds = Sizes(given.quick), 1 if given.quick else ROUNDS
    start = time.perf_counter()
    chosen = [gate for gate in GATES if gate.name.startswith(given.only)]
    slow = [gate.name for gate in chosen if not holds(gate, sizes, rounds)]
    print(f"{len(chosen)} kernels in {time.perf_counter() - start:.0f} s; too slow: {', '.join(slow) or 'none'}")
    return 1 if slow and not given.quick else 0


if __name__ == "__main__":
    sys.exit(main())
