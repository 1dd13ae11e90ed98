"""A grid of anchors: levels, strides and shapes."""

from __future__ import annotations

import json
import math
import operator
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastbox.anchors.cell_shapes import as_size
from fastbox.anchors.layout import Level, levels_of
from fastbox.anchors.peers import PeerGrids
from fastbox.anchors.presets import DETECTORS, PRESETS
from fastbox.boxes.container import Boxes
from fastbox.errors import InputError, advice
from fastbox.values.numbers import as_choice

__all__ = ["AnchorGrid"]

FIRST_STRIDE = 8  # the stride of the first level of fitted anchors: P3


class AnchorGrid(PeerGrids):
    """Anchors of every size with every ratio in every cell of every level, centred on the cell's top left corner.

    Presets and the constructors named after peers give the float32 numbers of these peers to the bit. This constructor
    computes in float64 and rounds once, as detectron2 does. Equal grids compare and hash equal.

    Parameters
    ----------
    strides : sequence of int
        The distance of neighbouring cells in pixels, one for each level. A level has ceil(side / stride) cells along
        each side of the image.
    sizes : sequence of float, or one such sequence per level
        Square roots of the anchors' areas, in pixels.
    ratios : sequence of float, or one such sequence per level
        Heights divided by widths.
    scales : sequence of float
        Factors that every size is multiplied by. Shapes are ordered by size, then scale, then ratio.
    offset : float
        The distance of the anchors' centres from the cell's top left corner, to the right and down, in strides: 0.5 is
        the cell's centre.
    round : bool
        Round the corners about the centre to whole pixels, halves to even.
    pad : int
        Images are padded on the right and below to a multiple of this number of pixels, as the tensor of a batch is.

    Raises
    ------
    ValueError
        Strides or pad that are not whole numbers of at least 1, sizes, ratios or scales that are not above 0, an offset
        outside [0, 1), or levels that differ in number.

    Examples
    --------
    >>> from fastbox.anchors import AnchorGrid
    >>> grid = AnchorGrid(strides=[4], sizes=[32], ratios=[0.25, 1.0])
    >>> grid
    AnchorGrid(1 level of 2 shapes, stride 4)
    >>> grid.boxes((8, 3)).corners()
    array([[-32.,  -8.,  32.,   8.],
           [-16., -16.,  16.,  16.],
           [-28.,  -8.,  36.,   8.],
           [-12., -16.,  20.,  16.]], dtype=float32)
    """

    def __init__(
        self,
        strides: Sequence[int],
        sizes: Sequence[Any],
        ratios: Sequence[Any] = (1.0,),
        *,
        scales: Sequence[float] = (1.0,),
        offset: float = 0.0,
        round: bool = False,
        pad: int = 1,
    ) -> None:
        self._exactly(strides, sizes, ratios, scales, offset, round, pad)

    @classmethod
    def preset(cls, name: str) -> AnchorGrid:
        """Make the anchors of a well-known detector, a name from ``fastbox.anchors.PRESETS``.

        ``faster-rcnn-fpn`` (Mask R-CNN's too), ``retinanet`` and ``ssd300`` are torchvision's; ``detectron2-fpn``,
        ``detectron2-retinanet`` and ``rpn-c4`` detectron2's; ``atss``, ``mmdet-fpn``, ``mmdet-retinanet``, ``yolof``
        and ``yolov3`` mmdetection's; ``ssd512`` has the scales of the SSD authors' COCO model; ``yolov5`` and
        ``yolov7`` have their authors' shapes in the layout of ``yolov3``, the smallest stride first.

        Raises
        ------
        ValueError
            An unknown name; the nearest is suggested.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> grid = AnchorGrid.preset("retinanet")
        >>> grid
        AnchorGrid(5 levels of 9 shapes, strides 8, 16, 32, 64, 128)
        >>> grid.count((1333, 800))
        201600
        """
        preset = DETECTORS[as_choice(name, PRESETS, "a preset")]
        grid: AnchorGrid = getattr(cls, preset.maker)(**preset.arguments)
        return grid

    @classmethod
    def from_fit(cls, path: str | os.PathLike[str]) -> AnchorGrid:
        """Make the anchors that :func:`fastbox.jobs.fit_anchors` wrote to a file, the smallest on stride 8.

        As in YOLO, each anchor is centred in its cell, and images are padded to a multiple of the greatest stride.

        Raises
        ------
        InputError
            The file can't be read, or does not hold fitted anchors.

        Examples
        --------
        >>> import json, os, tempfile
        >>> from fastbox.anchors import AnchorGrid
        >>> path = os.path.join(tempfile.mkdtemp(), "fitted.json")
        >>> with open(path, "w") as file:
        ...     json.dump({"levels": 2, "anchors": [{"width": 10, "height": 13}, {"width": 60, "height": 45}]}, file)
        >>> AnchorGrid.from_fit(path)
        AnchorGrid(2 levels of 1 shape, strides 8, 16)
        """
        name = os.fspath(path)
        try:
            with open(name, encoding="utf-8") as file:
                found = json.load(file)
            levels = operator.index(found["levels"])
            shapes = [(float(one["width"]), float(one["height"])) for one in found["anchors"]]
            if levels < 1 or len(shapes) < levels or len(shapes) % levels:
                raise ValueError
            each = len(shapes) // levels
            strides = [FIRST_STRIDE << level for level in range(levels)]
            sizes = [shapes[first : first + each] for first in range(0, len(shapes), each)]
            return cls.yolo(strides, sizes, pad=strides[-1])
        except OSError as error:
            raise InputError(
                f"expected a file of fitted anchors, got {name}, {error.strerror}: write it with {_how_to_fit()}"
            ) from error
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"expected fitted anchors in {name}, got other content: write them with {_how_to_fit()}"
            ) from error

    def __repr__(self) -> str:
        counts = [len(level) for level in self.shapes]
        shapes = " to ".join(map(str, sorted({min(counts), max(counts)}))) + (
            " shape" if max(counts) == 1 else " shapes"
        )
        levels, strides = ("level", "stride") if len(self.strides) == 1 else ("levels", "strides")
        spaced = ", ".join(map(str, self.strides))
        wide = "" if self.dtype == np.float32 else f", {self.dtype}"
        return f"AnchorGrid({len(self.strides)} {levels} of {shapes}, {strides} {spaced}{wide})"

    def astype(self, dtype: Any) -> AnchorGrid:
        """Return the same grid in float32 or float64; corners that a peer rounds to float32 stay rounded."""
        if np.dtype(dtype) not in (np.float32, np.float64):
            raise ValueError(f"expected float32 or float64, got {np.dtype(dtype)}")
        grid = AnchorGrid.__new__(AnchorGrid)
        given = {name: getattr(self, name) for name in ("offset", "pad", "fitted", "resized")}
        return grid._set(self.strides, map(np.array, self.shapes), **given, dtype=dtype)

    def counts(self, size: tuple[int, int]) -> tuple[int, ...]:
        """Count the anchors of each level for an image of (width, height) pixels.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> AnchorGrid.preset("ssd300").counts((300, 300))
        (5776, 2166, 600, 150, 36, 4)
        """
        width, height = as_size(size)
        cells = (self.cells(0, width, k) * self.cells(1, height, k) for k in range(len(self.strides)))
        return tuple(n * len(shapes) for n, shapes in zip(cells, self.shapes, strict=True))

    def count(self, size: tuple[int, int]) -> int:
        """Count the anchors for an image of (width, height) pixels."""
        return sum(self.counts(size))

    def levels(self, size: tuple[int, int]) -> tuple[Level, ...]:
        """Return the edges of each level's columns and rows, for an image of (width, height) pixels.

        `size` is the size of the resized image, before padding.

        Raises
        ------
        ValueError
            A size that is not two whole numbers of at least 1.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> (level,) = AnchorGrid(strides=[4], sizes=[2, 8]).levels((12, 4))
        >>> level.x0
        array([[-1.,  3.,  7.],
               [-4.,  0.,  4.]], dtype=float32)
        """
        return levels_of(self, as_size(size))

    def boxes(self, size: tuple[int, int]) -> Boxes:
        """Return all anchors for an image of (width, height) pixels, by level, row, column and shape.

        Returns
        -------
        Boxes
            xyxy corners in pixels, of the grid's dtype.

        Raises
        ------
        ValueError
            As :meth:`levels`.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> AnchorGrid.preset("yolov3").boxes((416, 416))
        Boxes(10647 boxes, xyxy, float32)
        """
        columns = np.empty((4, self.count(size)), self.dtype)
        first = 0
        for level in self.levels(size):
            grid = level.y0.shape[1], level.x0.shape[1], level.x0.shape[0]
            last = first + math.prod(grid)
            parts = level.x0.T, level.y0.T[:, None], level.x1.T, level.y1.T[:, None]
            for column, part in zip(columns, parts, strict=True):
                column[first:last].reshape(grid)[...] = part
            first = last
        return Boxes.of((columns[0], columns[1], columns[2], columns[3]), "xyxy")


def _how_to_fit() -> str:
    return advice("fastbox anchors TRUTHS -o FITTED.json", "jobs.fit_anchors(truths, 'fitted.json')")
