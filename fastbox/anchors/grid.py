"""A grid of anchors: levels, strides and shapes.

An anchor is a cell of one feature level and one of the level's shapes. Its x coordinates depend on the column and the
shape alone, its y coordinates on the row and the shape alone, so a level is four small tables however many anchors it
has. Anchors are numbered by level, row, column and shape, the shape innermost, as in every peer.
"""

from __future__ import annotations

import difflib
import json
import math
import operator
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastbox.anchors.cell_shapes import as_size, default_boxes, each_level, exact, given_sides, positive, single, whole
from fastbox.boxes.container import Boxes
from fastbox.errors import InputError
from fastbox.values.numbers import in_dtype
from fastbox.values.powers import power_of_two

__all__ = ["AnchorGrid", "Level"]

Corners = tuple[float, float, float, float]

FIRST_STRIDE = 8  # of fitted anchors: that of P3
SIZES_KEPT = 32  # sizes of images whose levels are kept, over all grids


class Level(NamedTuple):
    """One feature level, whose coordinates factor into columns and rows.

    The anchor of row r, column c and shape s has the corners x0[s, c], y0[s, r], x1[s, c], y1[s, r]. All four arrays
    are C-contiguous, read-only and of the grid's dtype.
    """

    x0: NDArray[Any]  # (shapes, columns)
    y0: NDArray[Any]  # (shapes, rows)
    x1: NDArray[Any]  # (shapes, columns)
    y1: NDArray[Any]  # (shapes, rows)


