"""Images of unequal size, all in one call, beside loops over images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import fastbox
from bench.conftest import THREADS, Case, close_to, require
from bench.support import floors, peers
from bench.support.shapes import DTYPES, Ragged, Sizes, ragged

IMAGES = 20_000
ORDERS = {"images": False, "images by size": True}

KERNELS: dict[str, Callable[[fastbox.Boxes, fastbox.Boxes, str], Any]] = {
    "pairwise": lambda a, b, metric: fastbox.pairwise(a, b, metric=metric),
    "best": lambda a, b, metric: fastbox.best(a, b, metric=metric),
    "top": lambda a, b, metric: fastbox.top(a, b, 3, metric=metric),
    "pairs": lambda a, b, metric: fastbox.pairs(a, b, threshold=0.5, metric=metric),
    "match": lambda a, b, metric: fastbox.match(a, b),
    "histogram": lambda a, b, metric: fastbox.histogram(a, b, range=(0, 1), metric=metric),
}
GRID = [
    *((kernel, metric, "images") for kernel in ("pairwise", "best") for metric in fastbox.METRICS),
    *((kernel, "iou", "images") for kernel in ("top", "pairs", "match", "histogram")),
    ("pairwise", "iou", "images by size"),
    ("best", "iou", "images by size"),
]


def facts(kernel: str, metric: str, size: str, data: Ragged) -> dict[str, Any]:
    """Return the facts of a case of grouped boxes."""
    shape = f"{data.images} {size}"
    common = {"kernel": kernel, "metric": metric, "dtype": str(data.truths.dtype), "size": size, "shape": shape}
    return common | {"pairs": data.pairs, "boxes": len(data.detections) + len(data.truths)}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kernel", "metric", "size"), GRID)
def test_ours(case: Case, sizes: Sizes, kernel: str, metric: str, size: str, dtype: str, threads: int) -> None:
    data = ragged(sizes.of(IMAGES), dtype, by_size=ORDERS[size])
    a, b = data.grouped()
    case(
        lambda: KERNELS[kernel](a, b, metric),
        name="fastbox",
        role="ours",
        threads=threads,
        **facts(kernel, metric, size, data),
    )


# A loop over small images gains nothing from a peer's own threads.
LOOPS = [(peer, dtype) for _, _, peer, dtype in peers.able([("iou", "images")]) if not peer.all_threads]


@pytest.mark.parametrize("kernel", ["pairwise", "best"])
@pytest.mark.parametrize(("peer", "dtype"), LOOPS, ids=str)
def test_loop_over_images(case: Case, sizes: Sizes, kernel: str, peer: peers.Peer, dtype: str) -> None:
    require(peer.module)
    data = ragged(sizes.of(IMAGES), dtype)
    images = peers.split(data, peer)
    theirs = (peers.loop_matrix if kernel == "pairwise" else peers.loop_best)(peer, "iou")
    a, b = data.grouped()
    if kernel == "pairwise":
        expected = close_to(
            np.concatenate([matrix.ravel() for matrix in fastbox.pairwise(a, b)]),
            dtype,
            lambda found: peer.value(np.concatenate([matrix.ravel() for matrix in found])),
        )
    else:
        values = fastbox.best(a, b).values  # nan where an image has no truths, which the loop leaves out
        expected = close_to(values[~np.isnan(values)], dtype, lambda found: peer.value(found[0]))
    case(
        lambda: theirs(images),
        name=f"{peer.name} in a loop",
        role="peer",
        expected=expected,
        rounds=3,
        **facts(kernel, "iou", "images", data),
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("size", ORDERS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_twin(case: Case, sizes: Sizes, dtype: str, size: str, threads: int) -> None:
    data = ragged(sizes.of(IMAGES), dtype, by_size=ORDERS[size])
    a, b = data.grouped()
    case(
        lambda: floors.twin_best(a, b, threads),
        name="prange",
        role="twin",
        threads=threads,
        expected=close_to(fastbox.best(a, b).values, dtype, lambda found: found[0]),
        **facts("best", "iou", size, data),
    )
