"""The names of the losses, and the check of names of metrics and losses."""

from __future__ import annotations

from fastbox.kernels.metrics import METRICS, ROTATED_METRICS
from fastbox.values.numbers import as_choice

__all__ = ["COORDINATE_LOSSES", "LOSSES", "OVERLAP_LOSSES", "PARAMETERS", "check_name"]

OVERLAP_LOSSES = tuple(f"{name}_loss" for name, metric in METRICS.items() if metric.loss)
COORDINATE_LOSSES = ("smooth_l1_loss", "huber_loss", "l1_loss")
LOSSES = OVERLAP_LOSSES + COORDINATE_LOSSES

# The parameter of each metric and loss that has one.
PARAMETERS = {
    **{name: "beta" for name, metric in METRICS.items() if metric.beta},
    "smooth_l1_loss": "beta",
    "huber_loss": "delta",
}


def check_name(name: str) -> None:
    """Raise ValueError unless a metric or a loss has this name; name the nearest."""
    as_choice(name, (*dict.fromkeys((*METRICS, *ROTATED_METRICS)), *LOSSES), "a metric or a loss")
