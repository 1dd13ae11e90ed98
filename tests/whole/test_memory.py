"""Jobs stay within the memory they are given: chunks shrink, and what can't fit is refused with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.box_columns import CORNERS

import fastbox
from fastbox import AnchorGrid, jobs, memory
from fastbox.anchors.resize import Resize
from fastbox.datasets.scan import scan
from fastbox.errors import InputError
from fastbox.fragments.engines import threads
from fastbox.fragments.run import spread
from fastbox.tables.columns import read_batches
from fastbox.tables.footers import is_fixed
from fastbox.tables.source import Source
from fastbox.tables.widths import GroupEnds

pytestmark = pytest.mark.usefixtures("as_before")


MIB = 1 << 20


def write(path: Path, n: int, images: int = 1) -> Path:
    rng = np.random.default_rng(n)
    corner, side = rng.uniform(0, 30_000, (2, n)).astype(np.float32), rng.uniform(5, 50, (2, n)).astype(np.float32)
    far = corner + side
    table = {
        "image_id": np.arange(n) * images // n,
        "xmin": corner[0],
        "ymin": corner[1],
        "xmax": far[0],
        "ymax": far[1],
    }
    more = {"score": rng.random(n).astype(np.float32), "category_id": np.zeros(n, np.int64)}
    pq.write_table(pa.table(table | more), path, row_group_size=50_000)
    return path


def test_chunks_shrink_to_fit_and_hold_the_same_rows(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", 400_000, images=4_000)

    def chunks() -> list[Any]:
        return list(scan(table))

    large = chunks()
    fastbox.set_memory("512MiB")
    small = chunks()
    most = memory.most_boxes()
    assert len(small) > len(large)
    assert max(len(chunk.a) for chunk in small) <= most // 4 < max(len(chunk.a) for chunk in large)
    for k in range(4):
        both = [np.concatenate([chunk.a.columns[k] for chunk in found]) for found in (large, small)]
        np.testing.assert_array_equal(*both)


def test_an_image_that_can_not_fit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", 500_000)
    fastbox.set_memory("512MiB")
    most = f"{memory.most_boxes():,}"
    for refused in (
        lambda: jobs.nms(table, out=tmp_path / "o.parquet"),
        lambda: jobs.pairs(table, table, threshold=0.9, out=tmp_path / "o.parquet"),
        lambda: jobs.inspect(table, out=tmp_path / "o.parquet"),
        lambda: spread(jobs.nms, table, out=tmp_path / "o"),
    ):
        with pytest.raises(
            InputError, match=rf"images of at most {most} boxes.* in image 0 of .*t\.parquet: allow more"
        ):
            refused()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [table]


def test_what_must_be_kept_is_counted_before_anything_is_read(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", 500_000, images=5_000)
    truths = write(tmp_path / "gt.parquet", 5_000, images=5_000)
    fastbox.set_memory("512MiB")
    said = r"boxes that fit in 512 MiB of memory, got 500,000 boxes, which take about 522 MiB: allow more with set_m"
    with pytest.raises(InputError, match=said):
        jobs.evaluate(table, truths)
    with pytest.raises(InputError, match=said):
        spread(jobs.evaluate, table, truths)


def test_fragments_that_run_side_by_side_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fastbox.fragments.engines.get_num_threads", lambda: 4)
    fastbox.set_memory("4GiB")
    alone = memory.most_boxes()
    assert dict(threads(lambda item: memory.most_boxes(), range(8))) == dict.fromkeys(range(8), alone // 4)
    assert dict(threads(lambda item: memory.most_boxes(), range(2))) == dict.fromkeys(range(2), alone // 2)
    assert memory.most_boxes() == alone


@pytest.mark.slow
def test_what_is_carried_along_makes_chunks_smaller(tmp_path: Path) -> None:
    """However it is stored: long values as they are, or each once in a dictionary."""
    n, plain = 4_000, write(tmp_path / "plain.parquet", 4_000, images=400)
    table = pq.read_table(plain)
    texts = {
        "each its own": [f"{k:04d}" * 1024 for k in range(n)],
        "all the same": ["long" * 1024] * n,
        "in a list": [["long"] * 512] * n,
        "long in the middle": ["long" * (8192 if 1_900 < k < 2_100 else 1) for k in range(n)],
    }
    fastbox.set_memory("512MiB")
    sizes = {"none": max(len(chunk.a) for chunk in scan(plain))}
    for name, values in texts.items():
        pq.write_table(table.append_column("text", pa.array(values)), tmp_path / "t.parquet", row_group_size=500)
        chunks = list(scan(Source(tmp_path / "t.parquet", columns=("text",))))
        sizes[name] = max(len(chunk.a) for chunk in chunks)
        assert [text for chunk in chunks for text in chunk.a_columns.column("text").to_pylist()] == values
    assert sizes.pop("none") == n
    assert max(sizes.values()) < n // 2, sizes


@pytest.mark.slow
def test_what_is_read_row_by_row_comes_in_smaller_batches(tmp_path: Path) -> None:
    table = pq.read_table(write(tmp_path / "plain.parquet", 4_000))
    texts = ["long" * 4096] * len(table)
    pq.write_table(table.append_column("text", pa.array(texts)), tmp_path / "t.parquet")
    fastbox.set_memory("512MiB")
    batches = [batch for _, _, batch in read_batches(tmp_path / "t.parquet")]
    assert max(batch.nbytes for batch in batches) < 32 * MIB
    assert sum(batch.num_rows for batch in batches) == 4_000
    assert [batch.num_rows for _, _, batch in read_batches(tmp_path / "plain.parquet")] == [4_000]


@given(
    lengths=st.lists(st.integers(0, 40) | st.none(), min_size=1, max_size=60),
    cuts=st.lists(st.integers(1, 20), min_size=1, max_size=30),
    kind=st.sampled_from(["text", "list", "struct", "number"]),
)
def test_row_groups_end_at_the_same_rows_however_they_come(
    lengths: list[int | None], cuts: list[int], kind: str
) -> None:
    values: dict[str, Any] = {
        "text": pa.array([None if n is None else "x" * n for n in lengths]),
        "list": pa.array([None if n is None else ["abc"] * (n // 4) for n in lengths], pa.list_(pa.string())),
        "struct": pa.array([{"a": None if n is None else b"x" * n, "b": 1} for n in lengths]),
        "number": pa.array(lengths, pa.int64()),
    }
    table = pa.table({"n": np.arange(len(lengths)), "value": values[kind]})
    wide = [place for place, own in enumerate(table.schema.types) if not is_fixed(own)]
    whole, parted = GroupEnds(wide, 7, 50), GroupEnds(wide, 7, 50)
    expected, found, first = whole.ended_by(table), [], 0
    for cut in [*cuts, len(table)]:
        found += parted.ended_by(table.slice(first, cut))
        first += cut
    assert found == expected
    assert parted.rows == whole.rows == len(table) - sum(expected)
    assert all(0 < count <= 7 for count in expected)
    if kind == "number":
        assert all(count == 7 for count in expected)
    if kind == "text":
        ends = np.cumsum(expected).tolist()
        starts = [end - count for end, count in zip(ends, expected, strict=True)]
        assert all(sum(n or 0 for n in lengths[a : b - 1]) < 50 for a, b in zip(starts, ends, strict=True))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:no image has boxes in both tables")
@given(
    images=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=6),
    most=st.integers(1, 40),
    alone=st.booleans(),
    by_class=st.booleans(),
    boxes=st.booleans(),
)
@example(images=[(0, 1), (1, 0)], most=1, alone=False, by_class=False, boxes=False)
def test_pairs_are_the_same_in_any_blocks(
    images: list[tuple[int, int]], most: int, alone: bool, by_class: bool, boxes: bool
) -> None:
    rng = np.random.default_rng(most)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        paths = []
        for side in range(2):
            ids = np.repeat(np.arange(len(images)), [counts[side] for counts in images])
            corner = rng.integers(0, 3, (len(ids), 2)).astype(np.float32)
            coordinates = pa.FixedSizeListArray.from_arrays(np.concatenate([corner, corner + 2], 1).ravel(), 4)
            columns = {"image_id": ids, "bbox": coordinates, "category_id": rng.integers(0, 2, len(ids))}
            paths.append(Path(folder, f"{side}.parquet"))
            pq.write_table(pa.table({**columns, "own": [f"{k}" for k in range(len(ids))]}), paths[side])
        options: dict[str, Any] = {"class_agnostic": not by_class, "boxes": boxes, "keep": ["own"]}
        tables = paths[:1] if alone else paths
        whole = jobs.pairs(*tables, threshold=0.2, out=Path(folder, "whole.parquet"), **options)
        patch.setattr(sys.modules["fastbox.jobs.pairs"], "most_of", lambda each: most)
        parted = jobs.pairs(*tables, threshold=0.2, out=Path(folder, "parted.parquet"), **options)
        assert parted.to_dict() == whole.to_dict()
        written = [pq.read_table(Path(folder, f"{name}.parquet")) for name in ("whole", "parted")]
        assert written[0].equals(written[1])


# VmHWM rather than ru_maxrss, which remembers the memory of the process that this one was forked from.
CODE = """
import re, sys
from fastbox.cli import main
try:
    main(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no process tells its memory here")
def test_an_image_that_just_fits_does(tmp_path: Path) -> None:
    table = write(tmp_path / "t.parquet", 450_000)
    for command in (["nms"], ["inspect", "--class-size", "0"]):
        given = [*command, table, "--memory", "640MiB", "-o", tmp_path / "o.parquet"]
        done = subprocess.run(
            [sys.executable, "-c", CODE, *map(str, given)], check=True, capture_output=True, text=True
        )
        assert done.stderr == ""
        assert int(done.stdout.split()[-1]) * 1024 < 640 * MIB


def equal(path: Path) -> Path:
    n = 4_000
    columns = {name: np.full(n, value, np.float32) for name, value in zip(CORNERS, (0, 0, 1, 1), strict=True)}
    pq.write_table(pa.table({"image_id": np.zeros(n, np.int64), **columns, "category_id": np.zeros(n, np.int64)}), path)
    return path


def wide(path: Path) -> Path:
    plain, rng = pq.read_table(write(path, 60_000, images=6_000)), np.random.default_rng(0)
    with pq.ParquetWriter(path, plain.schema.append(pa.field("blob", pa.binary()))) as writer:
        for batch in plain.to_batches(5_000):
            blobs = pa.array([rng.bytes(4096) for _ in range(batch.num_rows)], pa.binary())
            writer.write_table(pa.Table.from_batches([batch]).append_column("blob", blobs))
    return path


LARGE = {
    "pairs of equal boxes": (equal, ["pairs", "{}", "-o", "{}.out"]),
    "pairs of equal boxes, by class and with their corners": (
        equal,
        ["pairs", "{}", "{}", "--per-class", "--boxes", "-o", "{}.out"],
    ),
    "long values in nms": (wide, ["nms", "{}", "-o", "{}.out"]),
    "long values in pairs": (wide, ["pairs", "{}", "--keep", "blob", "-o", "{}.out"]),
    "long values in inspect": (wide, ["inspect", "{}", "--fix", "{}.fixed", "-o", "{}.out"]),
}


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no process tells its memory here")
@pytest.mark.parametrize("name", LARGE)
def test_the_limit_holds(name: str, tmp_path: Path) -> None:
    make, words = LARGE[name]
    table = make(tmp_path / "t.parquet")
    given = [word.format(table) for word in words]
    done = subprocess.run(
        [sys.executable, "-c", CODE, *given, "--memory", "512MiB"], check=True, capture_output=True, text=True
    )
    assert int(done.stdout.split()[-1]) * 1024 < 512 * MIB


@pytest.mark.slow
def test_a_footer_that_can_not_fit_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "t.parquet"
    pq.write_table(pq.read_table(write(table, 6_000, images=600)), table, row_group_size=1)
    jobs.nms(table)
    fastbox.set_memory("512MiB")
    said = r"t\.parquet has a footer of \d+ MiB for 6,000 row groups, .*: allow more with set_memory\(SIZE\), or"
    with pytest.raises(InputError, match=said):
        jobs.nms(table)


@pytest.mark.jit
def test_anchors_of_an_image_that_can_not_fit_are_refused(tmp_path: Path) -> None:
    table, grid = write(tmp_path / "t.parquet", 100, images=10), AnchorGrid.preset("retinanet")
    fastbox.set_memory("512MiB")
    with pytest.raises(InputError, match=r"image 0 of 30000 x 30000 pixels has 168,\d+,\d+ anchors, .*: allow more"):
        jobs.assign(table, grid, resize=Resize("none", 30_000, 30_000), out=tmp_path / "o.parquet")
    assert os.listdir(tmp_path) == ["t.parquet"]
    assert jobs.assign(table, grid, resize=Resize("none", 1_000, 1_000)).images == 10


def test_threads_share_what_anchors_may_take(monkeypatch: pytest.MonkeyPatch, threads: Any, tmp_path: Path) -> None:
    table, grid = write(tmp_path / "t.parquet", 4, images=2), AnchorGrid.preset("retinanet")
    threads(8)
    seen, assign = [], import_module("fastbox.jobs.assign")  # the package has the function under this name
    sound = assign.match

    def match(*given: Any, **options: Any) -> Any:
        seen.append(fastbox.get_num_threads())
        return sound(*given, **options)

    monkeypatch.setattr(assign, "match", match)
    for most in (3, 100):
        monkeypatch.setattr(assign, "fitting", lambda each, most=most: most)
        jobs.assign(table, grid, resize=Resize("none", 256, 256))
    assert seen == [3, 8]
