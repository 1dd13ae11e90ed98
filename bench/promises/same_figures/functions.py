"""All calls of Python functions whose results are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import fastbox
from bench.promises.same_figures import evaluating, jobs, losses, matching, points, searches
from bench.promises.same_figures.inputs import Inputs
from bench.promises.same_figures.spellings import CALLED

Call = tuple[str, Callable[[], Any]]

# Public names that compute nothing: kinds of results, of errors and of settings.
NOT_CALLED = {
    "Assigned", "Best", "Checked", "Chunk", "Disagreement", "Evaluated", "Fitted", "FormatWarning", "Fused",
    "FusedBoxes", "FusedTables", "Graded", "Greedy", "GreedyMatches", "InputError", "InputWarning", "Inspected",
    "LossAndGrad", "Matches", "Measured", "Optimal", "OptimalMatches", "Paired", "Pairs", "Planned", "Ragged",
    "Regression", "SoftNMS", "Softened", "Suppressed", "Top", "get_memory", "get_num_threads", "set_memory",
    "set_num_threads", "warmup",
}  # fmt: skip


def calls(given: Inputs) -> Iterator[Call]:
    """Yield every call by its name."""
    for part in (searches, matching, points, losses, evaluating, jobs):
        kind = part.__name__.rpartition(".")[2]
        for name, call in part.calls(given):
            yield f"{kind}.{name}", call


def never_called() -> list[str]:
    """Return the public names that no call asked for."""
    from fastbox import jobs as public_jobs

    names = [*fastbox.__all__, *(f"jobs.{name}" for name in public_jobs.__all__)]
    earlier = {"jobs.check", "jobs.sample", "jobs.spread"}  # called by the names of today
    asked = {name for name in names if name.rpartition(".")[2] not in NOT_CALLED} - earlier
    return sorted(asked - CALLED)
