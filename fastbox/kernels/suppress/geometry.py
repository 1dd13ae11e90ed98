"""The kernels of suppression, bound to a geometry: trees, order and decisions are those of plain boxes.

Boxes are packed once, and the trees hold their frames. The boxes of a run are screened, and those that remain of all
runs are measured side by side.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from fastbox.kernels.build.device import device, inlined, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.masks import eight, lowest
from fastbox.kernels.build.stack import stack_array, stack_tile
from fastbox.kernels.build.types import f8, packed
from fastbox.kernels.codes import NEEDS_IOU
from fastbox.kernels.compare.measure import BLOCK, screen_terms
from fastbox.kernels.compare.rotated_measure import ROWS, VALUES, may_reach, measure, take
from fastbox.kernels.geometry.rotated import AREA, FIELDS, box_at
from fastbox.kernels.geometry.safe_range import is_screenable
from fastbox.kernels.suppress import nms, tree
from fastbox.kernels.suppress.tree import GONE, PAD, WIDTH

Kernels = namedtuple("Kernels", "resolve_arranged resolve_segments")

may_be_reached = tree.reached  # bound anew for each geometry, to list what the screen leaves


@inlined
def list_run(tile, one, p, run, t, screenable, state, hits, found):
    """List the boxes of a run that box p may reach, behind the boxes found; return the number of boxes found."""
    first, last = run
    above, below = screen_terms(t, type(t)(np.finfo(np.float32).eps), NEEDS_IOU)
    near = stack_array(state, WIDTH)
    for start in range(first, last, WIDTH):
        for j in range(WIDTH):
            screened = may_reach(one, above, below, tile, np.uint64(start + j)) | (not screenable)
            near[np.uint64(j)] = screened & (start + j < last)
        for half in range(0, WIDTH, 8):
            marked = eight(near, half)
            while marked != np.uint64(0):
                q = start + half + (lowest(marked) >> 3)
                hits[np.uint64(found)] = q
                found += np.int64((state[np.uint64(q)] != GONE) & (q != p))
                marked &= marked - np.uint64(1)
    return found


@device
def reached(grown, tile, p, t, state, hits):
    """List the boxes, except those that are gone, whose IoU with box p is above t; return their number."""
    one, few = box_at(tile, p), stack_tile(tile, ROWS, BLOCK)
    found, kept = may_be_reached(grown, tile, p, t, state, hits), 0
    for first in range(0, found, BLOCK):
        n = min(BLOCK, found - first)
        measure(one, few, 0, take(tile, hits, first, n, few), t)
        for j in range(n):
            hits[np.uint64(kept)] = hits[np.uint64(first + j)]
            kept += np.int64(few[VALUES, np.uint64(j)] > t)
    return kept


def resolve_packed(packed, scores, segments, span, most, how, out):
    """Resolve the segments of a span that have at most `most` boxes, each in one run, as `resolve_segments` does."""
    (members, bounds), (first, last) = segments, span
    tile = np.zeros((FIELDS, most + PAD), np.float64)
    keys, rows, hits = np.empty(most, np.float64), np.empty(most, np.int64), np.empty(most, np.int64)
    state, nodes, below = np.empty(most, np.uint8), np.empty((6, 0), np.float64), np.empty(0, np.int64)
    for segment in range(first, last):
        if bounds[segment + 1] - bounds[segment] > most:
            continue
        n, screenable = 0, True
        for j in range(bounds[segment], bounds[segment + 1]):
            row = members[j]
            area = packed[AREA, row]
            if area == 0.0:
                out[row] = scores[row]
            elif area == area and scores[row] == scores[row]:
                for r in range(FIELDS):
                    tile[r, n] = packed[r, row]
                keys[n], rows[n], state[n] = scores[row], row, nms.OPEN
                screenable &= is_screenable(area)
                n += 1
        alone = n, nodes, below, -1, 0.0, screenable
        resolve(alone, tile, keys[:n], rows, 0, n, how, state, hits, out)


resolve = nms.hard_nms  # bound anew for each method


def kernels_of(bound, module):
    """Return the kernels of a geometry, given the names that its kernels for IoU are bound to, as in `compare`."""
    names, label = {**bound, "iou_of": bound["value"]}, str(bound["FIELDS"])
    names["list_run"] = inlined(rebound(list_run, names, label))
    names["may_be_reached"] = device(rebound(tree.reached, names, f"may_{label}"))
    names["reached"] = device(rebound(reached, names, label))
    methods = {
        kind: {**names, "resolve": device(rebound(method["resolve"], names, label))}
        for kind, method in nms.METHODS.items()
    }
    return Kernels(
        Kernel(nms.resolve_arranged, lambda t: nms.arranged_signature(t, f8), methods, module),
        Kernel(resolve_packed, lambda t: nms.segments_signature(t, packed(t)), methods, module),
    )
