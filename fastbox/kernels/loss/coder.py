"""Boxes encoded as deltas from anchors, and deltas decoded: rows of two aligned collections.

Logarithms and exponentials run over a constant count of lanes, filled up behind the last row.
"""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import group, i8, readonly, side, vector
from fastbox.kernels.codes import CXCYWH, LANES, XYWH, YXYX
from fastbox.kernels.geometry.elementary import exp, log
from fastbox.kernels.geometry.formulas import one_nan
from fastbox.kernels.geometry.pack import COLS, pack


@device
def between(x, low, high):
    """Clamp x; nan stays nan."""
    x = low if x < low else x
    return high if x > high else x


@device
def delta_beyond(low, high, from_low, from_high):
    """Compute in float64 the move of a side's centre over the anchor's length, and the logarithm of its growth."""
    low, high, from_low, from_high = np.float64(low), np.float64(high), np.float64(from_low), np.float64(from_high)
    moved = (0.5 * low + 0.5 * high) - (0.5 * from_low + 0.5 * from_high)
    return moved / (from_high - from_low), log(high - low) - log(from_high - from_low)


def encode(terms, boxes, anchors, span, out):
    """Write the deltas of the boxes of a span; nan for all four where a side is not above 0 or a delta not finite."""
    (weights, means, stds), (first, last) = terms, span
    T = out.dtype.type
    zero, half, nan = T(0), T(0.5), T(np.nan)
    wx, wy, ww, wh = weights
    mx, my, mw, mh = means
    sx, sy, sw, sh = stds
    tile, from_tile = np.empty((5, COLS), out.dtype), np.empty((5, COLS), out.dtype)
    deltas = np.empty((4, LANES), out.dtype)
    for s in range(first, last, COLS):
        n = min(COLS, last - s)
        pack(boxes, s, s + n, tile)
        pack(anchors, s, s + n, from_tile)
        for i in range(0, n, LANES):
            for l in range(LANES):
                j = np.uint64(i + l)
                w, h = tile[2, j] - tile[0, j], tile[3, j] - tile[1, j]
                aw, ah = from_tile[2, j] - from_tile[0, j], from_tile[3, j] - from_tile[1, j]
                x, y = tile[0, j] + half * w, tile[1, j] + half * h
                ax, ay = from_tile[0, j] + half * aw, from_tile[1, j] + half * ah
                sized = (w > zero) & (h > zero) & (aw > zero) & (ah > zero)
                deltas[0, l] = (wx * (x - ax) / aw - mx) / sx
                deltas[1, l] = (wy * (y - ay) / ah - my) / sy
                deltas[2, l] = w / aw if sized else nan
                deltas[3, l] = h / ah if sized else nan
            for l in range(LANES):
                deltas[2, l] = (ww * T(log(np.float64(deltas[2, l]))) - mw) / sw
                deltas[3, l] = (wh * T(log(np.float64(deltas[3, l]))) - mh) / sh
            m = min(LANES, n - i)
            beyond = False
            for l in range(m):
                dx, dy, dw, dh = deltas[0, l], deltas[1, l], deltas[2, l], deltas[3, l]
                finite = (dx - dx) + (dy - dy) + (dw - dw) + (dh - dh) == zero
                beyond |= not finite
                row = np.uint64(s + i + l)
                out[row, 0] = dx if finite else nan
                out[row, 1] = dy if finite else nan
                out[row, 2] = dw if finite else nan
                out[row, 3] = dh if finite else nan
            for l in range(m if beyond else 0):
                j, row = np.uint64(i + l), np.uint64(s + i + l)
                sized = (tile[2, j] > tile[0, j]) & (tile[3, j] > tile[1, j])
                sized &= (from_tile[2, j] > from_tile[0, j]) & (from_tile[3, j] > from_tile[1, j])
                if sized and out[row, 0] != out[row, 0]:
                    x, w = delta_beyond(tile[0, j], tile[2, j], from_tile[0, j], from_tile[2, j])
                    y, h = delta_beyond(tile[1, j], tile[3, j], from_tile[1, j], from_tile[3, j])
                    dx, dy = T((wx * x - mx) / sx), T((wy * y - my) / sy)
                    dw, dh = T((ww * w - mw) / sw), T((wh * h - mh) / sh)
                    if (dx - dx) + (dy - dy) + (dw - dw) + (dh - dh) == zero:
                        out[row, 0], out[row, 1], out[row, 2], out[row, 3] = dx, dy, dw, dh


