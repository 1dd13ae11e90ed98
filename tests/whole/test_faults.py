"""Faults outside: power, disks, other runs, clocks, odd names. Nothing partial counts as done."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.faults import table

from fastbox import InputError, jobs
from fastbox.fragments.run import spread
from fastbox.tables import sink as sinks
from fastbox.tables.record import read_record
from fastbox.tables.sink import Sink


class Disk:
    """What of a folder would be left if the power failed: what was synced, and any rename that may have happened."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.folder = folder
        self.synced: dict[int, bytes] = {}  # of files, by inode
        self.listed: dict[str, int] = {}  # the folder as it was last synced
        self.states: list[dict[str, bytes]] = []  # what could be found after a failure, one for each moment
        for name in ("fsync", "replace"):
            patch.setattr(sinks.os, name, getattr(self, name)(getattr(os, name)))

    def names(self) -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in self.folder.iterdir()}

    def fail(self) -> None:
        for listed in (self.listed, self.names()):  # a rename may be on the disk before anyone asked for it
            self.states.append({name: self.synced.get(inode, b"") for name, inode in listed.items()})

    def fsync(self, real: Any) -> Any:
        def fsync(descriptor: int) -> None:
            self.fail()
            real(descriptor)
            if os.path.isdir(f"/proc/self/fd/{descriptor}"):
                self.listed = self.names()
            else:
                self.synced[os.fstat(descriptor).st_ino] = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            self.fail()

        return fsync

    def replace(self, real: Any) -> Any:
        def replace(old: str, new: str) -> None:
            self.fail()
            real(old, new)
            self.fail()

        return replace


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="open files can't be looked at here")
def test_power_may_fail_at_any_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    target = out / "o.parquet"
    for seed in (1, 2):
        before = target.read_bytes() if target.exists() else None
        with monkeypatch.context() as patch:
            disk = Disk(patch, out)
            if before is not None:
                disk.synced[target.stat().st_ino] = before
                disk.listed = disk.names()
            with Sink(target, table().schema, command="test", parameters={"seed": seed}) as sink:
                sink.write(table(seed=seed))
            done = {name: disk.synced.get(inode, b"") for name, inode in disk.listed.items()}
        after = target.read_bytes()
        assert len(disk.states) >= 6
        for state in disk.states:
            assert state.get("o.parquet") in (before, after)  # whole, or what was there
        assert done == {"o.parquet": after}  # when it counts as done, it is on the disk under its name
        assert read_record(target)["parameters"] == {"seed": seed}


@contextlib.contextmanager
def full_after(size: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.jit
def test_the_disk_may_be_full_at_any_point(tmp_path: Path) -> None:
    pq.write_table(table(4000), tmp_path / "d.parquet", row_group_size=500)
    whole = spread(jobs.nms, tmp_path / "d.parquet", out=tmp_path / "whole", fragment_rows=900)
    expected = {path.name: path.read_bytes() for path in (tmp_path / "whole").iterdir()}
    largest = max(map(len, expected.values()))
    out, failed = tmp_path / "out", 0
    for size in np.random.default_rng(4).integers(1, largest + 2000, 12).tolist():
        with full_after(size), contextlib.suppress(OSError):
            failed += 1
            spread(jobs.nms, tmp_path / "d.parquet", out=out, fragment_rows=900)
            failed -= 1
        left = {path.name: path.read_bytes() for path in out.iterdir()}
        assert left.items() <= expected.items()  # whole parts only, and no temporary
    assert failed
    assert spread(jobs.nms, tmp_path / "d.parquet", out=out, fragment_rows=900).to_dict() == whole.to_dict()
    assert {path.name: path.read_bytes() for path in out.iterdir()} == expected


SCRIPT = """
import sys
from fastbox import jobs
from fastbox.fragments.run import spread
sys.stdin.readline()
print(spread(jobs.nms, sys.argv[1], out=sys.argv[2], fragment_rows=300).kept)
"""


@pytest.mark.slow
@pytest.mark.jit
def test_two_runs_at_once_share_a_folder(tmp_path: Path) -> None:
    pq.write_table(table(4000), tmp_path / "d.parquet", row_group_size=100)
    whole = spread(jobs.nms, tmp_path / "d.parquet", out=tmp_path / "whole", fragment_rows=300)
    arguments = [sys.executable, "-c", SCRIPT, str(tmp_path / "d.parquet"), str(tmp_path / "out")]
    runs = [subprocess.Popen(arguments, stdin=-1, stdout=-1, stderr=-1, text=True) for _ in range(2)]
    for run in runs:
        assert run.stdin is not None
        run.stdin.write("go\n")
        run.stdin.flush()
    for run in runs:
        out, err = run.communicate()
        assert (run.returncode, out, err) == (0, f"{whole.kept}\n", "")
    found, expected = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("out", "whole"))
    assert found == expected