@dataclass(frozen=True, init=False, repr=False)
class AnchorGrid:
    """Anchors of every size with every ratio in every cell of every level, centred on the cell's top left corner.

    Presets and the constructors named after peers give those peers' float32 numbers to the bit; this one computes in
    float64 and rounds once, as detectron2 does. Equal grids compare and hash equal.

    Parameters
    ----------
    strides : sequence of int
        The distance of neighbouring cells in pixels, one of each level. A level has ceil(side / stride) cells a side.
    sizes : sequence of float, or one such sequence per level
        Square roots of the anchors' areas, in pixels.
    ratios : sequence of float, or one such sequence per level
        Heights divided by widths.
    scales : sequence of float
        Factors that every size is used with. Shapes are ordered by size, then scale, then ratio.
    offset : float
        How far right and down of a cell's corner its anchors are centred, in strides: 0.5 is the cell's centre.
    round : bool
        Round the corners about the centre to whole pixels, halves to even.
    pad : int
        The image is padded on the right and below to a multiple of this, in pixels, as a batch's tensor is.

    Raises
    ------
    ValueError
        An argument that can't be.

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

    strides: tuple[int, ...]
    shapes: tuple[tuple[Corners, ...], ...]  # per level: corners about a cell's own point
    offset: float  # of a cell's point from its corner, in strides
    pad: int
    fitted: bool  # torchvision's spacing: the padded side // cells rather than the stride
    resized: tuple[int, int] | None  # SSD's: shapes are fractions of the image, cells those of this size
    dtype: np.dtype[Any]

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
        strides = whole(strides, "strides")
        if not 0 <= offset < 1:
            raise ValueError(f"expected an offset of at least 0 and below 1, in strides, got {offset!r}")
        factors, n = positive(scales, "scales"), len(strides)
        levels = zip(each_level(sizes, n, "sizes"), each_level(ratios, n, "ratios"), strict=True)
        self._set(strides, [exact(s, factors, r, round) for s, r in levels], offset=float(offset), pad=pad)

    def _set(
        self,
        strides: tuple[int, ...],
        shapes: Iterable[NDArray[Any]],
        *,
        offset: float = 0.0,
        pad: int = 1,
        fitted: bool = False,
        resized: tuple[int, int] | None = None,
        dtype: Any = np.float32,
    ) -> AnchorGrid:
        (pad,) = whole([pad], "pad")
        levels = list(shapes)
        if not all(np.isfinite(in_dtype(level, np.dtype(dtype))).all() for level in levels):
            raise ValueError(f"expected anchors whose corners {np.dtype(dtype)} holds, got sides beyond it")
        corners = tuple(tuple(map(tuple, level.tolist())) for level in levels)
        values = (strides, corners, offset, pad, fitted, resized, np.dtype(dtype))
        for name, value in zip(self.__dataclass_fields__, values, strict=True):
            object.__setattr__(self, name, value)
        return self

    @classmethod
    def preset(cls, name: str) -> AnchorGrid:
        """Make the anchors of a well-known detector, a name from ``fastbox.anchors.PRESETS``.

        ``faster-rcnn-fpn`` (Mask R-CNN's too), ``retinanet`` and ``ssd300`` are torchvision's; ``detectron2-fpn``,
        ``detectron2-retinanet`` and ``rpn-c4`` detectron2's; ``atss``, ``mmdet-fpn``, ``mmdet-retinanet``, ``yolof``
        and ``yolov3`` mmdetection's; ``ssd512`` has the scales of the SSD authors' COCO model.

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
        from fastbox.anchors.presets import MAKERS, PRESETS

        if name not in MAKERS:
            near = difflib.get_close_matches(str(name), PRESETS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"expected a preset of {', '.join(PRESETS)}, got {name!r}{hint}")
        return MAKERS[name]()

    @classmethod
    def from_fit(cls, path: str | os.PathLike[str]) -> AnchorGrid:
        """Make the anchors that :func:`fastbox.jobs.fit_anchors` wrote to a file, the smallest on stride 8.

        As in YOLO, each is centred in its cell, and images are padded to the greatest stride.

        Raises
        ------
        InputError
            The file can't be read, or is not what was written.

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
            raise InputError(f"expected a file of fitted anchors, got {name}: {error.strerror}") from error
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"expected fitted anchors in {name}, as `fastbox anchors TRUTHS -o FITTED.json` writes them, got "
                f"something else: fit them again"
            ) from error

    @classmethod
    def torchvision(
        cls, sizes: Sequence[Any], ratios: Sequence[Any], strides: Sequence[int], *, pad: int = 32
    ) -> AnchorGrid:
        """Make the anchors of torchvision's ``AnchorGenerator``: corners rounded, shapes by ratio, then size.

        torchvision has no strides but the sizes of its feature maps, ceil(side / stride), and spaces the cells by
        side // cells: at 800 pixels, which 128 does not divide, the cells of P7 are 114 pixels apart. `sizes` are one a
        level or one sequence a level, `ratios` one sequence for all levels or one a level.

        Raises
        ------
        ValueError
            As :class:`AnchorGrid`.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> grid = AnchorGrid.torchvision([32, 64], [0.5, 1.0], strides=[4, 8])
        >>> grid.shapes[0]
        ((-23.0, -11.0, 23.0, 11.0), (-16.0, -16.0, 16.0, 16.0))
        """
        strides = whole(strides, "strides")
        n = len(strides)
        levels = zip(each_level(sizes, n, "sizes", shared=False), each_level(ratios, n, "ratios"), strict=True)
        shapes = [np.round(single(s, 1.0, r, scale_major=True)) for s, r in levels]
        return cls.__new__(cls)._set(strides, shapes, pad=pad, fitted=True)

    @classmethod
    def detectron2(
        cls, sizes: Sequence[Any], ratios: Sequence[Any], strides: Sequence[int], offset: float = 0.0, *, pad: int = 32
    ) -> AnchorGrid:
        """Make the anchors of detectron2's ``DefaultAnchorGenerator``: nothing rounded, shapes by size, then ratio.

        Its configurations set offset 0, its class 0.5. Batches are padded to multiples of 32 with an FPN, of 1 without.

        Raises
        ------
        ValueError
            As :class:`AnchorGrid`.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> AnchorGrid.detectron2([32, 64], [0.25, 1], strides=[4], offset=0.5).boxes((1, 1)).corners()[1]
        array([-14., -14.,  18.,  18.], dtype=float32)
        """
        return cls(strides, sizes, ratios, offset=offset, pad=pad)

    @classmethod
    def mmdet(
        cls,
        strides: Sequence[int],
        ratios: Sequence[float],
        scales: Sequence[float] | None = None,
        *,
        octave_base_scale: float | None = None,
        scales_per_octave: int | None = None,
        base_sizes: Sequence[float] | None = None,
        scale_major: bool = True,
        center_offset: float = 0.0,
        pad: int = 32,
    ) -> AnchorGrid:
        """Make the anchors of mmdetection's ``AnchorGenerator``: each level's base size times scales, nothing rounded.

        Base sizes are the strides unless given. Shapes are ordered by ratio, then scale, with ``scale_major=False`` by
        scale, then ratio. `center_offset` is in base sizes, from 0 to 1. Scales are given, or those of one octave.

        Raises
        ------
        ValueError
            As :class:`AnchorGrid`, and if neither or both of scales and octaves are given.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> AnchorGrid.mmdet(strides=[16], ratios=[1.0], scales=[1.0], base_sizes=[9], pad=1).boxes((32, 9)).corners()
        array([[-4.5, -4.5,  4.5,  4.5],
               [11.5, -4.5, 20.5,  4.5]], dtype=float32)
        """
        strides = whole(strides, "strides")
        if scales is None and octave_base_scale is not None and scales_per_octave is not None:
            (octave,) = whole([scales_per_octave], "scales_per_octave")
            scales = [power_of_two(i / octave) * octave_base_scale for i in range(octave)]
        elif scales is None or octave_base_scale is not None or scales_per_octave is not None:
            raise ValueError("expected either scales or octave_base_scale with scales_per_octave, got both or neither")
        if not 0 <= center_offset <= 1:
            raise ValueError(f"expected a center_offset from 0 to 1, got {center_offset!r}")
        factors, flat = positive(scales, "scales"), positive(ratios, "ratios")
        bases = positive(strides if base_sizes is None else base_sizes, "base_sizes")
        if len(bases) != len(strides):
            raise ValueError(f"expected base_sizes for {len(strides)} levels, got {len(bases)}")
        shapes = [np.float32(center_offset * b) + single(factors, b, flat, scale_major) for b in bases]
        return cls.__new__(cls)._set(strides, shapes, pad=pad)

    @classmethod
    def yolo(cls, strides: Sequence[int], base_sizes: Sequence[Any], *, pad: int = 32) -> AnchorGrid:
        """Make the anchors of YOLO (mmdetection's ``YOLOAnchorGenerator``): widths and heights about cells' centres.

        `base_sizes` holds one sequence of (width, height), in pixels, a level.

        Raises
        ------
        ValueError
            As :class:`AnchorGrid`.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> AnchorGrid.yolo(strides=[32], base_sizes=[[(116, 90), (156, 198)]]).boxes((32, 32)).corners()
        array([[-42., -29.,  74.,  61.],
               [-62., -83.,  94., 115.]], dtype=float32)
        """
        strides = whole(strides, "strides")
        if len(base_sizes) != len(strides):
            raise ValueError(f"expected base_sizes for {len(strides)} levels, got {len(base_sizes)}")
        shapes = [given_sides(level, 0.5 * stride) for stride, level in zip(strides, base_sizes, strict=True)]
        return cls.__new__(cls)._set(strides, shapes, pad=pad)

    @classmethod
    def ssd(
        cls,
        ratios: Sequence[Sequence[float]],
        scales: Sequence[float],
        steps: Sequence[int],
        *,
        size: tuple[int, int],
        clip: bool = True,
    ) -> AnchorGrid:
        """Make the default boxes of SSD (Liu et al., ECCV 2016; torchvision's ``DefaultBoxGenerator``).

        Each level has a square of its scale, one of the geometric mean of its and the next level's, and a box and its
        transpose for each ratio above 1. They are fractions of the image, since SSD stretches every image to one
        `size`: here as many anchors as that size has, stretched to whatever size is asked for.

        Parameters
        ----------
        ratios : one sequence of float per level
        scales : sequence of float, one more than levels
            As fractions of the image.
        steps : sequence of int
            The distance of cells, in pixels of an image of `size`; their centres are half a step in.
        size : (width, height)
            What the network stretches images to.
        clip : bool
            No anchor wider or higher than the image.

        Raises
        ------
        ValueError
            As :class:`AnchorGrid`.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> AnchorGrid.ssd([[2]], [0.5, 0.5], [20], size=(20, 20)).boxes((200, 100)).corners().round()
        array([[ 50.,  25., 150.,  75.],
               [ 50.,  25., 150.,  75.],
               [ 29.,  32., 171.,  68.],
               [ 65.,  15., 135.,  85.]], dtype=float32)
        """
        steps, factors = whole(steps, "steps"), positive(scales, "scales")
        per_level = each_level(ratios, len(steps), "ratios")
        if len(factors) != len(steps) + 1:
            raise ValueError(f"expected {len(steps) + 1} scales for {len(steps)} steps, got {len(factors)}")
        shapes = [default_boxes(factors[k], factors[k + 1], level, clip) for k, level in enumerate(per_level)]
        return cls.__new__(cls)._set(steps, shapes, resized=as_size(size))

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
        """The same grid in float32 or float64; what a peer rounds to float32 stays so."""
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
        cells = (self._cells(0, width, k) * self._cells(1, height, k) for k in range(len(self.strides)))
        return tuple(n * len(shapes) for n, shapes in zip(cells, self.shapes, strict=True))

    def count(self, size: tuple[int, int]) -> int:
        """Count the anchors for an image of (width, height) pixels."""
        return sum(self.counts(size))

    def levels(self, size: tuple[int, int]) -> tuple[Level, ...]:
        """Return the edges of each level's columns and rows, for an image of (width, height) pixels.

        `size` is that of the image as the network sees it: resized, and before it is padded.

        Raises
        ------
        ValueError
            If size is not two whole numbers of at least 1.

        Examples
        --------
        >>> from fastbox.anchors import AnchorGrid
        >>> (level,) = AnchorGrid(strides=[4], sizes=[2, 8]).levels((12, 4))
        >>> level.x0
        array([[-1.,  3.,  7.],
               [-4.,  0.,  4.]], dtype=float32)
        """
        return _levels(self, as_size(size))

    def boxes(self, size: tuple[int, int]) -> Boxes:
        """Materialise all anchors for an image of (width, height) pixels, by level, row, column and shape.

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

    def _cells(self, axis: int, side: int, k: int) -> int:
        return -(-(self._padded(side) if self.resized is None else self.resized[axis]) // self.strides[k])

    def _padded(self, side: int) -> int:
        return -(-side // self.pad) * self.pad

    def _edges(self, axis: int, side: int, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """The low and high edges of level k along one axis, each of shape (shapes, cells)."""
        T = self.dtype.type
        shapes = np.array(self.shapes[k], self.dtype)
        low, high = shapes[:, axis, None], shapes[:, axis + 2, None]
        cells, stride = self._cells(axis, side, k), self.strides[k]
        if self.resized is not None:
            centres = (np.arange(cells) + 0.5).astype(T) / T(self.resized[axis] / stride)
            return (centres + low) * T(side), (centres + high) * T(side)
        step = self._padded(side) // cells if self.fitted else stride
        centres = (self.offset * step + np.arange(cells) * step).astype(T)
        return centres + low, centres + high


@lru_cache(SIZES_KEPT)
def _levels(grid: AnchorGrid, size: tuple[int, int]) -> tuple[Level, ...]:
    levels = []
    for k in range(len(grid.strides)):
        (x0, x1), (y0, y1) = (grid._edges(axis, side, k) for axis, side in enumerate(size))
        for edges in (x0, y0, x1, y1):
            edges.flags.writeable = False
        levels.append(Level(x0, y0, x1, y1))
    return tuple(levels)
