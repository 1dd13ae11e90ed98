"""Jobs run fragment by fragment: the same rows and figures, whatever ran where, and nothing done twice or lost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.fragments import JOBS, UNSORTED, Counting, bytes_of, table_of

from fastbox import jobs
from fastbox.cli import main
from fastbox.errors import InputError
from fastbox.fragments.run import spread


@pytest.mark.jit
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


@pytest.mark.jit
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


@pytest.mark.jit
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
    with pytest.raises(InputError, match="of a job without fragments, got fragments: leave one of the two out"):
        spread(jobs.inspect, tables["truths"], out=tmp_path / "out", **{option: tmp_path / "more"})
    assert not list(tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("name", ["measure", "pairs", "assign", "inspect", "evaluate", "suspects"])
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
        "suspects": ("suspects", tables["detections"], tables["truths"], "--min-suspicion", 0.1),
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
