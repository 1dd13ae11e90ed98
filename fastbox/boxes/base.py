"""The base of plain and rotated boxes: columns of one float dtype, a format and image offsets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox.kernels.codes import COLUMNS, FORMATS, PLAIN, ROTATED_FORMATS
from fastbox.values.numbers import as_array, shown

__all__ = ["Collection"]

ALL_FORMATS = FORMATS + ROTATED_FORMATS


class Collection:
    """Boxes as columns, optionally grouped by image."""

    __slots__ = ("columns", "format", "images", "offsets")

    columns: Any
    format: str
    images: NDArray[Any] | None
    offsets: NDArray[np.int64] | None

    @classmethod
    def of(
        cls,
        columns: tuple[NDArray[Any], ...],
        format: str,
        offsets: NDArray[np.int64] | None = None,
        images: NDArray[Any] | None = None,
    ) -> Self:
        """Make boxes of columns of one float dtype in pixels, with offsets and ids; nothing is checked."""
        boxes = cls.__new__(cls)
        boxes.columns, boxes.format, boxes.images, boxes.offsets = columns, format, images, offsets
        return boxes

    def __len__(self) -> int:
        return len(self.columns[0])

    def __repr__(self) -> str:
        groups = "" if self.offsets is None else f" in {len(self.offsets) - 1} images"
        return f"{type(self).__name__}({len(self)} boxes{groups}, {self.format}, {self.dtype})"

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the coordinates: float32 or float64."""
        found: np.dtype[Any] = self.columns[0].dtype
        return found

    @overload
    def __getitem__(self, rows: slice) -> Self: ...
    @overload
    def __getitem__(self, rows: ArrayLike) -> Self: ...
    def __getitem__(self, rows: Any) -> Self:
        """Return the boxes of some rows (a slice, a mask or indices), ungrouped."""
        if not isinstance(rows, slice):
            rows = np.atleast_1d(rows if type(rows) is np.ndarray else as_array(rows, "rows"))
            if rows.dtype.kind not in "iub" and rows.size:
                raise TypeError(f"expected rows as a slice, a mask or integers, got dtype {rows.dtype}")
            if rows.ndim > 1:
                raise ValueError(f"expected rows of shape (n,), got {rows.shape}")
            rows = rows if rows.size else rows.astype(np.int64)
        return self.of(tuple(column[rows] for column in self.columns), self.format)

    def __iter__(self) -> Iterator[Self]:
        """Yield the boxes of one image after the other; ungrouped boxes are yielded whole."""
        if self.offsets is None:
            yield self
        else:
            for first, last in zip(self.offsets[:-1], self.offsets[1:], strict=True):
                yield self[int(first) : int(last)]

    def __array__(self, *_: Any, **__: Any) -> NDArray[Any]:
        """Refuse to be an array without a word on the format."""
        how = "give .corners(), or .columns as they are"
        raise ValueError(f"expected an array, got {type(self).__name__} in format {self.format}: {how}")

    def astype(self, dtype: Any) -> Self:
        """Return the boxes in float32 or float64, float32 for float16 too; the same object if the dtype is the same.

        Raises
        ------
        TypeError
            Another dtype than of floats.
        """
        if dtype is self.dtype:
            return self
        try:
            given = np.dtype(dtype)
        except TypeError:
            given = None
        if given is None or given.kind != "f":
            came = given or shown(dtype)
            raise TypeError(f"expected a float dtype, got {came}: coordinates are float32 or float64")
        dtype = np.dtype(np.float32 if given.itemsize <= 4 else np.float64)
        if self.dtype == dtype:
            return self
        return self.of(tuple(c.astype(dtype) for c in self.columns), self.format, self.offsets, self.images)

    def kernel_args(self, geometry: str = PLAIN) -> tuple[Any, ...]:
        """Return the code of the format and the columns, the form in which kernels of a geometry take boxes.

        A geometry with more columns takes the first one in place of each that these boxes lack, and does not read it.
        """
        missing = COLUMNS[geometry] - len(self.columns)
        return ALL_FORMATS.index(self.format), *self.columns, *[self.columns[0]] * missing

    def invalid(self) -> NDArray[np.uint8]:
        """Return ``(n,)`` codes of validity, 0 for a valid box."""
        raise NotImplementedError
