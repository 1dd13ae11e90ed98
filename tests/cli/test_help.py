"""The help of each command: what its options mean everywhere, and examples that run."""

from __future__ import annotations

import shlex
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from support.commands import COMMANDS, GROUPS
from support.paths import ROOT

from fastbox.cli import main
from fastbox.cli.command import SECTIONS, Group
from fastbox.kernels import registry

ALL = {**COMMANDS, **GROUPS}
RUN = [pytest.param(words, marks=pytest.mark.long if words == ("bench",) else ()) for words in ALL]
WORDS = 2  # the first words of a help text, which say what an option is

POINTS = ("integer range", (), "N", False, False, "Number of")  # where an experiment puts boxes
GRIDS = ("names", (), "PRESETS", False, False, "Detectors without")  # of detectors without anchors


def meaning(option: click.Option) -> tuple[Any, ...]:
    """The kind of value that an option takes, and what it is."""
    kind = option.type.name
    choices = tuple(option.type.choices) if isinstance(option.type, click.Choice) else ()
    said = " ".join((option.help or "").split()[:WORDS]).rstrip(":;,.")
    return kind, choices, option.metavar, option.is_flag, option.multiple, said


def test_an_option_means_the_same_in_every_command() -> None:
    found: dict[str, dict[tuple[Any, ...], list[str]]] = {}
    for words, command in ALL.items():
        for option in (given for given in command.params if isinstance(given, click.Option)):
            for name in (*option.opts, *option.secondary_opts):
                found.setdefault(name, {}).setdefault(meaning(option), []).append(" ".join(words))
    assert {"--format", "--size-columns", "--class-column", "--per-class", "-o"} <= set(found)
    several = {name: meanings for name, meanings in found.items() if len(meanings) > 1}
    assert set(several.pop("--points")) == {POINTS, GRIDS}  # both are the words of their fields
    assert several == {}


def test_every_option_says_what_it_is() -> None:
    for words, command in ALL.items():
        for option in (given for given in command.params if isinstance(given, click.Option)):
            assert option.help and option.help[0].isupper() and option.help.endswith("."), (words, option.name)
            assert option.is_flag or option.metavar or isinstance(option.type, click.Choice), (words, option.name)


def test_every_command_stands_in_a_section() -> None:
    for words, command in ALL.items():
        if len(words) == 1:
            assert command.section in SECTIONS, words  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_the_help_has_examples(words: tuple[str, ...]) -> None:
    text = CliRunner().invoke(main, [*words, "--help"]).stdout
    assert all(len(line) <= 80 for line in text.splitlines())
    examples = ALL[words].examples  # type: ignore[attr-defined]
    assert examples
    for line in examples:
        assert f"  {line}\n" in text


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("words", RUN, ids=" ".join)
def test_the_examples_run(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if words == ("anchors",):
        pytest.importorskip("scipy", reason="fitting anchors needs the extra optimize")
    for name in ("detections", "truths", "pairs"):
        shutil.copyfile(ROOT / "data" / f"{name}.parquet", tmp_path / f"{name}.parquet")
    for name in ("more", "one", "other"):
        shutil.copyfile(ROOT / "data" / "detections.parquet", tmp_path / f"{name}.parquet")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("fastbox.benchmarks.run.ROUNDS", 1)
    if words == ("warmup",):  # in this process, and of a kernel that takes a second, for all kernels take minutes
        monkeypatch.setattr(registry, "versions", partial(registry.versions, listed={"common.sketch": ("TALLY",)}))
        monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    for line in ALL[words].examples:  # type: ignore[attr-defined]
        program, *arguments = shlex.split(line)
        result = CliRunner().invoke(main, arguments)
        assert program == "fastbox" and result.exit_code == 0, (line, result.output)


def test_a_new_command_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "__init__.py").touch()
    (tmp_path / "more" / "shout.py").write_text("""
from dataclasses import dataclass
import click
from fastbox.cli.command import Command, option, record

@dataclass(frozen=True)
class Words:
    times: int = option("--times", type=int, default=1, metavar="N", help="Number of times.")

@click.command(cls=Command, section="Set up", examples=["tool shout --times 2"], short_help="Shout a word.")
@record("words", Words)
def shout(words):
    \"\"\"Shout a word.\"\"\"
    click.echo("hey " * words.times)
""")
    monkeypatch.syspath_prepend(tmp_path)
    group = Group("tool", package="more")
    listed = CliRunner().invoke(group, ["--help"]).stdout
    assert "Set up:\n  shout  Shout a word.\n" in listed
    assert "Example:\n  tool shout --times 2\n" in CliRunner().invoke(group, ["shout", "--help"]).stdout
    assert CliRunner().invoke(group, ["shout", "--times", "2"]).stdout == "hey hey \n"
    assert "no such command 'shot'; did you mean 'shout'?" in CliRunner().invoke(group, ["shot"]).stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_option_of_the_group_after_a_command_is_told_where_it_stands(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, [*words, "--threads", "1"], prog_name="fastbox")
    command = " ".join(words)
    expected = f"no such option --threads of '{command}': give it before, as fastbox --threads N {command}"
    assert told.exit_code == 2 and expected in told.stderr
