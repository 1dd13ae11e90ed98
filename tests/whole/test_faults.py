"""What can go wrong outside: power, disks, other runs, damaged files, odd names. Nothing partial counts as done."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox import InputError, jobs
from fastbox.fragments.run import spread
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


@pytest.mark.slow
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
        lambda: jobs.plan(bad, truths),
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


@pytest.mark.parametrize("layout", ["flat", "ragged"])
def test_names_in_row_groups_need_not_be_text(tmp_path: Path, layout: str) -> None:
    """A footer names its columns once for the file, which counts, and again in every row group."""
    path = tmp_path / "t.parquet"
    ragged = pa.table({"image_id": [1, 2], "bbox": [[[0.0, 0, 2, 2]] * 3, [[1.0, 1, 2, 2]]]})
    pq.write_table(ragged if layout == "ragged" else table(100), path, row_group_size=50)
    expected = jobs.plan(path).to_dict(), jobs.inspect(path).to_dict()
    data = path.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for name in (b"image_id", b"bbox" if layout == "ragged" else b"xmin"):
        first = data.index(name, footer) + len(name)
        assert name in data[first:]
        data = data[:first] + data[first:].replace(name, b"\xe3" * len(name))
    path.write_bytes(data)
    assert (jobs.plan(path).to_dict(), jobs.inspect(path).to_dict()) == expected


FLIPPED = """
import sys
from pathlib import Path
from fastbox import jobs
from fastbox.errors import InputError

path = Path(sys.argv[1])
data = path.read_bytes()
footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
refused = 0
for place in range(footer, len(data) - 8, int(sys.argv[2])):
    for bit in range(8):
        changed = bytearray(data)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        try:
            jobs.plan(path)
        except InputError:
            refused += 1
print(refused)
"""


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("layout", ["flat", "names", "ragged"])
def test_no_bit_of_a_footer_ends_the_process(layout: str, tmp_path: Path) -> None:
    """Arrow throws where nobody catches, if asked for some of what damaged footers tell of a column."""
    path = tmp_path / "t.parquet"
    ids: list[Any] = ["one", "two"] if layout == "names" else [1, 2]
    sides = {"xmin": [0.0, 1], "ymin": [0.0, 1], "xmax": [2.0, 3], "ymax": [2.0, 3]}
    boxes = {"bbox": [[[0.0, 0, 2, 2]] * 3, [[1.0, 1, 2, 2]]]} if layout == "ragged" else sides
    pq.write_table(pa.table({"image_id": ids, **boxes}), path)
    steps = "1" if MUTATIONS >= 10_000 else "3"
    run = subprocess.run([sys.executable, "-c", FLIPPED, str(path), steps], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert int(run.stdout) > 100


KNOWN = ["image_id", "xmin", "ymin", "xmax", "ymax", "bbox", "score", "category_id", "id", "width", "iscrowd", "area"]
KINDS: list[Any] = [pa.int8(), pa.uint64(), pa.float16(), pa.float64(), pa.bool_(), pa.string(), pa.binary(), pa.null()]
KINDS += [pa.date32(), pa.timestamp("ns", "UTC"), pa.decimal128(9, 2), pa.dictionary(pa.int8(), pa.string())]
KINDS += [pa.list_(pa.float32()), pa.list_(pa.float64(), 4), pa.list_(pa.list_(pa.float32(), 4)), pa.large_string()]
KINDS += [pa.map_(pa.string(), pa.int8()), pa.struct({"xmin": pa.float32(), "bbox": pa.list_(pa.float32())})]


def any_value(rng: np.random.Generator, kind: Any) -> Any:
    if rng.random() < 0.02 or pa.types.is_null(kind):
        return None
    if pa.types.is_struct(kind):
        return {field.name: any_value(rng, field.type) for field in kind}
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        length = kind.list_size if pa.types.is_fixed_size_list(kind) else int(rng.choice([0, 1, 4]))
        return [any_value(rng, kind.value_type) for _ in range(length)]
    if pa.types.is_map(kind):
        return [("a", 1)]
    if pa.types.is_floating(kind):
        return np.float16(rng.choice([0, 1.5, 30, -2, np.nan, np.inf, 60_000]))
    if pa.types.is_decimal(kind):
        return Decimal(int(rng.integers(100)))
    if pa.types.is_boolean(kind):
        return bool(rng.random() < 0.5)
    if pa.types.is_binary(kind):
        return bytes([rng.integers(256)])
    return int(rng.choice([0, 1, 3, 100])) if not _is_text(kind) else str(rng.choice(["", "a", "7", "é"]))


def _is_text(kind: Any) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)


def any_table(rng: np.random.Generator) -> pa.Table:
    """A table of boxes of which some columns are gone, doubled, or of another type and with other values."""
    rows = table(int(rng.choice([0, 1, 30])), 3)
    columns = {name: rows[name].combine_chunks() for name in rows.column_names}
    for name in rng.choice(KNOWN, int(rng.integers(5))).tolist():
        kind = KINDS[int(rng.integers(len(KINDS)))]
        columns[name] = pa.array([any_value(rng, kind) for _ in range(len(rows))], kind)
    names = [name for name in columns if rng.random() < 0.95]
    names += names[:1] if rng.random() < 0.05 else []
    # What a footer says of a table may be anything too.
    absurd: list[dict[bytes, bytes]] = [{b"fastbox": b"{"}, {b"fastbox": b"[]"}, {b"fastbox": b"\xff"}, {b"": b""}]
    absurd += [{b"fastbox": b'{"fingerprint": 1, "aggregate": 7, "categories": 3}'}, {b"pandas": b"x" * 5000}]
    absurd += [
        {b"fastbox": b'{"command": "convert", "parameters": {"kind": [], "format": 3}, "categories": {"x": []}}'}
    ]
    made = pa.Table.from_arrays([columns[name] for name in names], names)
    return made.replace_schema_metadata(absurd[int(rng.integers(len(absurd)))])


@pytest.mark.slow
@pytest.mark.jit
def test_tables_of_any_schema_give_a_sentence_or_a_result(tmp_path: Path) -> None:
    bad, truths, out = tmp_path / "bad.parquet", tmp_path / "t.parquet", tmp_path / "o.parquet"
    pq.write_table(table(60, 1), truths)
    calls = [
        lambda: jobs.nms(bad, out),
        lambda: jobs.pairs(bad, truths, out, threshold=0.1),
        lambda: jobs.pairs(truths, bad, threshold=0.1),
        lambda: jobs.evaluate(bad, truths),
        lambda: jobs.evaluate(truths, bad),
        lambda: jobs.inspect(bad, bad),
        lambda: jobs.inspect(bad, fix=out),
        lambda: jobs.plan(bad, truths),
        lambda: jobs.measure(bad, out),
        lambda: spread(jobs.nms, bad, out=tmp_path),
        lambda: jobs.convert(bad, tmp_path / "o.json"),
    ]
    rng = np.random.default_rng(8)
    refused = 0
    for _ in range(MUTATIONS):
        try:
            pq.write_table(any_table(rng), bad)
        except pa.ArrowNotImplementedError:
            continue
        try:
            calls[int(rng.integers(len(calls)))]()
        except InputError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 0 < refused < MUTATIONS
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


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
