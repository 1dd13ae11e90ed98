"""Floors of any program: writing the output, reading the input; and twins, which keep our choices measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np
from numba import njit, prange, set_num_threads
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.container import Boxes
from fastbox.kernels.build.compiler import dispatcher
from fastbox.kernels.build.intrinsics.in_place import IN_PLACE
from fastbox.kernels.build.nontemporal import LINE, per_line
from fastbox.kernels.build.nontemporal import store_line as store_line_plainly
from fastbox.kernels.build.types import Number
from fastbox.ops import indexing as index

Floats = NDArray[Any]

ROWS, IMAGES = 128, 64  # what the twins do in one step of their loop: rows of one image, or several images
LANES = 64

store_line = IN_PLACE[store_line_plainly]  # the instruction that kernels have in place of the plain function


def touched(shape: int | tuple[int, ...], dtype: str) -> Floats:
    """A buffer whose pages are there already: of its own for every writer that is measured.

    A writer that passes the caches by pays for what another one left in them, so no two share a buffer.
    """
    return np.zeros(shape, dtype) + np.ones(1, dtype)


@njit(nogil=True, error_model="numpy")
def _added(a: Any, b: Any, first: int, last: int) -> Any:
    lanes = np.zeros(LANES, a.dtype)
    for k in range(first, last - LANES + 1, LANES):
        for l in range(LANES):  # noqa: E741
            j = np.uint64(k + l)
            lanes[l] += a[j] + b[j]
    return lanes.sum()


def read_both_and_add(a: Floats, b: Floats, threads: int) -> float:
    """Read two flat arrays and add them all up, on our threads: as fast as memory can be read."""
    whole = len(a) // LANES * LANES
    step = -(-whole // (8 * threads * LANES)) * LANES if threads > 1 else whole
    pieces = [(first, min(first + step, whole)) for first in range(0, whole, step)] if step else []
    return float(sum(parallel.run(lambda first, last: _added(a, b, first, last), pieces)))


@njit(nogil=True, error_model="numpy")
def _subtracted(a: Any, b: Any, out: Any, first: int, last: int) -> None:
    for k in range(first, last):
        j = np.uint64(k)
        out[j] = a[j] - b[j]


def subtract(a: Floats, b: Floats, out: Floats, threads: int) -> None:
    """Write a - b of two flat arrays, on our threads: as fast as two can be read and a third written."""
    step = -(-len(a) // (8 * threads)) if threads > 1 else max(len(a), 1)
    pieces = [(first, min(first + step, len(a))) for first in range(0, len(a), step)]
    parallel.run(lambda first, last: _subtracted(a, b, out, first, last), pieces)


@njit(nogil=True, error_model="numpy")
def _filled(out: Any, ahead: Any, first: int, last: int, past: bool) -> None:
    if past:
        for k in range(first, last, per_line(out)):
            store_line(out, k, ahead, 0)
    else:
        for k in range(first, last):
            out[np.uint64(k)] = ahead[0]


def fill(out: Floats, threads: int, *, past: bool = False) -> None:
    """Fill an array on our threads: as fast as it can be written, through the caches or past them.

    Past them only whole cache lines are written, which leaves out less than two.
    """
    line = LINE // out.itemsize
    flat = out.reshape(-1)[-out.ctypes.data % LINE // out.itemsize :]
    whole, ahead = len(flat) // line * line, np.full(line, 0.5, out.dtype)
    step = -(-whole // (8 * threads * line)) * line if threads > 1 else whole
    pieces = [(first, min(first + step, whole)) for first in range(0, whole, step)] if step else []
    parallel.run(lambda first, last: _filled(flat, ahead, first, last, past), pieces)


@njit(error_model="numpy")
def naive_best(a: Any, b: Any, values: Any, indices: Any) -> None:
    """A plain loop, well written: flat columns, areas computed once per box, no branch for a zero divisor."""
    zero = values.dtype.type(0)
    x0, y0, x1, y1 = b[:, 0].copy(), b[:, 1].copy(), b[:, 2].copy(), b[:, 3].copy()
    area = (x1 - x0) * (y1 - y0)
    for i in range(len(a)):
        p0, q0, p1, q1 = a[i, 0], a[i, 1], a[i, 2], a[i, 3]
        own = (p1 - p0) * (q1 - q0)
        best = values.dtype.type(-1)
        where = -1
        for j in range(len(x0)):
            w = max(min(p1, x1[j]) - max(p0, x0[j]), zero)
            h = max(min(q1, y1[j]) - max(q0, y0[j]), zero)
            inter = w * h
            v = inter / (own + area[j] - inter)
            if v > best:
                best = v
                where = j
        values[i], indices[i] = best, where


def run_naive_best(a: Floats, b: Floats) -> tuple[Floats, NDArray[np.int64]]:
    values, indices = np.empty(len(a), a.dtype), np.empty(len(a), np.int64)
    naive_best(a, b, values, indices)
    return values, indices


@njit(error_model="numpy")
def naive_top(a: Any, b: Any, values: Any, indices: Any) -> None:
    """As :func:`naive_best`, with an insertion into the k best of the row."""
    zero = values.dtype.type(0)
    x0, y0, x1, y1 = b[:, 0].copy(), b[:, 1].copy(), b[:, 2].copy(), b[:, 3].copy()
    area = (x1 - x0) * (y1 - y0)
    k = values.shape[1]
    for i in range(len(a)):
        p0, q0, p1, q1 = a[i, 0], a[i, 1], a[i, 2], a[i, 3]
        own = (p1 - p0) * (q1 - q0)
        values[i], indices[i] = values.dtype.type(-1), -1
        for j in range(len(x0)):
            w = max(min(p1, x1[j]) - max(p0, x0[j]), zero)
            h = max(min(q1, y1[j]) - max(q0, y0[j]), zero)
            inter = w * h
            v = inter / (own + area[j] - inter)
            if v > values[i, k - 1]:
                place = k - 1
                while place > 0 and v > values[i, place - 1]:
                    values[i, place], indices[i, place] = values[i, place - 1], indices[i, place - 1]
                    place -= 1
                values[i, place], indices[i, place] = v, j


def run_naive_top(a: Floats, b: Floats, k: int) -> tuple[Floats, NDArray[np.int64]]:
    values, indices = np.empty((len(a), k), a.dtype), np.empty((len(a), k), np.int64)
    naive_top(a, b, values, indices)
    return values, indices


@njit(error_model="numpy")
def naive_histogram(a: Any, b: Any, counts: Any) -> None:
    """As :func:`naive_best`, with a count for the bin of each value between 0 and 1."""
    zero = a.dtype.type(0)
    x0, y0, x1, y1 = b[:, 0].copy(), b[:, 1].copy(), b[:, 2].copy(), b[:, 3].copy()
    area = (x1 - x0) * (y1 - y0)
    bins = len(counts)
    for i in range(len(a)):
        p0, q0, p1, q1 = a[i, 0], a[i, 1], a[i, 2], a[i, 3]
        own = (p1 - p0) * (q1 - q0)
        for j in range(len(x0)):
            w = max(min(p1, x1[j]) - max(p0, x0[j]), zero)
            h = max(min(q1, y1[j]) - max(q0, y0[j]), zero)
            inter = w * h
            counts[min(int(inter / (own + area[j] - inter) * bins), bins - 1)] += 1


def run_naive_histogram(a: Floats, b: Floats, bins: int) -> NDArray[np.int64]:
    counts = np.zeros(bins, np.int64)
    naive_histogram(a, b, counts)
    return counts


@cache
def _prange(room: str, name: str, dtype: np.dtype[Any]) -> Callable[..., None]:
    """Return a kernel of IoU over all pairs in a prange over spans."""
    found = getattr(parallel.kernels(f"compare.{room}"), name)
    kernel = dispatcher(found.bound("iou"), found.signature(Number(dtype)))

    @njit(parallel=True, error_model="numpy")
    def run(beta, sides, images, span, outputs):  # type: ignore[no-untyped-def]
        # A prange takes no tuples of tuples.
        (format_a, a0, a1, a2, a3), (format_b, b0, b1, b2, b3) = sides
        image, first, last = span
        for k in prange(len(first)):
            both = (format_a, a0, a1, a2, a3), (format_b, b0, b1, b2, b3)
            kernel(beta, both, images, (image[k], first[k], last[k]), outputs)

    return run


@contextmanager
def dense() -> Iterator[None]:
    """Answer without an index for any number of boxes: every pair is measured."""
    plan = index.plan
    index.plan = lambda *sides, **options: []
    try:
        yield
    finally:
        index.plan = plan


def twin_matrix(a: Boxes, b: Boxes, threads: int, out: Floats | None = None) -> Floats:
    """Our IoU matrix with Numba's own threads instead of ours: the same kernel, a prange over its rows."""
    from fastbox.ops.checks import STREAMED_BYTES

    set_num_threads(threads)
    streamed = out is not None and out.nbytes >= STREAMED_BYTES
    if out is None:
        out = np.empty((len(a), len(b)), a.dtype)
    common = *_common(a, b), _rows(_starts(a))
    _prange("matrix", "MATRIX", a.dtype)(*common, (np.array([0, out.size]), streamed, out.reshape(-1)))
    return out


