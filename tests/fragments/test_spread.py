"""Jobs run fragment by fragment: the same rows and figures, whatever ran where, and nothing done twice or lost."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from fastbox import jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.cli import main
from fastbox.errors import InputError
from fastbox.fragments.engines import threads
from fastbox.fragments.run import spread
from fastbox.jobs.inspection.problems import Limits
from fastbox.tables.sink import Sink, read_record

RUNS = int(os.environ.get("FASTBOX_KILLED_RUNS", "12"))  # each killed twice; 50 by hand
ANCHORS = {"anchors": AnchorGrid.preset("retinanet"), "resize": Resize("none", 320, 256)}
JOBS: dict[str, tuple[Callable[..., Any], tuple[str, ...], dict[str, Any]]] = {
    "measure": (jobs.measure, ("pairs",), {"metrics": ["iou", "giou_loss"], "grad": True}),
    "pairs": (jobs.pairs, ("detections", "truths"), {"threshold": 0.1, "metrics": ["iou", "giou"], "keep": ["score"]}),
    "pairs of one table": (jobs.pairs, ("truths",), {"threshold": 0.1, "class_agnostic": False}),
    "nms": (jobs.nms, ("detections",), {"iou_threshold": 0.3}),
    "assign": (jobs.assign, ("truths",), ANCHORS | {"class_column": "category_id"}),
    "inspect": (jobs.inspect, ("truths", "images"), {"limits": Limits(near=0.5, class_size=1.0)}),
    "inspect by two files": (jobs.inspect, ("detections",), {"limits": Limits(near=0.5, class_size=None)}),
    "evaluate": (jobs.evaluate, ("detections", "truths"), {"samples": 20, "seed": 5}),
}


def boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    corner, side = rng.uniform(0, 200, (n, 2)), rng.uniform(5, 100, (n, 2))
    return np.hstack((corner, corner + side)).astype(np.float32)


def columns(corners: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    return {f"{prefix}{name}": corners[:, k] for k, name in enumerate(("xmin", "ymin", "xmax", "ymax"))}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three small tables in row groups that cut images; the detections are two files. And one of images."""
    folder = tmp_path_factory.mktemp("tables")
    rng = np.random.default_rng(3)
    made = {}
    for name, n in (("truths", 300), ("detections", 900)):
        ids = np.sort(rng.integers(0, 60, n))
        more = {"category_id": rng.integers(1, 4, n), "score": rng.uniform(0, 1, n).round(2)}
        more["id"] = rng.integers(0, 4 * n, n)  # some repeat one
        made[name] = pa.table({"image_id": ids, **columns(boxes(rng, n)), **more})
    sides = columns(boxes(rng, 700), "pred_") | columns(boxes(rng, 700), "target_")
    sides["pred_xmax"][5] = np.nan
    made["pairs"] = pa.table(sides)
    listed = np.delete(np.sort(np.append(np.arange(-3, 64), [9, 63])), [20, 21])
    made["images"] = pa.table({"image_id": listed, "width": [250] * len(listed), "height": [220] * len(listed)})
    paths = {}
    for name, table in made.items():
        paths[name] = folder / name
        paths[name].mkdir()
        half = len(table) // 2 if name == "detections" else len(table)
        for number, part in enumerate((table[:half], table[half:])):
            if len(part):
                groups = 7 if name == "images" else 50
                pq.write_table(part, paths[name] / f"{number}.parquet", row_group_size=groups)
    return paths


def table_of(out: Path) -> pa.Table:
    return pq.read_table(out) if out.is_file() else pa.concat_tables(map(pq.read_table, sorted(out.iterdir())))


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", JOBS)
def test_parts_hold_what_one_file_does(name: str, tables: dict[str, Path], tmp_path: Path) -> None:
    job, inputs, options = JOBS[name]
    given = [tables[table] for table in inputs]
    whole = job(*given, out=tmp_path / "whole.parquet", **options)
    found = spread(job, *given, out=tmp_path / "parts", fragment_rows=100, **options)
    assert len(list((tmp_path / "parts").iterdir())) > 2
    parts, rows = table_of(tmp_path / "parts"), table_of(tmp_path / "whole.parquet")
    assert parts.schema.equals(rows.schema)
    assert parts.to_pandas().equals(rows.to_pandas())  # here nan is nan
    assert found.to_dict() == whole.to_dict()
    assert spread(job, *given, fragment_rows=100, **options).to_dict() == whole.to_dict()


