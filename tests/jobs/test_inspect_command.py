"""The command ``fastbox inspect``: the job's figures, its terminal output, and refusals."""

from __future__ import annotations

import json
import math
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import calls
from support.inspections import assert_same, naive, printed, rows_of
from support.scenes import LIMITS, Scene

import fastbox
from fastbox import InputError, Source, jobs
from fastbox.jobs import Limits

HOSTILE = ["[red]x[/red]", "[/]", "a\x1b[31mb\x00\n", "é漢字🚗", "x" * 10_000, "", "\u202egnp"]


@pytest.mark.parametrize("width", [80, 120])
def test_names_of_the_data_are_text_and_no_markup(tmp_path: Path, width: int) -> None:
    n = 3 * len(HOSTILE)
    table = {
        "image_id": sorted(HOSTILE * 3),
        "category_id": HOSTILE * 3,
        "bbox": [[1.0, 1.0, 1.0, 5.0]] * n,
        "id": [HOSTILE[4]] * n,
    }
    pq.write_table(pa.table(table), tmp_path / "t.parquet")
    found = jobs.inspect(tmp_path / "t.parquet", out=tmp_path / "p.parquet")
    assert found.problems.counts["repeated_id"] == n - 1
    text = printed(found.to_dict(), width)
    assert not set(text) & {"\x1b", "\x00", "\u202e"}
    assert "[red]x[/red]" in text and "[/]" in text and "é漢字🚗" in text
    assert "x" * 50 not in text


def test_names_of_classes_come_from_the_record(tmp_path: Path) -> None:
    jobs_sample = tmp_path / "s.parquet"
    jobs.synthesize(jobs_sample, count=30)
    with fastbox.tables.sink.Sink(  # type: ignore[attr-defined]
        tmp_path / "t.parquet", pq.read_schema(jobs_sample).remove_metadata(), command="convert", parameters={}
    ) as sink:
        sink.record(categories={str(k): f"name {k}" for k in range(1, 100)})
        sink.write(pq.read_table(jobs_sample).replace_schema_metadata(None))
    found = jobs.inspect(tmp_path / "t.parquet").to_dict()
    assert found["classes"][0]["name"] == f"name {found['classes'][0]['class']}"
    assert found["classes"][0]["name"] in printed(found)
    met = {entry["class"] for entry in found["classes"] if entry["boxes"]}
    assert {entry["class"] for entry in found["classes"] if not entry["boxes"]} == set(range(1, 100)) - met
    assert f"99 classes · {99 - len(met)} without boxes" in printed(found)


def test_no_line_is_wider_than_the_terminal(tmp_path: Path) -> None:
    scene = Scene(tmp_path, ids="str", classes="str")
    summary = jobs.inspect(scene.path, scene.images, limits=LIMITS).to_dict()
    for width in (80, 120):
        lines = printed(summary, width).splitlines()
        assert max(map(len, lines)) <= width
        assert all(any(code in line for line in lines) for code in (row["code"] for row in summary["problems"]))


call = partial(calls.call, "inspect")


def test_the_command_is_the_job(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    out, fix, log = (tmp_path / f"{name}.parquet" for name in ("p", "c", "l"))
    limits = ("--max-aspect", 30, "--near", 0.8, "--huge", 0.9, "--class-size", 3)
    result = call(
        scene.path, "--images-table", scene.images, *limits, "-o", out, "--fix", fix, "--changes", log, "--json"
    )
    assert result.exit_code == 0, result.output
    found = jobs.inspect(scene.path, scene.images, limits=LIMITS, fix=tmp_path / "c2.parquet")
    assert json.loads(result.stdout) == {"schema": 1, **found.to_dict()}
    assert_same(rows_of(out), naive(scene, LIMITS, listed=True))
    assert pq.read_table(fix).equals(pq.read_table(tmp_path / "c2.parquet"))
    assert len(pq.read_table(log)) == len(pq.read_table(tmp_path / "c2.log.parquet"))
    said = call(scene.path, "--fix", fix, "--class-size", 0).stdout
    assert "class_size" not in said and "cleaned copy:" in said
    assert str(tmp_path / "c.log.parquet") in said.replace("\n", "")


def test_the_command_takes_columns(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    plain = call(scene.path, "--json").stdout
    names = ["bild", "kind", "a", "b", "c", "d", "key", "breit", "hoch"]
    pq.write_table(scene.table.rename_columns(names), scene.path)
    named = (
        "--image-column",
        "bild",
        "--class-column",
        "kind",
        "--id-column",
        "key",
        "--size-columns",
        "breit,hoch",
        "--box",
        "a,b,c,d",
    )
    found = json.loads(call(scene.path, *named, "--format", "xyxy", "--json").stdout)
    assert found | {"rules": None} == json.loads(plain) | {"rules": None}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--size-columns", "width"), "expected 2 names with commas between, got 'width'"),
        (("--near", 2), "expected near to be above 0 and at most 1, got 2.0"),
        (("--tolerance", "nan"), "expected tolerance to be 0 or more, got nan"),
        (("--changes", "l.parquet"), "expected a list of changes only with a cleaned copy"),
        (("--class-column", "kind"), "'kind'"),
    ],
)
def test_the_command_says_what_can_not_be(tmp_path: Path, options: tuple[Any, ...], words: str) -> None:
    result = call(Scene(tmp_path).path, *options)
    assert result.exit_code == 2
    assert words in " ".join(result.stderr.split())
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"class_column": "nothing"}, "'nothing'"),
        ({"class_column": "xmin"}, "expected integers or strings in column 'xmin'"),
        ({"id_column": "height"}, "expected integers or strings in column 'height'"),
        ({"size_columns": ("xmin", "height")}, "expected the images' sizes in column 'xmin'.*got the boxes'"),
        ({"changes": "l.parquet"}, "expected a list of changes only with a cleaned copy"),
    ],
)
def test_columns_that_can_not_be_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    scene = Scene(tmp_path)
    with pytest.raises(InputError, match=words):
        jobs.inspect(scene.path, **options)


def test_tables_that_can_not_be_are_refused(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    with pytest.raises(InputError, match="column of image ids"):
        jobs.inspect(Source(scene.path, image=None))
    unsorted = scene.table.take(list(range(149, -1, -1)))
    pq.write_table(unsorted, tmp_path / "u.parquet")
    listing = pq.read_table(scene.images)
    sorted_ones = jobs.inspect(scene.path, scene.images)
    pq.write_table(listing.take(list(range(len(listing) - 1, -1, -1))), scene.images)
    assert jobs.inspect(scene.path, scene.images).problems == sorted_ones.problems
    assert jobs.inspect(tmp_path / "u.parquet", scene.images).problems.counts == sorted_ones.problems.counts
    Scene(tmp_path, ids="str")
    pq.write_table(scene.table, scene.path)
    with pytest.raises(InputError, match="image ids of one kind in both tables"):
        jobs.inspect(scene.path, scene.images, tmp_path / "p.parquet")
    assert not (tmp_path / "p.parquet").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    "limits",
    [{"tolerance": -1}, {"near": 0}, {"near": 1.5}, {"max_aspect": 0.5}, {"huge": math.nan}, {"class_size": 0}],
)
def test_limits_that_can_not_be_are_refused(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"expected {next(iter(limits))} to be"):
        Limits(**limits)
