"""Files as chunks of whole images: any cut of files, row groups and batches gives the images of a naive join."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastbox.errors import InputError
from fastbox.tables import files, source
from fastbox.tables.footers import check_footer
from fastbox.tables.source import Chunk, Source, count_rows, find_files, open_parquet, plan, read_batches, scan

CORNERS = ("xmin", "ymin", "xmax", "ymax")
Joined = list[tuple[Any, list[list[float]], list[list[float]]]]


def boxes_of(ids: Sequence[Any], kind: pa.DataType | None = None, **more: Any) -> pa.Table:
    """A table whose box i is (i, 0, i + 1, 1): every row can be told from every other."""
    left = np.arange(len(ids), dtype=np.float32)
    quads = {"xmin": left, "ymin": left * 0, "xmax": left + 1, "ymax": left * 0 + 1}
    kind = kind or (pa.string() if any(isinstance(i, str) for i in ids) else pa.int64())
    return pa.table({"image_id": pa.array(list(ids), kind), **quads, **more})


def write(path: Path, table: pa.Table, group: int | None = None, parts: int = 1) -> Path:
    """Write a table to one file, or to several in a directory."""
    if parts == 1:
        pq.write_table(table, path, row_group_size=group)
        return path
    path.mkdir()
    cuts = np.linspace(0, len(table), parts + 1).astype(int)
    for k in range(parts):
        part = table.slice(cuts[k], cuts[k + 1] - cuts[k])
        pq.write_table(part, path / f"part-{k:03}.parquet", row_group_size=group)
    return path


def naive(a: pa.Table, b: pa.Table | None = None) -> Joined:
    """Join row by row with dictionaries."""
    grouped: list[dict[Any, list[list[float]]]] = []
    for table in (a, b):
        images: dict[Any, list[list[float]]] = {}
        for row in [] if table is None else table.to_pylist():
            images.setdefault(row["image_id"], []).append([row[name] for name in CORNERS])
        grouped.append(images)
    return [(i, grouped[0].get(i, []), grouped[1].get(i, [])) for i in sorted({**grouped[0], **grouped[1]})]


def joined(chunks: Iterator[Chunk]) -> Joined:
    """Take chunks apart image by image, checking that they are sound."""
    found: Joined = []
    starts = [0, 0]
    for chunk in chunks:
        assert chunk.images is not None and chunk.images.dtype.kind in "iU"
        assert (chunk.a_start, chunk.b_start) == tuple(starts)
        parts: list[list[list[list[float]]]] = []
        for k, (boxes, columns) in enumerate(((chunk.a, chunk.a_columns), (chunk.b, chunk.b_columns))):
            if boxes is None or columns is None:
                parts.append([[]] * len(chunk.images))
                continue
            assert boxes.images is chunk.images and boxes.offsets is not None
            assert len(boxes.offsets) == len(chunk.images) + 1
            assert boxes.offsets[0] == 0 and boxes.offsets[-1] == len(boxes) == columns.num_rows
            starts[k] += len(boxes)
            parts.append([one.corners().tolist() for one in boxes])
        found.extend(zip(chunk.images.tolist(), *parts, strict=True))
    return found


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "_LEAST_BATCH", 3)


@pytest.fixture
def tables() -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(3)
    return boxes_of(np.sort(rng.integers(0, 60, 300)).tolist()), boxes_of(np.sort(rng.integers(20, 90, 500)).tolist())


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


def test_files_are_found(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    for path in (deep / "2.parquet", deep.parent / "1.parquet", deep.parent / "note.txt", deep / ".hidden.parquet"):
        path.touch()
    odd = tmp_path / "odd[1].parquet"
    odd.touch()
    assert find_files(deep.parent) == [str(deep.parent / "1.parquet"), str(deep / "2.parquet")]
    assert find_files(str(deep.parent)) == find_files(f"{tmp_path}/a/**/*.parquet")
    assert find_files(odd) == find_files([odd]) == [str(odd)]
    assert find_files([deep, odd]) == [str(deep / "2.parquet"), str(odd)]
    (tmp_path / "empty").mkdir()
    for nothing, message in ((tmp_path / "empty", "directory"), (f"{tmp_path}/*.nope", "match"), ([], "empty list")):
        with pytest.raises(InputError, match=message):
            find_files(nothing)


def test_rows_are_counted_by_the_footers(tmp_path: Path) -> None:
    path = write(tmp_path / "t", boxes_of([1] * 10), 3, 3)
    assert count_rows(path) == 10
    assert count_rows([path, write(tmp_path / "u", boxes_of([1] * 10))]) == 20


def damaged(path: Path) -> Path:
    """A file whose footer is whole and whose pages are not."""
    rng = np.random.default_rng(0)
    pq.write_table(boxes_of([1] * 50_000, noise=rng.random(50_000)), path, row_group_size=20_000)
    place = pq.ParquetFile(path).metadata.row_group(1).column(1).data_page_offset
    data = bytearray(path.read_bytes())
    data[place : place + 400] = b"\xff" * 400
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"an empty file \(0 bytes\)"),
        (b"x", "which is not Parquet"),
        (b"image_id,xmin,ymin\n1,2,3\n", "which is not Parquet"),
        (b"PAR1" + b"\0" * 100, r"truncated \(its footer is missing\)"),
        (b"PAR1" + b"\xff" * 100 + b"\x08\0\0\0PAR1", "damaged footer"),
    ],
)
def test_what_is_no_parquet_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.parquet"
    path.write_bytes(content)
    for read in (
        open_parquet,
        count_rows,
        scan,
        read_batches,
        lambda p: scan(write(tmp_path / "ok", boxes_of([1])), p),
    ):
        with pytest.raises(InputError, match=rf"bad\.parquet.*{message}|{message}.*bad\.parquet") as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", boxes_of([1] * 1000))
    whole = path.read_bytes()
    for keep in (len(whole) // 2, len(whole) - 1, 5):
        path.write_bytes(whole[:keep])
        with pytest.raises(InputError, match=r"t\.parquet truncated .*: copy or write it again"):
            scan(path)


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"got no file .*gone\.parquet"):
        scan(tmp_path / "gone.parquet")
    with pytest.raises(InputError, match="got the directory"):
        open_parquet(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="got no file"):
        scan(tmp_path / "file" / "below.parquet")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden_files_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "t.parquet", boxes_of([1]))
    path.chmod(0)
    with pytest.raises(InputError, match="readable"):
        scan(path)


def test_damaged_pages_are_named(tmp_path: Path) -> None:
    path = damaged(tmp_path / "t.parquet")
    with pytest.raises(InputError, match=r"rows from \d+ on in .*t\.parquet, got damaged data"):
        list(scan(path))
    with pytest.raises(InputError, match=r"rows from \d+ on in .*t\.parquet, got damaged data"):
        list(read_batches(path))


@pytest.mark.parametrize(
    ("table", "ask", "message"),
    [
        (boxes_of([1]).rename_columns(["image", *CORNERS]), {}, r"'image_id' in .*t\.parquet.*did you mean 'image'"),
        (boxes_of([1]).rename_columns(["image_id", "xmn", *CORNERS[1:]]), {}, r"t\.parquet, got no xmin .*'xmn'"),
        (boxes_of([1]), {"columns": ("score",)}, r"a column 'score' in .*t\.parquet"),
        (boxes_of([1]), {"columns": ("xmim",)}, r"did you mean 'xmin'"),
        (boxes_of([1]), {"boxes": "bbox"}, r"a column 'bbox' in .*t\.parquet"),
        (boxes_of([1]), {"format": "nope"}, r"a format of xyxy"),
        (boxes_of([1]), {"format": "rel_xyxy"}, r"pixels in .*t\.parquet, got format 'rel_xyxy'"),
        (
            boxes_of([1]).set_column(1, "xmin", pa.array(["a"])),
            {},
            r"numbers in column 'xmin' of .*t\.parquet, got string",
        ),
        (
            boxes_of([1]).set_column(1, "xmin", pa.array([True])),
            {},
            r"numbers in column 'xmin' of .*t\.parquet, got bool",
        ),
        (
            boxes_of([1]).set_column(0, "image_id", pa.array([1.0])),
            {},
            r"integers or strings in column 'image_id' of .*t\.p",
        ),
    ],
)
def test_bad_columns_are_named_before_reading(
    tmp_path: Path, table: pa.Table, ask: Mapping[str, Any], message: str
) -> None:
    path = write(tmp_path / "t.parquet", table)
    with pytest.raises(InputError, match=message):
        scan(Source(path, **ask))


def test_files_that_differ_are_named_before_reading(tmp_path: Path) -> None:
    first = boxes_of([1, 2], score=[0.5, 0.5])
    double = first.set_column(1, "xmin", pa.array([0.0, 1.0], pa.float64()))
    others = {
        r"float32 for the coordinates of .*b\.parquet, as in .*a\.parquet, got float64": double,
        r"integer for column 'image_id' of .*b\.parquet, .* got string": boxes_of(["a", "b"], score=[0.5, 0.5]),
        r"double for column 'score' of .*b\.parquet, .* got int64": boxes_of([3, 4], score=[1, 2]),
        r"a column 'score' in .*b\.parquet": boxes_of([3, 4]),
        r"flat xmin, ymin, xmax, ymax in xyxy for the boxes of .*b\.parquet, .* got flat x, y, w, h in xywh": (
            first.rename_columns(["image_id", "x", "y", "w", "h", "score"])
        ),
    }
    write(tmp_path / "a.parquet", first)
    for message, other in others.items():
        write(tmp_path / "b.parquet", other)
        with pytest.raises(InputError, match=message):
            scan(Source(tmp_path, columns=("score",)))


def test_ids_of_two_kinds_are_refused(tmp_path: Path) -> None:
    a, b = write(tmp_path / "a", boxes_of([1, 2])), write(tmp_path / "b", boxes_of(["1", "2"]))
    with pytest.raises(InputError, match=r"integer ids in column 'image_id' of .*a and string ids .* of .*b: cast one"):
        scan(a, b)
    with pytest.raises(InputError, match="one kind in both tables"):
        scan(a, Source(a, image=None))


def test_unsorted_ids_are_named_with_file_and_row(tmp_path: Path) -> None:
    ids = [1, 1, 2, 2, 3, 3, 4, 2, 5]
    path = write(tmp_path / "t.parquet", boxes_of(ids), 2)
    for rows in (1, 7, 1000):
        with pytest.raises(
            InputError, match=r"'image_id' of .*t\.parquet at row 7, got 2 after 4: sort it with `jobs.sort\("
        ):
            list(scan(path, rows=rows))
    write(tmp_path / "u.parquet", boxes_of(["z", "b"]))
    with pytest.raises(InputError, match=r"u\.parquet at row 1, got 'b' after 'z'"):
        list(scan(tmp_path / "u.parquet"))


def test_ids_must_go_on_ascending_across_files(tmp_path: Path) -> None:
    write(tmp_path / "1.parquet", boxes_of([1, 5]))
    write(tmp_path / "2.parquet", boxes_of([5, 6]))
    write(tmp_path / "3.parquet", boxes_of([4, 7]))
    assert [i for i, _, _ in joined(scan([tmp_path / "1.parquet", tmp_path / "2.parquet"]))] == [1, 5, 6]
    with pytest.raises(InputError, match=r"3\.parquet at row 0, got 4 after 6"):
        list(scan(tmp_path))


def test_nulls_are_named_with_file_and_row(tmp_path: Path) -> None:
    column = pa.array([0.0] * 25 + [None] + [0.0] * 4, pa.float32())
    path = write(tmp_path / "t.parquet", boxes_of([1] * 30).set_column(2, "ymin", column), 8)
    with pytest.raises(InputError, match=r"a number in column 'ymin' of .*t\.parquet at row 25, got null"):
        list(scan(path, rows=4))
    path = write(tmp_path / "u.parquet", boxes_of([1] * 9 + [None]))
    with pytest.raises(InputError, match=r"an image id in column 'image_id' of .*u\.parquet at row 9, got null"):
        list(scan(path, rows=4))


def test_chunks_need_rows() -> None:
    with pytest.raises(ValueError, match="rows of 1 or more, got 0"):
        scan("any", rows=0)


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


def test_batches_need_files_that_agree(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", boxes_of([1]))
    write(tmp_path / "b.parquet", boxes_of(["a"]))
    with pytest.raises(InputError, match=r"int64 in column 'image_id' of .*b\.parquet, as in .*a\.parquet, got string"):
        read_batches(tmp_path)
    assert len(list(read_batches(tmp_path, ["xmin"]))) == 2
    with pytest.raises(InputError, match="did you mean 'xmin'"):
        read_batches(tmp_path, ["xmn"])


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("fastbox-reader")]


@pytest.fixture
def no_readers() -> None:
    """Let go of what tests before have left to be collected."""
    gc.collect()
    assert not readers()


@pytest.mark.usefixtures("no_readers")
def test_closing_stops_the_reader(tmp_path: Path) -> None:
    path = write(tmp_path / "t", boxes_of(list(range(1000))), 10)
    chunks = scan(path, rows=5)
    next(chunks)
    assert len(readers()) == 1
    chunks.close()
    assert not readers()
    for chunk in scan(path, rows=5):
        del chunk
        break
    gc.collect()
    assert not readers()
    assert list(chunks) == []


@pytest.mark.usefixtures("no_readers")
def test_an_error_in_the_reader_comes_through_and_ends_it() -> None:
    closed = []

    def items() -> Generator[int]:
        try:
            yield 1
            raise RuntimeError("broken")
        finally:
            closed.append(True)

    stream = files.ahead(items())
    assert next(stream) == 1
    with pytest.raises(RuntimeError, match="broken"):
        next(stream)
    assert closed and not readers()


def test_a_footer_that_was_looked_at_keeps_nobody_who_asked(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"objects": [{"score": 1.0}, {"score": 2.0}]}), path)

    def ask() -> weakref.ref[threading.Event]:
        held = threading.Event()
        with pq.ParquetFile(path) as file:
            check_footer(str(path), file.metadata, "objects")
        return weakref.ref(held)

    held = ask()
    gc.collect()
    assert held() is None


def test_one_item_is_made_ahead_and_no_more() -> None:
    made = []
    gate = threading.Semaphore(0)

    def items() -> Generator[int]:
        for i in range(5):
            made.append(i)
            gate.release()
            yield i

    stream = files.ahead(items())
    assert next(stream) == 0
    gate.acquire(timeout=5)
    gate.acquire(timeout=5)
    assert made == [0, 1]
    assert list(stream) == [1, 2, 3, 4]


def test_an_interrupt_while_the_reader_starts_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's pool does not know a thread that was started when the interrupt came."""
    running, closed = threading.Event(), []

    class Pool:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def submit(self, step: Any) -> None:
            threading.Thread(target=step).start()
            assert running.wait(60)
            raise KeyboardInterrupt

        def shutdown(self, **_: Any) -> None: ...

    def items() -> Generator[int]:
        try:
            running.set()
            time.sleep(0.2)
            yield 1
        finally:
            closed.append(True)

    monkeypatch.setattr(files, "ThreadPoolExecutor", Pool)
    with pytest.raises(KeyboardInterrupt):
        next(files.ahead(items()))
    assert closed == [True]


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 3_000_000
    noise = {name: rng.random(n, dtype=np.float32) for name in CORNERS}
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image_id": np.arange(n) // 8, **noise}), path, row_group_size=n)
    program = (
        "import sys, pyarrow as pa\nfrom fastbox.tables.source import scan\n"
        "total = sum(len(chunk.a) for chunk in scan(sys.argv[1], rows=50_000))\n"
        "print(total, pa.default_memory_pool().max_memory() >> 20)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    total, most = map(int, done.stdout.split())
    assert total == n
    assert most < 30 < path.stat().st_size >> 20


def test_a_real_dataset_is_joined() -> None:
    data = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not data.is_dir():
        pytest.skip("no ../shared/data beside the checkout")
    truths, detections = data / "coco_val2017_gt.parquet", data / "coco_val2017_dets_12models.parquet"
    sums = [0, 0]
    for chunk in scan(truths, Source(detections, columns=("run", "score")), rows=50_000):
        assert chunk.b is not None
        sums = [sums[0] + len(chunk.a), sums[1] + len(chunk.b)]
    assert sums == [36_781, 332_530]
    with pytest.raises(InputError, match=r"expected columns of boxes in .*images\.parquet"):
        scan(data / "coco_val2017_images.parquet")
