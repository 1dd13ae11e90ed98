"""Every format to every other on the command line, told by path and content, and what a person is told otherwise."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from support import calls

from fastbox.datasets.convert import convert
from fastbox.datasets.recognize import format_of
from fastbox.datasets.registry import formats
from fastbox.errors import InputError

NAMES = {
    "parquet": "boxes.parquet", "coco": "boxes.json", "yolo": "yolo", "voc": "voc", "open-images": "boxes.csv",
    "kitti": "kitti", "crowdhuman": "boxes.odgt", "huggingface": "objects.parquet",
}  # fmt: skip
TRUTHS = {
    "image_id": ["a", "a", "b"], "category_id": ["cat", "person", "cat"], "xmin": [8.0, 0, 16], "ymin": [4.0, 0, 8],
    "xmax": [24.0, 64, 32], "ymax": [12.0, 32, 24], "width": [64, 64, 128], "height": [32, 32, 64],
}  # fmt: skip
CORNERS = ("xmin", "ymin", "xmax", "ymax")
# Which do not know the sizes of images, and which have a place for scores.
UNSIZED = ("open-images", "kitti")
SCORED = ("parquet", "yolo", "open-images", "kitti", "crowdhuman", "huggingface")


call = partial(calls.call, "convert")


def refused(*arguments: Any) -> str:
    """What is said of what can't be done: one sentence."""
    result = call(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def boxes_of(source: Path, folder: Path) -> list[tuple[Any, ...]]:
    """The boxes of a source: image, name of the category and corners."""
    out = folder / "compared.parquet"
    convert(source, out, out_box_format="xyxy", sizes=folder / "sizes.csv" if source.suffix == ".csv" else None)
    record = json.loads(pq.read_metadata(out).metadata[b"fastbox"])
    rows = pq.read_table(out).to_pylist()
    names = record["categories"]
    return sorted(
        (row["image_id"], names[str(row["category_id"])], *(row[name] for name in (*CORNERS, "score") if name in row))
        for row in rows
    )


@pytest.fixture
def made(tmp_path: Path) -> Callable[..., Path]:
    (tmp_path / "sizes.csv").write_text("image_id,width,height\na,64,32\nb,128,64\n")

    def make(format: str, **more: Any) -> Path:
        pq.write_table(pa.table(TRUTHS | more), tmp_path / "made.parquet")
        source = tmp_path / "made" / NAMES[format]
        source.parent.mkdir()
        convert(tmp_path / "made.parquet", source, out_format=format)
        return source

    return make


@pytest.mark.jit
@pytest.mark.parametrize("of", NAMES)
def test_any_to_any(of: str, made: Callable[..., Path], tmp_path: Path) -> None:
    source = made(of)
    expected = sorted(
        (image, name, *box)
        for image, name, *box in zip(*(TRUTHS[key] for key in ("image_id", "category_id", *CORNERS)), strict=True)
    )
    assert format_of(source) == of
    for to, name in NAMES.items():
        sizes = ["--sizes", tmp_path / "sizes.csv"] if of in UNSIZED else []
        out = tmp_path / name
        result = call(source, out, "--to", to, *sizes)
        assert (result.exit_code, result.stderr) == (0, ""), (to, result.stderr)
        assert result.stdout.startswith("converted truths: 3 rows · 2 images (0 without boxes) · ")
        assert boxes_of(out, tmp_path) == expected, to
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("of", SCORED)
def test_scores_come_along(of: str, made: Callable[..., Path], tmp_path: Path) -> None:
    scores = [0.5, 0.25, 0.125]
    source = made(of, score=scores)
    assert sorted(row[-1] for row in boxes_of(source, tmp_path)) == sorted(scores)
    sizes = ["--sizes", tmp_path / "sizes.csv"] if of in UNSIZED else []
    result = call(source, tmp_path / "results.json", *sizes)
    assert result.stdout.startswith("converted results: 3 rows")
    assert sorted(found["score"] for found in json.loads((tmp_path / "results.json").read_text())) == sorted(scores)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_data_set_stays_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text('{"images": [], "annotations": [], "categories": []}')
    out = tmp_path / NAMES[name]
    result = call(tmp_path / "in.json", out, "--to", name)
    assert result.stdout.startswith("converted truths: 0 rows · 0 images"), result.stderr


def test_options_that_a_format_lacks(made: Callable[..., Path], tmp_path: Path) -> None:
    source = made("coco")
    before = sorted(os.listdir(tmp_path))
    said = refused(source, tmp_path / "out.parquet", "--digits", 3)
    options = "--dtype, --output-format, --quads, --write-images"
    assert said.endswith(f"reading coco or writing parquet has ({options}), got --digits: leave it out\n")
    said = refused(source, tmp_path / "out.json", "--output-format", "xyxy")
    assert said.endswith("reading coco or writing coco has (--quads), got --output-format: leave it out\n")
    assert "'fbox', 'vbox' or 'hbox', got 'box'" in refused(source, tmp_path / "out.odgt", "--box", "box")
    same = refused(source, tmp_path / "out.parquet", "--write-images", tmp_path / "out.parquet")
    assert "is the output for both" in same
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.csv", "expected annotations to convert, got no file or folder "),
        ("absent", "expected annotations to convert, got no file or folder "),
        (
            "notes.txt",
            "expected annotations in a format that is recognized, got .*notes.txt: name the folder that it is in",
        ),
        (
            "other.csv",
            "expected annotations in a format that is recognized, got .*other.csv: name its format with source",
        ),
        ("a.xml", "expected annotations in a format that is recognized, got .*a.xml: name the folder that it is in"),
        (
            "jsons",
            "expected annotations in .*, got .*jsons: name one of its files, such as .*train/_annotations.coco.json",
        ),
        (
            "empty",
            "expected annotations in .*, got .*empty: name its format with source_format",
        ),
    ],
)
def test_sources_that_tell_nothing(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("cats and dogs")
    (tmp_path / "other.csv").write_text("id,x,y\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.xml").touch()
    (tmp_path / "jsons" / "train").mkdir(parents=True)
    (tmp_path / "jsons" / "train" / "_annotations.coco.json").write_text("[]")
    (tmp_path / "jsons" / "README.dataset.txt").write_text("cats")
    with pytest.raises(InputError, match=message):
        format_of(tmp_path / name)
    assert name in refused(tmp_path / name, tmp_path / "out.parquet")


def test_outputs_that_tell_nothing(made: Callable[..., Path], tmp_path: Path) -> None:
    source = made("coco")
    said = refused(source, tmp_path / "out")
    assert "expected an output whose name ends in .csv, .json, .odgt, .parquet, got " in said
    assert "name its format with --to" in said
    with pytest.raises(ValueError, match=r"expected a file format of coco, .*yolo, got 'labelme'"):
        convert(source, tmp_path / "out", out_format="labelme")
    assert "--to" in refused(source, tmp_path / "out", "--to", "labelme")


@pytest.mark.parametrize("format", formats())
def test_an_output_that_is_the_source_is_refused(format: str, made: Callable[..., Path]) -> None:
    if format not in NAMES:
        pytest.skip("written as the other of COCO's two")
    source = made(format)
    files = {path: path.read_bytes() for path in [source, *source.rglob("*")] if path.is_file()}
    assert "choose another output path" in refused(source, source, "--to", format)
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_several_tables_are_one_source_and_other_formats_are_converted_one_by_one(
    ending: str, made: Callable[..., Path], tmp_path: Path
) -> None:
    files = []
    for image in ("a", "b"):
        table = pa.table(TRUTHS | {"image_id": [image] * 3})
        files.append(tmp_path / f"{image}.{ending}")
        pq.write_table(table, files[-1]) if ending == "parquet" else pacsv.write_csv(table, files[-1])
    assert convert(files, tmp_path / "out.json")["rows"] == 6
    assert convert(tuple(files[:1]), tmp_path / "one.json")["rows"] == 3
    assert convert(tmp_path / f"[ab].{ending}", tmp_path / "all.json")["rows"] == 6
    with pytest.raises(InputError, match="choose another output path"):
        convert(files, files[1], out_format="parquet" if ending == "parquet" else "open-images")
    coco = made("coco")
    for several, said in (
        ([], "expected sources in one format, got none"),
        ([coco, tmp_path / "out.json"], "expected one source in coco, got 2: convert them one by one"),
        ([coco, tmp_path / f"a.{ending}"], "expected "),
        ([coco, None], "got NoneType in a list: name a file"),
    ):
        with pytest.raises(InputError, match=said):
            convert(several, tmp_path / "two.json")
