"""The votes of models: suspects of each kind among the truths of some images, and objects without a truth."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.evaluation.matching import FOREGROUND
from fastbox.evaluation.suspects.survey import Cells, Claims, Scene
from fastbox.kernels.evaluate.places import MISSING

__all__ = ["KINDS", "Suspects", "vote"]

KINDS = ("wrong_class", "missing", "badly_placed", "spurious", "duplicate")
WRONG_CLASS, NO_TRUTH, BADLY_PLACED, SPURIOUS, DUPLICATE = range(len(KINDS))

LEAST_WEIGHT = 0.01  # of a model that rarely finds truths of a class and size

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Suspects:
    """Suspects, a value of each column for each; rows are those of the scene, and -1 means none.

    Attributes
    ----------
    kind : array of int64 or str
        The place of the kind among ``KINDS``, or its name.
    truth : array of int64
        The truth; -1 for an object without a truth.
    suspicion : array of float64
        From 0 to 1.
    detection : array of int64
        The detection with the highest score among those that agree.
    iou : array of float64
        The IoU of the truth with the detection, or with the other truth; of a missing truth the best IoU of the
        detection with any truth.
    other : array of int64
        The other truth of a duplicate.
    models : array of int64
        The number of models that agree.
    """

    kind: NDArray[Any]
    truth: Ints
    suspicion: Floats
    detection: Ints
    iou: Floats
    other: Ints
    models: Ints

    @classmethod
    def none(cls) -> Suspects:
        """Return no suspects."""
        rows, values = np.zeros(0, np.int64), np.zeros(0)
        return cls(rows, rows, values, rows, values, rows, rows)

    @classmethod
    def of(
        cls, kind: int, truth: Ints, suspicion: Floats, detection: Ints, iou: Floats, models: Ints, other: Ints | None
    ) -> Suspects:
        """Return suspects of one kind."""
        many = len(truth)
        none = np.full(many, -1)
        return cls(
            np.full(many, kind),
            truth,
            suspicion,
            detection,
            iou,
            none if other is None else other,
            models.astype(np.int64),
        )

    def __add__(self, other: Suspects) -> Suspects:
        """Return the suspects of both, one after the other."""
        return Suspects(**{name: np.concatenate((own, vars(other)[name])) for name, own in vars(self).items()})

    def taken(self, rows: Ints | NDArray[np.bool_]) -> Suspects:
        """Return some suspects."""
        return Suspects(**{name: column[rows] for name, column in vars(self).items()})

    def moved(self, detections: int, truths: int) -> Suspects:
        """Return the suspects with rows that count from the first detection and truth of a greater scene."""
        return replace(
            self,
            detection=_moved(self.detection, detections),
            truth=_moved(self.truth, truths),
            other=_moved(self.other, truths),
        )


def _moved(rows: Ints, shift: int) -> Ints:
    return np.where(rows < 0, -1, rows + shift)


def vote(scene: Scene, claims: Claims, shares: Floats) -> Suspects:
    """Return the suspects of a scene, given the recall of each model, class and size."""
    cells = claims.cells
    agreed = cells.own >= FOREGROUND
    wrong, placed = (cells.wrong >= 0) & ~agreed, (cells.placed >= 0) & ~agreed
    speak = (agreed | wrong | placed).sum(axis=1)
    return (
        _wrong_class(scene, cells, wrong, speak)
        + _missing(scene, claims, shares)
        + _badly_placed(scene, cells, placed, speak)
        + _spurious(scene, cells, shares)
        + _duplicate(scene, claims)
    )


def _confidences(scene: Scene, rows: Ints, where: NDArray[np.bool_]) -> Floats:
    """Return the scores of detections in cells, 0 in all other cells."""
    found = np.zeros(rows.shape)
    found[where] = scene.scores[rows[where]]
    return found


def _strongest(confidences: Floats, rows: Ints, where: NDArray[np.bool_]) -> Ints:
    """Return for each truth the model whose detection has the highest score; of equal scores the first detection."""
    best = np.where(where, confidences, -1.0)
    tied = where & (best == best.max(axis=1, keepdims=True))
    first: Ints = np.argmin(np.where(tied, rows, np.iinfo(np.int64).max), axis=1)
    return first


def _wrong_class(scene: Scene, cells: Cells, where: NDArray[np.bool_], speak: Ints) -> Suspects:
    """Return truths that detections of another class hit: the class with the greatest sum of claims is suggested."""
    rows = np.flatnonzero(where.any(axis=1))
    where, claimed, speak = where[rows], cells.wrong[rows], speak[rows]
    confidences = _confidences(scene, claimed, where) * cells.wrong_iou[rows]
    classes = np.full(claimed.shape, -1)
    classes[where] = scene.kinds[claimed[where]]
    best, suggested = np.zeros(len(rows)), np.full(len(rows), -1)
    for own in classes.T:
        total = np.where(classes == own[:, None], confidences, 0).sum(axis=1)
        better = (own >= 0) & ((suggested < 0) | (total > best) | ((total == best) & (own < suggested)))
        best, suggested = np.where(better, total, best), np.where(better, own, suggested)
    where &= classes == suggested[:, None]
    model = _strongest(confidences, claimed, where)
    at = np.arange(len(rows)), model
    return Suspects.of(
        WRONG_CLASS, rows, best / np.maximum(speak, 1), claimed[at], cells.wrong_iou[rows][at], where.sum(axis=1), None
    )


def _badly_placed(scene: Scene, cells: Cells, where: NDArray[np.bool_], speak: Ints) -> Suspects:
    """Return truths that detections of their class are near, but do not hit."""
    rows = np.flatnonzero(where.any(axis=1))
    where, claimed = where[rows], cells.placed[rows]
    confidences = _confidences(scene, claimed, where)
    at = np.arange(len(rows)), _strongest(confidences, claimed, where)
    suspicion = confidences.sum(axis=1) / np.maximum(speak[rows], 1)
    return Suspects.of(BADLY_PLACED, rows, suspicion, claimed[at], cells.placed_iou[rows][at], where.sum(axis=1), None)


def _missing(scene: Scene, claims: Claims, shares: Floats) -> Suspects:
    """Return detections far from every truth, one for each object; models weigh as much as their recall."""
    rows = np.flatnonzero(claims.statuses == MISSING)
    leaders = scene.leaders(rows)
    models = shares.shape[0]
    keys, places = np.unique(leaders * models + scene.models[rows], return_inverse=True)
    highest = np.zeros(len(keys))
    np.maximum.at(highest, places.reshape(-1), scene.scores[rows])
    heads, starts = np.unique(keys // models, return_index=True)
    found = rows[heads]
    if not len(rows):
        return Suspects.of(NO_TRUTH, found, np.zeros(0), found, np.zeros(0), found, None)
    weights = np.maximum(shares[:, scene.kinds[found], scene.sizes[found]], LEAST_WEIGHT)
    agree = np.diff([*starts, len(keys)])
    said = weights[keys % models, np.repeat(np.arange(len(heads)), agree)]
    total = np.add.reduceat(said * highest, starts)
    suspicion = np.minimum(total / weights.sum(axis=0), 1)
    return Suspects.of(NO_TRUTH, np.full(len(found), -1), suspicion, found, claims.most[found], agree, None)


def _spurious(scene: Scene, cells: Cells, shares: Floats) -> Suspects:
    """Return truths that no detection is near: the mean recall of the models for their class and size."""
    rows = np.flatnonzero(~cells.near.any(axis=1) & ~scene.apart)
    suspicion = shares[:, scene.truth_kinds[rows], scene.truth_sizes[rows]].mean(axis=0)
    none, many = np.full(len(rows), -1), np.full(len(rows), len(shares))
    return Suspects.of(SPURIOUS, rows, suspicion, none, np.full(len(rows), np.nan), many, None)


def _duplicate(scene: Scene, claims: Claims) -> Suspects:
    """Return truths that show the same object as their twin, for which models find one detection; the worse of both."""
    cells, twins = claims.cells, claims.twins
    where = (cells.several == 1) & (cells.shared >= 0)
    rows = np.flatnonzero((twins >= 0) & where.any(axis=1))
    fits = cells.own.sum(axis=1)
    its = twins[rows]
    rows = rows[(fits[rows] < fits[its]) | ((fits[rows] == fits[its]) & (rows > its))]
    where, claimed = where[rows], cells.shared[rows]
    confidences = _confidences(scene, claimed, where)
    at = np.arange(len(rows)), _strongest(confidences, claimed, where)
    speak = (cells.several[rows] > 0).sum(axis=1)
    suspicion = claims.twin_ious[rows] * confidences.sum(axis=1) / np.maximum(speak, 1)
    return Suspects.of(DUPLICATE, rows, suspicion, claimed[at], claims.twin_ious[rows], where.sum(axis=1), twins[rows])
