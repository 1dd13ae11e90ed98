"""Peers at the same work: other libraries and plain loops; conversions to their formats and dtypes are not timed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from fastbox._record import dataclass
from fastbox.benchmarks.shapes import DTYPES, Floats, Ragged

__all__ = [
    "ALIGNED",
    "BETA",
    "MATRIX",
    "Matrix",
    "Peer",
    "able",
    "best",
    "giou",
    "iou",
    "loop_best",
    "loop_matrix",
    "pairs",
    "smooth",
    "split",
]

Matrix = Callable[[Floats, Floats], Floats]

BETA = 1.0  # of smooth L1, everywhere
BLOCK = 32  # rows of a that numpy takes at once where the matrix is not wanted: its best of 4 to 1024


def _same(values: Floats) -> Floats:
    return values


@dataclass(frozen=True)
class Peer:
    """Another way to the matrix.

    ``function`` gives the function of a metric, ``prepare`` what it takes instead of corners, ``value`` what its result
    means as a value of the metric, and ``best`` the method of an array that finds the best in a row of its result.
    """

    name: str
    module: str
    metrics: tuple[str, ...]
    function: Callable[[str], Matrix]
    all_threads: bool = False
    dtypes: tuple[str, ...] = DTYPES
    prepare: Callable[[Floats], Floats] = _same
    value: Callable[[Floats], Floats] = _same
    best: str = "argmax"

    def __str__(self) -> str:
        return f"{self.name} parallel" if self.all_threads else self.name

    def able(self, metric: str, dtype: str) -> bool:
        """Tell whether the peer does the work of a case."""
        return metric in self.metrics and dtype in self.dtypes


def _powerboxes(prefix: str) -> Callable[[str], Matrix]:
    return lambda metric: getattr(importlib.import_module("powerboxes"), f"{prefix}{metric}_distance")


def _pycocotools(metric: str) -> Matrix:
    iou = importlib.import_module("pycocotools.mask").iou
    crowd = metric == "iof"  # against a crowd pycocotools divides by the detection's own area
    return lambda a, b: iou(a, b, np.full(len(b), crowd, np.uint8))


def _supervision(metric: str) -> Matrix:
    compare = importlib.import_module("supervision").box_iou_batch
    return lambda a, b: compare(a, b, metric.upper())


def _torchvision(metric: str) -> Matrix:
    torch, ops = importlib.import_module("torch"), importlib.import_module("torchvision").ops
    torch.set_num_threads(1)
    compare = ops.box_iou if metric == "iou" else ops.generalized_box_iou

    def matrix(a: Floats, b: Floats) -> Floats:
        found: Floats = compare(torch.from_numpy(a), torch.from_numpy(b)).numpy()
        return found

    return matrix


def _xywh(corners: Floats) -> Floats:
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1).astype(np.float64)


def _similarity(distance: Floats) -> Floats:
    return 1 - distance


def overlap(a: Floats, b: Floats) -> tuple[Floats, Floats, Floats]:
    """Intersection and union of all pairs, and the areas of a: a column at a time and in place, numpy's fastest way."""
    p0, q0, p1, q1 = a.T[:, :, None]
    x0, y0, x1, y1 = np.ascontiguousarray(b.T)
    inter, height = np.minimum(p1, x1), np.minimum(q1, y1)
    inter -= np.maximum(p0, x0)
    height -= np.maximum(q0, y0)
    np.maximum(inter, 0, out=inter)
    np.maximum(height, 0, out=height)
    inter *= height
    area = (p1 - p0) * (q1 - q0)
    union = np.add(area, (x1 - x0) * (y1 - y0), out=height)
    union -= inter
    return inter, union, area


def hull(a: Floats, b: Floats) -> Floats:
    """Area of the smallest box around each pair."""
    p0, q0, p1, q1 = a.T[:, :, None]
    x0, y0, x1, y1 = np.ascontiguousarray(b.T)
    area: Floats = np.maximum(p1, x1)
    area -= np.minimum(p0, x0)
    height = np.maximum(q1, y1)
    height -= np.minimum(q0, y0)
    area *= height
    return area


def iou(a: Floats, b: Floats) -> Floats:
    """Return the IoU of all pairs."""
    inter, union, _ = overlap(a, b)
    inter /= union
    return inter


def iof(a: Floats, b: Floats) -> Floats:
    """Return the share of each box of a in each box of b."""
    inter, _, area = overlap(a, b)
    inter /= area
    return inter


def giou(a: Floats, b: Floats) -> Floats:
    """Return the GIoU of all pairs."""
    inter, union, _ = overlap(a, b)
    around = hull(a, b)
    inter /= union
    np.subtract(around, union, out=union)
    union /= around
    inter -= union
    return inter


def l1(a: Floats, b: Floats) -> Floats:
    """Return the L1 distance of all pairs."""
    total: Floats = np.abs(a[:, 0, None] - b[:, 0])
    for k in (1, 2, 3):
        total += np.abs(a[:, k, None] - b[:, k])
    return total


def smooth_l1(a: Floats, b: Floats) -> Floats:
    """Return Smooth L1 of all pairs."""
    total = smooth(a[:, 0, None] - b[:, 0])
    for k in (1, 2, 3):
        total += smooth(a[:, k, None] - b[:, k])
    return total


