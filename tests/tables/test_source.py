"""Files as chunks of whole images: any cut of files, row groups and batches gives the images of a naive join."""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.box_columns import CORNERS
from support.joins import boxes_of, joined, write

from fastbox.datasets.scan import scan
from fastbox.errors import InputError
from fastbox.tables.columns import read_batches
from fastbox.tables.source import Source, plan

pytestmark = pytest.mark.usefixtures("small_batches")


Joined = list[tuple[Any, list[list[float]], list[list[float]]]]


def naive(a: pa.Table, b: pa.Table | None = None) -> Joined:
    """Join row by row with dictionaries."""
    grouped: list[dict[Any, list[list[float]]]] = []
    for table in (a, b):
        images: dict[Any, list[list[float]]] = {}
        for row in [] if table is None else table.to_pylist():
            images.setdefault(row["image_id"], []).append([row[name] for name in CORNERS])
        grouped.append(images)
    return [(i, grouped[0].get(i, []), grouped[1].get(i, [])) for i in sorted({**grouped[0], **grouped[1]})]


@pytest.fixture
def tables() -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(3)
    return boxes_of(np.sort(rng.integers(0, 60, 300)).tolist()), boxes_of(np.sort(rng.integers(20, 90, 500)).tolist())


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize(("group", "parts"), [(None, 1), (2, 1), (5, 4), (100, 7)])
def test_chunks_are_the_naive_join(
    tmp_path: Path, tables: tuple[pa.Table, pa.Table], rows: int, group: int | None, parts: int
) -> None:
    a, b = (write(tmp_path / name, table, group, parts) for name, table in zip("ab", tables, strict=True))
    assert joined(scan(a, rows=rows)) == naive(tables[0])
    assert joined(scan(a, b, rows=rows)) == naive(*tables)
    assert joined(scan(b, a, rows=rows)) == naive(*tables[::-1])
    assert joined(scan(a, a, rows=rows)) == naive(tables[0], tables[0])


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_chunks_are_about_as_large_as_asked(tmp_path: Path, tables: tuple[pa.Table, pa.Table], rows: int) -> None:
    a, b = (write(tmp_path / name, table) for name, table in zip("ab", tables, strict=True))
    for chunk in scan(a, b, rows=rows):
        assert chunk.b is not None and chunk.images is not None
        assert len(chunk.a) + len(chunk.b) <= rows or len(chunk.images) == 1


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_join_is_the_naive_join(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([pa.int64(), pa.string()]))
    one: st.SearchStrategy[Any] = st.integers(-4, 12) if kind == pa.int64() else st.text("aé😀b", max_size=2)
    folder = tmp_path_factory.mktemp("join")
    tables, paths = [], []
    for name in "ab":
        table = boxes_of(sorted(data.draw(st.lists(one, max_size=40))), kind=kind)
        tables.append(table)
        paths.append(write(folder / name, table, data.draw(st.integers(1, 9)), data.draw(st.integers(1, 4))))
    assert joined(scan(*paths, rows=data.draw(st.integers(1, 60)))) == naive(*tables)


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int16(), pa.string())]
)
def test_string_ids_of_every_kind_join(tmp_path: Path, kind: pa.DataType) -> None:
    tables = [boxes_of(list(ids)) for ids in ("aabbbd", "bccddz")]
    a = tables[0].set_column(0, "image_id", tables[0]["image_id"].cast(kind))
    paths = write(tmp_path / "a", a, 2), write(tmp_path / "b", tables[1], 2)
    for rows in (1, 3, 100):
        assert joined(scan(*paths, rows=rows)) == naive(*tables)


def test_integers_of_any_width_join(tmp_path: Path) -> None:
    tables = [boxes_of(ids) for ids in ([1, 1, 4], [1, 3, 4, 4])]
    for kind in (pa.uint8(), pa.int32(), pa.uint64()):
        a = tables[0].set_column(0, "image_id", tables[0]["image_id"].cast(kind))
        assert joined(scan(write(tmp_path / "a", a), write(tmp_path / "b", tables[1]))) == naive(*tables)


def test_one_large_image_is_one_chunk(tmp_path: Path) -> None:
    table = boxes_of([1] + [2] * 200_000 + [3])
    path = write(tmp_path / "a", table, 10_000, 3)
    chunks = list(scan(path, rows=5000))
    assert [len(chunk.a) for chunk in chunks] == [1, 200_000, 1]
    np.testing.assert_array_equal(chunks[1].a.columns[0], np.arange(1, 200_001))


