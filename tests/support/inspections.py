"""The problems of a table by a plain loop over its rows, and what a terminal prints of them."""

from __future__ import annotations

import io
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import fastbox
from fastbox.jobs import Limits
from fastbox.report.terminal.inspected import show_inspected
from support.scenes import Scene

Row = tuple[Any, int | None, str, int | None, float | None]


def naive(scene: Scene, limits: Limits, *, listed: bool = False, sized: bool = True, classes: bool = True) -> list[Row]:
    """All problems, row by row and pair by pair."""
    found: list[Row] = []
    seen: dict[Any, int] = {}
    sides = scene.sides()
    n = len(sides)
    label = scene.label if classes else [0] * n
    valid = [bool(np.isfinite(box[:4]).all() and box[2] >= box[0] and box[3] >= box[1]) for box in sides]
    ranges = naive_ranges(scene, label, valid, limits.class_size)
    copies: dict[int, int] = {}
    matrix = fastbox.pairwise(scene.boxes, scene.boxes)
    for row in range(n):
        image = scene.image[row]
        x0, y0, x1, y1, w, h = sides[row]
        shorter, longer = min(w, h), max(w, h)
        add = lambda code, value=None, other=None: found.append((image, row, code, other, value))  # noqa: B023, E731
        if label[row] is None:
            add("no_class")
        if listed and image not in scene.listed:
            add("no_image")
        if scene.id[row] is not None:
            if scene.id[row] in seen:
                add("repeated_id", None, seen[scene.id[row]])
            seen.setdefault(scene.id[row], row)
        if not np.isfinite([x0, y0, x1, y1]).all():
            add("non_finite")
            continue
        if not valid[row]:
            add("inverted", shorter)
            continue
        across, down = scene.frame(row, listed, sized)
        outside = max(-x0, -y0, x1 - across, y1 - down)
        if not math.isnan(across) and outside > limits.tolerance:
            add("out_of_image", outside)
        if shorter == 0:
            add("zero_side", 0.0)
        else:
            if shorter < limits.sub_pixel:
                add("sub_pixel", shorter)
            if longer / shorter > limits.max_aspect:
                add("extreme_aspect", longer / shorter)
            share = w / across * (h / down)
            if not math.isnan(across):
                if max(x0, y0, across - x1, down - y1) <= limits.tolerance:
                    add("whole_image", share)
                elif share > limits.huge:
                    add("huge", share)
            if limits.class_size is not None and label[row] in ranges:
                low, high, middle = ranges[label[row]]
                if not low <= w * h <= high:
                    add("class_size", math.sqrt(w * h / middle))
        for other in range(row):
            alike = scene.image[other] == image and label[other] == label[row] and valid[other]
            if alike and np.array_equal(scene.stored[other], scene.stored[row]):
                copies[row] = other
                add("duplicate", None, other)
                break
    for code, same in (("near_duplicate", True), *((("near_duplicate_other_class", False),) if classes else ())):
        pairs = set()
        for row in range(n):
            best, partner = -1.0, None
            for other in range(n):
                if row == other or scene.image[row] != scene.image[other] or row in copies or other in copies:
                    continue
                if not (valid[row] and valid[other]) or (label[row] == label[other]) != same:
                    continue
                if matrix[row, other] > best:
                    best, partner = matrix[row, other], other
            if partner is not None and best >= matrix.dtype.type(limits.near):
                pairs.add((max(row, partner), min(row, partner), float(best)))
        found += [(scene.image[high], high, code, low, value) for high, low, value in pairs]
    if listed:
        for image, times in Counter(scene.listed).items():
            found += [(image, None, "no_boxes", None, None)] * (image not in scene.image)
            found += [(image, None, "repeated_id", None, float(times))] * (times > 1)
    return sorted(found, key=lambda row: (row[0], -1 if row[1] is None else row[1], row[2], row[3] or 0))


def naive_ranges(
    scene: Scene, label: list[Any], valid: list[bool], deviations: float | None
) -> dict[Any, tuple[float, float, float]]:
    """By class the least and largest area that is not suspicious; sizes in bins, 16 for each doubling of an area."""
    ranges = {}
    for kind in set(label):
        logs = []
        for row, (*_, w, h) in enumerate(scene.sides()):
            if label[row] == kind and valid[row] and w * h > 0:
                mantissa, exponent = math.frexp(w * h)
                middle = (math.floor(mantissa * 32) + 0.5) / 32 * 2.0**exponent
                logs.append(math.log2(middle) / 2)
        if len(logs) >= 30 and deviations is not None:
            median = sorted(logs)[(len(logs) - 1) // 2]
            off = sorted(abs(log - median) for log in logs)[(len(logs) - 1) // 2]
            spread = deviations * max(1.4826 * off, 1 / 32)
            ranges[kind] = 4 ** (median - spread), 4 ** (median + spread), 4**median
    return ranges


def rows_of(path: Path) -> list[Row]:
    return [
        (row["image_id"], row["row"], row["code"], row["other"], row["value"])
        for row in pq.read_table(path).to_pylist()
    ]


def assert_same(found: list[Row], expected: list[Row]) -> None:
    assert [row[:4] for row in found] == [row[:4] for row in expected]
    for ours, theirs in zip(found, expected, strict=True):
        assert ours[4] == (None if theirs[4] is None else pytest.approx(theirs[4], rel=1e-9)), (ours, theirs)


def printed(summary: dict[str, Any], width: int = 80) -> str:
    target = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    console = Console(file=target, width=width, highlight=False, color_system=None)
    show_inspected(console, summary)
    target.flush()
    return target.buffer.getvalue().decode()  # type: ignore[attr-defined]
