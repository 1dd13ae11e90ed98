"""Files and columns that cannot be read are named before reading, with file and row."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.box_columns import CORNERS
from support.joins import boxes_of, joined, write

from fastbox.datasets.scan import scan
from fastbox.errors import InputError
from fastbox.storage.locate import find_files
from fastbox.storage.opened import open_parquet
from fastbox.tables.columns import read_batches
from fastbox.tables.files import count_rows
from fastbox.tables.source import Source

pytestmark = pytest.mark.usefixtures("small_batches")


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


def test_batches_need_files_that_agree(tmp_path: Path) -> None:
    write(tmp_path / "a.parquet", boxes_of([1]))
    write(tmp_path / "b.parquet", boxes_of(["a"]))
    with pytest.raises(InputError, match=r"int64 in column 'image_id' of .*b\.parquet, as in .*a\.parquet, got string"):
        read_batches(tmp_path)
    assert len(list(read_batches(tmp_path, ["xmin"]))) == 2
    with pytest.raises(InputError, match="did you mean 'xmin'"):
        read_batches(tmp_path, ["xmn"])
