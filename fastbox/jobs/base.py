"""The skeleton of a job: the steps that all commands share before, beside and after their own work.

A job is a function of tables, an output and options, in that order. The tables and ``out`` come first and may be given
by position; every option is a keyword with a default, so that a call in Python reads like the command. Values that
belong together are passed as records: ``Source`` (the columns of a table), ``AnchorGrid``, ``MatchRule``, ``Resize``,
``Params`` and ``Limits``; all other options are plain keywords. ``rows``, ``progress`` and ``report`` mean the same in
every job.

:func:`job` opens the tables, runs the function, and writes its page. :class:`Traits` hold the facts of a job that its
callers, such as :mod:`fastbox.fragments`, need. :mod:`fastbox.jobs.output` takes the rows of a job step by step.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import partial, wraps
from typing import Any, ParamSpec, Protocol, TypeVar, get_type_hints

from fastbox import parallel
from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.arrow.arrays import UnsortedError
from fastbox.datasets.as_source import Given, as_source, note_of, resolved
from fastbox.datasets.file_names import FileNames
from fastbox.errors import InputError
from fastbox.jobs.progress import Steps
from fastbox.report.provenance import Provenance
from fastbox.result import Result
from fastbox.stages import stage
from fastbox.storage.backed import Backed
from fastbox.storage.beside import together
from fastbox.storage.locate import check_named, find_files
from fastbox.storage.opened import keep_open
from fastbox.storage.outputs import check_outputs
from fastbox.tables.files import column_names
from fastbox.tables.frames import listed
from fastbox.tables.source import Source
from fastbox.values.arguments import bound, check_types
from fastbox.values.names import CLASS, SCORE, Usual, column_of

__all__ = ["FirstPass", "Tables", "Traits", "job", "result_of", "traits_of"]

in_order = deferred("fastbox.tables.in_order")

WRITTEN = ("out", "fix", "changes")  # the arguments that name a table to write
REPORT, PICTURES = "report", "pictures"

Parameters = ParamSpec("Parameters")
Found = TypeVar("Found", bound=Result)


class FirstPass(Protocol):
    """A pass over a whole table before the fragments of a job run."""

    def __call__(
        self,
        table: Source,
        fragments: Sequence[Source],
        options: Mapping[str, Any],
        everywhere: Callable[..., Iterator[tuple[int, Any]]],
    ) -> Sequence[Mapping[str, Any]]:
        """Return the options to add to those of each fragment of the first table.

        ``everywhere(function, **options)`` runs a function on all fragments, on their engine, and yields the number of
        each fragment with its result.
        """


@dataclass(frozen=True)
class Traits:
    """The facts of a job that its callers need.

    Attributes
    ----------
    tables : tuple of str
        The arguments that are tables; an argument with a star in front takes several tables.
    by_image : bool
        Images are read by their ids; False for a job that reads rows one by one.
    adds_up : bool
        The results of fragments of the tables add up to the result of the whole.
    whole : mapping of str to str
        The options that need the tables as a whole, each with the name of its output for messages.
    reads : tuple of str
        The options that may name one more file to read.
    writes : tuple of str
        The arguments that name a file to write that is not a table.
    kept : int
        Bytes for each box of the first table that stay in memory until the end.
    rotated, beside : bool
        Tables of rotated boxes are read; the tables after the first list its images, and are cut at the same images.
    first_pass : callable, optional
        Reads the whole table before its fragments run; gives the options that it adds to those of each fragment.
    """

    tables: tuple[str, ...]
    by_image: bool = True
    adds_up: bool = False
    whole: Mapping[str, str] = field(default_factory=dict)
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = (REPORT,)
    kept: int = 0
    rotated: bool = False
    beside: bool = False
    first_pass: FirstPass | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the arguments that are tables."""
        return tuple(name.removeprefix("*") for name in self.tables)


def traits_of(function: Callable[..., Any]) -> Traits | None:
    """Return the traits of a job; None of any other function."""
    traits: Traits | None = getattr(function, "traits", None)
    return traits


def result_of(function: Callable[..., Any]) -> type[Result]:
    """Return the class of a job's result."""
    kind: type[Result] = get_type_hints(function)["return"]
    return kind


def job(*tables: str, **traits: Any) -> Callable[[Callable[Parameters, Found]], Callable[Parameters, Found]]:
    """Make a function of sources a job: it takes tables of every kind, and writes a page if one is requested.

    The function gets a :class:`Source` for each table, or a list of sources for an argument with several tables.
    Columns without a given name are found by their usual names. If a table is not sorted by image, it is sorted and the
    function begins again: its unfinished output has no name yet. Each file is opened once, and no output may replace an
    input.

    Parameters
    ----------
    *tables, **traits
        The :class:`Traits` of the job.
    """
    known = Traits(tables, **traits)

    def decorate(function: Callable[Parameters, Found]) -> Callable[Parameters, Found]:
        @wraps(function)
        def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Found:
            call = bound(function, args, kwargs)
            check_types(function, call.arguments)
            provenance = Provenance.of(function, args, kwargs)
            call.apply_defaults()
            arguments = call.arguments
            report, pictures = arguments.get(REPORT), arguments.get(PICTURES)
            if report is not None or pictures is not None:
                from fastbox.report.page.write import check_report

                check_report(report, pictures)
            with keep_open():
                _check_given(known, call)
                _prepare(known, arguments)
                with stage("decode"):
                    opened = Tables(known, arguments)
                steps = Steps(arguments.get("progress"))
                if steps.progress is not None:
                    arguments["progress"] = steps
                while True:
                    opened.give(arguments)
                    try:
                        found = function(*call.args, **call.kwargs)
                        break
                    except UnsortedError as error:
                        with stage("decode"):
                            opened.sort(error)
                        steps.back()
                found.inputs, found.provenance = opened.notes(), provenance
                found.file_names = FileNames(opened.sources, arguments.get("images_table"))
            if report is not None:
                found.report(report, pictures=pictures)
            return found

        run.traits = known  # type: ignore[attr-defined]
        return run

    return decorate


