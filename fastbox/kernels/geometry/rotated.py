"""Rotated rectangles: packing, and the area of the intersection, a sum over the corners of the larger rectangle.

A tile of rotated boxes has the frame of each box in the rows where a tile of plain boxes has corners, for the screens:
x0, y0, x1, y1, then area, centre, cosine, sine and half sides. All arithmetic is float64, in the order written.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.nontemporal import moved
from fastbox.kernels.codes import CCW_CXCYWHD, CCW_CXCYWHR, CXCYWHD, LANES, XYWH, XYXY, YXYX
from fastbox.kernels.geometry.safe_range import LEAST_SCREENABLE, MOST_SCREENABLE
from fastbox.kernels.geometry.turn import sincos, sincos_degrees

FIELDS = 11  # numbers of a packed box
X0, Y0, X1, Y1, AREA, CX, CY, COS, SIN, W, H = range(FIELDS)

SMALL = 2.0**-100  # a sine below it turns nothing: a box would have to be 2^47 times as long as wide
# Frames are packed outward, by more than all roundings of their extent and of their place.
OUTWARD, PLACE = 1.0 + 2.0**-49, 2.0**-51

Turned = namedtuple("Turned", "x0 y0 x1 y1 area cx cy cos sin w h")
Placed = namedtuple("Placed", "x y w h u v cos sin small big")


@device
def box_at(tile, j):
    """Return the j-th box of a tile."""
    return Turned(
        tile[0, j], tile[1, j], tile[2, j], tile[3, j], tile[4, j], tile[5, j],
        tile[6, j], tile[7, j], tile[8, j], tile[9, j], tile[10, j],
    )  # fmt: skip


@inlined
def columns_to_centres(arrangement, n, tile):
    """Convert the columns of n plain boxes, in the places of centre and sides, to centres and sides."""
    cx, cy, w, h = tile[CX], tile[CY], tile[W], tile[H]
    if arrangement == XYXY:
        for j in range(n):
            x, y, r, s = cx[j], cy[j], w[j], h[j]
            cx[j], cy[j], w[j], h[j] = 0.5 * x + 0.5 * r, 0.5 * y + 0.5 * s, r - x, s - y
    elif arrangement == YXYX:
        for j in range(n):
            y, x, s, r = cx[j], cy[j], w[j], h[j]
            cx[j], cy[j], w[j], h[j] = 0.5 * x + 0.5 * r, 0.5 * y + 0.5 * s, r - x, s - y
    elif arrangement == XYWH:
        for j in range(n):
            cx[j], cy[j] = cx[j] + 0.5 * w[j], cy[j] + 0.5 * h[j]


@inlined
def write_turns(arrangement, n, tile):
    """Replace the angles of n boxes, in the place of the sine, by sines and cosines."""
    cosines, sines = tile[COS], tile[SIN]
    if arrangement <= YXYX:
        for j in range(n):
            cosines[j], sines[j] = 1.0, 0.0
    elif (arrangement == CXCYWHD) | (arrangement == CCW_CXCYWHD):
        for j in range(n):
            sines[j], cosines[j] = sincos_degrees(sines[j])
    else:
        for j in range(n):
            sines[j], cosines[j] = sincos(sines[j])
    if (arrangement == CCW_CXCYWHR) | (arrangement == CCW_CXCYWHD):
        for j in range(n):
            sines[j] = -sines[j]


@inlined
def write_frames(n, whole, tile):
    """Write frame, area and half sides of n boxes, given centre, turn and sides, and make the boxes behind invalid.

    An invalid box has an area and a frame of nan. An area above an eighth of the greatest float64 is invalid, for sums
    of a few areas are to be finite. Returns whether all other areas are screenable.
    """
    nan = np.nan
    screenable = True
    for j in range(whole):
        x, y, c, s, a, b = tile[CX, j], tile[CY, j], abs(tile[COS, j]), abs(tile[SIN, j]), tile[W, j], tile[H, j]
        area = a * b
        valid = (j < n) & (a >= 0.0) & (b >= 0.0) & ((x - x) + (y - y) + (8.0 * area - 8.0 * area) + (c - c) == 0.0)
        a, b = 0.5 * a, 0.5 * b
        ex, ey = (c * a + s * b) * OUTWARD + abs(x) * PLACE, (s * a + c * b) * OUTWARD + abs(y) * PLACE
        tile[W, j], tile[H, j] = a, b
        tile[X0, j], tile[Y0, j] = x - ex if valid else nan, y - ey if valid else nan
        tile[X1, j], tile[Y1, j] = x + ex if valid else nan, y + ey if valid else nan
        tile[AREA, j] = area if valid else nan
        tame = ((area >= LEAST_SCREENABLE) & (area <= MOST_SCREENABLE)) | (area == 0.0) | (not valid)
        screenable = screenable & tame
    return screenable


@inlined
def pack(boxes, first, last, tile):
    """Write boxes [first, last) to a tile; return whether all areas of valid boxes are screenable."""
    tile = moved(tile, 0)  # without an owner, whose references would be counted
    arrangement, p, q, r, s, t = boxes
    n = last - first
    whole = (n + LANES - 1) // LANES * LANES
    for j in range(n):
        k = np.uint64(first + j)  # unsigned: no test for an index from the end
        tile[CX, j], tile[CY, j] = np.float64(p[k]), np.float64(q[k])
        # A side of -0 is one of 0: it would hand its sign on.
        tile[W, j], tile[H, j], tile[SIN, j] = np.float64(r[k]) + 0.0, np.float64(s[k]) + 0.0, np.float64(t[k])
    for j in range(n, whole):
        tile[CX, j], tile[CY, j], tile[W, j], tile[H, j], tile[SIN, j] = 0.0, 0.0, 0.0, 0.0, 0.0
    columns_to_centres(arrangement, n, tile)
    write_turns(arrangement, whole, tile)
    return write_frames(n, whole, tile)


@inlined
def before(a, b):
    """Order two boxes by area, centre and sides: those that differ in the angle alone are alike."""
    sides = (a.w < b.w) | ((a.w == b.w) & (a.h < b.h))
    place = (a.cx < b.cx) | ((a.cx == b.cx) & ((a.cy < b.cy) | ((a.cy == b.cy) & sides)))
    return (a.area < b.area) | ((a.area == b.area) & place)


@inlined
def placed(a, b):
    """Place two boxes in the frame of the smaller one, whichever comes first.

    The half sides w and h are those of the smaller box, u and v those of the larger, whose centre is (x, y) and whose
    turn is between 0 and 45 degrees, by quarter turns and a reflection.
    """
    swap = before(b, a)
    dx, dy = b.cx - a.cx, b.cy - a.cy
    c, s = a.cos * b.cos + a.sin * b.sin, a.cos * b.sin - a.sin * b.cos
    dx, dy, s = -dx if swap else dx, -dy if swap else dy, -s if swap else s
    cf, sf = b.cos if swap else a.cos, b.sin if swap else a.sin
    w, h = b.w if swap else a.w, b.h if swap else a.h
    u, v = a.w if swap else b.w, a.h if swap else b.h
    x, y = cf * dx + sf * dy, cf * dy - sf * dx
    far, near = abs(c), abs(s)
    turned = near > far
    flipped = (c < 0.0) ^ (s < 0.0) ^ turned
    u, v = v if turned else u, u if turned else v
    y = -y if flipped else y
    c, s = near if turned else far, far if turned else near
    level = s < SMALL
    c, s = 1.0 if level else c, 0.0 if level else s
    return Placed(x, y, w, h, u, v, c, s, b.area if swap else a.area, a.area if swap else b.area)


@inlined
def within(q, limit):
    """Return q, but no further from 0 than the limit."""
    q = q if q > -limit else -limit
    return q if q < limit else limit


@inlined
def primitive(q, limit):
    """Compute the integral of `within` from 0 to q: q^2 / 2 inside, linear outside."""
    c = within(q, limit)
    return c * (q - 0.5 * c)


@inlined
def behind(px, py, w, h, k, steep):
    """Compute the area of [-w, w] x [-h, h] behind a corner of a box turned by atan(k), but for terms that cancel."""
    x, y = within(px, w), within(py, h)
    return x * y + k * (primitive(py - (x - px) * steep, h) - primitive(px + (y - py) * steep, w))


@inlined
def is_inside(at):
    """Return whether the smaller box of two lies within the larger one."""
    across, along = abs(at.cos * at.x + at.sin * at.y), abs(at.cos * at.y - at.sin * at.x)
    return (across + (at.cos * at.w + at.sin * at.h) <= at.u) & (along + (at.sin * at.w + at.cos * at.h) <= at.v)


@inlined
def are_apart(a, b, at):
    """Return whether an axis of either of two boxes separates them, or an axis of their frames."""
    c, s, x, y, w, h, u, v = at.cos, at.sin, at.x, at.y, at.w, at.h, at.u, at.v
    apart = (a.x0 >= b.x1) | (b.x0 >= a.x1) | (a.y0 >= b.y1) | (b.y0 >= a.y1)  # as the screens decide
    apart |= (abs(x) >= w + (u * c + v * s)) | (abs(y) >= h + (u * s + v * c))
    return apart | (abs(c * x + s * y) >= u + (c * w + s * h)) | (abs(c * y - s * x) >= v + (s * w + c * h))


@inlined
def intersection(a, b):
    """Compute the area of the intersection: a sum over four corners, by inclusion and exclusion.

    Every term is continuous, so that a rounding decides no topology. The area is 0 if an axis of either box separates
    them, and the smaller area if that box lies in the other.
    """
    at = placed(a, b)
    c, s, x, y, w, h, u, v = at.cos, at.sin, at.x, at.y, at.w, at.h, at.u, at.v
    ux, uy, vx, vy = u * c, u * s, v * s, v * c
    e, f, g, d = ux - vx, ux + vx, uy + vy, vy - uy
    level = s == 0.0
    k = s / c
    steep = c / (1.0 if level else s)
    steep = 0.0 if level else steep
    total = (behind(x - e, y - g, w, h, k, steep) - behind(x + f, y - d, w, h, k, steep)) + (
        behind(x + e, y + g, w, h, k, steep) - behind(x - f, y + d, w, h, k, steep)
    )
    total = total if total > 0.0 else 0.0
    total = total if total < at.small else at.small
    total = at.small if is_inside(at) else total
    return 0.0 if are_apart(a, b, at) else total


@inlined
def bridge(ax, ay, bx, by, before, after):
    """Return the hull's step from a corner of one box to one of the other, if its direction lies between two edges."""
    return (before - after) * (ax * by - ay * bx)


