"""Trace the walks of some calls through the files of fastbox, and tell whether they are as short as promised.

    python -m bench.promises.walks --path

A walk is made of one chunk: the tables are small. It is traced when all is imported and compiled, on one thread, from
the call of a job to its end, and whatever of the job the command line calls afterwards; `fastbox.best`, which is none,
from its call to its end. A *hop* is the first call from one file into another that leads on into further files; what is
answered where it arrives is a look-up and no hop. It goes *back* where it arrives in a file that the walk has left.
bench/promises/tracer.py has this to the letter. `files` are all that are called, for look-ups too, and `calls` all
across files. `opened` is how often both inputs are opened, as the operating system tells it. `traced` is how often
curves are traced for each model, those for the costs of errors too, and `again` how many of all that had been before.
`modules` are those of fastbox that `import fastbox.jobs` loads, `jobs` the jobs among what it and the use of one load,
but for this one.

With `--path` each hop is a line: `<` where it goes back, by whom, what it calls, and how many calls go from the one
file into the other. Behind them come the calls into each file.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import fastbox
from bench.promises.opens import counted_opens
from bench.promises.tracer import Call, Hop, Tracer, hops_of
from fastbox import parallel

# What each walk may be at most.
PROMISES: dict[str, dict[str, float]] = {
    "pairs -o --report": {"hops": 25, "back": 6, "opened": 2},
    "evaluate --by": {"hops": 30, "back": 6, "opened": 2, "again": 0},
    "evaluate --by -o --report": {"opened": 2, "again": 0},
    "fastbox.best": {"hops": 4, "files": 8},
    "import fastbox.jobs": {"jobs": 0},
}
PACKAGE = Path(fastbox.__file__).parent
JOBS = ("jobs",)  # where a job is called
SEEN_THROUGH = ("errors.py", "values/arguments.py")  # wrappers of whole functions
CURVES = "evaluation/curves.py", "trace"  # what traces the curves of a model
DETECTIONS, TRUTHS = Path("detections.parquet"), Path("truths.parquet")
OUTPUTS = Path("out.parquet"), Path("page.html")
MODELS = ("a", "b", "c")
IMAGES, OBJECTS = 100, 8

COLUMNS = ("hops", "back", "files", "calls", "opened", "traced", "again", "modules", "jobs")
LOADED = """
import sys, fastbox.jobs as jobs
loaded = {name for name in sys.modules if name.split(".")[0] == "fastbox"}
used = jobs.pairs.__module__
more = set(sys.modules) - {used}
homes = {getattr(jobs, name).__module__ for name in jobs.__all__ if name.islower()}
print(len(loaded), len(homes & (loaded | more)))
"""


@dataclass
class Walk:
    """A walk: its figures by name, its hops, and all calls across files."""

    figures: dict[str, float]
    hops: list[Hop] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)


class Case(NamedTuple):
    """A call that is walked, and where the walk begins; at the call where nothing is named."""

    call: Callable[[], object]
    rooms: tuple[str, ...] = JOBS


@dataclass
class Curves:
    """Counts the passes that trace curves, and the passes that repeat an earlier one."""

    passes: Counter[bytes] = field(default_factory=Counter)

    def __call__(self, frame: FrameType, file: str, function: str) -> None:
        """Count a call, if it is one that traces curves."""
        if (file, function) == CURVES:
            self.passes[fingerprint(frame.f_locals.values())] += 1

    def figures(self) -> dict[str, float]:
        """Return the passes per model and the number of repeated passes; an empty mapping without curves."""
        whole = self.passes.total()
        return {"traced": whole / len(MODELS), "again": whole - len(self.passes)} if whole else {}


def fingerprint(values: Iterable[Any]) -> bytes:
    """A short text that tells arguments apart by their content."""
    found = blake2b()
    for value in values:
        array = isinstance(value, np.ndarray)
        found.update(f"{value.dtype} {value.shape}".encode() if array else repr(value).encode())
        if array:
            found.update(np.ascontiguousarray(value).tobytes())
    return found.digest()


def write_tables() -> None:
    """Write truths, and the detections of three models: some are correct, some have each kind of error."""
    rng = np.random.default_rng(0)
    images = np.repeat(np.arange(IMAGES), OBJECTS)
    corner, size = rng.uniform(0, 500, (len(images), 2)), rng.uniform(8, 120, (len(images), 2))
    classes = rng.integers(1, 5, len(images))
    boxes = np.hstack((corner, corner + size))
    pq.write_table(table(images, classes, boxes), TRUTHS)
    found = []
    for number, model in enumerate(MODELS):
        moved = boxes + rng.normal(0, 0.15 + 0.1 * number, boxes.shape) * np.hstack((size, size))
        moved[:, 2:] = np.maximum(moved[:, :2] + 1, moved[:, 2:])
        kinds = np.where(rng.random(len(images)) < 0.2, rng.integers(1, 5, len(images)), classes)
        moved[rng.random(len(images)) < 0.1] += 1000  # where no truth is
        twice = np.sort(np.concatenate((np.arange(len(images)), rng.integers(0, len(images), len(images) // 4))))
        more = {"score": rng.random(len(twice)), "run": [model] * len(twice)}
        found.append(table(images[twice], kinds[twice], moved[twice], **more))
    pq.write_table(pa.concat_tables(found).sort_by([("image_id", "ascending")]), DETECTIONS)


def table(images: Any, classes: Any, boxes: Any, **more: Any) -> pa.Table:
    """A table of boxes as corners."""
    corners = dict(zip(("xmin", "ymin", "xmax", "ymax"), boxes.T, strict=True))
    return pa.table({"image_id": images, "category_id": classes, **corners, **more})


def on_command_line(*words: object) -> Callable[[], object]:
    """A call of a command, on one thread, whose answer isn't shown."""
    from fastbox.cli import main

    def call() -> None:
        for output in OUTPUTS:
            output.unlink(missing_ok=True)
        with redirect_stdout(io.StringIO()), parallel.threads_here(1):
            try:
                main([str(word) for word in words])
            except SystemExit as ended:
                if ended.code:
                    raise RuntimeError(f"expected {words[0]} to be done, got exit code {ended.code}") from ended

    return call


