"""The truths that a detector can't learn, row by row: starved ones, and those that no candidate reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.anchors import PointGrid
from fastbox.arrow import columns
from fastbox.jobs.settings import Setting
from fastbox.results.point_counts import Seen
from fastbox.tables.source import Plan

__all__ = ["Nearest", "Starved", "nearest", "starved_schema", "starved_table"]

REASONS = ("starved", "unreached")


class Nearest(NamedTuple):
    """For each place the nearest point of a grid: its level, its number in the image, x, y and distance, in pixels."""

    level: NDArray[np.int64]
    point: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    distance: NDArray[np.float64]


def nearest(grid: PointGrid, sizes: NDArray[np.int64], places: NDArray[np.float64]) -> Nearest:
    """Return the nearest points of places, given for each the (n, 2) size of its image; at ties the finest level.

    >>> nearest(PointGrid([8]), np.array([[64, 64]]), np.array([[14.0, 3.0]]))[1:]
    (array([1]), array([12.]), array([4.]), array([2.23606798]))
    """
    count = len(places)
    first, far = np.zeros(count, np.int64), np.full(count, np.inf)
    best = Nearest(first, first, far, far, far)
    for level, stride in enumerate(grid.strides):
        cells = -(-sizes // stride)
        step = sizes // cells if grid.fitted else np.full(sizes.shape, stride)
        cell = np.clip(np.rint(places / step - grid.offset), 0, cells - 1).astype(np.int64)
        at = (cell + grid.offset) * step
        distance = np.hypot(*(at - places).T)
        closer = distance < best.distance
        numbers = first + cell[:, 1] * cells[:, 0] + cell[:, 0]
        found: tuple[NDArray[Any], ...] = (np.full(count, level), numbers, at[:, 0], at[:, 1], distance)
        best = Nearest._make(np.where(closer, new, old) for new, old in zip(found, best, strict=True))
        first = first + cells.prod(axis=1)
    return best


@dataclass(frozen=True)
class Starved:
    """The truths of a chunk that one setting can't learn: their places among its truths, and columns."""

    setting: Setting
    rows: NDArray[np.int64]
    columns: tuple[NDArray[Any], ...]

    @classmethod
    def of(
        cls, setting: Setting, seen: Seen, rows: NDArray[np.int64], corners: NDArray[Any], sizes: NDArray[np.int64]
    ) -> Starved:
        """Select the truths, given the rows of all in the chunk, their corners, and the size of each one's image."""
        lost = seen.totals == 0
        some = np.flatnonzero(lost if seen.unreached is None else lost | seen.unreached)
        own = corners[some].astype(np.float64)
        sides = own[:, 2:] - own[:, :2]
        assert isinstance(setting.grid, PointGrid)
        found = nearest(setting.grid, sizes[some], (own[:, :2] + own[:, 2:]) / 2)
        reasons = (seen.totals[some] > 0).astype(np.int64)
        return cls(
            setting, rows[some], (reasons, sides[:, 0], sides[:, 1], seen.totals[some], seen.shared[some], *found)
        )


def starved_schema(plan: Plan, class_column: str | None) -> Any:
    """Return the columns of the table."""
    ids = "int64" if plan.ids == "integer" else "string"
    schema = columns.schema_of({"points": "string", "size": "string", "image_id": ids, "row": "int64"})
    if class_column is not None:
        schema = schema.append(columns.common_field([plan.columns.field(class_column)]).with_name("class"))
    measured = {"reason": "string", "width": "float32", "height": "float32", "candidates": "int64", "shared": "bool"}
    near = {"level": "int8", "point": "int64", "x": "float32", "y": "float32", "distance": "float32"}
    return columns.schema_of({}, schema, columns.schema_of(measured | near))


def starved_table(
    parts: list[Starved],
    images: NDArray[Any],
    rows: Any,
    classes: tuple[NDArray[np.int64], list[Any]] | None,
    schema: Any,
) -> Any:
    """Return the rows of all settings of a chunk, by row and then by setting.

    Parameters
    ----------
    parts : list of Starved
    images : array
        The id of the image of each row of the chunk.
    rows : callable
        Returns the rows of the table for rows of the chunk.
    classes : (codes, labels) or None
        The class of each row of the chunk.
    schema : pyarrow.Schema
    """
    which = np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts])
    places = np.concatenate([part.rows for part in parts])
    order = np.lexsort((which, places))
    which, places = which[order], places[order]
    names = [np.array([text(part) for part in parts])[which] for text in (_points, _size)]
    joined = [np.concatenate(column)[order] for column in zip(*(part.columns for part in parts), strict=True)]
    classed = [] if classes is None else [columns.labelled(classes[1], classes[0][places], schema.field("class"))]
    reasons = np.array(REASONS)[joined[0]]
    return columns.batch_of([*names, images[places], rows(places), *classed, reasons, *joined[1:]], schema)


def _points(part: Starved) -> str:
    return part.setting.name


def _size(part: Starved) -> str:
    return part.setting.letterbox.label
