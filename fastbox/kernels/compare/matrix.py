"""The matrix of all pairs, written through the caches or past them."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.nontemporal import fence, moved, per_line, store_lines, until_line
from fastbox.kernels.build.stack import stack_array, stack_tile
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.codes import LANES
from fastbox.kernels.compare.dense import pair_signature
from fastbox.kernels.compare.measure import BOUND as MEASURED
from fastbox.kernels.compare.measure import VALUES, empty_tile_b, like_tiles, measure_extremes, measure_into, with_loops
from fastbox.kernels.geometry.formulas import iou as value
from fastbox.kernels.geometry.pack import box_at, pack, tile_ranges

AHEAD = 32  # values that wait in vector registers for their stores past the caches: whole cache lines
NARROW = 256  # columns below which the ends of rows would take longer than what stores past the caches gain

# Kernel binds this and `pack` for each metric; here they are iou's. STREAMS: whether values may go past the caches.
STREAMS = True


def measure_lines(one, tile, first, n, beta, out, place):
    """Write the values of one box with n boxes of a tile to out[place:], where a cache line begins, past the caches.

    n is a multiple of AHEAD. The values lie in registers until they are stored: the time of the arithmetic is the time
    in which the lines before are written.
    """
    ahead = stack_array(out, AHEAD)
    for j in range(0, n, AHEAD):
        for l in range(AHEAD):
            ahead[l] = value(one, box_at(tile, np.uint64(first + j + l)), beta)
        store_lines(out, place + j, ahead, AHEAD)


def matrix(beta, sides, images, span, outputs):
    """Write all values of the rows of a span row by row; image g begins at out[bases[g]].

    Past the caches a row of a tile begins and ends where a cache line does, except at the ends of the matrix's row.
    """
    (a, b), (starts_a, starts_b, skip), (image, first, last) = sides, images, span
    bases, nontemporal, out = outputs
    tile_a, room = stack_tile(like_tiles(out), VALUES, LANES), empty_tile_b(out.dtype, LANES)
    for g, lo, hi, s, e in tile_ranges(starts_a, starts_b, skip, image, first, last):
        behind, width = starts_b[g + 1], starts_b[g + 1] - starts_b[g]
        base = bases[g] + (lo - starts_a[g]) * width + s - starts_b[g]
        past = STREAMS and nontemporal and width >= NARROW
        # Vectors that cross two cache lines take twice as long to load.
        tile_b = moved(room, (until_line(room, 0) - (until_line(out, base) if past else 0)) % per_line(out))
        screenable_b = pack(b, s, min(e + LANES, behind) if past else e, tile_b)
        for i in range(lo, hi, LANES):
            m = min(LANES, hi - i)
            screenable = pack(a, i, i + m, tile_a) and screenable_b
            for r in range(m):
                one, place = box_at(tile_a, r), base + (i - lo + r) * width
                begin, end = 0, e - s
                if past:
                    begin = min(0 if s == starts_b[g] else until_line(out, place), behind - s)
                    end = min(e + until_line(out, place + e - s), behind) - s
                head = tail = end
                if STREAMS and past and screenable:
                    head = min(end, begin + until_line(out, place + begin))
                    tail = end - (end - head) % AHEAD
                    measure_lines(one, tile_b, head, tail - head, beta, out, place + head)
                measure_into(one, moved(tile_b, begin), head - begin, beta, out, place + begin)
                if STREAMS and tail < end:
                    measure_into(one, moved(tile_b, tail), end - tail, beta, out, place + tail)
                if not screenable:
                    measure_extremes(one, tile_b, begin, end - begin, beta, out, place + begin)
    if nontemporal:
        fence()


BOUND = with_loops(MEASURED, measure_lines)


def signature(t, boxes=side):
    """Return the types of the arguments, given the type of boxes."""
    return types.void(*pair_signature(t, group(readonly(i8), types.boolean, vector(t)), boxes=boxes))


MATRIX = Kernel(matrix, signature, BOUND)
