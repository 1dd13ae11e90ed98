"""A folder of parts belongs to one run at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox import InputError, jobs
from fastbox.fragments import claim, spread
from fastbox.fragments.claim import CLAIM, claimed
from fastbox.fragments.engines import threads

ANOTHER = "expected a folder that no other run uses, got .*, where another run is under way"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    n = 300
    corners = np.random.default_rng(0).uniform(0, 100, (n, 2))
    rows = {
        "image_id": np.arange(n) // 5,
        "score": np.linspace(0, 1, n),
        "bbox": list(np.hstack((corners, corners + 20))),
    }
    pq.write_table(pa.table(rows), tmp_path / "t.parquet", row_group_size=30)
    return tmp_path / "t.parquet"


@pytest.mark.slow
def test_another_run_is_refused_and_the_same_one_waits(tmp_path: Path) -> None:
    folder, order = str(tmp_path), list[str]()

    def wait() -> None:
        with claimed(folder, "one", "nms"):
            order.append("second")

    with claimed(folder, "one", "nms"):
        assert json.loads((tmp_path / CLAIM).read_text())["process"] == os.getpid()
        with (
            pytest.raises(InputError, match=rf"{ANOTHER} \(nms in process {os.getpid()} on "),
            claimed(folder, "two", "nms"),
        ):
            pytest.fail("it must not get here")
        second = threading.Thread(target=wait)
        second.start()
        time.sleep(3 * claim.PAUSE)
        order.append("first")
    second.join(300)
    assert order == ["first", "second"]
    assert os.listdir(tmp_path) == []
    with claimed(folder, "two", "nms"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_run_that_failed_gives_the_folder_back(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), claimed(str(tmp_path), "one", "nms"):
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == []


def test_where_files_can_not_be_locked_the_claim_says_whose_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "lock", lambda descriptor: None)
    with claimed(str(tmp_path), "one", "nms"):
        for run in ("one", "two"):
            with (
                pytest.raises(InputError, match=f"{ANOTHER}.*; if that run is dead, remove .*{CLAIM}"),
                claimed(str(tmp_path), run, "nms"),
            ):
                pytest.fail("it must not get here")
    assert os.listdir(tmp_path) == []


def test_a_folder_that_can_not_be_written_to_is_none_of_its_business(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(path: str) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(claim, "_opened", denied)
    with claimed(str(tmp_path), "one", "nms"):
        assert os.listdir(tmp_path) == []


SCRIPT = """
import sys, time
from fastbox.fragments.claim import claimed
with claimed(sys.argv[1], "one", "nms"):
    print("claimed", flush=True)
    time.sleep(3600)
"""


def test_the_claim_of_a_killed_run_holds_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None and run.stdout.readline() == "claimed\n"
        with pytest.raises(InputError, match=ANOTHER), claimed(str(tmp_path), "two", "nms"):
            pytest.fail("it must not get here")
        run.send_signal(signal.SIGKILL)
    assert os.listdir(tmp_path) == [CLAIM]
    with claimed(str(tmp_path), "two", "nms"):
        assert json.loads((tmp_path / CLAIM).read_text())["run"] == "two"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_runs_at_once_never_mix_their_parts(overwrite: bool, table: Path, tmp_path: Path) -> None:
    out, refused = tmp_path / "out", list[str]()

    def meanwhile(task: Any, items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for index, found in threads(task, items):
            with pytest.raises(InputError, match=ANOTHER) as caught:
                spread(jobs.nms, table, out=out, iou_threshold=0.9, fragment_rows=50, overwrite=overwrite)
            refused.append(str(caught.value))
            yield index, found

    found = spread(jobs.nms, table, out=out, iou_threshold=0.1, fragment_rows=50, engine=meanwhile)
    assert refused
    again = spread(jobs.nms, table, out=out, iou_threshold=0.1, fragment_rows=50)
    assert again.to_dict() == found.to_dict() == jobs.nms(table, iou_threshold=0.1).to_dict()
    assert all(name.startswith("part-") for name in os.listdir(out))


def test_in_a_store_a_run_is_known_by_an_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    objects: dict[str, bytes] = {}
    monkeypatch.setattr(claim, "read_object", objects.get)
    monkeypatch.setattr(claim, "write_object", objects.__setitem__)
    monkeypatch.setattr(claim, "remove", lambda uri: objects.pop(uri, None))
    with claimed("s3://b/parts/", "one", "nms"):
        assert list(objects) == [f"s3://b/parts/{CLAIM}"]
        with pytest.raises(InputError, match=ANOTHER), claimed("s3://b/parts", "two", "nms"):
            pytest.fail("it must not get here")
    assert objects == {}
    # A run that was killed leaves it; the same run goes on, another has to say so.
    objects[f"s3://b/parts/{CLAIM}"] = json.dumps({"run": "one", "process": 1}).encode()
    with claimed("s3://b/parts", "one", "nms"):
        pass
    objects[f"s3://b/parts/{CLAIM}"] = json.dumps({"run": "one", "process": 1}).encode()
    with pytest.raises(InputError, match=f"{ANOTHER}.*give overwrite=True"), claimed("s3://b/parts", "two", "nms"):
        pytest.fail("it must not get here")
    # A run whose folder was taken says so rather than end well.
    with pytest.raises(InputError, match=ANOTHER), claimed("s3://b/parts", "two", "nms", overwrite=True):
        objects[f"s3://b/parts/{CLAIM}"] = json.dumps({"run": "three", "token": "x"}).encode()
    assert objects


def test_only_parts_of_a_run_are_removed(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    spread(jobs.nms, table, out=out, fragment_rows=30)
    many = set(os.listdir(out))
    (out / "part-00099.parquet").write_bytes((out / "part-00000.parquet").read_bytes())
    jobs.nms(table, out / "part-00098.parquet")
    jobs.nms(table, out / "part-mine.parquet")
    (out / "part-00097.parquet").write_bytes(b"mine")
    spread(jobs.nms, table, out=out, fragment_rows=150, overwrite=True)
    left = set(os.listdir(out))
    assert {"part-00098.parquet", "part-mine.parquet", "part-00097.parquet"} <= left
    assert "part-00099.parquet" not in left and len(many & left) == 2


def test_runs_in_a_store_that_fsspec_reaches(table: Path) -> None:
    memory = pytest.importorskip("fsspec").filesystem("memory")
    with memory.open("/runs/in/t.parquet", "wb") as file:
        file.write(table.read_bytes())
    options: dict[str, Any] = {"out": "memory://runs/parts/", "fragment_rows": 50}
    found = spread(jobs.nms, "memory://runs/in", **options)
    assert spread(jobs.nms, "memory://runs/in", **options).to_dict() == found.to_dict()
    parts = sorted(os.path.basename(name) for name in memory.ls("/runs/parts", detail=False))
    assert len(parts) > 3 and all(name.startswith("part-") for name in parts)
    memory.pipe(f"/runs/parts/{CLAIM}", json.dumps({"run": "other", "job": "pairs", "process": 7}).encode())
    with pytest.raises(InputError, match=rf"{ANOTHER} \(pairs in process 7 on .*give overwrite=True"):
        spread(jobs.nms, "memory://runs/in", **options)
    spread(jobs.nms, "memory://runs/in", **{**options, "fragment_rows": 150}, overwrite=True)
    left = [os.path.basename(name) for name in memory.ls("/runs/parts", detail=False)]
    assert len(left) == 2 and CLAIM not in left
    with pytest.raises(InputError, match="and the next run would read it"):
        spread(jobs.nms, "memory://runs", **options)
    memory.rm("/runs", recursive=True)
