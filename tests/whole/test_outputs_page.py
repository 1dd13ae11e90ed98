"""The page of outputs names every key of the JSON and every column of the Parquet that commands write, and no other."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.commands import COMMANDS
from support.paths import ROOT

from fastbox.cli import main

SECTIONS = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", (ROOT / "docs" / "outputs.md").read_text(), re.M | re.S))
SHARED = "Parts that several commands share"
WITH_COMMANDS = [title for title, text in SECTIONS.items() if "```sh" in text]
COMPARISON = "evaluate, comparing models"
ANY = re.compile("[A-Z]{3,}")  # stands for any name
Steps = tuple[str, ...]


def rows(text: str, head: str) -> list[list[str]]:
    """The cells of the table below a head."""
    table = re.search(rf"^\| {head} \|.*\n\|[-|]*\n((?:\|.*\n)*)", text, re.MULTILINE)
    return [] if table is None else [line.strip("| \n").split(" | ") for line in table[1].splitlines()]


def split(key: str) -> Steps:
    return tuple(key.replace("[]", ".[]").split("."))


def documented(text: str) -> Iterator[Steps]:
    """The keys of a section, with the keys of the shared parts that it links to."""
    for names, *meaning in rows(text, "key"):
        for key in re.findall("`(.*?)`", names):
            if part := re.search(r"\[a (?:\w+)\]\(#(a-\w+)\)", meaning[0]):
                title = part[1].replace("-", " ").capitalize()
                shared = SECTIONS[SHARED].split(f"### {title}\n")[1].split("### ")[0]
                inner = (one for names, *_ in rows(shared, "key") for one in re.findall("`(.*?)`", names))
                yield from (split(f"{key}.{one}") for one in inner)
            else:
                yield split(key)


def written(value: Any, path: Steps = ()) -> Iterator[Steps]:
    """The keys of a JSON value; a list of objects is a step of its own."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from written(inner, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from written(inner, (*path, "[]"))
    else:
        yield path


def fits(pattern: Steps, path: Steps) -> bool:
    return len(pattern) == len(path) and all(a == b or ANY.fullmatch(a) for a, b in zip(pattern, path, strict=True))


def run(title: str) -> set[Steps]:
    """Run the commands of a section, and return all keys that they print."""
    block = re.search(r"```sh\n(.*?)```", SECTIONS[title], re.DOTALL)
    assert block is not None
    found: set[Steps] = set()
    for line in block[1].splitlines():
        result = CliRunner().invoke(main, [*shlex.split(line)[1:], "--json"])
        assert result.exit_code == 0, result.output
        found |= set(written(json.loads(result.stdout)))
    return found


def test_every_command_that_prints_json_has_a_section() -> None:
    options = {words: [name for one in command.params for name in one.opts] for words, command in COMMANDS.items()}
    names = {" ".join(words) for words, given in options.items() if "--json" in given}
    titles = {re.split(", (?:comparing|with) ", title)[0] for title in SECTIONS if title != SHARED}
    assert names == {name for title in titles for name in title.split(", ")}


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("title", WITH_COMMANDS)
def test_the_page_names_what_the_commands_write(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if title == "anchors":
        pytest.importorskip("scipy", reason="fitting anchors needs the extra optimize")
    shutil.copytree(ROOT / "data", tmp_path / "data")
    if title == COMPARISON:
        shutil.copyfile(ROOT / "data" / "detections.parquet", tmp_path / "kept.parquet")
    monkeypatch.chdir(tmp_path)
    patterns = set(documented(SECTIONS[title]))
    found = run(title)
    if title == "warmup":  # compiles what this machine lacks
        found = {path[:1] for path in found}
    if title == COMPARISON:
        found = {path for path in found if path[0] == "comparisons"}
    assert {path for path in found if not any(fits(pattern, path) for pattern in patterns)} == set()
    assert {pattern for pattern in patterns if not any(fits(pattern, path) for path in found)} == set()
    for name in re.findall(r"^\| column of `(.*?)` \|", SECTIONS[title], re.MULTILINE):
        schema = pq.read_schema(tmp_path / name)
        types = {"float": "float32", "double": "float64"}
        columns = [(one.name, types.get(str(one.type), str(one.type))) for one in schema]
        assert columns == [
            (column, kind)
            for names, kind, *_ in rows(SECTIONS[title], f"column of `{re.escape(name)}`")
            for column in re.findall("`(.*?)`", names)
        ]


def test_keys_are_read_as_the_page_writes_them() -> None:
    assert split("a.b[].C") == ("a", "b", "[]", "C") and fits(("a", "[]", "ANY"), ("a", "[]", "0.5"))
    assert not fits(("a", "AP"), ("a", "b"))
    assert not fits(("a", "b"), ("a", "c")) and not fits(("a",), ("a", "b"))
    assert set(written({"a": [{"b": 1}, {"c": []}], "d": {}})) == {("a", "[]", "b"), ("a", "[]", "c"), ("d",)}
