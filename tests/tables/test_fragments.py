"""Fragments: cut from footers, with every image in one, and every row in exactly one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastbox import jobs
from fastbox.datasets.scan import scan
from fastbox.errors import InputError
from fastbox.fragments import spread
from fastbox.tables.columns import read_batches
from fastbox.tables.fragments import cut, groups_of
from fastbox.tables.source import Source


def write(path: Path, ids: Any, group: int = 5, start: int = 0, **options: Any) -> Path:
    n = len(ids)
    corners = np.arange(start, start + n)[:, None] + np.array([0.0, 0, 2, 3])
    boxes = pa.FixedSizeListArray.from_arrays(pa.array(corners.reshape(-1)), 4)
    table = pa.table({"image_id": pa.array(ids), "bbox": boxes, "number": np.arange(start, start + n)})
    pq.write_table(table, path, row_group_size=group, **options)
    return path


def rows_of(*sources: Source) -> list[tuple[Any, list[float], list[float]]]:
    """All that scanning gives, image by image: the first box's number with it."""
    found = []
    for chunk in scan(*sources, rows=7):
        a = chunk.a
        b = chunk.b if chunk.b is not None else a
        for k, image in enumerate(chunk.images.tolist()):
            sides = [boxes.corners()[boxes.offsets[k] : boxes.offsets[k + 1], 0].tolist() for boxes in (a, b)]
            b_start = chunk.a_start if chunk.b is None else chunk.b_start
            starts = chunk.a_start + a.offsets[k], b_start + b.offsets[k]
            for side, start in zip(sides, starts, strict=True):
                assert side == list(range(start, start + len(side)))
            found.append((image, *sides))
    return found


