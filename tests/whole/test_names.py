"""A job and its command call one thing by one name: the keyword ``iou_threshold`` is the option ``--iou-threshold``."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import click
import pytest
from support.commands import COMMANDS

from fastbox import fragments, jobs
from fastbox.cli.fragments import Fragments
from fastbox.datasets.registry import formats
from fastbox.jobs.inspection.problems import Limits

PARTS = ("compare_rules", "candidates", "assign_points")  # of evaluate with several rules, and of assign with points
JOBS: dict[str, Callable[..., Any]] = {
    name: job for name in jobs.__all__ if not inspect.isclass(job := getattr(jobs, name)) and name not in PARTS
}
POSITIONAL = 3  # tables and the output
WORDS = {
    "disagreement": ("experiment", "disagreement"),
    "fit_anchors": ("anchors",),
    "regression": ("experiment", "regression"),
}

# Keywords and the options that carry them, where the two differ.
EVERYWHERE: dict[str, tuple[str, ...]] = {"out": ("output",), "progress": (), "rows": ()}
OWN: dict[str, dict[str, tuple[str, ...]]] = {
    "assign": {"resize": ("resize", "size"), "rule": ("rule", "high", "low")},
    "convert": {"out": (), "source_format": ("from",), "out_format": ("to",), "out_box_format": ("output_format",)},
    "evaluate": {
        "params": (
            "iou_thresholds",
            "areas",
            "max_dets",
            "class_agnostic",
            "strict",
            "fixed",
            "difficult",
            "legacy_pixels",
            "images",
            "filter",
        ),
        "others": (),
        "samples": ("bootstrap",),
    },
    "fit_anchors": {"sample": ()},
    "inspect": {"limits": tuple(field.name for field in fields(Limits)), "before": ()},
    "pairs": {"every": ("all",)},
    "suspects": {"facts": ()},
    "synthesize": {"truths": ()},
}
# Arguments of Source, which a command has as options; and options that a job has no keyword for.
SOURCE = ("box", "format", "image_column")
ADDED: dict[str, tuple[str, ...]] = {
    "assign": (*SOURCE, "plot", "points", "pad", "reach", "starved", "predictions"),
    "disagreement": ("plot",),
    "evaluate": (*SOURCE, "truth_box", "truth_format", "truth_image_column", "style"),
    "fit_anchors": ("box", "format"),
    "fuse": (*SOURCE, "memory"),
    "inspect": SOURCE,
    "nms": SOURCE,
    "pairs": (*SOURCE, "truth_box", "truth_format", "truth_image_column"),
    "plan": ("image_column",),
    "regression": ("plot",),
    "suspects": (*SOURCE, "truth_box", "truth_format", "truth_image_column"),
}
OF_FRAGMENTS = {field.metadata["option"][0][0][2:].replace("-", "_") for field in fields(Fragments)}
# Options without a default, for which the command finds one: the class column of the table, and the size of a fragment.
DEFAULTS = {("assign", "class_column"), ("plan", "fragment_rows")}


def signature(name: str) -> list[inspect.Parameter]:
    """The arguments of a job; those of convert are also those of all file formats."""
    own = list(inspect.signature(JOBS[name]).parameters.values())
    if name == "convert":
        made = [one for file in formats().values() for how in (file.read, file.write) for one in arguments(how)]
        unique = {one.name: one for one in made if one.kind is one.KEYWORD_ONLY and one.name not in ("kind", "source")}
        own = [*(one for one in own if one.kind is not one.VAR_KEYWORD), *unique.values()]
    return own


def arguments(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def options_of(name: str) -> dict[str, click.Option]:
    """The options of the command of a job by their long names, as Python spells them."""
    options = [one for one in command_of(name).params if isinstance(one, click.Option)]
    return {spelled(next(text for text in one.opts if text.startswith("--"))): one for one in options}


def command_of(name: str) -> click.Command:
    return COMMANDS[WORDS.get(name, (name,))]


def spelled(option: str) -> str:
    return option[2:].replace("-", "_")


@pytest.mark.parametrize("name", JOBS)
def test_tables_and_the_output_come_first_and_all_else_is_a_keyword(name: str) -> None:
    kinds = [one.kind for one in arguments(JOBS[name]) if one.kind is not inspect.Parameter.VAR_KEYWORD]
    positional = [kind for kind in kinds if kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert kinds[: len(positional)] == positional and len(positional) <= POSITIONAL
    assert set(kinds[len(positional) :]) <= {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_POSITIONAL}


@pytest.mark.parametrize("name", JOBS)
def test_a_keyword_is_the_name_of_the_option(name: str) -> None:
    options = set(options_of(name)) - {"json", "profile"}
    if "engine" in options:
        options -= OF_FRAGMENTS
    own = EVERYWHERE | OWN.get(name, {})
    tables = {one.name for one in command_of(name).params if isinstance(one, click.Argument)}
    keywords = [one.name for one in signature(name) if one.name not in tables]
    carried = [option for keyword in keywords for option in own.get(keyword, (keyword,))]
    assert sorted([*carried, *ADDED.get(name, ())]) == sorted(options)


@pytest.mark.parametrize(("job", "out"), [(jobs.candidates, "starved"), (jobs.assign_points, "output")])
def test_the_keywords_of_points_are_options_of_assign(job: Callable[..., Any], out: str) -> None:
    renamed = {"compared": "anchors", "out": out, "sizes": "size"}
    keywords = {one.name for one in arguments(job)} - {"truths", "progress", "rows"}
    assert {renamed.get(name, name) for name in keywords} <= set(options_of("assign"))


def test_the_options_of_fragments_are_the_keywords_of_spread() -> None:
    spread = {one.name for one in arguments(fragments.spread)}
    assert OF_FRAGMENTS - spread == {"address", "memory"}  # of the engine, and of the process


@pytest.mark.parametrize("name", JOBS)
def test_a_default_is_the_same_in_both(name: str) -> None:
    context = click.Context(command_of(name))
    options = options_of(name)
    compared = 0
    for one in signature(name):
        option = options.get(one.name)
        if option is None or one.default is one.empty or (name, one.name) in DEFAULTS:
            continue
        none = option.to_info_dict()["default"] is None and not option.is_flag
        default = None if none else option.handle_parse_result(context, {}, [])[0]
        if name == "convert" and default is None:  # each file format has its own
            continue
        assert plain(default) == plain(one.default), one.name
        compared += 1
    assert compared or name in ("convert", "plan", "synthesize"), "nothing is compared"


def plain(default: Any) -> Any:
    """A default without the difference between sequences."""
    return tuple(default) if isinstance(default, list | tuple) else default


def test_a_keyword_has_one_type_in_all_jobs() -> None:
    found: dict[str, dict[Any, list[str]]] = {}
    for name, job in JOBS.items():
        hints = typing.get_type_hints(job)
        for one in arguments(job):
            if one.kind is one.KEYWORD_ONLY and one.name not in WRITTEN.get(name, ()):
                found.setdefault(one.name, {}).setdefault(told(hints[one.name]), []).append(name)
    assert {name: kinds for name, kinds in found.items() if len(kinds) > 1} == {}
    assert sum(len(jobs) for kinds in found.values() for jobs in kinds.values()) > 80


# Arguments that are outputs of one job and tables of the others; and the rule that is a name alone beside `params`.
WRITTEN = {"synthesize": ("detections", "pairs"), "evaluate": ("rule",)}


def told(hint: Any) -> Any:
    """A type, None aside."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return frozenset(typing.get_args(hint)) - {type(None)}
    return frozenset({hint})


def test_every_difference_is_one() -> None:
    for name, own in OWN.items():
        known = {one.name for one in signature(name)}
        for keyword, options in own.items():
            assert keyword in known and options != (keyword,), (name, keyword)
    for name, keyword in DEFAULTS:
        assert keyword in {one.name for one in signature(name)} and keyword in options_of(name)