@inlined
def hull(a, b):
    """Compute the area of the convex hull of both boxes: half the sum over eight edges and the eight turns between."""
    at = placed(a, b)
    c, s, x, y, w, h, u, v = at.cos, at.sin, at.x, at.y, at.w, at.h, at.u, at.v
    ux, uy, vx, vy = u * c, u * s, v * s, v * c
    e, f, g, d = ux - vx, ux + vx, uy + vy, vy - uy
    ex, ey = c * w + s * h, s * w + c * h
    xr, yr = c * x + s * y, c * y - s * x
    one, zero = 1.0, 0.0
    # Whether the smaller box reaches further in the direction of each of its own edges, and of the other's.
    a0, a1 = one if w >= x + f else zero, one if h >= y + g else zero
    a2, a3 = one if w >= f - x else zero, one if h >= g - y else zero
    b0, b1 = one if ex >= xr + u else zero, one if ey >= yr + v else zero
    b2, b3 = one if ex >= u - xr else zero, one if ey >= v - yr else zero
    total = (a0 + a1 + a2 + a3) * (2.0 * w * h)
    total += (one - b0) * (xr + u) * (2.0 * v) + (one - b2) * (u - xr) * (2.0 * v)
    total += (one - b1) * (yr + v) * (2.0 * u) + (one - b3) * (v - yr) * (2.0 * u)
    p0x, p0y, p1x, p1y = x - e, y - g, x + f, y - d
    p2x, p2y, p3x, p3y = x + e, y + g, x - f, y + d
    total += bridge(w, h, p1x, p1y, a0, b0) + bridge(w, h, p2x, p2y, b0, a1)
    total += bridge(-w, h, p2x, p2y, a1, b1) + bridge(-w, h, p3x, p3y, b1, a2)
    total += bridge(-w, -h, p3x, p3y, a2, b2) + bridge(-w, -h, p0x, p0y, b2, a3)
    total += bridge(w, -h, p0x, p0y, a3, b3) + bridge(w, -h, p1x, p1y, b3, a0)
    return at.big if is_inside(at) else 0.5 * total
