"""Rotated rectangles and quadrilaterals as arrays: corners, smallest rectangles, conventions of angles."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel

__all__ = ["CONVENTIONS", "canonical", "corners", "edges_cross", "smallest_rectangles"]

Columns = tuple[NDArray[Any], ...]
F8: np.dtype[np.float64] = np.dtype(np.float64)

# The first angle of each convention in quarter turns, and whether the width is the longer side; by "oc" the first
# angle is left out and the last one counts.
CONVENTIONS = {"le90": (-1.0, True), "oc": (0.0, False), "le135": (-0.5, True)}

# Half of pi in three parts, as in fastbox.kernels.geometry.turn.
HALF_PI = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)


def corners(columns: Columns, format: str) -> NDArray[np.float64]:
    """Return the (n, 4, 2) corners of rectangles."""
    cx, cy, w, h, angle = (column.astype(np.float64) for column in columns)
    sines, cosines = np.empty(len(angle)), np.empty(len(angle))
    parallel.kernels("geometry.turn").TURNS[F8, ""](angle, format.endswith("d"), sines, cosines)
    if format.startswith("ccw_"):
        sines = -sines
    with np.errstate(invalid="ignore", over="ignore"):
        ux, uy, vx, vy = 0.5 * w * cosines, 0.5 * w * sines, 0.5 * h * sines, 0.5 * h * cosines
        x = np.stack([cx - (ux - vx), cx + (ux + vx), cx + (ux - vx), cx - (ux + vx)], axis=1)
        y = np.stack([cy - (uy + vy), cy + (uy - vy), cy + (uy + vy), cy - (uy - vy)], axis=1)
    return np.stack([x, y], axis=2)


def edges_cross(columns: Columns) -> NDArray[np.bool_]:
    """Tell for each quadrilateral whether an edge crosses the edge on the other side, as kernels decide."""
    points = np.stack(columns, axis=1).astype(np.float64).reshape(-1, 4, 2)
    with np.errstate(invalid="ignore", over="ignore"):
        points = points - points[:, :1]
        x, y = points[..., 0].T, points[..., 1].T

        def cross(a: int, b: int, c: int) -> NDArray[np.float64]:
            found: NDArray[np.float64] = (x[b] - x[a]) * (y[c] - y[a]) - (y[b] - y[a]) * (x[c] - x[a])
            return found

        def between(a: int, b: int, c: int, d: int) -> NDArray[np.bool_]:
            p, q = cross(a, b, c), cross(a, b, d)
            return ((p > 0) & (q < 0)) | ((p < 0) & (q > 0))

        first = between(0, 1, 2, 3) & between(2, 3, 0, 1)
        return first | (between(1, 2, 3, 0) & between(3, 0, 1, 2))


def areas_overflow(columns: Columns) -> NDArray[np.bool_]:
    """Tell for each rectangle or quadrilateral of finite numbers whether 8 times its area overflows, as in kernels."""
    wide = [column.astype(np.float64) for column in columns]
    with np.errstate(invalid="ignore", over="ignore"):
        if len(wide) == 5:
            return ~np.isfinite(8.0 * (wide[2] * wide[3]))
        x, y = wide[::2], wide[1::2]
        across = ((x[2] - x[0]) * ((y[3] - y[0]) - (y[1] - y[0])), (y[2] - y[0]) * ((x[3] - x[0]) - (x[1] - x[0])))
        return ~np.isfinite(8.0 * (0.5 * (across[0] - across[1])))


def smallest_rectangles(columns: Columns) -> Columns:
    """Return the rectangle of smallest area around each quadrilateral, as centre, width, height and radians.

    A side of that rectangle lies on an edge of the convex hull, so on one of six lines through two corners.
    """
    points = np.stack(columns, axis=1).astype(np.float64).reshape(-1, 4, 2)
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        place = points[:, 0]
        local = points - place[:, None]
        starts, ends = np.array([0, 1, 2, 3, 0, 1]), np.array([1, 2, 3, 0, 2, 3])
        along = local[:, ends] - local[:, starts]
        length = np.sqrt((along * along).sum(axis=2))
        level = length == 0
        unit = np.where(level[..., None], [1.0, 0.0], along / np.where(level, 1.0, length)[..., None])
        across = np.stack([-unit[..., 1], unit[..., 0]], axis=2)
        s, t = np.einsum("nex,nkx->nek", unit, local), np.einsum("nex,nkx->nek", across, local)
        w, h = np.ptp(s, axis=2), np.ptp(t, axis=2)
        areas = np.where(np.isnan(w * h), np.inf, w * h)
        rows, chosen = np.arange(len(points)), areas.argmin(axis=1)
        unit, across, s, t = unit[rows, chosen], across[rows, chosen], s[rows, chosen], t[rows, chosen]
        middle, beside = 0.5 * (s.min(axis=1) + s.max(axis=1)), 0.5 * (t.min(axis=1) + t.max(axis=1))
        cx = place[:, 0] + (unit[:, 0] * middle + across[:, 0] * beside)
        cy = place[:, 1] + (unit[:, 1] * middle + across[:, 1] * beside)
        slope, angle = unit[:, 1] / unit[:, 0], np.empty(len(points))
    parallel.kernels("geometry.elementary").FUNCTIONS[F8, "atan"](slope, angle)
    angle = np.where(unit[:, 0] < 0, angle + np.where(unit[:, 1] < 0, -np.pi, np.pi), angle)
    return cx, cy, w[rows, chosen], h[rows, chosen], angle


def canonical(columns: Columns, format: str, convention: str) -> tuple[Columns, str]:
    """Return rectangles written by a convention, and their format, whose angle turns from +x to +y."""
    cx, cy, w, h, angle = columns
    start, longer = CONVENTIONS[convention]
    degrees = format.endswith("d")
    given = angle.astype(np.float64)
    given = -given if format.startswith("ccw_") else given
    quarter = 90.0 if degrees else 0.5 * np.pi
    swapped = (w < h) if longer else np.zeros(len(w), np.bool_)
    with np.errstate(invalid="ignore"):
        turns = given / quarter
        halves = np.ceil((start - turns - swapped) / 2)  # from where the longer side is the width
        count = swapped + 2.0 * halves if longer else 1.0 - np.ceil(turns)
        step, low = 2.0 if longer else 1.0, start * quarter
        for _ in range(2):  # a quotient near a whole number may have been rounded to it
            found = _turned(given, count, degrees)
            below = (found < low) if longer else (found <= low)
            high = low + step * quarter
            above = (found >= high) if longer else (found > high)
            count = count + step * below - step * above
        found = _turned(given, count, degrees)
        if longer:  # an angle nearer to an end than its last bit
            found = np.clip(found, low, np.nextafter(low + step * quarter, -np.inf))
    odd = np.mod(np.nan_to_num(count), 2) == 1
    sides = np.where(odd, h, w), np.where(odd, w, h)
    return (cx, cy, *sides, found.astype(angle.dtype)), "cxcywhd" if degrees else "cxcywhr"


def _turned(angle: NDArray[np.float64], count: NDArray[np.float64], degrees: bool) -> NDArray[np.float64]:
    """Return angles plus quarter turns."""
    if degrees:
        return angle + 90.0 * count
    first, second, third = HALF_PI
    return ((angle + count * first) + count * second) + count * third
