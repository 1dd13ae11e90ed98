"""The leaders of a crowded segment: its boxes of the highest scores, decided before the others.

No box outside decides about a leader, as all others have lower scores. Most of the others are suppressed by a leader
that is kept: those are dropped here, and a tree is made of the few that remain. A chart has the kept leaders that a box
may overlap enough, by the place of its centre. It may miss some, so kept leaders stay among the boxes that remain.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import f8, group, i8, int32, side, vector
from fastbox.kernels.geometry.formulas import iou, smaller
from fastbox.kernels.geometry.pack import box_at
from fastbox.kernels.suppress.curve import centre_of, range_of
from fastbox.kernels.suppress.tree import WIDTH, corners, given, measure_block

SHARE = 16  # one box in 16 is a leader
SAMPLED = 1024  # scores in a sample
PROBES = WIDTH  # boxes whose neighbours are counted, among one box in SHARE
CROWD = 1.5  # neighbours that a probe has in this sample on average in a crowded segment
MOST_COUNTED = 4  # neighbours of one probe that count: a few heaps are no crowded segment

SLOTS = 4  # leaders of a cell
CELLS_EACH = 16  # cells for each leader, at least
MOST_SIDE = 1024  # cells along a side
REACH = 8  # cells on each side of its own one in which a leader is listed at most


@device
def is_crowded(boxes, members, t):
    """Return whether boxes overlap many others enough to suppress them, as a sample shows."""
    n = members.size
    probes, counts = np.empty((6, PROBES), boxes[1].dtype), np.zeros(PROBES, np.int64)
    met = np.empty(PROBES, boxes[1].dtype)
    for j in range(PROBES):
        box = corners(boxes, members[n // PROBES * j])
        probes[0, j], probes[1, j], probes[2, j], probes[3, j] = box.x0, box.y0, box.x1, box.y1
        probes[4, j] = box.area
    for place in range(SHARE // 2, n, SHARE):
        if measure_block(corners(boxes, members[np.uint64(place)]), -1, probes, 0, t, met):
            for j in range(PROBES):
                counts[j] += met[j] > t
    found = 0
    for j in range(PROBES):
        found += min(counts[j], MOST_COUNTED)
    return found >= CROWD * PROBES


@device
def least_score(scores, members):
    """Return the score that one box in SHARE reaches, as a sample shows; nan without scores."""
    step = members.size // SAMPLED + 1
    best, n = np.empty(SAMPLED // SHARE, np.float64), 0
    wanted = members.size // step // SHARE
    for place in range(0, members.size, step):
        score = scores[np.uint64(members[np.uint64(place)])]
        if score != score or (n == wanted and score <= best[n - 1]):
            continue
        n = min(n + 1, wanted)
        k = n - 1
        while k and best[k - 1] < score:
            best[k] = best[k - 1]
            k -= 1
        best[k] = score
    return best[n - 1] if n else np.nan


def list_leaders(boxes, scores, members, t, leaders):
    """Write the rows of leaders, no more than the array holds, and return their number; 0 if leaders do not pay."""
    if not is_crowded(boxes, members, t):
        return 0
    least, n = least_score(scores, members), 0
    for place in range(members.size):
        row = members[np.uint64(place)]
        if scores[np.uint64(row)] >= least:
            if n == leaders.size:
                return 0  # too many of one score
            leaders[np.uint64(n)] = row
            n += 1
    return n


@device
def place_along(centre, least, per, count):
    """Return the cell of a place along an axis."""
    place = (centre - least) * per
    place = place if place > 0.0 else 0.0
    return np.int64(smaller(place, np.float64(count - 1)))


@device
def scale_of(low, high, n, count):
    """Return the first centre of the sides of n boxes, and the number of cells per unit."""
    least, most = range_of(low, high, n)
    length = most - least
    return least, np.float64(count) / (length if length > 2.0**-900 else 1.0)


@device
def put(leader, far, cells, away, start):
    """List a leader in a cell behind those that are nearer; a cell keeps the nearest ones."""
    place = start
    while place < start + SLOTS and cells[place] >= 0 and away[place] <= far:
        place += 1
    for slot in range(start + SLOTS - 1, place, -1):
        cells[slot], away[slot] = cells[slot - 1], away[slot - 1]
    if place < start + SLOTS:
        cells[place], away[place] = leader, far


def chart(boxes, kept, t, tile):
    """Return the chart of the leaders kept, whose boxes are written to a tile.

    A chart is the cells along a side, the first centre and the scale of each axis, and the leaders of each cell, the
    nearest one first, as it suppresses most boxes there; -1 behind the last one.
    """
    n, count = kept.size, 1
    while count < MOST_SIDE and count * count < n * CELLS_EACH:
        count *= 2
    for j in range(n):
        box = corners(boxes, kept[j])
        tile[0, j], tile[1, j], tile[2, j], tile[3, j], tile[4, j] = box.x0, box.y0, box.x1, box.y1, box.area
    left, across = scale_of(tile[0, :n], tile[2, :n], n, count)
    top, down = scale_of(tile[1, :n], tile[3, :n], n, count)
    cells, away = np.full(count * count * SLOTS, -1, np.int32), np.empty(count * count * SLOTS, np.float32)
    share = (1.0 - t) / (1.0 + t) / 16.0  # by which two equal boxes may lie apart, in units of `centre_of`
    for j in range(n):
        x, y = centre_of(tile[0, j], tile[2, j]), centre_of(tile[1, j], tile[3, j])
        dx, dy = share * (np.float64(tile[2, j]) - tile[0, j]), share * (np.float64(tile[3, j]) - tile[1, j])
        column, line = place_along(x, left, across, count), place_along(y, top, down, count)
        first = max(place_along(x - dx, left, across, count), column - REACH)
        last = min(place_along(x + dx, left, across, count), column + REACH)
        lowest, highest = place_along(y - dy, top, down, count), place_along(y + dy, top, down, count)
        for v in range(max(lowest, line - REACH), min(highest, line + REACH) + 1):
            for u in range(first, last + 1):
                far = abs((x - left) * across - u - 0.5) + abs((y - top) * down - v - 0.5)
                put(j, np.float32(far), cells, away, (v * count + u) * SLOTS)
    return count, left, across, top, down, cells


def list_remaining(boxes, members, span, t, led, remaining):
    """Write the members of a span that no leader of the chart suppresses, from its start on; return their number."""
    (first, last), (tile, kept, (count, left, across, top, down, cells)) = span, led
    n = first
    for place in range(first, last):
        row = members[np.uint64(place)]
        box = corners(boxes, row)
        column = place_along(centre_of(box.x0, box.x1), left, across, count)
        line = place_along(centre_of(box.y0, box.y1), top, down, count)
        start = (line * count + column) * SLOTS
        remaining[np.uint64(n)] = row
        n += 1
        for slot in range(start, start + SLOTS):
            j = cells[np.uint64(slot)]
            if j < 0:
                break
            # nan, of boxes of which the IoU needs more care, is not above the threshold.
            if iou(box, box_at(tile, np.uint64(j)), type(t)(0)) > t and kept[np.uint64(j)] != row:
                n -= 1
                break
    return n - first


def _chart(t):
    """Return the types of a chart."""
    return group(i8, f8, f8, f8, f8, vector(int32))


LEADERS = Kernel(list_leaders, lambda t: i8(side(t), given, vector(i8), t, vector(i8)), {"": {}})
CHART = Kernel(chart, lambda t: _chart(t)(side(t), vector(i8), t, vector(t, 2)), {"": {}})
REMAINING = Kernel(
    list_remaining,
    lambda t: i8(side(t), vector(i8), group(i8, i8), t, group(vector(t, 2), vector(i8), _chart(t)), vector(i8)),
    {"": {}},
)
