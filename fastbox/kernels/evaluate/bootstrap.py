"""Average precision of samples of images that are drawn with replacement, many samples side by side."""

from __future__ import annotations

import numpy as np

from fastbox.kernels.build import types
from fastbox.kernels.build.device import device
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.nontemporal import moved
from fastbox.kernels.build.stack import stack_array
from fastbox.kernels.build.types import group, i8, readonly, vector
from fastbox.kernels.codes import THRESHOLDS_PER_WORD
from fastbox.kernels.evaluate.curves import EPS

SIDE_BY_SIDE = 64  # samples that are done together; loops over fewer are unrolled, and then stay scalar
WIDTH = np.uint64(SIDE_BY_SIDE)  # of indices without a sign, which are not tested for being negative


@device
def most_marked(words, bounds):
    """Return the greatest number of rows of a class that reach a threshold, or are ignored at one."""
    most = 0
    for k in range(len(bounds) - 1):
        for word in range(words.shape[2]):
            marked = 0
            for j in range(bounds[k], bounds[k + 1]):
                marked += words[j, 0, word] != 0
            most = max(most, marked)
    return most


@device
def list_rows(words, image, thresholds, rows, events, starts):
    """List the rows that count at some threshold, and those of them that change a curve, threshold by threshold.

    `rows` are twice the image of each row, and one more if the row changes a curve. `events` are twice the place of
    such a row among them, for each threshold from `starts` on, and one more if the row is ignored.
    """
    every = np.int64((1 << thresholds) - 1) << THRESHOLDS_PER_WORD
    count, marked = 0, 0
    for j in range(len(words)):
        bits = np.int64(words[j])
        changes = bits != 0
        rows[count], events[marked] = 2 * np.int64(image[j]) + changes, bits
        some = bits & every != every
        count += some
        marked += some & changes
    end = marked
    for n in range(thresholds):
        starts[n] = end
        for c in range(marked):
            bits = np.int64(events[c])
            hidden, matched = bits >> (n + THRESHOLDS_PER_WORD) & 1, bits >> n & 1
            events[end] = 2 * c + hidden
            end += hidden | matched
    starts[thresholds] = end
    return count


@device
def greatest(counts):
    """Return the greatest of the counts of a class in each lane."""
    most = counts[0]
    for l in range(SIDE_BY_SIDE):
        most = max(most, counts[l])
    return most


@device
def place_steps(wanted, recalls, steps):
    """Write for each number of true detections and each lane the place in `highest` of the last recall they reach."""
    top = np.int64(greatest(wanted))
    for l in range(SIDE_BY_SIDE):
        steps[l] = l
    for place in range(SIDE_BY_SIDE, (top + 1) * SIDE_BY_SIDE):
        steps[place] = 0
    least = stack_array(steps, SIDE_BY_SIDE)
    for r in range(len(recalls)):
        recall = np.float64(recalls[r])
        for l in range(SIDE_BY_SIDE):
            positives = np.float64(max(wanted[l], np.int32(1)))
            below = np.int32(recall * positives)  # the least number that reaches the recall, or one less
            least[l] = below + (below / positives < recall)
        for l in range(SIDE_BY_SIDE):
            steps[np.uint64(least[l]) * WIDTH + np.uint64(l)] += SIDE_BY_SIDE
    for true in range(top):
        fewer, more = moved(steps, true * SIDE_BY_SIDE), moved(steps, (true + 1) * SIDE_BY_SIDE)
        for l in range(SIDE_BY_SIDE):
            more[l] += fewer[l]


@device
def add_up(rows, count, weights, weight, total):
    """Write the weight of each row that changes a curve, and the sum of the weights of all rows up to it."""
    summed = stack_array(total, SIDE_BY_SIDE)
    for l in range(SIDE_BY_SIDE):
        summed[l] = 0
    place = 0
    for j in range(count):
        drawn, here, until = moved(weights, (rows[j] >> 1) * SIDE_BY_SIDE), moved(weight, place), moved(total, place)
        for l in range(SIDE_BY_SIDE):
            summed[l] += drawn[l]
        for l in range(SIDE_BY_SIDE):
            here[l] = drawn[l]
        for l in range(SIDE_BY_SIDE):
            until[l] = summed[l]
        place += (rows[j] & 1) * SIDE_BY_SIDE


