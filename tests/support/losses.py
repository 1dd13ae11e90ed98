"""All losses by name: those of overlap, and those of numbers with and without an option; and random numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastbox

OVERLAP: dict[str, Callable[..., Any]] = {
    "iou": fastbox.iou_loss,
    "giou": fastbox.giou_loss,
    "diou": fastbox.diou_loss,
    "ciou": fastbox.ciou_loss,
    "eiou": fastbox.eiou_loss,
}
NUMBERS: dict[str, Callable[..., Any]] = {
    "smooth_l1": fastbox.smooth_l1_loss,
    "smooth_l1 at 0.1": lambda *given, **options: fastbox.smooth_l1_loss(*given, beta=0.1, **options),
    "huber at 0.5": lambda *given, **options: fastbox.huber_loss(*given, delta=0.5, **options),
    "l1": fastbox.l1_loss,
}
POINTWISE: dict[str, Callable[..., Any]] = {
    "smooth_l1": fastbox.smooth_l1_loss,
    "huber": fastbox.huber_loss,
    "l1": fastbox.l1_loss,
}
ALL = OVERLAP | NUMBERS
BETAS = [0.0, 0.1, 0.5, 1.0, 1 / 9, 3.0, 1000.0]


def numbers(n: int, dtype: Any, seed: int = 0) -> Any:
    """Return random numbers, most of them between -4 and 4."""
    return np.random.default_rng(seed).normal(0, 2, n).astype(dtype)
