"""Engines: one job, the same bytes and figures on threads, Dask, Spark and Ray, workers killed or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox import RotatedBoxes, jobs
from fastbox.errors import InputError
from fastbox.fragments import engines
from fastbox.fragments.run import spread

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.slow,
    pytest.mark.jit,
    pytest.mark.filterwarnings("ignore"),  # of the clusters' own making
]

KILLED = int(os.environ.get("FASTBOX_KILLED_WORKERS", "2"))  # of each engine; 100 by hand
ROWS = int(os.environ.get("FASTBOX_ENGINE_ROWS", "30000"))  # of detections in 16 files; 20 million by hand
OPTIONS: dict[str, Any] = {"threshold": 0.2, "metrics": ["iou", "giou"], "fragment_rows": ROWS // 30}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Detections in 16 files, and a third as many truths in one; images go on from file to file."""
    rng = np.random.default_rng(5)
    paths = []
    for name, n, files in (("detections", ROWS, 16), ("truths", ROWS // 3, 1)):
        paths.append(tmp_path_factory.mktemp(name))
        ids = np.sort(rng.integers(0, ROWS // 15, n))
        for number, own in enumerate(np.array_split(ids, files)):
            corner, side = rng.uniform(0, 200, (2, len(own))), rng.uniform(5, 100, (2, len(own)))
            sides = dict(zip(("xmin", "ymin", "xmax", "ymax"), (*corner, *(corner + side)), strict=True))
            rows = {"image_id": own, **{name: values.astype(np.float32) for name, values in sides.items()}}
            pq.write_table(pa.table(rows), paths[-1] / f"{number:02d}.parquet", row_group_size=ROWS // 60)
    return paths


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Rotated rectangles and quadrilaterals of some images."""
    rng = np.random.default_rng(6)
    numbers = np.column_stack(
        [rng.uniform(0, 100, (400, 2)), rng.uniform(20, 60, (400, 2)), rng.uniform(-180, 180, 400)]
    )
    boxes = RotatedBoxes(numbers, "cxcywhd")
    folder, ids = tmp_path_factory.mktemp("turned"), np.arange(400) // 10
    rectangles = {"image_id": ids, **dict(zip(("cx", "cy", "w", "h", "angle"), numbers.T, strict=True))}
    told = {"box_format": "cxcywhd"}
    pq.write_table(pa.table(rectangles).replace_schema_metadata(told), folder / "rectangles.parquet", row_group_size=50)
    corners = {"image_id": ids, "poly": boxes.corners().reshape(-1, 8).tolist()}
    told = {"box_format": "xyxyxyxy"}
    pq.write_table(pa.table(corners).replace_schema_metadata(told), folder / "corners.parquet", row_group_size=50)
    return [folder / "rectangles.parquet", folder / "corners.parquet"]


@pytest.fixture(scope="module")
def expected(tables: list[Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, Any]]:
    """What threads give."""
    out = tmp_path_factory.mktemp("threads") / "parts"
    found = spread(jobs.pairs, *tables, out=out, **OPTIONS)
    assert len(bytes_of(out)) > 20
    return bytes_of(out), found.to_dict()


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("part-*.parquet"))}


Running = tuple[engines.Engine, Callable[[], object]]  # an engine, and what waits until its workers are back


@contextmanager
def dask() -> Iterator[Running]:
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None)

    def wait() -> None:
        time.sleep(0.3)
        try:
            cluster.wait_for_workers(2, timeout=10)
        except TimeoutError:  # one that is killed while it starts is not started again
            for workers in (0, 2):
                cluster.scale(workers)
                time.sleep(1)
            cluster.wait_for_workers(2, timeout=60)

    with cluster, engines.engine_of("dask", cluster.scheduler_address) as engine:
        yield engine, wait


@contextmanager
def spark() -> Iterator[Running]:
    sql = pytest.importorskip("pyspark.sql", reason="the extra spark is not installed")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = sql.SparkSession.builder.master("local[2,4]").config("spark.ui.enabled", "false")
    session = builder.config("spark.ui.showConsoleProgress", "false").getOrCreate()
    yield engines.spark(session), lambda: None
    session.stop()


@contextmanager
def ray() -> Iterator[Running]:
    cluster = pytest.importorskip("ray", reason="the extra ray is not installed")
    cluster.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    yield engines.ray(), lambda: None
    cluster.shutdown()


CLUSTERS = {"dask": dask, "spark": spark, "ray": ray}


def workers_of(name: str) -> list[int]:
    """The processes that run tasks: our descendants of the engine's own look."""
    looks = {"dask": "multiprocessing", "spark": "pyspark.daemon", "ray": "ray::_alone"}[name]
    listed = subprocess.run(["ps", "-wweo", "pid,ppid,args"], capture_output=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.decode(errors="replace").split("\n")[1:]]
    rows = [row for row in rows if len(row) == 3]  # not all processes have arguments
    parents = {int(pid): int(parent) for pid, parent, _ in rows}

    def ours(pid: int) -> bool:
        while pid in parents and pid != os.getpid():
            pid = parents[pid]
        return pid == os.getpid()

    found = [int(pid) for pid, _, command in rows if looks in command[:200] and ours(int(pid))]
    if name == "spark":  # the first is the one that forks the others
        return [pid for pid in found if parents[pid] in found]
    return [pid for pid in found if "resource_tracker" not in " ".join(next(r for r in rows if int(r[0]) == pid))]


def kill_one(name: str, out: Path, parts: int, rng: np.random.Generator, ended: threading.Event) -> int:
    """Kill a worker once some parts are there, or the job has ended; return how many were killed."""
    while len(list(out.glob("part-*.parquet"))) < parts and not ended.is_set():
        time.sleep(0.002)
    time.sleep(rng.uniform(0, 0.02))
    while not (workers := workers_of(name)) and not ended.is_set():  # Ray's have the name while they work alone
        time.sleep(0.002)
    for pid in rng.permutation(workers).tolist()[:1]:
        os.kill(pid, signal.SIGKILL)
    return len(workers[:1])


@pytest.mark.slow
@pytest.mark.parametrize("name", CLUSTERS)
def test_every_engine_gives_the_same_bytes(
    name: str,
    tables: list[Path],
    turned: list[Path],
    expected: tuple[dict[str, bytes], dict[str, Any]],
    tmp_path: Path,
) -> None:
    with CLUSTERS[name]() as (engine, wait):
        seen: list[int] = []
        found = spread(jobs.pairs, *tables, out=tmp_path / "parts", engine=engine, progress=seen.append, **OPTIONS)
        assert (bytes_of(tmp_path / "parts"), found.to_dict()) == expected
        assert len(seen) == len(expected[0])

        # A worker is killed while the job runs, at any moment of it.
        rng = np.random.default_rng(7)
        killed = number = 0
        while killed < KILLED:
            number += 1
            assert number <= 10 * KILLED, "no worker was found before the job ended"
            wait()
            out = tmp_path / f"killed-{number}"
            ended = threading.Event()
            with ThreadPoolExecutor(1) as beside:
                parts = int(rng.integers(len(expected[0]) // 2))
                kill = beside.submit(kill_one, name, out, parts, rng, ended)
                try:
                    found = spread(jobs.pairs, *tables, out=out, engine=engine, **OPTIONS)
                finally:
                    ended.set()
                killed += kill.result()
            assert (bytes_of(out), found.to_dict()) == expected

        # What one engine began another ends.
        for number, path in enumerate(sorted((tmp_path / "parts").glob("part-*.parquet"))):
            if number % 3 == 0:
                path.unlink()
        found = spread(jobs.pairs, *tables, out=tmp_path / "parts", engine=engines.threads, **OPTIONS)
        assert (bytes_of(tmp_path / "parts"), found.to_dict()) == expected

        # Rotated boxes go the same way.
        whole = jobs.pairs(*turned, threshold=0.2).to_dict()
        assert whole["pairs"] > 400
        assert spread(jobs.pairs, *turned, threshold=0.2, engine=engine, fragment_rows=60).to_dict() == whole

        # An error on a worker is told as it is here.
        with pytest.raises(InputError, match="expected a column 'name'"):
            spread(
                jobs.pairs,
                *tables,
                engine=engine,
                class_column="name",
                class_agnostic=False,
                fragment_rows=OPTIONS["fragment_rows"],
            )


def test_unknown_engines_and_addresses_are_told_in_a_sentence() -> None:
    for name, says in (("slurm", "expected an engine of threads, dask, spark, ray, got 'slurm'"), ("dask", "address")):
        with pytest.raises(InputError, match=says), engines.engine_of(name):
            pass