def decode(terms, limits, deltas, anchors, sizes, arrangement, span, out):
    """Write the boxes of the deltas of a span, four columns a class; all nan where an anchor's side is not above 0.

    `limits` are the least and greatest logarithm of a side's growth, the greatest move of a centre in pixels, and the
    least coordinate; the greatest coordinates are the images' widths and heights.
    """
    (weights, means, stds), (widths, heights), (first, last) = terms, sizes, span
    T = out.dtype.type
    zero, half, nan = T(0), T(0.5), T(np.nan)
    wx, wy, ww, wh = weights
    mx, my, mw, mh = means
    sx, sy, sw, sh = stds
    shrink, grow, move, least = limits
    tile, lanes, ends = np.empty((5, COLS), out.dtype), np.empty((4, LANES), out.dtype), np.empty((2, LANES), out.dtype)
    lanes[:] = zero
    ends[:] = zero
    for s in range(first, last, COLS):
        n = min(COLS, last - s)
        pack(anchors, s, s + n, tile)
        for i in range(0, n, LANES):
            m = min(LANES, n - i)
            for l in range(m):
                row = np.uint64(s + i + l)
                ends[0, l], ends[1, l] = widths[row], heights[row]
            for c in range(0, out.shape[1], 4):
                p, q, r, t = np.uint64(c), np.uint64(c + 1), np.uint64(c + 2), np.uint64(c + 3)
                for l in range(m):
                    row = np.uint64(s + i + l)
                    lanes[0, l], lanes[1, l] = deltas[row, p], deltas[row, q]
                    lanes[2, l], lanes[3, l] = deltas[row, r], deltas[row, t]
                for l in range(LANES):
                    lanes[2, l] = T(exp(np.float64(between((lanes[2, l] * sw + mw) / ww, shrink, grow))))
                    lanes[3, l] = T(exp(np.float64(between((lanes[3, l] * sh + mh) / wh, shrink, grow))))
                for l in range(LANES):
                    j = np.uint64(i + l)
                    w, h = tile[2, j] - tile[0, j], tile[3, j] - tile[1, j]
                    sized = (w > zero) & (h > zero) & (tile[0, j] == tile[0, j])
                    x = between((lanes[0, l] * sx + mx) / wx * w, -move, move) + (tile[0, j] + half * w)
                    y = between((lanes[1, l] * sy + my) / wy * h, -move, move) + (tile[1, j] + half * h)
                    w, h = half * (lanes[2, l] * w), half * (lanes[3, l] * h)
                    lanes[0, l] = between(x - w, least, ends[0, l]) if sized else nan
                    lanes[1, l] = between(y - h, least, ends[1, l]) if sized else nan
                    lanes[2, l] = between(x + w, least, ends[0, l]) if sized else nan
                    lanes[3, l] = between(y + h, least, ends[1, l]) if sized else nan
                if arrangement == XYWH or arrangement == CXCYWH:
                    for l in range(LANES):
                        lanes[2, l], lanes[3, l] = lanes[2, l] - lanes[0, l], lanes[3, l] - lanes[1, l]
                if arrangement == CXCYWH:
                    for l in range(LANES):
                        lanes[0, l], lanes[1, l] = lanes[0, l] + half * lanes[2, l], lanes[1, l] + half * lanes[3, l]
                if arrangement == YXYX:
                    p, q, r, t = q, p, t, r
                for l in range(m):
                    row = np.uint64(s + i + l)
                    out[row, p], out[row, q], out[row, r], out[row, t] = (
                        one_nan(lanes[0, l]),
                        one_nan(lanes[1, l]),
                        one_nan(lanes[2, l]),
                        one_nan(lanes[3, l]),
                    )


def growth(logs, low, high, out):
    """Write the growth of sides, and 0 where the logarithm is beyond a limit: there the growth is constant."""
    T = out.dtype.type
    for row in range(logs.shape[0]):
        for k in range(logs.shape[1]):
            x = logs[row, k]
            out[row, k] = T(0) if (x < low) | (x > high) else T(exp(np.float64(x)))


def _terms(t):
    """Return the types of weights, means and standard deviations."""
    return group(*[types.repeated(t, 4)] * 3)


GROWTH = Kernel(growth, lambda t: types.void(readonly(t, 2), t, t, vector(t, 2)), {"": {}})
ENCODE = Kernel(encode, lambda t: types.void(_terms(t), side(t), side(t), group(i8, i8), vector(t, 2)), {"": {}})
DECODE = Kernel(
    decode,
    lambda t: types.void(
        *(_terms(t), types.repeated(t, 4), readonly(t, 2), side(t)),
        *(group(readonly(t), readonly(t)), i8, group(i8, i8), vector(t, 2)),
    ),
    {"": {}},
)
