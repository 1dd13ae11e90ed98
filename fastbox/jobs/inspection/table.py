"""The table to be inspected: the columns that are read, and the table of images."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import ExitStack, closing
from typing import Any

import numpy as np

from fastbox._record import dataclass
from fastbox.arrow import columns
from fastbox.arrow.arrays import id_kind, is_number, plain
from fastbox.boxes.found import boxes_of_columns
from fastbox.errors import InputError
from fastbox.jobs.checks import check_images, check_labels
from fastbox.jobs.inspection.problems import CORNERS
from fastbox.jobs.inspection.view import View, look
from fastbox.storage.locate import Paths
from fastbox.tables.chunk import Chunk
from fastbox.tables.files import column_names
from fastbox.tables.images import Images
from fastbox.tables.record import read_names
from fastbox.tables.source import Plan, Source, plan
from fastbox.tables.stream import scan
from fastbox.values.names import CLASS, IMAGE, SIZE_COLUMNS, column_of

__all__ = ["Table"]

ID = "id"


@dataclass(frozen=True)
class Table:
    """A table and its columns.

    Attributes
    ----------
    source : Source
        Carries the columns that are looked at.
    plan : Plan
    label, id : str or None
        The columns of classes and of the boxes' ids.
    size : (str, str) or None
        The columns of the images' sizes, where they are with the boxes.
    images : Images or None
        The table of images, to be read once.
    """

    source: Source
    plan: Plan
    label: str | None
    id: str | None
    size: tuple[str, str] | None
    images: Images | None

    @classmethod
    def of(
        cls,
        truths: Source | Paths,
        images: Source | Paths | None,
        label: str | None,
        box_id: str | None,
        size: tuple[str, str] | None,
    ) -> Table:
        """Find the columns; columns without a given name are found by their usual names.

        Raises
        ------
        InputError
            A file or column that can't be used.
        """
        source = Source.carrying(truths)
        here = column_names(source.path)
        boxes = plan(source).boxes.names
        label = column_of(here, CLASS, plan(source).files[0]) if label is None else label
        box_id = ID if box_id is None and ID in here else box_id
        own = images.image if isinstance(images, Source) and images.image != IMAGE else None
        listed = None if images is None else Images(images, own or source.image or IMAGE, size or SIZE_COLUMNS)
        beside = None
        if listed is None or not listed.sized:
            usual = all(name in here and name not in boxes for name in SIZE_COLUMNS)
            beside = size or (SIZE_COLUMNS if usual else None)
        planned = plan(Source.carrying(source, label, box_id, *(beside or ())))
        where = planned.files[0]
        check_images([planned], "boxes are inspected")
        check_labels(planned, label, box_id)
        for name in beside or ():
            kind = planned.columns.field(name).type
            if name in boxes or not is_number(kind):
                what = "the boxes'" if name in boxes else str(kind)
                raise InputError(f"expected the images' sizes in column {name!r} of {where}, got {what}")
        if listed is not None and listed.kind != planned.ids:
            kinds = f"{planned.ids} ids in {where} and {listed.kind} ids in {listed.files[0]}"
            raise InputError(f"expected image ids of one kind in both tables, got {kinds}: cast one of them")
        source = Source.carrying(source, label, box_id, *(beside or ()))
        return cls(source, planned, label, box_id, beside, listed)

    @property
    def files(self) -> list[str]:
        """The files that are read."""
        return [*self.plan.files, *(self.images.files if self.images else ())]

    @property
    def sized(self) -> bool:
        """True where a table has the images' sizes."""
        return self.size is not None or (self.images is not None and self.images.sized)

    @property
    def exact_ids(self) -> bool:
        """True where the boxes' ids are integers."""
        return self.id is not None and id_kind(self.plan.columns.field(self.id).type, self.id, "") == "integer"

    @property
    def names(self) -> dict[str, str]:
        """The names of classes that the first file's record tells."""
        return read_names(self.plan.files[0])

    @property
    def schema(self) -> Any:
        """The schema of the table of problems."""
        found = columns.schema_of(
            {
                "image_id": "int64" if self.plan.ids == "integer" else "string",
                "row": "int64",
                "code": "string",
                "severity": "string",
                "other": "int64",
                "value": "float64",
                **dict.fromkeys(CORNERS, self.plan.dtype.name),
            }
        )
        if self.id is None:
            return found
        return columns.schema_of({}, found, columns.alone(self._no_columns, self.id, "id").schema)

    @property
    def _no_columns(self) -> Any:
        """The carried columns of a chunk without boxes."""
        ids = [] if self.id is None else [self.plan.columns.field(self.id)]
        return columns.empty(columns.schema_of({}, ids))

    def chunks(self, rows: int) -> Generator[Chunk]:
        """Yield the chunks of the table."""
        return scan(self.source, rows=rows)

    def ids(self, chunk: Chunk) -> tuple[Any, int]:
        """Return the ids of the boxes of a chunk, and the number of its first row."""
        return plain(chunk.a_columns.column(self.id)), chunk.a_start

    def views(self, rows: int, *, whole: bool) -> Iterator[tuple[View, Chunk]]:
        """Yield views and chunks of the table, with each listed image once; with all columns if ``whole``."""
        source = Source.carrying(self.source, *column_names(self.source.path)) if whole else self.source
        with ExitStack() as stack:
            images, done = self.images, 0
            if images is not None:
                stack.enter_context(closing(images))
            for chunk in stack.enter_context(closing(scan(source, rows=rows))):
                assert chunk.images is not None
                listed = None if images is None else images.upto(chunk.images[-1])
                yield look(chunk, self.label, self.size, listed, self.id), chunk
                done = chunk.a_start + len(chunk.a)
            nothing = self._nothing(done)
            while images is not None and (listed := images.block()) is not None:
                yield look(nothing, None, None, listed, self.id), nothing

    def _nothing(self, done: int) -> Chunk:
        """Return a chunk without images behind the last box."""
        none = np.zeros(0, self.plan.dtype)
        boxes = boxes_of_columns((none,) * self.plan.boxes.count, self.plan.boxes.format, np.array([0]))
        ids = np.zeros(0, np.int64 if self.plan.ids == "integer" else np.str_)
        return Chunk(ids, boxes, None, done, 0, self._no_columns, None)
