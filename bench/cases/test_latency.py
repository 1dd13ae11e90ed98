"""Calls of ten boxes, as in a loop over images: what a call costs beside its work."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastbox
from bench.conftest import Case, require
from bench.support import peers
from bench.support.shapes import DTYPES, boxes

N = 10

Call = Callable[[], Any]


def sides(dtype: str) -> tuple[Any, Any, Any]:
    """Return two sets of boxes, and scores of the first."""
    return boxes(N, dtype, seed=1), boxes(N, dtype, seed=2), np.random.default_rng(3).random(N).astype(dtype)


def ours(dtype: str) -> dict[str, Call]:
    a, b, scores = sides(dtype)
    deltas = fastbox.encode(a, b)
    return {
        "pairwise": lambda: fastbox.pairwise(a, b),
        "aligned": lambda: fastbox.aligned(a, b),
        "best": lambda: fastbox.best(a, b),
        "top": lambda: fastbox.top(a, b, 3),
        "pairs": lambda: fastbox.pairs(a, b, threshold=0.5),
        "nms": lambda: fastbox.nms(a, scores, iou_threshold=0.5),
        "soft_nms": lambda: fastbox.soft_nms(a, scores),
        "match": lambda: fastbox.match(a, b),
        "encode": lambda: fastbox.encode(a, b),
        "decode": lambda: fastbox.decode(deltas, b),
        "giou_loss": lambda: fastbox.giou_loss(a, b),
        "giou_loss, gradient": lambda: fastbox.giou_loss(a, b, return_grad=True),
        "smooth_l1_loss": lambda: fastbox.smooth_l1_loss(a, b),
    }


def torchvision(name: str) -> Callable[..., Any]:
    """Return a function of torchvision that takes arrays: tensors of arrays share their memory."""
    torch = importlib.import_module("torch")
    operation = getattr(importlib.import_module("torchvision.ops"), name)
    return lambda *arrays: operation(*(torch.from_numpy(one) if isinstance(one, np.ndarray) else one for one in arrays))


def theirs(verb: str, module: str, dtype: str) -> Call:
    """Return the call of a peer that does the work of a verb."""
    a, b, scores = sides(dtype)
    if verb == "nms":
        if module == "torchvision":
            nms = torchvision("nms")
            return lambda: nms(a, scores, 0.5)
        nms, wide = importlib.import_module(module).nms, scores.astype(np.float64)
        return lambda: nms(a, wide, 0.5, 0.0)
    if module == "torchvision":
        iou = torchvision("box_iou")
        return lambda: iou(a, b)
    peer = next(one for one in peers.MATRIX if one.module == module and not one.all_threads)
    iou, p, q = peer.function("iou"), peer.prepare(a), peer.prepare(b)
    return lambda: iou(p, q)


PEERS = (
    ("pairwise", "powerboxes"),
    ("pairwise", "pycocotools"),
    ("pairwise", "supervision"),
    ("pairwise", "torchvision"),
    ("nms", "powerboxes"),
    ("nms", "torchvision"),
)


def facts(verb: str, dtype: str) -> dict[str, Any]:
    return {"kernel": f"latency {verb}", "metric": "iou", "dtype": dtype, "size": "ten", "shape": f"{N} boxes"}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("verb", ours("float32"))
def test_ours(case: Case, verb: str, dtype: str) -> None:
    case(ours(dtype)[verb], name="fastbox", role="ours", **facts(verb, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("verb", "module"), PEERS)
def test_peer(case: Case, verb: str, module: str, dtype: str) -> None:
    require(module)
    case(theirs(verb, module, dtype), name=module, role="peer", **facts(verb, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_floor(case: Case, dtype: str) -> None:
    """The result allocated, and one call of NumPy that reads both arrays."""
    a, b, _ = sides(dtype)
    case(
        lambda: np.subtract(a, b, out=np.empty((N, 4), dtype)),
        name="subtract",
        role="floor",
        **facts("pairwise", dtype),
    )
