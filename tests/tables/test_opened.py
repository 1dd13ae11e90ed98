"""A job opens each file once, and refuses one that changes while it is read."""

from __future__ import annotations

import os
import pickle
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fastbox import InputError, jobs
from fastbox.cli import main
from fastbox.datasets.scan import scan
from fastbox.fragments import spread
from fastbox.fragments.engines import threads
from fastbox.storage import locate, stores
from fastbox.storage import opened as opened_module
from fastbox.storage.locate import Listing, find_files
from fastbox.storage.opened import keep_open, open_parquet
from fastbox.tables.batches import batches_of
from fastbox.tables.columns import read_batches
from fastbox.tables.files import count_rows
from fastbox.tables.source import Source

IDS: dict[str, Callable[[int], Any]] = {"integer": int, "string": "{:09}".format}


def table(n: int = 60, ids: str = "integer", moved: float = 0.0) -> pa.Table:
    corners = np.random.default_rng(0).uniform(0, 100, (n, 2))
    boxes = np.hstack((corners, corners + 20)) + moved
    rows: dict[str, Any] = {"image_id": [IDS[ids](k // 3) for k in range(n)], "score": np.linspace(0, 1, n)}
    return pa.table(rows | {"category_id": [1] * n, "bbox": list(boxes), "pred": list(boxes), "target": list(boxes)})


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each file was opened."""
    counted: Counter[str] = Counter()

    class Counting:
        def open_input_file(self, name: str) -> Any:
            counted[os.path.basename(name)] += 1
            return pafs.LocalFileSystem().open_input_file(name)

    class Stands:
        LocalFileSystem = Counting

    monkeypatch.setattr(stores, "pafs", Stands)
    yield counted


COMMANDS = [
    ("pairs", "a.parquet", "b.parquet", "--threshold", "0.9"),
    ("pairs", "a.parquet", "b.parquet", "--threshold", "0.9", "-o", "out.parquet"),
    ("evaluate", "a.parquet", "b.parquet"),
    ("nms", "a.parquet", "-o", "out.parquet"),
    ("fuse", "a.parquet", "b.parquet", "-o", "out.parquet"),
    ("inspect", "a.parquet"),
    ("convert", "a.parquet", "out.json"),
    ("plan", "a.parquet", "b.parquet"),
    ("sort", "a.parquet", "-o", "out.parquet"),
]


@pytest.mark.jit
@pytest.mark.parametrize("ids", sorted(IDS))
@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: words[0])
def test_a_command_opens_each_input_once(
    command: Sequence[str], ids: str, opens: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        pq.write_table(table(ids=ids), f"{name}.parquet", row_group_size=15)
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    read = {name: count for name, count in opens.items() if name in command[1:3] and name != "out.parquet"}
    assert read == dict.fromkeys([name for name in command[1:3] if name in ("a.parquet", "b.parquet")], 1)


def test_a_job_opens_each_input_once(opens: Counter[str], tmp_path: Path) -> None:
    for name in "ab":
        pq.write_table(table(), tmp_path / f"{name}.parquet")
    assert jobs.pairs(tmp_path / "a.parquet", tmp_path / "b.parquet").detections == 60
    assert opens == {"a.parquet": 1, "b.parquet": 1}


def test_a_folder_is_opened_file_by_file(opens: Counter[str], tmp_path: Path) -> None:
    for number in range(5):
        pq.write_table(table()[number * 12 : number * 12 + 12], tmp_path / f"{number}.parquet")
    with keep_open():
        assert count_rows(tmp_path) == sum(len(chunk.a) for chunk in scan(tmp_path)) == 60
        assert sum(batch.num_rows for _, _, batch in read_batches(tmp_path)) == 60
    assert opens == dict.fromkeys([f"{number}.parquet" for number in range(5)], 1)
    opens.clear()
    assert sum(len(chunk.a) for chunk in scan(tmp_path)) == 60
    assert set(opens.values()) == {1}


def test_a_job_lists_a_folder_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pq.write_table(table(30), tmp_path / name / "0.parquet")
    listed: Counter[str] = Counter()
    walk = locate._walk

    def counting(root: str, seen: Any) -> Any:
        listed[os.path.basename(root)] += 1
        return walk(root, seen)

    monkeypatch.setattr(locate, "_walk", counting)
    found = jobs.pairs(tmp_path / "a", tmp_path / "b")
    assert found.detections == found.truths == 30
    assert listed == {"a": 1, "b": 1}


def test_files_found_once_are_found_in_another_process_too(tmp_path: Path) -> None:
    pq.write_table(table(30), tmp_path / "0.parquet")
    found = pickle.loads(pickle.dumps(Listing.of(tmp_path)))
    assert found.given == tmp_path
    (tmp_path / "0.parquet").unlink()
    assert find_files(found) == [str(tmp_path / "0.parquet")]


def test_few_files_are_kept_open_and_none_afterwards(
    opens: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened_module, "_MOST_FILES", 3)
    for number in range(8):
        pq.write_table(table(6), tmp_path / f"{number}.parquet")
    descriptors = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    with keep_open() as opened:
        assert count_rows(tmp_path) == 48
        assert len(opened._idle) == 3
        held = [open_parquet(tmp_path / "7.parquet"), open_parquet(tmp_path / "7.parquet")]
        assert held[0].read().equals(held[1].read())
        for file in held:
            file.close()
    if descriptors is not None:
        assert len(os.listdir("/proc/self/fd")) == descriptors
    assert count_rows(tmp_path) == 48


def replaced(path: Path) -> None:
    """Put another table of the same size and time in the place of one."""
    stat = path.stat()
    new = path.with_suffix(".new")
    pq.write_table(table(moved=1.0), new, row_group_size=15)
    os.utime(new, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    os.replace(new, path)


def rewritten(path: Path) -> None:
    """Write another table into the same file."""
    new = path.with_suffix(".new")
    pq.write_table(table(moved=1.0)[:59], new, row_group_size=15)
    shutil.copyfile(new, path)


CHANGED = r"expected .*a\.parquet not to change while it is read, got another file or other content"


@pytest.mark.parametrize("change", [replaced, rewritten, Path.unlink])
def test_an_input_that_changes_while_it_is_read(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    # Once the first rows are there; and what reads them may already have read the last ones of the old file.
    for read in (scan, read_batches):
        pq.write_table(table(), path, row_group_size=15)
        reader = read(path, rows=3)
        next(reader)
        change(path)
        with pytest.raises(InputError, match=f"{CHANGED}|damaged data"):
            list(reader)


@pytest.mark.parametrize("change", [replaced, Path.unlink])
def test_no_output_is_left_where_an_input_changed(change: Callable[[Path], None], tmp_path: Path) -> None:
    path, truths = tmp_path / "a.parquet", tmp_path / "truths.parquet"
    pq.write_table(table(), truths)
    jobs_: dict[str, Callable[..., Any]] = {
        "nms": lambda step: jobs.nms(path, tmp_path / "out.parquet", rows=6, progress=step),
        "measure": lambda step: jobs.measure(
            path, tmp_path / "out.parquet", pred="pred", target="target", metrics=["iou"], rows=6, progress=step
        ),
        "pairs": lambda step: jobs.pairs(path, truths, tmp_path / "out.parquet", rows=6, progress=step),
        "pairs, truths": lambda step: jobs.pairs(truths, path, tmp_path / "out.parquet", rows=6, progress=step),
        "evaluate": lambda step: jobs.evaluate(path, truths, tmp_path / "out.parquet", rows=6, progress=step),
        "evaluate, truths": lambda step: jobs.evaluate(truths, path, tmp_path / "out.parquet", rows=6, progress=step),
    }
    for run in jobs_.values():
        pq.write_table(table(), path, row_group_size=15)
        steps: list[int] = []

        def step(boxes: int, steps: list[int] = steps) -> None:
            steps.append(boxes)
            if len(steps) == 2:
                change(path)

        with pytest.raises(InputError, match=CHANGED):
            run(step)
        assert len(steps) >= 2
        assert not (tmp_path / "out.parquet").exists()
        assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]


def test_two_passes_of_a_job_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table(), path, row_group_size=15)
    with keep_open():
        assert len(list(scan(path)))
        replaced(path)
        with pytest.raises(InputError, match=CHANGED):
            list(scan(path))
    assert len(list(scan(path)))


@pytest.mark.parametrize("change", [replaced, rewritten])
def test_a_fragment_is_of_the_file_that_it_was_cut_from(change: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table(), path, row_group_size=15)

    def late(task: Any, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        change(path)
        yield from threads(task, items)

    with pytest.raises(InputError, match=CHANGED):
        spread(jobs.nms, path, out=tmp_path / "out", engine=late, fragment_rows=12)
    assert [name for name in os.listdir(tmp_path / "out") if name.endswith(".parquet")] == []


def test_row_groups_of_a_reader_are_checked_too(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(table(), path, row_group_size=15)
    from fastbox.tables.fragments import groups_of

    groups = groups_of(Source(path))[1]
    assert sum(batch.num_rows for _, batch in batches_of(groups, ["score"], 100)) == 15
    replaced(path)
    with pytest.raises(InputError, match=CHANGED):
        list(batches_of(groups, ["score"], 100))
