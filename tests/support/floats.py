"""The dtypes of boxes, and the bits of floats."""

from __future__ import annotations

from typing import Any

import numpy as np

FLOATS = [np.float32, np.float64]


def bits(values: Any) -> Any:
    """Return floats as the unsigned integers of their bits."""
    return values.view(np.uint32 if values.dtype == np.float32 else np.uint64)
