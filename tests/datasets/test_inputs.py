"""Tables that are not sorted Parquet: rows are those that were given, in outputs and in messages."""

from __future__ import annotations

import json
import logging
import os
import pickle
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from support.box_columns import CORNERS
from support.unsorted import boxes

import fastbox
from fastbox import InputError, Source, jobs
from fastbox.anchors import AnchorGrid
from fastbox.anchors.resize import Resize
from fastbox.cli import main
from fastbox.datasets import as_table, by_image
from fastbox.datasets.as_source import as_source
from fastbox.fragments import spread
from fastbox.storage.backed import Backed, Scratch
from fastbox.tables import in_order
from fastbox.tables.in_order import sorted_source
from fastbox.tables.separated import read_separated


def shuffled(rows: pa.Table, seed: int = 1) -> pa.Table:
    return rows.take(pa.array(np.random.default_rng(seed).permutation(len(rows))))


@settings(max_examples=40, deadline=None)
@given(
    ids=st.one_of(
        st.lists(st.integers(-(2**62), 2**62), max_size=30), st.lists(st.text(min_size=1, max_size=3), max_size=30)
    ),
    ragged=st.booleans(),
    rows=st.integers(1, 9),
)
def test_rows_lead_back_to_what_was_given(ids: list[Any], ragged: bool, rows: int) -> None:
    kind = pa.string() if ids and isinstance(ids[0], str) else pa.int64()
    given_ids = pa.array(ids, kind)
    numbers = np.arange(len(ids), dtype=np.float64)
    if ragged:  # row k holds k % 3 boxes
        lists = [[[float(row), 0.0, row + 1.0, 1.0]] * (row % 3) for row in range(len(ids))]
        table = pa.table({"image_id": given_ids, "bbox": pa.array(lists, pa.list_(pa.list_(pa.float64())))})
        owners = np.repeat(numbers, np.arange(len(ids)) % 3)
    else:
        columns = {"xmin": numbers, "ymin": numbers * 0, "xmax": numbers + 1, "ymax": numbers * 0 + 1}
        table, owners = pa.table({"image_id": given_ids, **columns}), numbers
    seen: list[int] = []
    for chunk in fastbox.scan(table, rows=rows):
        own = chunk.a_rows(np.arange(len(chunk.a)))
        np.testing.assert_array_equal(chunk.a.columns[0], owners[own])
        assert chunk.images is not None
        images = np.repeat(chunk.images, np.diff(chunk.a.offsets)).tolist()
        assert images == [ids[int(owner)] for owner in owners[own]]
        for image in set(images):  # rows of an image keep their order
            these = own[[place for place, one in enumerate(images) if one == image]]
            assert (np.diff(these) > 0).all()
        seen += own.tolist()
    assert sorted(seen) == list(range(len(owners)))


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("files", [1, 3])
def test_small_tables_are_sorted_in_memory_and_large_ones_by_the_sorter(
    tmp_path: Path, on_disk: bool, texts: bool, ragged: bool, files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if on_disk:
        monkeypatch.setattr(in_order, "get_memory", lambda: 1 << 30)
        monkeypatch.setattr(in_order, "COPIES", 1 << 40)
    ids = np.random.default_rng(3).integers(0, 30, 200)
    named = [f"i{k}" for k in ids] if texts else ids
    if ragged:
        lists = [[[float(row), 0.0, row + 1.0, 1.0]] * (row % 3) for row in range(200)]
        table = pa.table({"image_id": named, "bbox": lists})
        owners = np.repeat(np.arange(200), np.arange(200) % 3)
    else:
        side = np.arange(200, dtype=np.float64)
        table = pa.table({"image_id": named, "xmin": side, "ymin": side * 0, "xmax": side + 1, "ymax": side + 1})
        owners = np.arange(200)
    cuts = np.linspace(0, 200, files + 1).astype(int)
    paths = []
    for place, (first, last) in enumerate(pairwise(cuts)):
        paths.append(str(tmp_path / f"{place}.parquet"))
        pq.write_table(table.slice(first, last - first), paths[-1])
    source = sorted_source(Source(tuple(paths) if files > 1 else paths[0]))
    assert isinstance(source.path, Backed)
    assert source.path.sorted_in == ("files" if on_disk else "memory")
    rows = [chunk.a_rows(np.arange(len(chunk.a))) for chunk in fastbox.scan(source, rows=17)]
    firsts = [chunk.a.columns[0] for chunk in fastbox.scan(source, rows=17)]
    np.testing.assert_array_equal(np.concatenate(firsts), owners[np.concatenate(rows)])
    assert sorted(np.concatenate(rows).tolist()) == list(range(len(owners)))


@pytest.mark.parametrize("rising", [False, True])
def test_small_annotations_are_held_in_memory_and_large_ones_in_a_file(
    tmp_path: Path, rising: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(5)
    images = np.sort(rng.integers(0, 30, 200)) if rising else rng.integers(0, 30, 200)
    results = [
        {"image_id": image, "category_id": 1, "bbox": [k, 0, 1, 1], "score": 0.5}
        for k, image in enumerate(images.tolist())
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    for most in (1 << 30, 0):
        monkeypatch.setattr(by_image, "MOST_HELD", most)
        monkeypatch.setattr(as_table, "MOST_HELD", most)
        source = as_source(path)
        assert isinstance(source.path, Backed)
        assert isinstance(source.path.data, str) == (most == 0)
        assert source.path.sorted_in == (None if rising else "files" if most == 0 else "memory")
        rows = np.concatenate([chunk.a_rows(np.arange(len(chunk.a))) for chunk in fastbox.scan(source, rows=17)])
        firsts = np.concatenate([chunk.a.columns[0] for chunk in fastbox.scan(source, rows=17)])
        np.testing.assert_array_equal(firsts, rows)
        np.testing.assert_array_equal(rows, np.argsort(images, kind="stable"))


def test_evaluate_numbers_the_annotations_of_json(tmp_path: Path) -> None:
    annotations = [
        {"id": 1, "image_id": image, "category_id": 1, "bbox": [x, 0, 10, 10], "area": 100, "iscrowd": 0}
        for image, x in ((9, 0), (4, 50), (9, 100))
    ]
    images = [{"id": image, "width": 200, "height": 20} for image in (9, 4, 7)]
    categories = [{"id": 1, "name": "cat"}]
    truths, detections = tmp_path / "t.json", tmp_path / "d.json"
    truths.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    results = [
        {"image_id": image, "category_id": 1, "bbox": [x, 0, 10, 10], "score": score}
        for image, x, score in ((9, 100, 0.9), (4, 50, 0.8), (9, 0, 0.7), (4, 150, 0.6))
    ]
    detections.write_text(json.dumps(results))
    jobs.evaluate(detections, truths, tmp_path / "o.parquet")
    rows = pq.read_table(tmp_path / "o.parquet").to_pylist()
    matched = {row["detection"]: row["truth"] for row in rows}
    assert [row["image_id"] for row in rows] == [4, 4, 9, 9]
    assert matched == {0: 2, 1: 1, 2: 0, 3: None}


def test_every_output_of_rows_numbers_those_that_were_given(tmp_path: Path) -> None:
    rows = shuffled(boxes(sorted([*range(6)] * 4), category_id=[0, 1] * 12))
    ids = rows["image_id"].to_numpy()
    corners = np.stack([rows[name].to_numpy() for name in CORNERS], axis=1)
    out = tmp_path / "o.parquet"

    jobs.pairs(rows, rows, out, every=True, boxes=True)
    found = pq.read_table(out)
    for column, side in (("detection", "pred"), ("truth", "target")):
        own = found[column].to_numpy()
        np.testing.assert_array_equal(ids[own], found["image_id"].to_numpy())
        np.testing.assert_array_equal(corners[own, 0], found[f"{side}_xmin"].to_numpy())

    jobs.assign(rows, AnchorGrid.preset("retinanet"), out, resize=Resize("none", 64, 64))
    found = pq.read_table(out)
    own = found.filter(found["truth"].is_valid())
    np.testing.assert_array_equal(ids[own["truth"].to_numpy()], own["image_id"].to_numpy())

    jobs.inspect(rows, out=out)
    for row in pq.read_table(out).to_pylist():
        if row["row"] is not None:
            assert ids[row["row"]] == row["image_id"]
            assert corners[row["row"]].tolist() == [row[name] for name in CORNERS]

    jobs.nms(rows, out)
    kept = pq.read_table(out)
    assert kept.column_names == rows.column_names
    assert set(map(tuple, kept.to_pandas().to_numpy())) <= set(map(tuple, rows.to_pandas().to_numpy()))


@pytest.mark.parametrize("make", ["frame", "parquet", "csv"])
@pytest.mark.parametrize(("column", "says"), [("xmax", "'xmax'"), ("score", "'score'"), ("image_id", "'image_id'")])
def test_a_null_is_told_with_the_row_that_was_given(tmp_path: Path, make: str, column: str, says: str) -> None:
    rows = shuffled(boxes([0, 1, 2, 3] * 3))
    values = rows[column].to_pylist()
    values[7] = None
    rows = rows.set_column(rows.column_names.index(column), column, pa.array(values))
    given: Any = rows
    if make == "parquet":
        given = tmp_path / "d.parquet"
        pq.write_table(rows, given)
    elif make == "csv":
        given = tmp_path / "d.csv"
        rows.to_pandas().astype({"image_id": "Int64"}).to_csv(given, index=False)
    with pytest.raises(InputError, match=rf"column {says}.* at row 7\b"):
        jobs.nms(given)


def test_what_was_done_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "my boxes.parquet"
    pq.write_table(boxes([3, 1, 2]).rename_columns(["ImageID", *CORNERS, "conf"]), path)
    with caplog.at_level(logging.INFO, "fastbox"):
        found = jobs.nms(path)
    command = f"`jobs.sort({str(path)!r}, 'sorted.parquet', image_column='ImageID')`"
    said = f"{path} is not sorted by ImageID: its 3 rows were sorted in memory; {command} writes a sorted copy"
    assert [record.getMessage() for record in caplog.records if "sorted" in record.getMessage()] == [said]
    table = {"table": str(path), "read_as": "parquet", "sorted_in": "memory", "columns": {"image ids": "ImageID"}}
    assert found.to_dict()["inputs"] == [table, {"columns": {"scores": "conf"}}]
    pq.write_table(boxes([1, 2, 3]), path)
    assert "inputs" not in jobs.nms(path).to_dict()


def test_clusters_are_told_what_to_write_first() -> None:
    def elsewhere(task: Any, items: Any) -> Any:
        raise AssertionError("nothing is sent")

    with pytest.raises(InputError, match=r"got detections \(a Table\): write it .* fastbox\.jobs\.sort"):
        spread(jobs.nms, boxes([1, 2]), engine=elsewhere)
    with pytest.raises(InputError, match="which was read on this machine"):
        pickle.dumps(as_source(boxes([1, 2])))


def test_unsorted_tables_are_refused_by_clusters_with_the_command(tmp_path: Path) -> None:
    def elsewhere(task: Any, items: Any) -> Any:
        raise AssertionError("nothing is sent")

    pq.write_table(boxes([1, 2, 0]), tmp_path / "a b.parquet")
    with pytest.raises(InputError, match=r"ascending ids .*: sort it with `jobs.sort\('.*a b\.parquet', 'sorted"):
        spread(jobs.nms, tmp_path / "a b.parquet", engine=elsewhere)


@pytest.mark.jit
def test_progress_begins_again_where_a_table_had_to_be_sorted(tmp_path: Path) -> None:
    rows = pa.concat_tables([boxes([*range(5000)]), boxes([0])])
    pq.write_table(rows, tmp_path / "d.parquet")
    steps: list[int] = []
    jobs.nms(tmp_path / "d.parquet", rows=100, progress=steps.append)
    assert sum(steps) == 5001
    steps.clear()
    jobs.pairs(tmp_path / "d.parquet", tmp_path / "d.parquet", rows=100, progress=steps.append)
    assert sum(steps) == 2 * 5001


def test_scratch_files_are_gone_with_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "d.csv").write_text("image_id,x,y,w,h,score\n2,0,0,1,1,0.5\n1,0,0,1,1,0.5\n")
    assert jobs.nms(tmp_path / "d.csv").boxes == 2
    assert os.listdir(tmp_path) == ["d.csv"]


# CSV


@pytest.mark.parametrize(
    ("text", "types"),
    [
        ("a,b\n1,x\n2,y\n", {"a": "int64", "b": "string"}),
        ("a;b\n007;1.5\n008;2\n", {"a": "string", "b": "double"}),
        ("a\tb\n-1\ttrue\n0\tFALSE\n", {"a": "int64", "b": "bool"}),
        ('\ufeffa,"b,c"\n1,"said ""x"", and\nmore"\n', {"a": "int64", "b,c": "string"}),
        ("a,b\n99999999999999999999,1e3\n1,-0.5\n", {"a": "string", "b": "double"}),
        ("a,b\n1,\n,2.5\n", {"a": "int64", "b": "double"}),
        ("image_id,x\n", {"image_id": "int64", "x": "double"}),
        ("ImageID,class,x\n1.0,2.,1.0\n7,,3\n", {"ImageID": "int64", "class": "int64", "x": "double"}),
        ("image_id,class\n1.0,1.5\nx,2\n", {"image_id": "string", "class": "double"}),
        ("a\u2028b,c\x85,\x0bd\n1,2,3\n", {"a\u2028b": "int64", "c\x85": "int64", "\x0bd": "int64"}),
    ],
)
def test_csv_keeps_types(tmp_path: Path, text: str, types: dict[str, str]) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8")
    scratch = Scratch()
    found = pq.read_table(read_separated(str(path), scratch))
    assert {field.name: str(field.type) for field in found.schema} == types


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"1,1,912,484,97,109,0,7,1\n", "a header in the first line of .*, got numbers"),
        (b"0 0.5 0.5 0.1 0.1\n", "a header in the first line of .*, got numbers"),
        (b"", "got an empty file"),
        (b"a,b\n1\n", "2 values in each line of .*, got 1"),
        (b"a,b\n1,2,3\n", "2 values in each line of .*, got 3"),
        (b"a,a\n1,2\n", "one column 'a' in .*, got 2"),
        (b"a,b\n\xff\xfe,1\n", "UTF-8 in .*, got another encoding: save it as UTF-8"),
        (b"a,b\n1,\xe9,3\n", "UTF-8 in .*, got another encoding: save it as UTF-8"),
        (b"PAR1\x00 and more", "a CSV file in .*, got Parquet: name it t.parquet"),
        (b'\n{"images": []}', "a CSV file in .*, got JSON: name it t.json"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16: save it as UTF-8"),
    ],
)
def test_what_is_no_csv_is_refused_in_a_sentence(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    result = CliRunner().invoke(main, ["nms", str(path)])
    assert result.exit_code == 2, result.output
    with pytest.raises(InputError, match=says):
        jobs.nms(path)


def test_ids_that_were_floats_for_a_while_are_the_same_ids(tmp_path: Path) -> None:
    header = "image_id,category_id,xmin,ymin,xmax,ymax,score\n"
    (tmp_path / "d.csv").write_text(header + "7.0,1.0,0,0,9,9,0.5\n8.0,2.0,0,0,9,9,0.5\n")
    (tmp_path / "t.csv").write_text(header + "7,1,0,0,9,9,1\n8,2,0,0,9,9,1\n")
    assert jobs.evaluate(tmp_path / "d.csv", tmp_path / "t.csv").to_dict()["stats"]["AP"] == pytest.approx(1)
