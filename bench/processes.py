"""Whole processes beside those of other libraries: COCO JSON to figures, and the memory of single calls.

python -m bench.processes            # measure every library that is installed: the tables of docs/benchmarks.md
python -m bench.processes --print    # print the tables instead
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple, TypeVar

import numpy as np

import fastbox
from bench.promises.promise import in_process
from bench.report import PAGE, ROOT, replace
from bench.support import calls, evaluators, scenes
from bench.support.evaluators import COCO, CODE
from bench.support.shapes import Sizes
from fastbox.benchmarks.run import processor

LIBRARIES = (*CODE, "numpy", "powerboxes", "lsnms", "supervision", "torch", "torchvision")
TURNS = 2  # evaluations in one process, of which the last one is timed
AGAIN = """
import contextlib, io, sys, time
given = list(sys.argv)
for turn in range({turns}):
    sys.argv = list(given)
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        exec({code!r}, {{}})
    taken = time.perf_counter() - start
print(taken)
"""

T = TypeVar("T")
Rows = list[Sequence[str]]


class Evaluator(NamedTuple):
    """A row of the table: the code that it runs, and the variables of its environment."""

    code: str
    variables: Mapping[str, str]


def evaluators_here() -> dict[str, Evaluator]:
    """Return the evaluators that are installed, by title."""
    found = {name.replace("_", "-"): Evaluator(name, {}) for name in CODE if name != "fastbox" and installed(name)}
    return {"fastbox, kernels compiled before": Evaluator("fastbox", {"FASTBOX_JIT": "1"}), **found}


def installed(name: str) -> bool:
    return find_spec(name) is not None


@contextlib.contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, which the processes that start inside of the block inherit."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def in_turns(measures: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Measure each once a round, another one first in each round, and every second round the other way round.

    So none always follows the longest one, after which a processor is slower for a while.
    """
    names = list(measures)
    found: dict[str, list[T]] = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in (names[first:] + names[:first])[:: -1 if turn % 2 else 1]:
            found[name].append(measures[name]())
    return found


def evaluate_once(row: Evaluator, files: tuple[str, str]) -> evaluators.Taken:
    with environment(row.variables):
        return evaluators.take(row.code, *files)


def evaluate_again(row: Evaluator, files: tuple[str, str]) -> float:
    """Return the seconds of an evaluation in a process that has evaluated the same files before."""
    with environment(row.variables):
        return float(in_process(AGAIN.format(turns=TURNS, code=CODE[row.code]), *files))


def files_to_figures(sizes: Sizes, rounds: int) -> Rows:
    """Time evaluations of COCO JSON, in new processes and once more in one process; the figures are compared."""
    amounts = {name: count if name == "classes" else sizes.of(count) for name, count in COCO.items()}
    with tempfile.TemporaryDirectory(prefix="fastbox-processes-") as folder:
        files = evaluators.write_json(folder, scenes.annotated(**amounts))
        rows = evaluators_here()
        figures = {row.code: evaluators.statistics(row.code, *files)[:12] for row in rows.values()}
        for found in figures.values():
            np.testing.assert_allclose(found, figures["fastbox"], rtol=1e-9)
        new = in_turns({name: partial(evaluate_once, row, files) for name, row in rows.items()}, rounds)
        again = in_turns({name: partial(evaluate_again, row, files) for name, row in rows.items()}, rounds)
        if not sizes.quick:  # once: the second run of a new cache finds compiled kernels
            cache = os.path.join(folder, "cache")
            rows["fastbox, first run"] = Evaluator("fastbox", {"FASTBOX_JIT": "1", "NUMBA_CACHE_DIR": cache})
            new["fastbox, first run"] = [evaluate_once(rows["fastbox, first run"], files)]
    table: Rows = [("evaluator", "new process", "again in one process", "peak memory", "the twelve figures")]
    for name in sorted(rows, key=lambda name: middle(one.wall for one in new[name])):
        same = figures[rows[name].code] == figures["fastbox"]
        seconds = [f"{middle(one.wall for one in new[name]):.2f} s"]
        seconds += [f"{middle(again[name]):.2f} s" if name in again else ""]
        memory = f"{middle(one.memory for one in new[name]):,.0f} MiB"
        table.append((name, *seconds, memory, "the same bits" if same else "equal to 9 digits"))
    return table


def memory_of_calls(sizes: Sizes, rounds: int) -> Rows:
    """Measure the memory of single calls beyond that of their inputs, each in a process of its own."""
    libraries = sorted({name for _, _, of in calls.WORKS.values() for name in of}, key=LIBRARIES.index)
    libraries = [name for name in libraries if installed(name)]
    table: Rows = [("work", "boxes", *libraries)]
    for work, (_, full, of) in calls.WORKS.items():
        n = sizes.of(full)
        measures = {name: partial(in_process, calls.RUN, work, name, str(n)) for name in libraries if name in of}
        found = {name: middle(map(float, taken)) for name, taken in in_turns(measures, rounds).items()}
        table.append((work, f"{n:,}", *(f"{found[name]:,.0f} MiB" if name in found else "" for name in libraries)))
    return table


def middle(values: Iterable[float]) -> float:
    return statistics.median(values)


def versions() -> str:
    """Return the libraries that are installed, with their versions."""
    homes = importlib.metadata.packages_distributions()
    named = [homes[name][0] for name in LIBRARIES if name in homes and name != "fastbox"]
    return ", ".join(
        [f"fastbox {fastbox.__version__}", *(f"{name} {importlib.metadata.version(name)}" for name in named)]
    )


def page(figures: Rows, memory: Rows, rounds: int, note: str) -> str:
    """Return both tables with the machine, the versions and the date."""
    machine = f"{processor()}, {os.cpu_count()} cores, {platform.system()}; Python {platform.python_version()}"
    made = (
        f"{machine}, {versions()}; {datetime.date.today()}. Medians of {rounds} rounds in turns.{note and f' {note}'}"
    )
    return "\n\n".join([made, "\n".join(lines(figures)), "\n".join(lines(memory))])


def lines(rows: Rows) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (rows[0], ["---"] * len(rows[0]), *rows[1:])]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compare processes that evaluate COCO JSON, and the memory of calls.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small data and one round: shows that everything runs")
    parser.add_argument("--note", default="", help="a sentence on the conditions of the measurement, for the page")
    parser.add_argument("--print", action="store_true", help="print the tables and change no page")
    given = parser.parse_args(arguments)
    rounds = 1 if given.quick else given.rounds
    sizes = Sizes(given.quick)
    text = page(files_to_figures(sizes, rounds), memory_of_calls(sizes, rounds), rounds, given.note)
    if given.print or given.quick:
        print(text)
    else:
        replace(ROOT / PAGE, text, "processes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
