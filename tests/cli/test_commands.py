"""The commands measure, pairs and convert as a person calls them: what they write and what they print."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.box_columns import CORNERS
from support.calls import call, columns, images_table, pairs_table, random_boxes

import fastbox
from fastbox import Boxes, jobs
from fastbox.tables.record import read_record


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    table = pq.read_table(path)
    return (
        table["image_id"].to_numpy(),
        np.stack([table[c] for c in CORNERS], 1),
        table["category_id"].to_numpy() if "category_id" in table.column_names else np.zeros(len(table)),
    )


# measure


@pytest.mark.jit
@pytest.mark.parametrize("rows", [1, 7, 1000, 262_144])
def test_measure_appends_what_aligned_gives(paired: Path, rows: int) -> None:
    if rows < 7:
        pq.write_table(pairs_table(60), paired)
    source, out = pq.read_table(paired), paired.with_name("out.parquet")
    found = jobs.measure(paired, out, metrics=["iou", "giou", "smooth_l1"], beta=2.0, rows=rows)
    written = pq.read_table(out)
    assert written.column_names == [*source.column_names, "iou", "giou", "smooth_l1"]
    assert written.select(source.column_names).equals(source)
    pred, target = (np.stack([source[p + c] for c in CORNERS], 1) for p in ("pred_", "target_"))
    for name in ("iou", "giou", "smooth_l1"):
        expected = fastbox.aligned(pred, target, metric=name, beta=2.0)
        np.testing.assert_array_equal(written[name].to_numpy(), expected)
        assert found.metrics[name].count == len(source)
        assert found.metrics[name].mean == pytest.approx(expected.astype(np.float64).mean(), rel=1e-12)
    record = read_record(out)
    assert (record["command"], record["rows"], record["version"]) == ("measure", len(source), fastbox.__version__)
    assert record["parameters"]["beta"] == 2.0
    assert record["summary"] == found.to_dict()


@pytest.mark.jit
def test_a_summary_does_not_depend_on_chunks(paired: Path) -> None:
    summaries = [jobs.measure(paired, rows=rows).to_dict() for rows in (13, 700, 262_144)]
    assert summaries[0] == summaries[1] == summaries[2]


def test_measure_keeps_what_is_asked_and_replaces_its_own(paired: Path) -> None:
    out, again = paired.with_name("out.parquet"), paired.with_name("again.parquet")
    assert call("measure", paired, "-o", out, "--metrics", "iou,diou").exit_code == 0
    assert call("measure", out, "-o", again, "--metrics", "iou").exit_code == 0
    assert pq.read_table(again).column_names == [*pairs_table(0).column_names, "diou", "iou"]
    assert call("measure", paired, "-o", out, "--keep", "id", "--metrics", "l1").exit_code == 0
    assert pq.read_table(out).column_names == ["id", "l1"]


def test_measure_gives_losses_and_their_gradients(paired: Path) -> None:
    out = paired.with_name("out.parquet")
    asked = ("measure", paired, "--metrics", "iou,iou_loss,huber_loss", "--grad", "--delta", 2.0)
    summary = json.loads(call(*asked, "-o", out, "--keep", "id", "--json").stdout)
    source, written = pq.read_table(paired), pq.read_table(out)
    pred, target = (np.stack([source[p + c] for c in CORNERS], 1) for p in ("pred_", "target_"))
    assert written.column_names[:4] == ["id", "iou", "iou_loss", "iou_loss_grad_x0"]
    loss, grad = fastbox.huber_loss(Boxes(pred), Boxes(target), delta=2.0, reduction="box", return_grad=True)
    np.testing.assert_array_equal(written["huber_loss"].to_numpy(), loss)
    columns = [f"huber_loss_grad_{coordinate}" for coordinate in ("x0", "y0", "x1", "y1")]
    np.testing.assert_array_equal(np.stack([written[column] for column in columns], 1), grad)
    apart = int((written["iou"].to_numpy() == 0).sum())
    assert apart > 0
    assert summary["metrics"]["iou_loss_grad"]["zero"] == apart
    assert summary["metrics"]["huber_loss_grad"]["zero"] == 0
    lines = call(*asked).stdout.splitlines()
    assert all(len(line) <= 80 for line in lines)
    assert any(line.split()[:4] == ["iou_loss,", "1/px", f"{apart:,}", f"({apart / 2500:.2%})"] for line in lines)
    assert not any("iou_loss, px" in line for line in lines)


def test_invalid_boxes_are_counted_by_reason(tmp_path: Path) -> None:
    pred = random_boxes(6)
    pred[1, 0], pred[2, 3] = np.nan, np.inf
    target = random_boxes(6, 1)
    target[4] = [9, 9, 1, 10]
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table({**columns(pred, "pred_"), **columns(target, "target_")}), path)
    summary = json.loads(call("measure", path, "--json").stdout)
    assert summary["invalid"] == {
        "pred": {"not_finite": 2, "inverted": 0},
        "target": {"not_finite": 0, "inverted": 1},
    }
    assert summary["metrics"]["iou"]["count"] == 3
    assert summary["metrics"]["iou"]["invalid"] == 3
    assert "2 pred not finite, 1 target inverted" in " ".join(call("measure", path).stdout.split())


@pytest.mark.parametrize("layout", ["struct", "list", "fixed"])
def test_measure_finds_other_layouts(tmp_path: Path, layout: str) -> None:
    sides = {}
    for seed, side in enumerate(("pred", "target")):
        boxes = random_boxes(20, seed)
        if layout == "struct":
            sides[side] = pa.StructArray.from_arrays([pa.array(boxes[:, k]) for k in range(4)], CORNERS)
        else:
            kind = pa.list_(pa.float32(), 4) if layout == "fixed" else pa.list_(pa.float32())
            sides[side] = pa.array(boxes.tolist(), kind)
    pq.write_table(pa.table(sides), tmp_path / "p.parquet")
    out = tmp_path / "out.parquet"
    assert call("measure", tmp_path / "p.parquet", "-o", out, "--metrics", "iou").exit_code == 0
    expected = fastbox.aligned(random_boxes(20), random_boxes(20, 1))
    np.testing.assert_array_equal(pq.read_table(out)["iou"].to_numpy(), expected)


# pairs


def naive(a: Any, b: Any, rule: Callable[[np.ndarray], Any], by_class: bool = False) -> list[tuple[int, int]]:
    """Pairs of row numbers by a loop over images, and over classes."""
    (ids_a, boxes_a, class_a), (ids_b, boxes_b, class_b) = a, b
    found = []
    for image in np.union1d(ids_a, ids_b):
        kinds = np.union1d(class_a, class_b) if by_class else [None]
        for kind in kinds:
            rows = np.flatnonzero((ids_a == image) & ((class_a == kind) if by_class else True))
            cols = np.flatnonzero((ids_b == image) & ((class_b == kind) if by_class else True))
            i, j = rule(fastbox.pairwise(boxes_a[rows], boxes_b[cols]))
            found += zip(rows[i].tolist(), [int(cols[k]) if k >= 0 else None for k in j], strict=True)
    return sorted(found, key=lambda pair: (pair[0], -1 if pair[1] is None else pair[1]))


def best_of(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = np.arange(matrix.shape[0])
    return rows, matrix.argmax(1) if matrix.shape[1] else np.full(len(rows), -1)


RULES = {
    "--threshold=0.2": lambda matrix: np.nonzero(matrix >= np.float32(0.2)),
    "--all": lambda matrix: np.nonzero(matrix > -1),
    "--best": best_of,
}


@pytest.mark.jit
@pytest.mark.parametrize("rows", [1, 7, 1000])
@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("rule", RULES)
def test_pairs_are_those_of_a_loop_over_images(
    two: tuple[Path, Path], rule: str, by_class: bool, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = importlib.import_module("fastbox.jobs.pairs")
    monkeypatch.setattr(job, "scan", lambda a, b, **_: fastbox.scan(a, b, rows=rows))
    out = two[0].with_name("out.parquet")
    options = ["--per-class"] if by_class else []
    result = call("pairs", *two, rule, *options, "--metrics", "iou,ciou", "-o", out, "--json")
    assert result.exit_code == 0, result.output
    table = pq.read_table(out)
    expected = naive(read(two[0]), read(two[1]), RULES[rule], by_class)
    found = list(zip(table["detection"].to_pylist(), table["truth"].to_pylist(), strict=True))
    assert found == expected
    ids, boxes, _ = read(two[0])
    others = read(two[1])[1]
    assert table["image_id"].to_pylist() == [ids[row] for row, _ in expected]
    for name in ("iou", "ciou"):
        values = [
            np.nan if c is None else fastbox.pairwise(boxes[[r]], others[[c]], metric=name)[0, 0] for r, c in expected
        ]
        np.testing.assert_array_equal(table[name].to_numpy(), np.array(values, np.float32))
    summary = json.loads(result.stdout)
    matched = {row for row, other in expected if other is not None}
    assert summary["pairs"] == sum(other is not None for _, other in expected)
    assert summary["unmatched"] == len(ids) - len(matched)
    assert (summary["images"], summary["detections"], summary["truths"]) == (8, 60, 25)
    assert read_record(out)["summary"] == {name: value for name, value in summary.items() if name != "schema"}


def test_classes_may_be_names(two: tuple[Path, Path]) -> None:
    outs = [two[0].with_name(name) for name in ("numbers.parquet", "names.parquet")]
    for out, column in zip(outs, ("category_id", "name"), strict=True):
        assert (
            call("pairs", *two, "--per-class", "--class-column", column, "--threshold", 0.1, "-o", out).exit_code == 0
        )
    shared = ["image_id", "detection", "truth", "iou"]
    assert pq.read_table(outs[0]).select(shared).equals(pq.read_table(outs[1]).select(shared))


def test_one_table_gives_its_near_duplicates(two: tuple[Path, Path]) -> None:
    out = two[0].with_name("out.parquet")
    assert call("pairs", two[0], "--threshold", 0.3, "-o", out).exit_code == 0
    upper = lambda matrix: np.nonzero(np.triu(matrix >= np.float32(0.3), 1))  # noqa: E731
    table = pq.read_table(out)
    assert list(zip(table["row"].to_pylist(), table["other"].to_pylist(), strict=True)) == naive(
        read(two[0]), read(two[0]), upper
    )


def test_pairs_carry_boxes_and_columns_that_measure_reads(two: tuple[Path, Path]) -> None:
    out, measured = two[0].with_name("out.parquet"), two[0].with_name("measured.parquet")
    assert call("pairs", *two, "--best", "--boxes", "--keep", "name,category_id", "-o", out).exit_code == 0
    assert call("measure", out, "-o", measured, "--metrics", "iou").exit_code == 0
    a, b = pq.read_table(out), pq.read_table(measured)
    np.testing.assert_array_equal(a["iou"].to_numpy(), b["iou"].to_numpy())
    rows = a["detection"].to_numpy()
    assert a["name"].to_pylist() == pq.read_table(two[0])["name"].take(rows).to_pylist()


def test_image_ids_may_be_strings(tmp_path: Path) -> None:
    pq.write_table(images_table(["a", "a", "b"], 0), tmp_path / "d.parquet")
    pq.write_table(images_table(["a", "c"], 1), tmp_path / "t.parquet")
    out = tmp_path / "out.parquet"
    assert call("pairs", tmp_path / "d.parquet", tmp_path / "t.parquet", "--best", "-o", out).exit_code == 0
    table = pq.read_table(out)
    assert table["image_id"].to_pylist() == ["a", "a", "b"]
    assert table["truth"].to_pylist() == [0, 0, None]


def test_rows_are_numbered_over_all_files(two: tuple[Path, Path]) -> None:
    folder = two[0].with_name("parts")
    folder.mkdir()
    whole = pq.read_table(two[0])
    cut = 31
    pq.write_table(whole.slice(0, cut), folder / "0.parquet")
    pq.write_table(whole.slice(cut), folder / "1.parquet")
    outs = [two[0].with_name(name) for name in ("whole.out", "parts.out")]
    for source, out in zip((two[0], folder), outs, strict=True):
        assert call("pairs", source, two[1], "--threshold", 0.1, "-o", out).exit_code == 0
    assert pq.read_table(outs[0]).equals(pq.read_table(outs[1]))


@pytest.mark.jit
def test_a_crowded_image_is_no_trouble(tmp_path: Path) -> None:
    n = 200_000
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 1e5, (n, 2))
    boxes = np.concatenate([low, low + 30], 1).astype("float32")
    pq.write_table(pa.table({"image_id": np.zeros(n, int), **columns(boxes)}), tmp_path / "d.parquet")
    pq.write_table(pa.table({"image_id": [0], **columns(boxes[:1])}), tmp_path / "t.parquet")
    found = jobs.pairs(tmp_path / "d.parquet", tmp_path / "t.parquet", threshold=0.9)
    assert found.detections == n
    assert found.pairs >= 1


# what a person sees


def written(folder: Path) -> dict[str, Path]:
    """The tables that synthesize writes, by their names in its figures."""
    return {
        "truths": folder / "s.parquet",
        "detections": folder / "s-detections.parquet",
        "pairs": folder / "p.parquet",
    }


def test_every_command_prints_the_figures_of_its_job_as_json(tmp_path: Path) -> None:
    made = tmp_path / "s.parquet"
    runs = [
        ("synthesize", made, "--count", 20, "--pairs", tmp_path / "p.parquet"),
        ("measure", tmp_path / "p.parquet"),
        ("pairs", tmp_path / "s-detections.parquet", made, "-o", tmp_path / "o.parquet"),
    ]
    for run in runs:
        result = call(*run, "--json")
        assert result.exit_code == 0
        figures = json.loads(result.stdout)
        assert figures.pop("schema") == 1
        if run[0] == "synthesize":
            rows = {name: pq.read_metadata(path).num_rows for name, path in written(tmp_path).items()}
            assert figures == {"images": 20, **rows}
        elif run[0] == "measure":
            assert figures == json.loads(json.dumps(jobs.measure(tmp_path / "p.parquet").to_dict()))
        else:
            assert figures == read_record(tmp_path / "o.parquet")["summary"]
        plain = call(*run).stdout
        assert "{" not in plain
        assert all(len(line) <= 80 or line.startswith("→") for line in plain.splitlines())


def test_convert_goes_straight_into_pairs(tmp_path: Path) -> None:
    truths = {
        "images": [{"id": 4, "width": 50, "height": 40}, {"id": 2, "width": 50, "height": 40}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 1, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0},
            {"id": 2, "image_id": 2, "category_id": 1, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0},
        ],
        "categories": [{"id": 1, "name": "cat"}],
    }
    results = [{"image_id": 2, "category_id": 1, "bbox": [5, 5, 10, 5], "score": 0.5}]
    for name, content in (("t", truths), ("d", results)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
        assert call("convert", tmp_path / f"{name}.json", tmp_path / f"{name}.parquet").exit_code == 0
    summary = json.loads(call("pairs", tmp_path / "d.parquet", tmp_path / "t.parquet", "--json").stdout)
    assert (summary["images"], summary["pairs"]) == (2, 1)
    assert summary["metrics"]["iou"]["mean"] == 0.5


def test_unsorted_tables_are_sorted_and_rows_are_those_that_were_given(tmp_path: Path) -> None:
    pq.write_table(images_table([3, 3, 1], 0), tmp_path / "d.parquet")
    pq.write_table(images_table([1, 3], 0), tmp_path / "t.parquet")
    call("pairs", tmp_path / "d.parquet", tmp_path / "t.parquet", "--all", "-o", tmp_path / "o.parquet")
    found = pq.read_table(tmp_path / "o.parquet")
    assert found["image_id"].to_pylist() == [1, 3, 3]
    assert found["detection"].to_pylist() == [2, 0, 1]
    assert sorted(os.listdir(tmp_path)) == ["d.parquet", "o.parquet", "t.parquet"]


def test_nothing_in_nothing_out(tmp_path: Path) -> None:
    path, out = tmp_path / "p.parquet", tmp_path / "out.parquet"
    empty = pairs_table(5).slice(0, 0)
    with pq.ParquetWriter(path, empty.schema) as writer:
        writer.write_table(empty)
    result = call("measure", path, "-o", out)
    assert result.exit_code == 0
    assert "0 rows" in result.stdout
    assert pq.read_table(out).schema.names == [*empty.column_names, "iou", "giou", "smooth_l1"]
    with pq.ParquetWriter(path, empty.schema) as writer:
        for table in (empty, pairs_table(3), empty):
            writer.write_table(table)
    assert json.loads(call("measure", path, "--json").stdout)["rows"] == 3
    pq.write_table(images_table(np.zeros(0, int), 0), path)
    assert json.loads(call("pairs", path, path, "--json").stdout)["pairs"] == 0
    assert call("pairs", path, "--best").exit_code == 2
