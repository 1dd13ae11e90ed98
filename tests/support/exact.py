"""Areas of polygons in decimals of 60 digits or in fractions: the oracle of rotated boxes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import pairwise
from typing import Any

getcontext().prec = 60
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803")

Points = Sequence[tuple[Any, Any]]


def sine_and_cosine(angle: Decimal) -> tuple[Decimal, Decimal]:
    """By Taylor's series, after whole turns are taken off."""
    angle -= 2 * PI * (angle / (2 * PI)).to_integral_value()
    sine, cosine, term = Decimal(0), Decimal(0), Decimal(1)
    for k in range(0, 120, 2):
        sign = -1 if k % 4 else 1
        cosine += sign * term
        term = term * angle / (k + 1)
        sine += sign * term
        term = term * angle / (k + 2)
    return sine, cosine


def turn_of(angle: float, degrees: bool) -> tuple[Decimal, Decimal]:
    return sine_and_cosine(Decimal(angle) * PI / 180 if degrees else Decimal(angle))


def rectangle(box: Sequence[float], degrees: bool = False) -> list[tuple[Decimal, Decimal]]:
    """The corners of a rectangle given as centre, sides and angle."""
    cx, cy, w, h = (Decimal(float(number)) for number in box[:4])
    s, c = turn_of(float(box[4]), degrees)
    ux, uy, vx, vy = w / 2 * c, w / 2 * s, h / 2 * s, h / 2 * c
    return [(cx - ux + vx, cy - uy - vy), (cx + ux + vx, cy + uy - vy), (cx + ux - vx, cy + uy + vy),
            (cx - ux - vx, cy - uy + vy)]  # fmt: skip


def quadrilateral(numbers: Sequence[float]) -> list[tuple[Fraction, Fraction]]:
    return [(Fraction(float(numbers[k])), Fraction(float(numbers[k + 1]))) for k in (0, 2, 4, 6)]


def signed_area(points: Points) -> Any:
    total = 0
    for (ax, ay), (bx, by) in pairwise(points):
        total += (ax - points[0][0]) * (by - points[0][1]) - (bx - points[0][0]) * (ay - points[0][1])
    return total / 2 if points else 0


def clipped(points: Points, by: Points) -> Points:
    """A convex polygon clipped by another (Sutherland and Hodgman)."""
    points, by = (p if signed_area(p) >= 0 else p[::-1] for p in (points, by))
    for (ax, ay), (bx, by_) in zip(by, [*by[1:], by[0]], strict=True):
        sides = [(bx - ax) * (y - ay) - (by_ - ay) * (x - ax) for x, y in points]
        kept: list[tuple[Any, Any]] = []
        for k, (x, y) in enumerate(points):
            after = (k + 1) % len(points)
            if sides[k] >= 0:
                kept.append((x, y))
            if sides[k] * sides[after] < 0:
                t = sides[k] / (sides[k] - sides[after])
                kept.append((x + t * (points[after][0] - x), y + t * (points[after][1] - y)))
        points = kept
        if len(points) < 3:
            return []
    return points


def triangles(points: Points) -> list[Points]:
    """Two triangles that make up a simple quadrilateral: cut where both turn the same way."""
    a, b, c, d = points
    first, second = [a, b, c], [a, c, d]
    if signed_area(first) * signed_area(second) >= 0:
        return [first, second]
    return [[b, c, d], [b, d, a]]


def intersection(a: Points, b: Points) -> Any:
    parts = [[part for part in triangles(points) if signed_area(part) != 0] for points in (a, b)]
    return sum((abs(signed_area(clipped(p, q))) for p in parts[0] for q in parts[1]), 0)


def area(points: Points) -> Any:
    return abs(signed_area(points))


def hull(points: Points) -> Any:
    """The area of the convex hull (Andrew's chains)."""
    ordered = sorted(points)

    def chain(points: Points) -> list[tuple[Any, Any]]:
        kept: list[tuple[Any, Any]] = []
        for point in points:
            while len(kept) > 1 and signed_area([kept[-2], kept[-1], point]) <= 0:
                kept.pop()
            kept.append(point)
        return kept[:-1]

    return area(chain(ordered) + chain(ordered[::-1]))


def values(a: Points, b: Points) -> dict[str, float]:
    """The exact metrics of two boxes given by their corners, each rounded once."""
    inter, area_a, area_b = intersection(a, b), area(a), area(b)
    union, around = area_a + area_b - inter, hull([*a, *b])
    iou = inter / union if union else 0 * union
    return {
        "iou": float(iou),
        "iof": float(inter / area_a) if area_a else 0.0,
        "ios": float(inter / min(area_a, area_b)) if min(area_a, area_b) else 0.0,
        "giou": float(iou - (around - union) / around) if around else 0.0,
    }


def probiou(a: Sequence[float], b: Sequence[float]) -> float:
    """ProbIoU of two rectangles with sides, by the determinants of the paper."""

    def covariance(box: Sequence[float]) -> tuple[Decimal, Decimal, Decimal]:
        w, h = Decimal(float(box[2])) ** 2 / 12, Decimal(float(box[3])) ** 2 / 12
        s, c = turn_of(float(box[4]), False)
        return w * c * c + h * s * s, w * s * s + h * c * c, (w - h) * s * c

    (ax, ay, axy), (bx, by, bxy) = covariance(a), covariance(b)
    x, y, xy = ax + bx, ay + by, axy + bxy
    dx, dy = Decimal(float(b[0])) - Decimal(float(a[0])), Decimal(float(b[1])) - Decimal(float(a[1]))
    both = x * y - xy * xy
    far = (y * dx * dx - 2 * xy * dx * dy + x * dy * dy) / both / 4
    sizes = (both / (4 * ((ax * ay - axy * axy) * (bx * by - bxy * bxy)).sqrt())).sqrt()
    return float(1 - (1 - min((-far).exp() / sizes, Decimal(1))).sqrt())