@pytest.mark.slow
@given(
    st.lists(st.integers(0, 12), max_size=60).map(sorted),
    st.lists(st.integers(0, 12), max_size=60).map(sorted),
    st.integers(1, 9),
    st.integers(1, 30),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_fragments_of_two_tables_are_the_whole(
    tmp_path_factory: pytest.TempPathFactory, a: list[int], b: list[int], group: int, rows: int, strings: bool
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    kinds = [
        np.array([f"image {k:03d}" for k in ids] if strings else ids, object if strings else np.int64) for ids in (a, b)
    ]
    kind = pa.string() if strings else pa.int64()
    sources = [
        Source(write(folder / f"{name}.parquet", pa.array(ids.tolist(), kind), group))
        for name, ids in zip("ab", kinds, strict=True)
    ]
    parts = [row for fragment in cut(sources, rows) for row in rows_of(*fragment)]
    assert parts == rows_of(*sources)


LETTERS = st.lists(st.text("a\0é", max_size=3), min_size=1, max_size=20)


@pytest.mark.slow
@given(LETTERS.map(sorted), LETTERS.map(sorted), st.integers(1, 6), st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_ids_may_end_in_letters_that_numpy_drops(
    tmp_path_factory: pytest.TempPathFactory, a: list[str], b: list[str], group: int, rows: int
) -> None:
    folder = tmp_path_factory.mktemp("tables")
    one, two = (Source(write(folder / name, ids, group)) for name, ids in (("a", a), ("b", b)))
    images = {image: (a.count(image), b.count(image)) for image in {*a, *b}}
    for fragments in ([(one, two)], cut([one, two], rows)):
        found = [row for sources in fragments for row in rows_of(*sources)]
        assert {image: (len(some), len(others)) for image, some, others in found} == images
        assert len(found) == len(images)
    pq.write_table(pa.table({"image_id": b}), folder / "images")
    whole = jobs.inspect(one, images_table=folder / "images")
    assert spread(jobs.inspect, one, folder / "images", fragment_rows=rows).to_dict() == whole.to_dict()
    assert whole.to_dict()["images"] == len(images)


def test_images_are_whole_over_files(tmp_path: Path) -> None:
    ids = np.repeat([1, 2, 2, 2, 3, 9], 4)
    files = [write(tmp_path / f"{k}.parquet", ids[k * 8 : k * 8 + 8], 3, k * 8) for k in range(3)]
    fragments = cut([Source(files)], rows=4)
    assert len(fragments) == 4
    assert [rows_of(*fragment)[0][0] for fragment in fragments] == [1, 2, 3, 9]
    assert [row for fragment in fragments for row in rows_of(*fragment)] == rows_of(Source(files))


def test_a_ragged_table_is_cut_too(tmp_path: Path) -> None:
    lists = [[[float(k), 0.0, k + 1.0, 1.0] for k in range(first, first + 3)] for first in range(0, 30, 3)]
    lists[4] = []
    flat = [box for boxes in lists for box in boxes]
    for number, box in enumerate(flat):
        box[0] = float(number)
    table = pa.table({"image_id": np.arange(10), "bbox": pa.array(lists, pa.list_(pa.list_(pa.float64())))})
    pq.write_table(table, tmp_path / "ragged.parquet", row_group_size=2)
    source = Source(tmp_path / "ragged.parquet")
    fragments = cut([source], rows=6)
    assert len(fragments) > 2
    assert [row for fragment in fragments for row in rows_of(*fragment)] == rows_of(source)


def test_without_statistics_a_table_is_one_fragment(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", np.arange(50), write_statistics=False)
    (fragment,) = cut([Source(path)], rows=5)
    assert rows_of(*fragment) == rows_of(Source(path))


def test_unsorted_tables_are_refused_and_told_how_to_mend(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [5, 6, 7, 8, 9, 1, 2, 3])
    with pytest.raises(InputError, match=r"ascending ids .* at row 5, got 1 .* after one with 9: .*`jobs.sort\("):
        cut([Source(path)])


def test_an_empty_table_is_one_fragment(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", pa.array([], pa.int64()))
    (fragment,) = cut([Source(path)])
    assert rows_of(*fragment) == []


def test_rows_without_images_are_cut_between_row_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [3, 1, 2] * 10, 4)
    fragments = cut([Source(path, image=None)], rows=8)
    assert [[groups.boxes for groups in source.fragment.groups] for (source,) in fragments] == [[8], [8], [8], [6]]


def ids_of(fragments: list[tuple[Source, ...]]) -> list[list[Any]]:
    return [[i for chunk in scan(part) for i in np.asarray(chunk.images).tolist()] for (part,) in fragments]


def flat(found: list[list[Any]]) -> list[Any]:
    return [one for ids in found for one in ids]


def test_a_flat_column_called_as_the_field_of_a_struct(tmp_path: Path) -> None:
    n = 400
    ids = np.arange(n) // 4
    boxes = [[0.0, 0, 1, 1]] * n
    for order in (("meta", "meta.id", "bbox"), ("meta.id", "meta", "bbox"), ("bbox", "meta", "meta.id")):
        columns: dict[str, Any] = {"meta": [{"id": 7 - k % 3} for k in range(n)], "meta.id": ids, "bbox": boxes}
        path = tmp_path / "t.parquet"
        pq.write_table(pa.table({name: columns[name] for name in order}), path, row_group_size=100)
        source = Source(path, image="meta.id")
        assert [(group.low, group.high) for group in groups_of(source)] == [(0, 24), (25, 49), (50, 74), (75, 99)]
        found = ids_of(cut([source], rows=100))
        assert len(found) == 4 and flat(found) == list(range(100))
        checked = jobs.plan(source)
        assert checked.ready and checked.inputs[0]["images"] == [0, 99] and sum(checked.fragments) == n
        for _, _, batch in read_batches(path, ["bbox", "meta.id"]):
            assert set(batch.schema.names) == {"bbox", "meta.id"}
        struct = pq.read_table(path).select(["meta", "bbox"]) if order[0] == "meta" else None
        if struct is not None:
            pq.write_table(struct, path)
            assert [(group.low, group.high) for group in groups_of(Source(path, image=None))] == [(None, None)]


def test_a_list_of_boxes_beside_columns_called_as_its_inside(tmp_path: Path) -> None:
    rows = {"bbox.list.element": [1] * 6, "image_id": range(6), "bbox": [[[0.0, 0, 1, 1]] * 3] * 6}
    pq.write_table(pa.table({**rows, "image_id": list(range(6))}), tmp_path / "t.parquet", row_group_size=2)
    assert sum(len(chunk.a) for chunk in scan(tmp_path / "t.parquet")) == 18


def patched(path: Path, old: bytes, new: bytes) -> None:
    """Put a text of the same length in the place of one in the footer alone."""
    data = path.read_bytes()
    begin = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    assert len(old) == len(new) and data[begin:].count(old)
    path.write_bytes(data[:begin] + data[begin:].replace(old, new))


def test_bounds_of_texts_may_be_wider_than_the_texts(tmp_path: Path) -> None:
    # As writers that cut long texts off leave them: the least shorter, which is below, the greatest counted up.
    path = tmp_path / "t.parquet"
    name = "a-very-long-folder-of-images/0000000000/image-{:04}.jpg"
    ids = [name.format(k // 2) for k in range(40)]
    pq.write_table(pa.table({"image_id": ids, "bbox": [[0.0, 0, 1, 1]] * 40}), path, row_group_size=10)
    whole = ids_of(cut([Source(path)], rows=10))
    assert len(whole) == 4
    for first in range(0, 20, 5):
        patched(path, name.format(first).encode(), b"a-very-long-folder-of-images/0000000000" + b" " * 15)
        patched(path, name.format(first + 4).encode(), b"a-very-long-folder-of-images/0000000000" + b"~" * 15)
    assert flat(ids_of(cut([Source(path)], rows=10))) == flat(whole)


def test_ids_that_the_footer_does_not_know_of_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    ids = [f"image-{k // 2:04}" for k in range(40)]
    pq.write_table(pa.table({"image_id": ids, "bbox": [[0.0, 0, 1, 1]] * 40}), path, row_group_size=10)
    patched(path, b"image-0009", b"image-0005")
    with pytest.raises(
        InputError, match=r"from 'image-0005' to 'image-0005' in column 'image_id' of .* at row 19"
    ) as caught:
        ids_of(cut([Source(path)], rows=10))
    assert "write the file again" in str(caught.value)


@pytest.mark.parametrize("kind", ["uint8", "uint32", "uint64", "int8", "int64"])
def test_statistics_have_the_order_of_their_type(kind: str, tmp_path: Path) -> None:
    limits = np.iinfo(kind)
    most = min(int(limits.max), 2**63 - 1)
    least = max(int(limits.min), -(2**62))
    ids = pa.array([least + (most - least) * k // 11 for k in range(12)], pa.type_for_alias(kind))
    pq.write_table(pa.table({"image_id": ids, "bbox": [[0.0, 0, 1, 1]] * 12}), tmp_path / "t.parquet", row_group_size=3)
    found = ids_of(cut([Source(tmp_path / "t.parquet")], rows=3))
    assert len(found) == 4 and flat(found) == ids.to_pylist()