def twin_best(a: Boxes, b: Boxes, threads: int) -> tuple[Floats, NDArray[np.int64]]:
    """Our best with Numba's own threads instead of ours: a prange over rows, or over the images of grouped boxes."""
    set_num_threads(threads)
    values, indices = np.empty(len(a), a.dtype), np.empty(len(a), np.int64)
    _prange("dense", "BEST", a.dtype)(*_common(a, b), _rows(_starts(a)), (values, indices))
    return values, indices


def _starts(boxes: Boxes) -> NDArray[np.int64]:
    return np.array([0, len(boxes)]) if boxes.offsets is None else boxes.offsets


def _common(a: Boxes, b: Boxes) -> tuple[Any, ...]:
    images = _starts(a), _starts(b), np.zeros(len(_starts(a)) - 1, np.bool_)
    return a.dtype.type(1), (a.kernel_args(), b.kernel_args()), images


def _rows(starts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the work of each step of the loop: the image that it begins in, and its rows from first to last."""
    if len(starts) > 2:
        image = np.arange(0, len(starts) - 1, IMAGES)
        return image, starts[image], starts[np.minimum(image + IMAGES, len(starts) - 1)]
    first = np.arange(0, starts[-1], ROWS)
    return np.zeros_like(first), first, np.minimum(first + ROWS, starts[-1])
