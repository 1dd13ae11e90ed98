"""``fastbox sort`` and ``fastbox plan``: tables in the order of their images, and how one knows."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.sorting import table

from fastbox import InputError, jobs
from fastbox.cli import main
from fastbox.storage.backed import Scratch
from fastbox.tables import sorted_runs
from fastbox.tables.record import read_record
from fastbox.tables.sink import Sink


@pytest.mark.parametrize("strings", [False, True])
def test_rows_come_by_image_and_as_they_were(tmp_path: Path, strings: bool) -> None:
    names = ["b.parquet", "a.parquet"]  # not in the order of their names
    tables = [table(200, seed, strings) for seed in (1, 2)]
    for name, rows in zip(names, tables, strict=True):
        pq.write_table(rows, tmp_path / name, row_group_size=30)
    out = tmp_path / "it's sorted.parquet"
    found = jobs.sort([tmp_path / name for name in names], out)
    assert found == {"rows": 400, "files": 2}
    got, whole = pq.read_table(out), pa.concat_tables(tables)
    assert got.schema.equals(whole.schema)
    order = np.argsort(np.asarray(whole["image_id"].to_pylist()), kind="stable")
    for name in whole.column_names:
        expected = whole[name].to_pylist()
        assert repr(got[name].to_pylist()) == repr([expected[k] for k in order]), name
    assert jobs.plan(out).ready
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_was_unsorted_can_be_used_afterwards(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    corners = rng.random((60, 4)) + np.array([0, 0, 1, 1])
    rows = {"image_id": rng.permutation(np.arange(60) // 3), "bbox": corners.tolist(), "score": rng.random(60)}
    with Sink(tmp_path / "d.parquet", pa.table(rows).schema, command="test", parameters={}) as sink:
        sink.write(pa.table(rows))
        sink.record(categories={"1": "cat"})
    unsorted = jobs.nms(tmp_path / "d.parquet")
    assert unsorted.inputs[0]["sorted_in"] == "memory"
    result = CliRunner().invoke(main, ["sort", str(tmp_path / "d.parquet"), "-o", str(tmp_path / "s.parquet")])
    assert (result.exit_code, result.stdout) == (0, f"60 rows of 1 file → {tmp_path / 's.parquet'}\n")
    assert jobs.nms(tmp_path / "s.parquet") == unsorted
    assert read_record(tmp_path / "s.parquet")["categories"] == {"1": "cat"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"image_column": "image"}, "'image'"),
        ({"image_column": "exact"}, "expected integers or strings in column 'exact'"),
        ({"memory": "much"}, "expected an amount of memory as 2GB or 512MiB, got 'much'"),
    ],
)
def test_what_can_not_be_sorted_is_told_in_a_sentence(tmp_path: Path, change: dict[str, Any], says: str) -> None:
    pq.write_table(table(20), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=says):
        jobs.sort(tmp_path / "a.parquet", tmp_path / "out.parquet", **change)
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_null_ids_other_columns_and_inputs_as_outputs_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image_id": [3, None, 1]}), tmp_path / "null.parquet")
    pq.write_table(pa.table({"image_id": [3], "more": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="got a null"):
        jobs.sort(tmp_path / "null.parquet", tmp_path / "out.parquet")
    with pytest.raises(InputError, match=r"other\.parquet, got 'more' too: write all files alike"):
        jobs.sort([tmp_path / "null.parquet", tmp_path / "other.parquet"], tmp_path / "out.parquet")
    with pytest.raises(InputError, match="choose another output path"):
        jobs.sort(tmp_path / "other.parquet", tmp_path / "other.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null.parquet", "other.parquet"]


@pytest.mark.slow
def test_sorting_spills_where_memory_ends(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ids = rng.permutation(1_500_000)
    rows = pa.table({"image_id": ids, **{name: rng.random(len(ids)) for name in "ab"}})
    pq.write_table(rows, tmp_path / "a.parquet")
    jobs.sort(tmp_path / "a.parquet", tmp_path / "b.parquet", memory="64MB")
    got = pq.read_table(tmp_path / "b.parquet")
    np.testing.assert_array_equal(got["image_id"].to_numpy(), np.arange(len(ids)))
    np.testing.assert_array_equal(got["a"].to_numpy()[ids], rows["a"].to_numpy())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.parquet", "b.parquet"]


SPILLING = """
import sys
from fastbox.tables import sorted_runs
from fastbox.storage.backed import Scratch
from fastbox import jobs
sorted_runs._RUN_BYTES = 10_000
scratch = Scratch()
scratch.join("kept")
class Waiting(sorted_runs.SortedRuns):
    def merged(self):
        print("spilled", flush=True)
        sys.stdin.read()
        yield from super().merged()
