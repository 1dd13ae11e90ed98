"""The engines that run fragments: threads of this process, or a cluster of the user.

An engine is a function ``imap(task, items)`` that calls ``task(item)`` for each of some items, on any worker and in any
order, and yields ``(index, result)`` as results come. An engine transports no rows: a task reads its inputs and writes
its output itself. A task that fails on a worker is tried again on this worker; a permanent failure is raised.
"""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np

from fastbox.errors import InputError, advice
from fastbox.memory import sharing
from fastbox.parallel import get_num_threads, threads_here
from fastbox.stages import stage, staged

__all__ = ["ENGINES", "Engine", "dask", "engine_of", "ray", "spark", "threads"]

Engine = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[tuple[int, Any]]]

ENGINES = {"threads": "concurrent.futures", "dask": "distributed", "spark": "pyspark.sql", "ray": "ray"}
RETRIES = 3
SPARK_JOBS = 10  # at once: no executor waits, and results come before all items are done


def threads(task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
    """Run on threads of this process, as many as kernels may use."""
    most = get_num_threads()
    each = max(1, most // max(1, len(items)))
    share = min(most, max(1, len(items)))
    with _pool(most, _alone, [(task, item, each, share) for item in items]) as futures:
        for future in staged("wait", as_completed(futures)):
            yield futures.pop(future), future.result()


def dask(client: Any) -> Engine:
    """Run on the workers of a ``distributed.Client``."""
    from distributed import as_completed as finished

    def imap(task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        run = uuid.uuid4().hex  # a key that was used before would return its earlier result
        futures = {
            client.submit(_alone, task, item, key=f"fastbox-{run}-{index}", retries=RETRIES, pure=False): index
            for index, item in enumerate(items)
        }
        try:
            for future, result in finished(list(futures), with_results=True):
                yield futures.pop(future), result
        finally:
            client.cancel(list(futures))

    return imap


def ray(tasks_in_flight: int = 4) -> Engine:
    """Run as tasks of the Ray cluster that this process is connected to; some for each processor at a time."""
    import ray as cluster

    def imap(task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        call = cluster.remote(_alone).options(num_cpus=1, max_retries=RETRIES)
        most = tasks_in_flight * max(1, int(cluster.cluster_resources().get("CPU", 1)))
        waiting = iter(enumerate(items))
        running: dict[Any, int] = {}
        while True:
            while len(running) < most and (following := next(waiting, None)) is not None:
                running[call.remote(task, following[1])] = following[0]
            if not running:
                return
            for reference in cluster.wait(list(running))[0]:
                yield running.pop(reference), cluster.get(reference)

    return imap


def spark(session: Any) -> Engine:
    """Run on the executors of a Spark session, over Spark Connect too; results come a tenth of the items at a time."""

    def imap(task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        def collect(first: int, last: int) -> Any:
            numbers = session.range(first, last, 1, last - first)
            answers = partial(_answers, task, items[first:last], first)
            return numbers.mapInArrow(answers, "item long, result binary").collect()

        cuts = sorted({len(items) * k // SPARK_JOBS for k in range(SPARK_JOBS + 1)})
        with _pool(SPARK_JOBS, collect, list(pairwise(cuts))) as futures:
            for future in as_completed(futures):
                for row in future.result():
                    yield row.item, pickle.loads(bytes(row.result))

    return imap


@contextmanager
def engine_of(name: str, address: str | None = None) -> Iterator[Engine]:
    """Yield the engine of a name, connected to the user's cluster at an address and disconnected at the end.

    Raises
    ------
    InputError
        The engine is unknown, not installed, or needs an address.
    """
    if name == "threads":
        yield threads
        return
    if name not in ENGINES:
        raise InputError(f"expected an engine of {', '.join(ENGINES)}, got {name!r}")
    if address is None:
        how = advice("--address URL", "address=URL")
        raise InputError(f"expected the address of a cluster for {name}, got none: name it with {how}")
    try:
        connection = import_module(ENGINES[name])
    except ImportError:
        raise InputError(f"expected {name} to be installed: pip install 'fastbox-engine[{name}]'") from None
    if name == "dask":
        with connection.Client(address) as client:
            yield dask(client)
    elif name == "ray":
        with connection.init(address=address, log_to_driver=False):
            yield ray()
    else:
        builder = connection.SparkSession.builder.appName("fastbox")
        session = (builder.remote(address) if address.startswith("sc://") else builder.master(address)).getOrCreate()
        try:
            yield spark(session)
        finally:
            session.stop()


def _answers(task: Callable[[Any], Any], items: Sequence[Any], first: int, batches: Iterator[Any]) -> Iterator[Any]:
    """Yield the results of a task for the items whose numbers Spark hands out in batches."""
    from fastbox.arrow.columns import batch_of, schema_of

    schema = schema_of({"item": "int64", "result": "binary"})
    for batch in batches:
        for index in batch.column(0).to_pylist():
            result = pickle.dumps(_alone(task, items[index - first]))
            yield batch_of([np.array([index]), np.array([result], object)], schema)


@contextmanager
def _pool(size: int, call: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> Iterator[dict[Future[Any], int]]:
    """Make calls on threads of their own; calls that have not begun at the end are not made."""
    with ThreadPoolExecutor(size, thread_name_prefix="fastbox-fragment") as pool:
        try:
            yield {pool.submit(call, *arguments): index for index, arguments in enumerate(calls)}
        finally:
            pool.shutdown(cancel_futures=True)


def _alone(task: Callable[[Any], Any], item: Any, processors: int = 1, share: int = 1) -> Any:
    with stage("compute"), threads_here(processors), sharing(share):
        return task(item)
