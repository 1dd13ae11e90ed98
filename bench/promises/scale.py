"""Promises of fragments: threads add little to decoding, computing and encoding, and Dask adds little to threads."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import fastbox
from bench.promises.promise import Setting, Target
from bench.promises.turns import Reached, Threads, ratio, take_turns
from fastbox import jobs
from fastbox.fragments import engines, spread
from fastbox.parallel import threads_here
from fastbox.sketch import Sketch

FILES, ROWS = 64, 1_250_000  # of each file
METRICS = ("iou", "giou", "smooth_l1")
WORKERS = 2
SIDES = tuple(f"{side}_{name}" for side in ("pred", "target") for name in ("xmin", "ymin", "xmax", "ymax"))


def write(folder: Path, rows: int) -> Path:
    """Write pairs of boxes: one file, and copies of it."""
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, 600, (2, rows, 2)), rng.uniform(1, 200, (2, rows, 2))
    corners = np.concatenate([corner, corner + side], axis=2).astype(np.float32)
    table = pa.table(dict(zip(SIDES, np.concatenate(list(corners), axis=1).T, strict=True)))
    given = folder / "pairs"
    given.mkdir()
    pq.write_table(table, given / "00.parquet", row_group_size=1 << 17)
    for number in range(1, FILES):
        shutil.copy(given / "00.parquet", given / f"{number:02d}.parquet")
    return given


def bare(file: Path, out: Path) -> None:
    """Decode a file, compare its boxes, sum the values up and encode them, and do nothing else."""
    sketches = [Sketch() for _ in METRICS]
    schema = pa.schema([(name, pa.float32()) for name in METRICS])
    names = list(METRICS)
    with (
        pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20) as parquet,
        pq.ParquetWriter(out, schema, use_byte_stream_split=names, use_dictionary=False, compression="zstd") as writer,
    ):
        for batch in parquet.iter_batches(1 << 18):
            columns = [batch.column(name).to_numpy() for name in SIDES]
            a, b = fastbox.Boxes.from_columns(*columns[:4]), fastbox.Boxes.from_columns(*columns[4:])
            values = [fastbox.aligned(a, b, metric=name) for name in METRICS]
            for sketch, column in zip(sketches, values, strict=True):
                sketch.add(column)
            writer.write_batch(pa.record_batch([pa.array(column) for column in values], schema=schema))


def bare_on_threads(files: list[Path], out: Path) -> Callable[[], None]:
    def one(file: Path) -> None:
        with threads_here(1):
            bare(file, out / file.name)

    def call() -> None:
        out.mkdir(exist_ok=True)
        with ThreadPoolExecutor(fastbox.get_num_threads()) as pool:
            list(pool.map(one, files))

    return call


def spread_over(given: Path, out: Path, engine: engines.Engine) -> Callable[[], object]:
    return lambda: spread(jobs.measure, given, out=out, engine=engine, metrics=list(METRICS), keep=[], overwrite=True)


def threads_over_floor(setting: Setting) -> Reached:
    with setting.place() as place, Threads(WORKERS):
        folder = Path(place)
        given = write(folder, setting.sizes.of(ROWS))
        files = sorted(given.iterdir())
        calls = {
            "threads": spread_over(given, folder / "parts", engines.threads),
            "decode, compute, encode": bare_on_threads(files, folder / "bare"),
        }
        return ratio(take_turns(calls, setting.rounds), "threads", "decode, compute, encode")


def dask_over_threads(setting: Setting) -> Reached:
    from distributed import Client, LocalCluster

    with (
        setting.place() as place,
        LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
        Threads(WORKERS),
    ):
        folder = Path(place)
        given = write(folder, setting.sizes.of(ROWS))
        calls = {
            "dask": spread_over(given, folder / "dask", engines.dask(client)),
            "threads": spread_over(given, folder / "threads", engines.threads),
        }
        found = ratio(take_turns(calls, setting.rounds), "dask", "threads")
        same = all(
            (folder / "dask" / name).read_bytes() == (folder / "threads" / name).read_bytes()
            for name in os.listdir(folder / "threads")
        )
        assert same, "expected the same bytes of both"
        return found


SCALE = (
    Target("scale-threads", "measure in fragments, 80M rows, over its parts", 1.1, threads_over_floor, at_most=True),
    Target("scale-dask", "the same: Dask with 2 workers over 2 threads", 1.5, dask_over_threads, at_most=True),
)
