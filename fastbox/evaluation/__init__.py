"""Evaluation of detections as COCO does it, to the last bit, and what its averages hide."""

from fastbox.evaluation.arrays import evaluate
from fastbox.evaluation.core import Evaluation
from fastbox.evaluation.params import AREA_RANGES, Params

__all__ = ["AREA_RANGES", "Evaluation", "Params", "evaluate"]
