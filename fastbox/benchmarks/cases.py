"""The work of `fastbox bench`: calls of fastbox, and of the peers that are installed, for the same results."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import field
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np

from fastbox._record import dataclass
from fastbox.benchmarks import peers
from fastbox.benchmarks.shapes import boxes, heaped, ragged
from fastbox.kernels.metrics import title_of
from fastbox.losses import coordinates, overlap
from fastbox.ops import search as ops
from fastbox.ops.aligned import aligned
from fastbox.suppression.nms import nms

__all__ = ["LIBRARIES", "Rival", "Work", "works"]

LIBRARIES = ("lsnms", "powerboxes", "pycocotools", "supervision", "torch", "torchvision")
TOLERANCE = 2e-3  # of float32
DTYPE = "float32"


@dataclass(frozen=True)
class Rival:
    """A peer: its call, the meaning of what the call returns, and whether the call uses all processors."""

    name: str
    call: Callable[[], Any]
    value: Callable[[Any], Any] = lambda found: found
    all_threads: bool = False


@dataclass(frozen=True)
class Work:
    """A row of the table: what is done, on how much, by fastbox and by its peers.

    Attributes
    ----------
    what, size : str
    ours : callable
    rivals : sequence of Rival
        The peers that are installed.
    same : callable
        Tells whether a peer returned the same as fastbox.
    threaded : bool
        The work is also measured on all threads.
    """

    what: str
    size: str
    ours: Callable[[], Any]
    rivals: Sequence[Rival] = field(default_factory=tuple)
    same: Callable[[Any, Any], bool] = lambda ours, theirs: _near(ours, theirs)
    threaded: bool = True


def works(scale: float = 1.0) -> Iterator[Callable[[], Work]]:
    """Yield functions that prepare one row each; ``scale`` makes all sizes smaller."""
    rows, images, few = int(4000 * scale), int(5000 * scale), int(5000 * scale)
    yield partial(_matrix, "iou", rows)
    yield partial(_matrix, "giou", rows)
    yield partial(_best, rows)
    yield partial(_pairs, few)
    yield partial(_matrix_of_images, images)
    yield partial(_best_of_images, images)
    yield partial(_aligned, int(1_000_000 * scale))
    yield partial(_nms, int(33_000 * scale))
    yield partial(_smooth_l1, int(1_000_000 * scale))
    yield partial(_giou_loss, int(1_000_000 * scale))
    yield _first_result


def _able(metric: str) -> list[peers.Peer]:
    return [peer for peer in peers.MATRIX if peer.able(metric, DTYPE) and find_spec(peer.module)]


def _near(ours: Any, theirs: Any) -> bool:
    return np.shape(ours) == np.shape(theirs) and np.allclose(ours, theirs, TOLERANCE, TOLERANCE)


def _matrix(metric: str, n: int) -> Work:
    a, b = boxes(n, DTYPE, seed=1), boxes(n, DTYPE, seed=2)
    rivals = [
        Rival(peer.name, partial(peer.function(metric), peer.prepare(a), peer.prepare(b)), peer.value, peer.all_threads)
        for peer in _able(metric)
    ]
    return Work(f"{title_of(metric)} matrix", _by(n, n), lambda: ops.pairwise(a, b, metric=metric), rivals)


def _best(n: int) -> Work:
    a, b = boxes(n, DTYPE, seed=1), boxes(n, DTYPE, seed=2)
    rivals = [
        Rival(peer.name, partial(peers.best(peer, "iou"), a, b), _first(peer), peer.all_threads)
        for peer in _able("iou")
    ]
    return Work("best IoU of each row", _by(n, n), lambda: ops.best(a, b).values, rivals)


def _first(peer: peers.Peer) -> Callable[[Any], Any]:
    return lambda found: peer.value(found[0])


def _pairs(n: int) -> Work:
    a, b = boxes(n, DTYPE, seed=1), boxes(n, DTYPE, seed=2)

    def same(ours: Any, theirs: Any) -> bool:
        return np.array_equal(ours[0], theirs[0]) and np.array_equal(ours[1], theirs[1])

    rivals = [Rival("numpy", partial(peers.pairs, a, b, 0.5))]
    return Work("pairs of IoU ≥ 0.50", _by(n, n), lambda: ops.pairs(a, b, threshold=0.5), rivals, same)


def _matrix_of_images(images: int) -> Work:
    data = ragged(images, DTYPE)
    rivals = [
        Rival(f"{peer.name} in a loop", partial(peers.loop_matrix(peer, "iou"), peers.split(data, peer)), _joined(peer))
        for peer in _able("iou")
        if not peer.all_threads
    ]
    grouped: Any = data.grouped()
    return Work("IoU matrix of each image", _images(images), lambda: ops.pairwise(*grouped), rivals, _near_joined)


def _near_joined(ours: Any, theirs: Any) -> bool:
    return _near(ours.values, theirs)


def _joined(peer: peers.Peer) -> Callable[[Any], Any]:
    return lambda found: peer.value(np.concatenate([values.ravel() for values in found]))


def _best_of_images(images: int) -> Work:
    data = ragged(images, DTYPE)
    rivals = [
        Rival(f"{peer.name} in a loop", partial(peers.loop_best(peer, "iou"), peers.split(data, peer)), _first(peer))
        for peer in _able("iou")
        if not peer.all_threads
    ]
    a, b = data.grouped()

    def same(ours: Any, theirs: Any) -> bool:
        return _near(ours[~np.isnan(ours)], theirs)  # detections of images without truths are in no loop

    return Work("best IoU in each image", _images(images), lambda: ops.best(a, b).values, rivals, same)


def _aligned(n: int) -> Work:
    a, b = boxes(n, DTYPE, seed=1), boxes(n, DTYPE, seed=2)
    rivals = [Rival("numpy", lambda: peers.ALIGNED["iou"](a, b))]
    return Work("IoU row by row", f"{n:,}", lambda: aligned(a, b), rivals)


def _nms(n: int) -> Work:
    corners, scores = (side.astype(np.float64) for side in heaped(n))
    rivals = []
    if find_spec("powerboxes"):
        theirs = importlib.import_module("powerboxes").rtree_nms
        rivals.append(Rival("powerboxes", partial(theirs, corners, scores, 0.5, 0.0)))
    if find_spec("lsnms"):
        rivals.append(Rival("lsnms", partial(importlib.import_module("lsnms").nms, corners, scores, 0.5)))
    if find_spec("torchvision"):
        torch = _torch()
        found = importlib.import_module("torchvision").ops.nms
        rivals.append(Rival("torchvision", partial(found, torch.from_numpy(corners), torch.from_numpy(scores), 0.5)))

    def same(ours: Any, theirs: Any) -> bool:
        return np.array_equal(np.sort(ours), np.sort(np.asarray(theirs)))

    return Work("nms, crowded, float64", f"{n:,}", lambda: nms(corners, scores, iou_threshold=0.5), rivals, same)


def _smooth_l1(n: int) -> Work:
    pred, target = boxes(n, DTYPE, seed=1), boxes(n, DTYPE, seed=2)
    rivals = []
    if find_spec("torch"):
        loss = partial(_torch().nn.functional.smooth_l1_loss, reduction="sum")
        rivals.append(Rival("torch", partial(_backward, loss, pred, target)))
    return Work(
        "smooth L1 and gradient",
        f"{n:,}",
        lambda: coordinates.smooth_l1_loss(pred, target, reduction="sum", return_grad=True),
        rivals,
        _same_gradient,
    )


def _giou_loss(n: int) -> Work:
    pred = boxes(n, DTYPE, seed=1)
    target = pred + np.float32(3)
    rivals = []
    if find_spec("torchvision"):
        _torch()
        loss = partial(importlib.import_module("torchvision").ops.generalized_box_iou_loss, reduction="sum")
        rivals.append(Rival("torchvision", partial(_backward, loss, pred, target)))
    return Work(
        "GIoU loss and gradient",
        f"{n:,}",
        lambda: overlap.giou_loss(pred, target, reduction="sum", return_grad=True),
        rivals,
        _same_gradient,
    )


def _same_gradient(ours: Any, theirs: Any) -> bool:
    return _near(ours[1], theirs)


def _torch() -> Any:
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    return torch


def _backward(loss: Callable[[Any, Any], Any], pred: Any, target: Any) -> Any:
    torch = _torch()
    tensor = torch.from_numpy(pred).requires_grad_()
    loss(tensor, torch.from_numpy(target)).backward()
    return tensor.grad.numpy()


FIRST = {
    "powerboxes": "powerboxes.iou_distance(a, a)",
    "pycocotools": "pycocotools.mask.iou(a, a, [0, 0])",
    "supervision": "supervision.box_iou_batch(a, a)",
    "torchvision": "torchvision.ops.box_iou(torch.from_numpy(a), torch.from_numpy(a))",
}
IMPORTS = {"pycocotools": "import pycocotools.mask", "torchvision": "import torch, torchvision"}


def _first_result() -> Work:
    rivals = [
        Rival(name, partial(_process, f"{IMPORTS.get(name, f'import {name}')}; {call}"))
        for name, call in FIRST.items()
        if find_spec(name)
    ]
    ours = partial(_process, "import fastbox; fastbox.pairwise(a, a)")
    return Work("first result of a process", "1 process", ours, rivals, threaded=False)


def _process(code: str) -> int:
    start = "import numpy as np; a = np.array([[0, 0, 2, 2], [1, 0, 3, 2.0]]); "
    return subprocess.run([sys.executable, "-W", "ignore", "-c", start + code], check=True).returncode


def _by(n: int, m: int) -> str:
    return f"{n:,} × {m:,}"


def _images(images: int) -> str:
    return f"{images:,} images"
