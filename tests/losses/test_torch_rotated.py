"""The losses of rotated boxes as torch functions: fastbox's numbers and gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.turned import drawn

import fastbox

torch = pytest.importorskip("torch", reason="torch is not installed")

import fastbox.torch as ours  # noqa: E402


@pytest.mark.compiler
@pytest.mark.parametrize(("name", "options"), [("iou_loss", {}), ("probiou_loss", {}), ("kld_loss", {"tau": 2.0})])
def test_rotated_boxes_have_fastboxs_losses(name: str, options: Any) -> None:
    sides = [drawn(np.random.default_rng(seed), 30) for seed in (1, 2)]
    for told in ("cxcywhr", "ccw_cxcywhd"):
        for dtype in (torch.float32, torch.float64):
            pred, target = (torch.from_numpy(side).to(dtype) for side in sides)
            pred.requires_grad_()
            got = getattr(ours, name)(pred, target, format=told, reduction="none", **options)
            boxes = [fastbox.RotatedBoxes(x.detach().numpy(), told) for x in (pred, target)]
            expected = getattr(fastbox, name)(*boxes, reduction="none", return_grad=True, **options)
            assert got.dtype == dtype and torch.equal(got, torch.from_numpy(expected.loss))
            got.sum().backward()
            assert torch.equal(pred.grad, torch.from_numpy(expected.grad))
    near = torch.from_numpy(sides[0][:5]).requires_grad_()
    other = near.detach() + 0.3
    assert torch.autograd.gradcheck(lambda x: getattr(ours, name)(x, other, format="cxcywhr", **options), (near,))


def test_formats_that_a_loss_does_not_have_are_refused() -> None:
    pred = torch.zeros((1, 5))
    with pytest.raises(
        ValueError, match=r"n, 4\) for format 'xyxy', got \(1, 5\): name .* format='cxcywhr' \(radians\)"
    ):
        ours.iou_loss(pred, pred)
    with pytest.raises(ValueError, match=r"got \(1, 5\): give the four of the box alone, as pred\[:, :4\]$"):
        ours.giou_loss(pred, pred)
    with pytest.raises(ValueError, match="expected a format of xyxy, xywh, cxcywh, yxyx, got 'cxcywhr'"):
        ours.giou_loss(pred, pred, format="cxcywhr")
    with pytest.raises(ValueError, match="expected a format of cxcywhr, cxcywhd, ccw_cxcywhr, ccw_cxcywhd, got 'xyxy'"):
        ours.probiou_loss(pred, pred, format="xyxy")
    with pytest.raises(ValueError, match=r"expected boxes of shape \(n, 5\) for 'cxcywhr', got \(1, 4\)"):
        ours.kld_loss(pred[:, :4], pred)
