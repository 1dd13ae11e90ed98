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
from fastbox.losses.figures import unit_of
from fastbox.tables.record import read_record

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
        jobs.measure(tmp_path, tmp_path.parent / f"{tmp_path.name}.pq", rows=5)
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


# losses

NAMES = {
    "xyxy": ("x0", "y0", "x1", "y1"),
    "xywh": ("x", "y", "w", "h"),
    "cxcywh": ("cx", "cy", "w", "h"),
    "yxyx": ("y0", "x0", "y1", "x1"),
}


def loss_of(name: str, pred: Boxes, target: Boxes) -> tuple[np.ndarray, np.ndarray]:
    """Values and gradient of a loss, straight from its function, at the beta and delta of these tests."""
    options = {"smooth_l1_loss": {"beta": 0.5}, "huber_loss": {"delta": 30.0}}.get(name, {})
    return getattr(fastbox, name)(pred, target, reduction="box", return_grad=True, **options)


@pytest.mark.parametrize(
    ("format", "dtypes", "names"),
    [
        ("xyxy", ("float32", "float32"), fastbox.LOSSES),
        ("xyxy", ("float32", "float64"), ("giou_loss", "smooth_l1_loss")),
        ("xywh", ("float64", "float64"), ("giou_loss", "smooth_l1_loss")),
        ("cxcywh", ("float32", "float32"), ("ciou_loss", "huber_loss")),
        ("yxyx", ("float64", "float32"), ("iou_loss", "l1_loss")),
    ],
)
def test_losses_and_gradients_are_those_of_the_functions(
    tmp_path: Path, format: str, dtypes: tuple[str, str], names: tuple[str, ...]
) -> None:
    pred, target = boxes(200, 20, dtypes[0]), boxes(200, 21, dtypes[1])
    pq.write_table(table(pred, target, ("a", "b", "c", "d")), tmp_path / "p.parquet", row_group_size=33)
    found = jobs.measure(
        tmp_path / "p.parquet",
        tmp_path / "o.parquet",
        metrics=["iou", *names],
        pred="pred_a,pred_b,pred_c,pred_d",
        target="target_a,target_b,target_c,target_d",
        format=format,
        beta=0.5,
        delta=30.0,
        grad=True,
        rows=70,
        keep=[],
    )
    written = pq.read_table(tmp_path / "o.parquet")
    columns = ["", *(f"_grad_{coordinate}" for coordinate in NAMES[format])]
    assert written.column_names == ["iou", *(name + column for name in names for column in columns)]
    a, b = Boxes(pred, format), Boxes(target, format)
    invalid = (a.invalid() != 0) | (b.invalid() != 0)
    assert 0 < invalid.sum() < 100
    for name in names:
        loss, grad = loss_of(name, a, b)
        given = [written[name + column].to_numpy() for column in columns]
        assert {column.dtype for column in given} == {np.result_type(*dtypes)}
        np.testing.assert_array_equal(given[0], loss)
        np.testing.assert_array_equal(np.stack(given[1:], axis=1), grad)
        np.testing.assert_array_equal(np.isnan(given).all(axis=0), invalid)
        assert found.metrics[name].count == found.metrics[f"{name}_grad"].count == 200 - invalid.sum()
        lengths = np.linalg.norm(grad[~invalid].astype(np.float64), axis=1)
        assert found.metrics[f"{name}_grad"].mean == pytest.approx(lengths.mean(), rel=1e-12)
        assert found.metrics[f"{name}_grad"].max == pytest.approx(lengths.max(), rel=1e-12)
        assert found.zeros[f"{name}_grad"] == (lengths == 0).sum()


def test_without_grad_a_loss_is_one_column_and_one_figure(tmp_path: Path) -> None:
    pred, target = boxes(50, 22), boxes(50, 23)
    pq.write_table(table(pred, target), tmp_path / "p.parquet")
    found = jobs.measure(tmp_path / "p.parquet", tmp_path / "o.parquet", metrics=["diou_loss", "iou"], keep=[])
    written = pq.read_table(tmp_path / "o.parquet")
    assert written.column_names == [*found.metrics] == [*found.to_dict()["metrics"]] == ["diou_loss", "iou"]
    np.testing.assert_array_equal(written["diou_loss"], fastbox.diou_loss(pred, target, reduction="none"))
    assert found.zeros == {}


