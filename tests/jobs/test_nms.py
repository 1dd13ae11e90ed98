"""``fastbox nms`` and the job behind it: what a loop over images keeps, whatever the chunks, files and layouts."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import calls

from fastbox import InputError, Source
from fastbox.jobs.nms import nms
from fastbox.suppression.nms import METHODS, soft_nms
from fastbox.suppression.nms import nms as kept_of
from fastbox.tables.record import read_record

CORNERS = ("xmin", "ymin", "xmax", "ymax")
N = 90


def scene(ids: str = "int", classes: str = "int", n: int = N) -> dict[str, Any]:
    """Detections of a few images, many of them twice, a few invalid, one score nan."""
    rng = np.random.default_rng(5)
    image = np.sort(rng.choice([1, 3, 4, 8, 20], n))
    low = rng.uniform(0, 60, (n, 2))
    boxes = np.concatenate([low, low + rng.uniform(10, 40, (n, 2))], axis=1)
    boxes[1::3] = boxes[::3] + rng.uniform(-2, 2, (len(boxes[1::3]), 4))
    boxes[7], boxes[50, 2] = [3, 3, 1, 9], np.nan
    scores, kind = rng.random(n), rng.integers(0, 2, n)
    scores[20] = np.nan
    return {
        "image_id": image if ids == "int" else [f"image {i:03}" for i in image],
        **{name: boxes[:, k].astype("float32") for k, name in enumerate(CORNERS)},
        "score": scores.astype("float32"),
        "category_id": kind if classes == "int" else [("cat", "élan")[k] for k in kind],
        "number": np.arange(n) * 10,
    }


def write(path: Path, made: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(made), path, **{"row_group_size": 13, **options})
    return path


def looped(made: dict[str, Any], method: str, threshold: float, by_class: bool, least: float = -np.inf) -> Any:
    """The rows kept and their scores, from one call for each image and class."""
    boxes = np.stack([made[name] for name in CORNERS], axis=1)
    image, kind = np.asarray(made["image_id"]), np.asarray(made["category_id"])
    rows, left = [], []
    for g in np.unique(image):
        for c in np.unique(kind) if by_class else [None]:
            here = np.flatnonzero((image == g) & ((kind == c) | (c is None)) & (made["score"] >= least))
            scores = made["score"][here]
            if method == "nms":
                kept = kept_of(boxes[here], scores, iou_threshold=threshold)
                after = scores[kept]
            else:
                options: dict[str, Any] = {"iou_threshold": threshold, "score_threshold": max(least, 0.001)}
                kept, after = soft_nms(boxes[here], scores, method=method.removeprefix("soft-"), **options)
            rows += here[kept].tolist()
            left += after.tolist()
    order = np.argsort(rows)
    return np.array(rows)[order], np.array(left, "float32")[order]


@pytest.mark.jit
@pytest.mark.parametrize("rows", [1, 17, 1000])
@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("method", METHODS)
def test_rows_kept_are_those_of_a_loop(tmp_path: Path, method: str, by_class: bool, rows: int) -> None:
    made = scene()
    source, out = write(tmp_path / "d.parquet", made), tmp_path / "o.parquet"
    found = nms(source, out, method=method, iou_threshold=0.4, class_agnostic=not by_class, rows=rows)
    expected, left = looped(made, method, 0.4, by_class)
    read = pq.read_table(out)
    assert read.schema.equals(pq.read_schema(source).remove_metadata())
    np.testing.assert_array_equal(read["number"].to_numpy(), expected * 10)
    np.testing.assert_array_equal(read["score"].to_numpy(), left)
    before = pq.read_table(source).take(expected)
    assert read.drop_columns("score").equals(before.drop_columns("score"))
    invalid = {"boxes": {"not_finite": 1, "inverted": 1}}
    assert found.to_dict() == {
        "images": 5, "boxes": N, "kept": len(expected), "suppressed": N - 3 - len(expected), "low_scores": 0,
        "no_scores": 1, "class_column": "category_id" if by_class else None, "invalid": invalid,
        "rules": found.rules.to_dict(),
    }  # fmt: skip
    assert found.rules.given["class_column"] == ("category_id" if by_class else None)
    assert found.rules.given.get("iou_threshold") == (None if method == "soft-gaussian" else 0.4)
    record = read_record(out)
    assert record["summary"] == found.to_dict()
    assert record["parameters"]["method"] == method
    if method == "nms":
        assert 20 < len(expected) < N - 20


@pytest.mark.parametrize("ids", ["int", "str"])
@pytest.mark.parametrize("classes", ["int", "str"])
def test_ids_and_classes_may_be_names(tmp_path: Path, ids: str, classes: str) -> None:
    made = scene(ids, classes)
    source = write(tmp_path / "d.parquet", made)
    nms(source, tmp_path / "o.parquet", rows=20)  # by class, since there is such a column
    expected, _ = looped(made, "nms", 0.5, True)
    np.testing.assert_array_equal(pq.read_table(tmp_path / "o.parquet")["number"].to_numpy(), expected * 10)
    plain = {name: column for name, column in made.items() if name != "category_id"}
    assert nms(write(tmp_path / "p.parquet", plain)).class_column is None


@pytest.mark.parametrize("layout", ["struct", "list", "fixed", "xywh"])
def test_boxes_in_other_layouts_come_out_as_they_were(tmp_path: Path, layout: str) -> None:
    made = scene()
    boxes = np.stack([made.pop(name) for name in CORNERS], axis=1)
    if layout == "struct":
        made["bbox"] = pa.array([dict(zip(CORNERS, map(float, box), strict=True)) for box in boxes])
    elif layout == "xywh":
        boxes[:, 2:] -= boxes[:, :2]
        made |= {name: boxes[:, k] for k, name in enumerate("xywh")}
    else:
        kind = pa.list_(pa.float32(), 4) if layout == "fixed" else pa.list_(pa.float32())
        made["bbox"] = pa.array(boxes.tolist(), kind)
    source = write(tmp_path / "d.parquet", made)
    nms(source, tmp_path / "o.parquet", rows=20)
    read = pq.read_table(tmp_path / "o.parquet")
    assert 20 < len(read) < N
    expected = pq.read_table(source).take(read["number"].to_numpy() // 10)
    assert read.equals(expected.replace_schema_metadata())


def test_ragged_tables_come_out_with_a_row_for_each_box(tmp_path: Path) -> None:
    boxes = [[[0.0, 0, 4, 4], [0.0, 0, 4, 3], [8.0, 8, 9, 9]], [], [[0.0, 0, 1, 1]]]
    made = {"image_id": [1, 2, 5], "boxes": boxes, "score": [[0.5, 0.9, 0.1], [], [0.3]], "height": [7, 8, 9]}
    source = write(tmp_path / "d.parquet", made)
    found = nms(source, tmp_path / "o.parquet", method="soft-linear")
    read = pq.read_table(tmp_path / "o.parquet").to_pydict()
    assert (read["image_id"], read["height"]) == ([1, 1, 1, 5], [7, 7, 7, 9])
    np.testing.assert_allclose(read["score"], [0.5 * 0.25, 0.9, 0.1, 0.3])
    nms(source, tmp_path / "o.parquet")
    assert pq.read_table(tmp_path / "o.parquet")["boxes"].to_pylist() == [*boxes[0][1:], *boxes[2]]
    assert (found.images, found.boxes) == (3, 4)


def test_several_files_are_one_table(tmp_path: Path) -> None:
    made = scene()
    whole = write(tmp_path / "d.parquet", made)
    (tmp_path / "parts").mkdir()
    for k, (first, last) in enumerate([(0, 1), (1, 40), (40, N)]):
        part = pq.read_table(whole).slice(first, last - first)
        pq.write_table(part, tmp_path / "parts" / f"{k}.parquet")
    for source, name in ((whole, "a"), (tmp_path / "parts", "b")):
        nms(source, tmp_path / f"{name}.parquet", rows=11, class_agnostic=True)
    assert pq.read_table(tmp_path / "a.parquet").equals(pq.read_table(tmp_path / "b.parquet"))


def test_scores_below_the_least_are_left_out_at_the_start(tmp_path: Path) -> None:
    made = scene()
    source = write(tmp_path / "d.parquet", made)
    for method in METHODS:
        found = nms(source, tmp_path / "o.parquet", method=method, iou_threshold=0.3, min_score=0.4)
        expected, left = looped(made, method, 0.3, True, 0.4)
        read = pq.read_table(tmp_path / "o.parquet")
        np.testing.assert_array_equal(read["number"].to_numpy(), expected * 10)
        np.testing.assert_array_equal(read["score"].to_numpy(), left)
        assert found.low_scores > 10
        assert found.low_scores + found.kept + found.to_dict()["suppressed"] == N - 3


@pytest.mark.parametrize("kind", [pa.float16(), pa.float64(), pa.int32(), pa.decimal128(9, 6)])
def test_scores_of_other_types(tmp_path: Path, kind: pa.DataType) -> None:
    made = scene()
    scores = np.nan_to_num(made["score"]) * (1000 if kind == pa.int32() else 1)
    made["score"] = pa.array(np.round(scores, 0 if kind == pa.int32() else 3).astype("float64"))
    made["score"] = made["score"].cast(kind, safe=False)
    source = write(tmp_path / "d.parquet", made)
    assert 20 < nms(source, tmp_path / "o.parquet").kept < N
    assert pq.read_schema(tmp_path / "o.parquet").field("score").type == kind
    if pa.types.is_floating(kind):
        assert nms(source, tmp_path / "o.parquet", method="soft-gaussian").kept > 50
        assert pq.read_schema(tmp_path / "o.parquet").field("score").type == kind
    else:
        with pytest.raises(InputError, match="expected floats in column 'score'"):
            nms(source, tmp_path / "p.parquet", method="soft-gaussian")


def test_nothing_gives_an_empty_table_of_the_right_schema(tmp_path: Path) -> None:
    table = pa.table(scene())
    with pq.ParquetWriter(tmp_path / "d.parquet", table.schema) as writer:
        writer.write_table(table.slice(0, 0))
    found = nms(tmp_path / "d.parquet", tmp_path / "o.parquet", method="soft-linear", keep=["score", "number"])
    read = pq.read_table(tmp_path / "o.parquet")
    assert (len(read), read.column_names, found.images) == (0, ["score", "number"], 0)


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"score": [None] * N}, {}, r"expected a score in column 'score', got a null at row 0 of .*: fill or drop it"),
        ({"score": [0.5] * 30 + [None] + [0.5] * (N - 31)}, {}, "a score in column 'score', got a null at row 30"),
        ({"category_id": [1] * 30 + [None] + [1] * (N - 31)}, {}, "a class in column 'category_id', got a null at row"),
        ({"category_id": [0.5] * N}, {}, "expected integers or strings in column 'category_id'"),
        ({"score": ["a"] * N}, {}, "expected numbers in column 'score'"),
        ({}, {"score_column": "scor"}, "did you mean 'score'"),
        ({}, {"class_column": "klass", "class_agnostic": False}, "'klass'"),
        ({}, {"keep": ["numbr"]}, "did you mean 'number'"),
        ({}, {"iou_threshold": 1.5}, "from 0 to 1, got 1.5"),
        ({}, {"method": "soft-linea"}, "got 'soft-linea'; did you mean 'soft-linear'"),
        ({}, {"method": "soft-gaussian", "sigma": 0}, "sigma above 0, got 0"),
        ({}, {"method": "soft-linear", "min_score": -1.0}, "at least 0, got -1.0"),
        ({}, {"min_score": float("nan")}, "got nan"),
    ],
)
def test_what_can_not_be_used_is_refused(tmp_path: Path, change: Any, options: Any, words: str) -> None:
    source = write(tmp_path / "d.parquet", scene() | change)
    with pytest.raises(ValueError, match=words):
        nms(source, tmp_path / "o.parquet", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["d.parquet"]


def test_tables_without_images_and_outputs_that_are_inputs_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "d.parquet", scene())
    with pytest.raises(InputError, match="column of image ids"):
        nms(Source(source, image=None))
    with pytest.raises(InputError, match="choose another output path"):
        nms(source, source)


call = partial(calls.call, "nms")


def test_the_command_writes_and_says_what_it_kept(tmp_path: Path) -> None:
    made = scene()
    source, out = write(tmp_path / "d.parquet", made), tmp_path / "o.parquet"
    result = call(source, "-o", out, "--iou-threshold", 0.4)
    assert result.exit_code == 0, result.output
    expected, _ = looped(made, "nms", 0.4, True)
    np.testing.assert_array_equal(pq.read_table(out)["number"].to_numpy(), expected * 10)
    share = f"{len(expected) / N:.1%}"
    assert (
        f"{len(expected)} of {N} boxes kept ({share})\nnms: suppressed at IoU > 0.40 · per class (category_id)"
        in result.output
    )
    assert f"5 images · {N - 3 - len(expected)} suppressed" in result.output
    assert "left out: 1 with a score of nan, 1 not finite, 1 inverted" in result.output
    assert f"→ {out}" in result.output


def test_the_command_takes_all_its_options(tmp_path: Path) -> None:
    made = scene()
    names = {"image_id": "picture", "score": "confidence", "category_id": "kind"}
    renamed = {names.get(name, name): column for name, column in made.items()}
    source, out = write(tmp_path / "d.parquet", renamed), tmp_path / "o.parquet"
    columns = [
        "--image-column",
        "picture",
        "--score-column",
        "confidence",
        "--class-column",
        "kind",
        "--box",
        ",".join(CORNERS),
    ]
    more = ["--method", "soft-gaussian", "--sigma", 0.3, "--min-score", 0.2, "--keep", "number,confidence"]
    result = call(source, "-o", out, *columns, *more, "--format", "xyxy", "--per-class", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    read = pq.read_table(out)
    assert read.column_names == ["number", "confidence"]
    assert (summary["kept"], summary["class_column"]) == (len(read), "kind")
    assert min(read["confidence"].to_pylist()) >= 0.2
    together = json.loads(call(source, *columns, "--class-agnostic", "--json").stdout)
    assert together["class_column"] is None


def test_an_empty_table_has_no_share(tmp_path: Path) -> None:
    table = pa.table(scene())
    pq.write_table(table.slice(0, 0), tmp_path / "d.parquet")
    result = call(tmp_path / "d.parquet", "--class-agnostic")
    assert "0 of 0 boxes kept\nnms: suppressed at IoU > 0.50 · class-agnostic" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--iou-threshold", "2"], "2.0 is not in the range"),
        (["--iou-threshold", "nan"], "expected a number, got nan"),
        (["--sigma", "0"], "is not in the range"),
        (["--sigma", "0.3"], "expected --method soft-gaussian with --sigma, got nms"),
        (["--method", "soft-gaussian", "--iou-threshold", "0.5"], "expected --sigma with --method soft-gaussian"),
        (["--method", "hard"], "'hard' is not one of"),
        (["--score-column", "none"], "expected a column 'none'"),
        (["-o", "."], "the output folder ./ holds the input"),
    ],
)
def test_the_command_refuses_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    source = write(tmp_path / "d.parquet", scene())
    result = call(source, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.startswith("error: ")


@pytest.mark.parametrize("method", METHODS)
def test_the_command_and_the_job_keep_the_same_by_each_method(tmp_path: Path, method: str) -> None:
    source = write(tmp_path / "d.parquet", scene())
    threshold = [] if method == "soft-gaussian" else ["--iou-threshold", 0.4]
    result = call(source, "-o", tmp_path / "command.parquet", "--method", method, *threshold, "--json")
    assert result.exit_code == 0, result.output
    found = nms(source, tmp_path / "job.parquet", method=method, iou_threshold=0.4)
    assert pq.read_table(tmp_path / "command.parquet").equals(pq.read_table(tmp_path / "job.parquet"))
    assert {**json.loads(result.stdout), "rules": None} == {"schema": 1, **found.to_dict(), "rules": None}
    assert read_record(tmp_path / "command.parquet")["parameters"]["method"] == method
