"""The functions behind ``fastbox NAME``, one module for each command; a module is imported on first use."""

from typing import TYPE_CHECKING

from fastbox._lazy import lazy

if TYPE_CHECKING:
    from fastbox.anchors.resize import Resize
    from fastbox.datasets.convert import convert
    from fastbox.experiments.disagreement import Disagreement
    from fastbox.experiments.regression import Regression
    from fastbox.jobs.anchors import Fitted, fit_anchors
    from fastbox.jobs.assign import Assigned, assign
    from fastbox.jobs.assign_points import AssignedPoints, assign_points
    from fastbox.jobs.candidates import CandidateCounts, candidates
    from fastbox.jobs.compare_rules import compare_rules
    from fastbox.jobs.disagreement import disagreement
    from fastbox.jobs.evaluate import Evaluated, evaluate
    from fastbox.jobs.fuse import FusedTables, fuse
    from fastbox.jobs.inspect import Inspected, inspect
    from fastbox.jobs.inspection.problems import Limits
    from fastbox.jobs.measure import Measured, measure
    from fastbox.jobs.nms import Suppressed, nms
    from fastbox.jobs.pairs import Paired, pairs
    from fastbox.jobs.plan import Planned, plan
    from fastbox.jobs.regression import regression
    from fastbox.jobs.sort import sort
    from fastbox.jobs.suspects import Suspected, suspects
    from fastbox.jobs.synthesize import synthesize

__all__ = [
    "Assigned",
    "AssignedPoints",
    "CandidateCounts",
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
    "Suspected",
    "assign",
    "assign_points",
    "candidates",
    "compare_rules",
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
    "suspects",
    "synthesize",
]

lazy(
    __name__,
    {
        "fastbox.anchors.resize": ("Resize",),
        "fastbox.datasets.convert": ("convert",),
        "fastbox.experiments.disagreement": ("Disagreement",),
        "fastbox.experiments.regression": ("Regression",),
        "fastbox.jobs.anchors": ("Fitted", "fit_anchors"),
        "fastbox.jobs.assign": ("Assigned", "assign"),
        "fastbox.jobs.assign_points": ("AssignedPoints", "assign_points"),
        "fastbox.jobs.candidates": ("CandidateCounts", "candidates"),
        "fastbox.jobs.compare_rules": ("compare_rules",),
        "fastbox.jobs.disagreement": ("disagreement",),
        "fastbox.jobs.evaluate": ("Evaluated", "evaluate"),
        "fastbox.jobs.fuse": ("FusedTables", "fuse"),
        "fastbox.jobs.inspect": ("Inspected", "inspect"),
        "fastbox.jobs.inspection.problems": ("Limits",),
        "fastbox.jobs.measure": ("Measured", "measure"),
        "fastbox.jobs.nms": ("Suppressed", "nms"),
        "fastbox.jobs.pairs": ("Paired", "pairs"),
        "fastbox.jobs.plan": ("Planned", "plan"),
        "fastbox.jobs.regression": ("regression",),
        "fastbox.jobs.sort": ("sort",),
        "fastbox.jobs.suspects": ("Suspected", "suspects"),
        "fastbox.jobs.synthesize": ("synthesize",),
    },
)
