"""Promises of inspection: ten million boxes in seconds, in the memory of one chunk."""

from __future__ import annotations

import os
import statistics
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.promises.promise import Setting, Target, in_process
from bench.promises.turns import Reached, summed_up
from bench.support.process import COMMAND
from bench.support.tables import ROWS

BOXES = 10_000_000
CROWDS, CROWD = 60, 3_000  # images, and boxes in each of them
CLASSES = 80
SIZE = np.array([640, 480], np.int32)


def write(folder: Path, boxes: int, *, seed: int = 0) -> tuple[Path, Path]:
    """Write boxes, about 7 per image and thousands in a few, some with problems, and the table of their images."""
    rng = np.random.default_rng([seed, boxes])
    counts = np.maximum(rng.lognormal(1.6, 0.8, boxes // 6 + 10), 1).astype(np.int64)
    counts[rng.choice(len(counts), CROWDS, replace=False) if len(counts) > 10 * CROWDS else [0]] = CROWD
    counts = counts[: int(np.searchsorted(np.cumsum(counts), boxes)) + 1]
    ids, ends = 2 * np.arange(len(counts)), np.cumsum(counts)
    truths, images = folder / "truths.parquet", folder / "images.parquet"
    sizes = dict(zip(("width", "height"), SIZE, strict=True))
    listed = {"image_id": np.append(ids, 2 * len(ids))} | {
        name: np.full(len(ids) + 1, side) for name, side in sizes.items()
    }
    pq.write_table(pa.table(listed), images)
    corners = [(name, pa.float32()) for name in ("xmin", "ymin", "xmax", "ymax")]
    schema = pa.schema([("id", pa.int64()), ("image_id", pa.int64()), ("category_id", pa.int32()), *corners])
    with pq.ParquetWriter(truths, schema) as writer:
        for first in range(0, int(ends[-1]), ROWS):
            n = min(ROWS, int(ends[-1]) - first)
            rows = first + np.arange(n)
            low = rng.uniform(0, SIZE, (n, 2))
            made = np.concatenate([low, np.minimum(low + rng.lognormal(3.5, 1, (n, 2)), SIZE)], 1).astype(np.float32)
            made[1::1000] = made[:-1:1000]  # duplicates, where both are of one image
            made[3::1000] = made[2:-1:1000] + np.float32(0.25)
            made[5::5000, 2] += 30
            made[7::5000, 0] = np.nan
            kinds = (CLASSES * rng.random(n) ** 3).astype(np.int32)
            columns = [rows, ids[np.searchsorted(ends, rows, side="right")], kinds, *made.T]
            writer.write_table(pa.table([pa.array(column) for column in columns], schema=schema), ROWS)
    return truths, images


def run(folder: str, boxes: int, rounds: int) -> list[tuple[float, float, float]]:
    """Seconds, those of the processors, and MiB of the whole command; once before, so that it is compiled."""
    taken = []
    for size, times in ((100, 1), (boxes, rounds)):
        truths, images = write(Path(folder), size)
        for _ in range(times):
            files = str(truths), "--images-table", str(images), "-o", os.path.join(folder, "problems.parquet")
            seconds, used, peak = map(float, in_process(COMMAND, "inspect", *files, words=3))
            taken.append((seconds, used, peak))
    return taken[1:]


@cache
def measured(setting: Setting) -> dict[int, list[tuple[float, float, float]]]:
    """The command on ten million boxes, and once on a quarter of them."""
    boxes = setting.sizes.of(BOXES)
    with setting.place() as folder:
        return {n: run(folder, n, rounds) for n, rounds in ((boxes, max(setting.rounds // 5, 1)), (boxes // 4, 1))}


def seconds(setting: Setting) -> Reached:
    taken = next(iter(measured(setting).values()))
    used = statistics.median(used for _, used, _ in taken)
    return summed_up([seconds for seconds, _, _ in taken], {"seconds of the processors": round(used, 1)})


def memory(setting: Setting) -> Reached:
    peaks = {f"{n} boxes [MiB]": round(max(peak for *_, peak in taken)) for n, taken in measured(setting).items()}
    return summed_up([max(peaks.values())], peaks)


def growth(setting: Setting) -> Reached:
    long, short = (max(peak for *_, peak in taken) for taken in measured(setting).values())
    return summed_up([long / short], {})


INSPECTION = (
    Target("inspect-10m", "fastbox inspect --images-table -o, 10M boxes", 20, seconds, "s", True),
    # The interpreter with Numba and pyarrow takes 200 MiB, a chunk of 262,144 boxes with all that is asked of each 300;
    # ids are compared in parts of 32 MiB.
    Target("inspect-10m-memory", "the same: peak memory", 768, memory, "MiB", True),
    Target("inspect-memory-same", "the same: that of 2.5M boxes", 1.2, growth, at_most=True),
)
