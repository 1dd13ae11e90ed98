"""The assignment of tensors: the outputs of ultralytics' assigner, made from whole matrices by the written rules."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from support import naive_points

import fastbox

torch = pytest.importorskip("torch", reason="torch is not installed")

from fastbox.torch import Targets, assign  # noqa: E402

STRIDES, SIZE = (8, 16, 32), (96, 64)


def batch(seed: int = 0, n: int = 6, classes: int = 5) -> list[Any]:
    """Predictions and truths of three images; the rows of some truths are padding, the last image has none."""
    rng = np.random.default_rng(seed)
    xy = fastbox.PointGrid(STRIDES).points(SIZE)
    half = rng.uniform(4, 30, (3, len(xy), 2))
    boxes = np.concatenate([xy - half, xy + half], axis=2)
    low = rng.uniform(0, 50, (3, n, 2))
    truths = np.concatenate([low, low + rng.uniform(3, 40, (3, n, 2))], axis=2)
    mask = np.array([[1] * n, [1, 1, 0, 1, 0, 0], [0] * n], bool)
    truths[~mask] = 0
    scores, labels = rng.random((3, len(xy), classes)), rng.integers(0, classes, (3, n, 1))
    floats = [torch.from_numpy(part.astype(np.float32)) for part in (scores, boxes, xy)]
    return [
        *floats,
        torch.from_numpy(labels),
        torch.from_numpy(truths.astype(np.float32)),
        torch.from_numpy(mask[..., None]),
    ]


def by_hand(given: list[Any], topk: int) -> Targets:
    """The outputs image by image, from the matrices of points and truths."""
    scores, boxes, points, labels, truths, mask = (part.numpy() for part in given)
    images, many, _ = scores.shape
    positive, owners = np.zeros((images, many), bool), np.zeros((images, many), np.int64)
    targets = np.zeros(scores.shape, np.float32)
    for image in range(images):
        rows = np.flatnonzero(mask[image, :, 0])
        if not len(rows):
            continue
        own, kinds = truths[image, rows], labels[image, rows, 0]
        candidate = naive_points.inside(points, naive_points.widened(own, 16, 16), 1e-9)
        (at, who), values = naive_points.tal(points, own, boxes[image], scores[image], kinds, candidate, topk, topk)
        positive[image, at], owners[image, at] = True, rows[who]
        for point, truth, value in zip(at, who, np.asarray(values)[: len(at)], strict=True):
            targets[image, point, kinds[truth]] = value
    wanted = np.take_along_axis(labels[..., 0], owners, 1)
    corners = np.take_along_axis(truths, owners[..., None], 1)
    return Targets(*(torch.from_numpy(part) for part in (wanted, corners, targets, positive, owners)))


def same(found: Any, wanted: Any) -> None:
    for name, ours, theirs in zip(Targets._fields, found, wanted, strict=True):
        if name == "scores":
            torch.testing.assert_close(ours, theirs.to(ours.dtype), rtol=1e-5, atol=1e-6)
        else:
            assert torch.equal(ours, theirs.to(ours.dtype)), name


@pytest.mark.parametrize("topk", [1, 10])
def test_targets_are_those_of_the_whole_matrices(topk: int) -> None:
    given = batch()
    found = assign(*given, rule=fastbox.PointRule.tal(topk=topk))
    same(found, by_hand(given, topk))
    assert int(found.positive.sum()) > 8 and not found.positive[2].any()


@pytest.mark.skipif(find_spec("ultralytics") is None, reason="ultralytics is not installed")
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("topk2", [None, 1])
def test_targets_are_those_of_ultralytics(seed: int, topk2: int | None) -> None:
    from ultralytics.utils.tal import TaskAlignedAssigner

    given = batch(seed)
    theirs = TaskAlignedAssigner(topk=10, num_classes=5, alpha=0.5, beta=6.0, stride=list(STRIDES), topk2=topk2)
    same(assign(*given, rule=fastbox.PointRule.tal(topk2=topk2)), theirs(*given))


def test_without_truths_all_points_are_negative() -> None:
    scores, boxes, points, *_ = batch()
    none = torch.zeros(3, 0, 1), torch.zeros(3, 0, 4), torch.zeros(3, 0, 1)
    found = assign(scores, boxes, points, *none)
    assert (found.labels == 5).all() and not found.positive.any() and not found.scores.any() and not found.boxes.any()


def test_tensors_of_half_precision_and_with_gradients_are_read() -> None:
    given = batch()
    found = assign(given[0].half().requires_grad_(), *given[1:])
    assert found.scores.dtype == torch.float32 and not found.scores.requires_grad
    same(found, assign(given[0].half().float(), *given[1:]))
    assert assign(*given[:4], given[4].double(), given[5]).scores.dtype == torch.float64


def test_what_does_not_fit_is_refused() -> None:
    given = batch()
    with pytest.raises(ValueError, match=r"expected boxes of shape \(3, 126, 4\), got \(3, 100, 4\)"):
        assign(given[0], given[1][:, :100], *given[2:])
    with pytest.raises(ValueError, match=r"expected scores of shape \(b, P, C\)"):
        assign(given[0][0], *given[1:])
    with pytest.raises(ValueError, match="give strides= and points times their strides"):
        assign(*given[:2], given[2] / 8, *given[3:])
    with pytest.raises(ValueError, match="expected the points of PointGrid"):
        assign(*given, strides=(4, 8, 16))
    with pytest.raises(ValueError, match="expected a rule of the TAL family, got 'fcos'"):
        assign(*given, rule="fcos")
    with pytest.raises(TypeError, match="expected points to be a tensor, got list"):
        assign(*given[:2], [1], *given[3:])
    with pytest.raises(ValueError, match="expected classes from 0 to 4"):
        assign(*given[:3], given[3] + 5, *given[4:])
