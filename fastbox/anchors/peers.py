"""Grids of anchors that are bit-identical to those of other libraries, made from the arguments of these libraries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from fastbox.anchors.cell_shapes import as_size, default_boxes, each_level, exact, given_sides, positive, single, whole
from fastbox.anchors.layout import Layout
from fastbox.values.numbers import as_number_from
from fastbox.values.powers import power_of_two

__all__ = ["PeerGrids"]


class PeerGrids(Layout):
    """The constructors of :class:`fastbox.AnchorGrid` that are named after peers."""

    def _exactly(
        self,
        strides: Sequence[int],
        sizes: Sequence[Any],
        ratios: Sequence[Any],
        scales: Sequence[float],
        offset: float,
        round: bool,
        pad: int,
    ) -> Self:
        """Set the grid of every size with every scale and ratio, computed in float64 and rounded once."""
        strides = whole(strides, "strides")
        if not 0 <= offset < 1:
            raise ValueError(f"expected an offset of at least 0 and below 1, in strides, got {offset!r}")
        factors, n = positive(scales, "scales"), len(strides)
        levels = zip(each_level(sizes, n, "sizes"), each_level(ratios, n, "ratios"), strict=True)
        return self._set(strides, [exact(s, factors, r, round) for s, r in levels], offset=float(offset), pad=pad)

    @classmethod
    def torchvision(cls, sizes: Sequence[Any], ratios: Sequence[Any], strides: Sequence[int], *, pad: int = 32) -> Self:
        """Make the anchors of torchvision's ``AnchorGenerator``: corners rounded, shapes by ratio, then size.

        torchvision knows the sizes of its feature maps, ceil(side / stride), and spaces the cells by side // cells: at
        800 pixels, which 128 does not divide, the cells of P7 are 114 pixels apart. `sizes` holds one size or one
        sequence of sizes for each level, `ratios` one sequence for all levels or one for each level.

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
    ) -> Self:
        """Make the anchors of detectron2's ``DefaultAnchorGenerator``: nothing rounded, shapes by size, then ratio.

        detectron2's configurations set offset 0, the class itself has 0.5. Batches are padded to a multiple of 32
        pixels with an FPN, and of 1 pixel without.

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
        return cls.__new__(cls)._exactly(strides, sizes, ratios, (1.0,), offset, False, pad)

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
    ) -> Self:
        """Make the anchors of mmdetection's ``AnchorGenerator``: each level's base size times scales, nothing rounded.

        Without `base_sizes` the strides are the base sizes. Shapes are ordered by ratio, then scale; with
        ``scale_major=False`` by scale, then ratio. `center_offset` is in base sizes, from 0 to 1. Give either `scales`
        or `octave_base_scale` and `scales_per_octave`.

        Raises
        ------
        ValueError
            As :class:`AnchorGrid`; scales and octaves, or neither.

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
            raise ValueError(
                "expected scales, or octave_base_scale with scales_per_octave, got both or neither: give one"
            )
        center_offset = as_number_from(center_offset, "center_offset", 0, 1)
        factors, flat = positive(scales, "scales"), positive(ratios, "ratios")
        bases = positive(strides if base_sizes is None else base_sizes, "base_sizes")
        if len(bases) != len(strides):
            raise ValueError(f"expected base_sizes for {len(strides)} levels, got {len(bases)}")
        shapes = [np.float32(center_offset * b) + single(factors, b, flat, scale_major) for b in bases]
        return cls.__new__(cls)._set(strides, shapes, pad=pad)

    @classmethod
    def yolo(cls, strides: Sequence[int], base_sizes: Sequence[Any], *, pad: int = 32) -> Self:
        """Make the anchors of YOLO (mmdetection's ``YOLOAnchorGenerator``): widths and heights about cells' centres.

        `base_sizes` holds one sequence of (width, height), in pixels, for each level.

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
    ) -> Self:
        """Make the default boxes of SSD (Liu et al., ECCV 2016; torchvision's ``DefaultBoxGenerator``).

        Each level has a square of the level's scale, a square of the geometric mean of this and the next level's scale,
        and for each ratio above 1 a box and its transpose. SSD stretches every image to one `size`, so these boxes are
        fractions of the image: an image of any size has the anchors of `size`, stretched to the image.

        Parameters
        ----------
        ratios : one sequence of float per level
        scales : sequence of float, one more than levels
            As fractions of the image.
        steps : sequence of int
            The distance of cells, in pixels of an image of `size`; the first centre is half a step from the edge.
        size : (width, height)
            The size that the network stretches images to.
        clip : bool
            Limit the widths and heights of anchors to those of the image.

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
