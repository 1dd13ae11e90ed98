"""Matching of anchors with truths by a rule, for whole datasets at once."""

from __future__ import annotations

from typing import Any

from fastbox.assign.registry import as_rule, assigner_of
from fastbox.assign.result import Matches
from fastbox.assign.rule import MatchRule
from fastbox.values.arguments import named

__all__ = ["match"]


@named
def match(
    anchors: Any,
    truths: Any,
    *,
    rule: MatchRule | str = "fastbox",
    size: Any = None,
    ignore: Any = None,
    sparse: bool = False,
) -> Matches:
    """Match anchors with truths by a rule, exactly as the library that the rule is named after, without the IoU matrix.

    Parameters
    ----------
    anchors : AnchorGrid, Boxes or array of shape (n, 4)
        A grid, the same boxes for every image, or boxes grouped by image (proposals, detections).
    truths : Boxes or array of shape (m, 4)
        One image's truths, or those of a whole dataset grouped by image.
    rule : MatchRule or str
        A rule, or the name of one from ``fastbox.RULES`` with its defaults.
    size : (width, height), optional
        The image's size in pixels; required for a grid, and only for a grid. For g groups of truths also one size each:
        a pair of arrays of shape (g,), or an array of shape (g, 2).
    ignore : Boxes or array of shape (k, 4), optional
        Ignore regions, grouped as the truths are. Anchors inside a region are ignored, and are no truth's best anchor.
    sparse : bool
        List only the anchors that are not negative: a loss needs no others, and memory and time are a small fraction.

    Returns
    -------
    Matches
        Labels, truths and values: the same bits for any number of threads, and as from the whole IoU matrix.

    Raises
    ------
    ValueError
        An unknown rule, ignore regions with a rule that has none, a size that is missing or is not of whole pixels, or
        sets of which only some are grouped.

    Notes
    -----
    An invalid truth matches nothing. An invalid anchor is ignored. Of equal values the first truth wins. With
    ``"atss"`` only positive anchors have a truth and a value.

    Examples
    --------
    >>> import fastbox
    >>> anchors = [[0, 0, 10, 10], [10, 10, 20, 20], [5, 5, 15, 15], [32, 32, 38, 42]]
    >>> truths = [[0, 0, 10, 9], [0, 10, 10, 19]]
    >>> found = fastbox.match(anchors, truths, rule="torchvision")
    >>> found
    Matches(2 positive, 0 ignored, 2 negative; 1 images)
    >>> found.labels, found.truths
    (array([1, 0, 1, 0], dtype=int8), array([ 0, -1,  1, -1]))
    >>> fastbox.match(anchors, truths, sparse=True).anchors
    array([0, 2])
    """
    rule = as_rule(rule)
    return assigner_of(rule).assign(rule, anchors, truths, size=size, ignore=ignore, sparse=sparse)
