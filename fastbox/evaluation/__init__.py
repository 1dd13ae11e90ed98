"""Evaluation of detections by the rules of COCO or of another protocol, with errors, calibration and intervals."""

from typing import TYPE_CHECKING

from fastbox._lazy import lazy

if TYPE_CHECKING:
    from fastbox.evaluation.arrays import evaluate
    from fastbox.evaluation.core import Evaluation
    from fastbox.evaluation.federated import Federation
    from fastbox.evaluation.params import Params
    from fastbox.evaluation.protocols.coco import AREA_RANGES

__all__ = ["AREA_RANGES", "Evaluation", "Federation", "Params", "evaluate"]

lazy(
    __name__,
    {
        "fastbox.evaluation.arrays": ("evaluate",),
        "fastbox.evaluation.core": ("Evaluation",),
        "fastbox.evaluation.federated": ("Federation",),
        "fastbox.evaluation.params": ("Params",),
        "fastbox.evaluation.protocols.coco": ("AREA_RANGES",),
    },
)
