"""RotatedBoxes: rectangles at any angle and quadrilaterals, as columns with a format and image offsets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox._lazy import deferred
from fastbox.boxes.base import Collection
from fastbox.boxes.container import Boxes
from fastbox.kernels.codes import COLUMNS, MOST_DEGREES, MOST_RADIANS, QUADS, ROTATED, ROTATED_FORMATS
from fastbox.values.arguments import named
from fastbox.values.groups import grouping
from fastbox.values.numbers import as_choice, as_floats, as_sides, in_dtype, shown

__all__ = ["RotatedBoxes"]

turning = deferred("fastbox.boxes.turning")

RELATIVE = "rel_xyxyxyxy"
SHAPES = {5: "(n, 5)", 8: "(n, 8) or (n, 4, 2)"}


class RotatedBoxes(Collection):
    """Rotated rectangles, or quadrilaterals, as columns of one float dtype, optionally grouped by image.

    An angle turns from +x to +y: clockwise on a screen, where y points down. Nothing is canonicalised: a width below
    the height and any angle are fine. Quadrilaterals stay as they are, convex or not. Everything is computed in
    float64; results are float32 where both sides are float32 or float16.

    Parameters
    ----------
    coords : array of shape (n, 5), (n, 8) or (n, 4, 2)
        Anything that :class:`Boxes` takes; frames, Arrow tables and dicts of columns are read as by
        :meth:`from_arrow`.
    format : str
        ``"cxcywhr"`` (centre, width, height, radians) or ``"cxcywhd"`` (degrees), with ``ccw_`` in front if the angle
        counts the other way; or ``"xyxyxyxy"``, four corners in order around, either way round, in pixels. In
        ``"rel_xyxyxyxy"`` corners are fractions of the image's ``size``.
    images : array of shape (n,), optional
        One image id per box, ascending: integers within int64, or strings. None may be missing.
    offsets : array of shape (g + 1,), optional
        The first row of each image, and n at the end: groups without ids.
    size : (width, height), optional
        For ``rel_xyxyxyxy``: scalars, or one of each per box, in pixels.

    Raises
    ------
    ValueError
        A wrong shape, format, id or offset; the message names the expected value and the given one.
    TypeError
        Coordinates that are not real numbers.

    Examples
    --------
    >>> import fastbox
    >>> boxes = fastbox.RotatedBoxes([[0, 0, 2, 1, 0], [0, 0, 2, 1, 90]], "cxcywhd")
    >>> boxes
    RotatedBoxes(2 boxes, cxcywhd, float64)
    >>> fastbox.pairwise(boxes, boxes)
    array([[1.        , 0.33333333],
           [0.33333333, 1.        ]])
    """

    __slots__ = ()

    columns: tuple[NDArray[Any], ...]

    @named
    def __init__(
        self,
        coords: Any,
        format: str,
        images: ArrayLike | None = None,
        *,
        offsets: ArrayLike | None = None,
        size: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        if isinstance(coords, RotatedBoxes):
            raise TypeError(f"expected coordinates, got RotatedBoxes in {coords.format}: use them as they are")
        count = columns_of(format)
        self.images = self.offsets = None
        if hasattr(coords, "collect"):
            coords = coords.collect()  # a lazy frame
        if isinstance(coords, Mapping) or hasattr(coords, "__arrow_c_stream__") or hasattr(coords, "__arrow_c_array__"):
            from fastbox.arrow.rotated import rotated_columns

            own = images is None and offsets is None
            found, self.offsets, self.images = rotated_columns(coords, count, image=own, where="boxes")
            columns = promoted(found)
        else:
            columns = split(coords, count, format)
        self.columns, self.format = in_pixels(columns, format, size)
        if images is not None or offsets is not None:
            self.images, self.offsets = grouping(len(self), images, offsets)

    @classmethod
    def from_columns(
        cls,
        *columns: Any,
        format: str,
        images: ArrayLike | None = None,
        offsets: ArrayLike | None = None,
        size: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> RotatedBoxes:
        """Make boxes of five or eight arrays of shape (n,), in the order of the format.

        Raises as :class:`RotatedBoxes` does. Columns of unequal dtype are promoted together.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.RotatedBoxes.from_columns([0, 1], [0, 1], [4, 4], [2, 2], [0, 45], format="cxcywhd")
        RotatedBoxes(2 boxes, cxcywhd, float64)
        """
        count = columns_of(format)
        if len(columns) != count:
            raise ValueError(f"expected {count} columns for {format!r}, got {len(columns)}")
        boxes = cls.of(*in_pixels(promoted(columns), format, size))
        if images is not None or offsets is not None:
            boxes.images, boxes.offsets = grouping(len(boxes), images, offsets)
        return boxes

    @classmethod
    def from_arrow(
        cls,
        table: Any,
        format: str,
        *,
        boxes: str | None = None,
        image: str | bool | None = True,
        size: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> RotatedBoxes:
        """View the box columns of an Arrow table, a record batch, a pandas or polars frame, or a dict of columns.

        Parameters
        ----------
        table : anything with the Arrow C interface, or a dict
        format : str
            The format; names of columns tell neither unit nor direction of an angle.
        boxes : str, optional
            One column of lists, or five or eight names with commas between; by default ``cx cy w h angle``, ``x1 y1 x2
            y2 x3 y3 x4 y4``, or one column ``obb`` or ``bbox``.
        image : str or bool
            The column of image ids, as for :meth:`Boxes.from_arrow`.

        Raises
        ------
        InputError
            No such columns, a wrong type, a null, a list of another length, or unsorted ids.

        Examples
        --------
        >>> import fastbox
        >>> table = {"cx": [4.0], "cy": [4.0], "w": [4.0], "h": [2.0], "angle": [30.0], "image_id": [7]}
        >>> fastbox.RotatedBoxes.from_arrow(table, "cxcywhd")
        RotatedBoxes(1 boxes in 1 images, cxcywhd, float64)
        """
        from fastbox.arrow.rotated import rotated_columns

        found, offsets, images = rotated_columns(table, columns_of(format), boxes=boxes, image=image)
        return cls.of(*in_pixels(promoted(found), format, size), offsets, images)

    @property
    def geometry(self) -> str:
        """The geometry that measures the boxes: ``"rotated"`` for rectangles, or ``"quads"``."""
        return QUADS if len(self.columns) == COLUMNS[QUADS] else ROTATED

    def corners(self) -> NDArray[Any]:
        """Return the corners, of shape (n, 4, 2), in order around, in new memory.

        Corner k of a rectangle is the centre plus the turned half sides: (-w, -h), (w, -h), (w, h), (-w, h). Computed
        in float64 and rounded to the dtype of the boxes. nan for the corners of a rectangle without a valid angle.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.RotatedBoxes([[0, 0, 4, 2, 90]], "cxcywhd").corners()
        array([[[ 1., -2.],
                [ 1.,  2.],
                [-1.,  2.],
                [-1., -2.]]])
        """
        if self.geometry == QUADS:
            return np.stack(self.columns, axis=1).reshape(-1, 4, 2)
        found: NDArray[Any] = turning.corners(self.columns, self.format)
        return found.astype(self.dtype, copy=False)

    def hulls(self) -> Boxes:
        """Return the upright frames around the boxes, as :class:`Boxes` in xyxy with the same images.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.RotatedBoxes([[0, 0, 4, 2, 90]], "cxcywhd").hulls().corners()
        array([[-1., -2.,  1.,  2.]])
        """
        found = self.corners()
        low, high = found.min(axis=1), found.max(axis=1)
        return Boxes.of((low[:, 0], low[:, 1], high[:, 0], high[:, 1]), "xyxy", self.offsets, self.images)

    def rectangles(self) -> RotatedBoxes:
        """Return the rectangles of smallest area around quadrilaterals, as ``cxcywhr``; rectangles are returned as is.

        Most quadrilaterals of data sets are no rectangles, and lose by this: :func:`fastbox.aligned` tells how much.
        Of rectangles of one area the one along the first edge is taken. That of an invalid quadrilateral is nan.

        Examples
        --------
        >>> import fastbox
        >>> quads = fastbox.RotatedBoxes([[0, 0, 4, 0, 4, 2, 1, 2]], "xyxyxyxy")
        >>> quads.rectangles().columns
        (array([2.]), array([1.]), array([4.]), array([2.]), array([0.]))
        >>> fastbox.aligned(quads, quads.rectangles())
        array([0.875])
        """
        if self.geometry == ROTATED:
            return self
        found, valid = turning.smallest_rectangles(self.columns), self.invalid() == 0
        columns = tuple(np.where(valid, column, np.nan).astype(self.dtype, copy=False) for column in found)
        return RotatedBoxes.of(columns, "cxcywhr", self.offsets, self.images)

    def canonical(self, convention: str) -> RotatedBoxes:
        """Return the same rectangles written by a convention, with the angle from +x to +y in the unit that it has.

        Parameters
        ----------
        convention : str
            ``"le90"``: w ≥ h, an angle in [-90°, 90°); ``"oc"``: an angle in (0°, 90°]; ``"le135"``: w ≥ h, an angle in
            [-45°, 135°).

        Raises
        ------
        ValueError
            Another convention; or quadrilaterals, which have no angle.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.RotatedBoxes([[0, 0, 2, 4, 30]], "cxcywhd").canonical("le90").columns[2:]
        (array([4.]), array([2.]), array([-60.]))
        """
        as_choice(convention, turning.CONVENTIONS, "a convention")
        if self.geometry == QUADS:
            raise ValueError("expected rectangles, got quadrilaterals, which have no angle: use .rectangles() first")
        columns, told = turning.canonical(self.columns, self.format, convention)
        return RotatedBoxes.of(columns, told, self.offsets, self.images)

    def invalid(self) -> NDArray[np.uint8]:
        """Return ``(n,)`` codes of validity.

        0 for a valid box; 1 if a number is not finite, or the area is above an eighth of the greatest float64 (sides
        above 4.7e153), 2 for a negative width or height, 3 for an angle beyond 2^20 radians, 4 for edges that cross.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.RotatedBoxes([[0, 0, 1, 1, 9], [0, 0, -1, 1, 0]], "cxcywhr").invalid()
        array([0, 2], dtype=uint8)
        """
        finite = np.logical_and.reduce([np.isfinite(column) for column in self.columns])
        if self.geometry == QUADS:
            reasons = np.where(turning.edges_cross(self.columns), 4, 0)
        else:
            _, _, w, h, angle = self.columns
            most = MOST_DEGREES if self.format.endswith("d") else MOST_RADIANS
            reasons = np.where((w < 0) | (h < 0), 2, np.where(np.abs(angle) > most, 3, 0))
        reasons = np.where((reasons == 0) & turning.areas_overflow(self.columns), 1, reasons)
        return np.where(finite, reasons, 1).astype(np.uint8)


def columns_of(format: str) -> int:
    """Return the number of columns of a format.

    Raises
    ------
    ValueError
        The format is unknown, or relative where the unit square would be no square in pixels.
    """
    if format == RELATIVE:
        return 8
    if isinstance(format, str) and format.removeprefix("rel_") in ROTATED_FORMATS[:-1] and format.startswith("rel_"):
        raise ValueError(f"expected pixels, got {format!r}: an angle in fractions of a size is none in pixels")
    as_choice(format, (*ROTATED_FORMATS, RELATIVE), "a format")
    return 8 if format == "xyxyxyxy" else 5


def split(coords: Any, count: int, format: str) -> tuple[NDArray[Any], ...]:
    """Return the columns of an array of coordinates, as float32 or float64."""
    array = as_floats(coords, "boxes")
    if array.size == 0 and array.ndim < 3:
        array = array.reshape(0, count)
    if count == 8 and array.ndim == 3 and array.shape[1:] == (4, 2):
        array = array.reshape(-1, 8)
    if array.ndim != 2 or array.shape[1] != count:
        one = array.shape == (count,)
        raise ValueError(
            f"expected boxes of shape {SHAPES[count]} for {format!r}, got {array.shape}{': give a list' if one else ''}"
        )
    return tuple(array.T)


def promoted(columns: tuple[Any, ...]) -> tuple[NDArray[Any], ...]:
    """Return columns as floats of one dtype."""
    arrays = [as_floats(column, "columns") for column in columns]
    shapes = [array.shape for array in arrays]
    if arrays[0].ndim != 1 or len(set(shapes)) > 1:
        raise ValueError(f"expected columns of one shape (n,), got {', '.join(map(shown, shapes))}")
    dtype = np.result_type(*arrays)
    return tuple(array.astype(dtype, copy=False) for array in arrays)


def in_pixels(
    columns: tuple[NDArray[Any], ...], format: str, size: tuple[ArrayLike, ArrayLike] | None
) -> tuple[tuple[NDArray[Any], ...], str]:
    """Return columns in pixels, and their format without ``rel_``."""
    if format != RELATIVE:
        if size is not None:
            raise ValueError(f"size= is for {RELATIVE}, got it with format {format!r}")
        return columns, format
    if size is None:
        raise ValueError(f"expected size=(width, height) with {RELATIVE}, got none")
    n, dtype = len(columns[0]), columns[0].dtype
    sides = [in_dtype(side, dtype) for side in as_sides(size)]
    for side in sides:
        if side.shape not in ((), (n,)) or not (np.isfinite(side) & (side > 0)).all():
            raise ValueError(
                f"expected size=(width, height) of finite numbers above 0, one or {n} each, got {shown(size)}"
            )
    with np.errstate(over="ignore"):  # a coordinate that is not finite makes the box invalid
        return tuple(column * sides[k % 2] for k, column in enumerate(columns)), "xyxyxyxy"
