"""Cut tables into fragments from their footers alone, so that no image is split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from fastbox._lazy import deferred
from fastbox.arrow.arrays import Place, UnsortedError, image_runs, one_chunk, sort_command, unsorted
from fastbox.errors import InputError
from fastbox.storage.locate import Paths, find_files
from fastbox.storage.opened import open_parquet
from fastbox.tables.batches import batches_of
from fastbox.tables.footers import RowGroups, check_footer, leaves_of, limits_of
from fastbox.tables.source import Fragment, Source, plan, plans_of

__all__ = ["FRAGMENT_ROWS", "beside", "cut", "descends", "extremes", "groups_of"]

pc = deferred("pyarrow.compute")

_READ_ROWS = 65_536
FRAGMENT_ROWS = 1 << 20  # boxes: at most about a second of work, so that little is lost with a worker


def groups_of(source: Source) -> list[RowGroups]:
    """List the single row groups of a source's files that are not empty, in order.

    Raises
    ------
    InputError
        A file or a column that can't be used.
    """
    if source.image is None:
        return _listed(source, None)
    boxes = plan(source).boxes
    lists = boxes.names[0] if boxes.layout == "ragged" else None
    return _listed(source, lists, boxes.names[0] if boxes.layout == "list" else None)


def extremes(path: Paths, column: str) -> tuple[Any, Any]:
    """Return the least and the greatest value of a column by the footers; None and None without statistics."""
    groups = [group for file in find_files(path) for group in _groups(file, column)]
    if not groups or any(group.low is None or not isinstance(group.low, int | str) for group in groups):
        return None, None
    return min(group.low for group in groups), max(group.high for group in groups)


def beside(table: Source, fragments: Sequence[Source]) -> list[Source]:
    """Cut a table of images at the same ids as the fragments of their boxes.

    Raises
    ------
    InputError
        A file that can't be used, or ids that are not ascending from one row group to the next.
    """
    groups = _listed(table, None)
    _check_order(table, groups)
    limits = [source.fragment or Fragment(()) for source in fragments]
    return [_within(table, groups, own.low, own.high) for own in limits]


def _listed(source: Source, lists: str | None, planes: str | None = None) -> list[RowGroups]:
    listed = [group for file in find_files(source.path) for group in _groups(file, source.image, lists, planes)]
    groups, number = [], 0
    for group in listed:
        groups.append(replace(group, number=number))
        number += group.boxes
    return groups


def cut(sources: Sequence[Source], rows: int = FRAGMENT_ROWS) -> list[tuple[Source, ...]]:
    """Cut tables into fragments of about ``rows`` boxes of all tables together, each with whole images.

    A fragment is a range of image ids: its part of a table is the row groups that hold some of them, and rows of other
    images are dropped as they are read. The order of ids is checked by the footers, and by the ids in the first
    row group and in row groups without statistics; all other ids are checked as they are read. Tables without
    statistics of their ids are one fragment; tables read without ids are cut between row groups.

    Raises
    ------
    InputError
        A file or a column that can't be used, or ids that are not ascending from one row group to the next.

    Examples
    --------
    >>> import pyarrow as pa, pyarrow.parquet as pq, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "boxes.parquet")
    >>> table = pa.table({"image_id": [1, 1, 2, 2, 2, 3], "bbox": [[0.0, 0, 1, 1]] * 6})
    >>> pq.write_table(table, path, row_group_size=2)
    >>> [source.fragment.high for source, in cut([Source(path)], rows=2)]
    [2, None]
    """
    tables = [groups_of(source) for source in sources]
    if any(source.image is None for source in sources):
        if len(sources) > 1:
            raise InputError("expected a column of image ids to cut two tables alike, got none: name it")
        return [(_with_fragment(sources[0], Fragment(groups)),) for groups in _even(tables[0], rows)]
    firsts = [replace(source, path=find_files(source.path)[0]) for source in sources]
    plans_of(*firsts)
    for source, groups in zip(sources, tables, strict=True):
        _check_order(source, groups)
    edges = [None, *_marks([group for groups in tables for group in groups], rows), None]
    return [
        tuple(_within(source, groups, low, high) for source, groups in zip(sources, tables, strict=True))
        for low, high in pairwise(edges)
    ]


def _groups(file: str, image: str | None, lists: str | None = None, planes: str | None = None) -> Iterator[RowGroups]:
    """Yield the row groups of a file.

    ``lists`` is the column of boxes if a row is an image with lists of boxes, ``planes`` if it is a list of numbers:
    four of a box, or those of all boxes of raw predictions.
    """
    with open_parquet(file) as parquet:
        footer = parquet.metadata
        if image is not None:
            check_footer(file, footer, image)
        first_row = 0
        for index in range(footer.num_row_groups):
            group = footer.row_group(index)
            low, high = (None, None) if image is None else limits_of(group, footer.schema, image)
            end = first_row + int(group.num_rows)
            bounds = () if low is None else ((first_row, end, low, high),)
            count = int(group.num_rows)
            found = RowGroups(file, (index, index + 1), first_row, count, state=parquet.state, bounds=bounds)
            first_row = end
            if lists is not None:  # no footer has the number of boxes in them
                rows = (batch.column(lists) for _, batch in batches_of(found, [lists], _READ_ROWS))
                boxes = sum(int(pc.sum(pc.list_value_length(some)).as_py() or 0) for some in rows)
                found = replace(found, boxes=boxes)
            elif planes is not None:
                leaf = next(iter(leaves_of(footer.schema, planes)))
                found = replace(found, boxes=max(count, int(group.column(leaf).num_values) // 4))
            if count:
                yield found


def _check_order(source: Source, groups: Sequence[RowGroups]) -> None:
    """Refuse ids that descend by the footers; read those of the first row group and of groups without statistics."""
    assert source.image is not None
    asked = [[group] for group in groups[:1]]  # by neighbours
    for before, group in pairwise(groups):
        if descends(before, group):
            where = f"column {source.image!r} of {group.file} at row {group.first_row}"
            came = f"{group.low!r} in a row group after one with {before.high!r}"
            how = sort_command(group.file, source.image)
            message = f"expected ascending ids in {where}, got {came}: sort it with {how}"
            raise UnsortedError(message, group.file)
        if not _ascends(before, group):
            asked += [] if asked[-1][-1] is before else [[before]]
            asked[-1].append(group)
    for neighbours in asked:
        last: Any = None
        for some in _joined(neighbours):
            for first_row, batch in batches_of(some, [source.image], _READ_ROWS):
                place = Place(some.file, source.image, first_row)
                ids, _ = image_runs(one_chunk(batch.column(source.image)), place)
                if last is not None and ids[0] < last:
                    raise unsorted(place, 0, last, ids[0])
                last = ids[-1]


def _ascends(before: RowGroups, group: RowGroups) -> bool:
    """Tell whether a row group surely has no id below an id of the row group before it."""
    return None not in (before.high, group.low) and bool(before.high <= group.low)


def descends(before: RowGroups, group: RowGroups) -> bool:
    """Tell whether a row group surely has an id below one of the previous group; footers have only bounds of texts."""
    if None in (before.high, group.low):
        return False
    return bool(group.high < before.low if isinstance(group.low, str) else group.low < before.high)


def _marks(groups: Sequence[RowGroups], rows: int) -> list[Any]:
    """Return the ascending ids to cut at, with enough boxes between two cuts."""
    if any(group.low is None for group in groups):
        return []
    marks: list[Any] = []
    ordered = sorted(groups, key=lambda group: group.low)
    since = 0
    for before, group in pairwise(ordered):
        since += before.boxes
        last = marks[-1] if marks else ordered[0].low
        if since >= rows and group.low > last:
            marks.append(group.low)
            since = 0
    return marks


def _within(source: Source, groups: Sequence[RowGroups], low: Any, high: Any) -> Source:
    """Return the fragment of a source with the images from ``low`` on and below ``high``; None is no limit."""
    kept = tuple(
        group
        for group in groups
        if group.low is None or ((low is None or group.high >= low) and (high is None or group.low < high))
    )
    return _with_fragment(source, Fragment(kept, low, high))


def _with_fragment(source: Source, fragment: Fragment) -> Source:
    files = dict.fromkeys(group.file for group in fragment.groups)
    paths = tuple(files or find_files(source.path)[:1])
    return replace(source, path=paths, fragment=replace(fragment, groups=_joined(fragment.groups)))


def _joined(groups: Sequence[RowGroups]) -> tuple[RowGroups, ...]:
    """Join neighbours in a file, so that it is opened once."""
    joined: list[list[RowGroups]] = []
    for group in groups:
        last = joined[-1][-1] if joined else None
        if last is not None and last.file == group.file and last.places[1] == group.places[0]:
            joined[-1].append(group)
        else:
            joined.append([group])
    return tuple(
        replace(
            some[0],
            places=(some[0].places[0], some[-1].places[1]),
            boxes=sum(group.boxes for group in some),
            bounds=tuple(bound for group in some for bound in group.bounds),
        )
        for some in joined
    )


def _even(groups: Sequence[RowGroups], rows: int) -> list[tuple[RowGroups, ...]]:
    """Deal row groups in turn, about as many rows to each fragment."""
    dealt: list[list[RowGroups]] = [[]]
    for group in groups:
        if sum(one.boxes for one in dealt[-1]) >= rows:
            dealt.append([])
        dealt[-1].append(group)
    return [tuple(some) for some in dealt]
