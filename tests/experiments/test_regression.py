"""Boxes that follow the losses: against dual numbers in NumPy, and against what the paper says of the losses."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support import calls
from support.paths import WITHOUT_JIT

from fastbox import jobs
from fastbox.experiments.regression import LOSSES, draw, rates_of
from fastbox.tables.record import read_record

RATIOS = np.array([1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4])
AREAS = np.array([0.5, 0.67, 0.75, 1, 1.33, 1.5, 2])


class Dual:
    """A number with its derivatives by x, y, w and h: arrays of shapes (n,) and (4, n)."""

    __array_ufunc__ = None  # an array on the left leaves the sum to us

    def __init__(self, value: Any, by: Any) -> None:
        self.value, self.by = np.asarray(value, float), np.asarray(by, float)

    @staticmethod
    def of(other: Any) -> Dual:
        return other if isinstance(other, Dual) else Dual(other, np.zeros((4, 1)))

    def __add__(self, other: Any) -> Dual:
        other = Dual.of(other)
        return Dual(self.value + other.value, self.by + other.by)

    def __mul__(self, other: Any) -> Dual:
        other = Dual.of(other)
        return Dual(self.value * other.value, self.by * other.value + other.by * self.value)

    def __sub__(self, other: Any) -> Dual:
        return self + Dual.of(other) * -1.0

    def __truediv__(self, other: Any) -> Dual:
        other = Dual.of(other)
        return self * Dual(1 / other.value, -other.by / other.value**2)

    def __rsub__(self, other: Any) -> Dual:
        return Dual.of(other) - self

    def map(self, value: Any, slope: Any) -> Dual:
        return Dual(value, slope * self.by)


def larger(a: Dual, b: Any) -> Dual:
    b = Dual.of(b)
    return Dual(np.maximum(a.value, b.value), np.where(a.value > b.value, a.by, b.by))


def smaller(a: Dual, b: Any) -> Dual:
    return larger(a * -1.0, Dual.of(b) * -1.0) * -1.0


def loss_and_iou(name: str, boxes: np.ndarray, targets: np.ndarray) -> tuple[Dual, np.ndarray]:
    """From the papers' formulas; boxes and targets are (n, 4) of centre and sides."""
    x, y, w, h = (Dual(boxes[:, k], np.eye(4)[:, [k]]) for k in range(4))
    u, v, p, q = targets.T
    x0, x1, y0, y1 = x - w * 0.5, x + w * 0.5, y - h * 0.5, y + h * 0.5
    across = larger(smaller(x1, u + p / 2) - larger(x0, u - p / 2), 0.0)
    down = larger(smaller(y1, v + q / 2) - larger(y0, v - q / 2), 0.0)
    inter = across * down
    union = w * h + p * q - inter
    iou = inter / union
    hull_w = larger(x1, u + p / 2) - smaller(x0, u - p / 2)
    hull_h = larger(y1, v + q / 2) - smaller(y0, v - q / 2)
    far = ((x - u) * (x - u) + (y - v) * (y - v)) / (hull_w * hull_w + hull_h * hull_h)
    if name == "smooth_l1":
        parts = []
        for part in (x - u, y - v, w - p, h - q):
            d = part.value
            near = np.abs(d) < 1
            parts.append(part.map(np.where(near, d * d / 2, np.abs(d) - 0.5), np.where(near, d, np.sign(d))))
        loss = parts[0] + parts[1] + parts[2] + parts[3]
    elif name == "iou":
        loss = 1.0 - iou
    elif name == "giou":
        hull = hull_w * hull_h
        loss = 1.0 - iou + (hull - union) / hull
    elif name == "diou":
        loss = 1.0 - iou + far
    elif name == "ciou":
        ratio = w / h
        angle = ratio.map(np.arctan(ratio.value), 1 / (1 + ratio.value**2))
        turn = (np.arctan(p / q) - angle) * (2 / math.pi)
        v_term = turn * turn
        below = 1 - iou.value + v_term.value
        alpha = np.divide(v_term.value, below, out=np.zeros_like(below), where=below != 0)  # a constant
        loss = 1.0 - iou + far + v_term * alpha
    else:
        loss = 1.0 - iou + far + (w - p) * (w - p) / (hull_w * hull_w) + (h - q) * (h - q) / (hull_h * hull_h)
    return loss, iou.value


