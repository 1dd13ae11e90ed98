"""Sums in a fixed order: the same bits for every number of threads and every width of vector."""

from __future__ import annotations

from fastbox.kernels.build.device import device

SUMS = 64  # sums side by side inside a block, so that every width of vector adds in the same order


@device
def total(lanes):
    """Return the sum of the lanes, added by halves, and reset the lanes to 0."""
    width = SUMS // 2
    while width:
        for l in range(width):
            lanes[l] += lanes[l + width]
        width //= 2
    found = lanes[0]
    lanes[:] = 0.0
    return found
