"""States of a metric, a tensor for each batch or one for all, as one array."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["State", "joined", "offsets_of", "table_of"]

State: TypeAlias = list[torch.Tensor] | torch.Tensor  # one tensor once the states of several processes are gathered


def table_of(state: State, empty: torch.Tensor) -> torch.Tensor:
    """Return the rows of all batches one after the other, on the CPU; without batches `empty`."""
    table = state if isinstance(state, torch.Tensor) else torch.cat(state) if state else empty
    return table.detach().cpu()


def joined(state: State) -> NDArray[Any]:
    """Return the numbers of all batches one after the other."""
    table = table_of(state, torch.zeros(0))
    array: NDArray[Any] = (table.float() if table.dtype == torch.bfloat16 else table).numpy()
    return array


def offsets_of(counts: State) -> NDArray[np.int64]:
    """Return the first row of each image among those of all, and the end, given the number of rows of each image."""
    return np.concatenate(([0], np.cumsum(joined(counts)))).astype(np.int64)