def cases() -> dict[str, Case]:
    """Return the walks by the names of their promises."""
    both, by = (DETECTIONS, TRUTHS), ("--by", "run")
    written = ("-o", OUTPUTS[0], "--report", OUTPUTS[1])
    boxes = np.array([[0.0, 0, 4, 4], [1, 1, 5, 5], [2, 0, 6, 4]])
    return {
        "pairs -o --report": Case(on_command_line("pairs", *both, *written)),
        "evaluate --by": Case(on_command_line("evaluate", *both, *by)),
        "evaluate --by -o --report": Case(on_command_line("evaluate", *both, *by, *written)),
        "fastbox.best": Case(lambda: fastbox.best(boxes, boxes), rooms=()),
    }


def walked(case: Case) -> Walk:
    """The walk of a call that was made before, so that nothing is imported on the way."""
    case.call()
    curves = Curves()
    tracer = Tracer(PACKAGE, case.rooms, SEEN_THROUGH, curves)
    with counted_opens([DETECTIONS, TRUTHS]) as opened, tracer.tracing():
        case.call()
    hops = hops_of(tracer.calls)
    if not hops:
        raise RuntimeError(f"expected calls in {' or '.join(case.rooms)}, got none: say where the jobs are now")
    figures: dict[str, float] = {
        "hops": len(hops),
        "back": sum(hop.back for hop in hops),
        "files": len({file for call in tracer.calls if call.caller for file in (call.file, call.caller.file)}),
        "calls": len(tracer.calls),
        **({"opened": opened.total()} if opened else {}),
        **curves.figures(),
    }
    return Walk(figures, hops, tracer.calls)


def imported() -> Walk:
    """The modules that `import fastbox.jobs` loads, and how many jobs it and the use of one load besides."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True)
    modules, jobs = map(int, done.stdout.split())
    return Walk({"modules": modules, "jobs": jobs})


def all_walks() -> dict[str, Walk]:
    """Every walk by the name of its promise."""
    for file in (*JOBS, *SEEN_THROUGH, CURVES[0]):
        if not (PACKAGE / file).exists():
            raise RuntimeError(f"expected {file} in fastbox, got no such file: say where it is now")
    with tempfile.TemporaryDirectory(prefix="fastbox-walks-") as folder, chdir(folder):
        write_tables()
        return {name: walked(case) for name, case in cases().items()} | {"import fastbox.jobs": imported()}


def broken(walks: dict[str, Walk]) -> list[str]:
    """The promises that don't hold, a sentence each; what only Linux tells is asked for there."""
    asked = [
        (name, figure, most, walks[name].figures.get(figure))
        for name, promised in PROMISES.items()
        for figure, most in promised.items()
        if figure != "opened" or sys.platform.startswith("linux")
    ]
    return [
        f"{name}: expected at most {most:g} {figure}, got {'none' if got is None else f'{got:g}'}"
        for name, figure, most, got in asked
        if got is None or got > most
    ]


def shown(walks: dict[str, Walk]) -> str:
    """The figures of all walks as a table; a dash where there is none."""
    lines = [f"{'':28}" + "".join(f"{name:>9}" for name in COLUMNS)]
    for name, walk in walks.items():
        cells = (f"{walk.figures[column]:g}" if column in walk.figures else "–" for column in COLUMNS)
        lines.append(f"{name:28}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def path_of(walk: Walk) -> str:
    """The hops of a walk, and the calls into each file."""
    width = max((len(f"{'  ' * hop.call.depth}{_place(hop.caller)}") for hop in walk.hops), default=0)
    lines = [
        f"{number:3} {'<' if hop.back else ' '} "
        f"{'  ' * hop.call.depth + _place(hop.caller):{width}}  ->  {_place(hop.call)}  ({hop.calls})"
        for number, hop in enumerate(walk.hops, 1)
    ]
    into = Counter(call.file for call in walk.calls).most_common()
    return "\n".join([*lines, "", "calls into: " + ", ".join(f"{file} {count}" for file, count in into)])


def _place(call: Call) -> str:
    return f"{call.file} {call.function.replace('<locals>.', '')}"


def main() -> None:
    """Print the table, the walks where they are asked for, and what is broken."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--path", action="store_true", help="print the walks themselves")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a promise is broken")
    asked = parser.parse_args()
    walks = all_walks()
    print(shown(walks))
    for name, walk in walks.items():
        if asked.path and walk.hops:
            print(f"\n{name}\n{path_of(walk)}")
    failed = broken(walks)
    print("\n" + ("\n".join(failed) or "every promise holds"))
    sys.exit(1 if asked.check and failed else 0)


if __name__ == "__main__":
    main()
