"""Examples of errors: of each kind the detections of the highest scores, and the largest truths that were missed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.boxes.container import Boxes
from fastbox.boxes.found import frames, outline
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.evaluation.matching import COVERING, MATCH_TYPES, Judged
from fastbox.evaluation.tide import ERRORS
from fastbox.kernels.codes import MATCHED
from fastbox.tables.chunk import Chunk
from fastbox.values.groups import groups_of

if TYPE_CHECKING:
    from fastbox.report.page.example import Box, Example

__all__ = ["Gallery", "Seen"]

SHOWN = 12  # of each kind
MODELS = 16  # whose examples are kept
PAIRED = 4  # models whose truths are compared
NEAR = 3  # detections drawn beside a truth that was missed
WAITING = 1 << 17  # boxes of the last chunk up to which it waits until examples are asked for

Kept: TypeAlias = "list[tuple[float, int, Example]]"


@dataclass
class Seen:
    """A chunk with its matches: detections with scores and models, and a mask of the truths that are to be found.

    ``models`` are places among ``labels``, those that were known when the chunk was added; ``class_name`` returns the
    class of a row of ``"found"`` or ``"truth"``. The labels are written beside detections that are drawn if they are to
    be ``told``.
    """

    chunk: Chunk
    judged: Judged
    scores: NDArray[np.float64]
    models: NDArray[np.int64]
    labels: Sequence[Any]
    asked: NDArray[np.bool_]
    class_name: Callable[[str, int], str]
    told: bool = False

    @property
    def sides(self) -> tuple[Boxes, Boxes]:
        """The detections and the truths."""
        assert self.chunk.b is not None
        return self.chunk.a, self.chunk.b

    def corners(self, side: int, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the corners of some rows of detections (side 0) or truths (side 1), or of frames of rotated boxes."""
        return frames(self.sides[side][rows].astype(np.float64))

    def ious(self, rows: NDArray[np.int64], truths: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the IoU of each detection with the truth beside it, 0 for an invalid pair."""
        ours, theirs = (boxes[some] for boxes, some in zip(self.sides, (rows, truths), strict=True))
        if isinstance(ours, Boxes) and isinstance(theirs, Boxes):
            return _ious(frames(ours.astype(np.float64)), frames(theirs.astype(np.float64)))
        from fastbox.ops.aligned import aligned  # of rotated boxes, which few tables have

        return np.nan_to_num(aligned(ours.astype(np.float64), theirs.astype(np.float64)))

    def detection(self, row: int, corners: Sequence[float]) -> Box:
        """Return a detection as it is drawn."""
        model = f" {self.labels[self.models[row]]}" if self.told else ""
        return _box(
            corners,
            f"{self.class_name('found', row)} {self.scores[row]:.2f}{model}",
            "detection",
            self._outline(0, row),
        )

    def truth(self, row: int, corners: Sequence[float]) -> Box:
        """Return a truth as it is drawn."""
        return _box(corners, f"truth: {self.class_name('truth', row)}", "truth", self._outline(1, row))

    def _outline(self, side: int, row: int) -> tuple[float, ...]:
        """Return the own corners of a rotated box, none of another box."""
        boxes = self.sides[side]
        found = outline(boxes[row : row + 1].astype(np.float64)) if isinstance(boxes, RotatedBoxes) else None
        return () if found is None else tuple(found[0].tolist())


class Gallery:
    """Detections with an error and truths that were missed, for each model and kind, collected chunk by chunk.

    With ``pairs`` also truths that one model finds and another misses, of the first models.
    """

    def __init__(self, pairs: bool = False) -> None:
        self._pairs = pairs
        self._drawn: dict[tuple[Any, Any], Kept] = {}
        self._waiting: Seen | None = None

    def add(self, seen: Seen) -> None:
        """Add a chunk, which is looked at with the next one, by :meth:`look`, or when examples are asked for."""
        self.look()
        self._waiting = seen

    def end(self) -> None:
        """Look at the last chunk, unless it is small: a short summary never asks for examples."""
        if self._waiting is not None and sum(map(len, self._waiting.sides)) > WAITING:
            self.look()

    @property
    def _kept(self) -> dict[tuple[Any, Any], Kept]:
        self.look()
        return self._drawn

    def __getstate__(self) -> dict[str, Any]:
        return {"_pairs": self._pairs, "_drawn": self._kept, "_waiting": None}

    def look(self) -> None:
        """Draw examples of the chunk that waits, if one does."""
        seen, self._waiting = self._waiting, None
        if seen is None:
            return
        detections, truths = seen.sides
        match_type, asked = seen.judged.match_type, seen.asked & _drawable(truths)
        for model, label in enumerate(seen.labels[:MODELS]):
            own = seen.models == model
            high = np.flatnonzero(own & (seen.scores >= self._least(label)[match_type]))
            high = high[_drawable(detections[high])]
            for place, kind in enumerate(MATCH_TYPES):
                if kind in ERRORS:
                    rows = high[match_type[high] == place]
                    self._keep((label, kind), rows, seen.scores[rows], seen.chunk.a_rows, partial(_wrong, seen))
            free = asked.copy()
            free[seen.judged.truth[own & COVERING[match_type]]] = False
            missed = np.flatnonzero(free)
            areas = _areas(seen.corners(1, missed))
            self._keep((label, "missed"), missed, areas, seen.chunk.b_rows, partial(_missed, seen, own))
        if self._pairs:
            self._add_pairs(seen, asked)

    def _least(self, label: Any) -> NDArray[np.float64]:
        """Return the least score of a new example of a model by the place of its match type; the last is UNCOUNTED."""
        least = np.full(len(MATCH_TYPES) + 1, np.inf)
        for place, kind in enumerate(MATCH_TYPES):
            if kind in ERRORS:
                least[place] = _least_of(self._drawn.get((label, kind), []))
        return least

    def _add_pairs(self, seen: Seen, asked: NDArray[np.bool_]) -> None:
        """Add truths that one of two models finds and the other misses, the largest first, with detections of both."""
        count = min(PAIRED, len(seen.labels))
        found = np.zeros((count, len(asked)), np.bool_)
        rows = np.flatnonzero((seen.judged.match_type == MATCHED) & (seen.models < count))
        found[seen.models[rows], seen.judged.truth[rows]] = True
        for model, other in permutations(range(count), 2):
            alone = np.flatnonzero(asked & found[model] & ~found[other])
            both = (seen.models == model) | (seen.models == other)
            draw = partial(_missed, replace(seen, told=True), both)
            key = seen.labels[model], (seen.labels[other],)
            self._keep(key, alone, _areas(seen.corners(1, alone)), seen.chunk.b_rows, draw)

    def __add__(self, other: Gallery) -> Gallery:
        """Return the examples of both sets of images."""
        whole = Gallery(self._pairs)
        for key in {**self._kept, **other._kept}:
            whole._drawn[key] = _first([*self._kept.get(key, []), *other._kept.get(key, [])])
        return whole

    def of(self, model: Any = None) -> list[tuple[str, list[Example]]]:
        """Return the kinds of errors of a model, each with its examples."""
        found = [(kind, self._kept.get((model, kind), [])) for kind in ERRORS]
        return [(kind, [example for _, _, example in kept]) for kind, kept in found if kept]

    def of_pair(self, model: Any, other: Any) -> list[tuple[str, list[Example]]]:
        """Return titles with examples of the truths that only one of two models finds."""
        found = []
        for own, its in ((model, other), (other, model)):
            if kept := self._kept.get((own, (its,)), []):
                found.append((f"found by {own}, missed by {its}", [example for _, _, example in kept]))
        return found

    def _keep(
        self,
        key: tuple[Any, Any],
        rows: NDArray[np.int64],
        values: NDArray[np.float64],
        number: Callable[[int], Any],
        draw: Callable[[NDArray[np.int64], list[int]], list[Example]],
    ) -> None:
        """Keep the rows of the greatest values; of equal values the first rows."""
        kept = self._drawn.get(key, [])
        if len(rows) > SHOWN:
            least = np.partition(values, len(rows) - SHOWN)[len(rows) - SHOWN]
            rows, values = rows[values >= least], values[values >= least]
        least = _least_of(kept)
        places = np.lexsort((rows, -values))[:SHOWN]
        places = places[values[places] >= least]
        if len(places):
            numbers = [int(number(row)) for row in rows[places].tolist()]
            examples = draw(rows[places], numbers)
            kept += zip((-values[places]).tolist(), numbers, examples, strict=True)
            self._drawn[key] = _first(kept)


def _first(kept: Kept) -> Kept:
    return sorted(kept, key=lambda one: one[:2])[:SHOWN]


def _least_of(kept: Kept) -> float:
    """Return the least value that examples which are kept leave room for."""
    return -kept[-1][0] if len(kept) == SHOWN else -np.inf


def _drawable(boxes: Boxes | RotatedBoxes) -> NDArray[np.bool_]:
    if isinstance(boxes, RotatedBoxes):
        valid: NDArray[np.bool_] = boxes.invalid() == 0
        return valid
    first, *others = map(np.isfinite, boxes.columns)
    for finite in others:
        first &= finite
    return first


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(over="ignore"):
        areas: NDArray[np.float64] = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    return areas


def _box(corners: Sequence[float], label: str, role: str, outline: tuple[float, ...]) -> Box:
    from fastbox.report.page.example import Box

    x0, y0, x1, y1 = corners
    return Box((x0, y0, x1, y1), label, role, outline)


def _wrong(seen: Seen, rows: NDArray[np.int64], numbers: list[int]) -> list[Example]:
    """Return detections with an error, and the truths that the errors are about."""
    from fastbox.report.page.example import Example

    assert seen.chunk.images is not None and seen.chunk.a.offsets is not None
    truths = seen.judged.truth[rows]
    corners, others = seen.corners(0, rows).tolist(), seen.corners(1, truths[truths >= 0]).tolist()
    examples = []
    for row, truth, place, at, own in zip(
        rows.tolist(), truths.tolist(), groups_of(rows, seen.chunk.a.offsets).tolist(), numbers, corners, strict=True
    ):
        boxes = [seen.truth(truth, others.pop(0))] if truth >= 0 else []
        image = str(seen.chunk.images[place])
        examples.append(Example(f"image {image}, row {at:,}", [*boxes, seen.detection(row, own)], image))
    return examples


def _missed(seen: Seen, own: NDArray[np.bool_], rows: NDArray[np.int64], numbers: list[int]) -> list[Example]:
    """Return truths that were missed, and the detections of their images that overlap them most."""
    from fastbox.report.page.example import Example

    chunk = seen.chunk
    assert chunk.images is not None and chunk.b is not None
    assert chunk.a.offsets is not None and chunk.b.offsets is not None
    places = groups_of(rows, chunk.b.offsets)
    counts = chunk.a.offsets[places + 1] - chunk.a.offsets[places]
    ends = np.cumsum(counts)
    beside = np.arange(ends[-1]) + np.repeat(chunk.a.offsets[places] + counts - ends, counts)
    truths, corners = seen.corners(1, rows), seen.corners(0, beside)
    ious = np.where(own[beside], seen.ious(beside, np.repeat(rows, counts)), 0)
    examples = []
    for row, place, at, drawn, end, count in zip(
        rows.tolist(), places.tolist(), numbers, truths.tolist(), ends.tolist(), counts.tolist(), strict=True
    ):
        met = ious[end - count : end]
        near = np.argsort(-met, kind="stable")[:NEAR]
        near = near[met[near] > 0] + end - count
        boxes = [seen.detection(int(beside[one]), corners[one].tolist()) for one in near.tolist()]
        most = f", IoU at most {met.max():.2f}" if boxes else ""
        image = str(chunk.images[place])
        examples.append(Example(f"image {image}, truth {at:,}{most}", [seen.truth(row, drawn), *boxes], image))
    return examples


def _ious(boxes: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the IoU of each box with the other box of its row, 0 for an invalid pair."""
    with np.errstate(all="ignore"):
        sides = np.minimum(boxes[:, 2:], others[:, 2:]) - np.maximum(boxes[:, :2], others[:, :2])
        shared = np.clip(sides, 0, None).prod(axis=1)
        ious: NDArray[np.float64] = np.nan_to_num(shared / (_areas(boxes) + _areas(others) - shared))
    return ious