@device
def find_areas(events, begin, end, changes, steps, highest, areas):
    """Write the sum of the precision at each recall, walking back from the last match: the best so far is the envelope.

    Without recalls it is the sum at each true detection.

    A match of weight 0 changes nothing: it reaches the recalls of the match before, whose precision is no lower.
    """
    weight, total = changes
    true, ignored = stack_array(steps, SIDE_BY_SIDE), stack_array(steps, SIDE_BY_SIDE)
    best = stack_array(areas, SIDE_BY_SIDE)
    for l in range(SIDE_BY_SIDE):
        true[l], ignored[l], best[l], areas[l] = 0, 0, 0.0, 0.0
    for e in range(begin, end):
        here = moved(weight, np.int64(events[e] >> 1) * SIDE_BY_SIDE)
        if events[e] & 1:
            for l in range(SIDE_BY_SIDE):
                ignored[l] += here[l]
        else:
            for l in range(SIDE_BY_SIDE):
                true[l] += here[l]
    highest[:], every = 0.0, len(highest) == SIDE_BY_SIDE
    for e in range(end - 1, begin - 1, -1):
        at = np.int64(events[e] >> 1) * SIDE_BY_SIDE
        here, until = moved(weight, at), moved(total, at)
        if events[e] & 1:
            for l in range(SIDE_BY_SIDE):
                ignored[l] -= here[l]
            continue
        for l in range(SIDE_BY_SIDE):
            now = true[l] / (np.int32(until[l] - ignored[l]) + EPS)
            best[l] = now if now > best[l] else best[l]
        if every:
            for l in range(SIDE_BY_SIDE):
                areas[l] += best[l] * here[l]
        else:
            for l in range(SIDE_BY_SIDE):
                highest[np.uint64(steps[np.uint64(true[l]) * WIDTH + np.uint64(l)])] = best[l]
        for l in range(SIDE_BY_SIDE):
            true[l] -= here[l]
    last = len(highest) // SIDE_BY_SIDE - 1
    for step in range(last - 1, 0, -1):
        here, later = moved(highest, step * SIDE_BY_SIDE), moved(highest, (step + 1) * SIDE_BY_SIDE)
        for l in range(SIDE_BY_SIDE):
            here[l] = here[l] if here[l] > later[l] else later[l]
    for step in range(1, last + 1):
        here = moved(highest, step * SIDE_BY_SIDE)
        for l in range(SIDE_BY_SIDE):
            areas[l] += here[l]


@device
def sample_class(rows, listed, weights, sampled, room, means):
    """Write the mean precision of a class at each threshold in the samples of a group."""
    (count, events, starts), (wanted, recalls) = listed, sampled
    steps, weight, total, highest = room
    # Without their owners, whose references each call would count.
    events, steps, highest = moved(events, 0), moved(steps, 0), moved(highest, 0)
    changes, areas = (moved(weight, 0), moved(total, 0)), stack_array(highest, SIDE_BY_SIDE)
    if len(recalls):
        place_steps(wanted, recalls, steps)
    add_up(rows, count, weights, weight, total)
    for n in range(means.shape[1]):
        find_areas(events, starts[n], starts[n + 1], changes, steps, highest, areas)
        for l in range(SIDE_BY_SIDE):
            if wanted[l]:
                means[l, n] = areas[l] / (len(recalls) if len(recalls) else wanted[l])


def resample(detections, truths, weights, axes, span, means):
    """Write for each sample the mean precision of each class at each threshold, images counted by weight.

    Detections are words, the bounds of classes, and images; truths are classes and images. The weights are those of
    each image in SIDE_BY_SIDE samples, for one group of samples after another, 0 in lanes without a sample; the span is
    of groups. The axes are the recalls and the number of thresholds; without recalls the mean is over the truths, the
    area under the envelope. Sums of weights must be below 2**31.

    A detection that counts twice is two detections of one score: recall is read after the last of the two, where
    precision is highest.
    """
    (words, bounds, image), (truth_classes, truth_image) = detections, truths
    (recalls, many), (first, last), kinds = axes, span, len(bounds) - 1
    positives = np.zeros((last - first, kinds, SIDE_BY_SIDE), np.int32)
    for g in range(first, last):
        for j in range(len(truth_classes)):
            drawn = moved(weights[g], np.int64(truth_image[j]) * SIDE_BY_SIDE)
            for l in range(SIDE_BY_SIDE):
                positives[g - first, truth_classes[j], l] += drawn[l]
    longest, top = 0, np.int32(0)
    for k in range(kinds):
        longest = max(longest, bounds[k + 1] - bounds[k])
        for g in range(last - first):
            top = max(top, greatest(positives[g, k]))
    marked = most_marked(words, bounds) + 1
    rows, starts = np.empty(longest + 1, np.int64), np.empty(THRESHOLDS_PER_WORD + 1, np.int64)
    events = np.empty(marked * (min(many, THRESHOLDS_PER_WORD) + 1), np.uint32)
    steps = np.empty((np.int64(top) + 1) * SIDE_BY_SIDE, np.int32)
    weight, total = np.empty(marked * SIDE_BY_SIDE, np.int32), np.empty(marked * SIDE_BY_SIDE, np.int32)
    room = steps, weight, total, np.empty((len(recalls) + 1) * SIDE_BY_SIDE, np.float64)
    for k in range(kinds):
        own = slice(bounds[k], bounds[k + 1])
        for before in range(0, many, THRESHOLDS_PER_WORD):
            end = min(before + THRESHOLDS_PER_WORD, many)
            word = words[own, 0, before // THRESHOLDS_PER_WORD]
            count = list_rows(word, image[own], end - before, rows, events, starts)
            for g in range(first, last):
                wanted = positives[g - first, k]
                if greatest(wanted):
                    samples = means[g * SIDE_BY_SIDE : (g + 1) * SIDE_BY_SIDE, k, before:end]
                    listed = count, events, starts
                    sample_class(rows, listed, weights[g], (wanted, recalls), room, samples)


def _signature(t):
    detections = group(readonly(types.uint32, 3), readonly(i8), readonly(types.int32))
    truths = group(readonly(i8), readonly(types.int32))
    weights = vector(types.int32, 2)
    return types.void(detections, truths, weights, group(readonly(t), i8), group(i8, i8), vector(t, 3))


RESAMPLE = Kernel(resample, _signature, {"": {}})
