"""Fragments that fail, are killed or are run again: whole parts only, and nothing done twice."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.fragments import JOBS, Counting, bytes_of, table_of

from fastbox import jobs
from fastbox.errors import InputError
from fastbox.fragments.claim import is_unfinished
from fastbox.fragments.engines import threads
from fastbox.fragments.run import spread
from fastbox.results.merge import packed
from fastbox.tables.record import read_record
from fastbox.tables.sink import Sink

RUNS = int(os.environ.get("FASTBOX_KILLED_RUNS", "12"))  # each killed twice; 50 by hand


@pytest.mark.jit
@pytest.mark.parametrize("name", ["measure", "pairs", "nms", "assign"])
def test_a_second_run_does_what_the_first_left(name: str, tables: dict[str, Path], tmp_path: Path) -> None:
    job, inputs, options = JOBS[name]
    given = [tables[table] for table in inputs]
    once = spread(job, *given, out=tmp_path / "once", fragment_rows=100, **options)
    with pytest.raises(KeyboardInterrupt):
        spread(job, *given, out=tmp_path / "twice", engine=Counting(2), fragment_rows=100, **options)
    second = Counting()
    found = spread(job, *given, out=tmp_path / "twice", engine=second, fragment_rows=100, **options)
    assert second.done == len(list((tmp_path / "once").iterdir())) - 2
    assert found.to_dict() == once.to_dict()
    assert bytes_of(tmp_path / "twice") == bytes_of(tmp_path / "once")
    third = Counting()
    assert (
        spread(job, *given, out=tmp_path / "twice", engine=third, fragment_rows=100, **options).to_dict()
        == once.to_dict()
    )
    assert third.done == 0


def test_parts_of_another_run_are_refused_and_can_be_overwritten(tables: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "parts"
    spread(jobs.nms, tables["detections"], out=out, fragment_rows=100, iou_threshold=0.3)
    before = bytes_of(out)
    with pytest.raises(
        InputError, match=r"no other run uses, got .*part-00000\.parquet of another run: .* with overwrite=True, or"
    ):
        spread(jobs.nms, tables["detections"], out=out, fragment_rows=100, iou_threshold=0.4)
    with pytest.raises(InputError, match="another run"):
        spread(jobs.nms, tables["detections"], out=out, fragment_rows=300, iou_threshold=0.3)
    assert bytes_of(out) == before
    found = spread(jobs.nms, tables["detections"], out=out, fragment_rows=300, iou_threshold=0.4, overwrite=True)
    assert table_of(out).num_rows == found.kept
    assert len(bytes_of(out)) < len(before)


def test_a_changed_input_is_another_run(tables: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "detections.parquet"
    pq.write_table(table_of(tables["detections"]), path, row_group_size=50)
    spread(jobs.nms, path, out=tmp_path / "parts", fragment_rows=100)
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match="another run"):
        spread(jobs.nms, path, out=tmp_path / "parts", fragment_rows=100)


@pytest.mark.parametrize("name", ["measure", "pairs"])
def test_parts_whose_records_have_another_schema_are_refused(
    name: str, tables: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, inputs, options = JOBS[name]
    given, out = [tables[table] for table in inputs], tmp_path / "parts"
    with monkeypatch.context() as earlier:
        earlier.setattr("fastbox.fragments.commits.SCHEMA", 0)
        spread(job, *given, out=out, fragment_rows=100, **options)
    before = bytes_of(out)
    with pytest.raises(InputError, match=r"got .*part-00000\.parquet of another run: begin again with overwrite=True"):
        spread(job, *given, out=out, fragment_rows=100, **options)
    assert bytes_of(out) == before


def test_a_part_whose_result_can_not_be_read_is_refused(tables: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "parts"
    spread(jobs.nms, tables["detections"], out=out, fragment_rows=100)
    part = out / "part-00001.parquet"
    table = pq.read_table(part)
    record = read_record(part) | {"aggregate": packed({"kept": "many"})}
    pq.write_table(table.replace_schema_metadata({"fastbox": json.dumps(record)}), part)
    before = bytes_of(out)
    with pytest.raises(InputError, match=r"got .*part-00001\.parquet of another run: begin again with overwrite=True"):
        spread(jobs.nms, tables["detections"], out=out, fragment_rows=100)
    assert bytes_of(out) == before


def test_a_file_that_is_no_part_is_left_alone(tables: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.parquet").write_bytes(b"PAR1 and no more")
    for overwrite in (False, True):
        if not overwrite:
            with pytest.raises(InputError, match=r"mine\.parquet in it: name another folder"):
                spread(jobs.nms, tables["detections"], out=tmp_path, fragment_rows=100)
        else:
            spread(jobs.nms, tables["detections"], out=tmp_path, fragment_rows=100, overwrite=True)
    assert (tmp_path / "mine.parquet").read_bytes() == b"PAR1 and no more"


@pytest.mark.jit
def test_a_folder_that_lacks_parts_is_not_read(tables: dict[str, Path], tmp_path: Path) -> None:
    """Neither while a run writes there, nor after one that ended early; the same run may go on, or another begin."""
    parts, given = tmp_path / "parts", tables["detections"]
    whole = spread(jobs.nms, given, out=parts, fragment_rows=100).to_dict()
    for overwrite in (False, True):
        for part in sorted(parts.iterdir())[::2]:
            part.unlink()
        with pytest.raises(KeyboardInterrupt):
            spread(jobs.nms, given, out=parts, engine=Counting(2), fragment_rows=100, overwrite=overwrite)
        assert {path.suffix for path in parts.iterdir()} == {".parquet", ""}
        for name in (parts, f"{parts}/", tmp_path, f"{parts}/*.parquet", f"{tmp_path}/**/*.parquet", [parts]):
            with pytest.raises(
                InputError,
                match=r"expected all parts of a run in .*parts/?, got a run .*: .* remove .*parts/\.",
            ):
                jobs.inspect(name)
        with pytest.raises(InputError, match="of another run"):
            spread(jobs.nms, given, out=parts, fragment_rows=100, iou_threshold=0.4)
        with pytest.raises(InputError, match="expected all parts"):
            jobs.inspect(parts)
        assert spread(jobs.nms, given, out=parts, fragment_rows=100, overwrite=overwrite).to_dict() == whole
        assert {path.suffix for path in parts.iterdir()} == {".parquet"}
        jobs.inspect(parts)
    with pytest.raises(InputError, match="of another run"):
        spread(jobs.nms, given, out=parts, fragment_rows=100, iou_threshold=0.4)
    jobs.inspect(parts)


@pytest.mark.skipif(os.name != "posix", reason="only POSIX can sync a folder")
def test_the_folder_is_synced_once_when_all_parts_are_there(
    tables: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, real = tmp_path / "kept", os.fsync
    synced: list[tuple[int, bool]] = []

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            synced.append((len(list(out.glob("part-*.parquet"))), is_unfinished(str(out))))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    spread(jobs.nms, tables["detections"], out=out, fragment_rows=100)
    parts = len(list(out.glob("part-*.parquet")))
    assert parts > 2
    assert synced == [(parts, True)]
    assert not is_unfinished(str(out))


def test_an_error_in_a_fragment_leaves_whole_parts_only(tables: dict[str, Path], tmp_path: Path) -> None:
    table = table_of(tables["truths"])
    corner = table["xmin"].to_numpy().astype(object)
    corner[-1] = None
    place = table.column_names.index("xmin")
    pq.write_table(
        table.set_column(place, "xmin", pa.array(corner, pa.float32())), tmp_path / "t.parquet", row_group_size=50
    )
    with pytest.raises(InputError, match=r"expected a number in column 'xmin' .* at row 299, got null"):
        spread(jobs.pairs, tmp_path / "t.parquet", out=tmp_path / "parts", fragment_rows=60)
    for path in (tmp_path / "parts").glob("*.parquet"):
        assert read_record(path)["command"] == "pairs"
    assert {path.suffix for path in (tmp_path / "parts").iterdir()} <= {".parquet"}


def test_a_run_that_wrote_no_part_leaves_all_as_it_was(tables: dict[str, Path], tmp_path: Path) -> None:
    table, parts = table_of(tables["detections"]), tmp_path / "parts"
    scores = table["score"].to_numpy().astype(object)
    scores[0] = None
    bad = table.set_column(table.column_names.index("score"), "score", pa.array(scores, pa.float32()))
    pq.write_table(bad, tmp_path / "bad.parquet")

    def fail(**options: Any) -> None:
        with pytest.raises(InputError, match=r"expected a score in column 'score'.* got a null at row 0"):
            spread(jobs.nms, tmp_path / "bad.parquet", out=parts, **options)

    fail()
    assert list(parts.iterdir()) == []
    spread(jobs.nms, tables["detections"], out=parts, fragment_rows=100)
    before = {path.name: path.read_bytes() for path in parts.iterdir()}
    fail(overwrite=True)
    assert {path.name: path.read_bytes() for path in parts.iterdir()} == before
    jobs.inspect(parts)


def test_a_disk_that_fails_for_once_is_tried_again(
    tables: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = spread(jobs.nms, tables["detections"], out=tmp_path / "good", fragment_rows=100)
    monkeypatch.setattr(sys.modules["fastbox.fragments.run"], "PAUSE", 0.001)
    write, failures = Sink.write, [errno.EIO, errno.ESTALE]

    def failing(self: Sink, batch: Any) -> None:
        if failures:
            raise OSError(failures.pop(), "made up")
        write(self, batch)

    monkeypatch.setattr(Sink, "write", failing)
    entries: list[Any] = []
    options = {"engine": Counting(), "fragment_rows": 100, "log": entries.append}
    found = spread(jobs.nms, tables["detections"], out=tmp_path / "bad", **options)
    assert found.to_dict() == expected.to_dict()
    assert bytes_of(tmp_path / "bad") == bytes_of(tmp_path / "good")
    assert [entry["retries"] for entry in entries] == [2] + [0] * (len(entries) - 1)

    failures[:] = [errno.EIO] * 4  # three retries are too few
    with pytest.raises(OSError, match="made up"):
        spread(jobs.nms, tables["detections"], out=tmp_path / "worse", **options)
    assert not failures
    failures[:] = [errno.EIO, errno.EACCES]  # the last comes first, and stays as it is
    with pytest.raises(OSError, match="made up"):
        spread(jobs.nms, tables["detections"], out=tmp_path / "denied", **options)
    assert failures == [errno.EIO]


SCRIPT = """
import sys
from fastbox import jobs
from fastbox.fragments.run import spread
print("ready", flush=True)
spread(jobs.pairs, sys.argv[1], sys.argv[2], out=sys.argv[3], fragment_rows=100, threshold=0.1, metrics=["iou", "giou"])
print("done", flush=True)
"""


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.jit
def test_killed_at_any_moment_a_rerun_ends_the_same(tables: dict[str, Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"threshold": 0.1, "metrics": ["iou", "giou"], "fragment_rows": 100}
    given = tables["detections"], tables["truths"]
    whole = spread(jobs.pairs, *given, out=tmp_path / "once", **options)
    arguments = [sys.executable, "-c", SCRIPT, *map(str, given)]
    with subprocess.Popen([*arguments, str(tmp_path / "timed")], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "ready\n"
        start = time.perf_counter()
        assert run.stdout.readline() == "done\n"
        length = time.perf_counter() - start  # on this machine, under its load
    rng = np.random.default_rng(8)
    killed = 0
    for number in range(RUNS):
        out = tmp_path / f"run-{number}"
        for _ in range(2):
            with subprocess.Popen([*arguments, str(out)], stdout=subprocess.PIPE, text=True) as run:
                assert run.stdout is not None
                assert run.stdout.readline() == "ready\n"
                try:
                    run.wait(timeout=rng.uniform(0, length))
                except subprocess.TimeoutExpired:
                    run.send_signal(signal.SIGKILL)
                    killed += 1
        found = spread(jobs.pairs, *given, out=out, engine=threads, **options)
        assert found.to_dict() == whole.to_dict()
        assert bytes_of(out) == bytes_of(tmp_path / "once")  # and no file in the making is left
    assert killed
