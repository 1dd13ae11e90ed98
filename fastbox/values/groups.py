"""Boxes by image: the offsets of the rows of each image, and the images of two collections."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox._lazy import deferred
from fastbox.values.labels import as_ids, kind_of, union
from fastbox.values.numbers import as_array

__all__ = [
    "align_images",
    "grouping",
    "groups_of",
    "groups_of_rows",
    "offsets_of",
    "order_of",
    "stable",
    "values_of_rows",
]


sorting = deferred("fastbox.kernels.common.sorting")

MANY = 1 << 17  # rows from which a kernel sorts them: fewer are sorted before it is loaded


class Grouped(Protocol):
    """A collection whose rows are grouped by image."""

    images: NDArray[Any] | None
    offsets: NDArray[np.int64] | None

    def __len__(self) -> int: ...


def grouping(
    n: int, images: ArrayLike | None, offsets: ArrayLike | None
) -> tuple[NDArray[Any] | None, NDArray[np.int64] | None]:
    """Read image ids, or offsets, of n boxes: return the different ids, ascending, and the offsets of their rows.

    Raises
    ------
    ValueError, TypeError
        Image ids and offsets together, another length, missing or descending ids, invalid offsets.
    """
    if images is not None and offsets is not None:
        raise ValueError("expected images= or offsets=, got both")
    if offsets is not None:
        found = as_array(offsets, "offsets")
        if not _are_offsets(found, n):
            raise ValueError(f"expected offsets that ascend from 0 to {n}, got {_brief(found)}")
        return None, found.astype(np.int64, copy=False)
    ids = as_ids(images, "images", n)
    if len(ids) != n:
        raise ValueError(f"expected one image id for each of {n} boxes, got {len(ids)}: give offsets as offsets=")
    later = ids[1:] != ids[:-1]
    down = np.flatnonzero(later & (ids[1:] < ids[:-1]))
    if down.size:
        row = int(down[0]) + 1
        before, after = ids[row - 1 : row + 1].tolist()
        raise ValueError(
            f"expected images in ascending order, got {after!r} after {before!r} at row {row}: sort the boxes by "
            f"np.argsort(images, kind='stable')"
        )
    starts = np.flatnonzero(later) + 1
    bounds = np.concatenate(([0], starts, [n])) if n else np.zeros(1, np.int64)
    return ids[bounds[:-1]], bounds.astype(np.int64, copy=False)


def groups_of_rows(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the group of each row, given the offsets of groups.

    >>> groups_of_rows(np.array([0, 2, 2, 3]))
    array([0, 0, 2])
    """
    return values_of_rows(np.arange(len(offsets) - 1), offsets)


def values_of_rows(values: NDArray[Any], offsets: NDArray[np.int64]) -> NDArray[Any]:
    """Return one value for each row, the value of its group.

    >>> values_of_rows(np.array(["a", "b", "c"]), np.array([0, 2, 2, 3])).tolist()
    ['a', 'a', 'c']
    """
    return np.repeat(values, np.diff(offsets))


