"""Anchor shapes as the configuration lines of detectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["configs", "default_levels"]

Shape = Sequence[float]
Level = Sequence[Shape]

FIRST_LEVEL = 3  # P3, which has stride 8


def default_levels(count: int) -> int:
    """Return the number of feature levels for a number of shapes: three shapes on each level if 3 divides it, else one.

    >>> default_levels(9), default_levels(15), default_levels(4)
    (3, 5, 4)
    """
    return count // 3 if count % 3 == 0 else count


def configs(shapes: Sequence[Shape], levels: int) -> dict[str, str]:
    """Return the lines for each library; shapes are (width, height), the smallest first, the same number on each level.

    Examples
    --------
    >>> print(configs([(10, 13), (16, 30), (33, 23), (30, 61)], 2)["yolo"])
    anchors:
      - [10,13, 16,30]  # P3/8
      - [33,23, 30,61]  # P4/16
    """
    each = len(shapes) // levels
    by_level = [shapes[first : first + each] for first in range(0, len(shapes), each)]
    return {
        "yolo": _yolo(by_level),
        "mmdetection": _mmdetection(by_level),
        "detectron2": _detectron2(by_level),
        "torchvision": _torchvision(by_level),
    }


def _yolo(levels: Sequence[Level]) -> str:
    lines = ["anchors:"]
    for k, level in enumerate(levels, FIRST_LEVEL):
        pairs = ", ".join(f"{_figure(w)},{_figure(h)}" for w, h in level)
        lines.append(f"  - [{pairs}]  # P{k}/{2**k}")
    return "\n".join(lines)


def _mmdetection(levels: Sequence[Level]) -> str:
    sizes = [f"[{', '.join(f'({_figure(w)}, {_figure(h)})' for w, h in level)}]" for level in levels]
    strides = [str(2**k) for k in range(FIRST_LEVEL, FIRST_LEVEL + len(levels))]
    lines = [
        "anchor_generator=dict(",
        "    type='YOLOAnchorGenerator',",
        f"    base_sizes=[{', '.join(reversed(sizes))}],",
        f"    strides=[{', '.join(reversed(strides))}])",
    ]
    return "\n".join(lines)


def _detectron2(levels: Sequence[Level]) -> str:
    each = len(levels[0])
    lines = [
        "MODEL:",
        "  ANCHOR_GENERATOR:",
        f"    SIZES: {_nested([[_size(shape) for shape in level] for level in levels])}",
        f"    ASPECT_RATIOS: {_nested([[_ratio(shape) for shape in level] for level in levels])}",
    ]
    if each > 1:
        lines.insert(0, f"# every size with every ratio: {each * each} anchors on each level, {each} of them fitted")
    return "\n".join(lines)


def _torchvision(levels: Sequence[Level]) -> str:
    """Return lines that set cell anchors directly; the generator would round them and combine all sizes and ratios."""
    alone = len(levels[0]) == 1
    sizes = [tuple(_size(shape) for shape in level) for level in levels]
    ratios = [tuple(_ratio(shape) for shape in level) if alone else ("1.0",) for level in levels]
    cells = [[[str(float(f"{side / 2:.6g}")) for side in (-w, -h, w, h)] for w, h in level] for level in levels]
    products = "" if alone else " and combines every size with every ratio"
    lines = [
        f"anchors = AnchorGenerator(sizes={_tuples(sizes)}, aspect_ratios={_tuples(ratios)})",
        f"# the generator rounds sides to even numbers{products}; these are the fitted shapes:",
        "anchors.cell_anchors = [",
        *(f"    torch.tensor({_nested(cell)})," for cell in cells),
        "]",
    ]
    return "\n".join(lines)


def _size(shape: Shape) -> str:
    return f"{math.sqrt(shape[0] * shape[1]):.6g}"


def _ratio(shape: Shape) -> str:
    """Return height over width."""
    return f"{shape[1] / shape[0]:.6g}"


def _figure(side: float) -> str:
    return f"{side:.15g}"


def _nested(rows: Sequence[Sequence[str]]) -> str:
    inner = ", ".join(f"[{', '.join(row)}]" for row in rows)
    return f"[{inner}]"


def _tuples(rows: Sequence[Sequence[str]]) -> str:
    return _tuple([_tuple(row) for row in rows])


def _tuple(items: Sequence[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
