"""Words of today and their earlier spellings, so that one list of calls runs on both versions of the code.

Every call is spelled as today's code has it. Where the code that runs doesn't know a word, its earlier spelling is
taken from the tables below: a later rename is one more line.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import click

COMMANDS = {"synthesize": "sample", "plan": "check"}

# Options of today, and their earlier spellings, the first that a command has.
OPTIONS: dict[str, tuple[str, ...]] = {
    "--area-column": ("--area",),
    "--class-agnostic": ("--all-classes",),
    "--class-column": ("--class",),
    "--count": ("--images",),
    "--crowd-column": ("--crowd",),
    "--id-column": ("--id",),
    "--ignore-column": ("--ignore",),
    "--image-column": ("--image",),
    "--images-table": ("--images",),
    "--iou-threshold": ("--threshold",),
    "--iou-thresholds": ("--thresholds",),
    "--output-format": ("--format",),
    "--per-class": ("--by-class",),
    "--score-column": ("--score",),
    "--size-columns": ("--size",),
    "--sub-pixel": ("--min-side",),
    "--write-images": ("--images",),
}


class Phrase(NamedTuple):
    """Words that were told otherwise by a command with an option that it has no longer."""

    command: str
    option: str
    today: str
    earlier: str


PHRASES = (
    Phrase("assign", "--ignore", r"--size (\d+)x(\d+)", r"--size \2x\1 --resize none"),
    Phrase("assign", "--ignore", r"--resize shorter=(\d+),longer=(\d+)", r"--size \1x\2"),
    Phrase("assign", "--ignore", r"--resize (\d+)x(\d+)", r"--size \2x\1 --resize both"),
    Phrase("assign", "--ignore", r"--resize (\d+)(?!\S)", r"--size \1"),
    Phrase("anchors", "--width", r"--size-columns (\w+),(\w+)", r"--width \1 --height \2"),
    Phrase("anchors", "--width", r"shorter=(\d+),longer=(\d+)", r"\1/\2"),
    Phrase("anchors", "--width", r"faster-rcnn-fpn", r"faster-rcnn"),
    Phrase("convert", "--box-format", r"--format(?!\S)", r"--box-format"),
)

# Public names, below the package.
NAMES = {
    "fragments.spread": "jobs.spread",
    "jobs.plan": "jobs.check",
    "jobs.synthesize": "jobs.sample",
}


class Told(NamedTuple):
    """Arguments of a function that has, in the earlier code alone, a parameter of some name."""

    parameter: str
    names: dict[str, str | None]
    negated: tuple[str, ...] = ()


ARGUMENTS = {
    "evaluate": Told("runs", {"models": "runs"}),
    "jobs.assign": Told("by_class", {"class_column": "by_class", "ignore_column": "ignore"}),
    "jobs.convert": Told(
        "source_dialect",
        {
            "source_format": "source_dialect",
            "out_format": "out_dialect",
            "class_column": "category",
            "write_images": "images",
        },
    ),
    "jobs.evaluate": Told(
        "crowd",
        {"score_column": "score", "crowd_column": "crowd", "ignore_column": "ignore", "area_column": "area"},
    ),
    "jobs.fuse": Told(
        "by_class", {"iou_threshold": "threshold", "class_agnostic": "by_class"}, negated=("class_agnostic",)
    ),
    "jobs.nms": Told(
        "by_class", {"iou_threshold": "threshold", "class_agnostic": "by_class"}, negated=("class_agnostic",)
    ),
    "jobs.pairs": Told("by_class", {"class_column": "by_class", "class_agnostic": None}),
    "jobs.sort": Told("by", {"image_column": "by"}),
    "jobs.synthesize": Told("images", {"count": "images"}),
    "Params": Told("by_class", {"class_agnostic": "by_class"}, negated=("class_agnostic",)),
}

CALLED: set[str] = set()  # public names that were asked for, to tell which ones never are


def public(name: str) -> Any:
    """Return what stands under a public name, or under its earlier one."""
    CALLED.add(name)
    for spelled in (name, NAMES.get(name, name)):
        module, _, last = f"fastbox.{spelled}".rpartition(".")
        try:
            return getattr(importlib.import_module(module), last)
        except (AttributeError, ModuleNotFoundError):
            continue
    raise LookupError(name)


def call(name: str, *given: Any, **options: Any) -> Callable[[], Any]:
    """Return a call of a public function, whose options are spelled when it is called."""

    def called() -> Any:
        function = public(name)
        return function(*given, **arguments(name, function, options))

    return called


def arguments(name: str, function: Callable[..., Any], options: dict[str, Any]) -> dict[str, Any]:
    """Return options by the names that a function has for them."""
    told = ARGUMENTS.get(name)
    if told is None or told.parameter not in inspect.signature(function).parameters:
        return options
    named = {told.names.get(key, key): not value if key in told.negated else value for key, value in options.items()}
    return {key: value for key, value in named.items() if key is not None}


def method(found: Any, *names: str) -> Callable[..., Any]:
    """Return the first method that an object has, of today's name and earlier ones."""
    found_method: Callable[..., Any] = next(getattr(found, name) for name in names if hasattr(found, name))
    return found_method


def line_of(line: str, main: click.Group) -> list[str]:
    """Return the words of a command line as the code that runs knows them."""
    first, *rest = line.split()
    first = first if first in main.list_commands(click.Context(main)) else COMMANDS.get(first, first)
    known = options_of([first, *rest], main)
    for phrase in PHRASES:
        if phrase.command == first and phrase.option in known:
            rest = re.sub(phrase.today, phrase.earlier, " ".join(rest)).split()
    return [first, *(option(word, known) for word in rest)]


def option(word: str, known: Iterable[str]) -> str:
    """Return an option by a name that a command knows; other words as they are."""
    if not word.startswith("--") or word in known:
        return word
    return next((earlier for earlier in OPTIONS.get(word, ()) if earlier in known), word)


def options_of(words: list[str], main: click.Group) -> set[str]:
    """Return every option of the command that words begin with."""
    command: click.Command = main
    for word in words:
        found = command.get_command(click.Context(command), word) if isinstance(command, click.Group) else None
        if found is None:
            break
        command = found
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