def cases(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All boxes and their targets, point by point."""
    grid = np.meshgrid(np.arange(len(x)), RATIOS, AREAS, RATIOS, indexing="ij")
    point, target, area, ratio = (part.ravel() for part in grid)
    boxes = np.stack([x[point], y[point], np.sqrt(area * ratio), np.sqrt(area / ratio)], axis=1)
    ten = np.full(len(point), 10.0)
    return boxes, np.stack([ten, ten, np.sqrt(target), np.sqrt(1 / target)], axis=1)


def twin(name: str, x: np.ndarray, y: np.ndarray, rates: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The mean error by step, that at the end by point, and the IoU of every case at the end."""
    boxes, targets = cases(x, y)
    curve = [np.abs(boxes - targets).sum(axis=1).mean()]
    for rate in rates:
        loss, iou = loss_and_iou(name, boxes, targets)
        boxes = boxes - rate * (2 - iou[:, None]) * loss.by.T
        boxes[:, 2:] = np.maximum(boxes[:, 2:], 2.0**-10)
        curve.append(np.abs(boxes - targets).sum(axis=1).mean())
    errors = np.abs(boxes - targets).sum(axis=1).reshape(len(x), -1).mean(axis=1)
    return np.array(curve), errors, loss_and_iou(name, boxes, targets)[1]


@pytest.mark.parametrize("name", LOSSES)
def test_boxes_follow_the_gradient(name: str) -> None:
    points, steps = (1, 1) if WITHOUT_JIT else (3, 40)
    found = jobs.regression(points=points, steps=steps, losses=[name], seed=2)
    curve, errors, iou = twin(name, found.x, found.y, rates_of(steps))
    descent = found.losses[name]
    np.testing.assert_allclose(descent.curve, curve, rtol=1e-9)
    np.testing.assert_allclose(descent.errors, errors, rtol=1e-9)
    assert (descent.iou_half, descent.iou_high) == ((iou >= 0.5).sum(), (iou >= 0.9).sum())
    assert (descent.apart, descent.floored) == ((iou == 0).sum(), 0)


@pytest.mark.jit
def test_a_side_is_kept_from_falling_to_0() -> None:
    from fastbox.kernels.codes import COUNTS, HELD
    from fastbox.kernels.loss.regression import DESCEND

    x, y, rates = np.array([10.3]), np.array([9.9]), np.array([1.5, 0.1])
    one = np.array([[1.0, 1.0]])
    starts = np.array([[math.sqrt(a * r), math.sqrt(a / r)] for a in AREAS for r in RATIOS])
    targets = np.array([[math.sqrt(r), math.sqrt(1 / r)] for r in RATIOS])
    curve, errors, counts = np.zeros(3), np.zeros(1), np.zeros(COUNTS, np.int64)
    kernel = DESCEND[x.dtype, "iou"]
    kernel((x, y), starts, targets, (10.0, 10.0), rates, (0, 1), (curve, errors, counts))
    expected, _, _ = twin("iou", x, y, rates)
    np.testing.assert_allclose(curve / 343, expected, rtol=1e-9)
    assert 0 < counts[HELD] < 343
    counts[:] = 0
    kernel((x, y), one, one, (10.0, 10.0), np.array([1e-3, 1e-3]), (0, 1), (curve, errors, counts))
    assert counts[HELD] == 0


@pytest.mark.jit
def test_threads_change_nothing(threads: Callable[[int], None]) -> None:
    runs = []
    for n in (1, 2, 3):
        threads(n)
        found = jobs.regression(points=70, steps=25, losses=["giou", "ciou"])
        runs.append((found.to_dict(), {name: column.tobytes() for name, column in found.columns().items()}))
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.jit
def test_points_do_not_depend_on_one_another() -> None:
    few, many = (jobs.regression(points=n, steps=5, losses=["diou"]) for n in (19, 50))
    np.testing.assert_array_equal(few.losses["diou"].errors, many.losses["diou"].errors[:19])


@pytest.fixture(scope="module")
def whole() -> jobs.Regression:
    return jobs.regression(points=40)


@pytest.mark.jit
def test_the_losses_do_as_they_are_known_to(whole: jobs.Regression) -> None:
    """IoU leaves most boxes where they are; with exact gradients GIoU arrives, as late as DIoU; CIoU mends the rest."""
    final = {name: found.curve[-1] for name, found in whole.losses.items()}
    assert final["iou"] > 50 * final["giou"]
    assert final["iou"] > 50 * final["diou"]
    assert final["ciou"] < 0.5 * min(final["giou"], final["diou"])
    assert final["eiou"] < final["ciou"]
    assert final["smooth_l1"] < 1e-6
    total = whole.points * 343
    assert whole.losses["iou"].converged < 0.3 * total
    for name in ("giou", "diou", "ciou", "eiou"):
        assert whole.losses[name].converged > 0.95 * total
        assert whole.losses[name].apart == 0
    for found in whole.losses.values():
        assert found.curve[0] == whole.losses["iou"].curve[0]
        assert found.floored == 0
        np.testing.assert_allclose(found.errors.mean(), found.curve[-1], rtol=1e-12)


@pytest.mark.jit
def test_boxes_that_lie_apart_do_not_move_by_iou(whole: jobs.Regression) -> None:
    boxes, targets = cases(whole.x, whole.y)
    apart = (np.abs(boxes[:, :2] - targets[:, :2]) > (boxes[:, 2:] + targets[:, 2:]) / 2).any(axis=1)
    assert whole.losses["iou"].apart == apart.sum()
    alone = apart.reshape(whole.points, -1).all(axis=1)
    assert alone.any()
    starts = np.abs(boxes - targets).sum(axis=1).reshape(whole.points, -1).mean(axis=1)
    np.testing.assert_allclose(whole.losses["iou"].errors[alone], starts[alone], rtol=1e-13)


def test_rates_fall_at_four_fifths_and_nine_tenths() -> None:
    np.testing.assert_array_equal(rates_of(200), [0.1] * 160 + [0.01] * 20 + [0.001] * 20)
    for steps in range(1, 60):
        t = np.arange(1, steps + 1)
        np.testing.assert_array_equal(
            rates_of(steps), np.where(5 * t <= 4 * steps, 0.1, np.where(10 * t <= 9 * steps, 0.01, 0.001))
        )


def test_points_fill_the_circle() -> None:
    x, y = draw(5000, 0)
    away = np.hypot(x - 10, y - 10)
    assert away.max() <= 3
    assert abs((away <= 1.5).mean() - 0.25) < 0.02
    assert abs(x.mean() - 10) < 0.1 > abs(y.mean() - 10)
    np.testing.assert_array_equal(draw(100, 0), [x[:100], y[:100]])
    assert not np.array_equal(draw(100, 1), [x[:100], y[:100]])


def test_progress_counts_all_cases() -> None:
    done: list[int] = []
    jobs.regression(points=17, steps=1, losses=["iou"], progress=done.append)
    assert sum(done) == 17 * 343


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"points": 0}, "points to be a whole number, 1 or more, got 0"),
        ({"steps": 0}, "steps to be a whole number, 1 or more, got 0"),
        ({"seed": -1}, "seed to be a whole number, 0 or more, got -1"),
        ({"losses": ["iou", "l1"]}, "losses of smooth_l1, iou, giou, diou, ciou, eiou, got 'l1'"),
        ({"losses": []}, "got none"),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        jobs.regression(**arguments)


