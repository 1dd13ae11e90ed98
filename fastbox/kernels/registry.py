"""Every kernel, listed, and compiled ahead of use."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np

from fastbox.kernels.build import cache, native
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.source import KERNELS
from fastbox.kernels.build.types import Number
from fastbox.kernels.metrics import ROTATED_METRICS

LISTED = {
    "assign.fcos": ("FCOS",),
    "assign.greedy": ("GREEDY",),
    "assign.iou_rule": ("BOXES", "GRID"),
    "assign.points": ("COUNT", "SHARE"),
    "assign.rtmdet": ("RTMDET",),
    "assign.simota": ("SIMOTA",),
    "assign.tal": ("TAL",),
    "assign.tood": ("TOOD",),
    "common.anchor_shapes": ("COVERED", "NEAREST"),
    "common.sketch": ("TALLY",),
    "common.sorting": ("GROUPED", "SORT"),
    "compare.aligned": ("ALIGNED", "CORNERS"),
    "compare.cell_index": ("BUILD", "SURVEY"),
    "compare.dense": ("BEST", "PAIRS", "SCATTER", "TOP"),
    "compare.few": ("FEW", "LEADERS"),
    "compare.histogram": ("HISTOGRAM",),
    "compare.indexed": ("BEST", "ORDER", "PAIRS", "TOP"),
    "compare.matrix": ("MATRIX",),
    "evaluate.best_scores": ("BEST_SCORES",),
    "evaluate.bootstrap": ("RESAMPLE",),
    "evaluate.curves": ("TRACE",),
    "evaluate.hits": ("MEASURE_HITS",),
    "evaluate.jaccard": ("JACCARD",),
    "evaluate.kitti": ("MATCH_COUNTS", "MATCH_SCORES"),
    "evaluate.match": ("MATCH", "MATCH_KEEPING"),
    "evaluate.match_any": ("MATCH_ANY",),
    "evaluate.match_groups": ("MATCH_GROUPS",),
    "evaluate.regions": ("MATCH_REGIONS",),
    "evaluate.suspects": ("GATHER", "SURVEY"),
    "evaluate.tide": ("CLASSIFY_ERRORS", "TRACE_FIXED"),
    "geometry.elementary": ("FUNCTIONS",),
    "geometry.inverted": ("INVERTED",),
    "json.elements": ("ELEMENTS", "SKIP"),
    "loss.coder": ("DECODE", "ENCODE", "GROWTH"),
    "loss.coordinates": ("COORDINATE_LOSSES",),
    "loss.overlap": ("OVERLAP_LOSSES",),
    "loss.regression": ("DESCEND",),
    "suppress.few": ("KEEP", "SOFTEN"),
    "suppress.fusion": ("FUSE",),
    "suppress.leaders": ("CHART", "LEADERS", "REMAINING"),
    "suppress.nms": ("RESOLVE_ARRANGED", "RESOLVE_SEGMENTS"),
    "suppress.tree": ("ARRANGE",),
}

# The kernels of rotated boxes, which `fastbox warmup` compiles only if asked for.
_COMPARE = ("ALIGNED", "BUILD", "HISTOGRAM", "INDEXED_PAIRS", "INDEXED_TOP", "MATRIX", "PACK", "PAIRS", "TOP")
_EVALUATE = ("CLASSIFY_ERRORS", "MATCH", "MATCH_ANY")
_SUPPRESS = ("RESOLVE_ARRANGED", "RESOLVE_SEGMENTS")
ROTATED = {
    "assign.quads": ("BOXES", "GREEDY", "GRID"),
    "assign.rotated": ("BOXES", "GREEDY", "GRID"),
    "compare.quads": _COMPARE,
    "compare.rotated": _COMPARE,
    "evaluate.quads": _EVALUATE,
    "evaluate.rotated": _EVALUATE,
    "geometry.turn": ("TURNS",),
    "loss.rotated": ("ROTATED_LOSSES",),
    "suppress.quads": _SUPPRESS,
    "suppress.rotated": _SUPPRESS,
}
# Those of rectangles, of which libraries have the versions by IoU, and those of short kernels by every metric: with the
# others, and with those of quadrilaterals and of losses, libraries would be twice as large.
RECTANGLES = {
    module: names for module, names in ROTATED.items() if not module.endswith(".quads") and module != "loss.rotated"
}
SHORT = "ALIGNED", "CLASSIFY_ERRORS", "MATCH", "MATCH_ANY"


class Version(NamedTuple):
    """A kernel for one dtype and metric: the module of the kernel, and the kernel's name in the module."""

    module: str
    kernel: str
    dtype: str
    metric: str

    def __str__(self) -> str:
        return found(self).label(np.dtype(self.dtype), self.metric)


def found(version: Version) -> Kernel:
    """Return the kernel of a version."""
    return cast(Kernel, getattr(import_module(f"{KERNELS}.{version.module}"), version.kernel))


def versions(dtypes: Sequence[str], listed: Mapping[str, tuple[str, ...]] = LISTED) -> Iterator[Version]:
    """List all versions that can be compiled for some dtypes; a version with the same types in several dtypes once."""
    for module, names in listed.items():
        for name in names:
            kernel = found(Version(module, name, "", ""))
            types = {str(kernel.signature(Number(np.dtype(dtype)))): dtype for dtype in dtypes}
            for dtype in types.values():
                yield from (Version(module, name, dtype, metric) for metric in kernel.metrics)


def linked(dtypes: Sequence[str]) -> Iterator[Version]:
    """List the versions that libraries have."""
    yield from versions(dtypes)
    for one in versions(dtypes, RECTANGLES):
        if one.kernel in SHORT or one.metric == "iou" or one.metric not in ROTATED_METRICS:
            yield one


def kept(version: Version) -> Path | None:
    """Return the file that keeps a version; None if the version is not compiled, or its file not whole."""
    kernel = found(version)
    symbol = kernel.symbol(np.dtype(version.dtype), version.metric)
    place = (native.holder(symbol) or cache.kept(symbol)) if kernel.text else None
    return Path(place) if place else None


def compile_ahead(version: Version) -> tuple[Version, float]:
    """Compile a version, and return the version with the seconds that compiling took."""
    start = time.perf_counter()
    found(version)[np.dtype(version.dtype), version.metric]
    return version, time.perf_counter() - start
