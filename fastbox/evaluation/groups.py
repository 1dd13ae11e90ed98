"""Groups of images and of truths, decided before images are added, that have figures of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.errors import InputError, advice
from fastbox.evaluation.params import MOST_RANGES, Params
from fastbox.evaluation.sides import Images
from fastbox.values.numbers import as_array

__all__ = ["MOST_GROUPS", "Grouping", "Groups", "coded_values", "grouped", "too_many"]

MOST_GROUPS = 64  # by one column
MOST_FRACTIONS = 16  # groups by numbers that are not whole: more of them are measurements, not groups
IMAGES, TRUTHS = "images", "truths"


@dataclass(frozen=True)
class Grouping:
    """The groups of images or of truths by one column.

    Attributes
    ----------
    name : str
        The column.
    of : {"images", "truths"}
        A group of images has whole images; outside a group of truths, truths are ignored.
    labels : tuple
        The value of each group; None for images or truths without a value.
    """

    name: str
    of: str
    labels: tuple[Any, ...]


@dataclass(frozen=True)
class Groups:
    """All groups of an evaluation.

    Each group of truths has a bit, and each image a code for each grouping of images.
    """

    groupings: tuple[Grouping, ...] = ()

    @property
    def of_images(self) -> list[Grouping]:
        """The groupings of images."""
        return [own for own in self.groupings if own.of == IMAGES]

    @property
    def masks(self) -> int:
        """The number of groups of truths."""
        return sum(len(own.labels) for own in self.groupings if own.of == TRUTHS)

    @property
    def columns(self) -> list[str]:
        """The name of the column of codes of each grouping of images."""
        return [f"group{place}" for place in range(len(self.of_images))]

    def first(self, grouping: Grouping) -> int:
        """Return the place of the first group of a grouping of truths among all groups of truths."""
        before = self.groupings[: self.groupings.index(grouping)]
        return sum(len(own.labels) for own in before if own.of == TRUTHS)

    def check(self, params: Params) -> None:
        """Refuse more groups than an evaluation keeps apart.

        Raises
        ------
        InputError
        """
        if self.groupings and params.record.keeps is not None:
            raise InputError(f"expected no slices with rule {params.rule!r}, whose figures have none: leave them out")
        for own in self.groupings:
            fractions = sum(isinstance(label, float) and not label.is_integer() for label in own.labels)
            if fractions > MOST_FRACTIONS:
                raise InputError(too_many(own.name, fractions, MOST_FRACTIONS, "of fractions "))
            if len(own.labels) > MOST_GROUPS:
                raise InputError(too_many(own.name, len(own.labels)))
        most = MOST_RANGES - len(params.area_ranges)
        if self.masks > most:
            names = ", ".join(repr(own.name) for own in self.groupings if own.of == TRUTHS)
            raise InputError(f"expected at most {most} groups of truths, got {self.masks} by {names}: {_fewer()}")

    def bits(self, codes: Mapping[str, NDArray[np.int64]], size: int) -> NDArray[np.uint32]:
        """Return a bit for each group that a truth is not in, given the codes of truths by the name of the column."""
        bits = np.full(size, (1 << self.masks) - 1, np.uint32)
        for own in self.groupings:
            if own.of == TRUTHS:
                bits &= ~(np.uint32(1) << (codes[own.name] + self.first(own)).astype(np.uint32))
        return bits


def too_many(name: str, count: int, most: int = MOST_GROUPS, kind: str = "") -> str:
    """Return the sentence that refuses a column with too many values."""
    return f"expected at most {most} groups {kind}by {name!r}, got {count:,} or more: {_fewer()}"


def _fewer() -> str:
    return f"{advice('slice by', 'give')} fewer columns, or by a column that cuts the values into a few ranges"


def grouped(
    given: Mapping[str, Any], images: Images, truths: int, params: Params
) -> tuple[Groups, NDArray[np.int16], NDArray[np.uint32]]:
    """Return the groups of arrays or dicts, the codes of images, and the bits of truths.

    An array has a value for each truth, or for each image of both sides in ascending order; a dict has a value for the
    id of each image.
    """
    groupings, of_images = [], []
    of_truths: dict[str, NDArray[np.int64]] = {}
    for name, values in given.items():
        if isinstance(values, Mapping):
            if images.ids is None:
                raise TypeError(f"expected slices[{name!r}] as an array, got a dict: these boxes have no ids of images")
            listed = [values.get(one) for one in images.ids.tolist()]
            codes, labels = coded_values(listed)
            of = IMAGES
        else:
            array = as_array(values, f"slices[{name!r}]")
            counts = {IMAGES: len(images), TRUTHS: truths}
            fits = [kind for kind, count in counts.items() if array.shape == (count,)]
            if not fits:
                raise ValueError(
                    f"expected slices[{name!r}] with a value for each of {truths:,} truths or {len(images):,} images, "
                    f"got shape {array.shape}: give one of both, or a dict by the ids of images"
                )
            # With as many truths as images, an array is that of the images only if each image has one truth.
            of = fits[0] if len(fits) == 1 or (np.diff(images.truth_bounds) == 1).all() else TRUTHS
            codes, labels = coded_values(array.tolist())
        groupings.append(Grouping(name, of, labels))
        if of == IMAGES:
            of_images.append(codes)
        else:
            of_truths[name] = codes
    groups = Groups(tuple(groupings))
    groups.check(params)
    table = np.array(of_images, np.int64).reshape(len(of_images), len(images)).astype(np.int16)
    return groups, table, groups.bits(of_truths, truths)


def coded_values(values: Sequence[Any]) -> tuple[NDArray[np.int64], tuple[Any, ...]]:
    """Return the code of each value, and the values in their order; None and nan are one value, the last.

    >>> coded_values(["b", None, "a", float("nan")])
    (array([1, 2, 0, 2]), ('a', 'b', None))
    """
    known = [None if value != value else value for value in values]
    distinct = set(known)
    ranked = sorted(distinct - {None}, key=lambda value: (isinstance(value, str), value))
    labels = (*ranked, *([None] if None in distinct else []))
    places = {label: place for place, label in enumerate(labels)}
    return np.array([places[value] for value in known], np.int64), labels
