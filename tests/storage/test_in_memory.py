"""Tables in memory are read as the Parquet file with the same groups is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox.storage.backed import Backed
from fastbox.storage.in_memory import InMemory
from fastbox.storage.opened import open_parquet
from fastbox.tables.batches import batches_of
from fastbox.tables.columns import read_batches
from fastbox.tables.files import column_names, count_rows, read_whole
from fastbox.tables.footers import row_bytes
from fastbox.tables.fragments import cut
from fastbox.tables.record import read_names, record_entry
from fastbox.tables.source import Source, plan
from fastbox.tables.stream import scan

TABLE = pa.table(
    {
        "image_id": ["a", "a", "b", "c", "c", "c", "d"],
        "xmin": np.arange(7.0),
        "ymin": np.arange(7.0),
        "xmax": np.arange(7.0) + 2,
        "ymax": np.arange(7.0) + 3,
        "category_id": pa.array([1, None, 3, 4, 5, 6, 7], pa.int32()),
    }
)
GROUPS = [TABLE.slice(0, 3), pa.concat_tables([TABLE.slice(3, 1), TABLE.slice(4, 3)])]  # of one and of two chunks
RECORD = record_entry("convert", {"kind": "truths"}, categories={"1": "cat"})


def in_memory(groups: list[Any] = GROUPS) -> Backed:
    held = InMemory(TABLE.schema, groups, RECORD)
    return Backed.of("boxes.json", held, "coco", state=held.state)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = str(tmp_path / "boxes.parquet")
    with pq.ParquetWriter(path, TABLE.schema) as writer:
        for group in GROUPS:
            writer.write_table(group)
        writer.add_key_value_metadata(RECORD)
    return path


def test_all_questions_have_the_answers_of_a_file(file: str) -> None:
    held = in_memory()
    assert column_names(held) == column_names(file)
    assert count_rows(held) == count_rows(file) == 7
    assert read_names(held) == read_names(file) == {"1": "cat"}
    with open_parquet(held) as one, open_parquet(file) as other:
        assert read_whole(one).equals(read_whole(other))
        assert one.read(["ymin"]).equals(other.read(["ymin"]))
        assert one.metadata.num_row_groups == other.metadata.num_row_groups == 2
        assert row_bytes(held, one, ["image_id"]) > 0
        assert row_bytes(held, one, ["xmin"]) == row_bytes(file, other, ["xmin"]) == 0
    own, theirs = (plan(Source(path, columns=("category_id",))) for path in (held, file))
    assert (own.boxes, own.dtype, own.ids, own.columns) == (theirs.boxes, theirs.dtype, theirs.ids, theirs.columns)


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_batches_have_the_rows_of_a_file(file: str, rows: int) -> None:
    for columns in (None, ["category_id", "image_id"]):
        found = [pa.Table.from_batches(batch for _, _, batch in read_batches(p, columns)) for p in (in_memory(), file)]
        assert found[0].equals(found[1])
        assert all(batch.num_rows <= rows for _, batch in batches_of(in_memory(), columns, rows))
    chunks = list(scan(Source(in_memory(), columns=("category_id",)), rows=rows))
    assert np.concatenate([chunk.images for chunk in chunks]).tolist() == ["a", "b", "c", "d"]
    assert np.concatenate([chunk.a.columns[0] for chunk in chunks]).tolist() == list(range(7))
    assert [value for chunk in chunks for value in chunk.a_columns["category_id"].to_pylist()] == [
        1,
        None,
        *range(3, 8),
    ]


def test_ids_come_as_codes_where_a_reader_asks_for_them() -> None:
    with open_parquet(in_memory(), ["image_id"]) as one:
        column = next(one.iter_batches(5, columns=["image_id"])).column("image_id")
    assert pa.types.is_dictionary(column.type)
    assert column.to_pylist() == ["a", "a", "b"]


def test_fragments_are_cut_as_those_of_a_file(file: str) -> None:
    def limits(path: str) -> list[tuple[Any, Any]]:
        return [(part.fragment.low, part.fragment.high) for (part,) in cut([Source(path)], rows=3) if part.fragment]

    assert limits(in_memory()) == limits(file)
    assert len(limits(file)) == 2


def test_the_state_changes_with_the_content() -> None:
    changed = TABLE.set_column(1, "xmin", pa.array([0.0, 1, 2, 3, 4, 5, 6.5]))
    states = [
        in_memory().state,
        in_memory([changed.slice(0, 3), changed.slice(3)]).state,
        InMemory(TABLE.schema, GROUPS, {**RECORD, "more": "x"}).state,
    ]
    assert len(set(states)) == 3
    assert in_memory().state == states[0]


def test_a_table_without_rows_is_empty() -> None:
    held = in_memory([])
    with open_parquet(held) as one:
        assert one.read().num_rows == 0
        assert list(one.iter_batches(10)) == []
    assert list(scan(Source(held))) == []
