"""One file per command: what `fastbox NAME` runs, as functions."""

from fastbox.anchors.resize import Resize
from fastbox.datasets.convert import convert
from fastbox.experiments.disagreement import Disagreement
from fastbox.experiments.regression import Regression, regression
from fastbox.fragments.run import spread
from fastbox.jobs.anchors import Fitted, fit_anchors
from fastbox.jobs.assign import Assigned, assign
from fastbox.jobs.disagreement import disagreement
from fastbox.jobs.evaluate import Evaluated, evaluate
from fastbox.jobs.fuse import FusedTables, fuse
from fastbox.jobs.inspect import Inspected, inspect
from fastbox.jobs.inspection.problems import Limits
from fastbox.jobs.measure import Measured, measure
from fastbox.jobs.nms import Suppressed, nms
from fastbox.jobs.pairs import Paired, pairs
from fastbox.jobs.plan import Planned, plan
from fastbox.jobs.sort import sort
from fastbox.jobs.synthesize import synthesize

__all__ = [
    "Assigned",
    "Disagreement",
    "Evaluated",
    "Fitted",
    "FusedTables",
    "Inspected",
    "Limits",
    "Measured",
    "Paired",
    "Planned",
    "Regression",
    "Resize",
    "Suppressed",
    "assign",
    "convert",
    "disagreement",
    "evaluate",
    "fit_anchors",
    "fuse",
    "inspect",
    "measure",
    "nms",
    "pairs",
    "plan",
    "regression",
    "sort",
    "spread",
    "synthesize",
]
