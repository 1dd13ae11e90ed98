"""Tables without a common image are told so, by the whole job and not by its fragments."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastbox import InputWarning, Source, jobs
from fastbox.evaluation.common_images import CommonImages
from fastbox.tables.stream import scan


def write(path: Path, ids: Any) -> Path:
    boxes = np.tile([0.0, 0, 4, 4], (len(ids), 1))
    kind = pa.string() if ids and isinstance(ids[0], str) else pa.int64()
    pq.write_table(
        pa.table({"image_id": pa.array(ids, kind), "bbox": boxes.tolist() or pa.array([], pa.list_(pa.float64(), 4))}),
        path,
    )
    return path


@pytest.mark.parametrize(
    ("own", "its", "words"),
    [
        (
            [1, 1, 2, 3, 4],
            [11, 12],
            "image ids such as 1, 2, 3 in .*d.parquet and 11, 12 in .*t.parquet: write the ids",
        ),
        (["a.jpg"], ["a", "b"], "write them alike: 'a.jpg' and 'a' differ only in folders, endings"),
    ],
)
@pytest.mark.parametrize("best", [False, True])
def test_pairs_of_tables_without_a_common_image_are_warned_of(
    tmp_path: Path, own: Any, its: Any, words: str, best: bool
) -> None:
    detections, truths = write(tmp_path / "d.parquet", own), write(tmp_path / "t.parquet", its)
    with pytest.warns(InputWarning, match=f"no image has boxes in both tables, .*{words}"):
        found = jobs.pairs(detections, truths, best=best)
    assert found.unmatched == len(own)


@pytest.mark.parametrize(("own", "its"), [([1, 2], [2, 3]), ([1], []), ([], [1]), ([], []), ([5, 6], None)])
def test_other_tables_are_not(tmp_path: Path, own: Any, its: Any) -> None:
    detections = write(tmp_path / "d.parquet", own)
    truths = None if its is None else write(tmp_path / "t.parquet", its)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jobs.pairs(detections, truths)


def test_an_image_of_a_later_chunk_counts(tmp_path: Path) -> None:
    detections, truths = write(tmp_path / "d.parquet", [1, 2, 9]), write(tmp_path / "t.parquet", [3, 4, 9])
    parts = []
    for chunk in scan(Source(detections), Source(truths), rows=1):
        assert chunk.b is not None and chunk.a.offsets is not None and chunk.b.offsets is not None
        parts.append(CommonImages())
        parts[-1].add(chunk.images, chunk.a.offsets, chunk.b.offsets)
    apart = sum(parts[:-1], CommonImages())
    assert apart.are_apart()
    assert apart.examples == {"detections": [1, 2], "truths": [3, 4]}
    assert not (apart + parts[-1]).are_apart()