def groups_of(rows: ArrayLike, offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers of the groups of some rows.

    >>> groups_of([0, 2], np.array([0, 2, 2, 3]))
    array([0, 2])
    """
    found: NDArray[np.int64] = np.searchsorted(offsets, rows, side="right") - 1
    return found


def offsets_of(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the offsets of groups, given the numbers of their rows.

    >>> offsets_of(np.array([2, 0, 1]))
    array([0, 2, 2, 3])
    """
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets


def stable(groups: NDArray[Any], count: int) -> NDArray[np.int64]:
    """Return the rows by group, those of a group in their order; groups are numbers from 0 on and below `count`.

    A kernel counts the rows of each group, unless rows are few or groups many. NumPy sorts numbers of 16 bits by their
    bytes, in a fraction of the time that it takes to merge larger ones; larger groups are sorted as one number with
    their rows, as far as both have room in 63 bits.

    >>> stable(np.array([70_000, 1, 70_000, 0]), 70_001)
    array([3, 1, 0, 2])
    """
    if MANY <= len(groups) < 2**31 and 8 * count <= len(groups):
        rows = np.empty(len(groups), np.int64)
        sorting.GROUPED[rows.dtype, ""](groups.astype(np.int32, copy=False), np.empty(count, np.int64), rows)
        return rows
    bits = len(groups).bit_length()
    if count > 1 << 16 and (count - 1).bit_length() + bits < 64:
        keys = groups.astype(np.int64)
        keys <<= bits
        keys |= np.arange(len(groups))
        keys.sort()
        keys &= (1 << bits) - 1
        return keys
    low = groups.astype(np.uint16)  # the last 16 bits
    order = np.argsort(low, kind="stable")
    if count > 1 << 16:
        order = order[stable(groups[order] >> 16, ((count - 1) >> 16) + 1)]
    return order


def order_of(ids: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the rows by ascending id, those of an id in their order; None where the ids ascend already.

    >>> order_of(np.array([9, -4, 9, 2**62])), order_of(np.array([1, 1, 5]))
    (array([1, 0, 2, 3]), None)
    """
    if np.all(ids[:-1] <= ids[1:]):
        return None
    least, most = int(ids.min()), int(ids.max())
    return stable(ids.astype(np.uint64) - np.uint64(least % 2**64), most - least + 1)


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


def align_images(
    a: Grouped, b: Grouped, names: tuple[str, str] = ("a", "b")
) -> tuple[NDArray[Any] | None, NDArray[np.int64], NDArray[np.int64]]:
    """Pair the images of two sets: return the ids, if the sets have ids, and one array of offsets for each side.

    One set without groups is one image. An image that one side lacks is empty there.

    Raises
    ------
    ValueError
        Only one side is grouped, only one side has ids, ids of two kinds, or offsets without ids count different
        images; messages call the sides by their names.
    """
    if a.offsets is None and b.offsets is None:
        return None, np.array([0, len(a)]), np.array([0, len(b)])
    if a.offsets is None or b.offsets is None:
        flat, grouped = names if a.offsets is None else names[::-1]
        raise ValueError(
            f"expected {names[0]} and {names[1]} grouped by image both or neither, got {grouped} grouped and {flat} "
            f"not: give both image ids, as in Boxes(boxes, images=ids), or neither, of a frame by "
            f"Boxes.from_arrow(frame, image=False)"
        )
    if a.images is None and b.images is None:
        if len(a.offsets) != len(b.offsets):
            counts = f"{len(a.offsets) - 1} and {len(b.offsets) - 1}"
            raise ValueError(f"expected as many images in {names[0]} as in {names[1]}, got {counts}")
        return None, a.offsets, b.offsets
    if a.images is b.images:
        return a.images, a.offsets, b.offsets
    if a.images is None or b.images is None:
        bare, named = names if a.images is None else names[::-1]
        raise ValueError(f"expected image ids on both sides or on neither, got ids for {named} and offsets for {bare}")
    kinds = kind_of(a.images), kind_of(b.images)
    if None not in kinds and kinds[0] != kinds[1]:
        came = f"{kinds[0]} in {names[0]} and {kinds[1]} in {names[1]}"
        raise ValueError(f"expected image ids of one kind on both sides, got {came}: cast one of them")
    if np.array_equal(a.images, b.images):
        return a.images, a.offsets, b.offsets
    ids = union(a.images, b.images)
    return ids, _spread(a, ids), _spread(b, ids)


def _spread(boxes: Grouped, ids: NDArray[Any]) -> NDArray[np.int64]:
    """Return the offsets of a set over ids that include more than its own."""
    assert boxes.images is not None
    assert boxes.offsets is not None
    firsts = np.append(np.searchsorted(boxes.images, ids), len(boxes.images))
    spread: NDArray[np.int64] = boxes.offsets[firsts]
    return spread
