"""A file is all there under its name, or its name is untouched: whatever goes wrong while it is written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox.errors import InputError
from fastbox.storage import temporary
from fastbox.tables import sink as module
from fastbox.tables.record import read_record
from fastbox.tables.sink import Sink

SCHEMA = pa.schema([("image_id", pa.int64()), ("value", pa.float32())])


def rows(count: int, first: int = 0) -> pa.RecordBatch:
    numbers = np.arange(first, first + count)
    return pa.record_batch([pa.array(numbers), pa.array(numbers.astype(np.float32))], schema=SCHEMA)


def sink(path: Path | str, **more: str) -> Sink:
    return Sink(path, SCHEMA, command="test", parameters={"metric": "iou"}, **more)


def write(path: Path, *batches: pa.RecordBatch | pa.Table) -> Path:
    with sink(path) as out:
        for batch in batches:
            out.write(batch)
    return path


def test_ids_are_written_as_differences_and_floats_byte_by_byte(tmp_path: Path) -> None:
    fields = [("image_id", pa.int64()), ("value", pa.float32()), ("kind", pa.int32())]
    fields += [("part", pa.struct([("row", pa.int64())])), ("half", pa.float16())]
    schema = pa.schema(fields)
    ids = [-(2**63), 5, None, 2**63 - 1]
    parts = [{"row": 7}, None, {"row": None}, {"row": 9}]
    table = pa.table([ids, [0.5, None, 1.0, 2.0], [1, 1, 2, None], parts, [1.0, 2.0, 3.0, 4.0]], schema=schema)
    with Sink(tmp_path / "out.parquet", schema, command="test", parameters={}) as out:
        out.write(table)
    assert pq.read_table(tmp_path / "out.parquet").equals(table)
    group = pq.read_metadata(tmp_path / "out.parquet").row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    found = {column.path_in_schema: set(column.encodings) for column in columns}
    assert "DELTA_BINARY_PACKED" in found["image_id"]
    assert "BYTE_STREAM_SPLIT" in found["value"]
    assert all("RLE_DICTIONARY" in found[name] for name in ("kind", "part.row", "half"))


def test_rows_and_record_are_written(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    with sink(path) as out:
        assert not path.exists()
        out.write(rows(3))
        out.write(pa.Table.from_batches([rows(2, 3)]))
        out.record(counts=np.array([1, 2]), mean=np.float32(0.5))
        out.record(largest=np.int64(9), source=tmp_path)
    assert os.listdir(tmp_path) == ["out.parquet"]
    assert pq.read_table(path).equals(pa.Table.from_batches([rows(5)]))
    record = read_record(path)
    assert record.pop("version")
    assert record.pop("schema") == 1
    assert record == {
        "command": "test",
        "parameters": {"metric": "iou"},
        "rows": 5,
        "counts": [1, 2],
        "mean": 0.5,
        "largest": 9,
        "source": str(tmp_path),
    }


def test_a_relative_path_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with sink("out.parquet") as out:
        out.write(rows(1))
    assert os.listdir(tmp_path) == ["out.parquet"]


def test_the_temporary_is_hidden_and_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    with sink(path), sink(path):
        names = os.listdir(tmp_path)
        assert len(names) == 2
        assert all(name.startswith(f".out.parquet.{os.getpid()}-") and name.endswith(".tmp") for name in names)


def test_nothing_in_gives_an_empty_file_of_the_schema(tmp_path: Path) -> None:
    for path in (write(tmp_path / "a"), write(tmp_path / "b", rows(0), rows(0))):
        table = pq.read_table(path)
        assert (table.num_rows, table.schema.remove_metadata()) == (0, SCHEMA)
        assert read_record(path)["rows"] == 0


def test_the_bytes_do_not_depend_on_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_GROUP_ROWS", 10_000)
    whole = write(tmp_path / "a", rows(55_555)).read_bytes()
    for size in (997, 10_000, 30_001):
        batches = [rows(min(size, 55_555 - first), first) for first in range(0, 55_555, size)]
        assert write(tmp_path / "b", *batches).read_bytes() == whole
    footer = pq.ParquetFile(tmp_path / "a").metadata
    assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [10_000] * 5 + [5555]


def test_batches_that_share_one_dictionary_or_not(tmp_path: Path) -> None:
    schema = pa.schema([("label", pa.dictionary(pa.int16(), pa.string()))])
    path = tmp_path / "out.parquet"
    with Sink(path, schema, command="test", parameters={}) as out:
        for labels in (["a", "b"], ["c", "b"], ["a"]):
            out.write(pa.table({"label": pa.array(labels, schema.field(0).type)}))
    assert pq.read_table(path)["label"].to_pylist() == ["a", "b", "c", "b", "a"]


@pytest.mark.parametrize("codec", ["snappy", "none", "lz4", "zstd"])
def test_the_codec_is_chosen(tmp_path: Path, codec: str) -> None:
    with sink(tmp_path / "out.parquet", compression=codec) as out:
        out.write(rows(10))
    used = pq.ParquetFile(tmp_path / "out.parquet").metadata.row_group(0).column(0).compression
    assert used == {"none": "UNCOMPRESSED"}.get(codec, codec.upper())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError])
@pytest.mark.parametrize("before", [None, 4])
def test_an_exception_leaves_what_was_there(tmp_path: Path, error: type[BaseException], before: int | None) -> None:
    path = tmp_path / "out.parquet"
    if before is not None:
        write(path, rows(before))
    was = path.read_bytes() if before is not None else None
    with pytest.raises(error), sink(path) as out:
        out.write(rows(300_000))
        raise error
    assert os.listdir(tmp_path) == ([] if was is None else ["out.parquet"])
    assert was is None or path.read_bytes() == was


@pytest.mark.parametrize("where", [(temporary, "lock"), (module, "_encodings"), (module, "Beside")])
def test_an_interrupt_while_the_file_is_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: tuple[object, str]
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*where, interrupt)
    with pytest.raises(KeyboardInterrupt), sink(tmp_path / "o.parquet"):
        pytest.fail("it must not get here")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_exception_at_the_end_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, error: type[BaseException]
) -> None:
    path = write(tmp_path / "out.parquet", rows(4))
    was = path.read_bytes()

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch, pytest.raises(error), sink(path) as out:
        out.write(rows(10))
        patch.setattr(os, step, fail)
    assert os.listdir(tmp_path) == ["out.parquet"]
    assert path.read_bytes() == was


def test_a_clean_exit_replaces_what_was_there(tmp_path: Path) -> None:
    path = write(tmp_path / "out.parquet", rows(4))
    write(path, rows(7))
    assert pq.read_metadata(path).num_rows == 7
    link = tmp_path / "link.parquet"
    link.symlink_to(path)
    write(link, rows(9))
    assert link.is_symlink() and pq.read_metadata(path).num_rows == 9


def test_the_file_can_be_read_by_whom_the_umask_lets(tmp_path: Path) -> None:
    old = os.umask(0o022)
    try:
        assert write(tmp_path / "out.parquet", rows(1)).stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(old)


def test_where_no_file_can_be_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path, message in (
        (tmp_path / "gone" / "out.parquet", "No such file or directory"),
        (tmp_path / "file" / "out.parquet", "Not a directory"),
        (tmp_path / "folder", "is not a file: name another"),
        ("/dev/null", "is not a file: name another"),
        (tmp_path / ("n" * 250), "File name too long"),
    ):
        with pytest.raises(InputError, match=message) as caught, sink(path):
            pytest.fail("it must not get here")
        assert str(path) in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_forbidden_folder_is_said_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="Permission denied"), sink(tmp_path / "out.parquet"):
        pytest.fail("it must not get here")


def test_an_unknown_codec_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="nope"), sink(tmp_path / "out.parquet", compression="nope"):
        pytest.fail("it must not get here")
    assert os.listdir(tmp_path) == []


def test_another_schema_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="schema"), sink(tmp_path / "out.parquet") as out:
        out.write(pa.record_batch({"image_id": [1]}))
    assert os.listdir(tmp_path) == []


def test_what_json_cannot_hold_is_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="JSON can hold, got set"):
        Sink(tmp_path / "out", SCHEMA, command="test", parameters={"names": {"a"}})
    with pytest.raises(TypeError, match="got object"), sink(tmp_path / "out.parquet") as out:
        out.record(thing=object())
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_a_full_disk_passes_through_and_leaves_nothing(tmp_path: Path) -> None:
    program = """
