"""Take turns: time several calls round by round in one process, and compare them by the ratios of the rounds."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastbox

Calls = Mapping[str, Callable[[], Any]]
Times = dict[str, list[float]]


@dataclass
class Reached:
    """A figure, the middle half of its rounds, and the figures that it was computed from."""

    value: float
    low: float
    high: float
    details: dict[str, Any] = field(default_factory=dict)


class Threads:
    """Set the number of threads inside a with block."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __enter__(self) -> None:
        self.before = fastbox.get_num_threads()
        fastbox.set_num_threads(self.n)

    def __exit__(self, *_: object) -> None:
        fastbox.set_num_threads(self.before)


def take_turns(
    calls: Calls, rounds: int, *, settle: bool = False, clock: Callable[[], float] = time.perf_counter
) -> Times:
    """Time each call once a round by a clock, another one first in each; all are called once before.

    With ``settle`` each turn is two untimed calls and one timed: what the one before left in the caches is gone.
    """
    names = list(calls)
    for name in names:
        calls[name]()
    times: Times = {name: [] for name in names}
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            if settle:
                calls[name]()
                calls[name]()
            start = clock()
            calls[name]()
            times[name].append(clock() - start)
    return times


def ratio(times: Times, over: str, under: str) -> Reached:
    """Return the ratio of the times of `over` to those of `under`, taken round by round."""
    ratios = [p / q for p, q in zip(times[over], times[under], strict=True)]
    details = {f"{name} [ms]": round(1e3 * statistics.median(seconds), 3) for name, seconds in times.items()}
    return summed_up(ratios, details)


def summed_up(values: list[float], details: dict[str, Any]) -> Reached:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return Reached(float(middle), float(low), float(high), details)
