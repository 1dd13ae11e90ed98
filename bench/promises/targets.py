"""Measure the promises of fastbox, each with its own measure, and report whether each promise holds.

    python -m bench.promises.targets --only pairwise --rounds 5

What is compared takes turns in one process, and a promise is judged by the median of the ratios of the rounds: a
machine that others use slows both sides of a ratio alike.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import fastbox
from bench.promises.evaluation import EVALUATION
from bench.promises.evaluators import EVALUATORS
from bench.promises.formats import FORMATS
from bench.promises.gradients import GRADIENTS
from bench.promises.grouped import GROUPED
from bench.promises.inspection import INSPECTION
from bench.promises.latency import LATENCY
from bench.promises.matching import MATCHING
from bench.promises.points import POINTS
from bench.promises.promise import Setting, Target, in_process
from bench.promises.raw import RAW
from bench.promises.rotated import ROTATED
from bench.promises.scale import SCALE
from bench.promises.turns import Calls, Reached, Threads, Times, ratio, summed_up, take_turns
from bench.support import floors, peers, tables
from bench.support.shapes import Sizes, boxes


def pairwise_fresh(dtype: str) -> Callable[[Setting], Reached]:
    def measure(setting: Setting) -> Reached:
        peer = next(peer for peer in peers.MATRIX if peer.name == "powerboxes" and peer.all_threads)
        theirs = peer.function("iou")
        n, m = setting.sizes.matrix("large")
        a, b = boxes(n, dtype, seed=1), boxes(m, dtype, seed=2)
        calls: Calls = {
            "fastbox": lambda: fastbox.pairwise(a, b),
            "powerboxes": lambda: theirs(a, b),
        }
        return ratio(take_turns(calls, setting.rounds), "powerboxes", "fastbox")

    return measure


def pairwise_out(side: int, threads: int, past: bool) -> Callable[[Setting], Reached]:
    def measure(setting: Setting) -> Reached:
        n = min(side, setting.sizes.matrix("large")[0]) if setting.sizes.quick else side
        a, b = boxes(n, "float32", seed=1), boxes(n, "float32", seed=2)
        ours, filled = floors.touched((n, n), "float32"), floors.touched((n, n), "float32")
        calls: Calls = {
            "fastbox": lambda: fastbox.pairwise(a, b, out=ours),
            "fill": lambda: floors.fill(filled, threads, past=past),
        }
        with Threads(threads):
            return ratio(take_turns(calls, setting.rounds, settle=True), "fill", "fastbox")

    return measure


def best_naive(setting: Setting) -> Reached:
    n, m = setting.sizes.matrix("large")
    a, b = boxes(n, "float32", seed=1), boxes(m, "float32", seed=2)
    calls: Calls = {"fastbox": lambda: fastbox.best(a, b), "naive loop": lambda: floors.run_naive_best(a, b)}
    with Threads(1):
        return ratio(take_turns(calls, setting.rounds), "naive loop", "fastbox")


def histogram_naive(setting: Setting) -> Reached:
    n, m = setting.sizes.matrix("large")
    a, b = boxes(n, "float32", seed=1), boxes(m, "float32", seed=2)
    calls: Calls = {
        "fastbox": lambda: fastbox.histogram(a, b, bins=20),
        "naive loop": lambda: floors.run_naive_histogram(a, b, 20),
    }
    with Threads(1):
        return ratio(take_turns(calls, setting.rounds), "naive loop", "fastbox")


def top_naive(setting: Setting) -> Reached:
    n, m = setting.sizes.matrix("large")
    a, b = boxes(n, "float32", seed=1), boxes(m, "float32", seed=2)
    calls: Calls = {"fastbox": lambda: fastbox.top(a, b, 9), "naive loop": lambda: floors.run_naive_top(a, b, 9)}
    with Threads(1), floors.dense():
        return ratio(take_turns(calls, setting.rounds), "naive loop", "fastbox")


def pairs_numpy(setting: Setting) -> Reached:
    n, m = setting.sizes.matrix("huge")
    a, b = boxes(n, "float32", seed=1), boxes(m, "float32", seed=2)
    calls: Calls = {
        "fastbox": lambda: fastbox.pairs(a, b, threshold=0.5),
        "numpy by blocks": lambda: peers.pairs(a, b, 0.5),
    }
    reached = ratio(take_turns(calls, setting.rounds), "numpy by blocks", "fastbox")
    reached.details["pairs found"] = len(fastbox.pairs(a, b, threshold=0.5).rows)
    return reached


def loss_floor(threads: int) -> Callable[[Setting], Reached]:
    def measure(setting: Setting) -> Reached:
        n = setting.sizes.of(16_000_000)
        rng = np.random.default_rng(3)
        target = rng.uniform(0, 640, n).astype(np.float32)
        pred = target + rng.normal(0, 1.5, n).astype(np.float32)
        calls: Calls = {
            "fastbox": lambda: fastbox.smooth_l1_loss(pred, target),
            "read and add": lambda: floors.read_both_and_add(pred, target, threads),
        }
        with Threads(threads):
            return ratio(take_turns(calls, setting.rounds), "read and add", "fastbox")

    return measure


def aligned_floor(threads: int, rows: int = 4_000_000) -> Callable[[Setting], Reached]:
    def measure(setting: Setting) -> Reached:
        n = setting.sizes.of(rows)
        a, b, room = boxes(n, "float32", seed=1), boxes(n, "float32", seed=2), floors.touched(n, "float32")
        p, q = a.reshape(-1), b.reshape(-1)
        calls: Calls = {
            "fastbox": lambda: fastbox.aligned(a, b, out=room),
            "read and add": lambda: floors.read_both_and_add(p, q, threads),
        }
        with Threads(threads):
            return ratio(take_turns(calls, setting.rounds, settle=True), "read and add", "fastbox")

    return measure


def measure_time(encoding: str) -> Callable[[Setting], Reached]:
    def measure(setting: Setting) -> Reached:
        times, details = measured(setting)
        reached = ratio(times, "fastbox measure", f"pyarrow, {encoding}")
        reached.details |= details
        return reached

    return measure


@cache
def measured(setting: Setting) -> tuple[Times, dict[str, Any]]:
    """Time the job, and pyarrow that reads the input and writes it again with either encoding."""
    from fastbox.jobs.measure import measure

    rows = setting.sizes.of(20_000_000)
    with setting.place() as folder:
        path, ours = Path(folder, "in.parquet"), Path(folder, "ours.parquet")
        theirs = {encoding: Path(folder, f"{encoding}.parquet") for encoding in tables.ENCODINGS}
        tables.write_pairs(path, rows)
        calls: dict[str, Callable[[], Any]] = {"fastbox measure": lambda: measure(path, ours, metrics=tables.METRICS)}
        for encoding, out in theirs.items():
            calls[f"pyarrow, {encoding}"] = partial(tables.reencode, path, out, encoding)
        out = Path(folder, "more.parquet")
        calls["pyarrow, as fastbox, as many columns as measure writes"] = partial(
            tables.reencode, path, out, "as fastbox", tables.METRICS
        )
        calls["decode alone"] = lambda: tables.decode(path)
        times = take_turns(calls, max(setting.rounds // 5, 1))
        files = {"input": path, "fastbox measure": ours} | theirs
        written = {
            name: f"{file.stat().st_size / 1e6:.0f} MB, {' '.join(tables.encodings_of(file, tables.COLUMNS[0]))}"
            for name, file in files.items()
        }
    return times, {"rows": rows, "rows/s": round(rows / statistics.median(times["fastbox measure"])), "files": written}


PEAK = """
import sys
from bench.support.process import peak
from fastbox.jobs.measure import measure
measure(sys.argv[2:], sys.argv[1])
print(peak())
"""


@cache
def peaks(setting: Setting) -> dict[int, float]:
    """Peak memory of the job in MiB, by rows."""
    rows = setting.sizes.of(20_000_000)
    with setting.place() as folder:
        out, *paths = (os.path.join(folder, f"{name}.parquet") for name in ("out", 1, 2, 3, 4))
        tables.write_pairs(Path(paths[0]), rows)
        for path in paths[1:]:  # a list names no file twice
            shutil.copyfile(paths[0], path)
        return {files * rows: float(in_process(PEAK, out, *paths[:files])) for files in (1, 4)}


def memory(setting: Setting) -> Reached:
    found = peaks(setting)
    return summed_up([max(found.values())], {f"{rows} rows [MiB]": round(peak, 1) for rows, peak in found.items()})


def memory_growth(setting: Setting) -> Reached:
    short, long = peaks(setting).values()
    return summed_up([long / short], {})


def import_time(setting: Setting) -> Reached:
    code = "import time; t = time.perf_counter(); import fastbox; print(time.perf_counter() - t)"
    in_process(code)
    return summed_up([float(in_process(code)) for _ in range(setting.rounds)], {})


def first_result(setting: Setting) -> Reached:
    """From the start of the process to the matrix; the clock is the same in all processes of a machine."""
    work = "a = np.array([[0, 0, 2, 2.0]]); fastbox.pairwise(a, a)"
    code = f"import numpy as np, fastbox, time; {work}; print(time.clock_gettime(time.CLOCK_MONOTONIC))"

    def once() -> float:
        start = time.clock_gettime(time.CLOCK_MONOTONIC)
        return float(in_process(code)) - start

    once()
    return summed_up([once() for _ in range(setting.rounds)], {})


TARGETS = (
    Target("pairwise-f32", "pairwise IoU, fresh, 4000², float32: powerboxes parallel", 5, pairwise_fresh("float32")),
    Target("pairwise-f64", "pairwise IoU, fresh, 4000², float64: powerboxes parallel", 3, pairwise_fresh("float64")),
    *(
        Target(
            f"pairwise-out-{'past' if past else 'fill'}-{megabytes}-{threads}",
            f"pairwise IoU, out=, {megabytes} MB float32, threads: {threads}: {floor}",
            0.8 if past else 0.9,
            pairwise_out(side, threads, past),
        )
        for past, floor in ((False, "fill"), (True, "non-temporal fill"))
        for side, megabytes in ((4000, 64), (8000, 256))
        for threads in (1, 2)
    ),
    Target("best-naive", "best IoU, float32, 1 thread: naive numba loop", 3.5, best_naive),
    Target("histogram-naive", "histogram of IoU, 20 bins, float32, 1 thread: naive numba loop", 5, histogram_naive),
    Target("top-naive", "top 9 by IoU without an index, float32, 1 thread: naive numba loop", 3, top_naive),
    Target("pairs-numpy", "pairs at 0.5, 10⁴ × 10⁴, one image: numpy by blocks", 20, pairs_numpy),
    Target("loss-1", "smooth_l1_loss mean, 16M float32, 1 thread: read and add", 0.8, loss_floor(1)),
    Target("loss-2", "smooth_l1_loss mean, 16M float32, 2 threads: read and add", 0.8, loss_floor(2)),
    Target("aligned-20000", "aligned IoU, 20,000 rows float32, out=: read and add", 0.45, aligned_floor(1, 20_000)),
    Target("aligned-1", "aligned IoU, 4M rows float32, out=, 1 thread: read and add", 0.7, aligned_floor(1)),
    Target("aligned-2", "aligned IoU, 4M rows float32, out=, 2 threads: read and add", 0.7, aligned_floor(2)),
    Target(
        "measure-default",
        "fastbox measure, 20M rows: pyarrow in and out, its defaults",
        1.25,
        measure_time("default"),
        at_most=True,
    ),
    Target(
        "measure-alike",
        "fastbox measure, 20M rows: pyarrow in and out, encoded alike",
        1.12,
        measure_time("as fastbox"),
        at_most=True,
    ),
    Target("memory", "fastbox measure, peak memory at 20M and 80M rows", 1024, memory, "MiB", True),
    Target("memory-same", "fastbox measure, peak memory at 80M rows: 20M rows", 1.1, memory_growth, at_most=True),
    Target("import", "import fastbox", 0.15, import_time, "s", True),
    Target("first-result", "first result in a warm process", 0.8, first_result, "s", True),
    *GROUPED,
    *LATENCY,
    *MATCHING,
    *ROTATED,
    *RAW,
    *POINTS,
    *GRADIENTS,
    *EVALUATION,
    *EVALUATORS,
    *INSPECTION,
    *SCALE,
    *FORMATS,
)


def line(target: Target, reached: Reached, quick: bool) -> str:
    bound = f"{'≤' if target.at_most else '≥'} {target.wanted:g} {target.unit}"
    spread = f"[{reached.low:.3g}, {reached.high:.3g}]"
    verdict = "-" if quick else "yes" if target.holds(reached) else "NO"
    return f"| {target.work:<60} | {bound:>9} | {reached.value:>6.3g} {target.unit:<3} | {spread:>16} | {verdict:<3} |"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Measure the promises of fastbox.")
    parser.add_argument(
        "--only", action="append", metavar="NAME", help="promises whose name begins so; may be repeated"
    )
    parser.add_argument("--rounds", type=int, default=15, help="a third of it for slow work, a fifth for files (15)")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all of it runs")
    parser.add_argument("--folder", help="where to put large files (the system's temporary folder)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="where to write the figures, all of them")
    given = parser.parse_args(arguments)
    chosen = [target for target in TARGETS if target.name.startswith(tuple(given.only or [""]))]
    if not chosen:
        parser.error(f"expected a name of {', '.join(target.name for target in TARGETS)}, got {given.only}")
    setting = Setting(Sizes(given.quick), given.rounds, given.folder)
    rows = []
    print(f"| {'work':<60} | {'target':>9} | {'reached':>10} | {'half of rounds':>16} | met |", flush=True)
    print(f"|{'-' * 62}|{'-' * 11}|{'-' * 12}|{'-' * 18}|{'-' * 5}|")
    for target in chosen:
        try:
            reached = target.measure(setting)
        except ModuleNotFoundError as error:
            print(f"| {target.work:<60} | not measured: {error}", flush=True)
            continue
        print(line(target, reached, given.quick), flush=True)
        facts = {"name": target.name, "work": target.work, "wanted": target.wanted, "at_most": target.at_most}
        rows.append(facts | {"unit": target.unit, "met": target.holds(reached), **asdict(reached)})
    machine = {"cpus": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    result = {"quick": given.quick, "rounds": given.rounds, "machine": machine, "targets": rows}
    if given.json:
        given.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return 0 if given.quick or all(row["met"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
