"""The boxes of a suppression as kernels take them: plain boxes as they are, rotated boxes packed once, with frames."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox import parallel
from fastbox.boxes.base import Collection
from fastbox.boxes.rotated import RotatedBoxes
from fastbox.kernels.codes import QUADS
from fastbox.ops.geometry import F8, packed

__all__ = ["Arranged", "arranged"]

CROWD = 2048  # boxes of a segment above which leaders may pay

Places = tuple[NDArray[Any], NDArray[np.float64], NDArray[np.int64]]


class Arranged:
    """Plain boxes.

    Attributes
    ----------
    args : tuple
        The boxes, as the kernel takes them that resolves small segments.
    kernels : module
        The kernels that resolve segments.
    """

    def __init__(self, boxes: Collection) -> None:
        self.args: Any = boxes.kernel_args()
        self.dtype = boxes.dtype
        self.kernels = parallel.kernels("suppress.nms")

    def tree(
        self, scores: NDArray[Any], members: NDArray[np.int64], threshold: Any, left: NDArray[Any]
    ) -> tuple[Places, tuple[Any, ...]]:
        """Return the boxes of a segment in the order of a tree, and the tree; boxes that meet no other get a score."""
        arrange = parallel.kernels("suppress.tree").ARRANGE[self.dtype, ""]
        room = tile, keys, rows, _ = _room(len(members), self.dtype)
        tree = arrange(self.args, scores, members, threshold, left, room)
        n = tree[0]
        return (tile, keys[:n], rows[:n]), tree

    def leaders(self, scores: NDArray[Any], members: NDArray[np.int64], threshold: Any) -> NDArray[np.int64]:
        """Return the rows to decide before the others of a segment, none if it is not crowded."""
        room = np.empty(len(members) // 8 if len(members) > CROWD else 0, np.int64)
        if not len(room):
            return room
        kernel = parallel.kernels("suppress.leaders").LEADERS[self.dtype, ""]
        return room[: kernel(self.args, scores, members, threshold, room)]

    def remaining(
        self, kept: NDArray[np.int64], members: NDArray[np.int64], threshold: Any, spans: list[tuple[int, int]]
    ) -> NDArray[np.int64]:
        """Return the rows of a segment that may be kept, given the leaders that are, which are among them."""
        leaders = parallel.kernels("suppress.leaders")
        tile, found = np.empty((6, len(kept)), self.dtype), np.empty(len(members), np.int64)
        led = tile, kept, leaders.CHART[self.dtype, ""](self.args, kept, threshold, tile)
        kernel = leaders.REMAINING[self.dtype, ""]
        counts = parallel.run(lambda *span: kernel(self.args, members, span, threshold, led, found), spans)
        return np.concatenate([found[first : first + n] for (first, _), n in zip(spans, counts, strict=True)])


class ArrangedFrames(Arranged):
    """Rotated boxes, whose frames lie in the tree."""

    def __init__(self, boxes: RotatedBoxes) -> None:
        self.kernels = parallel.kernels(f"suppress.{boxes.geometry}")
        self.args = packed(boxes, boxes.geometry)
        safe_range, area = parallel.kernels("geometry.safe_range"), self.args[4]
        with np.errstate(invalid="ignore"):
            tame = (area >= safe_range.LEAST_SCREENABLE) & (area <= safe_range.MOST_SCREENABLE)
        self.screenable = bool((tame | (area == 0) | np.isnan(area)).all())
        # No strip of a convex box of a share s of its frame holds more than 1 - (1 - s)^2 of the area: an IoU above t
        # needs frames that share more than 1 - sqrt(1 - t) of their sides.
        self.convex = boxes.geometry != QUADS

    def tree(
        self, scores: NDArray[Any], members: NDArray[np.int64], threshold: Any, left: NDArray[Any]
    ) -> tuple[Places, tuple[Any, ...]]:
        """Return the boxes of a segment in the order of a tree, and the tree; boxes that meet no other get a score."""
        arrange = parallel.kernels("suppress.tree").ARRANGE[F8, ""]
        room = tile, keys, rows, _ = _room(len(members), F8, len(self.args))
        share = 1.0 - math.sqrt(1.0 - float(threshold)) if self.convex and self.screenable else 0.0
        tree = arrange((0, *self.args[:4]), scores, members, share, left, room)
        n = tree[0]
        for column, row in zip(self.args[4:], tile[4:], strict=True):  # behind frames, which are there
            np.take(column, rows[:n], out=row[:n], mode="clip")
        return (tile, keys[:n], rows[:n]), (*tree[:-1], self.screenable)

    def leaders(self, scores: NDArray[Any], members: NDArray[np.int64], threshold: Any) -> NDArray[np.int64]:
        """Return no leaders: the IoUs of rotated boxes are measured many at once."""
        return members[:0]


def arranged(boxes: Collection) -> Arranged:
    """Return boxes as kernels take them."""
    return ArrangedFrames(boxes) if isinstance(boxes, RotatedBoxes) else Arranged(boxes)


def _room(n: int, dtype: np.dtype[Any], fields: int = 6) -> tuple[NDArray[Any], ...]:
    """Return room for n boxes: a tile with `fields` rows, scores, rows and work space.

    All of one array: the memory of several goes back to the system after each call, and takes as long as half of the
    work to get again.
    """
    width = n + parallel.kernels("suppress.tree").PAD
    words = fields * width * dtype.itemsize // 8
    space = np.empty(words + 4 * n, np.int64)
    others = space[words:].reshape(4, n)
    return space[:words].view(dtype).reshape(fields, width), others[0].view(np.float64), others[1], others[2:]
