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

from fastbox.errors import InputError
from fastbox.tables.fragments import cut
from fastbox.tables.source import Source, scan


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
    with pytest.raises(InputError, match=r"ascending ids .* at row 5, got 1 .* after one with 9: .*`fastbox sort "):
        cut([Source(path)])


def test_an_empty_table_is_one_fragment(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", pa.array([], pa.int64()))
    (fragment,) = cut([Source(path)])
    assert rows_of(*fragment) == []


def test_rows_without_images_are_cut_between_row_groups(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [3, 1, 2] * 10, 4)
    fragments = cut([Source(path, image=None)], rows=8)
    assert [[run.boxes for run in source.part.runs] for (source,) in fragments] == [[8], [8], [8], [6]]
