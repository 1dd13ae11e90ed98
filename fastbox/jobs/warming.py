"""Compile kernels ahead of use, in processes side by side."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

from fastbox._record import dataclass
from fastbox.errors import InputError
from fastbox.kernels.metrics import FACTS
from fastbox.ops.metrics import DTYPES, USUAL
from fastbox.parallel import get_num_threads
from fastbox.values.numbers import as_choice

if TYPE_CHECKING:
    from fastbox.kernels.registry import Version

__all__ = ["Warmed", "warmup"]

LONG = ("iou_rule", "greedy", "regression")  # modules whose kernels take longest: they begin first

# The kernels of each command: folders, modules, kernels, or single versions, which are needed whatever metrics are
# asked for. All commands read JSON.
NEEDED = {
    "anchors": ("common.anchor_shapes", "common.sketch"),
    "assign": (
        *("assign.fcos", "assign.iou_rule", "assign.points", "assign.rtmdet", "assign.simota", "assign.tal"),
        *("assign.tood", "common.sketch"),
    ),
    "convert": (),
    "evaluate": (
        *("common.sketch", "common.sorting", "compare.aligned", "compare.few", "evaluate"),
        *("compare.dense.PAIRS", "compare.dense.PAIRS.iof", "compare.dense.SCATTER"),
    ),
    "experiment": (
        *("common.sketch", "compare.aligned", "compare.few", "loss"),
        *(f"loss.regression.DESCEND.{name}" for name in ("ciou", "diou", "eiou")),
    ),
    "fuse": ("common.sorting", "suppress.fusion"),
    "inspect": ("common.sketch", "compare.cell_index", "compare.dense.TOP", "compare.indexed.TOP"),
    "measure": ("common.sketch", "compare.aligned", "compare.few", "loss.coordinates", "loss.overlap"),
    "nms": ("common.sorting", "suppress.few", "suppress.leaders", "suppress.nms", "suppress.tree"),
    "pairs": (
        *("common.sketch", "compare.aligned", "compare.cell_index", "compare.few"),
        *("compare.dense.BEST", "compare.dense.PAIRS", "compare.dense.SCATTER"),
        *("compare.indexed.BEST", "compare.indexed.ORDER", "compare.indexed.PAIRS"),
    ),
    "suspects": ("common.sorting", "evaluate.suspects"),
}
# The kernels that the functions of rotated boxes share with those of plain boxes; asked for like those of a command.
ROTATED = {
    "rotated": (
        *("common.sorting", "compare.cell_index.SURVEY", "compare.dense.SCATTER", "compare.indexed.ORDER"),
        "evaluate.curves",
    )
}
EVERY = ("json",)


@dataclass
class Warmed:
    """The result of :func:`warmup`.

    Attributes
    ----------
    compiled : dict of str to float
        The kernels compiled now, with the seconds that each took.
    before : int
        Kernels that were compiled before.
    seconds : float
    folder : str
        The folder of compiled kernels.
    """

    compiled: dict[str, float] = field(default_factory=dict)
    before: int = 0
    seconds: float = 0.0
    folder: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {
            "compiled": {name: round(seconds, 3) for name, seconds in self.compiled.items()},
            "compiled_before": self.before,
            "seconds": round(self.seconds, 3),
            "folder": self.folder,
        }


def warmup(
    *,
    commands: Sequence[str] = (),
    dtypes: Sequence[str] = DTYPES,
    metrics: Sequence[str] = USUAL,
    processes: int | None = None,
    progress: Callable[[str, int, int], object] | None = None,
) -> Warmed:
    """Compile the kernels that were not compiled before on this machine, so that later calls do not wait for them.

    Kernels are kept for this processor and these versions of fastbox and Numba, in ``NUMBA_CACHE_DIR`` if set, else
    beside the package or in the user's cache. A script that calls this needs ``if __name__ == "__main__":``, as for
    everything that starts processes.

    Parameters
    ----------
    commands : sequence of str
        The commands whose kernels are compiled, such as ``["pairs", "evaluate"]``; by default all kernels but those
        of rotated boxes, which are compiled if ``"rotated"`` is among the names.
    dtypes : sequence of str
        Of ``"float32"`` and ``"float64"``.
    metrics : sequence of str
        Names from ``fastbox.METRICS``; kernels that know no metric are always compiled.
    processes : int, optional
        The number of processes that compile side by side; by default the number of threads of kernels.
    progress : callable, optional
        Called with the last kernel compiled, the number of kernels done, and the number of all kernels to compile.

    Raises
    ------
    InputError
        An unknown dtype, compiling is switched off, or no folder can keep compiled kernels.
    ValueError
        An unknown command or metric.
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    for name in commands:
        as_choice(name, NEEDED | ROTATED, "a command that uses kernels")
    for name in metrics:
        as_choice(name, FACTS, "a metric")
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise InputError(f"unknown dtype {dtype!r}: use {' or '.join(DTYPES)}")
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        raise InputError("NUMBA_DISABLE_JIT is set, so nothing is compiled: unset it")
    start = time.perf_counter()
    ignore = signal.SIGINT, signal.SIG_IGN  # who waits for the workers is interrupted, and ends them
    pool = ProcessPoolExecutor(max(1, processes or get_num_threads()), get_context("spawn"), signal.signal, ignore)
    try:
        folders, todo = pool.submit(_survey, tuple(commands), tuple(dtypes), tuple(metrics)).result()
        found = Warmed(before=len(folders))
        for future in as_completed([pool.submit(_compile, *version) for version in todo]):
            label, seconds, folder, possible = future.result()
            if folder is None:
                raise InputError(
                    f"compiled kernels could not be kept in {' or '.join(possible) or 'any folder'}: "
                    "set NUMBA_CACHE_DIR to a folder that can be written"
                )
            folders.append(folder)
            found.compiled[label] = seconds
            if progress is not None:
                progress(label, len(found.compiled), len(todo))
    finally:
        pool.shutdown(cancel_futures=True)
    found.seconds = time.perf_counter() - start
    found.folder = " and ".join(sorted(set(folders)))
    return found


# The compiler is loaded in the workers only.


def _survey(
    commands: tuple[str, ...], dtypes: tuple[str, ...], metrics: tuple[str, ...]
) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the folders of the kernels that are kept, one for each kernel, and the versions to compile."""
    from fastbox.kernels import registry
    from fastbox.kernels.registry import kept, versions

    needed = tuple(f"{one}." for name in commands or NEEDED for one in (*(NEEDED | ROTATED)[name], *EVERY))
    found = [one for one in versions(dtypes) if not commands or _place(one).startswith(needed)]
    found += versions(dtypes, registry.ROTATED) if "rotated" in commands else []
    wanted = [one for one in found if one.metric in metrics or one.metric not in FACTS or _place(one) in needed]
    places = {one: kept(one) for one in wanted}
    todo = [one for one, place in places.items() if place is None]
    todo.sort(key=lambda one: one.module.rpartition(".")[2] not in LONG)
    return [str(place.parent) for place in places.values() if place is not None], [tuple(one) for one in todo]


def _place(version: Version) -> str:
    """Return the name of a version as the kernels of a command are named."""
    return f"{version.module}.{version.kernel}.{version.metric}."


def _compile(*version: str) -> tuple[str, float, str | None, list[str]]:
    """Compile a version; return its label, the seconds, the folder that keeps it, and the folders that may."""
    from fastbox.kernels.build.cache import folders
    from fastbox.kernels.registry import Version, compile_ahead, kept

    one, seconds = compile_ahead(Version(*version))
    place = kept(one)
    return str(one), seconds, None if place is None else str(place.parent), folders()
