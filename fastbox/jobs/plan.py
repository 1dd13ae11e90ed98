"""The plan of a job: the order of its tables by image, and the fragments that they would be cut into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from itertools import pairwise
from typing import Any

from fastbox._record import dataclass
from fastbox.datasets.as_source import Given, as_source
from fastbox.result import Result, Row
from fastbox.storage.locate import find_files
from fastbox.storage.opened import keep_open
from fastbox.tables.fragments import FRAGMENT_ROWS, cut, descends, groups_of
from fastbox.tables.order import Order
from fastbox.tables.source import Source
from fastbox.values.arguments import checked

__all__ = ["Planned", "plan"]

SHOWN = 5


@dataclass(repr=False)
class Planned(Result):
    """The order of some tables, and their fragments.

    Attributes
    ----------
    inputs : list of dict
        For each table: ``files``, ``row_groups``, ``boxes``, ``images`` (the least and the greatest id, None without
        ids), ``sorted`` (None without image ids), ``unsorted`` (the first row groups that begin below the end of the
        previous row group, or else the first rows with a lower id than the previous row), ``in_two_files`` (ids of
        images that continue in the next file).
    fragments : list of int
        The number of boxes that each fragment would read of all tables: the boxes of the row groups that hold its
        images. Empty if a table is unsorted.
    """

    MAIN = "inputs"
    TABLES = ("inputs",)
    FIRST = ("ready",)

    inputs: list[dict[str, Any]] = field(default_factory=list)
    fragments: list[int] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """True if no table is known to be unsorted."""
        return all(table["sorted"] is not False for table in self.inputs)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {"ready": self.ready, "inputs": self.inputs, "fragments": self.fragments}

    def _further_tables(self, summary: Mapping[str, Any]) -> dict[str, list[Row]]:
        """Return the table of fragments."""
        return {"fragments": [{"boxes": boxes} for boxes in self.fragments]}


@checked
def plan(*tables: Given, fragment_rows: int = FRAGMENT_ROWS) -> Planned:
    """Plan the fragments of some tables, and find the rows that are not sorted by image.

    Only footers are read, and the ids of a table whose footers do not show that it is unsorted.

    Parameters
    ----------
    *tables : Source, path, directory, glob or a list of paths
    fragment_rows : int
        About the number of boxes of a fragment, of all tables together.

    Raises
    ------
    InputError
        A file or column that can't be used.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "boxes.parquet")
    >>> pq.write_table(pa.table({"image_id": [4, 7, 9, 5], "bbox": [[0.0, 0, 1, 1]] * 4}), path, row_group_size=2)
    >>> found = plan(path)
    >>> found.ready, found.inputs[0]["unsorted"][0]["row"]
    (False, 2)
    """
    if not tables:
        raise ValueError("expected at least one table, got none")
    with keep_open():
        sources = [as_source(table) for table in tables]
        found = Planned([_table(source) for source in sources])
        if found.ready:
            for fragment in cut(sources, fragment_rows):
                groups = [one for source in fragment if source.fragment is not None for one in source.fragment.groups]
                found.fragments.append(sum(one.boxes for one in groups))
    return found


def _table(source: Source) -> dict[str, Any]:
    """Return the facts of a table; its ids are read where its footers don't show that it is unsorted."""
    groups = groups_of(source)
    falls = [
        {"file": group.file, "row": group.first_row, "begins": group.low, "before": before.high}
        for before, group in pairwise(groups)
        if descends(before, group)
    ]
    known = [group for group in groups if group.low is not None]
    images = [min(group.low for group in known), max(group.high for group in known)] if known else None
    over: list[Any] = []
    if not falls and source.image is not None:
        order = Order.of(source)
        falls, over = order.falls, order.over
        images = None if order.least is None else [order.least, order.greatest]
    return {
        "files": len(find_files(source.path)),
        "row_groups": len(groups),
        "boxes": sum(group.boxes for group in groups),
        "images": images,
        "sorted": None if source.image is None else not falls,
        "unsorted": falls[:SHOWN],
        "in_two_files": over,
    }
