"""Jobs stay within the memory they are given: chunks shrink, and what can't fit is refused with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastbox
from fastbox import jobs, memory
from fastbox.engines import threads
from fastbox.errors import InputError
from fastbox.jobs.spread import spread
from fastbox.tables.source import scan

MIB = 1 << 20


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("FASTBOX_MEMORY", raising=False)
    yield
    fastbox.set_memory(None)


def write(path: Path, n: int, images: int = 1) -> Path:
    rng = np.random.default_rng(n)
    corner, side = rng.uniform(0, 30_000, (2, n)).astype(np.float32), rng.uniform(5, 50, (2, n)).astype(np.float32)
    far = corner + side
    table = {
        "image_id": np.arange(n) * images // n,
        "xmin": corner[0],
        "ymin": corner[1],
        "xmax": far[0],
        "ymax": far[1],
    }
    more = {"score": rng.random(n).astype(np.float32), "category_id": np.zeros(n, np.int64)}
    pq.write_table(pa.table(table | more), path, row_group_size=50_000)
    return path


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("536870912", 512 * MIB),
        ("512MiB", 512 * MIB),
        ("0.5 gib", 512 * MIB),
        ("2GB", 2 * 10**9),
        ("600m", 600 * 10**6),
        ("1TiB", 1 << 40),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    fastbox.set_memory(text)
    assert fastbox.get_memory() == size
    fastbox.set_memory(None)
    monkeypatch.setenv("FASTBOX_MEMORY", text)
    assert fastbox.get_memory() == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "1 2GB", "1e9", "2XB", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected an amount of memory as 2GB or 512MiB, got"):
        fastbox.set_memory(text)


def test_too_little_to_run_at_all_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"at least 512 MiB of memory, of which 400 MiB are the program's own, got '1MB'"
    ):
        fastbox.set_memory("1MB")


def test_all_of_the_machine_is_the_default() -> None:
    assert (fastbox.get_memory() or 512 * MIB) >= 512 * MIB
    assert memory.most_boxes() > memory.LEAST


def test_chunks_shrink_to_fit_and_hold_the_same_rows(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", 400_000, images=4_000)

    def chunks() -> list[Any]:
        return list(scan(table))

    large = chunks()
    fastbox.set_memory("512MiB")
    small = chunks()
    most = memory.most_boxes()
    assert len(small) > len(large)
    assert max(len(chunk.a) for chunk in small) <= most // 4 < max(len(chunk.a) for chunk in large)
    for k in range(4):
        both = [np.concatenate([chunk.a.columns[k] for chunk in found]) for found in (large, small)]
        np.testing.assert_array_equal(*both)


def test_an_image_that_can_not_fit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", 500_000)
    fastbox.set_memory("512MiB")
    most = f"{memory.most_boxes():,}"
    for refused in (
        lambda: jobs.nms(table, out=tmp_path / "o.parquet"),
        lambda: jobs.pairs(table, table, threshold=0.9, out=tmp_path / "o.parquet"),
        lambda: jobs.inspect(table, out=tmp_path / "o.parquet"),
        lambda: spread(jobs.nms, table, out=tmp_path / "o"),
    ):
        with pytest.raises(
            InputError, match=rf"images of at most {most} boxes.* in image 0 of .*t\.parquet: allow more"
        ):
            refused()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [table]


def test_what_must_be_kept_is_counted_before_anything_is_read(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", 500_000, images=5_000)
    truths = write(tmp_path / "gt.parquet", 5_000, images=5_000)
    fastbox.set_memory("512MiB")
    said = r"boxes that fit in 512 MiB of memory, got 500,000 boxes, which take about 522 MiB: allow more with --memory"
    with pytest.raises(InputError, match=said):
        jobs.evaluate(table, truths)
    with pytest.raises(InputError, match=said):
        spread(jobs.evaluate, table, truths)


def test_fragments_that_run_side_by_side_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbox.engines.get_num_threads", lambda: 4)
    fastbox.set_memory("4GiB")
    alone = memory.most_boxes()
    assert dict(threads(lambda item: memory.most_boxes(), range(8))) == dict.fromkeys(range(8), alone // 4)
    assert dict(threads(lambda item: memory.most_boxes(), range(2))) == dict.fromkeys(range(2), alone // 2)
    assert memory.most_boxes() == alone


# VmHWM rather than ru_maxrss, which remembers the memory of the process that this one was forked from.
CODE = """
import re, sys
from fastbox.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.jit
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no process tells its memory here")
def test_an_image_that_just_fits_does(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", 450_000)
    for command in (["nms"], ["inspect", "--class-size", "0"]):
        given = [*command, table, "--memory", "640MiB", "-o", tmp_path / "o.parquet"]
        done = subprocess.run(
            [sys.executable, "-c", CODE, *map(str, given)], check=True, capture_output=True, text=True
        )
        assert done.stderr == ""
        assert int(done.stdout.split()[-1]) * 1024 < 640 * MIB
