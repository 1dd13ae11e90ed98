"""One page for each command, made from its options."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from fastbox.cli import main
from fastbox.cli.command import SECTIONS, Command, Group

# The guide of each command.
GUIDES = {
    "anchors": "matching",
    "assign": "matching",
    "bench": "benchmarks",
    "convert": "formats",
    "evaluate": "evaluation",
    "experiment-disagreement": "losses",
    "experiment-regression": "losses",
    "fuse": "suppression",
    "inspect": "inspect",
    "measure": "losses",
    "nms": "suppression",
    "pairs": "functions",
    "plan": "scale",
    "sort": "scale",
    "suspects": "suspects",
    "synthesize": "start",
    "warmup": "scale",
}
_HEAD = "| option | meaning | default |\n|---|---|---|"


def pages() -> dict[str, str]:
    """Return the text of each page by its name: an index, then one page a command."""
    found = dict(_commands(main, ()))
    lists = [_section(section, found) for section in SECTIONS]
    index = "# Commands\n\n`fastbox COMMAND --help` prints the same in a terminal.\n\n" + "\n\n".join(lists) + "\n"
    return {"index": index} | {"-".join(words): _page(words, command) for words, command in found.items()}


def names() -> frozenset[str]:
    """Return the name of the page of each command."""
    return frozenset("-".join(words) for words, _ in _commands(main, ()))


def _commands(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _commands(command, (*words, name))
        elif command is not None:
            yield (*words, name), command


def _section(section: str, found: dict[tuple[str, ...], click.Command]) -> str:
    rows = [
        f"| [`fastbox {' '.join(words)}`]({'-'.join(words)}.md) | {command.get_short_help_str(200)} |"
        for words, command in found.items()
        if _section_of(words, command) == section
    ]
    return "\n".join([f"## {section}\n\n| command | |\n|---|---|", *rows])


def _section_of(words: tuple[str, ...], command: click.Command) -> str:
    home = main.get_command(click.Context(main), words[0]) if len(words) > 1 else command
    assert isinstance(home, Command | Group)
    return home.section


def _page(words: tuple[str, ...], command: click.Command) -> str:
    assert isinstance(command, Command)
    context = click.Context(command, info_name=" ".join(("fastbox", *words)))
    usage = " ".join(command.get_usage(context).removeprefix("Usage: ").split())
    examples = "\n".join(command.examples)
    rows = [_row(one, context) for one in command.params if isinstance(one, click.Option) and not one.hidden]
    name = "-".join(words)
    more = [f"[the guide](../{GUIDES[name]}.md)"] if name in GUIDES else []
    if any("--json" in one.opts for one in command.params):
        more.append("[keys of the JSON and columns of the outputs](../outputs.md)")
    parts = [
        f"# fastbox {' '.join(words)}",
        _paragraphs(command.help or ""),
        f"```text\n{usage}\n```",
        f"## Examples\n\n```sh\n{examples}\n```",
        "## Options\n\n" + "\n".join([_HEAD, *rows]),
        *(["See also " + ", ".join(more) + "."] if more else []),
    ]
    return "\n\n".join(parts) + "\n"


def _paragraphs(text: str) -> str:
    """Return a help text in Markdown, with what click shows as it stands in a block of code."""
    parts = []
    for part in text.replace("\r", "").split("\n\n"):
        plain = inspect.cleandoc(part.removeprefix("\b\n"))
        parts.append(f"```text\n{plain}\n```" if part.startswith("\b") else _escaped(" ".join(plain.split())))
    return "\n\n".join(parts)


def _row(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None
    names, meaning = record
    said, _, notes = meaning.removesuffix("]").partition("  [") if meaning.endswith("]") else (meaning, "", "")
    default, limits = re.fullmatch(r"(?:default: ([^;]*))?(?:; )?(.*)", notes).groups()  # type: ignore[union-attr]
    value = f"`{default}`" if default else ""
    said = _escaped(said) + (f" `{limits.replace('<=', ' ≤ ').replace('>=', ' ≥ ')}`" if limits else "")
    return f"| `{names.replace('|', chr(92) + '|')}` | {said} | {value} |"


def _escaped(text: str) -> str:
    """Return a text whose signs mean nothing in Markdown."""
    return re.sub(r"([|<>*_\[\]])", r"\\\1", text)
