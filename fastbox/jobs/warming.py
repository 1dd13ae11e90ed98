"""Compile kernels ahead of use, in processes side by side."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from fastbox.errors import InputError
from fastbox.ops.metrics import DTYPES, METRICS, USUAL
from fastbox.parallel import get_num_threads
from fastbox.values.numbers import as_choice

__all__ = ["Warmed", "warmup"]

LONG = ("iou_rule", "greedy", "regression")  # modules whose kernels take longest: they begin first


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
        An unknown metric.
    """
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from fastbox.kernels.build.cache import folders
    from fastbox.kernels.registry import compile_ahead, kept, versions

    for name in metrics:
        as_choice(name, METRICS, "a metric")
    for dtype in dtypes:
        if dtype not in DTYPES:
            raise InputError(f"unknown dtype {dtype!r}: use {' or '.join(DTYPES)}")
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        raise InputError("NUMBA_DISABLE_JIT is set, so nothing is compiled: unset it")
    start = time.perf_counter()
    wanted = [one for one in versions(dtypes) if one.metric in metrics or one.metric not in METRICS]
    places = {one: kept(one) for one in wanted}
    todo = [one for one in wanted if places[one] is None]
    todo.sort(key=lambda one: one.module.rpartition(".")[2] not in LONG)
    found = Warmed(before=len(wanted) - len(todo))
    workers = max(1, min(processes or get_num_threads(), len(todo)))
    ignore = signal.SIGINT, signal.SIG_IGN  # who waits for the workers is interrupted, and ends them
    pool = ProcessPoolExecutor(workers, get_context("spawn"), signal.signal, ignore)
    try:
        for future in as_completed([pool.submit(compile_ahead, one) for one in todo]):
            version, seconds = future.result()
            places[version] = kept(version)
            if places[version] is None:
                raise InputError(
                    f"compiled kernels could not be kept in {' or '.join(map(str, folders())) or 'any folder'}: "
                    "set NUMBA_CACHE_DIR to a folder that can be written"
                )
            found.compiled[str(version)] = seconds
            if progress is not None:
                progress(str(version), len(found.compiled), len(todo))
    finally:
        pool.shutdown(cancel_futures=True)
    found.seconds = time.perf_counter() - start
    found.folder = " and ".join(sorted({str(place.parent) for place in places.values() if place is not None}))
    return found
