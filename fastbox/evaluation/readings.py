"""Detections of high scores compared with truths in other formats and of neighbouring images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox._record import NamedTuple
from fastbox.boxes.base import Collection
from fastbox.evaluation.shapes import Columns, read_as
from fastbox.evaluation.sides import Detections, GroundTruths, Images

__all__ = ["FITS", "FORMATS", "GIVEN", "Readings", "read_otherwise"]

LOOKED = 4096  # detections of a set of images of which the sample is taken
SAMPLE = 512  # detections of the sample at most
GLANCE = 64  # detections of the sample that are compared first; the others only if a reading may fit
PAIRS = 1 << 16  # truths that the sample is compared with at most
FITS = 0.4  # mean best IoU from which on another reading fits
# From the strictest: in xyxy corners ascend, in cxcywh few boxes reach below 0 from their centres.
FORMATS = ("xyxy", "yxyx", "cxcywh", "xywh")
OUT = 0.05  # share of a side that may be below 0
GIVEN = "as given"

Fits = dict[tuple[str, Any], tuple[float, int]]


class Readings(NamedTuple):
    """The sums and counts of the best IoUs by side and reading, and the greatest coordinate of each side."""

    fits: Fits
    reach: dict[str, float]


def read_otherwise(images: Images, detections: Detections, truths: GroundTruths) -> Readings | None:
    """Compare a sample of detections with the truths in every reading; None without detections or truths."""
    truth_bounds = images.truth_bounds
    rows, image = _best_scored(detections.ranked(slice(LOOKED)), images.bounds, truth_bounds)
    low, high = truth_bounds[image], truth_bounds[image + 1]
    some = np.flatnonzero(np.cumsum(high - low) <= PAIRS)
    image, rows, low, high = image[some], rows[some], low[some], high[some]
    if not len(rows):
        return None
    corners = _columns(detections.boxes, rows)
    beyond = int(truth_bounds[min(int(image.max(initial=0)) + 2, len(truth_bounds) - 1)])
    targets = _columns(truths.boxes, slice(beyond))
    reached = slice(int(low.min(initial=0)), int(high.max(initial=0)))
    reach = {"detections": _greatest(corners), "truths": _greatest(tuple(column[reached] for column in targets))}
    spans = {0: (low, high)} | _shifted(images, image, beyond)
    boxes = {way: read_as(corners, way) for way in FORMATS}
    others = {way: read_as(targets, way) for way in FORMATS}
    given = detections.boxes.format, truths.boxes.format
    found = _readings(boxes, others, given, spans, slice(None, None, max(1, len(rows) // GLANCE)))
    if any(key[1] != GIVEN and values.sum() > FITS / 2 * len(values) for key, values in found.items()):
        found = _readings(boxes, others, given, spans, slice(None))
    fits: Fits = {key: (float(values.sum()), len(values)) for key, values in found.items()}
    for way in FORMATS:
        total, count = 0.0, 0
        for columns in (boxes[way], tuple(column[reached] for column in others[way])):
            plausible = _plausible(columns, way)
            total, count = total + float(plausible.sum()), count + len(plausible)
        fits["either", way] = total, count
    return Readings(fits, reach)


def _greatest(columns: tuple[NDArray[np.float64], ...]) -> float:
    """Return the greatest finite coordinate."""
    finite = np.abs(np.stack(columns)) if len(columns[0]) else np.zeros((4, 0))
    return float(finite[np.isfinite(finite)].max(initial=0))


def _shifted(
    images: Images, image: NDArray[np.int64], beyond: int
) -> dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Return the bounds of the truths of the images before and after, by the shift of their numbers."""
    spans: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]] = {}
    ids = images.ids
    if ids is None or ids.dtype.kind not in "iu":
        return spans
    for shift in (-1, 1):
        place = np.searchsorted(ids, ids[image] + shift)
        there = place < len(ids)
        there[there] &= ids[place[there]] == ids[image[there]] + shift
        first, last = (images.truth_bounds[np.where(there, place + k, 0)].clip(max=beyond) for k in (0, 1))
        spans[shift] = first, np.where(there, last, first)
    return spans


