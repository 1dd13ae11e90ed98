"""The protocols of evaluation, each declared by its own module in :mod:`fastbox.evaluation.protocols`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from fastbox._lazy import modules_of
from fastbox._record import NamedTuple, dataclass
from fastbox.evaluation import protocols as home
from fastbox.values.numbers import as_choice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from fastbox.evaluation.curves import Ranked, Traced
    from fastbox.evaluation.matching import Found, Wanted
    from fastbox.evaluation.params import Params

__all__ = ["NO_LIMIT", "Default", "Keeps", "Protocol", "Statistic", "protocol", "protocols"]

NO_LIMIT = 2**31 - 1  # of the number of detections of an image and class


class Default(str):
    """The name of a column in a signature, which stands for the column that a protocol names for the same purpose."""

    __slots__ = ()


class Statistic(NamedTuple):
    """A mean of precision or of recall.

    Attributes
    ----------
    name : str
        The key of the statistic, such as ``"AP50"``.
    recall : bool
        A mean of the highest recalls; else of precision.
    threshold : float or None
        The IoU threshold; None for the mean over all thresholds.
    area, limit : int
        The places of the range of areas and of the limit on detections among those of the rules; limit -1 is the
        greatest.
    """

    name: str
    recall: bool = False
    threshold: float | None = None
    area: int = 0
    limit: int = -1


class Keeps(NamedTuple):
    """A table of further facts of images that a benchmark needs, kept until the figures are computed.

    Attributes
    ----------
    dtypes : mapping of str to dtype
        The columns. ``image``, ``model`` and ``kind`` hold the numbers of images and the codes of models and classes.
    rows : callable
        Returns the columns for some whole images, given detections, truths and rules; images count from 0.
    """

    dtypes: Mapping[str, Any]
    rows: Callable[[Found, Wanted, Params], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class Protocol:
    """The rules of a benchmark where its users give none, and the statistics that it reports.

    Attributes
    ----------
    name : str
    iou_thresholds, recalls : tuple of float
        The IoUs from which on a detection matches, and the recalls at which precision is read.
    area_ranges : mapping of str to (float, float)
        Names, and least and greatest area in square pixels, both included; the first range is the one of AP and AR.
    max_dets : tuple of int
        Limits on the detections of an image and class, ascending.
    greatest_threshold : float
        The IoU that replaces thresholds above it.
    crowd, ignore, area : str or None
        The usual columns of truths: regions that hold many objects, truths that do not count, and areas; None where
        the benchmark has no such column.
    statistics : callable
        The statistics in the order of the benchmark, given the names of ranges of areas and the limits.
    takes : {"last", "first", "any"}
        The truth that a detection takes: the best of those that are free, the last or the first at ties; or the best of
        all, the first at ties, where a detection is false if the truth is taken already.
    options : mapping of str to bool, int, float or str
        Rules that only this benchmark has, with their usual values; an option ``strict`` asks for IoUs above the
        thresholds, ``legacy_pixels`` adds one to the width and height of each box, and ``difficult`` is ``"count"``
        where ignored truths that are no crowds count as all others.
    says : str
        How AP is computed, in a few words.
    traced : callable, optional
        The source of the statistics of a model, given what :class:`fastbox.evaluation.curves.Traced` is given, if the
        benchmark computes other figures than COCO.
    numbers : tuple of str
        Further columns of truths, read if they exist: numbers that ``keeps`` is given.
    class_agnostic : bool
        The benchmark has one class: boxes of any class match.
    regions : bool
        Ignored truths are regions: any number of detections may lie in one, by their share inside of it.
    federated : bool
        Images are annotated for some classes only; a :class:`fastbox.Federation` says which.
    group_of : bool
        A crowd is a truth that counts: one detection in it is true, and further ones are ignored.
    keeps : Keeps, optional
        A table of further facts of the images, for ``traced``.
    sampled : {"", "recalls", "area"}
        How AP of samples of the images is computed if there is ``traced``: by the mean of precision at the recalls, or
        by the area under its envelope; empty where it is not.
    """

    name: str
    iou_thresholds: tuple[float, ...]
    recalls: tuple[float, ...]
    area_ranges: Mapping[str, tuple[float, float]]
    max_dets: tuple[int, ...]
    greatest_threshold: float
    crowd: str | None
    ignore: str | None
    area: str | None
    statistics: Callable[[Sequence[str], Sequence[int]], list[Statistic]]
    takes: Literal["last", "first", "any"] = "last"
    options: Mapping[str, Any] = field(default_factory=dict)
    says: str = ""
    traced: Callable[[Ranked, NDArray[np.int64], Params, int, Mapping[str, NDArray[Any]]], Traced] | None = None
    numbers: tuple[str, ...] = ()
    class_agnostic: bool = False
    regions: bool = False
    federated: bool = False
    group_of: bool = False
    keeps: Keeps | None = None
    sampled: Literal["", "recalls", "area"] = ""

    def columns(self, there: Collection[str], **given: str | None) -> dict[str, str | None]:
        """Return the columns of truths to read as ``crowd``, ``ignore`` and ``area``, given the existing columns.

        A :class:`Default` is replaced by the column of this protocol, which is read if it exists.
        """
        found: dict[str, str | None] = {}
        for purpose, name in given.items():
            own = getattr(self, purpose)
            asked = own if isinstance(name, Default) else name
            found[purpose] = None if asked is None or (asked == own and own not in there) else str(asked)
        return found


def protocol(name: str) -> Protocol:
    """Return a protocol by its name, of the module with this name if there is one; others are not loaded then.

    >>> protocol("coco").max_dets
    (1, 10, 100)
    """
    alone = {own.name: own for own in _of(name)} if name in _names() else {}
    return alone[name] if name in alone else protocols()[as_choice(name, list(protocols()), "a rule")]


@cache
def protocols() -> Mapping[str, Protocol]:
    """Return all protocols by name: the ``PROTOCOLS`` of every module in the folder.

    >>> list(protocols())
    ['ai-tod', 'coco', 'crowdhuman', 'kitti', 'lvis', 'open-images', 'voc07', 'voc12']
    """
    return {own.name: own for name in _names() for own in _of(name)}


def _names() -> list[str]:
    """Return the names of the modules, with dashes."""
    return [name.replace("_", "-") for name in modules_of(home)]


def _of(name: str) -> Sequence[Protocol]:
    found: Sequence[Protocol] = import_module(f"{home.__name__}.{name.replace('-', '_')}").PROTOCOLS
    return found
