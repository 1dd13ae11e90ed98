"""The documentation site: its commands print what its pages show, and its reference has every command and name."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import odd_tables
from support.paths import ROOT

from fastbox.cli import main

DOCS = ROOT / "docs"
SHOWN = ["start.md", "suppression.md", "faq.md"]
FOR_DEVELOPERS = {"bench", "dev", "docs", "lint", "test"}


def consoles(page: str) -> list[tuple[str, list[str]]]:
    """Each command line that a page shows after a prompt, with the lines that it prints."""
    blocks = re.findall(r"^```console\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    found: list[tuple[str, list[str]]] = []
    for line in (line for block in blocks for line in block.splitlines()):
        if line.startswith("$ "):
            found.append((line[2:], []))
        else:
            found[-1][1].append(line)
    return found


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("page", SHOWN)
def test_commands_print_what_a_page_shows(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page != "start.md":  # which makes its tables
        odd_tables.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    for command, shown in consoles(page):
        program, *arguments = shlex.split(command)
        result = CliRunner().invoke(main, arguments)
        assert program == "fastbox"
        assert (result.exit_code == 0) is not any(line.startswith("error:") for line in shown), result.output
        printed = iter([line.rstrip() for line in result.output.splitlines()])
        assert [line for line in shown if line != "…" and line not in printed] == [], (command, result.output)


def test_a_page_shows_commands() -> None:
    assert all(len(consoles(page)) >= 2 and all(shown for _, shown in consoles(page)) for page in SHOWN)


def test_the_table_of_extras_has_every_extra_for_users() -> None:
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    rows = re.findall(r"^\| (`[^|]*`) \|", (DOCS / "start.md").read_text(), re.MULTILINE)
    assert {name for row in rows for name in re.findall("`(.*?)`", row)} == extras - FOR_DEVELOPERS
