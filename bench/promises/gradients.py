"""Promises of losses with gradients: the speed of memory, and many times the speed of torch's autograd."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import fastbox
from bench.promises.promise import Setting, Target
from bench.promises.turns import Calls, Reached, ratio, summed_up, take_turns
from bench.support import floors, peers

BOXES = 4_000_000
OVERLAPS = "iou,giou,diou,ciou,eiou"


def drawn(setting: Setting) -> tuple[Any, Any]:
    """Float32 targets, and predictions near them."""
    rng = np.random.default_rng(3)
    n = setting.sizes.of(BOXES)
    near = rng.uniform(0, 600, (n, 2))
    target = np.hstack([near, near + rng.uniform(8, 200, (n, 2))]).astype(np.float32)
    return target + rng.normal(0, 1.5, (n, 4)).astype(np.float32), target


def over_floor(loss: str) -> Callable[[Setting], Reached]:
    """Mean and gradient, against c = a - b over the same arrays: both read as much and write as much."""

    def measure(setting: Setting) -> Reached:
        pred, target = drawn(setting)
        room, other = floors.touched(pred.shape, "float32"), floors.touched(pred.size, "float32")
        p, q, threads = pred.reshape(-1), target.reshape(-1), fastbox.get_num_threads()
        function = getattr(fastbox, loss)
        calls: Calls = {
            "fastbox": lambda: function(pred, target, return_grad=True, grad_out=room),
            "subtract": lambda: floors.subtract(p, q, other, threads),
        }
        return ratio(take_turns(calls, setting.rounds, settle=True), "subtract", "fastbox")

    return measure


def over_torch(setting: Setting) -> Reached:
    pred, target = drawn(setting)
    room = floors.touched(pred.shape, "float32")
    tensor, backward = peers.torch_giou_backward(fastbox.get_num_threads())
    p, q = tensor(pred), tensor(target)
    calls: Calls = {
        "fastbox": lambda: fastbox.giou_loss(pred, target, return_grad=True, grad_out=room),
        "torch": lambda: backward(p, q),
    }
    return ratio(take_turns(calls, max(setting.rounds // 3, 1)), "torch", "fastbox")


def experiment(setting: Setting) -> Reached:
    """The whole command, from the start of the process; once before, so that its kernels are compiled."""
    command = [sys.executable, "-m", "fastbox", "experiment", "regression", "--losses", OVERLAPS, "--json"]
    root = os.path.dirname(os.path.dirname(fastbox.__file__))
    environment = {**os.environ, "PYTHONPATH": root}

    def run(points: int) -> float:
        start = time.perf_counter()
        full = [*command, "--points", str(points)]
        subprocess.run(full, env=environment, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    run(1)
    return summed_up([run(setting.sizes.of(5000)) for _ in range(max(setting.rounds // 5, 1))], {})


GRADIENTS = (
    Target(
        "grad-smooth",
        "smooth_l1_loss and gradient, 16M float32: c = a - b",
        0.9,
        over_floor("smooth_l1_loss"),
    ),
    Target("grad-giou", "giou_loss and gradient, 4M boxes float32: c = a - b", 0.7, over_floor("giou_loss")),
    Target("grad-ciou", "ciou_loss and gradient, 4M boxes float32: c = a - b", 0.5, over_floor("ciou_loss")),
    Target("grad-torch", "giou_loss and gradient, 4M boxes float32: torch autograd", 20, over_torch),
    Target("regression", "fastbox experiment regression, 5 overlap losses", 60, experiment, "s", True),
)
