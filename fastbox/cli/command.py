"""The classes of a command and of a group of commands, and records: options that reach a command as one dataclass."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields
from types import MappingProxyType
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from fastbox._lazy import modules_of
from fastbox.errors import did_you_mean
from fastbox.stages import profiled

__all__ = ["SECTIONS", "Command", "Group", "alone", "is_given", "option", "record"]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

SECTIONS = ("Prepare data", "Compare boxes", "Evaluate and train", "Set up")
_OPTION = "option"
PROFILE = "Print the seconds of each stage: import, compile, decode, compute, encode, wait."


def option(*names: str, **settings: Any) -> Any:
    """Return a field of a dataclass that an option fills; the arguments are those of :func:`click.option`."""
    return field(metadata={_OPTION: (names, settings)})


def alone(name: str, given: Any) -> Callable[[Decorated], Decorated]:
    """Return a decorator that gives a command one option, a field as in a record; the command takes it by this name."""
    names, settings = given.metadata[_OPTION]
    return click.option(*names, name, **settings)


def record(name: str, kind: type[Any]) -> Callable[[Decorated], Decorated]:
    """Return a decorator that gives a command the options of a dataclass; the command takes it by this name."""

    def decorate(command: Decorated) -> Decorated:
        for one in reversed(fields(kind)):
            names, settings = one.metadata[_OPTION]
            place = {"cls": _InRecord, "record": name, "kind": kind, "attribute": one.name}
            command = click.option(*names, f"{name}_{one.name}", **place, **settings)(command)
        return command

    return decorate


def is_given(record: str, attribute: str) -> bool:
    """Tell whether the command line has the option of an attribute of a record, rather than its default."""
    return click.get_current_context().get_parameter_source(f"{record}_{attribute}") is ParameterSource.COMMANDLINE


class _InRecord(click.Option):
    """An option whose value is an attribute of a record."""

    def __init__(self, *args: Any, record: str, kind: type[Any], attribute: str, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.record, self.kind, self.attribute = record, kind, attribute


class Command(click.Command):
    """A command that takes records, and shows examples in its help.

    Parameters
    ----------
    section : str
        The heading below which the help of a group lists the command, one of ``SECTIONS``.
    examples : sequence of str
        Lines to type.
    once : mapping of str to str
        Options that are refused if they are given twice, each with the way to give several values.
    """

    def __init__(
        self,
        *args: Any,
        section: str = "",
        examples: Sequence[str] = (),
        once: Mapping[str, str] = MappingProxyType({}),
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.section, self.examples, self.once = section, tuple(examples), once
        self.params.append(click.Option(["--profile"], is_flag=True, help=PROFILE))

    def invoke(self, context: click.Context) -> Any:
        """Run the command, and measure its stages if requested."""
        if not context.params.pop("profile"):
            return super().invoke(context)
        with profiled(whole_process=True) as profile:
            found = super().invoke(context)
        if not profile.told:
            from fastbox.report.terminal.console import Console
            from fastbox.report.terminal.profiled import show_profiled

            show_profiled(Console(sys.stderr, least=1), profile.to_dict())
        return found

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Parse the command line, and make the records of its options."""
        if self.once:
            *_, given = self.make_parser(context).parse_args(args=list(args))
            names = [name for option in given if isinstance(option, click.Option) for name in option.opts]
            for name, how in self.once.items():
                if names.count(name) > 1:
                    raise click.UsageError(f"expected {name} once, got it {names.count(name)} times: {how}", context)
        rest = super().parse_args(context, args)
        records: dict[tuple[str, type[Any]], dict[str, Any]] = {}
        for parameter in self.params:
            if isinstance(parameter, _InRecord):
                values = records.setdefault((parameter.record, parameter.kind), {})
                values[parameter.attribute] = context.params.pop(str(parameter.name))
        context.params |= {name: kind(**values) for (name, kind), values in records.items()}
        return rest

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, then the options."""
        write_examples(formatter, self.examples)
        super().format_options(context, formatter)


class Group(click.Group):
    """A group of the commands in a package: its module ``name`` holds the command of that name.

    Parameters
    ----------
    package : str
        The package; a module is imported when its command is called or listed.
    section, examples
        As for :class:`Command`.
    """

    def __init__(
        self, *args: Any, package: str = "", section: str = "", examples: Sequence[str] = (), **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.package, self.section, self.examples = package, section, tuple(examples)

    def list_commands(self, context: click.Context) -> list[str]:
        """Return the names of all commands."""
        found = modules_of(importlib.import_module(self.package)) if self.package else ()
        return sorted({*found, *self.commands})

    def get_command(self, context: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of a name, or None."""
        if cmd_name not in self.commands and cmd_name in self.list_commands(context):
            module = importlib.import_module(f"{self.package}.{cmd_name}")
            self.add_command(getattr(module, cmd_name))
        return super().get_command(context, cmd_name)

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called, and its arguments."""
        if args and not args[0].startswith("-") and self.get_command(context, args[0]) is None:
            hint = did_you_mean(args[0], self.list_commands(context))
            raise click.UsageError(f"no such command {args[0]!r}{hint}", context)
        return super().resolve_command(context, args)

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, the options, and the commands section by section."""
        write_examples(formatter, self.examples)
        click.Command.format_options(self, context, formatter)
        found = [(name, self.get_command(context, name)) for name in self.list_commands(context)]
        for section in (*SECTIONS, ""):
            rows = [
                (name, command.get_short_help_str(80))
                for name, command in found
                if command is not None and getattr(command, "section", "") == section
            ]
            if rows:
                with formatter.section(section or "Commands"):
                    formatter.write_dl(rows)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Write lines to type under a heading of their own, as they stand."""
    if examples:
        with formatter.section("Examples" if len(examples) > 1 else "Example"):
            for line in examples:
                formatter.write(f"{'':{formatter.current_indent}}{line}\n")
