"""The parts that a run in fragments leaves in its folder: the fingerprint of each, and the parts that are done."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from typing import Any

from fastbox._record import dataclass
from fastbox._version import SCHEMA, __version__
from fastbox.errors import InputError, advice
from fastbox.fragments.canonical import digest
from fastbox.jobs.base import result_of
from fastbox.results.merge import unpacked
from fastbox.storage.opened import state_of
from fastbox.storage.stores import absolute, remove, tables_in
from fastbox.tables.record import plain, read_record
from fastbox.tables.sink import Target
from fastbox.tables.source import Source, count_boxes

__all__ = ["Task", "done_in", "fingerprint", "part_names", "remove_more"]

_PART = re.compile(r"part-[0-9]{5,}\.parquet")


@dataclass(frozen=True)
class Task:
    """One fragment of a job, with all data that a worker needs."""

    job: Callable[..., Any]
    sources: tuple[Source, ...]
    options: Mapping[str, Any]
    target: Target | None = None

    @property
    def boxes(self) -> int:
        """The number of boxes that the fragment reads."""
        return sum(map(count_boxes, self.sources))


def part_names(count: int) -> list[str]:
    """Return the names of the files of some parts, which sort as the parts do."""
    width = max(5, len(str(count - 1)))
    return [f"part-{number:0{width}d}.parquet" for number in range(count)]


def fingerprint(task: Task) -> dict[str, Any]:
    """Return the fingerprint of a part: equal for two runs only if they would write the same bytes."""
    return {
        "version": __version__,
        "schema": SCHEMA,
        "job": task.job.__name__,
        "options": {name: digest(value) for name, value in sorted(task.options.items())},
        "tables": [_state(source) for source in task.sources],
    }


def _state(source: Source) -> dict[str, Any]:
    assert source.fragment is not None
    files: tuple[str, ...] = source.path  # type: ignore[assignment]
    cut_from = {groups.file: groups.state for groups in source.fragment.groups}
    told = {
        own.name: getattr(source, own.name)
        for own in fields(source)
        if own.compare and own.name not in ("path", "fragment")
    }
    return {
        "read": digest(told),
        "files": [[absolute(file), *(cut_from.get(file) or state_of(file))] for file in files],
        "groups": [[absolute(groups.file), *groups.places] for groups in source.fragment.groups],
        "images": digest((source.fragment.low, source.fragment.high)),
    }


def done_in(folder: str, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
    """Yield the number and the result of each part that is done; parts of another run are refused."""
    known = {absolute(task.target): index for index, task in enumerate(tasks) if task.target is not None}
    for path in tables_in(folder):
        index = known.get(absolute(path))
        target = None if index is None else tasks[index].target
        record = _record(path)
        if index is None or target is None or record.get("fingerprint") != plain(target.fingerprint):
            raise _refused(path, index is not None or "fingerprint" in record)
        aggregate = record.get("aggregate")
        if aggregate is None:
            continue
        try:
            found = unpacked(aggregate, result_of(tasks[index].job))
        except ValueError as error:
            raise _refused(path, True) from error
        yield index, found


def _refused(path: str, is_part: bool) -> InputError:
    """Return the error for a file in a folder of parts that this run did not write: a part of another run, or none."""
    if not is_part:
        return InputError(f"expected a folder for the parts of this run alone, got {path} in it: name another folder")
    return InputError(
        f"expected a folder that no other run uses, got {path} of another run: "
        f"begin again with {advice('--overwrite', 'overwrite=True')}, or name another"
    )


def _record(path: str) -> dict[str, Any]:
    try:
        return read_record(path)
    except InputError:
        return {}


def remove_more(folder: str, count: int) -> None:
    """Remove the further parts of an earlier run that had more parts than this run."""
    kept = set(part_names(count))
    for path in tables_in(folder):
        name = os.path.basename(path)
        if _PART.fullmatch(name) and name not in kept and "fingerprint" in _record(path):
            remove(path)
