"""Evaluation of detections as COCO does it, to the last bit, and what its averages hide."""

from typing import TYPE_CHECKING

from fastbox._lazy import lazy

if TYPE_CHECKING:
    from fastbox.evaluation.arrays import evaluate
    from fastbox.evaluation.core import Evaluation
    from fastbox.evaluation.params import Params
    from fastbox.evaluation.protocols.coco import AREA_RANGES

__all__ = ["AREA_RANGES", "Evaluation", "Params", "evaluate"]

lazy(
    __name__,
    {
        "fastbox.evaluation.arrays": ("evaluate",),
        "fastbox.evaluation.core": ("Evaluation",),
        "fastbox.evaluation.params": ("Params",),
        "fastbox.evaluation.protocols.coco": ("AREA_RANGES",),
    },
)
