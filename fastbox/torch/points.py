"""Points assigned to truths for torch tensors on the CPU, with the arguments and outputs of ultralytics' assigner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from fastbox._record import NamedTuple
from fastbox.anchors.points import PointGrid
from fastbox.assign.match import match
from fastbox.assign.point_rule import PointRule
from fastbox.assign.registry import as_rule
from fastbox.assign.result import Matches
from fastbox.boxes.container import Boxes
from fastbox.torch.checks import check_tensors

__all__ = ["Targets", "assign"]


class Targets(NamedTuple):
    """The targets of each point; those of negative points are the first truth's, with scores of 0.

    Attributes
    ----------
    labels : tensor of int64, shape (b, P)
    boxes : tensor, shape (b, P, 4)
    scores : tensor, shape (b, P, C)
        The target score at the truth's class, 0 for all others.
    positive : tensor of bool, shape (b, P)
    truths : tensor of int64, shape (b, P)
        The number of the truth in its image.
    """

    labels: torch.Tensor
    boxes: torch.Tensor
    scores: torch.Tensor
    positive: torch.Tensor
    truths: torch.Tensor


def assign(
    scores: torch.Tensor,
    boxes: torch.Tensor,
    points: torch.Tensor,
    labels: torch.Tensor,
    truths: torch.Tensor,
    mask: torch.Tensor,
    *,
    rule: PointRule | str = "tal",
    strides: Sequence[int] = (8, 16, 32),
) -> Targets:
    """Assign points to truths as ultralytics' ``TaskAlignedAssigner`` does, without its (b, n, P) tensors.

    Call it in the place of the assigner where a batch does not fit on the GPU, with all tensors on the CPU. The first
    six arguments are those of the assigner's ``forward``, in their order, and so are the outputs.

    Parameters
    ----------
    scores : tensor of shape (b, P, C)
        Probabilities.
    boxes : tensor of shape (b, P, 4)
        Corners in pixels.
    points : tensor of shape (P, 2)
        x and y in pixels, by level, row and column: centres of cells.
    labels : tensor of shape (b, n, 1)
        The class of each truth.
    truths : tensor of shape (b, n, 4)
        Corners in pixels; rows that the mask leaves out are padding.
    mask : tensor of shape (b, n, 1)
        True or 1 for a truth.
    rule : PointRule or str
        A rule of the TAL family: ``"tal-8.3"`` of older versions, or ``PointRule.tal(topk=13)``.
    strides : sequence of int
        The strides of the levels.

    Returns
    -------
    Targets
        Scores are float32, or float64 where a box or truth is.

    Raises
    ------
    TypeError
        An argument that is not a tensor, or a tensor of complex numbers.
    ValueError
        A tensor that is not on the CPU, shapes that do not fit, points of another grid, a class out of range, or a rule
        of another family.

    Examples
    --------
    >>> import fastbox, torch
    >>> from fastbox.torch import assign
    >>> points = torch.from_numpy(fastbox.PointGrid.preset("yolov8").points((64, 64)))
    >>> boxes = torch.cat([points - 9, points + 9], dim=1)[None]
    >>> scores = torch.full((1, 84, 3), 0.5)
    >>> truths, labels = torch.tensor([[[20.0, 20, 40, 40]]]), torch.tensor([[[2]]])
    >>> found = assign(scores, boxes, points, labels, truths, torch.ones(1, 1, 1, dtype=torch.bool))
    >>> int(found.positive.sum()), found.scores.shape
    (5, torch.Size([1, 84, 3]))
    """
    given = {"scores": scores, "boxes": boxes, "points": points, "labels": labels, "truths": truths, "mask": mask}
    given = {name: tensor.detach() if isinstance(tensor, torch.Tensor) else tensor for name, tensor in given.items()}
    check_tensors(**given)
    chosen = as_rule(rule)
    if not isinstance(chosen, PointRule) or chosen.family != "tal":
        raise ValueError(
            f"expected a rule of the TAL family, got {chosen.name!r}: give PointRule.tal(...) or 'tal-8.3'"
        )
    batch, many, classes = _checked(given)
    count = truths.shape[1]
    grid, size = _grid(given["points"], strides)
    kept = given["mask"].reshape(batch, count).bool()
    dtype = torch.promote_types(torch.promote_types(boxes.dtype, truths.dtype), torch.float32)
    found = _matched(given, kept, chosen, grid, size, dtype)
    image = torch.from_numpy(np.repeat(np.arange(batch), np.diff(found.offsets)))
    rows = kept.nonzero()[:, 1]
    assert found.anchors is not None
    at, own = torch.from_numpy(found.anchors), rows[torch.from_numpy(found.truths)]
    positive, owners = torch.zeros(batch, many, dtype=torch.bool), torch.zeros(batch, many, dtype=torch.int64)
    positive[image, at], owners[image, at] = True, own
    targets = torch.zeros(batch, many, classes, dtype=dtype)
    if not count:
        return Targets(
            torch.full_like(owners, classes), torch.zeros(batch, many, 4, dtype=dtype), targets, positive, owners
        )
    wanted = given["labels"].reshape(batch, count).long().gather(1, owners).clamp_(min=0)
    targets[image, at, wanted[image, at]] = torch.from_numpy(found.values).to(dtype)
    corners = given["truths"].gather(1, owners[..., None].expand(-1, -1, 4))
    return Targets(wanted, corners, targets, positive, owners)


def _checked(given: dict[str, torch.Tensor]) -> tuple[int, int, int]:
    """Return the numbers of images, points and classes; refuses shapes that do not fit."""
    if given["scores"].dim() != 3:
        raise ValueError(f"expected scores of shape (b, P, C), got {tuple(given['scores'].shape)}")
    batch, many, classes = given["scores"].shape
    count = given["truths"].shape[1] if given["truths"].dim() == 3 else 0
    shapes = {
        "boxes": (batch, many, 4),
        "points": (many, 2),
        "labels": (batch, count, 1),
        "truths": (batch, count, 4),
        "mask": (batch, count, 1),
    }
    for name, shape in shapes.items():
        if tuple(given[name].shape) != shape:
            raise ValueError(f"expected {name} of shape {shape}, got {tuple(given[name].shape)}")
    return batch, many, classes


def _grid(points: torch.Tensor, strides: Sequence[int]) -> tuple[PointGrid, tuple[int, int]]:
    """Return the grid of some points, and a size that gives them; refuses points of no such grid."""
    grid, xy = PointGrid(strides), points.float().numpy()
    stride = grid.strides[0]
    columns = int(np.argmax(np.append(xy[1:, 1] != xy[:-1, 1], True))) + 1
    low, high = 1, len(xy)
    while low < high:  # the number of points grows with the rows
        rows = (low + high) // 2
        low, high = (rows + 1, high) if grid.count((columns * stride, rows * stride)) < len(xy) else (low, rows)
    size = (columns * stride, low * stride)
    if grid.count(size) != len(xy) or not np.array_equal(grid.points(size), xy):
        raise ValueError(
            f"expected the points of {grid} in pixels, level by level, got {len(xy):,} others: give strides= "
            "and points times their strides"
        )
    return grid, size


def _matched(
    given: dict[str, torch.Tensor],
    kept: torch.Tensor,
    rule: PointRule,
    grid: PointGrid,
    size: tuple[int, int],
    dtype: torch.dtype,
) -> Matches:
    batch, many, classes = given["scores"].shape
    starts = np.concatenate(([0], np.cumsum(kept.sum(dim=1).numpy())))
    corners = given["truths"].to(dtype)[kept].numpy()
    ends = np.arange(batch + 1) * many
    return match(
        grid,
        Boxes(corners, offsets=starts),
        rule=rule,
        size=size,
        sparse=True,
        boxes=Boxes(given["boxes"].to(dtype).reshape(-1, 4).numpy(), offsets=ends),
        scores=given["scores"].to(dtype).reshape(-1, classes).numpy(),
        classes=given["labels"].reshape(batch, -1)[kept].long().numpy(),
    )
