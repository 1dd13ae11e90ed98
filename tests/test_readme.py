"""The README's commands run in their order, and figures that stand in several places agree."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from fastbox.cli import main

ROOT = Path(__file__).resolve().parent.parent


def commands() -> list[list[str]]:
    """The lines of the block of commands, without their comments."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"## On the command line\n.*?```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return [shlex.split(line, comments=True) for line in block[1].splitlines()]


@pytest.mark.jit
def test_the_commands_run_from_top_to_bottom_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for extra in ("jinja2", "matplotlib", "scipy"):
        pytest.importorskip(extra, reason="the README's commands need the extras report, plot and optimize")
    monkeypatch.chdir(tmp_path)
    lines = commands()
    assert {name for name in main.commands} - {line[1] for line in lines} <= {"check", "sort", "warmup"}
    for program, *arguments in lines:
        assert program == "fastbox"
        before = set(tmp_path.iterdir())
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, (arguments, result.output)
        written = {path.name for path in set(tmp_path.iterdir()) - before}
        named = {one.rstrip("/") for one in arguments if re.search(r"[.](parquet|json|html|png|svg)$|/$", one)}
        assert written <= named | {"cleaned.parquet.log.parquet"} | {f"{Path(one).stem}.log.parquet" for one in named}
        assert all((tmp_path / one).exists() for one in named)