def _columns(boxes: Collection, rows: Any) -> Columns:
    p, q, r, s = (column[rows].astype(np.float64) for column in boxes.columns)
    return p, q, r, s


def _plausible(boxes: tuple[NDArray[np.float64], ...], format: str) -> NDArray[np.bool_]:
    """Return a flag for each box that looks like a box if it is read in a format."""
    x, y, w, h = boxes
    with np.errstate(invalid="ignore"):
        found: NDArray[np.bool_] = (w >= 0) & (h >= 0)
        if format == "cxcywh":
            found &= (x >= -OUT * w) & (y >= -OUT * h)
    return found


def _best_scored(
    scores: NDArray[np.float64], bounds: NDArray[np.int64], truth_bounds: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the detections of the highest scores in the first images, one for each truth, and their images."""
    n = min(int(bounds[-1]), LOOKED)
    images = int(np.searchsorted(bounds, n))
    edges = bounds[: images + 1].clip(max=n)
    image, rows = np.repeat(np.arange(images), np.diff(edges)), np.arange(n)
    sort, no_codes = parallel.kernels("common.sorting").SORT[scores.dtype, ""], np.empty(0, np.int64)
    sort(no_codes, scores, edges, rows, 0, images)
    wanted = np.maximum(np.diff(truth_bounds), 1)
    rows = np.sort(rows[np.arange(len(rows)) - bounds[image] < wanted[image]])[:SAMPLE]
    return rows, image[rows]


def _readings(
    boxes: Mapping[str, Columns],
    truths: Mapping[str, Columns],
    given: tuple[str, str],
    spans: Mapping[int, tuple[NDArray[np.int64], NDArray[np.int64]]],
    some: slice,
) -> dict[tuple[str, Any], NDArray[np.float64]]:
    """Return the best IoUs of some boxes by side and reading: other formats of a side, truths of other images.

    ``spans`` has the bounds of the truths of each box, by the shift of the image's number.
    """
    own, its = given
    asked: list[tuple[tuple[str, Any], str, str, int]] = [(("detections", GIVEN), own, its, 0)]
    asked += [(("detections", other), other, its, 0) for other in FORMATS if other != own]
    asked += [(("truths", other), own, other, 0) for other in FORMATS if other != its]
    asked += [(("images", shift), own, its, shift) for shift in spans if shift]
    size = len(truths[its][0])
    bases = {way: place * size for place, way in enumerate(truths)}
    low, high = (np.concatenate([spans[shift][end][some] + bases[way] for _, _, way, shift in asked]) for end in (0, 1))
    x, y, w, h = (np.concatenate([boxes[way][k][some] for _, way, _, _ in asked]) for k in range(4))
    left, top, width, height = (np.concatenate([columns[k] for columns in truths.values()]) for k in range(4))
    values = _best((x, y, w, h), (left, top, width, height), low, high)
    counts = np.add.reduceat(high > low, np.arange(len(asked)) * (len(low) // len(asked)), dtype=np.int64)
    return {key: part for (key, *_), part in zip(asked, np.split(values, np.cumsum(counts[:-1])), strict=True)}


def _best(boxes: Columns, truths: Columns, low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the best IoU with the truths from `low` to before `high`, for each box that has truths."""
    counts = high - low
    rows = np.repeat(np.arange(len(low)), counts)
    starts = np.cumsum(counts) - counts
    cols = np.arange(len(rows)) - np.repeat(starts - low, counts)
    x, y, w, h = (column[rows] for column in boxes)
    left, top, width, height = (column[cols] for column in truths)
    with np.errstate(all="ignore"):
        across = np.minimum(x + w, left + width) - np.maximum(x, left)
        down = np.minimum(y + h, top + height) - np.maximum(y, top)
        valid = (w >= 0) & (h >= 0) & (width >= 0) & (height >= 0) & (across > 0) & (down > 0)
        shared = across * down
        ratio = shared / (w * h + width * height - shared)
        iou = np.where(valid & np.isfinite(ratio), ratio, 0.0)
    found: NDArray[np.float64] = np.maximum.reduceat(iou, starts[counts > 0]) if len(rows) else np.zeros(0)
    return found
