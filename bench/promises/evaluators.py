"""Promises of `fastbox evaluate` from COCO's JSON, as a whole process, beside the fastest of other evaluators."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import cache

from bench.promises.promise import Setting, Target
from bench.promises.turns import Reached, summed_up
from bench.support import evaluators, scenes
from bench.support.evaluators import COCO, LARGE, MIDDLE, Taken

AMOUNTS = {"coco": COCO, "2m": MIDDLE, "8m": LARGE}
ROUNDS = {"coco": 1, "2m": 5, "8m": 8}  # the rounds of the setting are divided by this


@cache
def taken(setting: Setting, size: str) -> dict[str, list[Taken]]:
    """Run each evaluator once a round, another one first in each; all are run once before, and agree."""
    names = list(evaluators.EVALUATORS)
    if len(names) < 2:
        raise ModuleNotFoundError("no other evaluator is installed: hotcoco, ultrafast-pycocotools or vernier")
    amounts = {name: setting.sizes.of(count) for name, count in AMOUNTS[size].items() if name != "classes"}
    with setting.place() as folder:
        files = evaluators.write_json(folder, scenes.annotated(**amounts, classes=AMOUNTS[size]["classes"]))
        figures = {name: evaluators.statistics(name, *files) for name in names}
        assert all(found == figures["fastbox"] for found in figures.values()), figures
        found: dict[str, list[Taken]] = {name: [] for name in names}
        for turn in range(max(setting.rounds // ROUNDS[size], 1)):
            first = turn % len(names)
            for name in names[first:] + names[:first]:
                found[name].append(evaluators.take(name, *files))
    return found


def beside(size: str, what: str) -> Callable[[Setting], Reached]:
    """Return a measurement: what the most sparing peer takes over what fastbox takes, round by round."""

    def measure(setting: Setting) -> Reached:
        columns = {name: [getattr(one, what) for one in found] for name, found in taken(setting, size).items()}
        ours = columns["fastbox"]
        peers = zip(*(column for name, column in columns.items() if name != "fastbox"), strict=True)
        ratios = [min(theirs) / own for own, theirs in zip(ours, peers, strict=True)]
        unit = "MiB" if what == "memory" else "s"
        details = {f"{name} [{unit}]": round(statistics.median(column), 3) for name, column in columns.items()}
        return summed_up(ratios, details)

    return measure


WORDS = {"wall": "time", "cpu": "processor time", "memory": "peak memory"}
EVALUATORS = (
    Target("json-coco", "fastbox evaluate, JSON, 44,852 detections: fastest peer", 1, beside("coco", "wall")),
    *(
        Target(
            f"json-{size}-{what}", f"the same, {many} detections, {WORDS[what]}: best peer", wanted, beside(size, what)
        )
        for size, many in (("2m", "2M"), ("8m", "8M"))
        for what, wanted in (("wall", 1.3), ("cpu", 1.3), ("memory", 1))
    ),
)
