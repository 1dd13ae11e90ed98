"""Records of ``evalImgs`` as ranked detections, where a caller puts the records of several evaluations together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.evaluation.curves import Ranked, rank
from fastbox.kernels.codes import THRESHOLDS_PER_WORD

__all__ = ["of_records"]


def of_records(
    records: Sequence[Any], shape: tuple[int, int, int], images: NDArray[np.bool_]
) -> tuple[Ranked, NDArray[np.int64]]:
    """Return the detections of some images by category and descending score, and the counts of truths that count.

    Parameters
    ----------
    records : sequence of dict or None
        Category by category, range of areas by range of areas, by image.
    shape : (int, int, int)
        The numbers of categories, ranges of areas and thresholds.
    images : array of shape (images,)
        A flag for each image that counts.

    Raises
    ------
    ValueError
        Records of another number.
    """
    kinds, ranges, thresholds = shape
    if len(records) != kinds * ranges * len(images):
        raise ValueError(
            f"expected evalImgs of {kinds} categories, {ranges} ranges of areas and {len(images)} images, got "
            f"{len(records)} records: set params to all that were evaluated"
        )
    regular = np.zeros((kinds, ranges), np.int64)
    groups: list[NDArray[np.int64]] = [np.empty(0, np.int64)]
    ranks, scores, words = (
        [np.empty(0, np.int32)],
        [np.empty(0)],
        [np.empty((0, ranges, _words(thresholds)), np.uint32)],
    )
    for kind in range(kinds):
        for image in np.flatnonzero(images).tolist():
            places = [(kind * ranges + area) * len(images) + image for area in range(ranges)]
            if records[places[0]] is None:
                continue
            own = [records[place] for place in places]
            count = len(own[0]["dtScores"])
            groups.append(np.full(count, kind))
            ranks.append(np.arange(count, dtype=np.int32))
            scores.append(np.asarray(own[0]["dtScores"], np.float64))
            words.append(_bits(own))
            regular[kind] += [np.count_nonzero(np.asarray(one["gtIgnore"]) == 0) for one in own]
    rows, there, begins = rank(np.concatenate(groups), np.concatenate(scores))
    bounds = begins[np.searchsorted(there, np.arange(kinds + 1))]
    word, score, place = np.concatenate(words), np.concatenate(scores), np.concatenate(ranks)
    return Ranked(word[rows], score[rows], place[rows], bounds), regular


def _words(thresholds: int) -> int:
    return -(-thresholds // THRESHOLDS_PER_WORD)


def _bits(records: Sequence[Any]) -> NDArray[np.uint32]:
    """Return words of (detections, ranges): a bit for each threshold that is reached, and one where it is ignored."""
    reached, ignored = (np.stack([one[name] for one in records]) != 0 for name in ("dtMatches", "dtIgnore"))
    thresholds = reached.shape[1]
    bit = np.arange(thresholds, dtype=np.uint32) % np.uint32(THRESHOLDS_PER_WORD)
    marks = (reached.astype(np.uint32) | ignored.astype(np.uint32) << np.uint32(THRESHOLDS_PER_WORD)) << bit[:, None]
    words = np.bitwise_or.reduceat(marks, np.arange(0, thresholds, THRESHOLDS_PER_WORD), axis=1)
    return words.transpose(2, 0, 1)
