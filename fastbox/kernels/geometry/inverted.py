"""Inverted boxes, which a caller may have to warn of: a test of all boxes of an array."""

from __future__ import annotations

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import readonly


@device
def any_inverted(boxes):
    """Return whether the first corner of a box lies beyond the second one."""
    found = False
    for j in range(boxes.shape[0]):
        found |= (boxes[j, 2] < boxes[j, 0]) | (boxes[j, 3] < boxes[j, 1])
    return found


def inverted(boxes):
    """Return whether a box is inverted."""
    return any_inverted(boxes)


INVERTED = Kernel(inverted, lambda t: types.boolean(readonly(t, 2)), {"": {}})
