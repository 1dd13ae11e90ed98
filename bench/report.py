"""Turn the JSON of a benchmark run into the page of benchmarks, its plot, and the short table in the README.

python bench/report.py bench.json
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastbox.report.numbers import times

ROOT = Path(__file__).resolve().parent.parent
PAGE, PLOT = "docs/benchmarks.md", "docs/benchmarks.svg"

Run = dict[str, Any]
Case = dict[str, Any]


@dataclass(frozen=True)
class Headline:
    """A row of the table: whose case of which kernel, and the floor that goes with it."""

    what: str
    kernel: str
    metric: str
    size: str
    ours: str = "fastbox"
    floor: str = ""
    dtypes: tuple[str, ...] = ("float32", "float64")
    compared: bool = True  # with peers, none of which writes where it is told
    front: bool = False  # stands in the README too


HEADLINES = (
    Headline("IoU matrix", "pairwise", "iou", "large", floor="fill", front=True),
    Headline("IoU matrix into `out=`", "pairwise", "iou", "large", "fastbox, out=", "fill, out=", compared=False),
    Headline("GIoU matrix", "pairwise", "giou", "large", floor="fill"),
    Headline("best IoU of each row", "best", "iou", "large", front=True),
    Headline("best 10 of each row", "top", "iou", "large"),
    Headline("pairs of IoU ≥ 0.50", "pairs", "iou", "huge", front=True),
    Headline("histogram of all IoU", "histogram", "iou", "large"),
    *(
        Headline(f"{what}, {layout} sizes", f"{kernel} {layout}", "iou", f"{n}", dtypes=("float32",))
        for what, kernel in (("best IoU, indexed", "best"), ("pairs of IoU ≥ 0.50, indexed", "pairs"))
        for layout, n in (("uniform", 10_000), ("uniform", 100_000), ("lognormal", 100_000))
    ),
    *(
        Headline(
            f"anchors to {truths} truths, {form}",
            f"match {form}",
            "iou",
            f"{truths} truths",
            dtypes=("float32",),
            front=(form, truths) == ("dense", 100),
        )
        for form in ("dense", "sparse")
        for truths in (7, 100)
    ),
    *(
        Headline(f"nms, {name}", f"nms {name}", "iou", name, dtypes=("float64",), front=True)
        for name in ("crowded", "scattered")
    ),
    Headline("IoU matrix of each image", "pairwise", "iou", "images"),
    Headline("best IoU in each image", "best", "iou", "images", front=True),
    Headline("IoU row by row", "aligned", "iou", "rows", "fastbox, out=", "read and add"),
    *(
        Headline(
            f"{what} and gradient",
            "loss and gradient",
            loss,
            "elements",
            "fastbox, grad_out=",
            "subtract, out=",
            front=loss == "giou",
        )
        for what, loss in (("smooth L1", "smooth_l1"), ("GIoU loss", "giou"), ("CIoU loss", "ciou"))
    ),
    Headline("mean smooth L1", "loss mean", "smooth_l1", "elements", floor="read and add"),
    Headline("COCO's AP and AR", "evaluate", "", "coco", dtypes=("float64",), front=True),
    Headline(
        "`fastbox measure`",
        "measure",
        "iou,giou,smooth_l1",
        "pairs",
        "fastbox measure",
        "decode and encode, default",
        ("float32",),
    ),
    Headline("first result of a process", "start", "", "process", "fastbox, first result", "python", ("",)),
)


def of(run: Run, **wanted: Any) -> list[Case]:
    """The cases whose facts are as wanted."""
    return [case for case in run["benchmarks"] if wanted.items() <= case["extra_info"].items()]


def one(run: Run, **wanted: Any) -> Case | None:
    return next(iter(of(run, **wanted)), None)


def median(case: Case) -> float:
    return float(case["stats"]["median"])


def compared(run: Run, headline: Headline, dtype: str, role: str) -> list[tuple[str, int, float]]:
    """Name, threads and how many times as long as ours on as many threads, for each of a role."""
    same = {"kernel": headline.kernel, "dtype": dtype, "size": headline.size}
    metric = {} if role == "floor" else {"metric": headline.metric}
    found = []
    for other in of(run, role=role, **same, **metric):
        name, threads = other["extra_info"]["name"], other["extra_info"]["threads"]
        ours = one(run, role="ours", name=headline.ours, metric=headline.metric, threads=threads, **same)
        if ours is not None:
            found.append((name, threads, median(other) / median(ours)))
    return found


def seconds(case: Case | None) -> str:
    """A median with its spread, the half of the rounds around it."""
    if case is None:
        return ""
    value = median(case)
    scale, unit = next((s, u) for s, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if value * s >= 1 or u == "µs")
    return f"{value * scale:.3g} {unit} ± {50 * case['stats']['iqr'] / value:.0f}%"


def rate(case: Case) -> str:
    for name, unit in (("pairs_per_s", "pairs/s"), ("boxes_per_s", "boxes/s")):
        if name in case["extra_info"]:
            value = case["extra_info"][name]
            scale, prefix = next((s, p) for s, p in ((1e12, "T"), (1e9, "G"), (1e6, "M")) if value >= s or p == "M")
            return f"{value / scale:.3g} {prefix}{unit}"
    return ""


def beside(found: list[tuple[str, int, float]]) -> str:
    """Each peer with its ratio; once more where it was also run on several threads."""
    seen: set[str] = set()
    parts = []
    for name, threads, ratio in sorted(found, key=lambda entry: entry[:2]):
        parts.append(f"on {threads} threads {times(ratio)}" if name in seen else f"{name} {times(ratio)}")
        seen.add(name)
    return ", ".join(parts)


def threaded(found: list[tuple[str, int, float]]) -> str:
    """Peers that were run on several threads alone, each with its ratio to ours on as many."""
    return ", ".join(f"{name} {times(ratio)} on {threads} threads" for name, threads, ratio in found)


def row(run: Run, headline: Headline, dtype: str, threads: int) -> list[str] | None:
    wanted = {"kernel": headline.kernel, "metric": headline.metric, "size": headline.size, "dtype": dtype}
    cases = {n: one(run, role="ours", name=headline.ours, threads=n, **wanted) for n in (1, threads)}
    fastest = cases[threads] or cases[1]
    if fastest is None:
        return None
    floors = [entry for entry in compared(run, headline, dtype, "floor") if entry[0] == headline.floor]
    share = f"{times(1 / floors[0][2])} {floors[0][0]}" if floors else ""
    shape = re.sub(r"\d+", lambda number: f"{int(number[0]):,}", fastest["extra_info"]["shape"]).replace("x", " × ")
    peers = compared(run, headline, dtype, "peer") if headline.compared else []
    cells = [headline.what, shape, dtype, seconds(cases[1])]
    cells += [seconds(cases[threads])] if threads > 1 else []
    return [*cells, rate(fastest), beside(peers), share]


def table(run: Run) -> list[str]:
    threads = run["machine_info"]["threads"]
    head = ["work", "size", "dtype", "1 thread", *([f"{threads} threads"] if threads > 1 else []), "rate"]
    head += ["times as fast as", "1 thread over its floor"]
    rows = [row(run, headline, dtype, threads) for headline in HEADLINES for dtype in headline.dtypes]
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *filter(None, rows))]


def front(run: Run) -> str:
    """The rows of the README: work, size, our time on one thread, and how many times as fast that is as each peer."""
    rows, names = [["work", "size", "1 thread", "times as fast as"], ["---"] * 4], set()
    for headline in HEADLINES:
        cells = row(run, headline, headline.dtypes[0], 1) if headline.front else None
        if cells is not None:
            every = compared(run, headline, headline.dtypes[0], "peer")
            peers = [entry for entry in every if entry[1] == 1]
            names |= {name.removesuffix(" in a loop") for name, _, _ in peers}
            rows.append([cells[0], cells[1], cells[3].partition(" ±")[0], beside(peers) or threaded(every)])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
    machine = run["machine_info"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items() if name in names)
    return f"{table}\n\n{machine['cpu'].get('brand_raw', machine['machine'])}, {run['datetime'][:10]}; {versions}."


def twins(run: Run) -> str:
    """Return a sentence on the speed of our own threads over Numba's, with the same kernels."""
    parts = []
    for what, kernel, size in (
        ("matrix", "pairwise", "large"),
        ("best", "best", "small"),
        ("best in images", "best", "images"),
        ("in images sorted by size", "best", "images by size"),
    ):
        headline = Headline(what, kernel, "iou", size)
        parts += [
            f"{what} {times(ratio)}"
            for name, threads, ratio in compared(run, headline, "float32", "twin")
            if name == "prange" and threads > 1
        ]
    return (
        f"Our threads against Numba's `prange` over the same kernels, IoU, float32: {', '.join(parts)}."
        if parts
        else ""
    )


