"""Matching of anchors with truths by a rule, for whole datasets at once."""

from __future__ import annotations

from typing import Any

from fastbox.anchors.points import PointGrid
from fastbox.assign.point_rule import PointRule
from fastbox.assign.registry import as_rule, assigner_of, rules_of
from fastbox.assign.result import Matches
from fastbox.assign.rule import MatchRule
from fastbox.values.arguments import named
from fastbox.values.flags import as_flag

__all__ = ["match"]


@named
def match(
    anchors: Any,
    truths: Any,
    *,
    rule: MatchRule | PointRule | str = "fastbox",
    size: Any = None,
    ignore: Any = None,
    sparse: bool = False,
    boxes: Any = None,
    scores: Any = None,
    classes: Any = None,
    objectness: Any = None,
    logits: bool | None = None,
) -> Matches:
    """Match anchors or points with truths, exactly as the library that the rule is named after, without the IoU matrix.

    Parameters
    ----------
    anchors : AnchorGrid, PointGrid, Boxes, RotatedBoxes or array of shape (n, 4)
        A grid, the same boxes for every image, or boxes grouped by image (proposals, detections). Points go with the
        rules of detectors without anchors, and with no others; rotated boxes are no truths of points.
    truths : Boxes, RotatedBoxes or array of shape (m, 4)
        One image's truths, or those of a whole dataset grouped by image. Anchors, truths and ignore regions may be
        plain and rotated boxes side by side.
    rule : MatchRule, PointRule or str
        A rule, or the name of one from ``fastbox.RULES`` with its defaults.
    size : (width, height), optional
        The image's size in pixels; required for a grid, and only for a grid. For g groups of truths also one size each:
        a pair of arrays of shape (g,), or an array of shape (g, 2).
    ignore : Boxes, RotatedBoxes or array of shape (k, 4), optional
        Ignore regions, grouped as the truths are. Anchors inside a region are ignored, and are no truth's best anchor.
    sparse : bool
        List only the anchors that are not negative: a loss needs no others, and memory and time are a small fraction.
    boxes : Boxes or array of shape (p, 4), optional
        For points, the predicted boxes in pixels, one for each point, grouped as the truths are. Rules for points need
        them with `scores` and `classes`; FCOS' decide by truths alone, and take none.
    scores : array of shape (p, c), optional
        For points, the score of each class: from 0 to 1, or logits for RTMDet, and wherever `logits` is true.
    classes : array of integers, shape (m,), optional
        For points, the column of the scores for each truth.
    objectness : array of shape (p,), optional
        For YOLOX, from 0 to 1 or logits, as the scores are; the rule then ranks by the root of both scores' product.
        Without it, `scores` are these roots.
    logits : bool, optional
        Whether scores, and objectness, are logits; by default for RTMDet alone.

    Returns
    -------
    Matches
        Labels, truths and values: the same bits for any number of threads, and as from the whole IoU matrix.

    Raises
    ------
    ValueError
        An unknown rule, ignore regions with a rule that has none, a size that is missing or is not of whole pixels, or
        sets of which only some are grouped. A grid of points with a rule for anchors, or the reverse; predictions that
        are missing, or as many as no grid of this size has. Quadrilaterals with a rule of ATSS.
    TypeError
        Rotated boxes with a rule for points.

    Notes
    -----
    An invalid truth matches nothing. An invalid anchor is ignored. Of equal values the first truth wins. With
    ``"atss"`` only positive anchors have a truth and a value; a centre lies inside a rotated truth by its own axes.

    A point is positive or negative. Of equal metrics or costs the lowest point wins, then the lowest truth. A point is
    no candidate if its box is invalid or a score that counts is nan: the truth's class's, and with ``"yolox"`` and
    ``"rtmdet"`` any class's. Values agree with peers to 1e-6, points and truths exactly.

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
    >>> turned = fastbox.RotatedBoxes([[5, 5, 10, 9, 10], [40, 40, 6, 6, 45]], "cxcywhd")
    >>> fastbox.match(anchors, turned).labels
    array([1, 0, 0, 1], dtype=int8)
    >>> points = fastbox.PointGrid(strides=[8, 16])
    >>> found = fastbox.match(points, truths, rule=fastbox.PointRule.fcos(ranges=[(-1, 8), (8, 64)]), size=(24, 24))
    >>> found.labels
    array([1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0], dtype=int8)
    """
    found, sparse = as_rule(rule), as_flag(sparse, "sparse")
    given = {"boxes": boxes, "scores": scores, "classes": classes, "objectness": objectness, "logits": logits}
    if not isinstance(found, PointRule):
        extra = next((name for name, one in given.items() if one is not None), "")
        if extra or isinstance(anchors, PointGrid):
            came = f"{extra}=" if extra else "a PointGrid"
            fitting = ", ".join(rules_of(PointRule))
            raise ValueError(
                f"expected a rule for points with {came}, got {found.name!r}, a rule for anchors: give one of {fitting}"
            )
        given = {}
    return assigner_of(found).assign(found, anchors, truths, size=size, ignore=ignore, sparse=sparse, **given)
