"""Anchors matched with truths by a rule, for whole datasets at once."""

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
    """Match anchors to truths by IoU, without the matrix, exactly as a named rule does.

    Parameters
    ----------
    anchors : AnchorGrid, Boxes or array of shape (n, 4)
        A grid, or boxes that are the same for every image, or boxes grouped by image (proposals, detections).
    truths : Boxes or array of shape (m, 4)
        Grouped by image, a whole dataset is matched in one call.
    rule : MatchRule or str
        A rule, or the name of one from ``fastbox.RULES`` with its defaults.
    size : (width, height), optional
        For a grid, and then required: the image's size in pixels. For grouped truths also one size each: a pair of
        arrays of shape (g,), or an array of shape (g, 2).
    ignore : Boxes or array of shape (k, 4), optional
        Ignore regions, grouped as the truths are. Anchors inside them take no part: they are ignored, and no truth's
        best.
    sparse : bool
        List only the anchors that are not negative: all that a loss needs, in a small fraction of memory and time.

    Returns
    -------
    Matches
        Labels, truths and values, the same bits for any number of threads and as the whole IoU matrix would give.

    Raises
    ------
    ValueError
        An unknown rule, ignore regions with a rule that has none, a size that is missing or can't be, or sets of which
        only some are grouped.

    Notes
    -----
    An invalid truth matches nothing. An invalid anchor is ignored. Values tie towards the first truth. With ``"atss"``
    only positives have a truth and a value.

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
