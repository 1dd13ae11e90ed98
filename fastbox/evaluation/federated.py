"""Federated annotations: each image is annotated for some classes only, and the others are unknown (LVIS)."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox.errors import InputError
from fastbox.values.record_text import record_text

if TYPE_CHECKING:
    from fastbox.evaluation.params import Params
    from fastbox.evaluation.sides import Detections, GroundTruths, Images
    from fastbox.values.labels import Codes

__all__ = ["Federation"]

FREQUENCIES = ("r", "c", "f")  # rare, common, frequent


@dataclass(frozen=True)
class Federation:
    """The classes that images are annotated for, and the frequency of classes.

    An image is annotated for the classes of its truths and for those that it does not have: ``negative``. Detections of
    other classes are left out. For classes in ``not_exhaustive`` some objects have no truth: detections without a match
    are ignored.

    Attributes
    ----------
    negative, not_exhaustive : mapping of image id to a collection of classes
    frequency : mapping of class to str
        ``"r"`` (rare), ``"c"`` (common) or ``"f"`` (frequent).

    Examples
    --------
    >>> import fastbox
    >>> boxes, truths = fastbox.Boxes([[0, 0, 4, 4]] * 3, images=[1] * 3), fastbox.Boxes([[0, 0, 4, 4]], images=[1])
    >>> known = fastbox.Federation(negative={1: [7]}, frequency={3: "r", 7: "f"})
    >>> found = fastbox.evaluate(
    ...     boxes, [0.9, 0.8, 0.7], truths, classes=[3, 7, 8], truth_classes=[3], rule="lvis", federation=known
    ... )
    >>> round(found.stats()["APr"], 6), found.unverified
    (1.0, 1)
    """

    negative: Mapping[Any, Collection[Any]] = field(default_factory=dict)
    not_exhaustive: Mapping[Any, Collection[Any]] = field(default_factory=dict)
    frequency: Mapping[Any, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for label, frequency in self.frequency.items():
            if frequency not in FREQUENCIES:
                raise ValueError(f"expected frequencies of r, c or f, got {frequency!r} of class {label!r}")

    def __repr__(self) -> str:
        return record_text(self)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Federation:
        """Read the lists of images and categories of a JSON file of LVIS.

        Raises
        ------
        InputError
            A file without these lists.
        """
        import msgspec

        from fastbox.evaluation.federation_file import Lists

        try:
            with open(path, "rb") as file:
                found = msgspec.json.decode(file.read(), type=Lists)
        except (OSError, msgspec.MsgspecError) as error:
            raise InputError(
                "expected JSON of LVIS, whose images have neg_category_ids and not_exhaustive_category_ids, got "
                f"{path}: {error}"
            ) from None
        return cls(
            {image.id: image.neg_category_ids for image in found.images},
            {image.id: image.not_exhaustive_category_ids for image in found.images},
            {category.id: category.frequency for category in found.categories if category.frequency},
        )

    def apply(
        self, images: Images, detections: Detections, truths: GroundTruths, classes: Codes, params: Params
    ) -> NDArray[np.bool_]:
        """Mark the detections of some whole images that are beyond the limit, unverified, or of a class that is not
        exhaustive; return those that are unverified.
        """
        fixed = params.options["fixed"]
        if not fixed:
            detections.left_out = detections.left_out | _beyond(images, detections, params.max_dets[-1])
        codes = {label: code for code, label in enumerate(classes.labels)}
        size = max(len(codes), 1)
        own = images.detection_images.astype(np.int64) * size + detections.classes
        its = images.truth_images.astype(np.int64) * size + truths.classes
        known = np.union1d(its[~truths.left_out], _numbers(self.negative, images, codes))
        unverified = ~np.isin(own, known) & ~detections.left_out
        detections.lenient = np.isin(own, _numbers(self.not_exhaustive, images, codes))
        if fixed:  # which takes part in the limit of its class
            detections.lenient |= unverified
            detections.unmatched = unverified
        else:
            detections.left_out = detections.left_out | unverified
        return unverified

    def frequencies(self, labels: Collection[Any]) -> NDArray[np.int8]:
        """Return the place of the frequency of each class among rare, common and frequent; -1 if it is unknown."""
        places = {frequency: place for place, frequency in enumerate(FREQUENCIES)}
        return np.array([places.get(self.frequency.get(label, ""), -1) for label in labels], np.int8)


def _beyond(images: Images, detections: Detections, limit: int) -> NDArray[np.bool_]:
    """Return a flag for each detection that is not among the `limit` of its image and model with the highest scores."""
    group = images.detection_images.astype(np.int64) << 32 | detections.models
    counts = np.unique_counts(group).counts
    if not len(counts) or counts.max() <= limit:
        return np.zeros(len(group), np.bool_)
    order = np.lexsort((-detections.ranked(slice(None)), group))
    ordered = group[order]
    begins = np.searchsorted(ordered, ordered)
    beyond = np.zeros(len(group), np.bool_)
    beyond[order] = np.arange(len(group)) - begins >= limit
    return beyond


def _numbers(lists: Mapping[Any, Collection[Any]], images: Images, codes: Mapping[Any, int]) -> NDArray[np.int64]:
    """Return a number for each image and class of the lists, of the classes that have a code."""
    ids = range(len(images)) if images.ids is None else images.ids.tolist()
    size = max(len(codes), 1)
    numbers = [
        place * size + codes[label]
        for place, image in enumerate(ids)
        for label in lists.get(image, ())
        if label in codes
    ]
    return np.array(numbers, np.int64)
