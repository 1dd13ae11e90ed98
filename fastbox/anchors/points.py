"""A grid of points: what detectors without anchors have in the cells of their levels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.anchors.cell_shapes import as_size, whole
from fastbox.values.numbers import as_choice, as_number_from

__all__ = ["POINT_PRESETS", "PointGrid", "PointLevel"]

FROM_P2, FROM_P3, TO_P6, TO_P7 = (4, 8, 16, 32), (8, 16, 32), (8, 16, 32, 64), (8, 16, 32, 64, 128)

# The strides and the offset of each detector, and whether cells are fitted to the image.
GRIDS: dict[str, tuple[tuple[int, ...], float, bool]] = {
    "fcos": (TO_P7, 0.5, False),
    "mmdet-fcos": (TO_P7, 0.5, False),
    "mmdet-yolox": (FROM_P3, 0.5, False),
    "mmyolo-rtmdet": (FROM_P3, 0.0, False),
    "mmyolo-yolov8": (FROM_P3, 0.5, False),
    "ppyoloe": (FROM_P3, 0.5, False),
    "rtmdet": (FROM_P3, 0.0, False),
    "rtmdet-p6": (TO_P6, 0.0, False),
    "tal-8.3": (FROM_P3, 0.5, False),
    "tal-8.4.0": (FROM_P3, 0.5, False),
    "tood": (TO_P7, 0.0, False),
    "torchvision-fcos": (TO_P7, 0.0, True),
    "yolo11": (FROM_P3, 0.5, False),
    "yolo12": (FROM_P3, 0.5, False),
    "yolo26": (FROM_P3, 0.5, False),
    "yolov10": (FROM_P3, 0.5, False),
    "yolov6": (FROM_P3, 0.5, False),
    "yolov8": (FROM_P3, 0.5, False),
    "yolov8-p2": (FROM_P2, 0.5, False),
    "yolov8-p6": (TO_P6, 0.5, False),
    "yolox": (FROM_P3, 0.5, False),
    "yolox-0.3": (FROM_P3, 0.5, False),
}

POINT_PRESETS = tuple(GRIDS)


class PointLevel(NamedTuple):
    """The points of one level: the x of its columns and the y of its rows, float32, in pixels."""

    xs: NDArray[np.float32]
    ys: NDArray[np.float32]


class PointGrid:
    """A point in every cell of every level, as detectors without anchors have them.

    Points are numbered by level, row and column. The point of row r and column c is ``((c + offset) * stride,
    (r + offset) * stride)``, in float32. Equal grids compare and hash equal.

    Parameters
    ----------
    strides : sequence of int
        The distance of neighbouring points in pixels, one for each level. A level has ceil(side / stride) columns or
        rows along each side of the image.
    offset : float
        The distance of a point from its cell's top left corner, to the right and down, in strides: 0.5 is the centre.
    fitted : bool
        Cells are ``side // number of cells`` pixels long, as in torchvision's FCOS, instead of a stride.

    Raises
    ------
    ValueError
        Strides that are not whole numbers of at least 1, or an offset outside [0, 1].

    Examples
    --------
    >>> import fastbox
    >>> grid = fastbox.PointGrid(strides=(8, 16, 32))
    >>> grid
    PointGrid(3 levels, strides 8, 16, 32)
    >>> grid.count((640, 640))
    8400
    """

    def __init__(self, strides: Sequence[int], offset: float = 0.5, *, fitted: bool = False) -> None:
        self.strides = whole(strides, "strides")
        self.offset = as_number_from(offset, "offset", 0, 1)
        self.fitted = bool(fitted)

    @classmethod
    def preset(cls, name: str) -> PointGrid:
        """Make the grid of a well-known detector, a name from ``fastbox.anchors.POINT_PRESETS``.

        The names are rules of :func:`fastbox.match` as well. RTMDet and TOOD have points in the corners of cells, all
        others in the centres; torchvision's FCOS has corners of cells that are fitted to the image.

        Raises
        ------
        ValueError
            An unknown name; the nearest is suggested.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.PointGrid.preset("rtmdet")
        PointGrid(3 levels, strides 8, 16, 32, offset 0.0)
        """
        strides, offset, fitted = GRIDS[as_choice(name, POINT_PRESETS, "a preset of points")]
        return cls(strides, offset, fitted=fitted)

    def __repr__(self) -> str:
        levels, strides = ("level", "stride") if len(self.strides) == 1 else ("levels", "strides")
        spaced = ", ".join(map(str, self.strides))
        offset = "" if self.offset == 0.5 else f", offset {self.offset}"
        return f"PointGrid({len(self.strides)} {levels}, {strides} {spaced}{offset}{', fitted' * self.fitted})"

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, PointGrid) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.strides, self.offset, self.fitted

    def counts(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Count the points of each level for an image of (width, height) pixels.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.PointGrid.preset("yolov8").counts((640, 480))
        (4800, 1200, 300)
        """
        width, height = as_size(size)
        return tuple(-(-width // stride) * -(-height // stride) for stride in self.strides)

    def count(self, size: tuple[int, int]) -> int:
        """Count the points for an image of (width, height) pixels."""
        return sum(self.counts(size))

    def levels_of(self, size: tuple[int, int]) -> tuple[PointLevel, ...]:
        """Return the columns and rows of each level for an image of (width, height) pixels.

        Raises
        ------
        ValueError
            A size that is not two whole numbers of at least 1.

        Examples
        --------
        >>> import fastbox
        >>> (level,) = fastbox.PointGrid(strides=[4]).levels_of((10, 4))
        >>> level.xs, level.ys
        (array([ 2.,  6., 10.], dtype=float32), array([2.], dtype=float32))
        """
        parts = []
        for columns, rows, across, down in self.cells_of(size):
            parts.append(PointLevel(self._along(columns, across), self._along(rows, down)))
        return tuple(parts)

    def _along(self, cells: int, step: int) -> NDArray[np.float32]:
        return (np.arange(cells, dtype=np.float32) + np.float32(self.offset)) * np.float32(step)

    def cells_of(self, size: tuple[int, int]) -> tuple[tuple[int, int, int, int], ...]:
        """Return the columns and rows of each level, and the width and height of a cell in pixels."""
        width, height = as_size(size)
        numbers = [(-(-width // stride), -(-height // stride), stride) for stride in self.strides]
        return tuple(
            (columns, rows, *((width // columns, height // rows) if self.fitted else (stride, stride)))
            for columns, rows, stride in numbers
        )

    def points(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """Return x and y of all points, float32, of shape (points, 2), by level, row and column.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.PointGrid(strides=[4, 8]).points((8, 4))
        array([[2., 2.],
               [6., 2.],
               [4., 4.]], dtype=float32)
        """
        parts = [np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2) for xs, ys in self.levels_of(size)]
        return np.concatenate(parts)
