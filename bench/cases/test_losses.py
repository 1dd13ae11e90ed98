"""Losses and their gradients, beside torch and numpy, above the time it takes to read both and write one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastbox
from bench.conftest import THREADS, Case, close_to, require
from bench.support import floors, peers
from bench.support.shapes import DTYPES, Sizes

ELEMENTS = 16_000_000
LOSSES = {"smooth_l1": fastbox.smooth_l1_loss, "huber": fastbox.huber_loss, "l1": fastbox.l1_loss}
GRID = [("smooth_l1", "mean"), ("smooth_l1", "none"), ("smooth_l1", "box"), ("huber", "mean"), ("l1", "mean")]
GRADED = {
    "smooth_l1": fastbox.smooth_l1_loss,
    "iou": fastbox.iou_loss,
    "giou": fastbox.giou_loss,
    "diou": fastbox.diou_loss,
    "ciou": fastbox.ciou_loss,
    "eiou": fastbox.eiou_loss,
}
WRITTEN = {"mean": 0.0, "box": 0.25, "none": 1.0}  # elements written for each pair that is read


def drawn(sizes: Sizes, dtype: str) -> tuple[Any, Any]:
    """Predictions and targets of boxes, about as often below beta as above."""
    rng = np.random.default_rng(3)
    n = sizes.of(ELEMENTS) // 4
    near = rng.uniform(0, 600, (n, 2))
    target = np.hstack([near, near + rng.uniform(8, 200, (n, 2))]).astype(dtype)
    return target + rng.normal(0, 1.5, (n, 4)).astype(dtype), target


def facts(loss: str, reduction: str, pred: Any) -> dict[str, Any]:
    """Return the facts of a case of a loss."""
    common = {"kernel": f"loss {reduction}", "metric": loss, "dtype": str(pred.dtype), "size": "elements"}
    moved = int((2 + WRITTEN[reduction]) * pred.nbytes)
    return common | {"shape": f"{pred.size}", "boxes": len(pred), "moved": moved}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "reduction"), GRID)
def test_ours(case: Case, sizes: Sizes, loss: str, reduction: str, dtype: str, threads: int) -> None:
    pred, target = drawn(sizes, dtype)
    case(
        lambda: LOSSES[loss](pred, target, reduction=reduction),
        name="fastbox",
        role="ours",
        threads=threads,
        **facts(loss, reduction, pred),
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_torch(case: Case, sizes: Sizes, reduction: str, dtype: str, threads: int) -> None:
    require("torch")
    pred, target = drawn(sizes, dtype)
    tensor, loss = peers.torch_smooth_l1(threads, reduction)
    p, q = tensor(pred), tensor(target)
    case(
        lambda: loss(p, q),
        name="torch",
        role="peer",
        threads=threads,
        expected=close_to(fastbox.smooth_l1_loss(pred, target, reduction=reduction), dtype, np.asarray),
        **facts("smooth_l1", reduction, pred),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_numpy(case: Case, sizes: Sizes, reduction: str, dtype: str) -> None:
    pred, target = drawn(sizes, dtype)

    def theirs() -> Any:
        values = peers.smooth(pred - target)
        return values.mean(dtype=np.float64) if reduction == "mean" else values

    case(
        theirs,
        name="numpy",
        role="peer",
        expected=close_to(fastbox.smooth_l1_loss(pred, target, reduction=reduction), dtype),
        **facts("smooth_l1", reduction, pred),
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_subtract(case: Case, sizes: Sizes, dtype: str) -> None:
    pred, target = drawn(sizes, dtype)
    case(lambda: np.subtract(pred, target), name="subtract", role="floor", **facts("", "none", pred))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_read_and_add(case: Case, sizes: Sizes, dtype: str, threads: int) -> None:
    pred, target = drawn(sizes, dtype)
    p, q = pred.reshape(-1), target.reshape(-1)
    case(
        lambda: floors.read_both_and_add(p, q, threads),
        name="read and add",
        role="floor",
        threads=threads,
        **facts("", "mean", pred),
    )


# With gradients: two read, one written


def graded(loss: str, boxes: int, pred: Any) -> dict[str, Any]:
    """Return the facts of a case of a loss with its gradient."""
    common = {"kernel": "loss and gradient", "metric": loss, "dtype": str(pred.dtype), "size": "elements"}
    return common | {"shape": f"{pred.size}", "boxes": boxes, "moved": 3 * pred.nbytes}


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", GRADED)
def test_ours_with_gradient(case: Case, sizes: Sizes, loss: str, dtype: str, threads: int) -> None:
    pred, target = drawn(sizes, dtype)
    room = floors.touched(pred.shape, dtype)
    case(
        lambda: GRADED[loss](pred, target, return_grad=True, grad_out=room),
        name="fastbox, grad_out=",
        role="ours",
        threads=threads,
        **graded(loss, len(pred), pred),
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", ["smooth_l1", "giou"])
def test_torch_with_gradient(case: Case, sizes: Sizes, loss: str, dtype: str, threads: int) -> None:
    require("torch")
    pred, target = drawn(sizes, dtype)
    tensor, backward = (peers.torch_smooth_l1_backward if loss == "smooth_l1" else peers.torch_giou_backward)(threads)
    p, q = tensor(pred), tensor(target)
    case(
        lambda: backward(p, q),
        name="torch",
        role="peer",
        threads=threads,
        expected=close_to(GRADED[loss](pred, target, return_grad=True).grad, dtype),
        **graded(loss, len(pred), pred),
    )


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_subtract_into(case: Case, sizes: Sizes, dtype: str, threads: int) -> None:
    pred, target = drawn(sizes, dtype)
    p, q, out = pred.reshape(-1), target.reshape(-1), floors.touched(pred.size, dtype)
    case(
        lambda: floors.subtract(p, q, out, threads),
        name="subtract, out=",
        role="floor",
        threads=threads,
        **graded("", len(pred), pred),
    )
