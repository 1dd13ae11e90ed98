"""The kernels that assign boxes, bound to a geometry: their traversals and their rules are those of plain boxes.

A window of a grid is found by the frame of a truth. The anchors of a row of the window are packed as boxes of the
geometry, and measured as a block of boxes is.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from fastbox.kernels.assign import blocks, candidates, greedy, iou_rule
from fastbox.kernels.assign.blocks import as_side, measured
from fastbox.kernels.assign.candidates import COLUMNS, NUMBER, STEP, Y
from fastbox.kernels.build.device import device, inlined, rebound
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import f8, packed, side
from fastbox.kernels.compare.measure import BLOCK
from fastbox.kernels.geometry.rotated import FIELDS, box_at, pack

Kernels = namedtuple("Kernels", "boxes greedy grid")

CORNERS = 4

# Bound anew for each geometry: the row of a tile that values are written to, and the first of four rows of corners.
VALUES, LEFT = FIELDS, FIELDS + 1


@device
def boxes_extremes(first, n, one, divisor, work):
    """Leave all values as they are: the formulas of rotated boxes hold for all sizes."""


@device
def write_columns(xs, left, right, one, work):
    """Write the left and right ends of columns of anchors."""
    for k in range(right - left):
        c = np.uint64(left + k)
        work[LEFT, k], work[LEFT + 2, k] = xs[0, c], xs[1, c]


@device
def pack_row(ys, y, n, work):
    """Pack the first n anchors of a row, given the ends of their columns."""
    for k in range(n):
        work[LEFT + 1, k], work[LEFT + 3, k] = ys[0, y], ys[1, y]
    pack(as_side(work, LEFT), 0, n, work)


@device
def grid_box(xs, ys, x, y, work):
    """Return the anchor of a column and a row; packs it as the first box of the work space."""
    work[LEFT, 0], work[LEFT + 2, 0] = xs[0, x], xs[1, x]
    pack_row(ys, y, 1, work)
    return box_at(work, 0)


@inlined
def grid_row(source, part, row, left, right, one, below, screenable, divisor, work):
    """Measure one row of a window, as the row of a grid is for plain truths."""
    planes, n, step = source[0], right - left, source[0][part, STEP]
    pack_row(source[3], planes[part, Y] + row, n, work)
    for start in range(0, n, BLOCK):
        m = min(BLOCK, n - start)
        if not measured(one, below, screenable, divisor, work, start, m):
            for k in range(start, start + m):
                work[VALUES, k] = np.nan
    return planes[part, NUMBER] + (row * planes[part, COLUMNS] + left) * step, step, 0, n


def kernels_of(bound, pack, iof, sided, ranked, columns, module):
    """Return the kernels of a geometry.

    Parameters
    ----------
    bound
        The names that kernels are bound to, by metric, as in `compare`.
    pack
        Writes boxes to a tile.
    iof
        The formula of the share of a box that lies in another one.
    sided
        Returns four rows of corners as a collection of boxes of the geometry.
    ranked
        The functions by which anchors are ranked by their centres, by name; empty if the geometry has no centres.
    columns
        The number of columns of a collection of boxes.
    module
        The name of the module that keeps the kernels.
    """
    iou, label = bound["iou"], str(columns)
    names = {name: iou[name] for name in ("VALUES", "box_at", "like_tiles", "measure_above", "none_above")}
    once = {"pack": pack, "robust": iou["value"], "iof": iof}  # not inlined, which saves compiling them again
    names |= {name: device(rebound(function, {}, f"once_{label}")) for name, function in once.items()}
    names |= {"as_side": sided, "pack_few": names["pack"], "boxes_extremes": boxes_extremes, **ranked}
    names |= {"FRAMES": names["VALUES"] + 1, "LEFT": names["VALUES"] + 1, "WORK": names["VALUES"] + 2}

    def bind(mark, *functions):
        for function in functions:
            names[function.__name__] = mark(rebound(function, names, label))

    bind(inlined, blocks.meets_block)
    bind(device, blocks.frame_blocks, blocks.measure_shares, iou_rule.packed, write_columns, pack_row, grid_box)
    bind(device, blocks.measured)
    boxes, unfolded = (_again(source, names, label) for source in (blocks.BOXES, blocks.UNFOLDED))
    grid = _again({**candidates.GRID, "measure": grid_row}, names, label) | {"WORK": names["LEFT"] + CORNERS}
    of_boxes = {"boxes": iou_rule.with_iou(f"boxes_{label}", names | boxes)}
    of_grid = {"grid": iou_rule.with_iou(f"grid_{label}", names | grid)}
    if ranked:
        of_boxes["boxes atss"] = iou_rule.with_statistics(f"boxes_atss_{label}", names | boxes)
        of_grid["grid atss"] = iou_rule.with_statistics(f"grid_atss_{label}", names | unfolded)
    inside = {"iof": iof, "iof_of": iof}  # the share of a detection in a crowd

    def sides(t):
        return side(t, columns)

    return Kernels(
        Kernel(iou_rule.assign, iou_rule.signature(iou_rule.plain, sides), of_boxes, module),
        Kernel(
            greedy.greedy,
            lambda t: greedy.signature(f8, packed),
            {name: {**one, **inside} for name, one in bound.items()},
            module,
        ),
        Kernel(iou_rule.assign, iou_rule.signature(iou_rule.planes, sides), of_grid, module),
    )


def _again(source, names, label):
    """Return the functions of a source, bound to the names of a geometry."""
    functions = {name: rebound(one, names, label) for name, one in source.items() if callable(one)}
    return {name: (inlined if name == "measure" else device)(one) for name, one in functions.items()}