class Counting:
    """An engine that counts what it ran, stops after some, and runs backwards."""

    def __init__(self, most: int = 1000) -> None:
        self.most, self.done = most, 0

    def __call__(self, task: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[tuple[int, Any]]:
        for index in reversed(range(len(items))):
            if self.done == self.most:
                raise KeyboardInterrupt
            self.done += 1
            yield index, task(items[index])


@pytest.mark.parametrize("name", ["measure", "pairs", "nms", "assign"])
def test_a_second_run_does_what_the_first_left(name: str, tables: dict[str, Path], tmp_path: Path) -> None:
    job, inputs, options = JOBS[name]
    given = [tables[table] for table in inputs]
    once = spread(job, *given, out=tmp_path / "once", fragment_rows=100, **options)
    with pytest.raises(KeyboardInterrupt):
        spread(job, *given, out=tmp_path / "twice", engine=Counting(2), fragment_rows=100, **options)
    second = Counting()
    found = spread(job, *given, out=tmp_path / "twice", engine=second, fragment_rows=100, **options)
    assert second.done == len(list((tmp_path / "once").iterdir())) - 2
    assert found.to_dict() == once.to_dict()
    assert bytes_of(tmp_path / "twice") == bytes_of(tmp_path / "once")
    third = Counting()
    assert (
        spread(job, *given, out=tmp_path / "twice", engine=third, fragment_rows=100, **options).to_dict()
        == once.to_dict()
    )
    assert third.done == 0


def test_parts_of_another_run_are_refused_and_can_be_overwritten(tables: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "parts"
    spread(jobs.nms, tables["detections"], out=out, fragment_rows=100, iou_threshold=0.3)
    before = bytes_of(out)
    with pytest.raises(
        InputError, match=r"alone, got .*part-00000\.parquet of another run: .* with overwrite=True, or"
    ):
        spread(jobs.nms, tables["detections"], out=out, fragment_rows=100, iou_threshold=0.4)
    with pytest.raises(InputError, match="another run"):
        spread(jobs.nms, tables["detections"], out=out, fragment_rows=300, iou_threshold=0.3)
    assert bytes_of(out) == before
    found = spread(jobs.nms, tables["detections"], out=out, fragment_rows=300, iou_threshold=0.4, overwrite=True)
    assert table_of(out).num_rows == found.kept
    assert len(bytes_of(out)) < len(before)


UNSORTED = {
    "all": lambda n: np.random.default_rng(0).permutation(n),
    "in row groups": lambda n: np.concatenate([np.arange(k, min(k + 50, n))[::-1] for k in range(0, n, 50)]),
    "over row groups": lambda n: np.argsort(np.arange(n) // 25 % 2, kind="stable"),
    "over files": lambda n: np.roll(np.arange(n), n // 2),
}


@pytest.mark.parametrize("kind", ["int64", "string", "string without statistics"])
@pytest.mark.parametrize("how", UNSORTED)
def test_unsorted_tables_are_sorted_first(how: str, kind: str, tables: dict[str, Path], tmp_path: Path) -> None:
    given = table_of(tables["detections"])
    if kind != "int64":
        ids = pa.array([f"{image:03}" for image in given["image_id"].to_pylist()])
        given = given.set_column(0, "image_id", ids)
    rows = given.take(pa.array(UNSORTED[how](len(given))))
    (tmp_path / "t").mkdir()
    for name, part in (("a", rows[:450]), ("b", rows[450:])):
        path = tmp_path / "t" / f"{name}.parquet"
        pq.write_table(part, path, row_group_size=50, write_statistics="without" not in kind)
    whole = jobs.nms(tmp_path / "t", tmp_path / "whole.parquet")
    for _ in range(2):
        found = spread(jobs.nms, tmp_path / "t", out=tmp_path / "parts", fragment_rows=100)
        assert found.to_dict() == whole.to_dict()
        assert table_of(tmp_path / "parts").equals(pq.read_table(tmp_path / "whole.parquet"))


@pytest.mark.parametrize("name", JOBS)
def test_tables_may_be_given_by_name(name: str, tables: dict[str, Path], tmp_path: Path) -> None:
    job, inputs, options = JOBS[name]
    given = dict(zip(job.traits.names, (tables[table] for table in inputs), strict=False))  # type: ignore
    whole = spread(job, *given.values(), fragment_rows=100, **options).to_dict()
    assert spread(job, fragment_rows=100, **options, **given).to_dict() == whole
    for out in given.values():
        with pytest.raises(InputError, match=r"lies in the input|choose another output path"):
            spread(job, out=out, **options, **given)


def test_jobs_that_must_see_tables_whole_are_refused(tables: dict[str, Path]) -> None:
    with pytest.raises(
        ValueError, match=r"expected a job that runs in fragments, such as fastbox.jobs.nms, got 'fuse'"
    ):
        spread(jobs.fuse, tables["truths"])


@pytest.mark.parametrize("option", ["fix", "changes"])
def test_what_only_the_whole_can_write_is_refused(option: str, tables: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="of a job as a whole, got fragments: leave one of the two out"):
        spread(jobs.inspect, tables["truths"], out=tmp_path / "out", **{option: tmp_path / "more"})
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["measure", "pairs", "assign", "inspect", "evaluate"])
def test_a_page_of_fragments_is_that_of_what_they_found(name: str, tables: dict[str, Path], tmp_path: Path) -> None:
    pytest.importorskip("jinja2", reason="pages need the extra report")
    pytest.importorskip("matplotlib", reason="pages need the extra report")
    job, given, options = JOBS[name]
    found = spread(job, *(tables[table] for table in given), fragment_rows=100, report=tmp_path / "a.html", **options)
    found.report(tmp_path / "b.html")
    job(*(tables[table] for table in given), **options).report(tmp_path / "whole.html")
    pages = {path.stem: path.read_text() for path in tmp_path.iterdir()}
    assert pages["a"] == pages["b"] == pages["whole"]


def test_a_page_that_can_not_be_is_refused_before_the_work(tables: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a job that has a page, got nms"):
        spread(jobs.nms, tables["detections"], out=tmp_path / "out", report=tmp_path / "a.html")
    with pytest.raises(InputError, match="expected a page such as"):
        spread(jobs.measure, tables["pairs"], out=tmp_path / "out", report=tmp_path / "a.txt")
    assert not list(tmp_path.iterdir())


def test_parts_of_an_inspection_follow_from_the_whole_table(tables: dict[str, Path], tmp_path: Path) -> None:
    rows, given, out = pq.read_table(tables["truths"]), tmp_path / "truths", tmp_path / "out"
    given.mkdir()
    for number, part in enumerate((rows[:150], rows[150:])):
        pq.write_table(part, given / f"{number}.parquet", row_group_size=50)
    whole = jobs.inspect(given, tables["images"]).to_dict()
    assert spread(jobs.inspect, given, tables["images"], out=out, fragment_rows=100).to_dict() == whole
    before, engine = bytes_of(out), Counting()
    found = spread(jobs.inspect, given, tables["images"], out=out, fragment_rows=100, engine=engine)
    assert (found.to_dict(), engine.done) == (whole, len(before))  # the sizes of classes alone are read again
    # What the first part found follows from the second file too: from the sizes of all boxes of a class.
    later = rows[150:]
    wider = later.set_column(later.column_names.index("xmax"), "xmax", pc.add(later["xmax"], np.float32(500)))
    pq.write_table(wider, given / "1.parquet", row_group_size=50)
    with pytest.raises(InputError, match=r"got .*part-00000\.parquet of another run"):
        spread(jobs.inspect, given, tables["images"], out=out, fragment_rows=100)
    assert bytes_of(out) == before


def test_a_changed_input_is_another_run(tables: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "detections.parquet"
    pq.write_table(table_of(tables["detections"]), path, row_group_size=50)
    spread(jobs.nms, path, out=tmp_path / "parts", fragment_rows=100)
    os.utime(path, ns=(1, 1))
    with pytest.raises(InputError, match="another run"):
        spread(jobs.nms, path, out=tmp_path / "parts", fragment_rows=100)


def test_a_file_that_is_no_part_is_left_alone(tables: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.parquet").write_bytes(b"PAR1 and no more")
    for overwrite in (False, True):
        if not overwrite:
            with pytest.raises(InputError, match=r"mine\.parquet of something else"):
                spread(jobs.nms, tables["detections"], out=tmp_path, fragment_rows=100)
        else:
            spread(jobs.nms, tables["detections"], out=tmp_path, fragment_rows=100, overwrite=True)
    assert (tmp_path / "mine.parquet").read_bytes() == b"PAR1 and no more"


def test_a_folder_that_lacks_parts_is_not_read(tables: dict[str, Path], tmp_path: Path) -> None:
    """Neither while a run writes there, nor after one that ended early; the same run may go on, or another begin."""
    parts, given = tmp_path / "parts", tables["detections"]
    whole = spread(jobs.nms, given, out=parts, fragment_rows=100).to_dict()
    for overwrite in (False, True):
        for part in sorted(parts.iterdir())[::2]:
            part.unlink()
        with pytest.raises(KeyboardInterrupt):
            spread(jobs.nms, given, out=parts, engine=Counting(2), fragment_rows=100, overwrite=overwrite)
        assert {path.suffix for path in parts.iterdir()} == {".parquet", ""}
        for name in (parts, f"{parts}/", tmp_path, f"{parts}/*.parquet", f"{tmp_path}/**/*.parquet", [parts]):
            with pytest.raises(
                InputError, match=r"expected all parts of a run in .*parts/?, got some: .* remove .*parts/\."
            ):
                jobs.inspect(name)
        with pytest.raises(InputError, match="of another run"):
            spread(jobs.nms, given, out=parts, fragment_rows=100, iou_threshold=0.4)
        with pytest.raises(InputError, match="expected all parts"):
            jobs.inspect(parts)
        assert spread(jobs.nms, given, out=parts, fragment_rows=100, overwrite=overwrite).to_dict() == whole
        assert {path.suffix for path in parts.iterdir()} == {".parquet"}
        jobs.inspect(parts)
    with pytest.raises(InputError, match="of another run"):
        spread(jobs.nms, given, out=parts, fragment_rows=100, iou_threshold=0.4)
    jobs.inspect(parts)


def test_an_error_in_a_fragment_leaves_whole_parts_only(tables: dict[str, Path], tmp_path: Path) -> None:
    table = table_of(tables["truths"])
    corner = table["xmin"].to_numpy().astype(object)
    corner[-1] = None
    place = table.column_names.index("xmin")
    pq.write_table(
        table.set_column(place, "xmin", pa.array(corner, pa.float32())), tmp_path / "t.parquet", row_group_size=50
    )
    with pytest.raises(InputError, match=r"expected a number in column 'xmin' .* at row 299, got null"):
        spread(jobs.pairs, tmp_path / "t.parquet", out=tmp_path / "parts", fragment_rows=60)
    for path in (tmp_path / "parts").glob("*.parquet"):
        assert read_record(path)["command"] == "pairs"
    assert {path.suffix for path in (tmp_path / "parts").iterdir()} <= {".parquet"}


def test_a_run_that_wrote_no_part_leaves_all_as_it_was(tables: dict[str, Path], tmp_path: Path) -> None:
    table, parts = table_of(tables["detections"]), tmp_path / "parts"
    scores = table["score"].to_numpy().astype(object)
    scores[0] = None
    bad = table.set_column(table.column_names.index("score"), "score", pa.array(scores, pa.float32()))
    pq.write_table(bad, tmp_path / "bad.parquet")

    def fail(**options: Any) -> None:
        with pytest.raises(InputError, match=r"expected a score in column 'score'.* got a null at row 0"):
            spread(jobs.nms, tmp_path / "bad.parquet", out=parts, **options)

    fail()
    assert list(parts.iterdir()) == []
    spread(jobs.nms, tables["detections"], out=parts, fragment_rows=100)
    before = {path.name: path.read_bytes() for path in parts.iterdir()}
    fail(overwrite=True)
    assert {path.name: path.read_bytes() for path in parts.iterdir()} == before
    jobs.inspect(parts)


def test_a_disk_that_fails_for_once_is_tried_again(
    tables: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = spread(jobs.nms, tables["detections"], out=tmp_path / "good", fragment_rows=100)
    monkeypatch.setattr(sys.modules["fastbox.fragments.run"], "PAUSE", 0.001)
    write, failures = Sink.write, [errno.EIO, errno.ESTALE]

    def failing(self: Sink, batch: Any) -> None:
        if failures:
            raise OSError(failures.pop(), "made up")
        write(self, batch)

    monkeypatch.setattr(Sink, "write", failing)
    entries: list[Any] = []
    options = {"engine": Counting(), "fragment_rows": 100, "log": entries.append}
    found = spread(jobs.nms, tables["detections"], out=tmp_path / "bad", **options)
    assert found.to_dict() == expected.to_dict()
    assert bytes_of(tmp_path / "bad") == bytes_of(tmp_path / "good")
    assert [entry["retries"] for entry in entries] == [2] + [0] * (len(entries) - 1)

    failures[:] = [errno.EIO] * 4  # three retries are too few
    with pytest.raises(OSError, match="made up"):
        spread(jobs.nms, tables["detections"], out=tmp_path / "worse", **options)
    assert not failures
    failures[:] = [errno.EIO, errno.EACCES]  # the last comes first, and stays as it is
    with pytest.raises(OSError, match="made up"):
        spread(jobs.nms, tables["detections"], out=tmp_path / "denied", **options)
    assert failures == [errno.EIO]


@pytest.mark.slow
@pytest.mark.jit
def test_the_command_line_writes_fragments_to_a_folder(tables: dict[str, Path], tmp_path: Path) -> None:
    def call(*arguments: object) -> Any:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    commands = {
        "pairs": ("pairs", tables["detections"], tables["truths"], "--threshold", 0.1),
        "nms": ("nms", tables["detections"]),
        "measure": ("measure", tables["pairs"]),
        "evaluate": ("evaluate", tables["detections"], tables["truths"]),
        "inspect": ("inspect", tables["truths"], "--images-table", tables["images"], "--class-size", 1),
        "assign": ("assign", tables["truths"], "--anchors", "retinanet", "--size", "256x320"),
    }
    for name, command in commands.items():
        out = f"{tmp_path / name}{os.sep}"
        whole = call(*command, "-o", tmp_path / "whole.parquet", "--json")
        parts = call(*command, "-o", out, "--fragment-rows", 100, "--json")
        assert (parts.exit_code, parts.stdout) == (0, whole.stdout), parts.output
        assert len(bytes_of(tmp_path / name)) > 2
        assert call(*command, "--engine", "threads", "--json").stdout == whole.stdout
        again = call(*command, "-o", out, "--fragment-rows", 150)
        assert (again.exit_code, again.stdout) == (2, "")
        assert "of another run: begin again with --overwrite, or name another" in again.stderr
        assert call(*command, "-o", out, "--fragment-rows", 150, "--overwrite", "--json").stdout == whole.stdout
    given = (
        "nms",
        tables["detections"],
        "-o",
        f"{tmp_path / 'logged'}{os.sep}",
        "--fragment-rows",
        100,
        "--log",
        "json",
    )
    for again in (False, True):
        lines = [json.loads(line) for line in call(*given).stderr.splitlines()]
        assert sorted(line["fragment"] for line in lines) == list(range(lines[0]["fragments"]))
        assert {line["skipped"] for line in lines} == {again}
        assert lines[-1]["boxes_done"] == lines[-1]["boxes_in_all"] >= 900
    wrongs: list[tuple[Any, ...]] = [("--overwrite",), ("--log", "json"), ("--fragment-rows", 5), ("--engine", "dask")]
    for wrong in (*wrongs, ("-o", tmp_path / "whole.parquet", "--engine", "threads")):
        refused = call("nms", tables["detections"], *wrong)
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.startswith("error: expected ")


SCRIPT = """
import sys
from fastbox import jobs
from fastbox.fragments.run import spread
print("ready", flush=True)
spread(jobs.pairs, sys.argv[1], sys.argv[2], out=sys.argv[3], fragment_rows=100, threshold=0.1, metrics=["iou", "giou"])
print("done", flush=True)
"""


@pytest.mark.slow
@pytest.mark.jit
def test_killed_at_any_moment_a_rerun_ends_the_same(tables: dict[str, Path], tmp_path: Path) -> None:
    options: dict[str, Any] = {"threshold": 0.1, "metrics": ["iou", "giou"], "fragment_rows": 100}
    given = tables["detections"], tables["truths"]
    whole = spread(jobs.pairs, *given, out=tmp_path / "once", **options)
    rng = np.random.default_rng(8)
    killed = 0
    for number in range(RUNS):
        out = tmp_path / f"run-{number}"
        for _ in range(2):
            arguments = [sys.executable, "-c", SCRIPT, *map(str, given), str(out)]
            with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as run:
                assert run.stdout is not None
                assert run.stdout.readline() == "ready\n"
                try:
                    run.wait(timeout=rng.uniform(0, 0.5))
                except subprocess.TimeoutExpired:
                    run.send_signal(signal.SIGKILL)
                    killed += 1
        found = spread(jobs.pairs, *given, out=out, engine=threads, **options)
        assert found.to_dict() == whole.to_dict()
        assert bytes_of(out) == bytes_of(tmp_path / "once")  # and no file in the making is left
    assert killed
