"""States of a metric, a tensor for each image, as one array."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["joined", "offsets_of"]


def joined(tensors: list[torch.Tensor]) -> NDArray[Any]:
    """Return the numbers of all images one after the other."""
    if not tensors:
        return np.zeros(0)
    table = torch.cat(tensors).detach().cpu()
    array: NDArray[Any] = (table.float() if table.dtype == torch.bfloat16 else table).numpy()
    return array


def offsets_of(tensors: list[torch.Tensor]) -> NDArray[np.int64]:
    """Return the first row of each image among those of all, and the end."""
    return np.cumsum([0, *(len(tensor) for tensor in tensors)], dtype=np.int64)