import fastbox.tables.sort
fastbox.tables.sort.SortedRuns = Waiting
jobs.sort(sys.argv[1], sys.argv[2], memory="1MiB")
"""


@pytest.mark.slow
def test_what_a_killed_sorter_left_is_removed_by_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fcntl")
    monkeypatch.setattr(sorted_runs, "_RUN_BYTES", 10_000)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    pq.write_table(table(40_000), tmp_path / "t.parquet")

    def left() -> list[str]:
        return sorted(path.name for path in (*tmp_path.glob(".fastbox-sort-*"), *tmp_path.glob("tmp/*")))

    def started() -> subprocess.Popen[str]:
        words = [sys.executable, "-c", SPILLING, str(tmp_path / "t.parquet"), str(tmp_path / "other.parquet")]
        program = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert program.stdout is not None and program.stdout.readline() == "spilled\n"
        return program

    killed = started()
    killed.kill()
    killed.communicate()
    assert len(left()) == 2
    running = started()
    mine = left()
    assert len(mine) == 2
    Scratch().join("removed")
    jobs.sort(tmp_path / "t.parquet", tmp_path / "out.parquet", memory="1MiB")
    assert left() == mine
    running.communicate("")
    assert running.returncode == 0 and left() == []
    one, two = (pq.read_table(tmp_path / f"{name}.parquet")["row"] for name in ("other", "out"))
    assert one.equals(two)


def test_check_says_what_is_not_sorted_and_exits_so(tmp_path: Path) -> None:
    boxes = [[0.0, 0, 1, 1]] * 6
    pq.write_table(pa.table({"image_id": [1, 1, 2, 2, 2, 3], "bbox": boxes}), tmp_path / "a.parquet", row_group_size=2)
    pq.write_table(pa.table({"image_id": [3, 3, 4, 5, 6, 7], "bbox": boxes}), tmp_path / "b.parquet", row_group_size=2)
    good = CliRunner().invoke(main, ["plan", str(tmp_path), "--fragment-rows", "4", "--json"])
    assert good.exit_code == 0
    found = json.loads(good.stdout)
    assert found["inputs"][0]["in_two_files"] == [3]
    assert found["ready"]
    assert len(found["fragments"]) == 3
    pq.write_table(pa.table({"image_id": [9, 8, 1, 5, 6, 7], "bbox": boxes}), tmp_path / "c.parquet", row_group_size=2)
    bad = CliRunner().invoke(main, ["plan", str(tmp_path)])
    assert bad.exit_code == 1
    assert "not sorted by image" in bad.stdout
    assert "c.parquet, row 2: 1 after 9" in bad.stdout
    assert f"sort it: `fastbox sort {tmp_path} -o sorted.parquet`" in bad.stdout
    by_name = tmp_path / "by name.parquet"
    pq.write_table(pa.table({"shot": [2, 1], "image_id": [1, 2], "bbox": boxes[:2]}), by_name)
    bad = CliRunner().invoke(main, ["plan", str(by_name), "--image-column", "shot"])
    assert f"sort it: `fastbox sort '{by_name}' --image-column shot -o sorted.parquet`" in bad.stdout


@given(
    st.lists(st.integers(0, 6), max_size=60)
    | st.lists(st.text(max_size=2), max_size=60)
    | st.lists(st.integers(0, 2**64 - 1), max_size=60),
    st.integers(1, 200),
    st.integers(1, 9),
    st.integers(0, 400),
)
def test_sorted_runs_are_a_stable_sort(ids: list[Any], limit: int, rows: int, kept: int) -> None:
    kind = pa.string() if ids and isinstance(ids[0], str) else pa.uint64()
    table = pa.table({"row": pa.array(range(len(ids)), pa.int32()), "id": pa.array(ids, kind)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_runs, "_RUN_BYTES", limit)
        patch.setattr(sorted_runs, "_LEAST_ROWS", 1)
        patch.setattr(sorted_runs, "_BLOCKS", rows)
        with sorted_runs.SortedRuns(1, max(kept, 2 * limit if kept % 2 else kept), None) as runs:
            for batch in table.to_batches(max_chunksize=rows):
                runs.add(batch)
            found = [row for some in runs.merged() for row in some["row"].to_pylist()]
    assert found == sorted(range(len(ids)), key=lambda k: ids[k].encode() if isinstance(ids[k], str) else ids[k])


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string(), pa.dictionary(pa.int32(), pa.string())])
@pytest.mark.parametrize("group", [2, 100])
def test_check_is_right_whatever_footers_tell(tmp_path: Path, kind: pa.DataType, group: int) -> None:
    def table_of(*ids: int) -> pa.Table:
        given = pa.array(ids) if pa.types.is_integer(kind) else pa.array([f"{k:03}" for k in ids])
        return pa.table({"image_id": given.cast(kind), "bbox": [[0.0, 0, 1, 1]] * len(ids)})

    path = tmp_path / "t.parquet"
    for statistics in (True, False):
        pq.write_table(table_of(1, 2, 2, 3, 5, 8), path, row_group_size=group, write_statistics=statistics)
        found = jobs.plan(path)
        assert (found.ready, found.inputs[0]["sorted"]) == (True, True)
        assert [str(k).lstrip("0") for k in found.inputs[0]["images"]] == ["1", "8"]
        for ids, row in (((1, 3, 2, 4, 5, 6), 2), ((1, 2, 4, 5, 6, 3), 5), ((2, 1, 2, 3, 4, 5), 1)):
            pq.write_table(table_of(*ids), path, row_group_size=group, write_statistics=statistics)
            found = jobs.plan(path)
            assert (found.ready, found.inputs[0]["sorted"]) == (False, False)
            assert found.inputs[0]["unsorted"][0]["row"] in (row, row // group * group)


def test_check_refuses_an_id_that_is_null(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image_id": [1, None, 2], "bbox": [[0.0, 0, 1, 1]] * 3}), tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"an image id in column 'image_id' of .* at row 1, got null"):
        jobs.plan(tmp_path / "t.parquet")
