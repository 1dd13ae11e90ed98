"""Pages say what made them: tables, options, version and command line, for those who read and for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.pages import HOSTILE, parsed

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from fastbox import Source, __version__, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.cli import main
from fastbox.fragments import spread
from fastbox.report.page.contents import Page
from fastbox.report.page.write import render
from fastbox.report.provenance import Provenance, on_command_line

CORNERS = ("xmin", "ymin", "xmax", "ymax")
COMMANDS = {
    "measure": ["pairs.parquet", "--beta", "2"],
    "pairs": ["boxes.parquet", "boxes.parquet", "--threshold", "0.25"],
    "assign": ["boxes.parquet", "--anchors", "retinanet", "--resize", "shorter=100,longer=200"],
    "evaluate": ["boxes.parquet", "boxes.parquet", "--max-dets", "5"],
    "inspect": ["boxes.parquet", "--near", "0.5"],
    "suspects": ["boxes.parquet", "boxes.parquet", "--min-score", "0.5"],
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with boxes and pairs, to be worked in."""
    low = np.random.default_rng(0).uniform(0, 50, (60, 2))
    corners = np.concatenate([low, low + 20], axis=1).T
    columns = dict(zip(CORNERS, corners, strict=True))
    ids = {"image_id": np.repeat(np.arange(10), 6), "category_id": np.arange(60) % 3, "score": np.linspace(0, 1, 60)}
    sizes = {"width": [100] * 60, "height": [100] * 60}
    pq.write_table(pa.table({**ids, **columns, **sizes}), tmp_path / "boxes.parquet", row_group_size=6)
    sides = {f"{side}_{name}": values for side in ("pred", "target") for name, values in columns.items()}
    pq.write_table(pa.table(sides), tmp_path / "pairs.parquet", row_group_size=6)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(html: str) -> Any:
    """The record in a page, as a program reads it."""
    found = re.search(r'<script type="application/json" id="fastbox-run">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def command(name: str, *arguments: str) -> None:
    result = CliRunner().invoke(main, [name, *arguments])
    assert result.exit_code == 0, result.output


@pytest.mark.slow
@pytest.mark.parametrize("fragments", [False, True])
@pytest.mark.parametrize("name", COMMANDS)
def test_every_page_says_what_made_it(folder: Path, name: str, fragments: bool) -> None:
    given = [*COMMANDS[name], "--report", "page.html", *(["--engine", "threads"] if fragments else [])]
    command(name, *given)
    html = Path("page.html").read_text("utf-8")
    found = record(html)
    assert found["job"] == name and found["version"] == __version__
    assert found["command"] == " ".join(["fastbox", name, *given])
    assert set(json.dumps(found["tables"]).split('"')) >= {COMMANDS[name][0]}
    assert "/tmp" not in json.dumps(found)
    options = {"measure": ("beta", 2.0), "pairs": ("threshold", 0.25), "suspects": ("min_score", 0.5)}
    options |= {"assign": ("rule", "fastbox")}
    option, value = options.get(name, (None, None))
    if option == "rule":
        assert found["options"]["rule"]["name"] == value
    elif option is not None:
        assert found["options"][option] == value
    elif name == "inspect":
        assert found["options"]["limits"]["near"] == 0.5
    else:
        assert found["options"]["params"]["max_dets"] == [5]
    texts = "".join(parsed(html).texts)
    assert found["command"] in texts and f"fastbox {__version__}" in texts
    command(name, *given)
    assert Path("page.html").read_text("utf-8") == html


def test_a_page_of_fragments_says_what_that_of_the_whole_says(folder: Path) -> None:
    whole = jobs.pairs("boxes.parquet", "boxes.parquet", threshold=0.25)
    parts = spread(jobs.pairs, "boxes.parquet", "boxes.parquet", threshold=0.25, fragment_rows=12)
    assert whole.provenance == parts.provenance and whole.to_dict() == parts.to_dict()


@pytest.mark.slow
def test_a_call_is_recorded_with_its_arguments_and_without_a_command(folder: Path) -> None:
    jobs.pairs(Source("boxes.parquet", format="xyxy"), metrics=["giou"], threshold=-0.5, report="page.html")
    found = record(Path("page.html").read_text("utf-8"))
    assert found["command"] is None
    assert found["tables"] == {"detections": {"path": "boxes.parquet", "format": "xyxy"}}
    assert (found["options"]["threshold"], found["options"]["metrics"]) == (-0.5, ["giou"])
    assert "report" not in found["options"] and "rows" not in found["options"]


@pytest.mark.slow
def test_the_command_line_is_that_of_the_command_alone(folder: Path) -> None:
    command("pairs", "boxes.parquet", "--report", "page.html")
    found = jobs.pairs("boxes.parquet")
    assert found.provenance is not None and found.provenance.command is None


JOBS: list[Callable[..., Any]] = [
    jobs.nms,
    jobs.fuse,
    jobs.measure,
    jobs.pairs,
    jobs.evaluate,
    jobs.assign,
    jobs.inspect,
    jobs.suspects,
]


@pytest.mark.parametrize("job", JOBS)
def test_a_call_that_can_not_be_is_refused_as_python_refuses_it(job: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match=job.__name__):
        job()
    needed = {"anchors": None, "resize": None} if job is jobs.assign else {}
    with pytest.raises(TypeError, match=r"nonsense"):
        job("a", **needed, nonsense=1, **({"truths": "b"} if job in (jobs.evaluate, jobs.suspects) else {}))


def test_grids_of_other_sizes_have_other_records() -> None:
    sides = [AnchorGrid([8], [size], [1.0]) for size in (16, 32)]
    records = [Provenance.of(jobs.assign, ("t.parquet", grid), {"resize": Resize("none", 9, 9)}) for grid in sides]
    assert records[0].options["anchors"] != records[1].options["anchors"]
    assert all(json.dumps(one.to_dict(), allow_nan=False) for one in records)


@pytest.mark.parametrize("text", [*HOSTILE, "</script><script>alert(1)</script>", "<!--<script>"])
def test_nothing_in_a_record_ends_its_element(text: str) -> None:
    with on_command_line(["pairs", text]):
        made = Provenance.of(jobs.pairs, (text,), {"class_column": text})
    html = render(Page("p", "l", []), made)
    elements = parsed(html)
    assert [tag for tag, _ in elements.found].count("script") == 2
    assert record(html) == json.loads(json.dumps(made.to_dict()))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_any_option_is_json(value: Any) -> None:
    made = Provenance.of(jobs.pairs, ("a.parquet",), {"keep": value, "threshold": np.float32(0.5)})
    assert json.loads(json.dumps(made.to_dict(), allow_nan=False))["options"]["threshold"] == 0.5


def test_passwords_are_left_out() -> None:
    with on_command_line(["pairs", "s3://key:secret@bucket/a.parquet", "--address", "tcp://me:word@host:8786"]):
        made = Provenance.of(jobs.pairs, ("s3://key:secret@bucket/a.parquet",), {})
    assert not {"secret", "word"} & set(re.split(r"\W+", json.dumps(made.to_dict())))
    assert made.tables == {"detections": "s3://bucket/a.parquet"}
