"""Pairs of boxes at the same distance whose overlaps differ most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.ops.aligned import aligned
from fastbox.values.powers import doublings

__all__ = ["Lookalikes"]

PER_DOUBLING = 70  # bins of distance a doubling: distances of one bin are within 1% of each other
DOUBLINGS = 12  # distances from 1 to 4,096 pixels
SIDES_PER_DOUBLING = 4  # bins of the target's size a doubling: targets of one bin look alike
SIDE_DOUBLINGS = 12
OVERLAPPING = 0.1  # the lowest IoU of either pair: a pair that hardly overlaps would be a trivial example

Floats = NDArray[Any]


class Lookalikes:
    """The pairs that overlap least and most, for each size of target and each distance.

    Of equal pairs the first row is kept, so that the result does not depend on the number of rows in a chunk.
    """

    def __init__(self) -> None:
        self.kept: dict[str, Floats] = {}

    def add(self, rows: NDArray[np.int64], pred: Floats, target: Floats, l2: Floats, iou: Floats, side: Floats) -> None:
        """Add pairs: their rows, corners, L2 distances, IoU, and the sides of squares with the targets' areas."""
        far = np.searchsorted(doublings(0, DOUBLINGS, PER_DOUBLING), l2, side="right") - 1
        large = np.searchsorted(doublings(0, SIDE_DOUBLINGS, SIDES_PER_DOUBLING), side, side="right") - 1
        here = (far >= 0) & (far < DOUBLINGS * PER_DOUBLING) & (iou >= OVERLAPPING)
        here &= (large >= 0) & (large < SIDE_DOUBLINGS * SIDES_PER_DOUBLING)
        key = large[here] * DOUBLINGS * PER_DOUBLING + far[here]
        new = {"key": key, "row": rows[here], "iou": iou[here], "l2": l2[here], "side": side[here]}
        new |= {"pred": pred[here], "target": target[here]}
        both = {name: np.concatenate([self.kept[name], new[name]]) if self.kept else new[name] for name in new}
        least = np.lexsort((both["row"], both["iou"], both["key"]))
        most = np.lexsort((both["row"], -both["iou"], both["key"]))
        ends = np.unique(np.concatenate([order[_firsts(both["key"][order])] for order in (least, most)]))
        self.kept = {name: values[ends] for name, values in both.items()}

    def to_list(self, sizes: Sequence[str], bounds: Sequence[float]) -> list[dict[str, Any]]:
        """Return the two pairs whose IoU differs most, for each size with pairs; the bounds of sizes are sides."""
        if len(self.kept.get("key", ())) == 0:
            return []
        order = np.lexsort((self.kept["row"], self.kept["iou"], self.kept["key"]))
        kept = {name: values[order] for name, values in self.kept.items()}
        low = np.flatnonzero(_firsts(kept["key"]))
        high = np.append(low[1:], len(order)) - 1
        spread = kept["iou"][high] - kept["iou"][low]
        found = []
        for name, (lower, upper) in zip(sizes, pairwise((0.0, *bounds, np.inf)), strict=True):
            these = (kept["side"][low] >= lower) & (kept["side"][low] < upper) & (spread > 0)
            if these.any():
                k = int(np.argmax(np.where(these, spread, -1)))
                found.append({"size": name, "near": _pair(kept, int(high[k])), "far": _pair(kept, int(low[k]))})
        return found


def _firsts(keys: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the first of equal keys, which are sorted."""
    return np.concatenate((np.ones(min(len(keys), 1), np.bool_), keys[1:] != keys[:-1]))


def _pair(kept: Mapping[str, Floats], k: int) -> dict[str, Any]:
    pred, target = kept["pred"][k], kept["target"][k]
    giou = aligned(pred[None], target[None], metric="giou")
    return {
        "row": int(kept["row"][k]),
        "l2": float(kept["l2"][k]),
        "iou": float(kept["iou"][k]),
        "giou": float(giou[0]),
        "pred": pred.tolist(),
        "target": target.tolist(),
    }
