"""The names of the losses, and the check of a name that is a metric's or a loss's."""

from __future__ import annotations

import difflib

from fastbox.ops.search import METRICS

__all__ = ["COORDINATE_LOSSES", "LOSSES", "OVERLAP_LOSSES", "check_name"]

OVERLAP_LOSSES = ("iou_loss", "giou_loss", "diou_loss", "ciou_loss", "eiou_loss")
COORDINATE_LOSSES = ("smooth_l1_loss", "huber_loss", "l1_loss")
LOSSES = OVERLAP_LOSSES + COORDINATE_LOSSES


def check_name(name: str) -> None:
    """Raise ValueError unless a metric or a loss has this name; name the nearest."""
    if name not in METRICS and name not in LOSSES:
        near = difflib.get_close_matches(str(name), (*METRICS, *LOSSES), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known = f"a metric of {', '.join(METRICS)}, or a loss of {', '.join(LOSSES)}"
        raise ValueError(f"expected {known}, got {name!r}{hint}")
