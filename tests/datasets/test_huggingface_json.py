"""JSON lines of a folder of images, as Hugging Face writes them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox.datasets.convert import convert
from fastbox.datasets.formats.huggingface import read
from fastbox.datasets.recognize import format_of
from fastbox.errors import InputError

LINES = """{"file_name": "a/1.png", "objects": {"bbox": [[1, 2, 3, 4], [0, 0, 1.5, 1]], "categories": [1, 0]}}

{"file_name": "b.png", "objects": {"bbox": [], "categories": []}}
"""


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_the_json_lines_of_a_folder_of_images(mark: bytes, tmp_path: Path) -> None:
    source = tmp_path / "metadata.jsonl"
    source.write_bytes(mark + LINES.replace("\n", "\r\n").encode())
    (tmp_path / "names.txt").write_text("cat\ndog\n")
    assert format_of(source) == "huggingface"
    dataset = read(source, names=tmp_path / "names.txt")
    rows = [row for batch in dataset.batches for row in batch.to_pylist()]
    assert [(row["image_id"], row["category_id"], row["w"]) for row in rows] == [("a/1.png", 1, 3), ("a/1.png", 0, 1.5)]
    assert dataset.images()["file_name"].to_pylist() == ["a/1.png", "b.png"]
    assert dataset.categories == {0: "cat", 1: "dog"}
    assert convert(source, tmp_path / "out.json")["images_without_boxes"] == 1


def test_two_rows_of_one_image_are_refused(tmp_path: Path) -> None:
    objects = [{"bbox": [[1.0, 2, 3, 4]], "category": [0]}] * 2
    for name in ("train", "validation"):
        pq.write_table(pa.table({"image_id": [0, 1], "objects": objects}), tmp_path / f"{name}.parquet")
        assert convert(tmp_path / f"{name}.parquet", tmp_path / f"{name}.json")["rows"] == 2
    said = r"expected a row for every image in .*train.parquet and 1 more, got 2 with image_id 0: convert splits one by"
    with pytest.raises(InputError, match=said):
        convert([tmp_path / "train.parquet", tmp_path / "validation.parquet"], tmp_path / "out.json")


def test_json_lines_are_what_they_say(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"image_id": "2024-01-01", "objects": {"bbox": [[1, 2, 3.5, 4]], "category": [2.0], "occ": [null]}}\n'
        '{"image_id": "2024-01-02", "when": 1, "objects": {"bbox": [[5, 6, 7, 8]], "category": [3], "occ": [1]}}\n'
    )
    rows = [row for batch in read(tmp_path / "a.jsonl").batches for row in batch.to_pylist()]
    assert [(row["image_id"], row["x"], row["w"], row["category_id"], row["occ"]) for row in rows] == [
        ("2024-01-01", 1, 3.5, 2, None),
        ("2024-01-02", 5, 7, 3, 1),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '{"file_name": "a", "objects": {"bbox": [[null, 2, 3, 4]], "category": [0]}}\n'
            '{"file_name": "b", "objects": {"bbox": [[5, 6, 7, 8]], "category": [0]}}',
            r"expected a number in column 'bbox' of .*jsonl at row 0, got null",
        ),
        ("", "expected a JSON object on each line of .*jsonl, got an empty file: export it again"),
        (LINES + '{"file_name": ', "line 4 of .*jsonl is not a JSON object: fix it, or leave it out"),
        (LINES + "[1]", "line 4 of .*jsonl is not a JSON object"),
        (LINES + '{"file_name": {"a": 1}}', "jsonl has values of one name that are of different types: give"),
        (LINES.replace("a/1", "é"), "expected UTF-8 in .*jsonl, got byte 0xe9 in line 1: save it as UTF-8"),
        (
            LINES.replace("bbox", "xy"),
            r"expected bbox, box or boxes in .*objects' of .*, got xy, cat.* name it with box=FIELD",
        ),
    ],
)
def test_json_lines_that_cannot_be_used(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "a.jsonl", tmp_path / "out.parquet", source_format="huggingface")