import os, resource, sys
import numpy as np, pyarrow as pa
from fastbox.tables.sink import Sink

path = sys.argv[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
noise = pa.table({"value": np.random.default_rng(0).random(400_000)})
try:
    with Sink(path, noise.schema, command="test", parameters={}) as sink:
        for _ in range(int(sys.argv[2])):
            sink.write(noise)
except OSError as error:
    print(type(error).__name__, error.errno is not None)
print(os.listdir(os.path.dirname(path)))
"""
    # Eight batches fill the disk while rows are written; of one the last rows do, on exit.
    for batches in ("8", "1"):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, str(tmp_path / "out.parquet"), batches],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.splitlines() == ["OSError True", "[]"], done.stderr
        assert done.stderr == ""


def test_only_our_own_files_have_a_record(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_batches([rows(1)]), tmp_path / "other.parquet")
    with pytest.raises(InputError, match=r"a file that fastbox wrote, got .*other\.parquet without its record"):
        read_record(tmp_path / "other.parquet")
    with pytest.raises(InputError, match="got no file"):
        read_record(tmp_path / "gone.parquet")


KILLED = """
import os, signal, sys
import pyarrow as pa
from fastbox.tables.sink import Sink
table = pa.table({"a": [1, 2, 3]})
with Sink(sys.argv[1], table.schema, command="test", parameters={}) as sink:
    sink.write(table)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="no process is killed so here")
