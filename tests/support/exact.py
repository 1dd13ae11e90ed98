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


def number(given: Any) -> Decimal:
    """A float as it is, and a decimal unchanged."""
    return given if isinstance(given, Decimal) else Decimal(float(given))


def turn_of(angle: Any, degrees: bool) -> tuple[Decimal, Decimal]:
    return sine_and_cosine(number(angle) * PI / 180 if degrees else number(angle))


def rectangle(box: Sequence[Any], degrees: bool = False) -> list[tuple[Decimal, Decimal]]:
    """The corners of a rectangle given as centre, sides and angle."""
    cx, cy, w, h = map(number, box[:4])
    s, c = turn_of(box[4], degrees)
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


Covariance = tuple[Decimal, Decimal, Decimal]


def covariance(box: Sequence[Any], part: int) -> Covariance:
    """The covariances xx, yy and xy of a rectangle's Gaussian: its variances are a part of the squares of its sides."""
    w, h = number(box[2]) ** 2 / part, number(box[3]) ** 2 / part
    s, c = turn_of(box[4], False)
    return w * c * c + h * s * s, w * s * s + h * c * c, (w - h) * s * c


def squared_distance(a: Sequence[Any], b: Sequence[Any], by: Covariance) -> Decimal:
    """The squared distance of two centres, times the determinant of a covariance, in units of it (Mahalanobis)."""
    (x, y, xy), dx, dy = by, number(b[0]) - number(a[0]), number(b[1]) - number(a[1])
    return y * dx * dx - 2 * xy * dx * dy + x * dy * dy


def determinant(of: Covariance) -> Decimal:
    return of[0] * of[1] - of[2] * of[2]


def hellinger(a: Sequence[Any], b: Sequence[Any]) -> Decimal:
    """1 less ProbIoU of two rectangles with sides, by the determinants of the paper."""
    p, q = covariance(a, 12), covariance(b, 12)
    sum_of = (p[0] + q[0], p[1] + q[1], p[2] + q[2])
    both = determinant(sum_of)
    far = squared_distance(a, b, sum_of) / both / 4
    sizes = (both / (4 * (determinant(p) * determinant(q)).sqrt())).sqrt()
    return (1 - min((-far).exp() / sizes, Decimal(1))).sqrt()


def probiou(a: Sequence[float], b: Sequence[float]) -> float:
    return float(1 - hellinger(a, b))


def divergence(a: Sequence[Any], b: Sequence[Any]) -> Decimal:
    """The Kullback-Leibler divergence of the Gaussian of a from that of b."""
    p, q = covariance(a, 4), covariance(b, 4)
    size = determinant(p)
    trace = (p[1] * q[0] - 2 * p[2] * q[2] + p[0] * q[1]) / size
    return (squared_distance(a, b, p) / size + trace + (size / determinant(q)).ln()) / 2 - 1
