"""Simple quadrilaterals, convex or not: the area of the intersection, a sum over the pairs of edges of both.

A packed quadrilateral has a place, and corners relative to that place: those of its first corner, or of the centre of a
rectangle. So a pair far from the origin is measured as one at the origin.
"""

from __future__ import annotations

from collections import namedtuple

import numpy as np

from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.nontemporal import moved
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.codes import LANES, XYXYXYXY
from fastbox.kernels.geometry import rotated
from fastbox.kernels.geometry.formulas import larger, smaller
from fastbox.kernels.geometry.rotated import AREA, OUTWARD, PLACE
from fastbox.kernels.geometry.safe_range import LEAST_SCREENABLE, MOST_SCREENABLE

# Rows of a tile: the frame and the area as for rectangles, then the place, whether convex, and of each corner x, y, and
# the slope and the sign of the edge that begins there.
X, Y, CONVEX = 5, 6, 7
DX, DY, SLOPE, SIGN = 8, 12, 16, 20
FIELDS = 24

DUST = 2.0**-40  # of the smaller area: less may be a rounding, and is looked at again

Quad = namedtuple("Quad", "x0 y0 x1 y1 area x y convex dx dy slope sign")
Edge = namedtuple("Edge", "left right x y slope sign")


@device
def four(tile, row, j):
    return tile[row, j], tile[row + 1, j], tile[row + 2, j], tile[row + 3, j]


@device
def box_at(tile, j):
    """Return the j-th quadrilateral of a tile."""
    return Quad(
        tile[0, j], tile[1, j], tile[2, j], tile[3, j], tile[4, j], tile[5, j], tile[6, j], tile[7, j],
        four(tile, DX, j), four(tile, DY, j), four(tile, SLOPE, j), four(tile, SIGN, j),
    )  # fmt: skip


@device
def cross(x, y, a, b, c):
    """Return twice the area of the triangle of three corners: positive if they turn like x to y."""
    return (x[b] - x[a]) * (y[c] - y[a]) - (y[b] - y[a]) * (x[c] - x[a])


@device
def opposite(p, q):
    """Return whether two numbers are on the two sides of 0."""
    return ((p > 0.0) & (q < 0.0)) | ((p < 0.0) & (q > 0.0))


@device
def edges_cross(x, y):
    """Return whether an edge of a quadrilateral crosses the edge on the other side."""
    first = opposite(cross(x, y, 0, 1, 2), cross(x, y, 0, 1, 3)) & opposite(cross(x, y, 2, 3, 0), cross(x, y, 2, 3, 1))
    other = opposite(cross(x, y, 1, 2, 3), cross(x, y, 1, 2, 0)) & opposite(cross(x, y, 3, 0, 1), cross(x, y, 3, 0, 2))
    return first | other


@device
def is_convex(x, y):
    """Return whether a quadrilateral turns one way at all corners, or not at all."""
    a, b, c, d = cross(x, y, 0, 1, 2), cross(x, y, 1, 2, 3), cross(x, y, 2, 3, 0), cross(x, y, 3, 0, 1)
    left = (a >= 0.0) & (b >= 0.0) & (c >= 0.0) & (d >= 0.0)
    return left | ((a <= 0.0) & (b <= 0.0) & (c <= 0.0) & (d <= 0.0))


@inlined
def write_corners(boxes, first, n, tile):
    """Write places and corners of n boxes; a rectangle's corners are around its centre.

    A rectangle with a negative side or an angle beyond all bounds gets corners of nan.
    """
    arrangement, p, q, r, s, t, u, v, w = boxes
    if arrangement == XYXYXYXY:
        for j in range(n):
            k = np.uint64(first + j)
            x, y = np.float64(p[k]), np.float64(q[k])
            tile[X, j], tile[Y, j], tile[DX, j], tile[DY, j] = x, y, 0.0, 0.0
            tile[DX + 1, j], tile[DY + 1, j] = np.float64(r[k]) - x, np.float64(s[k]) - y
            tile[DX + 2, j], tile[DY + 2, j] = np.float64(t[k]) - x, np.float64(u[k]) - y
            tile[DX + 3, j], tile[DY + 3, j] = np.float64(v[k]) - x, np.float64(w[k]) - y
        return
    turned = np.empty((rotated.FIELDS, LANES), np.float64)
    for start in range(0, n, LANES):
        m = min(LANES, n - start)
        rotated.pack((arrangement, p, q, r, s, t), first + start, first + start + m, turned)
        for l in range(m):
            j, one = start + l, rotated.box_at(turned, l)
            valid = one.area - one.area  # 0, or nan
            ux, uy, vx, vy = one.w * one.cos, one.w * one.sin, one.h * one.sin, one.h * one.cos
            tile[X, j], tile[Y, j] = one.cx + valid, one.cy
            tile[DX, j], tile[DY, j] = -(ux - vx), -(uy + vy)
            tile[DX + 1, j], tile[DY + 1, j] = ux + vx, uy - vy
            tile[DX + 2, j], tile[DY + 2, j] = ux - vx, uy + vy
            tile[DX + 3, j], tile[DY + 3, j] = -(ux + vx), -(uy - vy)


