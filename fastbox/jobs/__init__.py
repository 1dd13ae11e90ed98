"""One file per command: what `fastbox NAME` runs, as functions."""

from fastbox.jobs.anchors import Fitted, fit_anchors
from fastbox.jobs.assign import Assigned, assign
from fastbox.jobs.disagreement import Disagreement, disagreement
from fastbox.jobs.evaluate import Evaluated, evaluate
from fastbox.jobs.fuse import FusedTables, fuse
from fastbox.jobs.measure import Measured, measure
from fastbox.jobs.nms import Suppressed, nms
from fastbox.jobs.pairs import Paired, pairs
from fastbox.jobs.regression import Regression, regression
from fastbox.jobs.sample import sample
from fastbox.tables.convert import convert

__all__ = [
    "Assigned",
    "Disagreement",
    "Evaluated",
    "Fitted",
    "FusedTables",
    "Measured",
    "Paired",
    "Regression",
    "Suppressed",
    "assign",
    "convert",
    "disagreement",
    "evaluate",
    "fit_anchors",
    "fuse",
    "measure",
    "nms",
    "pairs",
    "regression",
    "sample",
]
