"""Disagreement of distances and overlap: the figures against naive ones, the examples, and the command."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose
from support import calls

import fastbox
from fastbox import jobs
from fastbox.experiments.disagreement import DISTANCES, SHOWN

TARGET = [0.0, 0, 40, 40]
# Three pixels to the right or three pixels larger on the right: L2 of 3 √2 and of 3.
SHIFTED, GROWN = [3.0, 0, 43, 40], [0.0, 0, 43, 40]


def pairs(n: int = 400, seed: int = 0) -> tuple[Any, Any]:
    """Targets of all sizes and predictions more or less near them."""
    rng = np.random.default_rng(seed)
    near = rng.uniform(0, 300, (n, 2))
    target = np.hstack([near, near + rng.lognormal(3.8, 0.9, (n, 2))])
    noise = rng.normal(0, 1, (n, 4)) * rng.lognormal(1.5, 1, (n, 1))
    pred = target + noise
    pred[:, 2:] = np.maximum(pred[:, 2:], pred[:, :2] + 1)
    return pred, target


def write(path: Path, pred: Any, target: Any) -> Path:
    pq.write_table(pa.table({"pred": np.asarray(pred).tolist(), "target": np.asarray(target).tolist()}), path)
    return path


def distances(pred: Any, target: Any) -> dict[str, Any]:
    d = np.abs(pred - target)
    smooth = np.where(d < 1, 0.5 * d * d, d - 0.5)
    return {"l1": d.sum(axis=1), "l2": np.sqrt((d * d).sum(axis=1)), "smooth_l1": smooth.sum(axis=1)}


@pytest.mark.slow
def test_rank_correlations_are_scipys(tmp_path: Path) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    pred, target = pairs()
    found = jobs.disagreement(write(tmp_path / "p.parquet", pred, target)).to_dict()
    side = np.sqrt((target[:, 2] - target[:, 0]) * (target[:, 3] - target[:, 1]))
    chosen = {"all": side >= 0, "small": side < 32, "medium": (side >= 32) & (side < 96), "large": side >= 96}
    assert found["sizes"] == {name: int(rows.sum()) for name, rows in chosen.items() if name != "all"}
    for distance, far in distances(pred, target).items():
        for metric in ("iou", "giou"):
            value = fastbox.aligned(pred, target, metric=metric)
            for name, rows in chosen.items():
                expected = stats.spearmanr(far[rows], value[rows]).statistic
                assert_allclose(found["rank_correlation"][distance][metric][name], expected, atol=0.01)


def test_spreads_are_the_quantiles_of_pairs_as_far(tmp_path: Path) -> None:
    pred, target = pairs(4000, seed=1)
    found = jobs.disagreement(write(tmp_path / "p.parquet", pred, target)).to_dict()
    iou = fastbox.aligned(pred, target)
    for distance in DISTANCES:
        far = distances(pred, target)[distance]
        for row in found["spread"][distance]:
            there = iou[(far >= row["pixels"] / 1.1) & (far <= row["pixels"] * 1.1)]
            assert abs(row["pairs"] - len(there)) <= 0.5 * len(there) + 3  # whole bins, which reach a little farther
            if row["pairs"] > 100:
                assert_allclose(row["iou"], np.quantile(there, [0.05, 0.5, 0.95]), atol=0.06)


@pytest.mark.slow
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_chunks_make_no_difference(tmp_path: Path, rows: int) -> None:
    path = write(tmp_path / "p.parquet", *pairs(60))
    assert jobs.disagreement(path, rows=rows).to_dict() == jobs.disagreement(path).to_dict()


def test_the_examples_are_the_pairs_that_mislead_most(tmp_path: Path) -> None:
    turned = [3 / np.sqrt(2), 0, 40 + 3 / np.sqrt(2), 40]  # moved, with the L2 distance of the grown one
    path = write(tmp_path / "p.parquet", [SHIFTED, turned, GROWN, GROWN], [TARGET] * 4)
    (example,) = jobs.disagreement(path).to_dict()["examples"]
    assert example["size"] == "medium"
    assert (example["near"]["row"], example["far"]["row"]) == (2, 1)
    for name, pred in (("near", GROWN), ("far", turned)):
        got = example[name]
        assert got["pred"] == pred
        assert got["target"] == TARGET
        assert_allclose(got["l2"], 3.0)
        for metric in ("iou", "giou"):
            assert got[metric] == fastbox.aligned([pred], [TARGET], metric=metric)[0]


def test_a_miss_is_no_example(tmp_path: Path) -> None:
    apart = [100.0, 0, 140, 40]
    path = write(tmp_path / "p.parquet", [apart, [0.0, 0, 40 + 100 * np.sqrt(2), 40]], [TARGET] * 2)
    assert jobs.disagreement(path).to_dict()["examples"] == []


def test_invalid_boxes_are_counted_and_left_out(tmp_path: Path) -> None:
    bad = [[float("nan"), 0, 1, 1], [5.0, 0, 1, 1]]
    path = write(tmp_path / "p.parquet", [*bad, GROWN, SHIFTED], [TARGET, TARGET, TARGET, [9.0, 9, 1, 20]])
    found = jobs.disagreement(path).to_dict()
    assert (found["rows"], found["pairs"]) == (4, 1)
    assert found["invalid"]["pred"] == {"not_finite": 1, "inverted": 1}
    assert found["invalid"]["target"] == {"not_finite": 0, "inverted": 1}


@pytest.mark.slow
@pytest.mark.parametrize(("pred", "target"), [([], []), ([GROWN], [TARGET]), ([TARGET] * 3, [TARGET] * 3)])
def test_too_few_pairs_say_nothing(tmp_path: Path, pred: Any, target: Any) -> None:
    columns = {name: pa.array(side, pa.list_(pa.float64(), 4)) for name, side in (("pred", pred), ("target", target))}
    path = tmp_path / "p.parquet"
    pq.write_table(pa.table(columns), path)
    found = jobs.disagreement(path).to_dict()
    assert found["pairs"] == len(pred)
    assert found["rank_correlation"]["l2"]["iou"]["all"] is None
    assert found["examples"] == []
    assert len(found["spread"]["l2"]) == len(SHOWN)
    plot = tmp_path / "p.svg"
    result = call(path, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert plot.exists()


def test_beta_is_at_least_0(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"beta.*-1"):
        jobs.disagreement(write(tmp_path / "p.parquet", [GROWN], [TARGET]), beta=-1)


call = partial(calls.call, "experiment", "disagreement")


@pytest.mark.slow
def test_the_command_prints_and_draws(tmp_path: Path) -> None:
    path, plot = write(tmp_path / "p.parquet", *pairs()), tmp_path / "p.svg"
    result = call(path, "--plot", plot)
    assert result.exit_code == 0, result.output
    assert "400 pairs" in result.stdout
    assert "Smooth L1 and GIoU" in result.stdout
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80
    assert plot.read_text().startswith("<?xml")


def test_json_is_what_the_job_found(tmp_path: Path) -> None:
    path = write(tmp_path / "p.parquet", *pairs())
    assert json.loads(call(path, "--json").stdout) == {"schema": 1, **jobs.disagreement(path).to_dict()}


@pytest.mark.parametrize(
    "arguments", [["missing.parquet"], ["p.parquet", "--plot", "p.nothing"], ["p.parquet", "--pred", "x"]]
)
def test_what_can_not_be_done_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: Any) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "p.parquet", [GROWN], [TARGET])
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["p.parquet"]
