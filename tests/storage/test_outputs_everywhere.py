"""Every job and every command is asked: none replaces what it reads or writes."""

from __future__ import annotations

import inspect
import itertools
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from support.commands import COMMANDS
from support.outputs import boxes, everything

from fastbox import InputError, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.cli import main
from fastbox.fragments import spread

# Every job: what it writes is found by its signature, so that a new one is asked too.

NO_PATHS = {"plan", "disagreement", "compare_rules"}  # which write nothing


OUTPUTS = {"out", "report", "fix", "changes", "detections_out", "truths_out", "images_out"}


def written_by(job: Callable[..., Any]) -> list[str]:
    """The arguments of a job that name what it writes."""
    names = inspect.signature(job).parameters
    if job is jobs.synthesize:
        return ["truths", "detections", "pairs"]
    return [name for name in names if name in OUTPUTS or (job is jobs.convert and name == "write_images")]


def calls(folder: Path) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Of each job its inputs and what else it needs."""
    a, b = boxes(folder / "a.parquet"), boxes(folder / "b.parquet")
    grid = AnchorGrid.preset("retinanet")
    return {
        "assign": ({"truths": a}, {"anchors": grid, "resize": Resize.parse("640")}),
        "assign_points": ({"truths": a}, {"points": "fcos", "sizes": [64]}),
        "candidates": ({"truths": a}, {"points": ["yolov8"], "sizes": [64]}),
        "convert": ({"source": a}, {"write_images": None}),
        "evaluate": ({"detections": a, "truths": b, "images_table": boxes(folder / "c.parquet")}, {}),
        "fit_anchors": ({"truths": a}, {"count": 1}),
        "fuse": ({"tables": [a, b]}, {}),
        "inspect": ({"truths": a, "images_table": b}, {}),
        "measure": ({"pairs": a}, {}),
        "nms": ({"detections": a}, {}),
        "pairs": ({"detections": a, "truths": b}, {}),
        "regression": ({}, {"points": 1, "steps": 1}),
        "synthesize": ({}, {"count": 1}),
        "sort": ({"tables": a}, {}),
        "suspects": ({"detections": a, "truths": b}, {}),
    }


@pytest.mark.parametrize(
    "name", sorted({n for n in jobs.__all__ if callable(getattr(jobs, n)) and n.islower()} - NO_PATHS)
)
def test_no_job_replaces_what_it_reads_or_writes(name: str, tmp_path: Path) -> None:
    job = getattr(jobs, name)
    inputs, options = calls(tmp_path)[name]
    written = written_by(job)
    assert written, f"what does {name} write? name it in OUTPUTS"
    before = everything(tmp_path)
    files = [file for given in inputs.values() for file in (given if isinstance(given, list) else [given])]
    for out, file in itertools.product(written, files):
        more = {"fix": tmp_path / "fixed.parquet"} if out == "changes" else {}
        more |= {"out": tmp_path / "free.parquet"} if job is jobs.convert and out != "out" else {}
        for same in (file, f"file://{file}", file.parent / "." / file.name):
            with pytest.raises(InputError):
                job(**inputs | options | more | {out: same})
            assert everything(tmp_path) == before
    for one, two in itertools.combinations(written, 2):
        new = tmp_path / ("new.html" if "report" in (one, two) else "new.parquet")
        more = {"fix": tmp_path / "fixed.parquet"} if "changes" in (one, two) and "fix" not in (one, two) else {}
        more |= {"truths": tmp_path / "t.parquet"} if job is jobs.synthesize else {}
        with pytest.raises(InputError):
            job(**inputs | options | more | {one: new, two: new.parent / "." / new.name})
        assert everything(tmp_path) == before


def test_the_list_of_changes_is_an_output_though_nobody_names_it(tmp_path: Path) -> None:
    path = boxes(tmp_path / "a.log.parquet")
    with pytest.raises(InputError, match="choose another output path"):
        jobs.inspect(path, fix=tmp_path / "a.parquet")
    assert os.listdir(tmp_path) == ["a.log.parquet"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_in_fragments_never_writes_where_it_reads(overwrite: bool, tmp_path: Path) -> None:
    path = boxes(tmp_path / "in" / "part-00000.parquet")
    boxes(tmp_path / "in" / "part-00001.parquet")
    before = everything(tmp_path)
    for source in (path, path.parent, f"{path.parent}/*.parquet", [path], f"file://{path}"):
        for out in (path.parent, f"{path.parent}/", tmp_path, f"file://{path.parent}", f"{path.parent}/parts/"):
            if out == f"{path.parent}/parts/" and source in (
                path,
                [path],
                f"file://{path}",
                f"{path.parent}/*.parquet",
            ):
                continue
            with pytest.raises(InputError):
                spread(jobs.nms, source, out=out, overwrite=overwrite, fragment_rows=2)
            assert everything(tmp_path) == before, (source, out)
    with pytest.raises(InputError, match="is the output for both"):
        spread(jobs.pairs, path, out=tmp_path / "x.html", report=tmp_path / "x.html")
    assert everything(tmp_path) == before


# Every command: all options that take a path, two by two.


INPUTS = {
    *("truths", "detections", "tables", "pairs", "source", "sizes", "names", "anchors", "shown_pictures"),
    *(
        "pointed_predictions",
        "more_images_table",
        "evaluation_images_table",
        "evaluation_federation",
        "evaluation_hierarchy",
    ),
}


REFUSED = r"choose another (output|path|folder)|expected (a page|a picture|UTF-8|a JSON|--points with)"


# Of some formats and rules alone, and a folder, of which tests/storage/test_pictures.py asks.
UNASKED = {"names", "sizes", "evaluation_federation", "evaluation_hierarchy", "shown_pictures", "pointed_predictions"}


NEEDED = {
    "assign": ["--anchors", "retinanet", "--resize", "64"],
    "evaluate": ["--slice-by", "crowding"],
    "anchors": ["--count", "1"],
    "regression": ["--points", "1", "--steps", "1"],
}


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_no_command_replaces_what_it_reads_or_writes(words: tuple[str, ...], tmp_path: Path) -> None:
    command = COMMANDS[words]
    places = [given for given in command.params if isinstance(given.type, click.Path)]
    known = set() if words == ("synthesize",) else INPUTS
    reads = [p for p in places if p.name in known]
    writes = [p for p in places if p not in reads]
    inputs = {p.name: boxes(tmp_path / f"in-{p.name}.parquet") for p in reads if p.name not in UNASKED}
    before = everything(tmp_path)

    def call(outputs: dict[str, Any]) -> Any:
        asked: list[str] = [*words, *NEEDED.get(words[-1], [])]
        ordered = [p for p in command.params if isinstance(p, click.Argument)] + [
            p for p in places if isinstance(p, click.Option)
        ]
        for p in ordered:
            value = outputs.get(p.name, inputs.get(p.name))
            if value is None and isinstance(p, click.Argument):
                value = tmp_path / "free.parquet"
            if value is not None:
                asked += [str(value)] if isinstance(p, click.Argument) else [p.opts[0], str(value)]
        return CliRunner().invoke(main, asked)

    for written, (_, file) in itertools.product(writes, inputs.items()):
        more = {"fix": tmp_path / "fixed.parquet"} if written.name == "changes" else {}
        result = call({**more, written.name: file})
        assert result.exit_code == 2 and re.search(REFUSED, result.output), (written.name, file, result.output)
        assert everything(tmp_path) == before, (written.name, file)
    for one, two in itertools.combinations(writes, 2):
        kinds = {p.name for p in (one, two)}
        ending = "html" if "report" in kinds else "svg" if "plot" in kinds else "parquet"
        more = {"fix": tmp_path / "fixed.parquet"} if "changes" in kinds and "fix" not in kinds else {}
        result = call({**more, one.name: tmp_path / f"new.{ending}", two.name: tmp_path / "." / f"new.{ending}"})
        assert result.exit_code == 2 and re.search(REFUSED, result.output), (kinds, result.output)
        assert everything(tmp_path) == before, kinds
