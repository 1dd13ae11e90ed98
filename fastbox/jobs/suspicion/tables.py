"""The tables of detections and truths in which suspects are sought, read as scenes."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.arrow import columns
from fastbox.errors import InputError
from fastbox.evaluation.protocols.coco import COCO
from fastbox.evaluation.sides import Detections, GroundTruths, Images
from fastbox.evaluation.suspects.survey import Scene
from fastbox.jobs.evaluate_tables import Read, check_listed, dropped, joined
from fastbox.tables.chunk import Chunk
from fastbox.tables.class_names import JoinedClasses
from fastbox.tables.files import column_names
from fastbox.tables.source import Plan, Source, plans_of
from fastbox.tables.stream import scan
from fastbox.values.labels import Codes
from fastbox.values.names import CLASS, SCORE

__all__ = ["Columns", "Seen", "Tables"]


class Columns(NamedTuple):
    """The columns of models, scores, classes, and flags of truths; None for no column."""

    by: str | None
    score: str
    label: str
    crowd: str | None
    ignore: str | None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Columns:
        """Return the columns that the options of a job name, the usual ones by default."""
        usual = {"by": None, "score": SCORE, "class": CLASS, "crowd": COCO.crowd, "ignore": COCO.ignore}
        return cls(*(options.get("by" if name == "by" else f"{name}_column", own) for name, own in usual.items()))


class Seen(NamedTuple):
    """A chunk with its scene, and both sides as an evaluation takes them."""

    chunk: Chunk
    scene: Scene
    detections: Detections
    truths: GroundTruths


@dataclass
class Tables:
    """Two tables, their plans, the columns that are read, and the classes of both."""

    sources: tuple[Source, Source]
    plans: Sequence[Plan]
    columns: Columns
    classes: JoinedClasses
    read: Read

    @classmethod
    def of(cls, detections: Source, truths: Source, asked: Columns) -> Tables:
        """Find the columns.

        Raises
        ------
        InputError
            A file or column that can't be used.
        """
        b = Source.carrying(truths)
        flags = COCO.columns(column_names(b.path), crowd=asked.crowd, ignore=asked.ignore)
        a = Source.carrying(detections, asked.score, asked.label, asked.by)
        b = Source.carrying(b, asked.label, *flags.values())
        plans = plans_of(a, b)
        classes = joined(plans, asked.score, asked.label, asked.by, {**flags, "area": None})
        read = Read.of((a, b), plans, {"score": asked.score, "class": asked.label, **flags}, classes, asked.by)
        return cls((a, b), plans, asked._replace(crowd=flags["crowd"], ignore=flags["ignore"]), classes, read)

    def scenes(self, rows: int, models: Codes, classes: Codes) -> Generator[Seen]:
        """Read whole images; labels of models and classes that have no code get one."""
        for chunk in scan(*self.sources, rows=rows):
            if self.read.listed is not None:
                check_listed(chunk, self.read.listed, self.read.files[1])
            yield self._seen(chunk, models, classes)

    def _seen(self, chunk: Chunk, models: Codes, classes: Codes) -> Seen:
        assert chunk.b is not None and chunk.a.offsets is not None and chunk.b.offsets is not None
        asked, own, its = self.columns, (chunk.a_columns, chunk.a_rows), (chunk.b_columns, chunk.b_rows)
        (kinds, truth_kinds), labels = columns.label_columns(own, its, name=asked.label, joined=self.classes.tables)
        kinds, truth_kinds = (_coded(places, classes.of(labels)) for places in (kinds, truth_kinds))
        numbers = np.zeros(len(chunk.a), np.int64)
        if asked.by is None:
            models.of([None])
        else:
            (places,), labels = columns.label_columns(own, name=asked.by, what="a label")
            numbers = _coded(places, models.of(labels))
        flags = [
            np.zeros(len(chunk.b), np.bool_)
            if name is None
            else columns.flag_column(chunk.b_columns, name, chunk.b_rows)
            for name in (asked.crowd, asked.ignore)
        ]
        away, out = dropped(chunk, self.read, kinds, truth_kinds, classes.labels)
        detections = Detections(chunk.a, self._scores(chunk), kinds, numbers, away)
        truths = GroundTruths(chunk.b, truth_kinds, flags[0], flags[1], None, out)
        images = Images(chunk.images, chunk.a.offsets, chunk.b.offsets)
        return Seen(chunk, Scene(images, detections, truths), detections, truths)

    def _scores(self, chunk: Chunk) -> NDArray[Any]:
        """Return the scores, which are shares of 1 or nan."""
        name, rows = self.columns.score, chunk.a_rows
        scores = columns.number_column(chunk.a_columns, name, what="a score", rows=rows)
        beyond = (scores < 0) | (scores > 1)
        if beyond.any():
            row = int(np.argmax(beyond))
            fix = "scale them to probabilities" if scores[row] < 0 or scores[row] > 100 else "divide them by 100"
            raise InputError(
                f"expected scores from 0 to 1 in column {name!r}, got {scores[row]:g} at {rows.described(row)}: {fix}"
            )
        return scores


def _coded(places: NDArray[np.int64], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    return codes[places] if len(places) else places
