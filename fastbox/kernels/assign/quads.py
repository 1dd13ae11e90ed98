"""Greedy matching of quadrilaterals: the kernel of plain boxes, bound to their geometry."""

from __future__ import annotations

from fastbox.kernels.assign.greedy import greedy, signature
from fastbox.kernels.build.kernel import Kernel
from fastbox.kernels.build.types import side
from fastbox.kernels.compare.quads import BOUND
from fastbox.kernels.geometry.rotated_metrics import OF_QUADS

_INSIDE = {"iof": OF_QUADS["iof"], "iof_of": OF_QUADS["iof"]}  # the share of a detection in a crowd

GREEDY = Kernel(
    greedy,
    lambda t: signature(t, lambda t: side(t, 8)),
    {name: {**names, **_INSIDE} for name, names in BOUND.items()},
    __name__,
)
