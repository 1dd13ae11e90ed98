"""The images that truths, ignore regions and anchors have together, and the images' sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.boxes.base import Collection
from fastbox.values.groups import align_images
from fastbox.values.numbers import as_floats, as_sides

__all__ = ["images_of", "sizes_of"]


def images_of(**sets: Collection | None) -> tuple[NDArray[Any] | None, list[NDArray[np.int64]]]:
    """Return the ids of all images, if any, and for each set of boxes the first row of each image."""
    truths = sets["truths"]
    assert truths is not None
    given = {name: boxes for name, boxes in sets.items() if boxes is not None}
    if all(boxes.offsets is None for boxes in given.values()):
        return None, [np.array([0, 0 if boxes is None else len(boxes)]) for boxes in sets.values()]
    every = truths
    for name, boxes in given.items():
        if (boxes.offsets is None) != (truths.offsets is None):
            grouped, flat = (name, "truths") if truths.offsets is None else ("truths", name)
            raise ValueError(
                f"expected all of truths, ignore and anchors grouped by image, or none (anchors that are the same for "
                f"every image need no groups), got {grouped} grouped and {flat} not: give image ids, as in "
                f"Boxes(boxes, images=ids)"
            )
        images, offsets, _ = align_images(every, boxes, ("truths", name))
        if truths.offsets is not None:
            every = every.of(every.columns, every.format, offsets, images)
    images = every.images
    starts = [np.zeros(0, np.int64) if boxes is None else align_images(every, boxes)[2] for boxes in sets.values()]
    nothing = np.zeros(len(starts[0]), np.int64)
    return images, [nothing if boxes is None else found for boxes, found in zip(sets.values(), starts, strict=True)]


def sizes_of(size: Any, images: int) -> tuple[tuple[tuple[int, int], ...], NDArray[np.int64]]:
    """Return the different sizes, and the number of each image's size among them."""
    if size is None:
        raise ValueError("expected size=(width, height) with a grid, got none")
    pair = isinstance(size, tuple) and len(size) == 2
    if pair and type(size[0]) is type(size[1]) is int and min(size) > 0 and max(size) < 2**31:
        return (size,), np.zeros(images, np.int64)
    if pair or not hasattr(size, "__len__") or isinstance(size, str):
        width, height = as_sides(size)
        shapes = {side.shape for side in (width, height)} - {()}
        found = np.stack(np.broadcast_arrays(width, height), axis=-1) if len(shapes) < 2 else width
    else:
        found = as_floats(size, "size")
    if found.shape not in ((2,), (images, 2)):
        raise ValueError(f"expected size=(width, height) or {images} of them, got shape {found.shape}")
    if not ((found >= 1) & (found < 2**31) & (found == np.floor(found))).all():
        raise ValueError(f"expected sizes of whole pixels, at least 1, got {size!r}")
    whole = np.broadcast_to(found.astype(np.int64), (images, 2))
    different, which = np.unique(whole, axis=0, return_inverse=True)
    return tuple((w, h) for w, h in different.tolist()), which.reshape(-1).astype(np.int64, copy=False)
