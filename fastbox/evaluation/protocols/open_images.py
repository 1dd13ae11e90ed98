"""Open Images' protocol: AP at IoU 0.50 by class; groups of objects, verified labels (Kuznetsova et al., IJCV 2020)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fastbox.evaluation.curves import NOTHING
from fastbox.evaluation.marks import outcomes
from fastbox.evaluation.protocols.voc import VOC12, AreaUnder
from fastbox.evaluation.registry import Default

__all__ = ["PROTOCOLS"]


class OpenImages(AreaUnder):
    """The statistics of one model."""

    def stats(self) -> dict[str, float]:
        """Return the statistics, -1 without truths; means are summed over all classes, as in the benchmark's code."""
        found = {}
        for name, values in self.stats_by_class().items():
            known = values != NOTHING
            count = int(np.count_nonzero(known))
            found[name] = float(np.sum(np.where(known, values, 0.0))) / count if count else NOTHING
        return found

    def further(self) -> dict[str, Any]:
        """Return the numbers of detections that are true, false and ignored."""
        return {"outcomes": outcomes(self.detections, 0)}


OPEN_IMAGES = replace(
    VOC12,
    name="open-images",
    crowd=Default("iscrowd"),
    ignore=Default("ignore"),
    options={},
    says="best of all truths, a group counts once; area under the envelope of precision",
    traced=OpenImages,
    federated=True,
    group_of=True,
)

PROTOCOLS = (OPEN_IMAGES,)
