"""The scores where F is highest in samples of images that are drawn with replacement, many samples side by side."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.nontemporal import moved
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import LAST_OF_ALL, LAST_OF_CLASS, TAKES_TRUTH
from fastbox.kernels.evaluate.bootstrap import SIDE_BY_SIDE


@device
def count_truths(truths, weights, beta2, wanted, asked, weighed):
    """Count the truths of each class in each lane, then those of all classes; `asked` counts classes with truths.

    `weighed` are the truths times beta², infinite where there are none: F is 0 there.
    """
    kinds, image = truths
    every = len(wanted) // SIDE_BY_SIDE - 1
    wanted[:], asked[:] = 0, 0
    for j in range(len(kinds)):
        drawn, own = moved(weights, np.int64(image[j]) * SIDE_BY_SIDE), moved(wanted, kinds[j] * SIDE_BY_SIDE)
        for l in range(SIDE_BY_SIDE):
            own[l] += drawn[l]
    for k in range(every):
        for l in range(SIDE_BY_SIDE):
            wanted[every * SIDE_BY_SIDE + l] += wanted[k * SIDE_BY_SIDE + l]
            asked[l] += wanted[k * SIDE_BY_SIDE + l] > 0
    for place in range(len(wanted)):
        weighed[place] = beta2 * wanted[place] if wanted[place] else np.inf


@device
def add_row(drawn, hit, beta2, at, state, f):
    """Count a row at a place, and write F there."""
    true, kept, weighed = moved(state[0], at), moved(state[1], at), moved(state[2], at)
    for l in range(SIDE_BY_SIDE):
        kept[l] += drawn[l]
    if hit:
        for l in range(SIDE_BY_SIDE):
            true[l] += drawn[l]
    for l in range(SIDE_BY_SIDE):
        f[l] = (1.0 + beta2) * np.float64(true[l]) / (weighed[l] + np.float64(kept[l]))


@device
def keep_best(f, row, of, at, state, best):
    """Keep the row and its counts at a place in the lanes where F is higher than before, and something is kept.

    The counts are those `of` another place.
    """
    true, kept, highest = moved(state[0], of), moved(state[1], of), moved(best[0], at)
    higher = 0
    for l in range(SIDE_BY_SIDE):
        higher += (f[l] > highest[l]) & (kept[l] > 0)
    if higher == 0:
        return
    place, hits, shown = moved(best[1], at), moved(best[2], at), moved(best[3], at)
    for l in range(SIDE_BY_SIDE):
        if f[l] > highest[l] and kept[l]:
            highest[l], place[l], hits[l], shown[l] = f[l], row, true[l], kept[l]


@device
def write_points(of, at, lanes, wanted, best, found):
    """Write row, precision, recall and F of each lane with truths `of` a place, and a row at the other; else nan."""
    highest, place, hits, shown = best
    for l in range(lanes):
        truths, here = wanted[of + l], at + l
        found[l] = np.nan
        if truths and place[here] >= 0:
            found[l, 0], found[l, 1] = place[here], hits[here] / shown[here]
            found[l, 2], found[l, 3] = hits[here] / truths, highest[here]


@device
def walk(detections, weights, rules, state, best):
    """Go through the rows of a group of samples, and keep where F is highest; the mean of F is not yet divided."""
    (image, kinds, marks), (beta2, every) = detections, rules
    (true, kept, weighed, before), (highest, place, hits, shown) = state, best
    drawn, f, total = (
        stack_array(true, SIDE_BY_SIDE),
        stack_array(weighed, SIDE_BY_SIDE),
        stack_array(weighed, SIDE_BY_SIDE),
    )
    # Without their owners, whose references each call would count.
    state = moved(true, 0), moved(kept, 0), moved(weighed, 0)
    best = moved(highest, 0), moved(place, 0), moved(hits, 0), moved(shown, 0)
    before, weights = moved(before, 0), moved(weights, 0)
    whole = every * SIDE_BY_SIDE
    true[:], kept[:], before[:], highest[:], place[:] = 0, 0, 0.0, -1.0, -1
    for l in range(SIDE_BY_SIDE):
        total[l] = 0.0
    for j in range(len(image)):
        here, own, mark = moved(weights, np.int64(image[j]) * SIDE_BY_SIDE), np.int64(kinds[j]) * SIDE_BY_SIDE, marks[j]
        for l in range(SIDE_BY_SIDE):
            drawn[l] = here[l]
        add_row(drawn, mark & TAKES_TRUTH, beta2, own, state, f)
        if mark & LAST_OF_CLASS:
            keep_best(f, j, own, own, state, best)
        old = moved(before, own)
        for l in range(SIDE_BY_SIDE):
            total[l] += f[l] - old[l]
        for l in range(SIDE_BY_SIDE):
            old[l] = f[l]
        add_row(drawn, mark & TAKES_TRUTH, beta2, whole, state, f)
        if mark & LAST_OF_ALL:
            keep_best(f, j, whole, whole, state, best)
            keep_best(total, j, whole, whole + SIDE_BY_SIDE, state, best)


def best_scores(detections, truths, weights, rules, span, points):
    """Write for each sample where F is highest: the row, and precision, recall and F of the rows up to it.

    Rows descend by score, and have an image, a class and marks; truths are classes and images. Weights are as of
    `resample`, and the span is of groups of lanes. The rules are beta² and the number of classes. F has the formula of
    :func:`fastbox.evaluation.operating.operating`; it is read at the last row of equal scores.

    Points are those of each class, of all classes together, and of the mean of F over the classes with truths, with
    precision and recall of all classes; where there is room for fewer points, the first ones are left out.
    """
    (first, last), (beta2, every) = span, rules
    size = (every + 1) * SIDE_BY_SIDE
    wanted, true, kept = np.empty(size, np.int32), np.empty(size, np.int32), np.empty(size, np.int32)
    weighed, before = np.empty(size, np.float64), np.empty(size, np.float64)
    more = size + SIDE_BY_SIDE
    best = np.empty(more, np.float64), np.empty(more, np.int64), np.empty(more, np.int32), np.empty(more, np.int32)
    asked, skipped = np.empty(SIDE_BY_SIDE, np.int32), every + 2 - len(points)
    for g in range(first, last):
        count_truths(truths, weights[g], beta2, wanted, asked, weighed)
        walk(detections, weights[g], rules, (true, kept, weighed, before), best)
        for l in range(SIDE_BY_SIDE):
            best[0][size + l] /= max(asked[l], np.int32(1))
        begin = g * SIDE_BY_SIDE
        lanes = min(SIDE_BY_SIDE, points.shape[1] - begin)
        for k in range(skipped, every + 2):
            found = points[k - skipped, begin:]
            write_points(min(k, every) * SIDE_BY_SIDE, k * SIDE_BY_SIDE, lanes, wanted, best, found)


def _signature(t):
    detections = group(readonly(types.int32), readonly(types.int32), readonly(types.uint8))
    truths = group(readonly(i8), readonly(types.int32))
    return types.void(detections, truths, vector(types.int32, 2), group(t, i8), group(i8, i8), vector(t, 3))


BEST_SCORES = Kernel(best_scores, _signature, {"": {}})
