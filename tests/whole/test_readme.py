"""The commands of the README and of the tour run in their order, and figures that stand in several places agree."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support.commands import COMMANDS
from support.paths import ROOT

from fastbox.cli import main
from fastbox.kernels.metrics import METRICS


def commands(page: str) -> list[list[str]]:
    """The commands of a page, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [line for line in lines if line[0] != "pip"]


@pytest.mark.slow
@pytest.mark.jit
def test_the_commands_of_the_tour_run_in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for extra in ("jinja2", "matplotlib", "scipy"):
        pytest.importorskip(extra, reason="the commands of the tour need the extras report, plot and optimize")
    monkeypatch.chdir(tmp_path)
    lines = commands("docs/tour.md")
    assert {words[0] for words in COMMANDS} - {line[1] for line in lines} <= {"bench", "plan", "sort", "warmup"}
    for program, *arguments in lines:
        assert program == "fastbox"
        before = set(tmp_path.iterdir())
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, (arguments, result.output)
        written = {path.name for path in set(tmp_path.iterdir()) - before}
        named = {one.rstrip("/") for one in arguments if re.search(r"[.](parquet|json|html|png|svg)$|/$", one)}
        assert written <= named | {"cleaned.parquet.log.parquet"} | {f"{Path(one).stem}.log.parquet" for one in named}
        assert all((tmp_path / one).exists() for one in named)


@pytest.mark.slow
@pytest.mark.jit
def test_the_commands_of_the_readme_run_and_print_what_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(ROOT / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    printed = {}
    for program, *arguments in commands("README.md"):
        result = CliRunner().invoke(main, arguments)
        assert (program, result.exit_code) == ("fastbox", 0), (arguments, result.output)
        printed[arguments[0]] = [line.rstrip() for line in result.output.splitlines()]
    block = re.search(r"^```text\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    lines = iter(printed["evaluate"])
    for line in block[1].splitlines():
        assert line == "…" or line in lines, line


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_shows_what_is_required_before_what_is_not(words: tuple[str, ...]) -> None:
    name, command = " ".join(words), COMMANDS[words]
    context = click.Context(command, info_name=name)
    usage = command.get_usage(context)
    before, _ = usage.split("[OPTIONS]")
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    for option in options:
        said = option.get_help_record(context)
        assert said is not None
        named = any(f" {flag} " in before for flag in option.opts)
        assert named == option.required or (named and " | " in before), (name, option.name, usage)
        metavar = said[0].split()[-1]
        # A value that stands where the name of a value belongs reads like a default.
        assert option.is_flag or option.count or not re.fullmatch(r"[a-z0-9.]+", metavar), (name, said)
    required = [one for one in command.params if isinstance(one, click.Argument) and one.required]
    for argument in required:
        assert f"[{argument.make_metavar(context)}]" not in usage


FRONT = [ROOT / name for name in ("README.md", "CHANGELOG.md", "bench/README.md")]
TEXTS = [*FRONT, *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize(
    "figure",
    [
        r"[\d.]+ times as fast as\s+(?:pycocotools|hotcoco)",
        r"[\d.]+ (?:to [\d.]+ )?s (?:on two cores|and [\d.]+ GiB to convert)",
        r"`json[.]load`\s+alone takes [\d. to]+ s|[\d.]+ s and [\d.]+ GiB only to load",
        r"[\d.]+ s\s+and\s+522 MiB",
    ],
)
def test_a_figure_that_was_reached_stands_once_or_is_the_same(figure: str) -> None:
    found = [" ".join(match.split()) for path in TEXTS for match in re.findall(figure, path.read_text())]
    places = [path for path in TEXTS if re.search(figure, path.read_text())]
    assert len(places) <= 1 or len(set(found)) == 1, found


@pytest.mark.parametrize("page", ["docs/functions.md", "docs/semantics.md"])
def test_the_tables_of_metrics_have_the_names_and_ranges_of_the_records(page: str) -> None:
    rows = re.findall(r"^\| (`[a-z0-9_]+`(?:, `[a-z0-9_]+`)*) \|.*\| (.*) \|$", (ROOT / page).read_text(), re.MULTILINE)
    found = {name: said for names, said in rows for name in re.findall("`(.*?)`", names) if name in METRICS}
    assert list(found) == list(METRICS)
    for name, said in found.items():
        low, high = METRICS[name].range
        bounds = {"≥": low, "≤": high} if not METRICS[name].bounded else {}
        wanted = [f"{sign} {end:g}" for sign, end in bounds.items() if abs(end) < float("inf")]
        assert said.split(", ")[-1:] == wanted or said == f"[{low:g}, {high:g}]", name
