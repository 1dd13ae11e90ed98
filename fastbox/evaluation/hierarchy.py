"""Classes that stand below others: a truth of a class is also one of the classes above."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.evaluation.sides import GroundTruths, Images

__all__ = ["Expanded", "above", "below", "expand"]


class Expanded(NamedTuple):
    """Truths with those of the classes above behind each, and the rows of the truths they come from."""

    images: Images
    truths: GroundTruths
    rows: NDArray[np.int64]


def above(parents: Mapping[Any, Collection[Any]]) -> dict[Any, list[Any]]:
    """Return all classes above each class that has parents, each once, the nearest first.

    >>> above({"cat": ["pet", "mammal"], "pet": ["animal"], "mammal": ["animal"]})
    {'cat': ['pet', 'mammal', 'animal'], 'pet': ['animal'], 'mammal': ['animal']}
    """
    found = {}
    for label in parents:
        reached: dict[Any, None] = {}
        level = list(parents[label])
        while level:
            new = [own for own in dict.fromkeys(level) if own not in reached and own != label]
            reached |= dict.fromkeys(new)
            level = [own for one in new for own in parents.get(one, ())]
        found[label] = list(reached)
    return found


def below(parents: Mapping[Any, Collection[Any]]) -> dict[Any, list[Any]]:
    """Return all classes below each class that has children.

    >>> below({"cat": ["pet"], "pet": ["animal"]})
    {'pet': ['cat'], 'animal': ['cat', 'pet']}
    """
    found: dict[Any, list[Any]] = {}
    for label, labels in above(parents).items():
        for own in labels:
            found.setdefault(own, []).append(label)
    return found


def expand(images: Images, truths: GroundTruths, higher: Mapping[int, Collection[int]]) -> Expanded:
    """Add a truth for each class above that of a truth, given the codes of these classes by the code of the class."""
    size = int(truths.classes.max(initial=-1)) + 1
    each = [[kind, *higher.get(kind, ())] for kind in range(size)]
    counts = np.array([len(kinds) for kinds in each], np.int64)[truths.classes]
    rows = np.repeat(np.arange(len(counts)), counts)
    ends = np.concatenate(([0], np.cumsum(counts)))
    flat = np.array([kind for kinds in each for kind in kinds], np.int64)
    starts = np.concatenate(([0], np.cumsum([len(kinds) for kinds in each])))[:-1].astype(np.int64)
    kinds = flat[starts[truths.classes][rows] + np.arange(len(rows)) - ends[rows]]
    more = replace(truths.of_rows(rows), classes=kinds)
    around = Images(images.ids, images.bounds, ends[images.truth_bounds], images.groups)
    return Expanded(around, more, rows)
