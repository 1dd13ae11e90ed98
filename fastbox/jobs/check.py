"""Look at the footers of tables: whether they are sorted, where images lie, and how they would be cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from fastbox.jobs.result import Result
from fastbox.tables.files import find_files
from fastbox.tables.fragments import FRAGMENT_ROWS, Group, cut, groups_of
from fastbox.tables.inputs import Given, as_source

__all__ = ["Checked", "check"]

SHOWN = 5


@dataclass
class Checked(Result):
    """What the footers of some tables tell.

    Attributes
    ----------
    inputs : list of dict
        Of each table: ``files``, ``row_groups``, ``boxes``, ``images`` (the least and the greatest id, None where they
        are not known), ``sorted`` (None where footers don't tell), ``unsorted`` (the first row groups that begin below
        the end of the one before), ``in_two_files`` (ids of images that go on in the next file).
    fragments : list of int
        How many boxes each fragment would read, of all tables: those of the row groups that hold some of its images.
        Empty where a table is unsorted.
    """

    MAIN = "inputs"

    inputs: list[dict[str, Any]] = field(default_factory=list)
    fragments: list[int] = field(default_factory=list)

    @property
    def ready(self) -> bool:
        """Whether no table is known to be unsorted."""
        return all(table["sorted"] is not False for table in self.inputs)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        return {"ready": self.ready, "inputs": self.inputs, "fragments": self.fragments}

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Everything as tables: a summary, the ``inputs`` and the ``fragments``."""
        return super().tables() | {"fragments": [{"boxes": boxes} for boxes in self.fragments]}


def check(*tables: Given, fragment_rows: int = FRAGMENT_ROWS) -> Checked:
    """Tell from footers alone whether tables are sorted by image and how they would be cut into fragments.

    Rows within a row group are not looked at: jobs do that as they read.

    Parameters
    ----------
    *tables : Source, path, directory, glob or a list of paths
    fragment_rows : int
        About how many boxes a fragment shall have, of all tables together.

    Raises
    ------
    InputError
        A file or column that can't be used.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "boxes.parquet")
    >>> pq.write_table(pa.table({"image_id": [4, 7, 9, 5], "bbox": [[0.0, 0, 1, 1]] * 4}), path, row_group_size=2)
    >>> found = check(path)
    >>> found.ready, found.inputs[0]["unsorted"][0]["row"]
    (False, 2)
    """
    sources = [as_source(table) for table in tables]
    found = Checked([_table(groups_of(source), len(find_files(source.path))) for source in sources])
    if found.ready:
        for fragment in cut(sources, fragment_rows):
            runs = [run for source in fragment if source.part is not None for run in source.part.runs]
            found.fragments.append(sum(run.boxes for run in runs))
    return found


def _table(groups: list[Group], files: int) -> dict[str, Any]:
    known = [group for group in groups if group.low is not None]
    falls = [(before, group) for before, group in pairwise(known) if group.low < before.high]
    over = [b.low for a, b in pairwise(known) if a.high == b.low and a.run.file != b.run.file]
    return {
        "files": files,
        "row_groups": len(groups),
        "boxes": sum(group.run.boxes for group in groups),
        "images": [min(g.low for g in known), max(g.high for g in known)] if known else None,
        "sorted": False if falls else True if len(known) == len(groups) else None,
        "unsorted": [
            {"file": group.run.file, "row": group.run.first_row, "begins": group.low, "before": before.high}
            for before, group in falls[:SHOWN]
        ],
        "in_two_files": over[:SHOWN],
    }
