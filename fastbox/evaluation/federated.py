"""Federated annotations (LVIS, Open Images): images are annotated for some classes only, and others are unknown."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.errors import InputError
from fastbox.values.record_text import record_text

if TYPE_CHECKING:
    from fastbox.evaluation import hierarchy
    from fastbox.evaluation.hierarchy import Expanded
    from fastbox.evaluation.params import Params
    from fastbox.evaluation.sides import Detections, GroundTruths, Images
    from fastbox.values.labels import Codes
else:
    hierarchy = deferred("fastbox.evaluation.hierarchy")  # of Open Images' classes

__all__ = ["Federation"]

FREQUENCIES = ("r", "c", "f")  # rare, common, frequent


@dataclass(frozen=True)
class Federation:
    """The classes that images are annotated for, the frequency of classes, and the classes above others.

    An image is annotated for the classes of its truths, for those that it has, ``present``, and for those that it does
    not have, ``negative``. Detections of other classes are left out. For classes in ``not_exhaustive`` some objects
    have no truth: detections without a match are ignored.

    With ``parents`` each truth is also one of every class above its own. So is a class that is present, and a negative
    class stands for all classes below it.

    Attributes
    ----------
    negative, not_exhaustive : mapping of image id to a collection of classes
    frequency : mapping of class to str
        ``"r"`` (rare), ``"c"`` (common) or ``"f"`` (frequent).
    present : mapping of image id to a collection of classes
    parents : mapping of class to a collection of classes
        Where classes are numbers, these and those of ``present`` and ``negative`` may be names of them.

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
    present: Mapping[Any, Collection[Any]] = field(default_factory=dict)
    parents: Mapping[Any, Collection[Any]] = field(default_factory=dict)

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

    @cached_property
    def _above(self) -> dict[Any, list[Any]]:
        """All classes above each class."""
        return hierarchy.above(self.parents)

    @cached_property
    def _below(self) -> dict[Any, list[Any]]:
        """All classes below each class."""
        return hierarchy.below(self.parents)

    def expand(self, images: Images, truths: GroundTruths, classes: Codes, names: Mapping[str, str]) -> Expanded | None:
        """Add to the truths of some whole images those of the classes above; None without such classes.

        A class above that has no number, where classes are numbers, is left out.
        """
        if not self.parents:
            return None
        codes = _codes(classes, names)
        higher = {codes[label]: labels for label, labels in self._above.items() if label in codes}
        numbers = {} if isinstance(next(iter(classes.labels), ""), str) else {n: int(key) for key, n in names.items()}
        own = {
            code: classes.of(numbers.get(label, label) for label in higher[code] if _is_class(label, numbers, classes))
            for code in np.unique(truths.classes).tolist()
            if code in higher
        }
        return hierarchy.expand(images, truths, {code: found.tolist() for code, found in own.items()})

    def apply(
        self,
        images: Images,
        detections: Detections,
        truths: GroundTruths,
        classes: Codes,
        names: Mapping[str, str],
        params: Params,
    ) -> NDArray[np.bool_]:
        """Mark the detections of some whole images that are beyond the limit, unverified, or of a class that is not
        exhaustive; return those that are unverified.
        """
        fixed = params.options.get("fixed")
        if not fixed:
            detections.left_out = detections.left_out | _beyond(images, detections, params.max_dets[-1])
        codes = _codes(classes, names)
        size = max(len(classes), 1)
        own = images.detection_images.astype(np.int64) * size + detections.classes
        its = images.truth_images.astype(np.int64) * size + truths.classes
        lists = (self.negative, self._below), (self.present, self._above)
        verified = [_numbers(labels, images, codes, size, more) for labels, more in lists]
        known = np.concatenate((its[~truths.left_out], *verified))
        unverified = ~np.isin(own, known) & ~detections.left_out
        detections.lenient = np.isin(own, _numbers(self.not_exhaustive, images, codes, size, {}))
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


def _is_class(label: Any, numbers: Mapping[str, int], classes: Codes) -> bool:
    """Tell whether a label is the name of a number, or is of the kind of the labels."""
    return label in numbers or isinstance(label, str) == isinstance(classes.labels[0], str)


def _codes(classes: Codes, names: Mapping[str, str]) -> dict[Any, int]:
    """Return the codes of classes by their labels, and by their names."""
    named = {names[str(label)]: code for code, label in enumerate(classes.labels) if str(label) in names}
    return named | {label: code for code, label in enumerate(classes.labels)}


def _numbers(
    lists: Mapping[Any, Collection[Any]],
    images: Images,
    codes: Mapping[Any, int],
    size: int,
    more: Mapping[Any, Collection[Any]],
) -> NDArray[np.int64]:
    """Return a number for each image and class of the lists, and for `more` classes of each, if they have a code."""
    ids = range(len(images)) if images.ids is None else images.ids.tolist()
    numbers = [
        place * size + codes[own]
        for place, image in enumerate(ids)
        for label in lists.get(image, ())
        for own in (label, *more.get(label, ()))
        if own in codes
    ]
    return np.array(numbers, np.int64)
