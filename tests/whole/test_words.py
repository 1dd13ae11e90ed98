"""The words of the project: a docstring begins with a verb or a noun, and one thing has one name everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.paths import ROOT

CODE = sorted(path for room in ("fastbox", "bench", "data", "docs") for path in (ROOT / room).rglob("*.py"))
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("*/README.md")])
HISTORY = {"CHANGELOG.md", "glossary.md"}  # earlier words stand beside present ones
BOTH = ROOT / "bench" / "promises" / "same_figures"  # runs with earlier names too
TEXTS = [path for path in [*CODE, *PAGES] if path.name not in HISTORY and path.parent != BOTH]

QUESTION = re.compile(r"(What|Which|How|Whether|Where|Why|Who|When|Whatever|It|They|We|You|There)\b")
OURS = {
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\bdialects?\b": "format",
    r"of (its|their) own accord": "automatically",
    r"fail\w* for once|once and for all|for once and all": "temporary failure",
    r"with a mood": "a noisy machine",
    r"off the share that matches": "expected calibration error",
    r"in none\b": "unmatched",
    r"boxes? that (is|are) none|is no box\b": "an invalid box",
    r"what a person is told": "the exception raised",
    r"to be cut into \d": "would run as … fragments",
    r"an output that is no input": "the output … is also an input",
    r"read and write by themselves": "do not use helper threads",
    r"made[- ]up (boxes|data|truths|ground truth|detections)": "synthetic",
    r"\bso many\b|\bas there\b|\bit is that\b|offsets that are none": "the noun",
    r"\blest\b|\bwhilst\b|\bthereof\b|\bhence\b": "plain words",
    r"\bHxW\b|HEIGHTxWIDTH": "WIDTHxHEIGHT",
    r"\d %(?! ?\d)": "4%, without a space",
    r"--(by-class|all-classes|min-score-threshold|box-format|dialect)\b": "--per-class, --class-agnostic, --format",
    r"--(class|score|image|crowd|area|ignore|id)(?![-\w])": "--class-column, --score-column, …",
    r"\bby_class=|figures_by_class": "class_agnostic=, stats_by_class(), stats()",
    r"fastbox (sample|check)\b|\bjobs\.(sample|check)\b": "synthesize, plan",
    r"(?-i:\b(Softened|Graded)\b|\bOptimal\(|\bGreedy\()": "SoftNMS, LossAndGrad, OptimalMatches, GreedyMatches",
}
KEYS = re.compile(r"""["'](costs|verdict|partner|location|mended|source_dialect|out_dialect)["']""")

# Long numbers without commas; thresholds without their sign or their zero.
NUMBERS = re.compile(r"(?<![\w.,/:-])\d{5,}(?![\w.,/:-]*\d)|>=|<=|≥ ?\.\d|IoU of \.\d")

# What was expected, or what is wrong: what to do. A text that stands in another place may end a message.
FORM = re.compile(r"(expected .*|.*: .*|.*\{\})(?<![.!])$", re.DOTALL)


def docstrings(path: Path) -> list[tuple[str, str]]:
    """Every docstring of a file, by the name of what it describes."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
    return [(getattr(node, "name", "the module"), text) for node in nodes if (text := ast.get_docstring(node))]


def prose(page: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page without its code, its addresses and its generated table, by their numbers."""
    text = re.sub(
        r"```.*?```|<!-- bench:begin.*?bench:end -->|>>>.*?\n\n", kept_lines, page.read_text(), flags=re.DOTALL
    )
    for number, line in enumerate(text.splitlines(), 1):
        yield number, re.sub(r"`[^`]*`|\]\([^)]*\)", "", line)


def kept_lines(found: re.Match[str]) -> str:
    return "\n" * found[0].count("\n")


def messages(path: Path) -> Iterator[tuple[int, str]]:
    """The messages of input errors that are written where they are raised, by line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("InputError", "InputWarning") and node.args:
            given = node.args[0]
            parts = given.values if isinstance(given, ast.JoinedStr) else [given]
            said = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in parts)
            if said != "{}":
                yield node.lineno, said


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CODE, ids=ids)
def test_docstrings_begin_with_a_verb_or_a_noun(path: Path) -> None:
    assert [f"{name}: {text.splitlines()[0]}" for name, text in docstrings(path) if QUESTION.match(text)] == []


@pytest.mark.parametrize("path", TEXTS, ids=ids)
def test_one_thing_has_one_name(path: Path) -> None:
    said = [
        f"{number}: {line.strip()} (say {instead!r})"
        for number, line in enumerate(path.read_text().splitlines(), 1)
        for ours, instead in OURS.items()
        if re.search(ours, line, re.IGNORECASE)
    ]
    assert said == []


@pytest.mark.parametrize("path", [path for path in CODE if path.is_relative_to(ROOT / "fastbox")], ids=ids)
def test_keys_and_columns_have_the_names_of_the_glossary(path: Path) -> None:
    assert KEYS.findall(path.read_text()) == []


@pytest.mark.parametrize("path", [path for path in CODE if path.is_relative_to(ROOT / "fastbox")], ids=ids)
def test_a_message_says_what_is_expected_or_what_to_do(path: Path) -> None:
    said = [f"line {line}: {text}" for line, text in messages(path) if not FORM.match(text)]
    assert said == []


@pytest.mark.parametrize("page", [path for path in PAGES if path.name not in HISTORY], ids=ids)
def test_numbers_of_pages_are_in_one_style(page: Path) -> None:
    assert [(number, line) for number, line in prose(page) if NUMBERS.search(line)] == []


def test_the_rules_find_what_they_forbid(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Of 123456 boxes 12,345 match.\n\n```sh\nfastbox 123456\n```\nIoU >= 0.5 of `>=`\n")
    found = dict(prose(page))
    assert [number for number, line in found.items() if NUMBERS.search(line)] == [1, 6] and found[4] == ""
    assert QUESTION.match("What a job finds.") and not QUESTION.match("Whole images.")
    for forbidden in ("it was mended", "4 % slower", "--by-class", "--crowd COLUMN", "jobs.sample(", "made-up boxes"):
        assert any(re.search(ours, forbidden, re.IGNORECASE) for ours in OURS), forbidden
    for allowed in ("4% slower", "seed % 7", "--class-column", "recommended", "--score-column COLUMN"):
        assert not any(re.search(ours, allowed, re.IGNORECASE) for ours in OURS), allowed
    module = tmp_path / "module.py"
    module.write_text(
        'InputError(f"no file {name}")\nInputError("expected a file, got none")\nInputError(f"{a} is b: drop it")\n'
    )
    assert dict(messages(module)) == {1: "no file {}", 2: "expected a file, got none", 3: "{} is b: drop it"}
