"""Rotated boxes in tables: every layout gives the same boxes, and an angle without a unit is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastbox
from fastbox import InputError, RotatedBoxes, Source

IDS = [3, 3, 7]
FIVE = [[10.0, 20, 4, 2, 30], [11.0, 20, 4, 2, 90], [0.0, 0, 8, 8, -45]]
EIGHT = [[0.0, 0, 4, 0, 4, 2, 1, 2], [0.0, 0, 4, 0, 4, 2, 0, 2], [5.0, 5, 9, 6, 8, 9, 4, 8]]
NAMES = {5: ("cx", "cy", "w", "h", "angle"), 8: ("x1", "y1", "x2", "y2", "x3", "y3", "x4", "y4")}


def layout(name: str, rows: list[list[float]], told: str | None) -> pa.Table:
    count = len(rows[0])
    held: dict[str, Any]
    if name == "flat":
        held = dict(zip(NAMES[count], np.array(rows).T, strict=True))
    elif name == "fixed":
        held = {"obb": pa.array(rows, pa.list_(pa.float64(), count))}
    else:
        held = {"bbox": rows}
    return pa.table({"image_id": IDS, **held}, metadata=None if told is None else {"box_format": told})


@pytest.mark.parametrize("name", ["flat", "fixed", "list"])
@pytest.mark.parametrize(("rows", "told"), [(FIVE, "cxcywhd"), (FIVE, "ccw_cxcywhr"), (EIGHT, "xyxyxyxy")])
@pytest.mark.parametrize("given", [True, False])
def test_layouts(tmp_path: Path, name: str, rows: list[list[float]], told: str, given: bool) -> None:
    path = tmp_path / "boxes.parquet"
    pq.write_table(layout(name, rows, None if given else told), path)
    (chunk,) = fastbox.scan(Source(path, format=told if given else None))
    assert isinstance(chunk.a, RotatedBoxes) and chunk.a.format == told
    assert np.stack(chunk.a.columns, axis=1).tolist() == rows
    assert chunk.a.offsets is not None and chunk.a.offsets.tolist() == [0, 2, 3]


def test_lists_of_each_image(tmp_path: Path) -> None:
    path = tmp_path / "boxes.parquet"
    pq.write_table(pa.table({"image_id": [3, 7], "boxes": [FIVE[:2], FIVE[2:]]}), path)
    (chunk,) = fastbox.scan(Source(path, format="cxcywhd"))
    assert np.stack(chunk.a.columns, axis=1).tolist() == FIVE
    assert chunk.images is not None and chunk.images.tolist() == [3, 7]


def test_corners_without_a_format_are_quadrilaterals(tmp_path: Path) -> None:
    """Not the plain boxes x1, y1, x2, y2; but columns of plain boxes beside them come first, as before."""
    path = tmp_path / "boxes.parquet"
    table = layout("flat", EIGHT, None)
    pq.write_table(table, path)
    (chunk,) = fastbox.scan(path)
    assert chunk.a.format == "xyxyxyxy"
    for name in ("xmin", "ymin", "xmax", "ymax"):
        table = table.append_column(name, pa.array([0.0, 1, 2]))
    pq.write_table(table, path)
    (chunk,) = fastbox.scan(path)
    assert chunk.a.format == "xyxy"


@pytest.mark.parametrize("name", ["flat", "fixed"])
def test_an_angle_without_a_unit_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "boxes.parquet"
    pq.write_table(layout(name, FIVE, None), path)
    with pytest.raises(
        InputError, match=r"expected a unit for .* give Source\(..., format='cxcywhr'\) \(radians\) or Source"
    ):
        list(fastbox.scan(path))
    pq.write_table(layout("list", FIVE, None), path)
    with pytest.raises(InputError, match=r"list of 4 .* got 5: .* cxcywhr \(radians\) or cxcywhd \(degrees\)"):
        list(fastbox.scan(path))


def test_a_format_of_another_number_of_coordinates_names_the_right_one(tmp_path: Path) -> None:
    def read(table: pa.Table, format: str | None) -> None:
        pq.write_table(table, tmp_path / "boxes.parquet")
        list(fastbox.scan(Source(tmp_path / "boxes.parquet", format=format)))

    eight, five = layout("flat", EIGHT, None), layout("flat", FIVE, None)
    with pytest.raises(InputError, match=r"the 5 coordinates of cxcywhd .*, got 8 \(x1, .*\): .*format='xyxyxyxy'\)$"):
        read(eight, "cxcywhd")
    with pytest.raises(InputError, match=r"the 8 .*, got 5 .*: .*format='cxcywhr'\) or .*format='cxcywhd'\)$"):
        read(five, "xyxyxyxy")
    lists = pa.table({"image_id": [0], "poly": [EIGHT[0]]})
    with pytest.raises(
        InputError, match=r"the format of the lists in column 'poly' .*format='xyxyxyxy'\) if they have 8"
    ):
        read(lists, None)
    read(lists, "xyxyxyxy")


def test_the_upright_part_is_read_by_a_plain_format(tmp_path: Path) -> None:
    path = tmp_path / "boxes.parquet"
    pq.write_table(layout("flat", FIVE, None), path)
    (chunk,) = fastbox.scan(Source(path, format="cxcywh"))
    assert chunk.a.format == "cxcywh" and len(chunk.a.columns) == 4


def test_plain_boxes_of_a_frame_refuse_rotated_ones() -> None:
    with pytest.raises(InputError, match="expected plain boxes in table, got rotated boxes in x1, y1, x2"):
        fastbox.Boxes.from_arrow(layout("flat", EIGHT, None))


def test_files_of_two_units_are_refused(tmp_path: Path) -> None:
    for name, told in (("a", "cxcywhd"), ("b", "cxcywhr")):
        pq.write_table(layout("flat", FIVE, told), tmp_path / f"{name}.parquet")
    with pytest.raises(InputError, match=r"in cxcywhd for the boxes .* write all files alike"):
        list(fastbox.scan(tmp_path))


def test_a_format_beside_arrows_schema_is_read(tmp_path: Path) -> None:
    """As polars writes it, in the footer alone."""
    path = tmp_path / "boxes.parquet"
    table = layout("flat", FIVE, None)
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({"box_format": "cxcywhd"})
    (chunk,) = fastbox.scan(path)
    assert chunk.a.format == "cxcywhd"


def test_a_format_that_contradicts_the_footer_is_refused(tmp_path: Path) -> None:
    """A format that both tables take from one option does not change the unit that a table states itself."""
    table = pa.table(
        {"image_id": [1], "cx": [5.0], "cy": [5.0], "w": [4.0], "h": [2.0], "angle": [1.0], "score": [0.5]}
    )
    pq.write_table(table, tmp_path / "plain.parquet")
    pq.write_table(table.replace_schema_metadata({"box_format": "cxcywhr"}), tmp_path / "radians.parquet")
    degrees = Source(tmp_path / "plain.parquet", format="cxcywhd")
    with pytest.raises(InputError, match=r"expected boxes in cxcywhr in .*radians.parquet.* got the format cxcywhd"):
        fastbox.jobs.pairs(degrees, Source(tmp_path / "radians.parquet", format="cxcywhd"))


@pytest.mark.parametrize("angle", ["theta", "r", "rotation"])
def test_the_footer_tells_an_angle_of_any_name(tmp_path: Path, angle: str) -> None:
    table = pa.table({"image_id": [1], "cx": [5.0], "cy": [5.0], "w": [4.0], "h": [2.0], angle: [30.0]})
    pq.write_table(table.replace_schema_metadata({"box_format": "cxcywhd"}), tmp_path / "boxes.parquet")
    (chunk,) = fastbox.scan(tmp_path / "boxes.parquet")
    assert chunk.a.format == "cxcywhd" and chunk.a.columns[4].tolist() == [30]