def _prepare(traits: Traits, arguments: dict[str, Any]) -> None:
    """List the files of each table, and refuse outputs that would replace an input."""
    for name in traits.names:
        arguments[name] = listed(arguments[name])
    read = [arguments[name] for name in traits.names]
    read += [file for name in traits.reads if isinstance(file := arguments[name], str | os.PathLike)]
    tables = {name: arguments[name] for name in WRITTEN if name in arguments and name not in traits.writes}
    check_outputs(read, tables, {name: arguments.get(name) for name in traits.writes}, pictures=arguments.get(PICTURES))


def _check_given(traits: Traits, call: inspect.BoundArguments) -> None:
    """Refuse None for a required table."""
    for name in traits.names:
        if call.arguments[name] is None and call.signature.parameters[name].default is inspect.Parameter.empty:
            check_named(None, name)


class Tables:
    """The tables of a call, by the names of their arguments."""

    def __init__(self, traits: Traits, arguments: dict[str, Any]) -> None:
        self._several = {name.removeprefix("*"): name.startswith("*") for name in traits.tables}
        tasks: list[Callable[[], Source]] = []
        places: list[str] = []
        for name, several in self._several.items():
            given = arguments[name]
            if several:
                if isinstance(given, str | os.PathLike):  # or the next name is taken for the output
                    raise TypeError(f"expected {name} as a list, got {given!r}: give [{os.fspath(given)!r}]")
                given = given if isinstance(given, list | tuple) else [given]
                tasks += [partial(_source, one, f"{name} {k + 1}", traits) for k, one in enumerate(given)]
            elif given is not None:
                tasks.append(partial(_source, given, name, traits))
            places += [name] * (len(tasks) - len(places))
        sources = [task() for task in tasks] if parallel.alone() else together(tasks)
        read = list(zip(places, sources, strict=True))
        self._tables = {name: [source for place, source in read if place == name] for name in self._several}
        self._columns: dict[str, str] = {}
        for column, wanted in arguments.items():
            if isinstance(wanted, Usual) and not (wanted == CLASS and arguments.get("class_agnostic")):
                arguments[column] = called = self._resolved(wanted)
                self._columns |= {wanted.what: called} if called != wanted else {}

    @classmethod
    def of(cls, function: Callable[..., Any], given: tuple[Given, ...], options: dict[str, Any]) -> Tables:
        """Return the tables to call a job with, and replace usual names in ``options`` by the columns found."""
        traits = traits_of(function)
        assert traits is not None
        call = bound(function, given, options)
        check_types(function, call.arguments)
        call.apply_defaults()
        _check_given(traits, call)
        usual = [name for name, value in call.arguments.items() if isinstance(value, Usual)]
        tables = cls(traits, call.arguments)
        options |= {name: call.arguments[name] for name in usual}
        for name in traits.names:  # of a table that was given by its name
            options.pop(name, None)
        return tables

    @property
    def sources(self) -> list[Source]:
        """All tables in the order of their arguments."""
        return [source for own in self._tables.values() for source in own]

    def give(self, arguments: dict[str, Any]) -> None:
        """Replace the given arguments by the tables."""
        for name, own in self._tables.items():
            arguments[name] = own if self._several[name] else own[0] if own else None

    def sort(self, error: UnsortedError) -> None:
        """Sort the tables that read the file with descending ids; raises the error if no table can be sorted."""
        sorted_: dict[Source, Source] = {}
        for own in self._tables.values():
            for place, source in enumerate(own):
                files = find_files(source.path)
                known = error.file in files and source.fragment is None and source.image is not None
                if known and not (isinstance(files[0], Backed) and files[0].sorted_in):
                    plain = replace(source, columns=(), aliases=())
                    if plain not in sorted_:
                        sorted_[plain] = in_order.sorted_source(plain)
                    own[place] = replace(source, path=sorted_[plain].path)
        if not sorted_:
            raise error

    def notes(self) -> list[dict[str, Any]]:
        """Return notes on the ways in which the tables were read."""
        notes = [note for source in self.sources if (note := note_of(source))]
        return [*notes, {"columns": self._columns}] if self._columns else notes

    def _resolved(self, wanted: Usual) -> str:
        """Return the column that a usual name means, the same in all tables; for scores in those of detections."""
        several = [name for name in list(self._tables)[1:] if self._several[name]]
        names = [*list(self._tables)[:1], *several] if wanted == SCORE else list(self._tables)
        if wanted == SCORE and "truths" in self._tables:
            _check_order(self._tables[names[0]][0], self._tables["truths"][0], wanted)
        called, renamed = resolved([source for name in names for source in self._tables[name]], wanted)
        for name in names:
            self._tables[name] = [renamed.pop(0) for _ in self._tables[name]]
        return called


def _check_order(detections: Source, truths: Source, score: Usual) -> None:
    """Refuse detections without scores before a ground truth with scores: they are given in the wrong order."""
    files = [find_files(source.path)[0] for source in (detections, truths)]
    scored = [column_of(column_names(file), score, file) is not None for file in files]
    if scored == [False, True]:
        raise InputError(
            f"expected detections before truths, got no scores in {files[0]}, and scores in {files[1]}: swap them"
        )


def _source(given: Given, name: str, traits: Traits) -> Source:
    if not traits.by_image and not isinstance(given, Source):
        given = replace(Source(()), path=given, image=None)
    return replace(as_source(given, name), rotated=traits.rotated)
