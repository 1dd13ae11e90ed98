"""Examples of errors: of each kind the detections of the highest scores, and the largest truths that were missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes import Boxes
from fastbox.evaluation.errors import ERRORS
from fastbox.evaluation.judge import COVERING, VERDICTS, Judged
from fastbox.report.page.contents import Box, Example
from fastbox.tables.source import Chunk

__all__ = ["Gallery", "Seen"]

SHOWN = 12  # of each kind
MODELS = 16  # whose examples are kept
NEAR = 3  # detections drawn beside a truth that was missed

Kept = list[tuple[float, int, Example]]


@dataclass
class Seen:
    """A chunk as it was judged: detections with scores and models, and which truths are to be found.

    ``runs`` are places among the ``labels`` of models; ``said`` names the class of a row of ``"found"`` or ``"truth"``.
    """

    chunk: Chunk
    judged: Judged
    scores: NDArray[np.float64]
    runs: NDArray[np.int64]
    labels: Sequence[Any]
    asked: NDArray[np.bool_]
    said: Callable[[str, int], str]

    @property
    def sides(self) -> tuple[Boxes, Boxes]:
        """The detections and the truths."""
        assert self.chunk.b is not None
        return self.chunk.a, self.chunk.b

    def corners(self, side: int, rows: Any) -> NDArray[np.float64]:
        """The corners of some rows of detections (side 0) or truths (side 1)."""
        return self.sides[side][rows].astype(np.float64).corners()

    def box(self, side: int, row: int, label: str) -> Box:
        """A detection (side 0) or truth (side 1) as it is drawn."""
        x0, y0, x1, y1 = self.corners(side, row)[0].tolist()
        return Box((x0, y0, x1, y1), label, ("detection", "truth")[side])


class Gallery:
    """Detections with an error and truths that were missed, of each model and kind, kept while chunks go by."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Any, str], Kept] = {}

    def add(self, seen: Seen) -> None:
        """Look through a chunk."""
        valid, truths = map(_drawable, seen.sides)
        verdict, asked = seen.judged.verdict, seen.asked & truths
        for run, label in enumerate(seen.labels[:MODELS]):
            own = seen.runs == run if len(seen.labels) > 1 else valid
            for place, kind in enumerate(VERDICTS):
                if kind in ERRORS:
                    rows = np.flatnonzero(own & valid & (verdict == place))
                    self._keep((label, kind), rows, seen.scores[rows], seen.chunk.a_rows, partial(_wrong, seen))
            free = asked.copy()
            free[seen.judged.partner[own & COVERING[verdict]]] = False
            missed = np.flatnonzero(free)
            areas = _areas(seen.corners(1, missed))
            self._keep((label, "missed"), missed, areas, seen.chunk.b_rows, partial(_missed, seen, own))

    def __add__(self, other: Gallery) -> Gallery:
        """What is kept of both sets of images."""
        whole = Gallery()
        for key in {**self._kept, **other._kept}:
            whole._kept[key] = _first([*self._kept.get(key, []), *other._kept.get(key, [])])
        return whole

    def of(self, model: Any = None) -> list[tuple[str, list[Example]]]:
        """Kinds of errors of a model, each with its examples."""
        found = [(kind, self._kept.get((model, kind), [])) for kind in ERRORS]
        return [(kind, [example for _, _, example in kept]) for kind, kept in found if kept]

    def _keep(
        self,
        key: tuple[Any, str],
        rows: NDArray[np.int64],
        values: NDArray[np.float64],
        number: Callable[[int], Any],
        draw: Callable[[int, int], Example],
    ) -> None:
        """Keep the rows of the greatest values; of equal ones those that came first."""
        kept = self._kept.get(key, [])
        if len(rows) > SHOWN:
            least = np.partition(values, len(rows) - SHOWN)[len(rows) - SHOWN]
            rows, values = rows[values >= least], values[values >= least]
        least = -kept[-1][0] if len(kept) == SHOWN else -np.inf
        for place in np.lexsort((rows, -values))[:SHOWN].tolist():
            if values[place] >= least:
                at = int(number(int(rows[place])))
                kept.append((-float(values[place]), at, draw(int(rows[place]), at)))
        if kept:
            self._kept[key] = _first(kept)


def _first(kept: Kept) -> Kept:
    return sorted(kept, key=lambda one: one[:2])[:SHOWN]


def _drawable(boxes: Boxes) -> NDArray[np.bool_]:
    first, *others = map(np.isfinite, boxes.columns)
    for finite in others:
        first &= finite
    return first


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        areas: NDArray[np.float64] = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return areas


def _wrong(seen: Seen, row: int, at: int) -> Example:
    """A detection with an error, and the truth that the error is about."""
    partner = int(seen.judged.partner[row])
    boxes = [seen.box(0, row, f"{seen.said('found', row)} {seen.scores[row]:.2f}")]
    if partner >= 0:
        boxes.insert(0, seen.box(1, partner, f"truth: {seen.said('truth', partner)}"))
    return Example(f"image {_id(seen.chunk, seen.chunk.a, row)}, row {at:,}", boxes)


def _missed(seen: Seen, own: NDArray[np.bool_], row: int, at: int) -> Example:
    """A truth that was missed, and the detections of its image that overlap it most."""
    chunk = seen.chunk
    assert chunk.b is not None and chunk.a.offsets is not None
    first, last = chunk.a.offsets[_image(chunk.b, row) :][:2].tolist()
    rows = first + np.flatnonzero(own[first:last])
    ious = _ious(seen.corners(0, rows), seen.corners(1, row)[0])
    near = np.argsort(-ious, kind="stable")[:NEAR]
    detections = rows[near[ious[near] > 0]].tolist()
    boxes = [
        seen.box(1, row, f"truth: {seen.said('truth', row)}"),
        *(seen.box(0, one, f"{seen.said('found', one)} {seen.scores[one]:.2f}") for one in detections),
    ]
    most = f", IoU at most {ious.max():.2f}" if detections else ""
    return Example(f"image {_id(chunk, chunk.b, row)}, truth {at:,}{most}", boxes)


def _ious(boxes: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The IoU of a few boxes with one, 0 where there is none."""
    with np.errstate(all="ignore"):
        sides = np.minimum(boxes[:, 2:], other[2:]) - np.maximum(boxes[:, :2], other[:2])
        shared = np.clip(sides, 0, None).prod(axis=1)
        ious: NDArray[np.float64] = np.nan_to_num(shared / (_areas(boxes) + _areas(other[None]) - shared))
    return ious


def _image(boxes: Any, row: int) -> int:
    return int(np.searchsorted(boxes.offsets, row, side="right")) - 1


def _id(chunk: Chunk, boxes: Any, row: int) -> Any:
    assert chunk.images is not None
    return chunk.images[_image(boxes, row)]
