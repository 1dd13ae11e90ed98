"""Predictions as deltas from anchors, the numbers that most detectors regress."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.container import Boxes, as_boxes
from fastbox.coder import MAX_RATIO, Four, decode, encode, limits_of
from fastbox.values.formats import columns_of
from fastbox.values.numbers import as_floats, in_dtype

__all__ = ["Deltas"]


class Deltas:
    """Predicted deltas and their anchors, given to a loss instead of predicted boxes.

    Overlap losses decode the deltas, and return the gradient with respect to the deltas. Losses of coordinates compare
    the deltas with the encoded targets.

    Parameters
    ----------
    deltas : array of shape (n, 4)
    anchors : Boxes or array of shape (n, 4)
        Row i belongs to row i of the deltas. Arrays are xyxy corners in pixels.
    weights, means, stds, clamp, max_ratio, ctr_clamp
        As for :func:`fastbox.encode` and :func:`fastbox.decode`.

    Raises
    ------
    ValueError
        Shapes that do not fit together; when a loss uses the deltas, also an option that ``encode`` or ``decode``
        refuses.

    Examples
    --------
    >>> import fastbox
    >>> anchors, truths = [[0, 0, 4, 4]], [[1, 0, 5, 4]]
    >>> loss, grad = fastbox.giou_loss(fastbox.Deltas([[0.0, 0, 0, 0]], anchors), truths, return_grad=True)
    >>> loss, grad[:, 0]
    (0.4, array([-1.28]))
    >>> fastbox.l1_loss(fastbox.Deltas([[0.0, 0, 0, 0]], anchors), truths, reduction="box")
    array([0.25])
    """

    def __init__(
        self,
        deltas: Any,
        anchors: Any,
        *,
        weights: Four = (1.0, 1.0, 1.0, 1.0),
        means: Four = (0.0, 0.0, 0.0, 0.0),
        stds: Four = (1.0, 1.0, 1.0, 1.0),
        clamp: str | None = "above",
        max_ratio: float = MAX_RATIO,
        ctr_clamp: float | None = None,
    ) -> None:
        self.values, self.anchors = as_floats(deltas, "deltas"), as_boxes(anchors, "anchors", grouped=False)
        if self.values.shape != (len(self.anchors), 4):
            raise ValueError(f"expected deltas of shape ({len(self.anchors)}, 4), got {self.values.shape}")
        self.weights, self.means, self.stds = weights, means, stds
        self.clamp, self.max_ratio, self.ctr_clamp = clamp, max_ratio, ctr_clamp

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"Deltas({len(self)} deltas, {self.values.dtype})"

    def boxes(self) -> Boxes:
        """Return the decoded boxes."""
        decoded = decode(
            self.values,
            self.anchors,
            weights=self.weights,
            means=self.means,
            stds=self.stds,
            clamp=self.clamp,
            max_ratio=self.max_ratio,
            ctr_clamp=self.ctr_clamp,
        )
        return Boxes.of(columns_of(decoded), "xyxy")

    def encoded(self, targets: Any) -> NDArray[Any]:
        """Return the deltas from the anchors to the targets."""
        return encode(targets, self.anchors, weights=self.weights, means=self.means, stds=self.stds)

    def chain(self, grad: NDArray[Any]) -> None:
        """Change a gradient of the decoded corners, in place, to the gradient of the deltas, 0 for clamped deltas."""
        T = grad.dtype.type
        near, far = grad[:, :2].copy(), grad[:, 2:]
        grad[:, :2] += far
        far -= near
        far *= T(0.5)
        corners = self.anchors.corners().astype(grad.dtype, copy=False)
        weights, means, stds = (np.array(four, grad.dtype) for four in (self.weights, self.means, self.stds))
        with np.errstate(invalid="ignore", over="ignore"):
            sides = corners[:, 2:] - corners[:, :2]
            raw = (self.values.astype(grad.dtype, copy=False) * stds + means) / weights
        shrink, grow = (in_dtype(limit, grad.dtype) for limit in limits_of(self.clamp, float(self.max_ratio)))
        growth = np.empty_like(far)
        parallel.kernels("loss.coder").GROWTH[grad.dtype, ""](raw[:, 2:], shrink, grow, growth)
        with np.errstate(invalid="ignore", over="ignore"):
            grad[:, :2] *= sides
            if self.ctr_clamp is not None:
                grad[:, :2][np.abs(raw[:, :2] * sides) > in_dtype(self.ctr_clamp, grad.dtype)] = 0
            far *= growth * sides
            far[growth == 0] = 0
            grad *= stds / weights
        grad[np.isnan(grad)] = np.nan
