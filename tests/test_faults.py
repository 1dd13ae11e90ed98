"""What can go wrong outside: power, disks, other runs, damaged files, odd names. Nothing partial counts as done."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox import InputError, jobs
from fastbox.jobs.spread import spread
from fastbox.tables import sink as sinks
from fastbox.tables.sink import Sink, read_record

MUTATIONS = int(os.environ.get("FASTBOX_MUTATIONS", "400"))  # 10,000 and more by hand


def table(n: int = 400, seed: int = 0, name: str = "c") -> pa.Table:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 200, (n, 2)), rng.uniform(5, 100, (n, 2))
    corners = np.hstack((corner, corner + side)).astype(np.float32)
    rows: dict[str, Any] = {"image_id": np.sort(rng.integers(0, 40, n)), "score": rng.random(n).astype(np.float32)}
    rows |= {column: corners[:, k] for k, column in enumerate(("xmin", "ymin", "xmax", "ymax"))}
    return pa.table(rows | {"category_id": [f"{name}{k % 5}" for k in range(n)]})


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
from fastbox.jobs.spread import spread
sys.stdin.readline()
print(spread(jobs.nms, sys.argv[1], out=sys.argv[2], fragment_rows=300).kept)
"""


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


def damaged(rng: np.random.Generator, data: bytes) -> bytes:
    """Bytes with some of them changed, cut off or left out; half the time in the footer."""
    changed = bytearray(data)
    how = rng.random()
    if how < 0.8:
        last = len(data) if how < 0.4 else min(len(data), 2500)
        for place in rng.integers(1, last + 1, rng.choice([1, 1, 2, 5, 20])).tolist():
            changed[-place] = int(rng.integers(256))
    elif how < 0.9:
        del changed[int(rng.integers(len(data))) :]
    else:
        first = int(rng.integers(len(data)))
        del changed[first : first + int(rng.integers(1, 200))]
    return bytes(changed)


@pytest.mark.jit
def test_damaged_files_give_a_sentence_or_a_result(tmp_path: Path) -> None:
    truths, bad, out = tmp_path / "t.parquet", tmp_path / "bad.parquet", tmp_path / "o.parquet"
    pq.write_table(table(60, 1), truths)
    variants = []
    for options in ({"compression": "none"}, {"compression": "zstd"}, {"use_dictionary": False, "row_group_size": 20}):
        pq.write_table(table(100), bad, **options)
        variants.append(bad.read_bytes())
    calls = [
        lambda: jobs.nms(bad, out),
        lambda: jobs.pairs(bad, truths, out),
        lambda: jobs.evaluate(bad, truths),
        lambda: jobs.inspect(bad),
        lambda: jobs.check(bad, truths),
    ]
    rng = np.random.default_rng(6)
    refused = 0
    for number in range(MUTATIONS):
        bad.write_bytes(damaged(rng, variants[number % len(variants)]))
        try:
            calls[int(rng.integers(len(calls)))]()
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert 0 < refused < MUTATIONS


NAMES = ["a b", "ünïcode 🚗", 'it\'s "quoted"', "[glob]*?", "-o", "#%41", "{brace}", "$HOME", "new\nline"]


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
