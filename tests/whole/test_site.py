"""The documentation site: its commands print what its pages show, and its reference has every command and name."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner
from support import odd_tables
from support.commands import COMMANDS
from support.paths import ROOT

import fastbox
import fastbox.losses
from fastbox.cli import main

DOCS = ROOT / "docs"
SHOWN = ["start.md", "suppression.md", "faq.md"]
FOR_DEVELOPERS = {"bench", "dev", "docs", "lint", "peers", "test"}


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


def module_of_site(name: str) -> ModuleType:
    """A module that makes pages, as MkDocs loads it."""
    spec = importlib.util.spec_from_file_location(f"site_{name}", DOCS / "site" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_public_name_is_on_the_pages_of_functions() -> None:
    pages = module_of_site("api").pages()
    entries = re.findall(r"^(?:::: |## )(\S+)$", "\n".join(pages.values()), re.MULTILINE)
    assert len(entries) == len(set(entries))
    packages = (fastbox, fastbox.jobs, fastbox.fragments)
    wanted = {f"{package.__name__}.{name}" for package in packages for name in package.__all__}
    wanted |= {f"fastbox.{name}" for name in fastbox.losses.__all__}
    assert wanted - set(entries) == set()
    drop_in = {"fastbox.compat.cocoeval.COCOeval", "fastbox.compat.faster_coco_eval.COCOeval_faster"}
    assert drop_in | {"fastbox.torch.giou_loss"} <= set(entries)


def test_every_command_has_a_page_with_every_option_and_example() -> None:
    pages = module_of_site("commands").pages()
    assert set(pages) == {"index"} | {"-".join(words) for words in COMMANDS}
    for words, command in COMMANDS.items():
        page = pages["-".join(words)]
        rows = re.findall(r"^\| `(.*?)` \|", page, re.MULTILINE)
        flags = {flag for row in rows for flag in re.findall(r"(?<![\w-])--?[a-z][\w-]*", row)}
        options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
        assert flags == {flag for one in options for flag in (*one.opts, *one.secondary_opts)}
        assert all(line in page for line in command.examples)  # type: ignore[attr-defined]
        assert f"]({'-'.join(words)}.md)" in pages["index"]


def test_text_links_to_its_reference() -> None:
    links = module_of_site("links")
    plain = "```sh\n`fastbox nms`\n```\n# `fastbox nms`\n[`fastbox nms`](x.md)\n"
    found = links.crossed(
        f"Use `fastbox.nms(boxes)` or `fastbox nms a.parquet`.\n{plain}", "a/b.md", {"nms"}, {"fastbox.nms"}
    )
    sentence = "Use [`fastbox.nms(boxes)`][fastbox.nms] or [`fastbox nms a.parquet`](../commands/nms.md).\n"
    assert found == sentence + plain
    text, moved = "[a](../../README.md#x) [b](../formats.md) [c](#here)", {"README.md": "index.md"}
    assert links.rewritten(text, "docs/a/b.md", "a/b.md", moved) == "[a](../index.md#x) [b](../formats.md) [c](#here)"