@pytest.mark.parametrize("layout", ["fixed", "list", "struct", "ragged"])
def test_every_layout_is_scanned(tmp_path: Path, layout: str) -> None:
    table = boxes_of([1, 1, 1, 2, 5, 5, 9], score=np.arange(7.0))
    quads = np.stack([table[name].to_numpy() for name in CORNERS], axis=1)
    if layout == "struct":
        bbox = pa.StructArray.from_arrays([pa.array(quads[:, k].copy()) for k in range(4)], list(CORNERS))
    else:
        kind = pa.list_(pa.float32(), 4) if layout != "list" else pa.list_(pa.float32())
        bbox = pa.array(quads.tolist(), kind)
    other = pa.table({"image_id": table["image_id"], "bbox": bbox, "score": table["score"]})
    if layout == "ragged":
        offsets = pa.array([0, 3, 4, 4, 6, 7], pa.int32())
        lists = [pa.ListArray.from_arrays(offsets, values) for values in (bbox, table["score"].combine_chunks())]
        other = pa.table({"image_id": [1, 2, 4, 5, 9], "bbox": lists[0], "score": lists[1], "name": list("abcde")})
    columns = ("score", "name") if layout == "ragged" else ("score",)
    path = write(tmp_path / "t", other, 2)
    expected = naive(table)
    if layout == "ragged":
        expected.insert(2, (4, [], []))
    for rows in (1, 4, 100):
        assert joined(scan(path, rows=rows)) == expected
        chunks = list(scan(Source(path, columns=columns), rows=rows))
        scores = [score for chunk in chunks for score in chunk.a_columns["score"].to_pylist()]
        assert scores == list(range(7))
        if layout == "ragged":
            assert "".join(n for chunk in chunks for n in chunk.a_columns["name"].to_pylist()) == "aaabdde"


def test_ragged_batches_hold_about_as_many_boxes_as_asked(tmp_path: Path) -> None:
    many = pa.table({"image_id": list(range(50)), "bbox": [[[0.0, 0, 1, 1]] * 100] * 50})
    path = write(tmp_path / "t", many)
    sizes = [len(chunk.a) for chunk in scan(path, rows=500)]
    assert sum(sizes) == 5000 and max(sizes) == 500
    empty = write(tmp_path / "e", many.slice(0, 0))
    assert list(scan(empty)) == []


def test_images_without_any_box_are_there(tmp_path: Path) -> None:
    table = pa.table({"image_id": list(range(9)), "bbox": pa.array([[]] * 9, pa.list_(pa.list_(pa.float32(), 4)))})
    path = write(tmp_path / "t", table, 2)
    assert joined(scan(path, path, rows=2)) == [(i, [], []) for i in range(9)]


def test_columns_are_carried_with_their_rows(tmp_path: Path, tables: tuple[pa.Table, pa.Table]) -> None:
    def carried(table: pa.Table) -> pa.Table:
        number = np.arange(len(table))
        label = pa.array([f"l{i % 5}" for i in number]).dictionary_encode()
        return table.append_column("number", pa.array(number)).append_column("label", label)

    a, b = (write(tmp_path / n, carried(t), 13, 3) for n, t in zip("ab", tables, strict=True))
    of_a, of_b = Source(a, columns=("label", "image_id", "number")), Source(b, columns=("number",))
    for rows in (1, 7, 1000):
        for chunk in scan(of_a, of_b, rows=rows):
            assert chunk.b is not None and chunk.b_columns is not None
            assert chunk.a_columns.schema == plan(of_a).columns
            assert chunk.a_columns["number"].to_pylist() == list(range(chunk.a_start, chunk.a_start + len(chunk.a)))
            assert chunk.a_columns["label"].to_pylist() == [f"l{i % 5}" for i in chunk.a_columns["number"].to_pylist()]
            assert chunk.b_columns["number"].to_pylist() == list(range(chunk.b_start, chunk.b_start + len(chunk.b)))
            np.testing.assert_array_equal(chunk.a.columns[0], chunk.a_columns["number"].to_numpy())


def test_a_chunk_of_one_batch_is_no_copy(tmp_path: Path) -> None:
    path = write(tmp_path / "t", boxes_of(sorted([1, 2, 3, 4] * 25), number=np.arange(100)))
    (chunk,) = scan(Source(path, columns=("number",)), rows=1000)
    assert all(not column.flags.writeable and not column.flags.owndata for column in chunk.a.columns)


