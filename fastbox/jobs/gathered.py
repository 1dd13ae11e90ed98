"""Detections of several models, each in a table of its own, as those of one table with a column of models."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.arrow.columns import coded_batch, label_columns, number_column, schema_of
from fastbox.boxes.container import Boxes
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.errors import InputError
from fastbox.evaluation.shapes import sided
from fastbox.jobs.checks import check_numbers
from fastbox.storage.locate import Listing, find_files
from fastbox.tables.chunk import Chunk
from fastbox.tables.class_names import JoinedClasses
from fastbox.tables.source import Plan, Source
from fastbox.values.formats import FORMATS
from fastbox.values.groups import groups_of_rows, stable

__all__ = ["BY", "Gathered", "names_of_models"]

BY = "model"  # the column of models
ENDING = re.compile(r"\.(parquet|json|jsonl|csv|tsv|feather|arrow)(\.gz|\.zst|\.bz2)?$", re.IGNORECASE)


@dataclass(frozen=True)
class Gathered:
    """The tables of several models, of which the first table is a side of its own, and the columns that they share.

    Attributes
    ----------
    models : list of str
        The name of each model.
    score : str
    label : str or None
        The column of classes.
    classes : JoinedClasses
        The classes of the first table, of the truths, and of the other tables.
    """

    models: list[str]
    score: str
    label: str | None
    classes: JoinedClasses

    @classmethod
    def of(
        cls, sources: Sequence[Source], plans: Sequence[Plan], score: str, label: str | None, classes: JoinedClasses
    ) -> Gathered:
        """Check the tables; sources and plans are those of the first model, of the truths, and of the other models."""
        formats = dict.fromkeys(plan.boxes.format for plan in (plans[0], *plans[2:]))
        if len(formats) > 1 and not set(formats) <= set(FORMATS):
            raise InputError(f"expected the boxes of all models in one format, got {', '.join(formats)}: convert some")
        for plan in plans[2:]:
            check_numbers(plan, score)
        return cls(names_of_models([sources[0], *sources[2:]]), score, label, classes)

    def plan(self, first: Plan) -> Plan:
        """Return the plan of the first table with the column of models."""
        return replace(first, columns=schema_of({BY: "string"}))

    @property
    def joined(self) -> JoinedClasses:
        """The classes of the gathered detections and of the truths."""
        return replace(self.classes, tables=(None, self.classes.tables[1]), alone=self.classes.alone[:2])

    def chunks(self, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
        """Yield chunks with the detections of all models on the first side, image by image, model by model."""
        for chunk in chunks:
            yield self._together(chunk)

    def _together(self, chunk: Chunk) -> Chunk:
        sides = [(chunk.a, chunk.a_columns, chunk.a_rows), *chunk.more]
        images = np.concatenate([_images(boxes) for boxes, *_ in sides])
        assert chunk.images is not None
        order = stable(images, len(chunk.images))
        offsets = np.searchsorted(images[order], np.arange(len(chunk.images) + 1))
        columns = [np.concatenate(column)[order] for column in zip(*(_columns(own) for own, *_ in sides), strict=True)]
        scores = [number_column(carried, self.score, what="a score", rows=rows) for _, carried, rows in sides]
        model = np.repeat(np.arange(len(sides)), [len(boxes) for boxes, *_ in sides])
        labels: dict[str, tuple[NDArray[np.int64], list[Any]]] = {BY: (model[order], self.models)}
        if self.label is not None:
            first, _, *others = self.classes.tables
            given = ((carried, rows) for _, carried, rows in sides)
            codes, own = label_columns(*given, name=self.label, joined=[first, *others])
            labels[self.label] = np.concatenate(codes)[order], own
        numbers = np.concatenate([rows(np.arange(len(boxes))) for boxes, _, rows in sides])[order]
        told = "xywh" if isinstance(chunk.a, Boxes) else chunk.a.format
        return replace(
            chunk,
            a=chunk.a.of(tuple(columns), told, offsets, chunk.a.images),
            a_start=0,
            a_order=numbers,
            a_columns=coded_batch({self.score: np.concatenate(scores)[order]}, labels),
            more=(),
        )


def _columns(boxes: Boxes | RotatedBoxes) -> tuple[NDArray[Any], ...]:
    """Return x, y, w and h of plain boxes, and rotated boxes as they are, in float64."""
    return sided(boxes) if isinstance(boxes, Boxes) else boxes.astype(np.float64).columns


def names_of_models(sources: Sequence[Source]) -> list[str]:
    """Return a name for the model of each table: that of its file, with as many folders as tell all files apart.

    >>> names_of_models([Source("runs/a/best.parquet"), Source("runs/b/best.parquet")])
    ['a/best', 'b/best']
    """
    files = [_file(source) for source in sources]
    if len(set(files)) < len(files):
        twice = next(file for place, file in enumerate(files) if file in files[:place])
        raise InputError(f"expected detections of different models, got {twice} twice: name each file once")
    parts = [ENDING.sub("", file).replace(os.sep, "/").split("/") for file in files]
    for count in range(1, max(map(len, parts))):
        names = ["/".join(own[-count:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    names = ["/".join(own) for own in parts]
    return names if len(set(names)) == len(names) else files


def _file(source: Source) -> str:
    given: Any = source.path.given if isinstance(source.path, Listing) else source.path
    return os.fspath(given) if isinstance(given, str | os.PathLike) else find_files(source.path)[0]


def _images(boxes: Boxes) -> NDArray[np.int64]:
    assert boxes.offsets is not None
    return groups_of_rows(boxes.offsets)
