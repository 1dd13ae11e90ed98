"""The reader ahead ends with its source, hands errors on, and holds little memory."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.box_columns import CORNERS
from support.joins import boxes_of, write
from support.paths import SHARED

from fastbox.datasets.scan import scan
from fastbox.errors import InputError
from fastbox.storage.beside import Coming
from fastbox.tables import stream
from fastbox.tables.footers import check_footer
from fastbox.tables.source import Source

pytestmark = pytest.mark.usefixtures("small_batches")


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("fastbox-reader")]


@pytest.fixture
def no_readers() -> None:
    """Let go of what tests before have left to be collected."""
    gc.collect()
    assert not readers()


@pytest.mark.slow
@pytest.mark.usefixtures("no_readers")
def test_closing_stops_the_reader(tmp_path: Path) -> None:
    path = write(tmp_path / "t", boxes_of(list(range(1000))), 10)
    chunks = scan(path, rows=5)
    next(chunks)
    assert len(readers()) == 1
    chunks.close()
    assert not readers()
    for chunk in scan(path, rows=5):
        del chunk
        break
    gc.collect()
    assert not readers()
    assert list(chunks) == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_readers")
def test_an_error_in_the_reader_comes_through_and_ends_it() -> None:
    closed = []

    def items() -> Generator[int]:
        try:
            yield 1
            raise RuntimeError("broken")
        finally:
            closed.append(True)

    coming = stream.ahead(items())
    assert next(coming) == 1
    with pytest.raises(RuntimeError, match="broken"):
        next(coming)
    assert closed and not readers()


def test_a_footer_that_was_looked_at_keeps_nobody_who_asked(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"objects": [{"score": 1.0}, {"score": 2.0}]}), path)

    def ask() -> weakref.ref[threading.Event]:
        held = threading.Event()
        with pq.ParquetFile(path) as file:
            check_footer(str(path), file.metadata, "objects")
        return weakref.ref(held)

    held = ask()
    gc.collect()
    assert held() is None


def test_one_item_is_made_ahead_and_no_more() -> None:
    made = []
    gate = threading.Semaphore(0)

    def items() -> Generator[int]:
        for i in range(5):
            made.append(i)
            gate.release()
            yield i

    coming = stream.ahead(items())
    assert next(coming) == 0
    assert gate.acquire(timeout=300)
    assert gate.acquire(timeout=300)
    assert not gate.acquire(timeout=0.2)
    assert made == [0, 1]
    assert list(coming) == [1, 2, 3, 4]


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 3_000_000
    noise = {name: rng.random(n, dtype=np.float32) for name in CORNERS}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image_id": np.arange(n) // 8, **noise}), path, row_group_size=n)
    program = (
        "import sys, pyarrow as pa\nfrom fastbox.datasets.scan import scan\n"
        "total = sum(len(chunk.a) for chunk in scan(sys.argv[1], rows=50_000))\n"
        "print(total, pa.default_memory_pool().max_memory() >> 20)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    total, most = map(int, done.stdout.split())
    assert total == n
    assert most < 30 < path.stat().st_size >> 20


def test_a_real_dataset_is_joined() -> None:
    data = SHARED
    if not data.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    truths, detections = data / "coco_val2017_gt.parquet", data / "coco_val2017_dets_12models.parquet"
    sums = [0, 0]
    for chunk in scan(truths, Source(detections, columns=("run", "score")), rows=50_000):
        assert chunk.b is not None
        sums = [sums[0] + len(chunk.a), sums[1] + len(chunk.b)]
    assert sums == [36_781, 332_530]
    with pytest.raises(InputError, match=r"expected columns of boxes in .*images\.parquet"):
        scan(data / "coco_val2017_images.parquet")


def test_an_interrupt_while_the_reader_starts_leaves_nothing_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, started = [], []

    def start(thread: threading.Thread) -> None:
        usual(thread)
        started.append(thread)
        raise KeyboardInterrupt

    def items() -> Generator[int]:
        begun.append(True)
        yield 1

    usual = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", start)
    with pytest.raises(KeyboardInterrupt):
        next(stream.ahead(items()))
    assert [thread.is_alive() for thread in started] == [False]
    assert not begun


def test_an_interrupt_while_an_item_is_read_waits_for_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    running, closed = threading.Event(), []

    def interrupted(_: Any) -> None:
        assert running.wait(60)
        raise KeyboardInterrupt

    def items() -> Generator[int]:
        try:
            running.set()
            time.sleep(0.2)
            yield 1
        finally:
            closed.append(True)

    monkeypatch.setattr(Coming, "result", interrupted)
    with pytest.raises(KeyboardInterrupt):
        next(stream.ahead(items()))
    assert closed == [True]


def test_a_reader_that_is_collected_by_its_own_thread_ends() -> None:
    dropped, closed = threading.Event(), threading.Event()

    def items() -> Generator[int]:
        try:
            yield 1
            dropped.wait()
            gc.collect()
            yield 2
        finally:
            closed.set()

    gc.collect()
    gc.disable()
    try:
        held: list[Any] = [stream.ahead(items())]
        assert next(held[0]) == 1
        held.append(held)  # as an error and its traceback hold each other
        del held
        dropped.set()
        assert closed.wait(20)
    finally:
        gc.enable()
