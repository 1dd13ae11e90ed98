"""The job behind ``fastbox fuse``: what fusing image by image gives, whatever the tables hold."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import pytest
from support import calls

import fastbox
from fastbox import InputError, jobs
from fastbox.suppression.fusion import CONFIDENCES

CORNERS = ("xmin", "ymin", "xmax", "ymax")


def detections(seed: int, images: list[int], n: int = 30) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 12, (n, 2))
    corners = np.concatenate([low, low + rng.uniform(4, 12, (n, 2))], axis=1).astype(np.float32)
    corners[3] = [5, 5, 1, 9]
    found: dict[str, Any] = {"image_id": np.sort(rng.choice(images, n))}
    found |= {name: corners[:, k] for k, name in enumerate(CORNERS)}
    return found | {"score": rng.random(n).astype(np.float32), "category_id": rng.integers(0, 2, n)}


@pytest.fixture
def tables(tmp_path: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Three models; not all of them have boxes in every image."""
    found = []
    for seed, images in enumerate(([1, 2, 5], [2, 3], [1, 5, 9])):
        given, path = detections(seed, images), tmp_path / f"{seed}.parquet"
        pq.write_table(pa.table(given), path, row_group_size=7)
        found.append((path, given))
    return found


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("rows", [4, 1000])
def test_it_is_fusion_image_by_image(tables: Any, tmp_path: Path, count: int, rows: int) -> None:
    out, weights = tmp_path / "out.parquet", [2.0, 1.0, 0.5][:count]
    found = jobs.fuse([path for path, _ in tables[:count]], out, weights=weights, rows=rows)
    table = pq.read_table(out)
    assert table.column_names == ["image_id", *CORNERS, "score", "category_id"]
    row = 0
    for image in sorted({int(i) for _, given in tables[:count] for i in given["image_id"]}):
        mine = [given["image_id"] == image for _, given in tables[:count]]
        parts = [{name: given[name][m] for name in given} for m, (_, given) in zip(mine, tables, strict=False)]
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        fused = fastbox.weighted_boxes_fusion(
            np.stack([joined[name] for name in CORNERS], axis=1),
            joined["score"],
            classes=joined["category_id"],
            models=np.repeat(np.arange(count), [len(part["score"]) for part in parts]),
            weights=weights,
        )
        here = table.slice(row, len(fused.scores))
        row += len(fused.scores)
        assert set(here["image_id"].to_pylist()) <= {image}
        np.testing.assert_array_equal(np.stack([here[name].to_numpy() for name in CORNERS], axis=1), fused.boxes)
        np.testing.assert_array_equal(here["score"].to_numpy(), fused.scores)
        np.testing.assert_array_equal(here["category_id"].to_numpy(), fused.classes)
    assert row == table.num_rows == found.fused
    assert found.boxes == 30 * count
    assert found.invalid.inverted == count


call = partial(calls.call, "fuse")


def test_the_command(tables: Any, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    result = call(*(path for path, _ in tables), "-o", out, "--weights", "2,1,1")
    assert result.exit_code == 0, result.output
    assert "78 boxes fused from 90 of 3 models" in result.output
    again = json.loads(call(*(path for path, _ in tables), "--class-agnostic", "--json").output)
    assert again["boxes"] == 90
    assert again["fused"] < pq.read_metadata(out).num_rows


def test_bad_input_is_one_sentence(tables: Any, tmp_path: Path) -> None:
    paths = [path for path, _ in tables]
    for arguments, said in (
        ((*paths, "--weights", "1,2"), "expected --weights for each table (3), got 2"),
        ((*paths, "--weights", "1,x,2"), "expected numbers above 0"),
        ((*paths, "--score-column", "nope"), "nope"),
        ((paths[0], "-o", paths[0]), "is also an input"),
    ):
        result = call(*arguments)
        assert result.exit_code == 2, result.output
        assert said in result.stderr
    named = tmp_path / "named.parquet"
    pq.write_table(pa.table({**tables[0][1], "category_id": ["cat"] * 30}), named)
    with pytest.raises(InputError, match="expected classes of one kind in column 'category_id', got integers in"):
        jobs.fuse([paths[0], named])
    with pytest.raises(ValueError, match="expected a weight for each of 3 tables, got 1"):
        jobs.fuse(paths, weights=[1.0])


@pytest.mark.parametrize("column", ["score", "category_id"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_null_is_named_by_the_users_file_and_row(tmp_path: Path, column: str, place: int) -> None:
    paths = [tmp_path / f"{name}.csv" for name in "abc"]
    for number, path in enumerate(paths):
        values = {"image_id": [9, 7, 8, 7], "xmin": [0.0] * 4, "ymin": [0.0] * 4, "xmax": [4.0] * 4, "ymax": [4.0] * 4}
        table = pa.table(values | {"score": [0.5] * 4, "category_id": [1] * 4})
        if number == place:
            index = table.schema.get_field_index(column)
            table = table.set_column(index, column, pa.array([1, 1, None, 1]))
        csv.write_csv(table, path)
    with pytest.raises(InputError, match=rf"column '{column}', got a null at row 2 of .*{paths[place].name}: fill"):
        jobs.fuse(paths)


@pytest.mark.parametrize("conf_type", CONFIDENCES)
@pytest.mark.parametrize("weights", [None, [2.0, 1.0, 0.5]])
def test_scores_count_all_models_whatever_a_chunk_holds(
    tables: Any, tmp_path: Path, weights: list[float] | None, conf_type: str
) -> None:
    found = []
    paths = [path for path, _ in tables]
    for rows in (1, 20, 1000):
        jobs.fuse(paths, tmp_path / "out.parquet", weights=weights, conf_type=conf_type, rows=rows)
        found.append(pq.read_table(tmp_path / "out.parquet"))
    assert all(found[0].equals(other) for other in found[1:])


def test_a_model_that_finds_nothing_counts(tmp_path: Path) -> None:
    one = {"image_id": [1], "bbox": [[0.0, 0, 4, 4]], "score": [0.8]}
    nothing: dict[str, list[Any]] = {name: [] for name in one}
    for models in ([one, nothing], [nothing, one]):
        jobs.fuse(models, tmp_path / "out.parquet")
        assert pq.read_table(tmp_path / "out.parquet")["score"].to_pylist() == [0.4]


@pytest.mark.parametrize("models", [[0, 2**62], [0, 10**9], np.array([0, 2**63], np.uint64)], ids=str)
def test_names_of_models_are_not_taken_for_their_numbers(models: Any) -> None:
    boxes = [[0.0, 0, 4, 4], [1.0, 0, 4, 4]]
    with pytest.raises(ValueError, match=r"expected models counted from 0, got \d+ at row 1: number them"):
        fastbox.weighted_boxes_fusion(boxes, [0.5, 0.5], models=models)
