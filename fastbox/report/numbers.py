"""Numbers in one style, for pages and terminals: thousands with commas, ``67.4%``, ``0.8060``, a dash for none."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "NONE",
    "are_doublings",
    "count",
    "counted",
    "decimals",
    "edge",
    "filled",
    "limits",
    "number",
    "share",
    "times",
]

NONE = "–"


def counted(n: int, things: str) -> str:
    """Return a count with the name of the things, in the singular for 1.

    >>> counted(1200, "rows"), counted(1, "images without boxes"), counted(1, "classes")
    ('1,200 rows', '1 image without boxes', '1 class')
    """
    many, *rest = things.split(" ")
    one = {"boxes": "box", "classes": "class", "categories": "category"}.get(many, many.removesuffix("s"))
    return " ".join([f"{n:,}", one if n == 1 else many, *rest])


def count(value: int | None) -> str:
    """Return a count, or a dash for none."""
    return NONE if value is None else f"{value:,}"


def share(value: float | None, decimals: int = 1) -> str:
    """Return a share in percent.

    >>> share(0.6742), share(0.00284, 2), share(None)
    ('67.4%', '0.28%', '–')
    """
    return NONE if value is None else f"{value:.{decimals}%}"


def decimals(value: float | None, places: int) -> str:
    """Return a number with this many decimals."""
    return NONE if value is None else f"{value:,.{places}f}"


def number(value: float | None) -> str:
    """Return a number with four significant digits, three below 0.1, and in whole units from 10,000 on.

    >>> number(0.806), number(1.0), number(23.5934), number(54321.5), number(0.00241), number(None)
    ('0.8060', '1.000', '23.59', '54,322', '0.00241', '–')
    """
    if value is None:
        return NONE
    return f"{value:,.0f}" if abs(value) >= 9999.5 else f"{value:#.4g}" if abs(value) >= 0.1 else f"{value:.3g}"


def edge(value: float) -> str:
    """Return an edge of a histogram's bins; below 1 it is a power of two, which is written as a fraction.

    >>> edge(0.25), edge(0), edge(1024)
    ('1/4', '0', '1024')
    """
    return f"1/{1 / value:g}" if 0 < value < 1 else f"{value:g}"


def are_doublings(edges: Sequence[float]) -> bool:
    """Tell whether the edges of a histogram are doublings, which are drawn on a log scale; else they are even.

    >>> are_doublings([0, 0.5, 1, 2, 4]), are_doublings([0, 0.25, 0.5, 0.75, 1])
    (True, False)
    """
    return edges[-1] == 2 * edges[-2]


def filled(edges: Sequence[float], counts: Sequence[int]) -> tuple[Sequence[float], Sequence[int]]:
    """Return the edges and counts of a histogram without its empty ends.

    >>> filled([0, 1, 2, 4, 8], [0, 5, 3, 0])
    ([1, 2, 4], [5, 3])
    """
    some = [k for k, count in enumerate(counts) if count] or [0]
    return edges[some[0] : some[-1] + 2], counts[some[0] : some[-1] + 1]


def times(ratio: float) -> str:
    """Return a ratio in two digits.

    >>> times(0.14), times(7.23), times(89.6)
    ('0.14×', '7.2×', '90×')
    """
    return f"{ratio:.2g}×" if ratio < 10 else f"{ratio:.0f}×"


def limits(pair: Sequence[float | None]) -> str:
    """Return both limits of an interval.

    >>> limits([0.25, 0.5]), limits([None, None])
    ('0.250 to 0.500', '–')
    """
    low, high = pair
    return NONE if low is None or high is None else f"{low:.3f} to {high:.3f}"
