"""Detections against truths, both given as arrays."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from numpy.typing import ArrayLike

from fastbox.errors import InputWarning
from fastbox.evaluation.alike import alike
from fastbox.evaluation.core import Evaluation
from fastbox.evaluation.federated import Federation
from fastbox.evaluation.given import coded
from fastbox.evaluation.groups import grouped
from fastbox.evaluation.params import Params, rules_of
from fastbox.evaluation.sides import Images
from fastbox.values.arguments import named

__all__ = ["evaluate"]

AT_ONCE = 262_144  # boxes that are matched at once, as in jobs


@named
def evaluate(
    detections: Any,
    scores: ArrayLike,
    truths: Any,
    *,
    classes: ArrayLike | None = None,
    truth_classes: ArrayLike | None = None,
    crowd: ArrayLike | None = None,
    ignore: ArrayLike | None = None,
    areas: ArrayLike | None = None,
    models: ArrayLike | None = None,
    numbers: Mapping[str, ArrayLike] | None = None,
    params: Params | None = None,
    rule: str = "coco",
    metric: str = "iou",
    confusion_iou: float | None = None,
    slices: Mapping[str, Any] | None = None,
    federation: Federation | None = None,
    keep_boxes: bool = False,
) -> Evaluation:
    """Evaluate detections as ``COCOeval`` of pycocotools does, to the last bit of every figure.

    IoUs are float64 on corner, width and height; boxes in another format are converted first. Two things differ from
    pycocotools on purpose: a truth with ``ignore`` set is ignored without being a crowd (in pycocotools ``iscrowd``
    overwrites ``ignore``), and ids of truths have no effect (in pycocotools a truth with id 0 counts as not found).

    Parameters
    ----------
    detections : Boxes, RotatedBoxes or array of shape (n, 4)
    scores : array of shape (n,)
        Confidences. A detection with a score of nan matches nothing; infinite scores come first or last.
    truths : Boxes, RotatedBoxes or array of shape (m, 4)
        Boxes grouped by image are compared image by image.
    classes, truth_classes : arrays of shape (n,) and (m,), optional
        Integers or strings. Give both or neither.
    crowd : array of shape (m,), optional
        Regions that hold many objects: any number of detections may lie in a crowd, and these are ignored. Booleans;
        numbers, set unless 0 or nan; or text, set if it is 1, true or yes.
    ignore : array of shape (m,), optional
        Truths that count neither as found nor as missed; flags as for ``crowd``.
    areas : array of shape (m,), optional
        Areas of truths in square pixels, such as the areas of their masks; width times height if left out or nan.
    models : array of shape (n,), optional
        The model of each detection; each model is evaluated separately.
    numbers : dict of str to array of shape (m,), optional
        Further columns of truths that the benchmark reads: ``occluded`` and ``truncated`` of ``"kitti"``.
    params : Params, optional
        Thresholds, ranges of areas, and the number of detections that count.
    rule : str
        The name of the benchmark whose rules count, unless ``params`` has the rules. Rotated boxes are evaluated by
        ``"coco"``, ``"voc07"``, ``"voc12"`` and ``"ai-tod"``.
    metric : {"iou", "probiou"}
        What decides whether rotated boxes match, unless ``params`` has it. ProbIoU is not IoU: figures by one are not
        comparable with figures by the other.
    confusion_iou : float, optional
        The least IoU of the matches of ``confusion()``; without it there is no confusion matrix.
    slices : mapping of str to array or dict, optional
        Groups that have figures of their own (:meth:`Evaluation.slices`), by name: an array with a value for each truth
        or for each image (in ascending order of ids), or a dict from the id of an image to its value. A group of images
        has whole images; outside a group of truths, truths are ignored as outside a range of areas.
    federation : Federation, optional
        The classes that images are annotated for, for the rule ``"lvis"``.
    keep_boxes : bool
        Keep the boxes in memory, which :meth:`Evaluation.coco_images` needs.

    Returns
    -------
    Evaluation
        ``stats()`` has COCO's twelve statistics.

    Raises
    ------
    ValueError, TypeError
        Arrays of a wrong length, only one side grouped or with classes, classes of two kinds, a missing class, flags
        that mean neither yes nor no.

    References
    ----------
    Lin et al., Microsoft COCO, ECCV 2014; ``COCOeval`` of pycocotools.

    Examples
    --------
    >>> import fastbox
    >>> found = fastbox.evaluate([[0, 0, 4, 4], [9, 9, 12, 12]], [0.9, 0.8], [[0, 0, 4, 4], [9, 9, 13, 12]])
    >>> round(found.stats()["AP50"], 3), round(found.stats()["AP"], 3)
    (1.0, 0.802)
    """
    rules = rules_of(params, rule, metric)
    found = Evaluation(rules, confusion_iou=confusion_iou, federation=federation, keep_boxes=keep_boxes)
    given: dict[str, Any] = {"classes": classes, "truth_classes": truth_classes, "models": models}
    given |= {"crowd": crowd, "ignore": ignore, "areas": areas, "numbers": numbers}
    aligned, own, its = coded(found.collected, detections, scores, truths, given)
    if slices:
        groups, codes, its.groups = grouped(slices, aligned, len(its.classes), found.params)
        aligned = Images(aligned.ids, aligned.bounds, aligned.truth_bounds, codes)
        found.collected.group(groups)
    found.add_sets(aligned, own, its, AT_ONCE)
    images = found.mismatch.images
    if images.are_apart():
        examples = images.examples.values()
        mine, theirs = (", ".join(map(repr, ids)) for ids in examples)
        raise ValueError(
            f"expected images that both detections and truths have, got none: ids such as {mine} of detections and "
            f"{theirs} of truths: {alike(*examples) or 'write the ids of both alike'}"
        )
    for sentence in found.warnings:
        warnings.warn(InputWarning(sentence), stacklevel=2)
    return found
