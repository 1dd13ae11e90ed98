"""Boxes: four coordinate columns, a format and image offsets; a view of the caller's memory wherever it allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox import parallel
from fastbox.boxes.base import Collection
from fastbox.errors import FormatWarning, warn
from fastbox.kernels.codes import FORMATS, PLAIN
from fastbox.values.arguments import named
from fastbox.values.formats import (
    SAMPLE,
    Columns,
    are_corners,
    as_format,
    columns_of,
    corners,
    four_columns,
    in_pixels,
    looks_like_sizes,
    promoted,
)
from fastbox.values.groups import grouping

__all__ = ["Boxes", "as_boxes", "grouped"]

Grouped = TypeVar("Grouped", bound=Collection)


class Boxes(Collection):
    """Boxes as four columns of one float dtype, in one format, optionally grouped by image.

    Parameters
    ----------
    coords : array of shape (n, 4)
        Anything with ``__array__``, DLPack or the Arrow C interface: NumPy, torch on the CPU, pandas, polars, pyarrow.
        float32 and float64 are viewed, not copied; float16 becomes float32 and integers become float64 *before* any
        subtraction. Frames, Arrow tables and dicts of columns are read as :meth:`from_arrow` does: a column
        ``image_id`` groups them.
    format : str
        ``"xyxy"`` (default), ``"xywh"``, ``"cxcywh"`` or ``"yxyx"``, in pixels; ``"ltrb"`` and ``"tlbr"`` are
        ``"xyxy"``, ``"ltwh"`` and ``"tlwh"`` are ``"xywh"``. With ``rel_`` in front the coordinates
        are fractions of the image's ``size`` and are scaled once, into new memory.
    images : array of shape (n,), optional
        One image id per box, ascending: integers within int64, or strings. None may be missing.
    offsets : array of shape (g + 1,), optional
        The first row of each image, and n at the end: groups without ids.
    size : (width, height), optional
        For ``rel_`` formats: scalars, or one of each per box, in pixels.

    Raises
    ------
    ValueError
        A wrong shape, format, id or offset; the message names the expected value and the given one.
    TypeError
        Coordinates that are not real numbers.

    Warns
    -----
    FormatWarning
        Most boxes are inverted as ``"xyxy"`` and would be valid as ``"xywh"``.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.Boxes([[0, 0, 10, 5], [2, 2, 8, 8]], "xywh")
    Boxes(2 boxes, xywh, float64)
    >>> grouped = fastbox.Boxes([[0, 0, 1, 1], [0, 0, 2, 2], [5, 5, 6, 6]], images=[7, 7, 9])
    >>> grouped.images, grouped.offsets
    (array([7, 9]), array([0, 2, 3]))
    >>> len(fastbox.Boxes([]))
    0
    """

    __slots__ = ()

    columns: Columns

    @named
    def __init__(
        self,
        coords: Any,
        format: str = "xyxy",
        images: ArrayLike | None = None,
        *,
        offsets: ArrayLike | None = None,
        size: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        self._read(coords, "boxes", format, images, offsets, size)

    @classmethod
    def from_columns(
        cls,
        c0: Any,
        c1: Any,
        c2: Any,
        c3: Any,
        format: str = "xyxy",
        images: ArrayLike | None = None,
        *,
        offsets: ArrayLike | None = None,
        size: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Boxes:
        """Make boxes of four arrays of shape (n,), in the order of the format.

        Raises as :class:`Boxes` does. Columns of unequal dtype are promoted together (float32 with float64: float64).

        Examples
        --------
        >>> import fastbox
        >>> fastbox.Boxes.from_columns([0, 1], [0, 1], [4, 4], [4, 4]).corners()
        array([[0., 0., 4., 4.],
               [1., 1., 4., 4.]])
        """
        boxes = cls.of(*in_pixels(promoted((c0, c1, c2, c3)), format, size))
        if images is not None or offsets is not None:
            boxes.images, boxes.offsets = grouping(len(boxes), images, offsets)
        boxes._warn("the boxes")
        return boxes

    @classmethod
    def from_arrow(
        cls,
        table: Any,
        *,
        boxes: str | None = None,
        format: str | None = None,
        image: str | bool | None = True,
        size: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Boxes:
        """View the box columns of an Arrow table, a record batch, a pandas or polars frame, or a dict of columns.

        Parameters
        ----------
        table : anything with the Arrow C interface, or a dict
        boxes : str, optional
            One column (struct, fixed-size list, list, or ragged list per image) or four names with commas between;
            by default found by its name.
        format : str, optional
            The format; by default the format that the columns' names imply (``xmin ymin xmax ymax``, ``x y w h``, …).
        image : str or bool
            The column of image ids that groups the rows, ascending. True, the default: ``image_id``, or one of its
            other usual names, if the table has such a column. False or None: no column; all boxes are of one image.

        Raises
        ------
        InputError
            No such column (the nearest name is suggested), a wrong type, a null coordinate, unsorted ids.

        Examples
        --------
        >>> import fastbox, pyarrow as pa
        >>> table = pa.table({"x": [0.0, 1.0], "y": [0.0, 1.0], "w": [2.0, 2.0], "h": [2.0, 2.0], "image_id": [3, 3]})
        >>> fastbox.Boxes.from_arrow(table)
        Boxes(2 boxes in 1 images, xywh, float64)
        >>> fastbox.Boxes.from_arrow(table, image=False)
        Boxes(2 boxes, xywh, float64)
        """
        from fastbox.arrow.frame import frame_columns

        columns, told, offsets, images = frame_columns(table, boxes=boxes, format=format, image=image)
        found = Boxes.of(*in_pixels(promoted(columns), told, size), offsets, images)
        found._warn("the boxes")
        return found

    def _read(
        self,
        values: Any,
        name: str,
        format: str = "xyxy",
        images: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
        size: tuple[ArrayLike, ArrayLike] | None = None,
        grouped: bool = True,
    ) -> None:
        """Set the columns, format and groups from any object with boxes; ``name`` is its name in messages."""
        if isinstance(values, Collection) and not isinstance(values, Boxes):
            raise TypeError(f"expected plain boxes, got {type(values).__name__}: give .hulls(), the frames around them")
        if isinstance(values, Boxes):
            if size is not None or as_format(format) not in ("xyxy", values.format):
                raise ValueError(
                    f"expected {name} without format and size, got Boxes in {values.format}: leave format and size out"
                )
            self.columns, self.format, self.images, self.offsets = (
                values.columns, values.format, values.images, values.offsets,
            )  # fmt: skip
            if images is not None or offsets is not None:
                self.images, self.offsets = grouping(len(self), images, offsets)
            return
        self.images = self.offsets = None
        if type(values) is not np.ndarray and hasattr(values, "collect"):
            values = values.collect()  # a lazy frame
        if type(values) is not np.ndarray and (
            isinstance(values, Mapping) or hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__")
        ):
            from fastbox.arrow.frame import frame_columns

            own = grouped and images is None and offsets is None
            asked = None if format == "xyxy" else format
            columns, told, bounds, ids = frame_columns(values, format=asked, image=own, where=name)
            self.columns, self.format = in_pixels(promoted(columns), told, size)
            self.images, self.offsets = ids, bounds
        else:
            self.columns, self.format = in_pixels(four_columns(values, name), format, size)
        if images is not None or offsets is not None:
            self.images, self.offsets = grouping(len(self), images, offsets)
        self._warn(name)

    def _warn(self, name: str) -> None:
        """Warn if most boxes are inverted in their format and would be valid in another."""
        if looks_like_sizes(self.columns, self.format):
            most = "most boxes" if name.endswith("boxes") else f"most boxes of {name}"
            said = f"{most} are inverted as corners x0, y0, x1, y1, and would be valid as x, y, width, height"
            warn(FormatWarning(f'{said}: give format="xywh", as in Boxes(boxes, "xywh")'))

    def kernel_args(self, geometry: str = PLAIN) -> tuple[Any, ...]:
        """Return the code of the format and the columns, the form in which kernels of a geometry take boxes."""
        return (FORMATS.index(self.format), *self.columns) if geometry == PLAIN else super().kernel_args(geometry)

    def corners(self) -> NDArray[Any]:
        """Return ``(n, 4)`` corners x0, y0, x1, y1 in pixels, in new memory.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.Boxes([[5, 5, 4, 2]], "cxcywh").corners()
        array([[3., 4., 7., 6.]])
        """
        return corners(self.columns, self.format)

    def invalid(self) -> NDArray[np.uint8]:
        """Return ``(n,)`` codes of validity: 0 for a valid box, 1 if a coordinate is not finite, 2 for an inverted box.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.Boxes([[0, 0, 1, 1], [0, 0, float("nan"), 1], [3, 0, 1, 1]]).invalid()
        array([0, 1, 2], dtype=uint8)
        """
        corners = self.corners()
        finite = np.isfinite(corners).all(axis=1)
        inverted = (corners[:, 2] < corners[:, 0]) | (corners[:, 3] < corners[:, 1])
        return np.where(finite, np.where(inverted, 2, 0), 1).astype(np.uint8)


def as_boxes(boxes: Any, name: str = "boxes", *, grouped: bool = True) -> Boxes:
    """Return Boxes unchanged, and anything else as xyxy corners; with ``grouped``, frames are grouped by image."""
    if isinstance(boxes, Boxes):
        return boxes
    if isinstance(boxes, Collection):
        raise TypeError(
            f"expected plain boxes for {name}, got {type(boxes).__name__}, which this function does not measure: "
            f"give {name}.hulls(), the upright frames around them"
        )
    if are_corners(boxes) and len(boxes) <= SAMPLE:
        inverted = parallel.kernel("geometry.inverted", "INVERTED", boxes.dtype)
        if not inverted(boxes):  # nothing to read and nothing to warn of
            return Boxes.of(columns_of(boxes), "xyxy")
    made = Boxes.__new__(Boxes)
    made._read(boxes, name, grouped=grouped)
    return made


def grouped(boxes: Grouped, groups: NDArray[np.int64]) -> Grouped:
    """Return boxes grouped by ascending group numbers, one per box."""
    images, offsets = grouping(len(boxes), groups, None)
    return boxes.of(boxes.columns, boxes.format, offsets, images)
