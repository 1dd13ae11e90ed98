"""Suspects among truths, both sides given as arrays."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastbox.boxes.container import as_boxes
from fastbox.evaluation.collected import Collected
from fastbox.evaluation.given import coded
from fastbox.evaluation.matching import FOREGROUND
from fastbox.evaluation.params import Params
from fastbox.evaluation.suspects.recalls import Recalls
from fastbox.evaluation.suspects.survey import Scene, blocks
from fastbox.evaluation.suspects.votes import KINDS, Suspects, vote
from fastbox.values.arguments import named
from fastbox.values.numbers import as_number_from

__all__ = ["suspects"]


@named
def suspects(
    detections: Any,
    scores: ArrayLike,
    truths: Any,
    *,
    classes: ArrayLike,
    truth_classes: ArrayLike,
    crowd: ArrayLike | None = None,
    ignore: ArrayLike | None = None,
    models: ArrayLike | None = None,
    min_score: float = 0.3,
    min_suspicion: float = 0.5,
) -> Suspects:
    """Find truths that confident detections disagree with, and objects without a truth, the most suspicious first.

    Parameters
    ----------
    detections : Boxes or array of shape (n, 4)
    scores : array of shape (n,)
        Confidences from 0 to 1. A detection with a score of nan takes no part.
    truths : Boxes or array of shape (m, 4)
        Boxes grouped by image are compared image by image.
    classes, truth_classes : arrays of shape (n,) and (m,)
        Integers or strings.
    crowd, ignore : arrays of shape (m,), optional
        Flags of truths that take no part, and no detections on them.
    models : array of shape (n,), optional
        The model of each detection; the models vote.
    min_score : float
        Detections with a lower score are left out.
    min_suspicion : float
        Suspects with a lower suspicion are left out.

    Returns
    -------
    Suspects
        Arrays with a value for each suspect: the ``kind`` as text (wrong_class, missing, badly_placed, spurious or
        duplicate), the rows ``truth``, ``detection`` and ``other`` (the other truth of a duplicate), -1 for none,
        ``suspicion``, ``iou``, and ``models``, the number that agree.

    Raises
    ------
    ValueError, TypeError
        Arrays of other shapes or types, scores or limits beyond 0 to 1.

    Examples
    --------
    >>> import fastbox
    >>> boxes = [[0, 0, 40, 40], [100, 0, 140, 40]]
    >>> found = fastbox.suspects(boxes, [0.9, 0.8], boxes, classes=["dog", "cat"], truth_classes=["dog", "dog"])
    >>> found.kind, found.truth, found.suspicion
    (array(['wrong_class'], dtype='<U12'), array([1]), array([0.8]))
    """
    least, doubt = (
        as_number_from(value, name, 0, 1)
        for name, value in (("min_score", min_score), ("min_suspicion", min_suspicion))
    )
    collected = Collected(Params())
    given = {"classes": classes, "truth_classes": truth_classes, "models": models}
    given |= {"crowd": crowd, "ignore": ignore, "areas": None}
    detections, truths = as_boxes(detections, "detections"), as_boxes(truths, "truths")
    images, found, wanted = coded(collected, detections, scores, truths, given)
    beyond = np.flatnonzero((found.scores < 0) | (found.scores > 1))
    if len(beyond):
        came = f"{found.scores[beyond[0]]:g} at row {beyond[0]}"
        raise ValueError(f"expected scores from 0 to 1, got {came}: scale them to probabilities")
    kinds, places = collected.classes.ascending()
    labels, numbers = collected.models.ascending()
    for side in (found, wanted):
        side.classes = places[side.classes] if len(side.classes) else side.classes
    found.models = numbers[found.models] if len(found.models) else found.models
    whole, recalls = Scene(images, found, wanted), Recalls.zeros(labels, kinds)
    for _, _, scene in blocks(whole, len(labels)):
        recalls.count(scene.claims(len(labels), least).cells.own >= FOREGROUND, scene)
    shares = recalls.shares()
    parts = [
        vote(scene, scene.claims(len(shares), least), shares).moved(first, first_truth)
        for first, first_truth, scene in blocks(whole, len(shares))
    ]
    every = reduce(add, parts, Suspects.none())
    chosen = every.taken(every.suspicion >= doubt)
    ranked = chosen.taken(np.argsort(-chosen.suspicion, kind="stable"))
    return replace(ranked, kind=np.array(KINDS)[ranked.kind])