@device
def ends(q):
    """Return the least and the greatest of four numbers."""
    return smaller(smaller(q[0], q[1]), smaller(q[2], q[3])), larger(larger(q[0], q[1]), larger(q[2], q[3]))


@device
def write_edges(n, tile):
    """Write frames, areas, slopes and signs of n quadrilaterals; return whether all areas are screenable."""
    screenable = True
    nan = np.nan
    for j in range(n):
        x, y, dx, dy = tile[X, j], tile[Y, j], four(tile, DX, j), four(tile, DY, j)
        twice = (dx[2] - dx[0]) * (dy[3] - dy[1]) - (dy[2] - dy[0]) * (dx[3] - dx[1])
        area = 0.5 * abs(twice)
        finite = (x - x) + (y - y) + (8.0 * area - 8.0 * area) == 0.0
        valid = finite and not edges_cross(dx, dy)
        turn = 1.0 if twice > 0.0 else -1.0
        for c in range(4):
            d = (c + 1) % 4
            wide = tile[DX + d, j] - tile[DX + c, j]
            level = wide == 0.0
            tile[SLOPE + c, j] = 0.0 if level else (tile[DY + d, j] - tile[DY + c, j]) / (1.0 if level else wide)
            tile[SIGN + c, j] = 0.0 if level else (-turn if wide > 0.0 else turn)
        (left, right), (top, bottom) = ends(dx), ends(dy)
        px, py = abs(x) * PLACE + (right - left) * (OUTWARD - 1.0), abs(y) * PLACE + (bottom - top) * (OUTWARD - 1.0)
        tile[0, j], tile[1, j] = x + left - px if valid else nan, y + top - py if valid else nan
        tile[2, j], tile[3, j] = x + right + px if valid else nan, y + bottom + py if valid else nan
        tile[AREA, j] = area if valid else nan
        tile[CONVEX, j] = 1.0 if is_convex(dx, dy) else 0.0
        tame = ((area >= LEAST_SCREENABLE) & (area <= MOST_SCREENABLE)) | (area == 0.0)
        screenable = screenable and (tame or not valid)
    return screenable