def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path: Path) -> None:
    target = tmp_path / "o.parquet"
    (tmp_path / ".o.parquet.notes.tmp").write_text("somebody's own")
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", KILLED, str(target)]).returncode == -signal.SIGKILL
    left = set(os.listdir(tmp_path))
    assert len(left) == 3
    table = pa.table({"a": [1, 2, 3]})
    with Sink(target, table.schema, command="test", parameters={}) as slow:
        slow.write(table)
        with Sink(target, table.schema, command="test", parameters={}) as fast:
            fast.write(table)
        names = set(os.listdir(tmp_path))
        assert len(names) == 3  # the target, the other's, and what is none of ours
        assert not names & left - {".o.parquet.notes.tmp"}
    assert set(os.listdir(tmp_path)) == {"o.parquet", ".o.parquet.notes.tmp"}


def test_a_file_taken_for_abandoned_before_it_was_locked_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock, taken = temporary.lock, []

    def late(descriptor: int) -> bool | None:
        if not taken:
            taken.extend(tmp_path.iterdir())
            taken[0].unlink()
        return lock(descriptor)

    monkeypatch.setattr(temporary, "lock", late)
    table = pa.table({"a": [1, 2, 3]})
    with Sink(tmp_path / "o.parquet", table.schema, command="test", parameters={}) as sink:
        sink.write(table)
    assert os.listdir(tmp_path) == ["o.parquet"]
    assert taken


def test_where_files_can_not_be_locked_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporary, "lock", lambda descriptor: None)
    other = tmp_path / ".o.parquet.1-0123abcd.tmp"
    other.touch()
    table = pa.table({"a": [1, 2, 3]})
    with Sink(tmp_path / "o.parquet", table.schema, command="test", parameters={}) as sink:
        sink.write(table)
    assert sorted(os.listdir(tmp_path)) == [other.name, "o.parquet"]
