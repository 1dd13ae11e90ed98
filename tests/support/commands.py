"""All commands of the command line, those in groups too."""

from __future__ import annotations

from collections.abc import Iterator

import click

from fastbox.cli import main

__all__ = ["COMMANDS", "GROUPS"]


def _walk(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Each command below a group by the words to type, the group itself first."""
    yield words, group
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from _walk(command, (*words, name))
        else:
            yield (*words, name), command


_ALL = dict(_walk(main))
GROUPS = {words: command for words, command in _ALL.items() if isinstance(command, click.Group)}
COMMANDS = {words: command for words, command in _ALL.items() if words not in GROUPS}
