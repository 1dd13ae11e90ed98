"""Compare a benchmark run with an earlier one; exit 1 if a case of fastbox became slower beyond the noise.

python bench/compare.py old.json new.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Stats = dict[str, float]


@dataclass(frozen=True)
class Change:
    """A case of both runs: its medians, and the noise of its rounds."""

    name: str
    old: float
    new: float
    noise: float

    @property
    def ratio(self) -> float:
        return self.new / self.old

    def beyond(self, share: float, noises: float) -> bool:
        """Tell whether the difference exceeds a share of the time and a multiple of the noise."""
        return abs(self.new - self.old) > max(share * self.old, noises * self.noise)


def cases(run: dict[str, Any], ours: bool) -> dict[str, Stats]:
    return {
        case["fullname"]: case["stats"]
        for case in run["benchmarks"]
        if (case["extra_info"].get("role") == "ours") is ours
    }


def drift(old: dict[str, Any], new: dict[str, Any]) -> float:
    """Return the time of peers and floors in the new run over that in the old run: the change of the machine."""
    before, after = cases(old, ours=False), cases(new, ours=False)
    ratios = [after[name]["median"] / before[name]["median"] for name in before.keys() & after.keys()]
    return statistics.median(ratios) if ratios else 1.0


def changes(old: dict[str, Any], new: dict[str, Any], scale: float) -> list[Change]:
    """Every case of ours in both runs, the old times multiplied by `scale`."""
    before, after = cases(old, ours=True), cases(new, ours=True)
    return [
        Change(
            name,
            scale * before[name]["median"],
            after[name]["median"],
            ((scale * before[name]["iqr"]) ** 2 + after[name]["iqr"] ** 2) ** 0.5,
        )
        for name in before
        if name in after
    ]


def line(change: Change, verdict: str) -> str:
    noise = f"± {100 * change.noise / change.old:.0f}%"
    times = f"{1e3 * change.old:>10.3f} {1e3 * change.new:>10.3f} {change.ratio:>6.2f}×"
    return f"{times} {noise:>7}  {verdict:<6}  {change.name}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Compare two benchmark runs; exit 1 on a regression beyond noise.")
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--share", type=float, default=0.15, help="slower by more than this share of the time (0.15)")
    parser.add_argument("--noises", type=float, default=3, help="and by more than this number of combined IQRs (3)")
    parser.add_argument(
        "--relative", action="store_true", help="to peers and floors: take the machine's own change off first"
    )
    given = parser.parse_args(arguments)
    old, new = (json.loads(path.read_text()) for path in (given.old, given.new))
    quick = [run["machine_info"].get("quick") for run in (old, new)]
    if quick[0] != quick[1]:
        parser.error("expected two runs of the same sizes, got one quick and one full")
    machines = [run["machine_info"]["cpu"].get("brand_raw") for run in (old, new)]
    if machines[0] != machines[1]:
        print(f"Two machines: {machines[0]} and {machines[1]}.")
    shift = drift(old, new)
    print(f"Peers and floors take {shift:.2f} times as long as before{', which is taken off' * given.relative}.")
    found = changes(old, new, shift if given.relative else 1.0)
    if not found:
        parser.error("expected cases that are in both runs, got none")
    moved = [change for change in found if change.beyond(given.share, given.noises)]
    slower = [change for change in moved if change.ratio > 1]
    if moved:
        print(f"{'old [ms]':>10} {'new [ms]':>10} {'ratio':>7} {'noise':>7}")
    for change in sorted(moved, key=lambda change: -change.ratio):
        print(line(change, "SLOWER" if change in slower else "faster"))
    gone = cases(old, ours=True).keys() - cases(new, ours=True).keys()
    print(f"{len(found)} cases compared: {len(slower)} slower, {len(moved) - len(slower)} faster, {len(gone)} gone.")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