@pytest.mark.parametrize("rows", [1, 7])
def test_losses_do_not_depend_on_batches(tmp_path: Path, rows: int) -> None:
    pq.write_table(table(boxes(60, 24), boxes(60, 25)), tmp_path / "p.parquet", row_group_size=13)
    names = ["iou_loss", "l1", "smooth_l1_loss"]
    found = [
        jobs.measure(tmp_path / "p.parquet", tmp_path / f"{n}.parquet", metrics=names, grad=True, rows=n)
        for n in (1000, rows)
    ]
    assert found[0].to_dict() == found[1].to_dict()
    whole, parts = (pq.read_table(tmp_path / f"{n}.parquet") for n in (1000, rows))
    for column in whole.column_names:
        np.testing.assert_array_equal(whole[column].to_numpy(), parts[column].to_numpy())
    record = read_record(tmp_path / "1000.parquet")
    assert record["summary"] == found[0].to_dict()
    assert (record["parameters"]["grad"], record["parameters"]["delta"]) == (True, 1.0)


def test_gradients_that_are_exactly_zero_are_counted(tmp_path: Path) -> None:
    target = np.array([[0, 0, 10, 10]] * 5, float)
    pred = target + np.array([[20], [10], [5], [0], [np.nan]])  # apart, touching, overlapping, the same, and no box
    pq.write_table(table(pred, target), tmp_path / "p.parquet")
    found = jobs.measure(tmp_path / "p.parquet", metrics=["iou_loss", "giou_loss", "l1_loss"], grad=True)
    assert found.zeros == {"iou_loss_grad": 3, "giou_loss_grad": 1, "l1_loss_grad": 1}
    assert found.metrics["l1_loss_grad"].max == 2.0
    shown = found.to_dict()["metrics"]
    assert [shown[name].get("zero") for name in ("iou_loss", "iou_loss_grad")] == [None, 3]
    assert (shown["iou_loss_grad"]["count"], shown["iou_loss_grad"]["invalid"]) == (4, 1)


def test_a_short_gradient_is_not_zero(tmp_path: Path) -> None:
    pq.write_table(table(np.array([[1e-200, 0, 1, 1]]), np.array([[0.0, 0, 1, 1]])), tmp_path / "p.parquet")
    found = jobs.measure(tmp_path / "p.parquet", tmp_path / "o.parquet", metrics=["smooth_l1_loss"], grad=True)
    assert pq.read_table(tmp_path / "o.parquet")["smooth_l1_loss_grad_x0"].to_pylist() == [1e-200]
    assert found.zeros == {"smooth_l1_loss_grad": 0}


def test_columns_of_an_earlier_run_are_replaced(tmp_path: Path) -> None:
    old = {name: [7.0, 7.0] for name in ("iou_loss_grad_y1", "iou_loss", "iou_loss_grad_w", "iou")}
    pq.write_table(table(boxes(2, 26), boxes(2, 27), **old), tmp_path / "p.parquet")
    keep = ["iou", "iou_loss", "iou_loss_grad_w", "iou_loss_grad_y1"]
    jobs.measure(tmp_path / "p.parquet", tmp_path / "o.parquet", metrics=["iou_loss"], grad=True, keep=keep)
    written = pq.read_table(tmp_path / "o.parquet")
    new = ["iou_loss", *(f"iou_loss_grad_{coordinate}" for coordinate in NAMES["xyxy"])]
    assert written.column_names == ["iou", "iou_loss_grad_w", *new]
    assert 7.0 not in written["iou_loss_grad_y1"].to_pylist()
    jobs.measure(tmp_path / "p.parquet", tmp_path / "o.parquet", metrics=["iou_loss"], keep=keep)
    assert pq.read_table(tmp_path / "o.parquet").column_names == ["iou", *keep[2:], "iou_loss"]


def test_gradients_need_a_loss(tmp_path: Path) -> None:
    pq.write_table(table(boxes(3, 0), boxes(3, 1)), tmp_path / "p.parquet")
    with pytest.raises(InputError, match=r"expected a loss among the metrics .* iou_loss, giou_loss"):
        jobs.measure(tmp_path / "p.parquet", metrics=["iou", "l1"], grad=True)
    with pytest.raises(ValueError, match="expected delta above 0, got 0"):
        jobs.measure(tmp_path / "p.parquet", metrics=["huber_loss"], delta=0)


def test_figures_say_their_unit() -> None:
    names = ("iou", "eiou", "l1", *fastbox.LOSSES, *(f"{name}_grad" for name in fastbox.LOSSES))
    units = {name: unit_of(name) for name in names}
    pixels = {"l1", "smooth_l1_loss", "huber_loss", "l1_loss"}
    overlap = {f"{name}_grad" for name in ("iou_loss", "giou_loss", "diou_loss", "ciou_loss", "eiou_loss")}
    assert {name for name, unit in units.items() if unit == "px"} == pixels
    assert {name for name, unit in units.items() if unit == "1/px"} == overlap
    assert {units[name] for name in set(names) - pixels - overlap} == {None}