def described(run: Run, source: str) -> str:
    """The machine, the versions and the command."""
    machine, commit = run["machine_info"], run["commit_info"]
    cpu = machine["cpu"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    where = (
        f"{cpu.get('brand_raw', machine['machine'])}, {cpu['count']} cores, {machine['system']} {machine['machine']}"
    )
    made = f"{run['datetime'][:10]}, commit {commit['id'][:10]}{' with changes' if commit.get('dirty') else ''}"
    how = (
        "Medians ± half of the interquartile range; peers are compared at the same number of threads, in the same run."
    )
    commands = f"Made by `{machine['command']}`, then `python bench/report.py {source}`."
    return f"{where}; Python {machine['python_version']}, {versions}; {made}. {how}\n{commands}"


def section(run: Run, source: str) -> str:
    plot = f"![Times as fast as each peer]({Path(PLOT).name})"
    parts = [described(run, source), "\n".join(table(run)), twins(run), plot]
    return "\n\n".join(filter(None, parts))


def replace(page: Path, section: str, mark: str = "bench") -> None:
    """Write a section between the two marks of a page."""
    text = page.read_text()
    opening, closing = f"<!-- {mark}:begin -->", f"<!-- {mark}:end -->"
    head, begin, rest = text.partition(opening)
    _, end, tail = rest.partition(closing)
    if not begin or not end:
        raise SystemExit(f"expected {opening} and {closing} in {page.name}, got a text without them")
    page.write_text(f"{head}{begin}\n{section}\n{end}{tail}")


def bars(run: Run, headline: Headline) -> list[tuple[str, str, float]]:
    """Peer, note and ratio: of float32, and of float64 where a peer has nothing else."""
    found: list[tuple[str, str, float]] = []
    for dtype in headline.dtypes:
        had = {name for name, _, _ in found}
        for name, threads, ratio in sorted(compared(run, headline, dtype, "peer"), key=lambda entry: entry[:2]):
            note = f" on {threads} threads" * (threads > 1) + " in float64" * (dtype == "float64")
            if name not in had:
                found.append((name, note, ratio))
    return found


def plot(run: Run, path: Path) -> None:
    """Draw how many times as fast fastbox is as each peer, in colours that light and dark pages both carry."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt
    from matplotlib.patches import Patch

    grey = "#7d8590"
    style: dict[Any, Any] = {"font.size": 9, "text.color": grey, "axes.labelcolor": grey, "axes.edgecolor": grey}
    style |= {"xtick.color": grey, "ytick.color": grey, "svg.fonttype": "none", "svg.hashsalt": "fastbox"}
    groups = [
        (headline.what.replace("`", "") + (f", {int(headline.size):,}" if headline.size.isdigit() else ""), found)
        for headline, found in ((headline, bars(run, headline)) for headline in HEADLINES if headline.compared)
    ]
    groups = [(label, found) for label, found in groups if found]
    names = sorted({name.removesuffix(" in a loop") for _, found in groups for name, _, _ in found})
    palette = ("#4c8dd6", "#d9822b", "#3fa37c", "#b565c4", "#c9566b", "#8a9a2f", "#2fa5b5", "#9c6b4f", "#c2a500")
    colours = {name: palette[k % len(palette)] for k, name in enumerate(names)}
    height = sum(len(found) + 1 for _, found in groups)
    with plt.rc_context(style):
        figure, axes = plt.subplots(figsize=(8, 0.19 * height + 0.9), layout="constrained")
        place, ticks = 0.0, []
        for label, found in groups:
            ticks.append((place + (len(found) - 1) / 2, label))
            for name, note, ratio in found:
                axes.barh(place, ratio - 1, left=1, height=0.8, color=colours[name.removesuffix(" in a loop")])
                axes.text(max(ratio, 1), place, f" {times(ratio)}{note}", va="center", fontsize=7)
                place += 1
            place += 1
        axes.set_xscale("log")
        axes.set_xlim(min(0.8, *(ratio for _, found in groups for *_, ratio in found)), None)
        axes.margins(x=0.2)
        axes.axvline(1, color=grey, linewidth=0.8)
        axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
        axes.set_ylim(place - 0.5, -1)
        axes.set_xlabel("times as fast as the peer, float32, at the same number of threads")
        axes.xaxis.set_major_formatter("{x:g}×")
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        marks = [Patch(color=colours[name]) for name in names]
        figure.legend(marks, names, loc="outside upper center", ncols=min(4, len(names)), frameon=False)
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, transparent=True, metadata={"Date": None})
        plt.close(figure)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Turn the JSON of a benchmark run into tables and a plot.")
    parser.add_argument("json", type=Path)
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--page", type=Path, default=ROOT / PAGE)
    parser.add_argument("--plot", type=Path, default=ROOT / PLOT)
    parser.add_argument("--quick", action="store_true", help="take the figures of a quick pass, which mean nothing")
    given = parser.parse_args(arguments)
    run = json.loads(given.json.read_text())
    if run["machine_info"].get("quick") and not given.quick:
        parser.error(f"expected a full run, got {given.json} of a quick pass, whose figures mean nothing")
    replace(given.page, section(run, given.json.name))
    replace(given.readme, front(run))
    plot(run, given.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
