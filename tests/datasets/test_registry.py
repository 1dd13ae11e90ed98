"""A new file format is one file: what it declares is all that reading, recognizing and writing it need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.plugins import plugged_in

from fastbox import jobs
from fastbox.cli import main
from fastbox.datasets import formats as home
from fastbox.datasets.recognize import format_for, format_of
from fastbox.datasets.registry import formats

PLAIN = '''
"""A box a line: image, category and corners, with spaces between."""
import pyarrow as pa
from fastbox.datasets.by_image import coordinates, grouped
from fastbox.datasets.dataset import Dataset, boxes_schema, images_schema
from fastbox.datasets.registry import Format, Signs

def read(source):
    with open(source) as file:
        rows = [line.split() for line in file]
    schema = boxes_schema(pa.string())
    columns = list(zip(*rows)) if rows else [()] * 6
    kinds = (str, int, float, float, float, float)
    arrays = [pa.array(map(kind, column), field.type) for kind, column, field in zip(kinds, columns, schema)]
    images = images_schema(pa.string()).empty_table()
    return Dataset("truths", schema, [pa.record_batch(arrays, schema=schema)], False, lambda: images, {})

def write(dataset, target):
    with open(target, "w") as file:
        for group in grouped(dataset, target):
            ids, numbers = group.rows["image_id"].to_pylist(), group.rows["category_id"].to_pylist()
            for row in zip(ids, numbers, *coordinates(group.rows, "xyxy")):
                file.write(" ".join(map(str, row)) + "\\n")

FILE_FORMATS = (
    Format("plain", read, write, kind="file", text="boxes in lines", ending=".plain", signs=Signs(endings=(".plain",))),
)
'''


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[None]:
    with plugged_in(home, formats, tmp_path, "plain", PLAIN):
        yield


@pytest.mark.usefixtures("plain")
def test_a_new_format_is_one_file(tmp_path: Path) -> None:
    given = tmp_path / "boxes.plain"
    given.write_text("b 1 0.0 0.0 4.0 4.0\na 2 1.0 1.0 2.5 3.0\n")
    assert format_of(given) == "plain" == format_for(tmp_path / "other.plain")
    assert jobs.convert(given, tmp_path / "boxes.parquet")["rows"] == 2
    jobs.convert(tmp_path / "boxes.parquet", tmp_path / "again.plain")
    assert (tmp_path / "again.plain").read_text() == "a 2 1.0 1.0 2.5 3.0\nb 1 0.0 0.0 4.0 4.0\n"
    assert jobs.plan(given).inputs[0]["boxes"] == 2
    assert CliRunner().invoke(main, ["convert", str(given), str(tmp_path / "to"), "--to", "plain"]).exit_code == 0
    assert "plain         boxes in lines" in CliRunner().invoke(main, ["convert", "--help"]).stdout
    with pytest.raises(ValueError, match=r"expected a file format of coco, .*, plain, "):
        jobs.convert(given, tmp_path / "out", out_format="unknown")


def test_formats_are_declared_by_their_modules() -> None:
    names = ["coco", "coco-results", "crowdhuman", "dota", "hrsc", "huggingface", "kitti", "yolo-obb", "open-images"]
    names += ["parquet", "voc", "yolo"]
    assert list(formats()) == names
    assert {own.kind for own in formats().values()} == {"file", "folder", "table"}
    assert all(own.ending for own in formats().values() if own.kind == "file")