@inlined
def pack(boxes, first, last, tile):
    """Write boxes [first, last) to a tile; return whether all areas of valid boxes are screenable."""
    tile = moved(tile, 0)  # without an owner, whose references would be counted
    n = last - first
    write_corners(boxes, first, n, tile)
    screenable = write_edges(n, tile)
    for r in range(FIELDS):
        for j in range(n, (n + LANES - 1) // LANES * LANES):
            tile[r, j] = np.nan
    return screenable


@inlined
def before(a, b):
    """Order two quadrilaterals by area and place."""
    place = (a.x < b.x) | ((a.x == b.x) & (a.y < b.y))
    return (a.area < b.area) | ((a.area == b.area) & place)


@inlined
def together(a, b):
    """Return the corners of both from the place of the smaller one, whichever comes first: x and y of a, then of b."""
    swap = before(b, a)
    dx, dy = b.x - a.x, b.y - a.y
    ax, ay, bx, by = -dx if swap else 0.0, -dy if swap else 0.0, 0.0 if swap else dx, 0.0 if swap else dy
    return (
        (a.dx[0] + ax, a.dx[1] + ax, a.dx[2] + ax, a.dx[3] + ax),
        (a.dy[0] + ay, a.dy[1] + ay, a.dy[2] + ay, a.dy[3] + ay),
        (b.dx[0] + bx, b.dx[1] + bx, b.dx[2] + bx, b.dx[3] + bx),
        (b.dy[0] + by, b.dy[1] + by, b.dy[2] + by, b.dy[3] + by),
    )


@inlined
def edge(box, x, y, c, d):
    """Return the edge from corner c to corner d."""
    return Edge(smaller(x[c], x[d]), larger(x[c], x[d]), x[c], y[c], box.slope[c], box.sign[c])


@inlined
def below(p, q):
    """Compute the signed area below two edges: the length they share, times half their heights less their distance."""
    left, right = larger(p.left, q.left), smaller(p.right, q.right)
    length = right - left
    length = length if length > 0.0 else 0.0
    mid = 0.5 * (left + right)
    high, low = p.y + (mid - p.x) * p.slope, q.y + (mid - q.x) * q.slope
    gap, spread = abs(high - low), 0.5 * length * abs(p.slope - q.slope)
    crossing = spread > gap
    apart = (gap * gap + spread * spread) / (2.0 * spread if crossing else 1.0)
    apart = apart if crossing else gap
    return p.sign * q.sign * length * (0.5 * (high + low) - 0.5 * apart)


@inlined
def same(a, b):
    """Return whether all corners of two quadrilaterals are equal, in their order."""
    alike = (a.x == b.x) & (a.y == b.y) & (a.dx[0] == b.dx[0]) & (a.dy[0] == b.dy[0])
    alike &= (a.dx[1] == b.dx[1]) & (a.dx[2] == b.dx[2]) & (a.dx[3] == b.dx[3])
    return alike & (a.dy[1] == b.dy[1]) & (a.dy[2] == b.dy[2]) & (a.dy[3] == b.dy[3])


@inlined
def plain_intersection(a, b):
    """Compute the area of the intersection; of boxes that lie apart, a rounding may be left."""
    ax, ay, bx, by = together(a, b)
    p0, p1, p2, p3 = edge(a, ax, ay, 0, 1), edge(a, ax, ay, 1, 2), edge(a, ax, ay, 2, 3), edge(a, ax, ay, 3, 0)
    q0, q1, q2, q3 = edge(b, bx, by, 0, 1), edge(b, bx, by, 1, 2), edge(b, bx, by, 2, 3), edge(b, bx, by, 3, 0)
    total = (below(p0, q0) + below(p1, q1)) + (below(p2, q2) + below(p3, q3))
    total += below(p0, q1) + below(p1, q0)
    total += below(p0, q2) + below(p2, q0)
    total += below(p0, q3) + below(p3, q0)
    total += below(p1, q2) + below(p2, q1)
    total += below(p1, q3) + below(p3, q1)
    total += below(p2, q3) + below(p3, q2)
    total = total if total > 0.0 else 0.0
    total = smaller(total, smaller(a.area, b.area))
    total = a.area if same(a, b) else total
    apart = (a.x0 >= b.x1) | (b.x0 >= a.x1) | (a.y0 >= b.y1) | (b.y0 >= a.y1)  # as the screens decide
    return 0.0 if apart else total


@device
def side_of(x, y, c, d, u, v):
    """Return the least and the greatest side of four corners (u, v) of the line through corners c and d of (x, y)."""
    least, most = np.inf, -np.inf
    for k in range(4):
        t = (x[d] - x[c]) * (v[k] - y[c]) - (y[d] - y[c]) * (u[k] - x[c])
        least, most = smaller(least, t), larger(most, t)
    return least, most


@device
def separated_by(x, y, u, v):
    """Return whether the line of an edge of (x, y) has its corners on one side, and those of (u, v) on the other."""
    for c in range(4):
        d = (c + 1) % 4
        if (x[c] == x[d]) & (y[c] == y[d]):
            continue
        (least, most), (other_least, other_most) = side_of(x, y, c, d, x, y), side_of(x, y, c, d, u, v)
        if ((least >= 0.0) & (other_most <= 0.0)) | ((most <= 0.0) & (other_least >= 0.0)):
            return True
    return False


@device
def intersection(a, b):
    """Compute the area of the intersection, 0 where hardly anything is left and an edge separates the boxes."""
    total = plain_intersection(a, b)
    if (total > 0.0) & (total < DUST * smaller(a.area, b.area)):
        ax, ay, bx, by = together(a, b)
        if separated_by(ax, ay, bx, by) or separated_by(bx, by, ax, ay):
            return 0.0
    return total


@device
def hull(a, b):
    """Compute the area of the convex hull of both, by a chain of the sorted corners (Andrew, 1979)."""
    if same(a, b) and a.convex == 1.0:
        return a.area
    ax, ay, bx, by = together(a, b)
    like = np.empty(0, np.float64)
    x, y = stack_array(like, 8), stack_array(like, 8)
    for k in range(8):
        u, v = (ax[k], ay[k]) if k < 4 else (bx[k - 4], by[k - 4])
        place = k
        while place > 0 and ((x[place - 1] > u) | ((x[place - 1] == u) & (y[place - 1] > v))):
            x[place], y[place] = x[place - 1], y[place - 1]
            place -= 1
        x[place], y[place] = u, v
    return 0.5 * (abs(chain(x, y, 1.0)) + abs(chain(x, y, -1.0)))


@device
def chain(x, y, way):
    """Return twice the area between the line from the first to the last of eight sorted points and the hull beside it.

    The way is 1 for the hull that turns like x to y, else -1.
    """
    kept = stack_array(np.empty(0, np.int64), 8)
    n = 0
    for k in range(8):
        while n > 1:
            i, j = kept[n - 2], kept[n - 1]
            if way * ((x[j] - x[i]) * (y[k] - y[i]) - (y[j] - y[i]) * (x[k] - x[i])) > 0.0:
                break
            n -= 1
        kept[n] = k
        n += 1
    twice = 0.0
    for place in range(1, n - 1):
        i, j = kept[place], kept[place + 1]
        twice += (x[i] - x[0]) * (y[j] - y[0]) - (y[i] - y[0]) * (x[j] - x[0])
    return twice
