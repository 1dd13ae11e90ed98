"""Recall of each model by class and size, the weight that its silence has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass

if TYPE_CHECKING:
    from fastbox.evaluation.suspects.survey import Scene

__all__ = ["Recalls", "sizes_of"]

BOUNDS = 4.0 ** np.arange(1, 12)  # areas of squares with sides of 2, 4, … 2,048 pixels
SIZES = len(BOUNDS) + 1
PRIOR = 5.0  # truths found as often as all of their size are, added to those of each class

Ints = NDArray[np.int64]


def sizes_of(areas: NDArray[np.float64]) -> Ints:
    """Return the size of boxes by their areas: the whole binary logarithm of the side of a square, from 0 to 11.

    >>> sizes_of(np.array([0.0, 4.0, 1023.0, 1024.0]))
    array([0, 1, 4, 5])
    """
    return np.searchsorted(BOUNDS, areas, side="right")


def _counts(*shape: int) -> Ints:
    return np.zeros((*shape, SIZES), np.int64)


@dataclass(frozen=True)
class Recalls:
    """The number of truths, and of truths that each model finds, by class and size.

    Attributes
    ----------
    models, classes : tuple
        Labels; those of a sum are in ascending order.
    truths : array of shape (classes, sizes)
    found : array of shape (models, classes, sizes)
        A truth is found if a detection of its class with a sufficient score hits it.
    """

    models: tuple[Any, ...] = ()
    classes: tuple[Any, ...] = ()
    truths: Ints = field(default_factory=lambda: _counts(0))
    found: Ints = field(default_factory=lambda: _counts(0, 0))

    @classmethod
    def zeros(cls, models: Sequence[Any], classes: Sequence[Any]) -> Recalls:
        """Return counts of 0."""
        shape = len(models), len(classes)
        return cls(tuple(models), tuple(classes), _counts(shape[1]), _counts(*shape))

    def __add__(self, other: Recalls) -> Recalls:
        """Return the counts of both sets of images."""
        both = Recalls.zeros(_union(self.models, other.models), _union(self.classes, other.classes))
        for part in (self, other):
            rows, columns = _places(part.models, both.models), _places(part.classes, both.classes)
            both.truths[columns] += part.truths
            both.found[rows[:, None], columns] += part.found
        return both

    def count(self, found: NDArray[np.bool_], scene: Scene) -> None:
        """Count the truths of a scene, whose codes are places of labels; `found` has a column for each model."""
        kinds, sizes, there = scene.truth_kinds, scene.truth_sizes, ~scene.apart
        np.add.at(self.truths, (kinds[there], sizes[there]), 1)
        truths, models = np.nonzero(found)
        np.add.at(self.found, (models, kinds[truths], sizes[truths]), 1)

    def shares(self) -> NDArray[np.float64]:
        """Return the recall of each model, class and size, near that of all classes for few truths.

        Without a model there is one that finds nothing.

        >>> one = np.zeros((1, SIZES), np.int64) + 5
        >>> Recalls((None,), (7,), one, one[None] - 1).shares().round(3)[0, 0, :2].tolist()
        [0.8, 0.8]
        """
        found = self.found if len(self.models) else _counts(1, len(self.classes))
        of_all = found.sum(axis=(1, 2)) / max(int(self.truths.sum()), 1)
        of_sizes = (found.sum(axis=1) + PRIOR * of_all[:, None]) / (self.truths.sum(axis=0) + PRIOR)
        shares: NDArray[np.float64] = (found + PRIOR * of_sizes[:, None]) / (self.truths + PRIOR)
        return shares


def _union(own: Sequence[Any], its: Sequence[Any]) -> list[Any]:
    found = {*own, *its}
    return list(found) if len(found) < 2 else sorted(found)


def _places(labels: Sequence[Any], whole: Sequence[Any]) -> Ints:
    place = {label: number for number, label in enumerate(whole)}
    return np.array([place[label] for label in labels], np.int64)
