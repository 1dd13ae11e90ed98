"""Boxes: four coordinate columns, a format and image offsets; a view of the caller's memory wherever it allows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FORMATS", "Boxes", "align_images", "as_boxes", "as_floats"]

FORMATS = ("xyxy", "xywh", "cxcywh", "yxyx")

Columns = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]

_SIZE_OF = {"xyxy": (0, 1, 0, 1), "xywh": (0, 1, 0, 1), "cxcywh": (0, 1, 0, 1), "yxyx": (1, 0, 1, 0)}


class Boxes:
    """Boxes as four columns of one float dtype, in one format, optionally grouped by image.

    Parameters
    ----------
    coords : array of shape (n, 4)
        Anything with ``__array__``, DLPack or the Arrow C interface: NumPy, torch on the CPU, pandas, polars, pyarrow.
        float32 and float64 are viewed, not copied; float16 becomes float32 and integers become float64 *before* any
        subtraction. Frames and Arrow tables are searched for box columns, as :meth:`from_arrow` does.
    format : str
        ``"xyxy"`` (default), ``"xywh"``, ``"cxcywh"`` or ``"yxyx"``, in pixels. With ``rel_`` in front the coordinates
        are fractions of the image's ``size`` and are scaled once, into new memory.
    images : array of shape (n,), optional
        One image id per box, integers or strings, ascending.
    offsets : array of shape (g + 1,), optional
        Where each image's rows begin, from 0 to n: groups without ids.
    size : (width, height), optional
        For ``rel_`` formats: scalars, or one of each per box, in pixels.

    Raises
    ------
    ValueError
        A shape, format, id or offset that can't be; the message says what was expected and what came.
    TypeError
        Coordinates that are not real numbers.

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

    __slots__ = ("columns", "format", "images", "offsets")

    columns: Columns
    format: str
    images: NDArray[Any] | None
    offsets: NDArray[np.int64] | None

    def __init__(
        self,
        coords: Any,
        format: str = "xyxy",
        images: ArrayLike | None = None,
        *,
        offsets: ArrayLike | None = None,
        size: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> None:
        if hasattr(coords, "__arrow_c_stream__") or hasattr(coords, "__arrow_c_array__"):
            found = Boxes.from_arrow(coords, format=None if format == "xyxy" else format, size=size)
            self.columns, self.format = found.columns, found.format
            self.images, self.offsets = found.images, found.offsets
            if images is not None or offsets is not None:
                self.images, self.offsets = _grouping(len(self), images, offsets)
            return
        array = as_floats(coords)
        if array.ndim == 1 and array.size == 0:
            array = array.reshape(0, 4)
        if array.ndim != 2 or array.shape[1] != 4:
            raise ValueError(f"expected coords of shape (n, 4), got {array.shape}")
        self._set((array[:, 0], array[:, 1], array[:, 2], array[:, 3]), format, images, offsets, size)

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
        arrays = [as_floats(c) for c in (c0, c1, c2, c3)]
        shapes = [a.shape for a in arrays]
        if arrays[0].ndim != 1 or len(set(shapes)) > 1:
            raise ValueError(f"expected four columns of one shape (n,), got {', '.join(map(str, shapes))}")
        dtype = np.result_type(*arrays)
        first, second, third, fourth = (a.astype(dtype, copy=False) for a in arrays)
        boxes = cls.__new__(cls)
        boxes._set((first, second, third, fourth), format, images, offsets, size)
        return boxes

    @classmethod
    def from_arrow(
        cls,
        table: Any,
        *,
        boxes: str | None = None,
        format: str | None = None,
        image: str | None = None,
        size: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> Boxes:
        """View the box columns of an Arrow table, a record batch, or a pandas or polars frame.

        Parameters
        ----------
        table : anything with the Arrow C interface
        boxes : str, optional
            One column (struct, fixed-size list, list, or ragged list per image) or four names with commas between;
            found by its name when left out.
        format : str, optional
            The format; told by the columns' names when left out (``xmin ymin xmax ymax``, ``x y w h``, …).
        image : str, optional
            The column of image ids that groups the rows, ascending.

        Raises
        ------
        InputError
            No such column (the nearest name is suggested), a wrong type, a null coordinate, unsorted ids.

        Examples
        --------
        >>> import fastbox, pyarrow as pa
        >>> table = pa.table({"x": [0.0, 1.0], "y": [0.0, 1.0], "w": [2.0, 2.0], "h": [2.0, 2.0], "image_id": [3, 3]})
        >>> fastbox.Boxes.from_arrow(table, image="image_id")
        Boxes(2 boxes in 1 images, xywh, float64)
        """
        from fastbox.tables import schema

        arrow = schema.as_table(table)
        where = schema.find_boxes(arrow.schema, boxes, format)
        return schema.to_boxes(arrow, where, image=image, where="table", size=size)

    def _set(
        self,
        columns: Columns,
        format: str,
        images: ArrayLike | None,
        offsets: ArrayLike | None,
        size: tuple[ArrayLike, ArrayLike] | None,
    ) -> None:
        plain = format.removeprefix("rel_")
        if plain not in FORMATS:
            known = ", ".join(FORMATS)
            raise ValueError(f"expected a format of {known}, or one of them with rel_ in front, got {format!r}")
        if plain != format:
            columns = _scaled(columns, plain, size)
        elif size is not None:
            raise ValueError(f"size= is for formats that begin with rel_, got it with format {format!r}")
        self.columns, self.format = columns, plain
        self.images, self.offsets = _grouping(len(columns[0]), images, offsets)

    def __len__(self) -> int:
        return len(self.columns[0])

    def __repr__(self) -> str:
        groups = "" if self.offsets is None else f" in {len(self.offsets) - 1} images"
        return f"Boxes({len(self)} boxes{groups}, {self.format}, {self.dtype})"

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return self.columns[0].dtype

    @overload
    def __getitem__(self, rows: slice) -> Boxes: ...
    @overload
    def __getitem__(self, rows: ArrayLike) -> Boxes: ...
    def __getitem__(self, rows: Any) -> Boxes:
        """The boxes of some rows (a slice, a mask or indices), ungrouped."""
        if not isinstance(rows, slice):
            rows = np.atleast_1d(np.asarray(rows))
        first, second, third, fourth = (c[rows] for c in self.columns)
        return Boxes.from_columns(first, second, third, fourth, self.format)

    def __iter__(self) -> Iterator[Boxes]:
        """The boxes of each image, one after the other; of one set, the set itself."""
        if self.offsets is None:
            yield self
        else:
            for first, last in zip(self.offsets[:-1], self.offsets[1:], strict=True):
                yield self[int(first) : int(last)]

    def astype(self, dtype: Any) -> Boxes:
        """The same boxes in another float dtype; themselves where it is theirs already."""
        if self.dtype == dtype:
            return self
        first, second, third, fourth = (c.astype(dtype) for c in self.columns)
        boxes = Boxes.__new__(Boxes)
        boxes.columns = (first, second, third, fourth)
        boxes.format, boxes.images, boxes.offsets = self.format, self.images, self.offsets
        return boxes

    def side(self) -> tuple[Any, ...]:
        """The number of the format and the four columns: what every kernel takes for a collection of boxes."""
        return FORMATS.index(self.format), *self.columns

    def corners(self) -> NDArray[Any]:
        """Return ``(n, 4)`` corners x0, y0, x1, y1 in pixels, in new memory.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.Boxes([[5, 5, 4, 2]], "cxcywh").corners()
        array([[3., 4., 7., 6.]])
        """
        p, q, r, s = self.columns
        if self.format == "xywh":
            parts = (p, q, p + r, q + s)
        elif self.format == "cxcywh":
            half = self.dtype.type(0.5)
            parts = (p - half * r, q - half * s, p + half * r, q + half * s)
        elif self.format == "yxyx":
            parts = (q, p, s, r)
        else:
            parts = (p, q, r, s)
        return np.stack(parts, axis=1)

    def invalid(self) -> NDArray[np.uint8]:
        """Return ``(n,)`` why each box is invalid: 0 it is valid, 1 a coordinate is not finite, 2 it is inverted.

        Examples
        --------
        >>> import fastbox
        >>> fastbox.Boxes([[0, 0, 1, 1], [0, 0, float("nan"), 1], [3, 0, 1, 1]]).invalid()
        array([0, 1, 2], dtype=uint8)
        """
        with np.errstate(invalid="ignore", over="ignore"):
            corners = self.corners()
        finite = np.isfinite(corners).all(axis=1)
        inverted = (corners[:, 2] < corners[:, 0]) | (corners[:, 3] < corners[:, 1])
        return np.where(finite, np.where(inverted, 2, 0), 1).astype(np.uint8)


def as_boxes(boxes: Any) -> Boxes:
    """Boxes as they are, anything else as xyxy corners."""
    return boxes if isinstance(boxes, Boxes) else Boxes(boxes)


def as_floats(values: Any) -> NDArray[Any]:
    """View values as float32 or float64, promoting integers and float16 before anything is subtracted."""
    if hasattr(values, "detach"):
        values = values.detach()
    only_dlpack = hasattr(values, "__dlpack__") and not hasattr(values, "__array__")
    array = np.from_dlpack(values) if only_dlpack else np.asarray(values)
    if not array.flags.aligned:
        array = array.copy()
    if array.dtype.kind in "iub":
        return array.astype(np.float64)
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype.kind == "f":
        return array.astype(np.float32 if array.dtype.itemsize == 4 else np.float64, copy=False)
    raise TypeError(f"expected coords of real numbers, got dtype {array.dtype}")


def _scaled(columns: Columns, plain: str, size: tuple[ArrayLike, ArrayLike] | None) -> Columns:
    if size is None:
        raise ValueError("expected size=(width, height) with a format that begins with rel_, got none")
    n, dtype = len(columns[0]), columns[0].dtype
    sides = [np.asarray(side, dtype=dtype) for side in size]
    if len(sides) != 2 or any(side.shape not in ((), (n,)) for side in sides):
        shapes = ", ".join(str(side.shape) for side in sides)
        raise ValueError(f"expected size=(width, height) as scalars or arrays of shape ({n},), got shapes {shapes}")
    first, second, third, fourth = (c * sides[k] for c, k in zip(columns, _SIZE_OF[plain], strict=True))
    return first, second, third, fourth


def _grouping(
    n: int, images: ArrayLike | None, offsets: ArrayLike | None
) -> tuple[NDArray[Any] | None, NDArray[np.int64] | None]:
    if images is not None and offsets is not None:
        raise ValueError("expected images= or offsets=, got both")
    if offsets is not None:
        found = np.asarray(offsets)
        if not _are_offsets(found, n):
            raise ValueError(f"expected offsets that ascend from 0 to {n}, got {_brief(found)}")
        return None, found.astype(np.int64, copy=False)
    if images is None:
        return None, None
    ids = np.asarray(images)
    if ids.ndim != 1:
        raise ValueError(f"expected images of shape ({n},), got {ids.shape}")
    if len(ids) != n:
        raise ValueError(f"expected one image id for each of {n} boxes, got {len(ids)}: give offsets as offsets=")
    if n and ids.dtype.kind not in "iuUSOT":
        raise TypeError(f"expected image ids of integers or strings, got dtype {ids.dtype}")
    later = ids[1:] != ids[:-1]
    down = np.flatnonzero(later & (ids[1:] < ids[:-1]))
    if down.size:
        row = int(down[0]) + 1
        before, after = ids[row - 1].item(), ids[row].item()
        raise ValueError(f"expected ascending image ids, got {after!r} after {before!r} at row {row}: sort first")
    starts = np.flatnonzero(later) + 1
    bounds = np.concatenate(([0], starts, [n])) if n else np.zeros(1, np.int64)
    return ids[bounds[:-1]], bounds.astype(np.int64, copy=False)


def _are_offsets(values: NDArray[Any], n: int) -> bool:
    return bool(
        values.ndim == 1
        and values.dtype.kind in "iu"
        and values.size > 0
        and values[0] == 0
        and values[-1] == n
        and np.all(values[1:] >= values[:-1])
    )


def _brief(values: NDArray[Any]) -> str:
    return np.array2string(values, threshold=6, edgeitems=2)


def align_images(a: Boxes, b: Boxes) -> tuple[NDArray[Any] | None, NDArray[np.int64], NDArray[np.int64]]:
    """Pair the images of two sets: ids where they have them, and one offsets array for each side.

    One set without groups is one image. An image that one side lacks is empty there.

    Raises
    ------
    ValueError
        Only one side is grouped, only one side has ids, or offsets without ids count different images.
    """
    if a.offsets is None and b.offsets is None:
        return None, np.array([0, len(a)]), np.array([0, len(b)])
    if a.offsets is None or b.offsets is None:
        grouped, flat = ("b", "a") if a.offsets is None else ("a", "b")
        raise ValueError(f"expected both sets grouped by image or neither, got {grouped} grouped and {flat} not")
    if a.images is None and b.images is None:
        if len(a.offsets) != len(b.offsets):
            counts = f"{len(a.offsets) - 1} and {len(b.offsets) - 1}"
            raise ValueError(f"expected as many images on both sides, got {counts}")
        return None, a.offsets, b.offsets
    if a.images is None or b.images is None:
        named, bare = ("b", "a") if a.images is None else ("a", "b")
        raise ValueError(f"expected image ids on both sides or on neither, got ids for {named} and offsets for {bare}")
    kinds = ["integers" if ids.dtype.kind in "iu" else "strings" for ids in (a.images, b.images)]
    if kinds[0] != kinds[1] and len(a) and len(b):
        raise ValueError(f"expected image ids of one kind on both sides, got {kinds[0]} and {kinds[1]}")
    if np.array_equal(a.images, b.images):
        return a.images, a.offsets, b.offsets
    ids = np.union1d(a.images, b.images)
    return ids, _spread(a, ids), _spread(b, ids)


def _spread(boxes: Boxes, ids: NDArray[Any]) -> NDArray[np.int64]:
    """The offsets of a set over more ids than its own."""
    assert boxes.images is not None
    assert boxes.offsets is not None
    firsts = np.append(np.searchsorted(boxes.images, ids), len(boxes.images))
    spread: NDArray[np.int64] = boxes.offsets[firsts]
    return spread
