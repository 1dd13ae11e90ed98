"""A chunk of truths in the resolution of a detector: resized, without regions to ignore; and the levels of anchors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.arrow import columns
from fastbox.assign.result import Matches
from fastbox.assign.rule import MatchRule
from fastbox.boxes.container import Boxes
from fastbox.boxes.found import boxes_of_columns
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.errors import InputError, advice
from fastbox.kernels.codes import COLUMNS, QUADS
from fastbox.storage.locate import find_files
from fastbox.tables.chunk import Chunk
from fastbox.tables.files import column_names
from fastbox.tables.source import Plan, Source
from fastbox.values.groups import groups_of_rows, values_of_rows
from fastbox.values.names import SIZE_COLUMNS

__all__ = ["Resized", "check_centres", "columns_of_sizes", "given_sizes", "levels_of"]


def columns_of_sizes(truths: Source, resize: Resize) -> tuple[str, ...]:
    """Return the columns of the images' sizes that a resizing needs; refuses a table without them."""
    if resize.kind == "none":
        return ()
    missing = [side for side in SIZE_COLUMNS if side not in column_names(truths.path)]
    if missing:
        how = advice("--size WIDTHxHEIGHT", "resize=jobs.Resize('none', WIDTH, HEIGHT)")
        raise InputError(
            f"expected columns width and height, the images' sizes, in {find_files(truths.path)[0]}, got no "
            f"{' and no '.join(missing)}: add them, or say how large all images are with {how}"
        )
    return SIZE_COLUMNS


@dataclass
class Resized:
    """A chunk in the resolution of a detector: resized truths, regions to ignore, and the rows of the truths."""

    sizes: NDArray[np.int64]
    truths: Boxes | RotatedBoxes
    rows: NDArray[np.int64]
    regions: Boxes | RotatedBoxes | None

    @classmethod
    def of(cls, chunk: Chunk, resize: Resize, ignore: str | None) -> Resized:
        offsets = chunk.a.offsets
        assert offsets is not None
        image = groups_of_rows(offsets)
        if resize.kind == "none":
            given = resize.sizes(np.zeros((len(offsets) - 1, 2), np.int64))
        else:
            given = given_sizes(chunk, offsets)
        sizes = resize.sizes(given)
        boxes = resize.boxes(chunk.a, image, given, sizes)
        if ignore is None:
            return cls(
                sizes,
                boxes_of_columns(boxes.columns, boxes.format, offsets),
                np.arange(len(boxes)),
                None,
            )
        crowd = columns.flag_column(chunk.a_columns, ignore, chunk.a_rows)
        kept, left = np.flatnonzero(~crowd), np.flatnonzero(crowd)
        return cls(sizes, _rows_of(boxes, kept, offsets), kept, _rows_of(boxes, left, offsets))


def _rows_of(boxes: Boxes | RotatedBoxes, rows: NDArray[np.int64], offsets: NDArray[np.int64]) -> Any:
    some = boxes[rows]
    return boxes_of_columns(some.columns, some.format, np.searchsorted(rows, offsets))


def check_centres(planned: Plan, resize: Resize, rule: MatchRule) -> None:
    """Refuse truths that are or become quadrilaterals with a rule that ranks anchors by their centres."""
    boxes = planned.boxes
    if rule.topk is not None and boxes.rotated and (boxes.count == COLUMNS[QUADS] or resize.kind == "both"):
        which = "quadrilaterals" if boxes.count == COLUMNS[QUADS] else "rectangles that are stretched"
        raise InputError(
            f"expected rectangles for rule {rule.name!r}, which ranks anchors by their centres, got {which} from "
            f"{planned.files[0]}: choose another rule, or give rectangles, in images that keep their aspect ratio"
        )


def given_sizes(chunk: Chunk, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (g, 2) width and height of each image, from its first row.

    Raises
    ------
    InputError
        A side below 1 pixel.
    """
    sides = []
    for name in SIZE_COLUMNS:
        side = columns.number_column(chunk.a_columns, name, missing=np.nan)[offsets[:-1]]
        wrong = np.flatnonzero(~(side >= 1))
        if wrong.size:
            row = int(chunk.a_rows(offsets[wrong[0]]))
            raise InputError(
                f"expected a {name} of at least 1 pixel in column {name!r}, got {side[wrong[0]]:g} at row {row}: fix it"
            )
        sides.append(np.asarray(side, np.int64))
    return np.stack(sides, axis=1)


def levels_of(anchors: AnchorGrid, sizes: NDArray[np.int64], matched: Matches) -> NDArray[np.int64]:
    """Return the level of each anchor of a sparse result, which lists anchors by image and number."""
    unique, which = np.unique(sizes, axis=0, return_inverse=True)
    counts = np.array([anchors.counts((w, h)) for w, h in unique.tolist()]).reshape(-1, len(anchors.strides))
    ends = np.cumsum(counts[which.reshape(-1)])
    images = np.concatenate(([0], ends[len(anchors.strides) - 1 :: len(anchors.strides)]))
    numbers = matched.anchors + values_of_rows(images[:-1], matched.offsets)
    stops = np.searchsorted(numbers, ends)
    return np.repeat(np.arange(len(ends)) % len(anchors.strides), np.diff(stops, prepend=0))
