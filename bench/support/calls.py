"""Single calls of libraries whose memory is compared, each in a process of its own."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import fastbox
from bench.support.peers import MATRIX, best
from bench.support.process import forget_peak, peak
from bench.support.scenes import crowded, scattered
from bench.support.shapes import boxes

__all__ = ["RUN", "WORKS", "run"]

RUN = "from bench.support.calls import run; run()"
FEW = 64  # boxes of the call before, which loads kernels, threads and libraries
THRESHOLD = 0.5

Call = Callable[..., Any]


def _matrix(name: str) -> Call:
    peer = next(peer for peer in MATRIX if str(peer) == name)
    return lambda a, b: peer.function("iou")(peer.prepare(a), peer.prepare(b))


def _best(name: str) -> Call:
    peer = next(peer for peer in MATRIX if str(peer) == name)
    return lambda a, b: best(peer, "iou")(peer.prepare(a), peer.prepare(b))


def _nms_of_torchvision(corners: Any, scores: Any) -> Any:
    torch, ops = importlib.import_module("torch"), importlib.import_module("torchvision").ops
    return ops.nms(torch.from_numpy(corners), torch.from_numpy(scores), THRESHOLD)


def _nms_of_supervision(corners: Any, scores: Any) -> Any:
    suppress = importlib.import_module("supervision").box_non_max_suppression
    return suppress(np.concatenate([corners, scores[:, None]], axis=1), THRESHOLD)


def _nms_of_powerboxes(corners: Any, scores: Any) -> Any:
    return importlib.import_module("powerboxes").rtree_nms(corners, scores.astype(np.float64), THRESHOLD, 0.0)


def _nms_of_lsnms(corners: Any, scores: Any) -> Any:
    return importlib.import_module("lsnms").nms(corners, scores, iou_threshold=THRESHOLD)


def two(n: int) -> tuple[Any, Any]:
    """Draw two sets of n boxes."""
    return boxes(n, "float32"), boxes(n, "float32", seed=1)


def spread(n: int) -> tuple[Any, Any]:
    """Draw n detections over a large image, and their scores."""
    return scattered(n), np.random.default_rng(0).permutation(n).astype(np.float32)


MATRICES = {name: _matrix(name) for name in ("numpy", "powerboxes", "supervision", "torchvision")}
BESTS = {name: _best(name) for name in MATRICES}
INDEXED = {"powerboxes": _nms_of_powerboxes, "lsnms": _nms_of_lsnms}
SUPPRESSED = {**INDEXED, "supervision": _nms_of_supervision, "torchvision": _nms_of_torchvision}


def _suppress(corners: Any, scores: Any) -> Any:
    return fastbox.nms(corners, scores, iou_threshold=THRESHOLD)


# The inputs of some number of boxes, that number, and the calls by library.
WORKS: Mapping[str, tuple[Call, int, Mapping[str, Call]]] = {
    "IoU matrix": (two, 10_000, {"fastbox": fastbox.pairwise, **MATRICES}),
    "best IoU of each row": (two, 10_000, {"fastbox": fastbox.best, **BESTS}),
    "nms, crowded": (crowded, 10_000, {"fastbox": _suppress, **SUPPRESSED}),
    "nms, scattered": (spread, 1_000_000, {"fastbox": _suppress, **INDEXED}),
}


def run() -> None:
    """Run the call of a work and a library, the arguments of this process; print the MiB that it takes at its peak."""
    work, library, n = sys.argv[1:]
    made, _, calls = WORKS[work]
    inputs = made(int(n))
    calls[library](*made(FEW))
    gc.collect()
    before = forget_peak()
    found = calls[library](*inputs)
    print(peak() - before)
    del found
