"""How every job takes its tables: whatever they are, sorted where they have to be, their columns found by name."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from fastbox.arrow.arrays import UnsortedError
from fastbox.datasets.as_source import Given, as_source, note_of, resolved
from fastbox.result import Result
from fastbox.storage.backed import Backed
from fastbox.storage.locate import check_named
from fastbox.storage.opened import keep_open
from fastbox.tables.files import find_files
from fastbox.tables.frames import listed
from fastbox.tables.in_order import sorted_source
from fastbox.tables.outputs import check_outputs
from fastbox.tables.source import Source
from fastbox.values.arguments import bound, check_types
from fastbox.values.names import CLASS, SCORE, Usual

__all__ = ["Tables", "takes"]

OUTPUTS = ("out", "fix", "changes", "report")  # the arguments that name what a job writes

Parameters = ParamSpec("Parameters")
Found = TypeVar("Found")


def takes(*names: str, image: bool = True) -> Callable[[Callable[Parameters, Found]], Callable[Parameters, Found]]:
    """Make a job take whatever a user calls a table for the arguments of these names.

    The job gets a :class:`Source` for each, or a list of them for an argument that is several tables. Columns that
    nobody named are found by their usual names. Where a table turns out not to be sorted by image, it is sorted and the
    job begins again: what it had written nobody has seen. Each file is opened once, and no output may be one of them.

    Parameters
    ----------
    *names : str
        Of the arguments; one with a star in front is several tables.
    image : bool
        Whether the job reads image ids where the user names no column.
    """

    def decorate(job: Callable[Parameters, Found]) -> Callable[Parameters, Found]:
        signature = inspect.signature(job)

        @wraps(job)
        def taking(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Found:
            with keep_open():
                call = signature.bind(*args, **kwargs)
                call.apply_defaults()
                _check_arguments(signature, names, call.arguments)
                for name in (table.removeprefix("*") for table in names):
                    call.arguments[name] = listed(call.arguments[name])
                given = [call.arguments[name.removeprefix("*")] for name in names]
                check_outputs(given, {}, {name: call.arguments.get(name) for name in OUTPUTS})
                tables = Tables(names, call.arguments, image)
                steps = _Steps(call.arguments.get("progress"))
                if steps.progress is not None:
                    call.arguments["progress"] = steps
                while True:
                    tables.give(call.arguments)
                    try:
                        found = job(*call.args, **call.kwargs)
                    except UnsortedError as error:
                        tables.sort(error)
                        steps.back()
                        continue
                    if isinstance(found, Result):
                        found.inputs = tables.notes()
                    return found

        taking.takes = names, image  # type: ignore[attr-defined]
        return taking

    return decorate


class Tables:
    """The tables of a call, by the names of their arguments."""

    def __init__(self, names: tuple[str, ...], arguments: dict[str, Any], image: bool) -> None:
        self._several = {name.removeprefix("*"): name.startswith("*") for name in names}
        self._tables: dict[str, list[Source]] = {}
        for name, several in self._several.items():
            given = arguments[name]
            if several:
                if isinstance(given, str | os.PathLike):  # or the next name is taken for the output
                    raise TypeError(f"expected {name} as a list, got {given!r}: give [{os.fspath(given)!r}]")
                given = given if isinstance(given, list | tuple) else [given]
                self._tables[name] = [_source(one, f"{name} {k + 1}", image) for k, one in enumerate(given)]
            else:
                self._tables[name] = [] if given is None else [_source(given, name, image)]
        self._columns: dict[str, str] = {}
        for column, wanted in arguments.items():
            if isinstance(wanted, Usual) and not (wanted == CLASS and arguments.get("class_agnostic")):
                arguments[column] = called = self._resolved(wanted)
                self._columns |= {wanted.what: called} if called != wanted else {}

    @classmethod
    def of(cls, job: Callable[..., Any], given: tuple[Given, ...], options: dict[str, Any]) -> Tables:
        """The tables that a job is to be called with; options are put to what the job would make of them."""
        names, image = job.takes  # type: ignore[attr-defined]
        call = bound(job, given, options)
        check_types(job, call.arguments)
        call.apply_defaults()
        _check_arguments(call.signature, names, call.arguments)
        usual = [name for name, value in call.arguments.items() if isinstance(value, Usual)]
        tables = cls(names, call.arguments, image)
        options |= {name: call.arguments[name] for name in usual}
        for name in names:  # of a table that was given by its name
            options.pop(name.removeprefix("*"), None)
        return tables

    @property
    def sources(self) -> list[Source]:
        """All tables in the order of their arguments."""
        return [source for own in self._tables.values() for source in own]

    def give(self, arguments: dict[str, Any]) -> None:
        """Put the tables in the place of what was given."""
        for name, own in self._tables.items():
            arguments[name] = own if self._several[name] else own[0] if own else None

    def sort(self, error: UnsortedError) -> None:
        """Sort the tables that have the file where ids were seen to descend; raises it where that can't be."""
        in_order: dict[Source, Source] = {}
        for own in self._tables.values():
            for place, source in enumerate(own):
                files = find_files(source.path)
                known = error.file in files and source.part is None and source.image is not None
                if known and not (isinstance(files[0], Backed) and files[0].sorted_in):
                    plain = replace(source, columns=(), aliases=())
                    if plain not in in_order:
                        in_order[plain] = sorted_source(plain)
                    own[place] = replace(source, path=in_order[plain].path)
        if not in_order:
            raise error

    def notes(self) -> list[dict[str, Any]]:
        """What is to be said of how the tables were read."""
        notes = [note for source in self.sources if (note := note_of(source))]
        return [*notes, {"columns": self._columns}] if self._columns else notes

    def _resolved(self, wanted: Usual) -> str:
        """The column that is meant in all tables, of scores in the first argument's; they call it by one name then."""
        names = list(self._tables)[:1] if wanted == SCORE else list(self._tables)
        called, renamed = resolved([source for name in names for source in self._tables[name]], wanted)
        for name in names:
            self._tables[name] = [renamed.pop(0) for _ in self._tables[name]]
        return called


class _Steps:
    """Counts what a job tells of its progress, so that it can begin again."""

    def __init__(self, progress: Callable[[int], object] | None) -> None:
        self.progress = progress
        self._done = 0

    def __call__(self, count: int) -> None:
        assert self.progress is not None
        self._done += count
        self.progress(count)

    def back(self) -> None:
        """Tell that nothing is done yet."""
        if self.progress is not None and self._done:
            self.progress(-self._done)
        self._done = 0


def _check_arguments(signature: inspect.Signature, names: tuple[str, ...], arguments: dict[str, Any]) -> None:
    """Refuse None for a table that has to be there."""
    for name in (table.removeprefix("*") for table in names):
        if arguments[name] is None and signature.parameters[name].default is inspect.Parameter.empty:
            check_named(None, name)


def _source(given: Given, name: str, image: bool) -> Source:
    if not image and not isinstance(given, Source):
        given = replace(Source(()), path=given, image=None)
    return as_source(given, name)
