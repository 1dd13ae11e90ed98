"""A CPU batch engine for bounding boxes: IoU, GIoU and their relatives over millions of boxes streamed from Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastbox._lazy import lazy
from fastbox._version import __version__ as __version__

if TYPE_CHECKING:
    from fastbox.anchors import AnchorGrid, PointGrid
    from fastbox.assign.candidates import Candidates, candidates
    from fastbox.assign.greedy import match_greedy
    from fastbox.assign.match import match
    from fastbox.assign.optimal import match_optimal
    from fastbox.assign.point_rule import PointRule
    from fastbox.assign.raw_predictions import RawPredictions
    from fastbox.assign.registry import RULES
    from fastbox.assign.result import GreedyMatches, Matches, OptimalMatches
    from fastbox.assign.rule import MatchRule
    from fastbox.boxes.container import Boxes
    from fastbox.boxes.rotated import RotatedBoxes
    from fastbox.coder import decode, encode
    from fastbox.datasets.scan import scan
    from fastbox.errors import FormatWarning, InputError, InputWarning
    from fastbox.evaluation import Evaluation, Federation, Params, evaluate
    from fastbox.evaluation.suspects.arrays import suspects
    from fastbox.jobs.warming import warmup
    from fastbox.losses import (
        LOSSES,
        Deltas,
        LossAndGrad,
        ciou_loss,
        diou_loss,
        eiou_loss,
        giou_loss,
        huber_loss,
        iou_loss,
        kld_loss,
        l1_loss,
        probiou_loss,
        smooth_l1_loss,
    )
    from fastbox.memory import get_memory, set_memory
    from fastbox.ops.aligned import aligned
    from fastbox.ops.metrics import METRICS
    from fastbox.ops.result import Best, Pairs, Ragged, Top
    from fastbox.ops.search import best, histogram, pairs, pairwise, top
    from fastbox.parallel import get_num_threads, set_num_threads
    from fastbox.stages import profiled
    from fastbox.suppression.fusion import FusedBoxes, weighted_boxes_fusion
    from fastbox.suppression.nms import SoftNMS, nms, soft_nms
    from fastbox.tables.chunk import Chunk
    from fastbox.tables.source import Source
    from fastbox.values.formats import FORMATS

__all__ = [
    "FORMATS",
    "LOSSES",
    "METRICS",
    "RULES",
    "AnchorGrid",
    "Best",
    "Boxes",
    "Candidates",
    "Chunk",
    "Deltas",
    "Evaluation",
    "Federation",
    "FormatWarning",
    "FusedBoxes",
    "GreedyMatches",
    "InputError",
    "InputWarning",
    "LossAndGrad",
    "MatchRule",
    "Matches",
    "OptimalMatches",
    "Pairs",
    "Params",
    "PointGrid",
    "PointRule",
    "Ragged",
    "RawPredictions",
    "RotatedBoxes",
    "SoftNMS",
    "Source",
    "Top",
    "aligned",
    "best",
    "candidates",
    "ciou_loss",
    "decode",
    "diou_loss",
    "eiou_loss",
    "encode",
    "evaluate",
    "get_memory",
    "get_num_threads",
    "giou_loss",
    "histogram",
    "huber_loss",
    "iou_loss",
    "kld_loss",
    "l1_loss",
    "match",
    "match_greedy",
    "match_optimal",
    "nms",
    "pairs",
    "pairwise",
    "probiou_loss",
    "profiled",
    "scan",
    "set_memory",
    "set_num_threads",
    "smooth_l1_loss",
    "soft_nms",
    "suspects",
    "top",
    "warmup",
    "weighted_boxes_fusion",
]

# Where each public name lives. It is fetched when first asked for: importing fastbox costs no Numba and no pyarrow.
lazy(
    __name__,
    {
        "fastbox.anchors": ("AnchorGrid", "PointGrid"),
        "fastbox.boxes.container": ("Boxes",),
        "fastbox.boxes.rotated": ("RotatedBoxes",),
        "fastbox.values.formats": ("FORMATS",),
        "fastbox.coder": ("decode", "encode"),
        "fastbox.errors": ("FormatWarning", "InputError", "InputWarning"),
        "fastbox.evaluation": ("Evaluation", "Federation", "Params", "evaluate"),
        "fastbox.evaluation.suspects.arrays": ("suspects",),
        "fastbox.losses": (
            "Deltas",
            "LOSSES",
            "LossAndGrad",
            "ciou_loss",
            "diou_loss",
            "eiou_loss",
            "giou_loss",
            "huber_loss",
            "iou_loss",
            "kld_loss",
            "l1_loss",
            "probiou_loss",
            "smooth_l1_loss",
        ),
        "fastbox.assign.candidates": ("Candidates", "candidates"),
        "fastbox.assign.greedy": ("match_greedy",),
        "fastbox.assign.match": ("match",),
        "fastbox.assign.optimal": ("match_optimal",),
        "fastbox.assign.point_rule": ("PointRule",),
        "fastbox.assign.raw_predictions": ("RawPredictions",),
        "fastbox.assign.registry": ("RULES",),
        "fastbox.assign.result": ("GreedyMatches", "Matches", "OptimalMatches"),
        "fastbox.assign.rule": ("MatchRule",),
        "fastbox.ops.metrics": ("METRICS",),
        "fastbox.ops.result": ("Best", "Pairs", "Ragged", "Top"),
        "fastbox.ops.aligned": ("aligned",),
        "fastbox.ops.search": ("best", "histogram", "pairs", "pairwise", "top"),
        "fastbox.memory": ("get_memory", "set_memory"),
        "fastbox.parallel": ("get_num_threads", "set_num_threads"),
        "fastbox.stages": ("profiled",),
        "fastbox.suppression.fusion": ("FusedBoxes", "weighted_boxes_fusion"),
        "fastbox.suppression.nms": ("SoftNMS", "nms", "soft_nms"),
        "fastbox.datasets.scan": ("scan",),
        "fastbox.tables.chunk": ("Chunk",),
        "fastbox.tables.source": ("Source",),
        "fastbox.jobs.warming": ("warmup",),
        "fastbox.fragments": (),
        "fastbox.jobs": (),
        "fastbox.torch": (),
    },
    needs={"fastbox.torch": "torch"},
)
