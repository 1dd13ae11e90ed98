"""Recall of each model by class and size, the weight that its silence has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.values.coco import AREA_BOUNDS, SIZES

__all__ = ["Recalls", "sizes_of"]

PRIOR = 5.0  # truths of the same recall as the class has, added to each size of it; and to each class, as all have

Ints = NDArray[np.int64]


def sizes_of(areas: NDArray[np.float64]) -> Ints:
    """Return the place of each area among COCO's sizes.

    >>> sizes_of(np.array([4.0, 1024.0, 1e6]))
    array([0, 1, 2])
    """
    return np.searchsorted(AREA_BOUNDS, areas, side="right")


def _counts(*shape: int) -> Ints:
    return np.zeros((*shape, len(SIZES)), np.int64)


@dataclass(frozen=True)
class Recalls:
    """The number of truths, and of truths that each model finds, by class and size.

    Attributes
    ----------
    models, classes : tuple
        Labels in ascending order.
    truths : array of shape (classes, sizes)
    found : array of shape (models, classes, sizes)
        A truth is found if a detection of its class with a sufficient score hits it.
    """

    models: tuple[Any, ...] = ()
    classes: tuple[Any, ...] = ()
    truths: Ints = field(default_factory=lambda: _counts(0))
    found: Ints = field(default_factory=lambda: _counts(0, 0))

    def __add__(self, other: Recalls) -> Recalls:
        """Return the counts of both sets of images."""
        models, classes = (tuple(sorted({*own, *its})) for own, its in self._labels(other))
        truths, found = _counts(len(classes)), _counts(len(models), len(classes))
        for part in (self, other):
            rows = np.array([models.index(label) for label in part.models], np.int64)
            columns = np.array([classes.index(label) for label in part.classes], np.int64)
            truths[columns] += part.truths
            found[rows[:, None], columns] += part.found
        return Recalls(models, classes, truths, found)

    def _labels(self, other: Recalls) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        return (self.models, other.models), (self.classes, other.classes)

    def shares(self) -> NDArray[np.float64]:
        """Return the recall of each model, class and size: of few truths near that of the class, or of all classes.

        >>> found = Recalls((None,), (7,), np.array([[0, 0, 5]]), np.array([[[0, 0, 4]]]))
        >>> found.shares().round(3).tolist()
        [[[0.8, 0.8, 0.8]]]
        """
        of_all = self.found.sum(axis=(1, 2)) / max(int(self.truths.sum()), 1)
        wanted = self.truths.sum(axis=1)
        of_classes = (self.found.sum(axis=2) + PRIOR * of_all[:, None]) / (wanted + PRIOR)
        shares: NDArray[np.float64] = (self.found + PRIOR * of_classes[:, :, None]) / (self.truths + PRIOR)
        return shares