def smooth(difference: Floats) -> Floats:
    """Smooth L1 of differences."""
    T = difference.dtype.type
    far = np.abs(difference)
    loss: Floats = np.where(far < BETA, far * far * T(0.5 / BETA), far - T(0.5 * BETA))
    return loss


NUMPY: Mapping[str, Matrix] = {"iou": iou, "iof": iof, "giou": giou, "l1": l1, "smooth_l1": smooth_l1}

MATRIX = (
    Peer("numpy", "numpy", tuple(NUMPY), NUMPY.__getitem__),
    Peer(  # its diou and ciou stop short where boxes don't overlap, which is other work
        "powerboxes",
        "powerboxes",
        ("iou", "giou"),
        _powerboxes(""),
        value=_similarity,
        best="argmin",
    ),
    Peer(
        "powerboxes",
        "powerboxes",
        ("iou", "giou"),
        _powerboxes("parallel_"),
        all_threads=True,
        value=_similarity,
        best="argmin",
    ),
    Peer("pycocotools", "pycocotools", ("iou", "iof"), _pycocotools, dtypes=("float64",), prepare=_xywh),
    Peer(  # its result is float32 whatever comes
        "supervision",
        "supervision",
        ("iou", "ios"),
        _supervision,
        dtypes=("float32",),
    ),
    Peer("torchvision", "torchvision", ("iou", "giou"), _torchvision),
)


def able(grid: Iterable[tuple[str, str]]) -> list[tuple[str, str, Peer, str]]:
    """Each metric and size with every peer and dtype that does the same work."""
    return [
        (metric, size, peer, dtype)
        for metric, size in grid
        for peer in MATRIX
        for dtype in DTYPES
        if peer.able(metric, dtype)
    ]


def best(peer: Peer, metric: str) -> Callable[[Floats, Floats], tuple[Floats, Floats]]:
    """The best of each row, from the matrix: values in the dtype of the peer, and columns."""
    matrix = peer.function(metric)

    def run(a: Floats, b: Floats) -> tuple[Floats, Floats]:
        values = matrix(a, b)
        columns = getattr(values, peer.best)(axis=1)
        return values[np.arange(len(values)), columns], columns

    return run


def pairs(a: Floats, b: Floats, threshold: float) -> tuple[Floats, Floats, Floats]:
    """All pairs that reach the threshold, with numpy, in blocks of rows that fit in the caches."""
    rows, columns, found = [], [], []
    for first in range(0, len(a), BLOCK):
        values = iou(a[first : first + BLOCK], b)
        i, j = np.nonzero(values >= a.dtype.type(threshold))
        rows.append(i + first)
        columns.append(j)
        found.append(values[i, j])
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(found)


def aligned_iou(a: Floats, b: Floats) -> Floats:
    """Return the IoU row by row."""
    inter, union = _aligned_overlap(a, b)
    inter /= union
    return inter


def aligned_giou(a: Floats, b: Floats) -> Floats:
    """Return the GIoU row by row."""
    inter, union = _aligned_overlap(a, b)
    (p0, q0, p1, q1), (x0, y0, x1, y1) = a.T, b.T
    around = (np.maximum(p1, x1) - np.minimum(p0, x0)) * (np.maximum(q1, y1) - np.minimum(q0, y0))
    values: Floats = inter / union - (around - union) / around
    return values


def _aligned_overlap(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    (p0, q0, p1, q1), (x0, y0, x1, y1) = a.T, b.T
    width = np.maximum(np.minimum(p1, x1) - np.maximum(p0, x0), 0)
    inter = width * np.maximum(np.minimum(q1, y1) - np.maximum(q0, y0), 0)
    return inter, (p1 - p0) * (q1 - q0) + (x1 - x0) * (y1 - y0) - inter


def aligned_smooth_l1(a: Floats, b: Floats) -> Floats:
    """Return Smooth L1 row by row."""
    total: Floats = smooth(a - b).sum(axis=1)
    return total


ALIGNED: Mapping[str, Matrix] = {"iou": aligned_iou, "giou": aligned_giou, "smooth_l1": aligned_smooth_l1}


def split(data: Ragged, peer: Peer) -> list[tuple[Floats, Floats]]:
    """Each image's detections and truths as the peer wants them; images without either are left out."""
    detections, truths = peer.prepare(data.detections), peer.prepare(data.truths)
    cuts = zip(
        data.detection_offsets, data.detection_offsets[1:], data.truth_offsets, data.truth_offsets[1:], strict=False
    )
    return [(detections[p:q], truths[r:s]) for p, q, r, s in cuts if p < q and r < s]


def loop_matrix(peer: Peer, metric: str) -> Callable[[list[tuple[Floats, Floats]]], list[Floats]]:
    """A matrix an image, in a loop over images."""
    matrix = peer.function(metric)
    return lambda images: [matrix(a, b) for a, b in images]


def loop_best(peer: Peer, metric: str) -> Callable[[list[tuple[Floats, Floats]]], list[Floats]]:
    """Each detection's best truth and its value, in a loop over images; as one array of values at the end."""
    matrix = peer.function(metric)

    def run(images: list[tuple[Floats, Floats]]) -> list[Floats]:
        found = []
        for a, b in images:
            values = matrix(a, b)
            columns = getattr(values, peer.best)(axis=1)
            found.append((values[np.arange(len(values)), columns], columns))
        return [np.concatenate(parts) for parts in zip(*found, strict=True)]

    return run
