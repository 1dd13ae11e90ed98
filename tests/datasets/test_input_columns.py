"""Columns are found by their usual names, or are those that the caller names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from support.unsorted import boxes

from fastbox import InputError, Source, jobs
from fastbox.cli import main
from fastbox.values.names import CLASS, IMAGE, SCORE, column_of


@pytest.mark.parametrize(
    ("usual", "names"),
    [
        (IMAGE, "image_id image img_id file_name filename ImageID image_name Image-Id IMG"),
        (CLASS, "category_id class label category class_id cls name LabelName ClassID"),
        (SCORE, "score confidence conf probability Score CONFIDENCE prob"),
    ],
)
def test_columns_are_found_by_their_usual_names(usual: Any, names: str) -> None:
    for name in names.split():
        assert column_of(["x", name, "y"], usual) == name
    assert column_of(["x", "y"], usual) is None
    assert column_of(["x", names.split()[1], str(usual)], usual) == str(usual)


def test_a_column_that_is_asked_for_is_the_one_or_none(tmp_path: Path) -> None:
    rows = boxes([1, 2], confidence=[0.5, 0.6])
    assert jobs.nms(rows.drop_columns("score")).kept == 2
    with pytest.raises(InputError, match="a column 'certainty' in"):
        jobs.nms(rows, score_column="certainty")
    with pytest.raises(InputError, match="a column 'image' in"):
        jobs.nms(Source(rows, image="image"))
    pq.write_table(rows.drop_columns("score").append_column("conf", rows["score"]), tmp_path / "d.parquet")
    said = CliRunner().invoke(main, ["nms", str(tmp_path / "d.parquet")])
    assert said.exit_code == 2
    assert "got 'confidence' and 'conf': name one with --score-column confidence" in said.stderr
    with pytest.raises(InputError, match="name one with score_column='confidence'"):
        jobs.nms(tmp_path / "d.parquet")


def test_tables_that_name_a_column_differently_are_joined() -> None:
    truths = boxes([1, 2], category_id=[7, 8])
    detections = boxes([1, 2], Label=[7, 8])
    assert jobs.evaluate(detections, truths).evaluation.stats()["AP50"] == pytest.approx(1)
    assert jobs.pairs(detections, truths, class_agnostic=False).pairs == 2
    assert jobs.fuse([detections, truths]).fused == 2


def test_what_columns_were_taken_is_said() -> None:
    rows = boxes([1, 2]).rename_columns(["image_id", "X1", "Y1", "X2", "Y2", "score"])
    (note,) = jobs.nms(rows).to_dict()["inputs"]
    assert note["columns"] == {"boxes": "X1,Y1,X2,Y2 (xyxy)"}


def test_a_class_column_that_somebody_names_is_there_or_refused() -> None:
    table = boxes([1, 1, 2], score=[0.5, 0.9, 0.1])
    for job in (jobs.nms, jobs.fuse):
        assert job(table).to_dict()["rules"]["class_column"] is None
        with pytest.raises(InputError, match=r"expected a column 'kind' in .*, got 'image_id'"):
            job(table, class_column="kind")
        assert job(table, class_column="kind", class_agnostic=True).to_dict()["rules"]["class_column"] is None
    named = table.append_column("label", pa.array([1, 1, 2]))
    for tables in ([table, named], [named, table]):
        with pytest.raises(InputError, match=r"expected a column 'label' in .*, got 'image_id'"):
            jobs.fuse(tables)


def test_rows_that_are_dicts_have_the_columns_of_all_of_them() -> None:
    rows: list[Any] = [{"image_id": 1, "bbox": [0, 0, 4, 4], "score": 0.5}]
    truths: list[Any] = [{"image_id": 1, "bbox": [9, 9, 14, 14]}, {"image_id": 1, "bbox": [0, 0, 4, 4], "iscrowd": 1}]
    rows = [row | {"category_id": 3} for row in rows]
    truths = [row | {"category_id": 3} for row in truths]
    for listed in (truths, iter(truths), tuple(truths)):
        found = jobs.evaluate(rows, listed).to_dict()
        assert (found["truths"], found["errors"]["counts"]["missed"]) == (2, 1)  # a crowd can't be missed
    with open(os.devnull) as file, pytest.raises(InputError, match=r"got TextIOWrapper: name a file"):
        jobs.nms(file)


def test_columns_of_a_frame_that_share_a_name_are_refused() -> None:
    pandas = pytest.importorskip("pandas")
    frame = boxes([1, 2], score=[0.5, 0.9]).to_pandas()
    with pytest.raises(InputError, match=r"expected one column 'score' in detections .*, got 2: rename all but one"):
        jobs.nms(pandas.concat([frame, frame[["score"]]], axis=1))
