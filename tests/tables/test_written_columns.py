"""Columns that writers know by name, whatever they hold: written as what they say, or refused in one sentence."""

from __future__ import annotations

import datetime
import decimal
import os
import tempfile
import warnings
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbox.datasets.convert import convert
from fastbox.errors import InputError

pytest.importorskip("defusedxml")
pytest.importorskip("yaml")

OUTPUTS = {
    "parquet": "out.parquet",
    "huggingface": "out.parquet",
    "coco": "out.json",
    "yolo": "out",
    "voc": "out",
    "kitti": "out",
    "crowdhuman": "out.odgt",
    "open-images": "out.csv",
}
NAMES = [
    *("area", "iscrowd", "ignore", "id", "pose", "truncated", "difficult", "occluded", "alpha", "x_3d", "track_id"),
    *(
        "LabelName",
        "Source",
        "Confidence",
        "IsOccluded",
        "IsInside",
        "vbox_x",
        "hbox_w",
        "box_id",
        "occ",
        "head_ignore",
    ),
    *("extra_ignore", "file_name", "another", ""),
]
COLUMNS = [
    pa.array(["1", "x"]),
    pa.array(["0", None]),
    pa.array([" ", "é\n\0"]),
    pa.array(["1", "2"], pa.string_view()),
    pa.array(["a", None]).dictionary_encode(),
    pa.array([1, None]),
    pa.array([2**63, 1], pa.uint64()),
    pa.array([300, -5]),
    pa.array([1.0, 0.0], pa.float16()),
    pa.array([0.5, None]),
    pa.array([float("nan"), 1.0]),
    pa.array([float("inf"), 1e300]),
    pa.array([True, None]),
    pa.array([None, None]),
    pa.array([decimal.Decimal("1.5")] * 2),
    pa.array([[1], [2]]),
    pa.array([{"a": 1}] * 2),
    pa.array([datetime.date(2020, 1, 1)] * 2),
    pa.array([b"x", b"y"]),
]


def table_of(more: dict[str, Any]) -> pa.Table:
    return pa.table({
        "image_id": ["a", "b"], "category_id": ["cat", "dog"], "xmin": [1.0, 2], "ymin": [1.0, 2], "xmax": [9.0, 8],
        "ymax": [9.0, 8], "width": [64, 64], "height": [48, 48], **more,
    })  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("format", OUTPUTS)
@given(more=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(COLUMNS), min_size=1, max_size=3))
def test_a_column_of_any_type_is_written_or_refused(format: str, more: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        pq.write_table(table_of(more), os.path.join(folder, "in.parquet"))
        out = os.path.join(folder, OUTPUTS[format])
        sizes = os.path.join(folder, "in.parquet") if format == "open-images" else None
        try:
            convert(os.path.join(folder, "in.parquet"), out, out_format=format)
        except InputError as error:
            assert "\n" not in str(error)
            assert "rrow" not in str(error)
        else:
            again = convert(out, os.path.join(folder, "again.parquet"), source_format=format, sizes=sizes)
            assert again["rows"] == 2


@pytest.mark.parametrize(
    ("format", "name", "column", "message"),
    [
        ("coco", "area", ["big", "small"], "expected numbers in column 'area', got string: cast it, or leave"),
        ("coco", "id", pa.array([1, 2**63], pa.uint64()), "64 bits in column 'id', got 9223372036854775808 in a box"),
        ("coco", "id", [2**63 - 1, None], "64 bits in column 'id', got 9223372036854775808 in a box of image 'b'"),
        ("kitti", "alpha", ["a", "b"], "expected numbers in column 'alpha', got string"),
        ("kitti", "occluded", [0.5, 1], "whole numbers of 8 bits in column .occluded., got 0.5 in a box of image"),
        ("voc", "truncated", ["a", "b"], "expected numbers in column 'truncated', got string"),
        ("crowdhuman", "occ", [1.5, 1], "whole numbers of 32 bits in column .occ., got 1.5 in a box"),
        ("open-images", "Confidence", ["1", "x"], "expected numbers in column 'Confidence', got string: cast it"),
        ("open-images", "IsInside", [1, 200], "whole numbers of 8 bits in column .IsInside., got 200.0"),
    ],
)  # fmt: skip
def test_what_a_format_cannot_hold_is_named(format: str, name: str, column: Any, message: str, tmp_path: Any) -> None:
    pq.write_table(table_of({name: column}), tmp_path / "in.parquet")
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "in.parquet", tmp_path / OUTPUTS[format], out_format=format)