# The command


def test_the_command_explains_itself() -> None:
    text = call("--help").stdout
    assert "Distance-IoU" in text
    assert all(len(line) <= 90 for line in text.splitlines())


call = partial(calls.call, "experiment", "regression")


SMALL = ("--points", 1, "--steps", 1, "--losses", "giou,iou") if WITHOUT_JIT else ("--points", 20, "--steps", 60)


def test_the_command_prints_a_table() -> None:
    result = call(*SMALL)
    assert result.exit_code == 0, result.output
    names = SMALL[-1].split(",") if WITHOUT_JIT else LOSSES
    lines = result.stdout.splitlines()
    assert lines[0].split()[1] == "cases,"
    for name in names:
        assert any(line.split()[:1] == [name] for line in lines)
    assert all(len(line) <= 80 for line in lines)


def test_the_command_prints_json_and_writes_points(tmp_path: Path) -> None:
    out = tmp_path / "points.parquet"
    result = call(*SMALL, "--json", "-o", out, "--seed", 3)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    points, steps = summary["points"], summary["steps"]
    assert summary["cases"] == 343 * points
    table = pq.read_table(out)
    assert table.column_names == ["x", "y", *summary["losses"]]
    assert len(table) == points
    for name, found in summary["losses"].items():
        assert len(found["curve"]) == steps + 1
        assert found["curve"][-1] == found["final_error"]
        assert np.mean(table[name].to_numpy()) == pytest.approx(found["final_error"], rel=1e-12)
    record = read_record(out)
    assert {"schema": 1, **record["summary"]} == summary
    assert record["parameters"]["seed"] == 3


@pytest.mark.slow
def test_the_command_draws(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("plot.svg", "again.svg", "plot.png"):
        result = call(*SMALL, "--plot", tmp_path / name)
        assert result.exit_code == 0, result.output
    svg = (tmp_path / "plot.svg").read_bytes()
    assert svg.startswith(b"<?xml")
    assert svg == (tmp_path / "again.svg").read_bytes()


@pytest.mark.slow
@pytest.mark.jit
@pytest.mark.parametrize("losses", ["smooth_l1", "iou,ciou", "smooth_l1,giou,eiou"])
def test_any_number_of_losses_is_drawn(losses: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    result = call("--points", 3, "--losses", losses, "--plot", tmp_path / "plot.svg", "--json")
    assert result.exit_code == 0, result.output
    errors = {name: found["final_error"] for name, found in json.loads(result.stdout)["losses"].items()}
    assert list(errors) == losses.split(",")
    texts = re.findall(r"<!-- (.*?) -->", (tmp_path / "plot.svg").read_text())
    shown = {name: f"{error:.2g}" if error >= 0.001 else "below 0.001" for name, error in errors.items()}
    titles = [text for text in texts if "  " in text]
    assert titles == [f"{name}  {error}" for name, error in shown.items()]  # a map for each loss, and its figure
    assert {text for text in texts if text in LOSSES} == set(errors)  # the names of the curves


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--points", 0), "0 is not in the range"),
        (("--losses", "iou,best"), "got 'best'"),
        (("--losses", ","), "got none"),
        (("--seed", -1), "-1 is not in the range"),
        (("--steps", "many"), "expected a whole number, got many"),
        (("--plot", "plot.doc"), "expected a picture"),
        (("-o", "no/such/folder/out.parquet"), "expected a folder"),
    ],
)
def test_the_command_refuses_in_one_sentence(arguments: tuple[Any, ...], said: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
