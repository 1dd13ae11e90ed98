"""A cleaned copy of a table: invalid boxes are dropped, boxes partly outside of their image are clipped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.arrow import columns
from fastbox.boxes.container import Boxes
from fastbox.boxes.found import boxes_of_columns, frames
from fastbox.jobs.inspection.overlaps import duplicates
from fastbox.jobs.inspection.problems import CORNERS, Finding
from fastbox.jobs.inspection.table import Table
from fastbox.jobs.inspection.view import View
from fastbox.tables.chunk import Chunk
from fastbox.tables.sink import Sink
from fastbox.tables.write_back import coordinate_types, own_schema, rewritten, with_schema
from fastbox.values.formats import promoted, sides_of

__all__ = ["DROPPED", "Fix", "default_log"]

Ints = NDArray[np.int64]
StrPath = str | os.PathLike[str]

DROPPED = (
    "non_finite",
    "inverted",
    "angle_too_large",
    "edges_cross",
    "zero_side",
)  # the first code that a box has is the reason


def default_log(clean: StrPath) -> str:
    """Return the default path of the list of changes.

    >>> default_log("clean.parquet")
    'clean.log.parquet'
    """
    return f"{os.fspath(clean).removesuffix('.parquet')}.log.parquet"


class Fix:
    """The writer of a cleaned copy and its list of changes; a context manager.

    Parameters
    ----------
    table : Table
        The table, whose chunks carry all columns.
    clean, log : path
    tolerance : float
        The number of pixels that a box may reach outside of its image.
    inputs : list of str
        The files that the record names as the origin of the copy.

    Raises
    ------
    InputError
        Boxes can't be written back as they are stored.
    """

    def __init__(self, table: Table, clean: StrPath, log: StrPath, tolerance: float, inputs: list[str]) -> None:
        self._boxes, self._format = table.plan.boxes, table.plan.boxes.format
        self._schema = own_schema(table.plan.files[0])
        self._types = coordinate_types(self._schema, self._boxes)
        self._tolerance = tolerance
        ids = "int64" if table.plan.ids == "integer" else "string"
        both = [*CORNERS, *(f"{name}_after" for name in CORNERS)]
        types = {"image_id": ids, "row": "int64", "code": "string", "action": "string"}
        self._log_schema = columns.schema_of(types | dict.fromkeys(both, table.plan.dtype.name))
        parameters = {"inputs": inputs, "tolerance": tolerance}
        self._clean = Sink(clean, self._schema, command="inspect --fix", parameters=parameters)
        self._log = Sink(log, self._log_schema, command="inspect --fix", parameters=parameters)
        self._names = table.names
        self.dropped: dict[str, int] = {}
        self.clipped = 0
        self.rows = 0

    def __enter__(self) -> Fix:
        with ExitStack() as stack:
            for sink in (self._clean, self._log):
                stack.enter_context(sink)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            if self._names:
                self._clean.record(categories=self._names)
            self._clean.record(summary=self.to_dict())
            self._log.record(summary=self.to_dict())
        self._stack.__exit__(*error)

    def to_dict(self) -> dict[str, Any]:
        """Return the number of changes by reason, as JSON holds it."""
        return {"rows": self.rows, "clipped": self.clipped, "dropped": dict(sorted(self.dropped.items()))}

    def write(self, view: View, chunk: Chunk, found: Sequence[Finding]) -> None:
        """Write the rows of a chunk that are kept, and the changes, given the problems of the chunk."""
        if not len(view.image):
            return
        by_code = {entry.code: entry.rows for entry in found if not entry.images}
        reasons = np.full(len(view.image), "", dtype=object)
        for code in reversed(DROPPED):
            reasons[by_code.get(code, [])] = code
        clipped = by_code["out_of_image"][reasons[by_code["out_of_image"]] == ""]
        if self._boxes.rotated:  # clipped to its image, a rotated box would have another shape
            clipped = clipped[:0]
        stored = [] if self._boxes.rotated else self._clipped(view, clipped)
        # As they will be read: two boxes may be equal after they are clipped to the image.
        now = [column.copy() for column in view.boxes.columns]
        for column, new in zip(now, stored, strict=not self._boxes.rotated):
            column[clipped] = new
        after = boxes_of_columns(tuple(column[clipped] for column in now), self._format)
        if len(clipped):
            gone = ~np.logical_and(*(side > 0 for side in sides_of(after.columns, after.format)))
            reasons[clipped[gone]] = "out_of_image"
        left = np.flatnonzero(reasons == "")
        firsts = duplicates(view.image[left], [column[left] for column in now], view.codes[left])
        reasons[left[firsts != np.arange(len(left))]] = "duplicate"

        kept = np.flatnonzero(reasons == "")
        still = reasons[clipped] == ""
        batch = columns.taken(chunk.a_columns, kept)
        if still.any():
            places = np.searchsorted(kept, clipped[still])
            batch = rewritten(batch, self._boxes, places, [new[still] for new in stored])
        self._clean.write(with_schema(batch, self._schema))
        self._write_log(view, reasons, clipped[still], frames(after)[still])
        self.rows += len(kept)

    def _clipped(self, view: View, rows: Ints) -> list[NDArray[Any]]:
        """Return the stored coordinates of boxes clipped to their images; no box read back is outside."""
        across, down = view.across[rows], view.down[rows]
        axes = [
            self._axis(np.clip(low[rows], 0, limit), np.clip(high[rows], 0, limit))
            for low, high, limit in ((view.x0, view.x1, across), (view.y0, view.y1, down))
        ]
        order = (0, 2, 1, 3) if self._format != "yxyx" else (2, 0, 3, 1)
        flat = [column for axis in axes for column in axis]
        with np.errstate(over="ignore"):
            stored = [_as_type(flat[place], kind) for place, kind in zip(order, self._types, strict=True)]
        lengths = (2, 3) if self._format != "yxyx" else (3, 2)
        while True:
            # Rounding may move a side out again: then the length, or the far corner, loses as much and at least a bit.
            corners = self._as_read(stored).corners().astype(np.float64)
            moved = False
            for k, limit in ((0, across), (1, down)):
                length = stored[lengths[k]]
                out = np.maximum(-corners[:, k], corners[:, k + 2] - limit)
                wide = (out > self._tolerance) & (length > 0)
                length[wide] = _less(length[wide], 2 * out[wide])
                moved = moved or bool(wide.any())
            if not moved:
                return stored

    def _as_read(self, stored: Sequence[NDArray[Any]]) -> Boxes:
        first, second, third, fourth = stored
        return Boxes.of(promoted((first, second, third, fourth)), self._format)

    def _axis(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the numbers that a format stores for an interval."""
        if self._format == "xywh":
            return low, high - low
        return ((low + high) / 2, high - low) if self._format == "cxcywh" else (low, high)

    def _write_log(self, view: View, reasons: NDArray[Any], clipped: Ints, after: NDArray[Any]) -> None:
        for code, count in zip(*np.unique(reasons[reasons != ""].astype(str), return_counts=True), strict=True):
            self.dropped[str(code)] = self.dropped.get(str(code), 0) + int(count)
        self.clipped += len(clipped)
        changed = reasons != ""
        changed[clipped] = True
        rows = np.flatnonzero(changed)
        corners = np.zeros((len(rows), 4))
        corners[np.searchsorted(rows, clipped)] = after
        lost = reasons[rows] != ""
        made = [
            view.ids[view.image[rows]],
            view.given_rows(rows + view.first_row),
            np.where(lost, reasons[rows], "out_of_image"),
            np.where(lost, "dropped", "clipped").astype(object),
            *(side[rows] for side in (view.x0, view.y0, view.x1, view.y1)),
            *(np.ma.masked_array(side, mask=lost) for side in corners.T),
        ]
        self._log.write(columns.batch_of(made, self._log_schema))


def _as_type(values: NDArray[np.float64], kind: np.dtype[Any]) -> NDArray[Any]:
    return (np.rint(values) if kind.kind in "iu" else values).astype(kind)


def _less(values: NDArray[Any], by: NDArray[np.float64]) -> NDArray[Any]:
    """Return numbers that are smaller by an amount and by the least step of their type; not below 0."""
    kind = values.dtype
    least = values - kind.type(1) if kind.kind in "iu" else np.nextafter(values, kind.type(0))
    less: NDArray[Any] = np.minimum(least, _as_type(np.maximum(values - by, 0), kind))
    return less