def test_prefixes_tell_two_tables_in_one_file(tmp_path: Path) -> None:
    table = boxes_of([1, 1, 2])
    pred = {f"pred_{name}": table[name].to_numpy() + 100 for name in CORNERS}
    path = write(tmp_path / "t", pa.table({**{name: table[name] for name in table.column_names}, **pred}))
    (chunk,) = scan(Source(path, prefix="pred_"), Source(path))
    assert chunk.b is not None
    np.testing.assert_array_equal(chunk.a.columns[0], chunk.b.columns[0] + 100)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_rows_without_images(tmp_path: Path, rows: int) -> None:
    table = boxes_of([5, 1, 3] * 20)
    paths = [write(tmp_path / name, table, group, parts) for name, group, parts in (("a", 4, 1), ("b", 7, 3))]
    sources = [Source(path, image=None, columns=("image_id",)) for path in paths]
    ids: list[int] = []
    for chunk in scan(sources[0], rows=rows):
        assert chunk.images is None and chunk.a.images is None and chunk.a.offsets is not None
        assert chunk.a_start == len(ids) and len(chunk.a) <= rows
        assert chunk.a.offsets.tolist() == [0, len(chunk.a)]
        ids += chunk.a_columns["image_id"].to_pylist()
    assert ids == [5, 1, 3] * 20
    total = 0
    for chunk in scan(*sources, rows=rows):
        assert chunk.b is not None and chunk.a_start == chunk.b_start == total
        np.testing.assert_array_equal(chunk.a.corners(), chunk.b.corners())
        total += len(chunk.a)
    assert total == 60


def test_rows_without_images_must_be_as_many(tmp_path: Path) -> None:
    a, b = (write(tmp_path / f"{n}.parquet", boxes_of([1] * n)) for n in (5, 7))
    for pair in ((a, b), (b, a)):
        with pytest.raises(InputError, match=r"as many boxes in .*7\.parquet as in .*5\.parquet .* than its 5"):
            list(scan(*(Source(path, image=None) for path in pair), rows=4))


def test_empty_tables_give_nothing_or_empty_sides(tmp_path: Path) -> None:
    full = boxes_of(["a", "b", "b"], score=[0.1, 0.2, 0.3])
    none = write(tmp_path / "none", full.slice(0, 0))
    some = write(tmp_path / "some", full)
    with pq.ParquetWriter(tmp_path / "groups", full.schema) as writer:
        for part in (full.slice(0, 0), full.slice(0, 2), full.slice(0, 0), full.slice(2), full.slice(0, 0)):
            writer.write_table(part)
    assert list(scan(none)) == list(scan(none, none)) == list(scan(Source(none, image=None))) == []
    assert joined(scan(tmp_path / "groups", rows=1)) == naive(full)
    also = write(tmp_path / "also", full.slice(0, 0))
    assert joined(scan([none, some, also])) == naive(full)
    (chunk,) = scan(Source(none, columns=("score",)), some)
    assert chunk.a.dtype == np.float32 and chunk.a.offsets is not None and len(chunk.a) == 0
    assert chunk.a.offsets.tolist() == [0, 0, 0]
    assert chunk.a_columns.schema == pa.schema([("score", pa.float64())])
    assert joined(scan(none, some)) == naive(full.slice(0, 0), full)
    assert joined(scan(some, none)) == naive(full, full.slice(0, 0))


def test_the_plan_tells_what_will_come(tmp_path: Path) -> None:
    write(tmp_path / "t", boxes_of(["a", "b", "c"], score=[1, 2, 3]), parts=2)
    found = plan(Source(tmp_path / "t", columns=("score",)))
    assert [os.path.basename(file) for file in found.files] == ["part-000.parquet", "part-001.parquet"]
    assert (found.boxes.names, found.dtype, found.ids) == (CORNERS, np.dtype(np.float32), "string")
    assert found.columns == pa.schema([("score", pa.int64())])


def test_batches_are_the_rows(tmp_path: Path) -> None:
    table = boxes_of(list(range(100)))
    path = write(tmp_path / "t", table, 7, 3)
    batches = list(read_batches(path, ["ymax", "image_id"], rows=10))
    assert set(batches[0][2].schema.names) == {"ymax", "image_id"}
    assert [i for _, _, batch in batches for i in batch["image_id"].to_pylist()] == list(range(100))
    assert max(batch.num_rows for _, _, batch in batches) <= 10
    whole = {file: pq.read_table(file) for file, _, _ in batches}
    for file, first_row, batch in batches:
        assert (
            batch["image_id"].to_pylist() == whole[file]["image_id"][first_row : first_row + batch.num_rows].to_pylist()
        )
    assert {name for _, _, batch in read_batches(path) for name in batch.schema.names} == {"image_id", *CORNERS}


def test_a_source_shows_what_it_reads_alone() -> None:
    names = [name for name in inspect.signature(Source).parameters if name not in ("argument", "rotated")]  # of the job
    shown = ", ".join(f"{name}={getattr(Source('boxes.parquet'), name)!r}" for name in names)
    assert repr(Source("boxes.parquet")) == f"Source({shown})"
