"""Suspects as rows of a table, their counts, and those of each kind that are suspected most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.arrow import columns
from fastbox.boxes.container import Boxes
from fastbox.evaluation.suspects.votes import KINDS, Suspects
from fastbox.tables.chunk import Chunk
from fastbox.tables.source import Plan
from fastbox.values.formats import COORDINATES
from fastbox.values.groups import groups_of

__all__ = ["Listed", "Ranked", "schema_of"]

SHOWN = 12  # of each kind
CORNERS = COORDINATES["xyxy"]

Ints = NDArray[np.int64]


def schema_of(found: Sequence[Plan], label_column: str, kind: str) -> Any:
    """Return the schema of suspects, given the plans of both tables, and the column and the kind of their classes."""
    wide = all(str(plan.columns.field(label_column).type) == "uint64" for plan in found)
    label = "string" if kind == "string" else "uint64" if wide else "int64"
    return columns.schema_of(
        {
            "image_id": "int64" if found[0].ids == "integer" else "string",
            "kind": "string",
            "truth": "int64",
            "suspicion": "float64",
            "detection": "int64",
            "score": "float64",
            "iou": "float64",
            "truth_class": label,
            "suggested_class": label,
            "other": "int64",
            "models": "int64",
            **dict.fromkeys(CORNERS, found[0].dtype.name),
        }
    )


class Listed:
    """The suspects of a chunk in the order of their images, kinds and rows.

    Parameters
    ----------
    chunk : Chunk
    suspects : Suspects
        With rows of the chunk.
    scores : array
        Of the detections.
    codes : (array, array)
        Codes of the classes of detections and of truths.
    labels : list
        The classes by their codes.
    """

    def __init__(
        self, chunk: Chunk, suspects: Suspects, scores: NDArray[Any], codes: tuple[Ints, Ints], labels: list[Any]
    ) -> None:
        assert chunk.a.offsets is not None and chunk.b is not None and chunk.b.offsets is not None
        of_truths = groups_of(suspects.truth, chunk.b.offsets)
        image = np.where(suspects.truth < 0, groups_of(suspects.detection, chunk.a.offsets), of_truths)
        order = np.lexsort((suspects.detection, suspects.truth, suspects.kind, image))
        self.chunk, self.suspects, self.image = chunk, suspects.taken(order), image[order]
        self._scores, self._codes, self._labels = scores, codes, labels
        # The detections of duplicates and the boxes of other truths are evidence, and suggest nothing.
        self.suggests = np.isin(
            self.suspects.kind, [KINDS.index(k) for k in ("wrong_class", "missing", "badly_placed")]
        )

    def batch(self, schema: Any) -> Any:
        """Return the suspects as rows of the output."""
        found, chunk = self.suspects, self.chunk
        assert chunk.images is not None and chunk.b is not None
        no_detection = found.detection < 0
        detections = np.where(no_detection, 0, found.detection)
        corners = np.zeros((len(found.kind), 4), chunk.a.dtype)
        corners[self.suggests] = chunk.a[found.detection[self.suggests]].corners()
        scores = np.ma.masked_array(np.zeros(len(detections)), mask=no_detection)
        scores[~no_detection] = self._scores[found.detection[~no_detection]]
        made: list[Any] = [
            chunk.images[self.image],
            np.array(KINDS, object)[found.kind],
            _numbers(found.truth, chunk.b_rows),
            found.suspicion,
            _numbers(found.detection, chunk.a_rows),
            scores,
            np.ma.masked_array(found.iou, mask=np.isnan(found.iou)),
            self._classes(found.truth, self._codes[1], schema.field("truth_class")),
            self._classes(np.where(self.suggests, found.detection, -1), self._codes[0], schema.field("truth_class")),
            _numbers(found.other, chunk.b_rows),
            found.models,
            *(np.ma.masked_array(side, mask=~self.suggests) for side in corners.T),
        ]
        return columns.batch_of(made, schema)

    def examples(self, rows: Ints) -> list[dict[str, Any]]:
        """Return some suspects as JSON holds them."""
        chunk = self.chunk
        assert chunk.images is not None
        images = chunk.images[self.image[rows]].tolist()
        return [self._example(int(row), image) for row, image in zip(rows.tolist(), images, strict=True)]

    def _example(self, row: int, image: Any) -> dict[str, Any]:
        found, chunk = self.suspects, self.chunk
        assert chunk.b is not None
        truth, detection, other = (int(column[row]) for column in (found.truth, found.detection, found.other))
        iou = float(found.iou[row])
        return {
            "kind": KINDS[found.kind[row]],
            "image_id": image,
            "truth": _number(truth, chunk.b_rows),
            "suspicion": float(found.suspicion[row]),
            "detection": _number(detection, chunk.a_rows),
            "score": float(self._scores[detection]) if detection >= 0 else None,
            "iou": iou if iou == iou else None,
            "truth_class": self._label(truth, self._codes[1]),
            "suggested_class": self._label(detection, self._codes[0]) if self.suggests[row] else None,
            "other": _number(other, chunk.b_rows),
            "models": int(found.models[row]),
            "truth_box": _corners(truth, chunk.b),
            "detection_box": _corners(detection, chunk.a),
            "other_box": _corners(other, chunk.b),
        }

    def _label(self, row: int, codes: Ints) -> Any:
        return self._labels[codes[row]] if row >= 0 else None

    def _classes(self, rows: Ints, codes: Ints, column: Any) -> Any:
        """Return the classes of rows as a column, null where there is no row."""
        none = rows < 0
        places = np.ma.masked_array(np.zeros(len(rows), np.int64), mask=none)
        places[~none] = codes[rows[~none]]
        return columns.labelled(self._labels, places, column)


@dataclass
class Ranked:
    """The number of suspects of each kind, and those with the highest suspicion.

    Attributes
    ----------
    counts : dict of str to int
    examples : dict of str to list
        Of each kind the twelve with the highest suspicion, as rows of the output with their boxes.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def add(self, listed: Listed) -> None:
        """Add the suspects of a chunk."""
        found = listed.suspects
        for place, kind in enumerate(KINDS):
            rows = np.flatnonzero(found.kind == place)
            self.counts[kind] += len(rows)
            best = rows[np.argsort(-found.suspicion[rows], kind="stable")[:SHOWN]]
            self.examples[kind] = _first([*self.examples[kind], *listed.examples(best)])

    def __add__(self, other: Ranked) -> Ranked:
        """Return the suspects of both sets of images."""
        return Ranked(
            {kind: count + other.counts[kind] for kind, count in self.counts.items()},
            {kind: _first([*kept, *other.examples[kind]]) for kind, kept in self.examples.items()},
        )


def _first(examples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the examples with the highest suspicion; of equals those of the first rows."""
    return sorted(examples, key=lambda one: -one["suspicion"])[:SHOWN]


def _numbers(rows: Ints, number: Any) -> Any:
    """Return rows of a chunk as rows of the table, masked where there is none."""
    none = rows < 0
    found = np.zeros(len(rows), np.int64)
    found[~none] = number(rows[~none])
    return np.ma.masked_array(found, mask=none)


def _number(row: int, number: Any) -> int | None:
    return int(number(np.array([row]))[0]) if row >= 0 else None


def _corners(row: int, boxes: Boxes) -> list[float] | None:
    return boxes[row : row + 1].corners()[0].astype(np.float64).tolist() if row >= 0 else None