NAMES = ["a b", "ünïcode 🚗", 'it\'s "quoted"', "[glob]*?", "-o", "#%41", "{brace}", "$HOME", "new\nline"]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_paths_and_classes_may_have_any_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    rows = table(200, name=name)
    pq.write_table(rows, folder / f"{name}.parquet", row_group_size=40)
    pq.write_table(rows, tmp_path / "plain.parquet", row_group_size=40)
    plain = spread(jobs.nms, tmp_path / "plain.parquet", out=tmp_path / "plain", fragment_rows=50)
    for given in (folder, folder / f"{name}.parquet"):
        out = tmp_path / f"out {name} {given.is_dir()}"
        found = spread(jobs.nms, given, out=out, fragment_rows=50)
        assert found.to_dict() == plain.to_dict()
        assert jobs.nms(out).to_dict()["boxes"] == plain.kept
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert jobs.nms(link).to_dict() == jobs.nms(folder).to_dict()


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    names = ["", "a.b", "x\ny", "[bold]", "'\";--", "💥" * 20, "image_id.list", "fastbox"]
    rows = table(50)
    for name in names:
        rows = rows.append_column(name, pa.array(range(50)))
    pq.write_table(rows, tmp_path / "d.parquet")
    found = jobs.nms(tmp_path / "d.parquet", tmp_path / "o.parquet")
    written = pq.read_table(tmp_path / "o.parquet")
    assert written.column_names == rows.column_names
    assert found.kept == len(written)
    pq.write_table(rows.drop_columns(["image_id"]), tmp_path / "e.parquet")
    with pytest.raises(InputError, match="expected a column 'image_id'") as refused:
        jobs.nms(tmp_path / "e.parquet")
    assert len(str(refused.value)) < 2000


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="there is no folder here that takes no file")
def test_where_nothing_can_be_written_is_told_in_a_sentence(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"expected a folder to write /proc/self/o\.parquet in, got"):
        jobs.nms(tmp_path / "t.parquet", "/proc/self/o.parquet")
    with pytest.raises(InputError, match=r"expected a folder to write to, got /proc/self/parts"):
        spread(jobs.nms, tmp_path / "t.parquet", out="/proc/self/parts")


def test_clocks_may_jump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = tmp_path / "t.parquet"
    pq.write_table(table(), given, row_group_size=40)
    spread(jobs.nms, given, out=tmp_path / "a", fragment_rows=50)
    rng = np.random.default_rng(9)
    for clock in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(time, clock, lambda: float(rng.integers(-(10**9), 10**9)))
    entries: list[Any] = []
    spread(jobs.nms, given, out=tmp_path / "b", fragment_rows=50, log=entries.append)
    os.utime(tmp_path / "b", (0, 0))
    for path in (tmp_path / "b").iterdir():
        os.utime(path, (4e9, 4e9))  # parts are told by what they hold, never by their times
    spread(jobs.nms, given, out=tmp_path / "b", fragment_rows=50, log=entries.append)
    assert [entry["skipped"] for entry in entries] == [False] * (len(entries) // 2) + [True] * (len(entries) // 2)
    found, expected = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("b", "a"))
    assert found == expected
