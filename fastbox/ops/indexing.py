"""The spatial index: the choice of images to index, and queries with the same results as without an index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.boxes.base import Collection
from fastbox.ops.geometry import Sides

__all__ = ["GAIN", "Indexed", "crowded", "fill_zeros", "groups_of", "order", "plan", "query"]

GAIN = 1000  # pairs for each box to sort, from which on sorting pays
# Cells: their sides in those of their largest boxes, and their boxes, both at least. Neighbours among the rows share
# work, columns that are not met are looked at in vain.
ROWS_TOGETHER, COLS_TOGETHER = (0.03, 12.0), (1.0, 0.5)
GROUP = 32  # rows of a measured together
SAMPLED = 256  # groups in the sample from which the cost of all groups is estimated
GROUPS_PER_PIECE = 96  # so that a piece takes longer than waking a thread that waits for another one
PIECES_PER_THREAD = 32  # the cost of a piece is not known beforehand
ROWS_PER_PIECE = 16_384
ROWS_FILLED = 65_536  # rows filled up together
LINE = 64  # bytes


class Indexed(NamedTuple):
    """One image with both sides sorted; ``rows`` and ``cols`` are the bounds of its boxes in a and b."""

    image: int
    rows: tuple[int, int]
    cols: tuple[int, int]
    grid_a: tuple[Any, ...]
    grid_b: tuple[Any, ...]
    groups: NDArray[np.int64]


def plan(sides: Sides, starts_a: NDArray[np.int64], starts_b: NDArray[np.int64], *, angles: bool) -> list[Indexed]:
    """Index the images for which a sample of groups shows that an index leaves fewer pairs to measure.

    Images with areas so small or large that screening is off are not indexed, nor images in which most boxes overlap.
    """
    rows_a = np.diff(starts_a)
    large = np.flatnonzero(rows_a > GAIN)  # fewer rows never have as many pairs for each box
    rows_a, rows_b = rows_a[large], starts_b[large + 1] - starts_b[large]
    enough = (rows_b > 0) & (rows_a * rows_b.astype(np.float64) >= GAIN * (rows_a + rows_b))
    large, rows_a, rows_b = large[enough], rows_a[enough], rows_b[enough]
    if not large.size:
        return []
    build = sides.kernel("BUILD")
    both = (sides.args[0], starts_a, ROWS_TOGETHER), (sides.args[1], starts_b, COLS_TOGETHER)

    def sort(image: int, which: int, room: tuple[Any, ...]) -> Any:
        boxes, starts, together = both[which]
        screenable, cells, *layout = build(boxes, (starts[image], starts[image + 1]), angles, together, room)
        ids, ordered, begins = room[:3]
        return screenable, (ids, ordered, begins[: cells + 1], *layout)

    wanted = [(image, which) for image in large.tolist() for which in (0, 1)]
    counts = [
        (rows, together[1])
        for sizes in zip(rows_a.tolist(), rows_b.tolist(), strict=True)
        for rows, (_, _, together) in zip(sizes, both, strict=True)
    ]
    rooms = _rooms(counts, sides.fields, sides.dtype)
    built = parallel.run(sort, [(*one, room) for one, room in zip(wanted, rooms, strict=True)])
    found = []
    for k, image in enumerate(large.tolist()):
        (screenable_a, grid_a), (screenable_b, grid_b) = built[2 * k : 2 * k + 2]
        if not (screenable_a and screenable_b):
            continue
        rows = int(starts_a[image]), int(starts_a[image + 1])
        cols = int(starts_b[image]), int(starts_b[image + 1])
        one = Indexed(image, rows, cols, grid_a, grid_b, groups_of(grid_a[2]))
        if not crowded(one):
            found.append(one)
    return found


def _rooms(counts: Sequence[tuple[int, float]], fields: int, dtype: np.dtype[Any]) -> list[tuple[NDArray[Any], ...]]:
    """Return room for the grid of each side, given its boxes and the least of them in a cell on average.

    `fields` and `dtype` are of the numbers of a packed box.

    All of one array: the memory of several goes back to the system after each call, and takes as long as a third of
    the work to get again.
    """
    cells = parallel.kernels("compare.cell_index")
    i8: np.dtype[Any] = np.dtype(np.int64)
    kinds: list[tuple[np.dtype[Any], tuple[int, ...]]] = []
    for n, per_cell in counts:
        starts = int(n / min(per_cell, cells.FEWEST)) + cells.CLASSES + 1
        kinds += [(i8, (n,)), (dtype, (fields, n + cells.TESTED)), (i8, (starts,))]
        kinds += [(dtype, (fields, n)), (i8, (n,)), (np.dtype(np.int8), (n,))]
    sizes = [-(-math.prod(shape) * kind.itemsize // LINE) * LINE for kind, shape in kinds]
    space, places = np.empty(sum(sizes), np.uint8), accumulate(sizes, initial=0)
    arrays = [np.ndarray(shape, kind, space, place) for (kind, shape), place in zip(kinds, places, strict=False)]
    return [tuple(arrays[k : k + 6]) for k in range(0, len(arrays), 6)]


def crowded(one: Indexed) -> bool:
    """Tell whether most boxes of an image are near one another, so that an index saves no time."""
    survey = parallel.kernels("compare.cell_index").SURVEY[one.grid_a[1].dtype, ""]
    pairs = (one.rows[1] - one.rows[0]) * (one.cols[1] - one.cols[0])
    return bool(survey(one.grid_b, one.grid_a[1], one.groups, 1 + (one.groups.size - 1) // SAMPLED) > pairs)


def groups_of(starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut sorted boxes into groups of at most GROUP that share a cell, given the first box of each cell."""
    counts = np.diff(starts)
    pieces = -(-counts // GROUP)
    within = np.arange(int(pieces.sum())) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    return np.append(np.repeat(starts[:-1], pieces) + GROUP * within, starts[-1])


def query(kernel: Any, beta: Any, found: Sequence[Indexed], *outputs: Any) -> list[Any]:
    """Run a kernel over the groups of all indexed images, in pieces on the threads."""
    pieces = []
    for one in found:
        groups = one.groups.size - 1
        step = max(GROUPS_PER_PIECE, groups // (parallel.get_num_threads() * PIECES_PER_THREAD) + 1)
        spans = [(first, min(first + step, groups)) for first in range(0, groups, step)]
        pieces += [(beta, (*one.grid_a[:2], one.groups), one.grid_b, span, *outputs) for span in spans]
    return parallel.run(kernel, pieces)


def order(found: Sequence[Indexed], ends: NDArray[np.int64], cols: NDArray[np.int64], values: NDArray[Any]) -> None:
    """Sort the pairs of each row of the indexed images by column, given the end of each row's pairs."""
    kernel = parallel.kernels("compare.indexed").ORDER[values.dtype, ""]
    for one in found:
        at, spans = one.rows[0], parallel.blocks(one.rows[1] - one.rows[0], 1, ROWS_PER_PIECE)
        parallel.run(kernel, [(ends, (at + first, at + last), cols, values) for first, last in spans])


def fill_zeros(one: Indexed, a: Collection, b: Collection, values: NDArray[Any], indices: NDArray[np.int64]) -> None:
    """Fill rows of an image that have fewer than k boxes with the first valid boxes of b that they don't overlap.

    ``values`` and ``indices`` have shape (n, k). For metrics that are 0 for boxes that do not overlap.
    """
    k = indices.shape[1]
    valid: list[int] = []
    step = 2 * k + 64
    for start in range(one.cols[0], one.cols[1], step):
        if len(valid) >= 2 * k:
            break
        stop = min(start + step, one.cols[1])
        valid += (start + np.flatnonzero(b[start:stop].invalid() == 0)).tolist()
    zeros = np.array(valid[: 2 * k], np.int64)
    for start in range(*one.rows, ROWS_FILLED):
        rows = start + np.flatnonzero(indices[start : min(start + ROWS_FILLED, one.rows[1]), -1] < 0)
        rows = rows[a[rows].invalid() == 0]
        found = indices[rows]
        free = np.ones((rows.size, zeros.size), np.bool_)
        for column in found.T:
            free &= column[:, None] != zeros
        places = np.cumsum(free, axis=1) - 1 + (found >= 0).sum(axis=1)[:, None]
        row, zero = np.nonzero(free & (places < k))
        place = places[row, zero]
        values[rows[row], place], indices[rows[row], place] = 0, zeros[zero]
