"""Sorted tables keep every column: names, types and order of columns of any kind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.sorting import table

from fastbox import jobs
from fastbox.fragments import spread
from fastbox.tables import sorted_runs

NAMES = [
    *(
        "file_row_number",
        "file_index",
        "filename",
        "rowid",
        "row",
        "c0",
        "c1",
        "key",
        "Key",
        "KEY",
        "image_ID",
        "Image_id",
    ),
    *(
        'a"b',
        "a'b",
        "a.b",
        "a",
        "",
        " ",
        "*",
        "[x]",
        "ü",
        "select",
        "; DROP TABLE t",
        "meta.id",
        "\n",
        "0",
        "image_id.x",
    ),
]


def plain_order(ids: list[Any]) -> list[int]:
    return sorted(range(len(ids)), key=lambda k: ids[k])


@pytest.mark.parametrize("spilled", [False, True])
def test_columns_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spilled: bool) -> None:
    if spilled:
        monkeypatch.setattr(sorted_runs, "_RUN_BYTES", 20_000)
        monkeypatch.setattr(sorted_runs, "_LEAST_ROWS", 7)
    rng = np.random.default_rng(3)
    n = 2000
    columns = {name: pa.array(rng.integers(0, 1000, n)) for name in NAMES}
    columns |= {"image_id": pa.array(rng.integers(0, 50, n)), "meta": pa.array([{"id": f"{k}"} for k in range(n)])}
    columns |= {"number": pa.array(np.arange(n))}
    rows = pa.table(columns)
    pq.write_table(rows, tmp_path / "t.parquet", row_group_size=300)
    jobs.sort(tmp_path / "t.parquet", tmp_path / "out.parquet", memory="1MiB" if spilled else None)
    order = plain_order(columns["image_id"].to_pylist())
    assert pq.read_table(tmp_path / "out.parquet").equals(rows.take(order))
    assert sorted(os.listdir(tmp_path)) == ["out.parquet", "t.parquet"]


def test_two_columns_may_have_one_name(tmp_path: Path) -> None:
    ids, first, second = pa.array([3, 1, 2]), pa.array([0.5, 1.5, 2.5]), pa.array(["a", "b", "c"])
    rows = pa.Table.from_arrays([first, ids, second], ["twice", "image_id", "twice"])
    pq.write_table(rows, tmp_path / "t.parquet")
    jobs.sort(tmp_path / "t.parquet", tmp_path / "out.parquet")
    assert pq.ParquetFile(tmp_path / "out.parquet").read().equals(rows.take([1, 2, 0]))


@pytest.mark.parametrize(
    "name",
    [
        "a[1].parquet",
        "what?.parquet",
        "all*.parquet",
        "{a,b}.parquet",
        "a'b.parquet",
        "day=1/a.parquet",
        "image_id=7/row=8/a.parquet",
    ],
)
def test_files_may_have_any_name(tmp_path: Path, name: str) -> None:
    rows = pa.table({"image_id": [2, 1, 2], "row": [0, 1, 2]})
    for other in (name, "a1.parquet", "whatx.parquet", "allx.parquet", "a.parquet"):
        (tmp_path / "in" / other).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows if other == name else rows.slice(0, 1), tmp_path / "in" / other)
    assert jobs.sort(tmp_path / "in" / name, tmp_path / "out.parquet") == {"rows": 3, "files": 1}
    assert pq.read_table(tmp_path / "out.parquet").to_pydict() == {"image_id": [1, 2, 2], "row": [1, 0, 2]}
    assert pq.read_schema(tmp_path / "out.parquet").names == ["image_id", "row"]


def of_types(n: int) -> pa.Table:
    """A column of every type that a Parquet file gives back."""
    rng = np.random.default_rng(9)
    texts = [f"a\0é{k % 7}" if k % 5 else None for k in range(n)]
    nested = pa.struct([("x", pa.list_(pa.int8())), ("X", pa.struct([("", pa.string()), ("y", pa.float64())]))])
    arrays: dict[str, Any] = {
        "null": pa.nulls(n),
        "dictionary": pa.array(texts).dictionary_encode(),
        "large": pa.array(texts, pa.large_string()),
        "view": pa.array(texts, pa.string_view()),
        "binary": pa.array([bytes([k % 256, 255]) for k in range(n)]),
        "fixed": pa.array([bytes([k % 256] * 3) for k in range(n)], pa.binary(3)),
        "wide": pa.array([10**40 + k for k in range(n)], pa.decimal256(60, 0)),
        "exact": pa.array(range(n), pa.decimal128(22, 0)),
        "ns": pa.array(rng.integers(0, 2**62, n), pa.timestamp("ns", "Europe/Berlin")),
        "us": pa.array(range(n), pa.timestamp("us")),
        "date": pa.array(range(n), pa.date32()),
        "time": pa.array(range(n), pa.time64("us")),
        "duration": pa.array(range(n), pa.duration("ns")),
        "map": pa.array([[("k", k), ("k", k + 1)] for k in range(n)], pa.map_(pa.string(), pa.int32())),
        "nested": pa.array(
            [{"x": [k % 100] * (k % 3), "X": {"": str(k), "y": float("nan")}} for k in range(n)], nested
        ),
        "lists": pa.array(
            [None if k % 4 == 0 else [] if k % 4 == 1 else [texts[k]] for k in range(n)], pa.list_(pa.string())
        ),
        "half": pa.array(rng.random(n).astype(np.float16)),
        "float": pa.array(np.where(np.arange(n) % 3, -0.0, np.nan)),
        "bool": pa.array([k % 3 == 0 for k in range(n)]),
        "u64": pa.array([2**64 - 1 - k for k in range(n)], pa.uint64()),
        "inner": pa.StructArray.from_arrays([pa.array(texts).dictionary_encode()], ["x"]),
        "coded": pa.ListArray.from_arrays(pa.array(range(n + 1), pa.int32()), pa.array(texts).dictionary_encode()),
        "fixed lists": pa.array([[str(k), None] for k in range(n)], pa.list_(pa.string_view(), 2)),
        "map of views": pa.array([[("k", str(k))] for k in range(n)], pa.map_(pa.string(), pa.string_view())),
    }
    return pa.table({"image_id": pa.array(rng.integers(0, 40, n))} | arrays)


@pytest.mark.parametrize("spilled", [False, True])
def test_values_of_every_type_come_out_as_they_went_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spilled: bool
) -> None:
    if spilled:
        monkeypatch.setattr(sorted_runs, "_RUN_BYTES", 50_000)
        monkeypatch.setattr(sorted_runs, "_LEAST_ROWS", 50)
    rows = of_types(3000)
    for name, part in (("a", rows[:1700]), ("b", rows[1700:])):
        pq.write_table(part, tmp_path / f"{name}.parquet", row_group_size=400)
    as_read = pa.concat_tables([pq.read_table(tmp_path / f"{name}.parquet") for name in "ab"])
    jobs.sort(
        [tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "out.parquet", memory="1MiB" if spilled else None
    )
    got = pq.read_table(tmp_path / "out.parquet")
    check_rows(got, as_read)


def check_rows(got: pa.Table, given: pa.Table) -> None:
    """Whether these are the rows that were given, by image."""
    assert got.schema.equals(given.schema)
    order = plain_order(given["image_id"].to_pylist())
    for name in given.column_names:
        expected = given[name].to_pylist()
        assert repr(got[name].to_pylist()) == repr([expected[k] for k in order]), name


@pytest.mark.parametrize("unsorted", [False, True])
def test_jobs_carry_values_of_every_type(tmp_path: Path, unsorted: bool) -> None:
    rows = of_types(700)
    if not unsorted:
        rows = rows.set_column(0, "image_id", pa.array(sorted(rows["image_id"].to_pylist())))
    apart = pa.array([[2.0 * k, 0, 2.0 * k + 1, 1] for k in range(len(rows))])
    rows = rows.append_column("bbox", apart).append_column("score", pa.array([0.5] * len(rows)))
    pq.write_table(rows, tmp_path / "t.parquet", row_group_size=100)
    jobs.nms(tmp_path / "t.parquet", tmp_path / "kept.parquet", class_agnostic=True)
    spread(jobs.nms, tmp_path / "t.parquet", out=tmp_path / "parts", fragment_rows=200, class_agnostic=True)
    given = pq.read_table(tmp_path / "t.parquet")
    check_rows(pq.read_table(tmp_path / "kept.parquet"), given)
    check_rows(pa.concat_tables(map(pq.read_table, sorted((tmp_path / "parts").iterdir()))), given)


def test_files_may_have_their_columns_in_any_order(tmp_path: Path) -> None:
    rows = table(60)
    other = rows.select(rows.column_names[::-1])
    strict = pa.schema([field.with_nullable(field.name == "filename") for field in rows.schema])
    given = {"a": rows[:20].cast(strict), "b": other[20:40], "c": rows[40:]}
    (tmp_path / "in").mkdir()
    for name, part in given.items():
        pq.write_table(part, tmp_path / "in" / f"{name}.parquet")
    jobs.sort(tmp_path / "in", tmp_path / "out.parquet")
    check_rows(pq.read_table(tmp_path / "out.parquet"), rows)
    found = [jobs.pairs(tmp_path / name).to_dict() for name in ("in", "out.parquet")]
    assert found[0]["metrics"] == found[1]["metrics"]
