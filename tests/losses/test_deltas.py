"""Losses of predicted deltas: the gradient goes through the decoder, the targets through the encoder."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import fastbox
from fastbox import Deltas

OPTIONS: list[dict[str, Any]] = [
    {},
    {"weights": (10.0, 10.0, 5.0, 5.0)},
    {"means": (0.1, 0.0, 0.0, 0.2), "stds": (0.1, 0.1, 0.2, 0.2), "clamp": "both"},
    {"clamp": None, "ctr_clamp": 3.0},
]
STEP = 1e-6


def scene(n: int = 40) -> tuple[Any, Any, Any]:
    """Deltas, anchors and targets near them; some deltas beyond every clamp."""
    rng = np.random.default_rng(3)
    near = rng.uniform(0, 50, (n, 2))
    anchors = np.hstack([near, near + rng.uniform(5, 30, (n, 2))])
    targets = anchors + rng.uniform(-2, 2, anchors.shape)
    deltas = rng.normal(0, 0.4, (n, 4))
    deltas[:3, 2] = 30.0
    deltas[3:6, 3] = -30.0
    deltas[6:9, 0] = 2.0
    return deltas, anchors, targets


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("loss", [fastbox.iou_loss, fastbox.giou_loss, fastbox.eiou_loss])
def test_the_gradient_is_that_of_small_steps(loss: Any, options: dict[str, Any]) -> None:
    deltas, anchors, targets = scene()
    _, grad = loss(Deltas(deltas, anchors, **options), targets, reduction="none", return_grad=True)
    for k in range(4):
        ends = []
        for sign in (1, -1):
            moved = deltas.copy()
            moved[:, k] += sign * STEP
            ends.append(loss(Deltas(moved, anchors, **options), targets, reduction="none"))
        assert_allclose(grad[:, k], (ends[0] - ends[1]) / (2 * STEP), rtol=1e-5, atol=1e-7)
    assert np.count_nonzero(grad) > grad.size // 2


def test_the_loss_is_that_of_the_decoded_boxes() -> None:
    deltas, anchors, targets = scene()
    for dtype in (np.float32, np.float64):
        one = deltas.astype(dtype), anchors.astype(dtype)
        got = fastbox.giou_loss(Deltas(*one), targets.astype(dtype), reduction="none")
        assert_array_equal(got, fastbox.giou_loss(fastbox.decode(*one), targets.astype(dtype), reduction="none"))
        assert got.dtype == dtype


@pytest.mark.parametrize("loss", [fastbox.smooth_l1_loss, fastbox.huber_loss, fastbox.l1_loss])
def test_losses_of_coordinates_compare_deltas(loss: Any) -> None:
    deltas, anchors, targets = scene()
    options = OPTIONS[1]
    encoded = fastbox.encode(targets, anchors, **options)
    expected = loss(deltas, encoded, return_grad=True)
    got = loss(Deltas(deltas, anchors, **options), targets, return_grad=True)
    assert got.loss == expected.loss
    assert_array_equal(got.grad, expected.grad)


def test_grad_out_holds_the_gradient_by_the_deltas() -> None:
    deltas, anchors, targets = scene()
    room = np.empty_like(deltas)
    _, grad = fastbox.giou_loss(Deltas(deltas, anchors), targets, return_grad=True, grad_out=room)
    assert grad is room
    assert_array_equal(room, fastbox.giou_loss(Deltas(deltas, anchors), targets, return_grad=True).grad)


def test_an_anchor_without_a_side_gives_nan_and_no_warning() -> None:
    found = fastbox.iou_loss(
        Deltas([[0.0, 0, 0, 0]] * 2, [[0, 0, 0, 4], [0, 0, 4, 4]]), [[0, 0, 4, 4]] * 2, return_grad=True
    )
    assert np.isnan(found.grad[0]).all()
    assert np.isfinite(found.grad[1]).all()


def test_shapes_and_words() -> None:
    with pytest.raises(ValueError, match=r"\(2, 4\).*\(1, 4\)"):
        Deltas([[0.0, 0, 0, 0]], [[0, 0, 1, 1]] * 2)
    assert repr(Deltas([[0.0, 0, 0, 0]], [[0, 0, 1, 1]])) == "Deltas(1 deltas, float64)"
