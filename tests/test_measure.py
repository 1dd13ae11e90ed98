"""The job behind ``fastbox measure``: the same bits as in memory, whatever the files, batches, types and threads."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastbox
from fastbox import Boxes, InputError, jobs
from fastbox.tables.sink import read_record

CORNERS = ("xmin", "ymin", "xmax", "ymax")
SIZES = ("x", "y", "w", "h")


def boxes(n: int, seed: int, dtype: str = "float32") -> np.ndarray:
    """Boxes of which some are no boxes: inverted, or not finite."""
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (n, 2))
    made = np.concatenate([low, low + rng.uniform(0, 80, (n, 2))], axis=1)
    made[rng.random(n) < 0.05] = [3, 3, 1, 9]
    made[rng.random(n) < 0.05, 2] = np.nan
    return made.astype(dtype)


def table(pred: np.ndarray, target: np.ndarray, names: tuple[str, ...] = CORNERS, **more: object) -> pa.Table:
    sides = {"pred_": pred, "target_": target}
    return pa.table({f"{side}{name}": b[:, k] for side, b in sides.items() for k, name in enumerate(names)} | more)


@pytest.mark.parametrize("metric", fastbox.METRICS)
@pytest.mark.parametrize("dtypes", [("float32", "float32"), ("float32", "float64")])
def test_values_are_those_of_aligned(tmp_path: Path, metric: str, dtypes: tuple[str, str]) -> None:
    pred, target = boxes(200, 0, dtypes[0]), boxes(200, 1, dtypes[1])
    pq.write_table(table(pred, target), tmp_path / "p.parquet", row_group_size=33)
    found = jobs.measure(tmp_path / "p.parquet", tmp_path / "o.parquet", metrics=[metric], beta=0.5, rows=70)
    expected = fastbox.aligned(pred, target, metric=metric, beta=0.5)
    written = pq.read_table(tmp_path / "o.parquet")[metric].to_numpy()
    assert written.dtype == expected.dtype
    np.testing.assert_array_equal(written, expected)
    finite = expected[~np.isnan(expected)].tolist()
    assert found.metrics[metric].mean == float(sum(map(Fraction, finite)) / len(finite))
    assert (found.metrics[metric].count, found.metrics[metric].nans) == (len(finite), 200 - len(finite))


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_neither_bytes_nor_figures_depend_on_batches_or_files(tmp_path: Path, rows: int) -> None:
    whole = table(boxes(120, 2), boxes(120, 3), number=np.arange(120))
    pq.write_table(whole, tmp_path / "p.parquet")
    parts = tmp_path / "parts"
    parts.mkdir()
    for k, (first, last) in enumerate([(0, 1), (1, 1), (1, 50), (50, 120)]):
        pq.write_table(whole.slice(first, last - first), parts / f"{k}.parquet", row_group_size=9)
    one = jobs.measure(tmp_path / "p.parquet", tmp_path / "one.parquet")
    many = jobs.measure(parts, tmp_path / "many.parquet", rows=rows)
    assert one.to_dict() == many.to_dict()
    written = [pq.read_table(tmp_path / name) for name in ("one.parquet", "many.parquet")]
    assert written[0].schema.equals(written[1].schema)
    for column in written[0].column_names:
        np.testing.assert_array_equal(written[0][column].to_numpy(), written[1][column].to_numpy())


def test_figures_do_not_depend_on_threads(tmp_path: Path, threads: Callable[[int], None]) -> None:
    pq.write_table(table(boxes(500, 4), boxes(500, 5)), tmp_path / "p.parquet")
    found = []
    for n in (1, 2, 5):
        threads(n)
        found.append(jobs.measure(tmp_path / "p.parquet", tmp_path / f"{n}.parquet", rows=99).to_dict())
    assert found[0] == found[1] == found[2]
    assert (tmp_path / "1.parquet").stat().st_size == (tmp_path / "5.parquet").stat().st_size


def test_integers_are_promoted_and_kept_as_they_are(tmp_path: Path) -> None:
    pred = np.array([[200, 200, 250, 250], [10, 0, 0, 9]], "uint8")
    target = np.array([[0, 0, 255, 255], [0, 0, 1, 1]], "uint8")
    source = table(pred, target)
    pq.write_table(source, tmp_path / "p.parquet")
    jobs.measure(tmp_path / "p.parquet", tmp_path / "o.parquet", metrics=["iou"])
    written = pq.read_table(tmp_path / "o.parquet")
    assert written.select(source.column_names).equals(source)
    assert written.schema.field("iou").type == pa.float64()
    np.testing.assert_array_equal(written["iou"].to_numpy(), [2500 / 65025, np.nan])


@pytest.mark.parametrize("format", ["xywh", "cxcywh"])
def test_the_format_follows_the_names_or_what_is_said(tmp_path: Path, format: str) -> None:
    pred, target = boxes(30, 7), boxes(30, 8)
    expected = fastbox.aligned(Boxes(pred, format=format), Boxes(target, format=format))
    named = SIZES if format == "xywh" else ("cx", "cy", "w", "h")
    pq.write_table(table(pred, target, named), tmp_path / "named.parquet")
    pq.write_table(table(pred, target, ("a", "b", "c", "d")), tmp_path / "told.parquet")
    jobs.measure(tmp_path / "named.parquet", tmp_path / "o.parquet", metrics=["iou"])
    np.testing.assert_array_equal(pq.read_table(tmp_path / "o.parquet")["iou"].to_numpy(), expected)
    told = [",".join(f"{side}_{name}" for name in "abcd") for side in ("pred", "target")]
    jobs.measure(
        tmp_path / "told.parquet", tmp_path / "o.parquet", metrics=["iou"], pred=told[0], target=told[1], format=format
    )
    np.testing.assert_array_equal(pq.read_table(tmp_path / "o.parquet")["iou"].to_numpy(), expected)


def test_kept_columns_of_any_type_come_through(tmp_path: Path) -> None:
    more = {"name": ["a", None], "tags": [[1], []], "at": pa.array([1, 2], pa.timestamp("us")), "l1": [7, 8]}
    source = table(boxes(2, 9), boxes(2, 10), **more)
    pq.write_table(source, tmp_path / "p.parquet")
    jobs.measure(tmp_path / "p.parquet", tmp_path / "o.parquet", metrics=["iou", "iou"], keep=["at", "name", "l1"])
    written = pq.read_table(tmp_path / "o.parquet")
    assert written.column_names == ["at", "name", "l1", "iou"]
    assert written.drop(["iou"]).equals(source.select(["at", "name", "l1"]))
    jobs.measure(tmp_path / "p.parquet", tmp_path / "o.parquet", metrics=["l1"], keep=[])
    assert pq.read_table(tmp_path / "o.parquet").column_names == ["l1"]


def test_the_footer_says_what_was_done(tmp_path: Path) -> None:
    pq.write_table(table(boxes(5, 11), boxes(5, 12)), tmp_path / "p.parquet")
    found = jobs.measure(tmp_path / "p.parquet", tmp_path / "o.parquet", metrics=["giou"], beta=3)
    record = read_record(tmp_path / "o.parquet")
    assert (record["command"], record["rows"], record["version"]) == ("measure", 5, fastbox.__version__)
    assert record["parameters"]["metrics"] == ["giou"]
    assert record["parameters"]["paths"] == [str(tmp_path / "p.parquet")]
    assert record["summary"] == found.to_dict()


def test_progress_counts_every_row(tmp_path: Path) -> None:
    pq.write_table(table(boxes(50, 13), boxes(50, 14)), tmp_path / "p.parquet")
    steps: list[int] = []
    jobs.measure(tmp_path / "p.parquet", rows=20, progress=steps.append)
    assert steps == [20, 20, 10]


def test_what_overflows_has_no_figure(tmp_path: Path) -> None:
    wide = np.array([[-1e308, 0, 1e308, 4]])
    pq.write_table(table(wide, np.zeros((1, 4))), tmp_path / "p.parquet")
    found = jobs.measure(tmp_path / "p.parquet", metrics=["l1"]).to_dict()["metrics"]["l1"]
    assert (found["count"], found["mean"], found["quantiles"]["p50"]) == (1, None, None)


def test_a_null_is_named_by_its_file_and_row(tmp_path: Path) -> None:
    whole = table(boxes(20, 15), boxes(20, 16))
    spoiled = whole.set_column(2, "pred_xmax", pa.array([None if k == 13 else 1.0 for k in range(20)], pa.float32()))
    pq.write_table(whole, tmp_path / "0.parquet")
    pq.write_table(spoiled, tmp_path / "1.parquet", row_group_size=6)
    with pytest.raises(InputError, match=r"pred_xmax.*1\.parquet.*row 13|row 13.*pred_xmax.*1\.parquet"):
        jobs.measure(tmp_path, tmp_path / "o.pq", rows=5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.parquet", "1.parquet"]


def test_files_that_differ_are_refused(tmp_path: Path) -> None:
    pq.write_table(table(boxes(3, 0), boxes(3, 1)), tmp_path / "0.parquet")
    pq.write_table(table(boxes(3, 0, "float64"), boxes(3, 1)), tmp_path / "1.parquet")
    with pytest.raises(InputError, match=r"expected float in .*pred_xmin.*1\.parquet.*got double"):
        jobs.measure(tmp_path)


def test_one_box_is_no_pair(tmp_path: Path) -> None:
    pq.write_table(pa.table({"bbox": [[0.0, 0, 1, 1]]}), tmp_path / "p.parquet")
    with pytest.raises(InputError, match="found only bbox: name both"):
        jobs.measure(tmp_path / "p.parquet")
    with pytest.raises(ValueError, match="did you mean 'giou'"):
        jobs.measure(tmp_path / "p.parquet", metrics=["gioo"])
