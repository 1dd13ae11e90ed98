"""The words of the project: a docstring begins with a verb or a noun, and one thing has one name everywhere."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support.paths import ROOT

CODE = sorted(path for room in ("fastbox", "bench", "data") for path in (ROOT / room).rglob("*.py"))
TEXTS = sorted([*CODE, *ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *ROOT.glob("*/README.md")])

QUESTION = re.compile(r"(What|Which|How|Whether|Where|Why|Who|When)\b")
OURS = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bdialects?\b": "format",
    r"of (its|their) own accord": "automatically",
    r"fail\w* for once|for once and all": "temporary failure",
    r"with a mood": "a noisy machine",
    r"off the share that matches": "expected calibration error",
    r"in none\b": "unmatched",
    r"boxes? that (is|are) none|is no box\b": "an invalid box",
    r"what a person is told": "the exception raised",
    r"to be cut into \d": "would run as … fragments",
    r"an output that is no input": "the output … is also an input",
}
HISTORY = {"CHANGELOG.md", "glossary.md"}  # old names stand beside new ones there


def docstrings(path: Path) -> list[tuple[str, str]]:
    """Every docstring of a file, by the name of what it describes."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return [(getattr(node, "name", "the module"), text) for node in nodes if (text := ast.get_docstring(node))]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_begin_with_a_verb_or_a_noun(path: Path) -> None:
    assert [f"{name}: {text.splitlines()[0]}" for name, text in docstrings(path) if QUESTION.match(text)] == []


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_thing_has_one_name(path: Path) -> None:
    if path.name in HISTORY:
        return
    said = [
        f"{number}: {line.strip()} (say {instead!r})"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for ours, instead in OURS.items()
        if re.search(ours, line, re.IGNORECASE)
    ]
    assert said == []
