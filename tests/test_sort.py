"""`fastbox sort` and `fastbox check`: tables in the order of their images, and how one knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fastbox import InputError, jobs
from fastbox.cli import main
from fastbox.tables.sink import Sink, read_record


def table(n: int, seed: int = 0, strings: bool = False) -> pa.Table:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, n // 4 + 1, n)
    return pa.table(
        {
            "image_id": pa.array([f"é{k}" for k in ids] if strings else ids),
            "bbox": pa.FixedSizeListArray.from_arrays(pa.array(rng.random(4 * n, np.float32)), 4),
            "label": pa.array(rng.choice(["cat", "dog", "a'b\"c"], n)).dictionary_encode(),
            "big": pa.array([2**64 - 1 - k for k in range(n)], pa.uint64()),
            "exact": pa.array(range(n)).cast(pa.decimal128(22, 3)),
            "half": pa.array(rng.random(n).astype(np.float16)),
            "more": pa.array([{"a": k, "b": [float("nan"), -0.0]} for k in range(n)]),
            "when": pa.array(range(n), pa.timestamp("us", "UTC")),
            "filename": pa.array([None if k % 3 else "x" for k in range(n)]),
            "row": np.arange(n) + 1000 * seed,
        }
    )


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
    assert jobs.check(out).ready
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
        ({"by": "image"}, "'image'"),
        ({"by": "exact"}, "expected integers or strings in column 'exact'"),
        ({"memory": "much"}, "expected an amount of memory as 2GB, got 'much'"),
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
    with pytest.raises(InputError, match=r"got others: write all files alike"):
        jobs.sort([tmp_path / "null.parquet", tmp_path / "other.parquet"], tmp_path / "out.parquet")
    with pytest.raises(InputError, match="no input"):
        jobs.sort(tmp_path / "other.parquet", tmp_path / "other.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["null.parquet", "other.parquet"]


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


def test_check_says_what_is_not_sorted_and_exits_so(tmp_path: Path) -> None:
    boxes = [[0.0, 0, 1, 1]] * 6
    pq.write_table(pa.table({"image_id": [1, 1, 2, 2, 2, 3], "bbox": boxes}), tmp_path / "a.parquet", row_group_size=2)
    pq.write_table(pa.table({"image_id": [3, 3, 4, 5, 6, 7], "bbox": boxes}), tmp_path / "b.parquet", row_group_size=2)
    good = CliRunner().invoke(main, ["check", str(tmp_path), "--fragment-rows", "4", "--json"])
    assert good.exit_code == 0
    found = json.loads(good.stdout)
    assert found["inputs"][0]["in_two_files"] == [3]
    assert found["ready"]
    assert len(found["fragments"]) == 3
    pq.write_table(pa.table({"image_id": [9, 8, 1, 5, 6, 7], "bbox": boxes}), tmp_path / "c.parquet", row_group_size=2)
    bad = CliRunner().invoke(main, ["check", str(tmp_path)])
    assert bad.exit_code == 1
    assert "not sorted by image" in bad.stdout
    assert "c.parquet, row 2: 1 after 9" in bad.stdout
    assert "fastbox sort" in bad.stdout
