"""All losses by name: those of overlap, and those of numbers with and without an option."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
ALL = OVERLAP | NUMBERS
