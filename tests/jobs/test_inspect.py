"""The job behind ``fastbox inspect``: what a plain loop over rows finds, whatever the chunks, files and threads."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.inspections import assert_same, naive, rows_of
from support.scenes import LIMITS, NAMES, Scene

import fastbox
from fastbox import jobs
from fastbox.jobs import Limits
from fastbox.jobs.inspection.problems import CODES, SEVERITIES
from fastbox.tables.record import read_record

Row = tuple[Any, int | None, str, int | None, float | None]

ROTATED = {"angle_beyond_turn", "angle_too_large", "degrees_as_radians", "edges_cross", "not_a_rectangle"}
ROTATED |= {"repeated_corner"}  # of rotated boxes alone


def counted(rows: list[Row]) -> dict[str, int]:
    return dict(Counter(row[2] for row in rows))


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(
    ("form", "dtype", "ids", "classes"),
    [
        ("xyxy", "float32", "int", "int"),
        ("xywh", "float64", "str", "str"),
        ("cxcywh", "float32", "int", "str"),
        ("yxyx", "int32", "str", "int"),
    ],
)
def test_problems_are_those_of_a_plain_loop(
    tmp_path: Path, form: str, dtype: str, ids: str, classes: str, listed: bool
) -> None:
    scene = Scene(tmp_path, form=form, dtype=dtype, ids=ids, classes=classes)
    expected = naive(scene, LIMITS, listed=listed)
    needed = set(CODES) - ROTATED - (set() if listed else {"no_image", "no_boxes"})
    needed -= {"non_finite", "sub_pixel"} if dtype == "int32" else set()
    assert set(counted(expected)) >= needed
    summaries = []
    for rows in (5, 40, 1000):
        out = tmp_path / f"p{rows}.parquet"
        found = jobs.inspect(scene.path, scene.images if listed else None, out, limits=LIMITS, rows=rows)
        assert_same(rows_of(out), expected)
        assert found.problems.counts == counted(expected)
        summaries.append(found.to_dict())
    assert all(summary == summaries[0] for summary in summaries)
    record = read_record(tmp_path / "p5.parquet")
    assert record["summary"] == summaries[0]
    assert record["parameters"]["limits"] == asdict(LIMITS)
    assert json.dumps(summaries[0], allow_nan=False)


@pytest.mark.parametrize("seed", range(1, 5))
def test_other_scenes_and_limits(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scene = Scene(tmp_path, form=("xyxy", "cxcywh")[seed % 2], ids=("int", "str")[seed % 2], seed=seed)
    limits = Limits(
        tolerance=float(rng.choice([0, 3])), max_aspect=3, near=(0.5, 1.0)[seed // 2 % 2], huge=0.3, class_size=1
    )
    jobs.inspect(scene.path, scene.images, tmp_path / "p.parquet", limits=limits, rows=int(rng.integers(1, 200)))
    assert_same(rows_of(tmp_path / "p.parquet"), naive(scene, limits, listed=True))


def test_rows_of_the_table_have_severity_and_corners(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    jobs.inspect(scene.path, scene.images, tmp_path / "p.parquet", limits=LIMITS)
    table = pq.read_table(tmp_path / "p.parquet")
    assert table.column_names[:6] == ["image_id", "row", "code", "severity", "other", "value"]
    assert table.schema.field("xmin").type == pa.float32()
    assert table.column_names[-1] == "id"
    for row in table.to_pylist():
        assert row["id"] == (None if row["row"] is None else scene.id[row["row"]])
        assert row["severity"] == SEVERITIES[row["code"]]
        box = [row[name] for name in NAMES["xyxy"]]
        if row["row"] is None:
            assert box == [None] * 4
        else:
            np.testing.assert_array_equal(np.array(box, np.float32), scene.boxes.corners()[row["row"]])


@pytest.mark.parametrize("two_passes", [False, True])
def test_progress_counts_every_box_once(tmp_path: Path, two_passes: bool) -> None:
    scene = Scene(tmp_path)
    pq.write_table(scene.table.drop_columns("id"), scene.path)
    steps: list[int] = []
    limits = Limits(class_size=4 if two_passes else None)
    jobs.inspect(scene.path, scene.images, limits=limits, rows=10, progress=steps.append)
    assert sum(steps) == 150
    assert len(steps) > 5


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_make_no_difference(tmp_path: Path, threads: int) -> None:
    scene = Scene(tmp_path)
    before = fastbox.get_num_threads()
    try:
        fastbox.set_num_threads(threads)
        jobs.inspect(scene.path, scene.images, tmp_path / "p.parquet", limits=LIMITS, rows=30)
    finally:
        fastbox.set_num_threads(before)
    assert_same(rows_of(tmp_path / "p.parquet"), naive(scene, LIMITS, listed=True))
