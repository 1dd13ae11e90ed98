"""Command lines that are run, and the figures that they print and write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from click.testing import CliRunner

from bench.promises.same_figures.digests import numbers_of
from bench.promises.same_figures.lines import EARLIER_OUTPUTS, LINES
from bench.promises.same_figures.spellings import line_of, options_of
from fastbox.cli import main


class Ended(NamedTuple):
    """The exit code of a command line and its output."""

    code: int
    printed: str
    error: str


class CommandError(Exception):
    """A command line that failed."""

    def __init__(self, ended: Ended, words: list[str]) -> None:
        self.kind = f"exit {ended.code}"
        super().__init__(f"{' '.join(words)}: {ended.error[-300:]}")


def calls() -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield every command line by its name, as a call that returns what it printed and wrote."""
    for name, line in LINES.items():
        yield f"commands.{name}", partial(ran, name, line)


def ran(name: str, line: str) -> dict[str, Any]:
    """Run a command line; return the figures that it printed, and the files that it wrote."""
    out = Path("out", name)
    out.mkdir(parents=True)
    earlier = {key: f"out/{file}" for key, file in EARLIER_OUTPUTS.items()}
    earlier["coco-results"] = earlier["results"]
    words = line_of(line.replace("OUT", str(out)).format(**earlier), main)
    if "--json" in options_of(words, main) and "--style" not in words:
        words.append("--json")
    ended = apart(words) if name.startswith("process.") else within(words)
    if name.startswith("refused."):
        return {"exit": ended.code}
    told = "--json" in words and ended.printed.lstrip().startswith("{")
    if ended.code != 0 and not told:
        raise CommandError(ended, words)
    files = {str(path.relative_to(out)): path for path in sorted(out.rglob("*")) if path.is_file()}
    printed = json.loads(ended.printed) if told else numbers_of(ended.printed)
    return {"exit": ended.code, "printed": printed, "files": files}


def within(words: list[str]) -> Ended:
    """Run a command line in this process."""
    done = CliRunner().invoke(main, words)
    return Ended(done.exit_code, done.stdout, f"{done.output} {done.exception!r}")


def apart(words: list[str]) -> Ended:
    """Run a command line in a process of its own, with the package that this process has."""
    package = Path(sys.modules["fastbox"].__file__ or "").parents[1]
    command = [sys.executable, "-m", "fastbox", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(package)}
    )
    return Ended(done.returncode, done.stdout, done.stderr)
