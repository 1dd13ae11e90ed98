"""The box functions of torchvision.ops: torchvision's names and bits, fastbox's care with what is not a valid box."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import reference
from strategies import some_boxes
from support.peers import peer

import fastbox

torch = pytest.importorskip("torch", reason="torch is not installed")

from fastbox.compat.torchvision import ops  # noqa: E402

MATRICES = {
    "box_iou": "iou",
    "generalized_box_iou": "giou",
    "distance_box_iou": "diou",
    "complete_box_iou": "ciou",
}
LOSSES = ("generalized_box_iou_loss", "distance_box_iou_loss", "complete_box_iou_loss")
DTYPES = [torch.float32, torch.float64]
FORMATS = ("xyxy", "xywh", "cxcywh")
CPU = "on the CPU, got a tensor on meta"


def some(*shape: int, dtype: Any = torch.float32, seed: int = 0) -> Any:
    """Valid boxes, most of which overlap."""
    drawn = torch.rand(*shape, 4, dtype=dtype, generator=torch.Generator().manual_seed(seed)) * 100
    drawn[..., 2:] += drawn[..., :2]
    return drawn


@pytest.fixture
def theirs() -> Any:
    return peer("torchvision.ops")


# fastbox's numbers, and those of the definitions


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", MATRICES)
def test_matrices_are_fastboxs_and_nan_for_invalid_boxes(name: str, dtype: Any) -> None:
    a, b = (torch.from_numpy(some_boxes(60, np.float64, seed, bad=0.1)).to(dtype) for seed in (1, 2))
    found = getattr(ops, name)(a, b)
    assert found.dtype == dtype
    assert np.array_equal(found.numpy(), fastbox.pairwise(a.numpy(), b.numpy(), metric=MATRICES[name]), equal_nan=True)
    wanted = reference.pairwise(a.double().numpy(), b.double().numpy(), MATRICES[name])
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4, atol=1e-5)
    assert found.isnan().any()


@pytest.mark.parametrize("name", MATRICES)
def test_leading_dimensions_are_broadcast(name: str) -> None:
    a, b = some(3, 1, 5), some(2, 4, seed=1)
    found = getattr(ops, name)(a, b)
    assert found.shape == (3, 2, 5, 4)
    for i in range(3):
        for j in range(2):
            assert torch.equal(found[i, j], getattr(ops, name)(a[i, 0], b[j]))


@pytest.mark.parametrize("shapes", [((0, 4), (3, 4)), ((2, 0, 4), (2, 3, 4)), ((0, 2, 4), (3, 4)), ((0, 4), (0, 4))])
def test_no_boxes_give_no_values(shapes: Any) -> None:
    a, b = (torch.zeros(shape) for shape in shapes)
    lead = torch.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    assert ops.box_iou(a, b).shape == (*lead, a.shape[-2], b.shape[-2])


@pytest.mark.parametrize("fmt", [*FORMATS, "yxyx", "ltwh"])
def test_formats_mean_the_same_boxes(fmt: str) -> None:
    corners = some(20, dtype=torch.float64)
    given = ops.box_convert(corners, "xyxy", fmt)
    np.testing.assert_allclose(ops.box_convert(given, fmt, "xyxy"), corners)
    np.testing.assert_allclose(ops.box_area(given, fmt), reference.area(corners.numpy()))
    np.testing.assert_allclose(ops.box_iou(given, given, fmt), reference.pairwise(corners.numpy(), corners.numpy()))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16])
def test_narrow_numbers_are_widened_first(dtype: Any) -> None:
    a, b = torch.tensor([[0, 0, 10, 10]], dtype=dtype), torch.tensor([[20, 20, 100, 100]], dtype=dtype)
    for name, metric in MATRICES.items():
        found = getattr(ops, name)(a, b)
        assert found.dtype == torch.float32
        np.testing.assert_allclose(found, reference.pairwise(a.double().numpy(), b.double().numpy(), metric), rtol=1e-6)
    assert ops.box_area(b).tolist() == [6400]
    assert ops.remove_small_boxes(torch.tensor([[9, 0, 0, 9]], dtype=dtype), 1).tolist() == []


def test_areas_of_large_integers_do_not_wrap() -> None:
    assert ops.box_area(torch.tensor([[0, 0, 60_000, 60_000]], dtype=torch.int32)).tolist() == [3_600_000_000]


def test_an_invalid_box_has_no_area() -> None:
    nan, inf = math.nan, math.inf
    given = torch.tensor([[0.0, 0, 2, 3], [2, 0, 0, 3], [0, 0, nan, 1], [0, 0, inf, 1], [1, 1, 1, 1]])
    assert torch.equal(ops.box_area(given).isnan(), torch.tensor([False, True, True, True, False]))


def test_the_same_point_has_iou_0() -> None:
    point = torch.full((1, 4), 3.0)
    assert ops.box_iou(point, point).item() == ops.generalized_box_iou(point, point).item() == 0


def test_clipped_boxes_lie_in_the_image() -> None:
    found = ops.clip_boxes_to_image(some(2, 50), (40, 60))
    assert found.shape == (2, 50, 4)
    assert found.min() >= 0 and found[..., 0::2].max() <= 60 and found[..., 1::2].max() <= 40


# Suppression


def naive_nms(boxes: Any, scores: Any, threshold: float, classes: Any = None) -> list[int]:
    kept: list[int] = []
    iou = fastbox.pairwise(boxes.numpy(), boxes.numpy())
    for row in torch.argsort(-scores, stable=True).tolist():
        apart = [classes is not None and classes[row] != classes[other] for other in kept]
        if all(far or iou[row, other] <= threshold for other, far in zip(kept, apart, strict=True)):
            kept.append(row)
    return kept


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("dtype", DTYPES)
def test_nms_keeps_what_the_rule_says(dtype: Any, threshold: float) -> None:
    boxes, scores = some(80, dtype=dtype), torch.rand(80, generator=torch.Generator().manual_seed(1))
    classes = torch.arange(80) % 3
    assert ops.nms(boxes, scores, threshold).tolist() == naive_nms(boxes, scores, threshold)
    wanted = naive_nms(boxes, scores, threshold, classes)
    for idxs in (classes, classes.float(), classes.to(torch.uint8)):
        assert ops.batched_nms(boxes, scores, idxs, threshold).tolist() == wanted


def test_nms_of_half_precision_and_of_nothing() -> None:
    boxes, scores = some(20).half(), torch.rand(20).half()
    assert torch.equal(ops.nms(boxes, scores, 0.4), ops.nms(boxes.float(), scores.float(), 0.4))
    assert ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5).tolist() == []
    assert ops.batched_nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0), 0.5).dtype == torch.int64


# Losses


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_have_gradients_of_both_sides(name: str, reduction: str) -> None:
    loss = getattr(ops, name)
    one, other = (some(6, dtype=torch.float64, seed=seed).requires_grad_() for seed in (1, 2))
    if name != "complete_box_iou_loss":  # whose alpha is a constant by definition
        assert torch.autograd.gradcheck(lambda a, b: loss(a, b, reduction=reduction), (one, other))
    found = loss(one, other, reduction=reduction)
    assert torch.equal(found, loss(one.detach(), other.detach(), reduction=reduction))
    found.sum().backward()
    grads = one.grad.clone(), other.grad.clone()
    for a, b, grad in ((one, other.detach(), grads[0]), (one.detach(), other, grads[1])):
        one.grad = other.grad = None
        loss(a, b, reduction=reduction).sum().backward()
        assert torch.equal((one if a.requires_grad else other).grad, grad)


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_of_losses(name: str) -> None:
    loss = getattr(ops, name)
    a, b = some(2, 3), some(2, 3, seed=1)
    assert loss(a, b).shape == (2, 3)
    assert torch.equal(loss(a, b)[1, 2], loss(a[1, 2], b[1, 2]))
    assert loss(a.half(), b.half()).dtype == loss(a.int(), b.int()).dtype == torch.float32


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_no_boxes_is_0_and_has_gradients(name: str) -> None:
    one, other = (torch.zeros(0, 4, requires_grad=True) for _ in range(2))
    found = getattr(ops, name)(one, other, reduction="mean")
    found.backward()
    assert found.item() == 0
    assert one.grad.shape == other.grad.shape == (0, 4)
    assert getattr(ops, name)(one, other).shape == (0,)


# Refusals


def test_refusals_say_what_to_give() -> None:
    a, meta = some(3), torch.zeros(3, 4, device="meta")
    for call, message in (
        (lambda: ops.box_iou(meta, a), f"expected boxes1 {CPU}: give boxes1.cpu()"),
        (lambda: ops.nms(a, meta[:, 0], 0.5), f"expected scores {CPU}: give scores.cpu()"),
        (lambda: ops.generalized_box_iou_loss(a, meta), f"expected boxes2 {CPU}"),
        (lambda: ops.box_iou(a.numpy(), a), "expected boxes1 to be a tensor, got ndarray"),
        (lambda: ops.box_iou(a.requires_grad_(), a), "expected boxes1 without a gradient"),
        (lambda: ops.box_iou(a[0], a), r"expected boxes1 of shape \(..., n, 4\), got \(4,\)"),
        (lambda: ops.box_iou(some(2, 3), some(3, 3)), "leading dimensions that fit"),
        (lambda: ops.box_iou(some(3), some(3), "cxcywhr"), "expected fmt to be"),
        (lambda: ops.box_convert(some(3), "xyxy", "xywhr"), "expected out_fmt to be"),
        (lambda: ops.distance_box_iou(some(3), some(3), eps=0.01), "expected eps from 0 to 1e-06, got 0.01"),
        (lambda: ops.distance_box_iou_loss(some(3), some(3), "max"), "expected a reduction of none, mean"),
        (lambda: ops.distance_box_iou_loss(some(3), some(2)), "expected boxes1 and boxes2 of one shape"),
        (lambda: ops.box_area(some(3) > 0), "expected boxes of real numbers, got torch.bool"),
        (lambda: ops.nms(some(3), torch.zeros(2), 0.5), "scores"),
        (lambda: ops.nms(some(3), torch.zeros(3), 1.5), "iou_threshold"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            call()
    with torch.no_grad():
        assert ops.box_iou(a, a).shape == (3, 3)


# torchvision itself


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["box_iou", "generalized_box_iou"])
def test_bits_are_torchvisions(name: str, dtype: Any, theirs: Any) -> None:
    a, b = some(200, dtype=dtype), some(150, dtype=dtype, seed=1)
    assert torch.equal(getattr(ops, name)(a, b), getattr(theirs, name)(a, b))


@pytest.mark.parametrize("dtype", DTYPES)
def test_other_values_are_near_torchvisions(dtype: Any, theirs: Any) -> None:
    a, b = some(50, dtype=dtype), some(50, dtype=dtype, seed=1)
    for name in ("distance_box_iou", "complete_box_iou"):
        torch.testing.assert_close(getattr(ops, name)(a, b), getattr(theirs, name)(a, b), rtol=1e-5, atol=1e-6)
    for name in LOSSES:
        for reduction in ("none", "mean", "sum"):
            sides = [(a.clone().requires_grad_(), b.clone().requires_grad_()) for _ in range(2)]
            values = [getattr(own, name)(*side, reduction) for own, side in zip((ops, theirs), sides, strict=True)]
            torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)
            for value in values:
                value.sum().backward()
            for own, its in zip(*sides, strict=True):
                torch.testing.assert_close(own.grad, its.grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16, torch.int32, torch.int64])
@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_conversions_are_torchvisions(source: str, target: str, dtype: Any, theirs: Any) -> None:
    given = some(2, 30).to(dtype)
    own, its = (module.box_convert(given, source, target) for module in (ops, theirs))
    assert own.dtype == its.dtype
    assert torch.equal(own, its)


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_torchvisions(dtype: Any, theirs: Any) -> None:
    boxes, scores = some(400, dtype=dtype), torch.rand(400, dtype=dtype, generator=torch.Generator().manual_seed(2))
    idxs = torch.arange(400) % 7
    for name, arguments in {
        "nms": (boxes, scores, 0.4),
        "batched_nms": (boxes, scores, idxs, 0.4),
        "remove_small_boxes": (boxes, 30.0),
        "clip_boxes_to_image": (boxes, (90, 80)),
        "box_area": (boxes,),
    }.items():
        if "nms" not in name or peer("torchvision.extension")._has_ops():
            assert torch.equal(getattr(ops, name)(*arguments), getattr(theirs, name)(*arguments)), name


def test_signatures_are_torchvisions(theirs: Any) -> None:
    for name in ops.__all__:
        own, its = (inspect.signature(getattr(module, name)).parameters for module in (ops, theirs))
        usual = [[(one.name, one.default) for one in side.values()] for side in (own, its)]
        if name in ("box_iou", "box_area"):  # older versions of torchvision lack fmt
            usual = [side[: len(usual[1])] for side in usual]
        assert usual[0] == usual[1], name
