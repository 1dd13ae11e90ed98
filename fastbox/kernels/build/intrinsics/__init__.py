"""Instructions that no loop compiles to, in place of plain functions, which run where nothing is compiled."""

from __future__ import annotations

from fastbox.kernels.build.intrinsics import bits, masks, memory, shuffles

__all__ = ["bits", "masks", "memory", "shuffles"]
