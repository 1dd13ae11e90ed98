"""Numbers that kernels and their callers share: codes of formats, match types and options, and sizes of blocks.

This module imports nothing, so that its constants cost no Numba.
"""

from __future__ import annotations

# The format of boxes, by its place in FORMATS.
FORMATS = ("xyxy", "xywh", "cxcywh", "yxyx")
XYXY, XYWH, CXCYWH, YXYX = range(4)

# The format of rotated boxes, by its place behind those of plain boxes, which stand beside them as boxes of angle 0.
ROTATED_FORMATS = ("cxcywhr", "cxcywhd", "ccw_cxcywhr", "ccw_cxcywhd", "xyxyxyxy")
CXCYWHR, CXCYWHD, CCW_CXCYWHR, CCW_CXCYWHD, XYXYXYXY = range(4, 9)
PLAIN, ROTATED, QUADS = "plain", "rotated", "quads"
COLUMNS = {PLAIN: 4, ROTATED: 5, QUADS: 8}  # of a collection of boxes, by its geometry
MOST_RADIANS, MOST_DEGREES = 2.0**20, 60078979.29870981  # angles beyond them have lost their meaning

LANES = 32  # packed boxes measured side by side; sets of boxes are filled up to a multiple of LANES
BLOCK = 8192  # losses summed before their sum is kept: fixes the order of additions for any number of threads

# Screens: the tests that spare a metric's formula. Without an overlap, or without an IoU as high as a value, the metric
# can't be as high. GIoU without overlap is at most a rounding above 0; from ROUNDED_LEAST on, boxes overlap.
NO_SCREEN, NEEDS_OVERLAP, NEEDS_IOU, NEEDS_IOU_ROUNDED = range(4)
ROUNDED_LEAST = 2.0**-10

# Evaluation: the match type of a detection.
MATCHED, LOCALIZATION, CLASSIFICATION, DUPLICATE, BACKGROUND, BOTH, IGNORED = range(7)
UNCOUNTED = -1  # in place of a match type: the detection is beyond the greatest number of detections counted
THRESHOLDS_PER_WORD = 16  # the low bits of a word say which thresholds a detection reaches, the high bits where ignored
TAKES_TRUTH, LAST_OF_ALL, LAST_OF_CLASS = 1, 2, 4  # bits of a row: true, and the last one of equal scores
CLASS_MASK = 0xFFFFFFFF  # a code is the number of a model in the upper 32 bits and of a class in the lower 32

# Assigning by IoU: options of a rule, as bits.
TIES, FIRST, OWN, LAST, AT_ZERO, ALL_NEGATIVE = 1, 2, 4, 8, 16, 32
BY_UNION, BY_ANCHOR, BY_TRUTH = range(3)  # the area that an intersection is divided by

# Weighted boxes fusion: how the confidence of a cluster is computed, by its place in CONFIDENCES.
CONFIDENCES = ("avg", "max", "box_and_model_avg", "absent_model_aware_avg")
AVG, MAX, BOX_AND_MODEL_AVG, ABSENT_MODEL_AWARE_AVG = range(4)

# Regression: points that descend side by side, and the counts of cases after the last step.
POINTS = 16
CONVERGED, GOOD, CLOSE, APART, HELD, COUNTS = range(6)

# Sketches: a float64 is sign, exponent and 52 bits of fraction. The fine bins keep ten bits of the fraction and the
# exponents of the middle: 1,024 bins an octave from 2^-64 to 2^64 for each sign, all edges exact.
FRACTION = 52
KEPT = 10
LOWEST = 1023 - 64
BINS = 128 << KEPT
NAN, POSITIVE_INFINITE, NEGATIVE_INFINITE = range(3)
