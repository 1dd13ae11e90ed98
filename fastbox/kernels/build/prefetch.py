"""Memory asked for before it is read: past the caches a processor guesses too late what a loop with much work reads."""

from __future__ import annotations

from fastbox.kernels.build.device import device, inlined
from fastbox.kernels.build.nontemporal import per_line

SOON = 512  # bytes of a column between what is asked for and what is read: the work on them takes as long as memory
LONGEST = 8  # numbers of a row of which a box takes most
LARGE = 1 << 19  # bytes of the boxes of one side, from which on the caches of a core do not hold both sides


def prefetch(array, place):
    """Ask for the cache line of a number of an array, counted from its first one; the line may lie behind the end."""


@inlined
def prefetch_numbers(array, place, count):
    """Ask for the cache lines of some numbers that lie one behind the other."""
    for k in range(0, count, per_line(array)):
        prefetch(array, place + k)


@inlined
def prefetch_boxes(boxes, first, count):
    """Ask for the cache lines of some boxes of a side: of their rows, or of the first four columns.

    Nothing is asked for where boxes lie in long rows, of which they are only a part.
    """
    width = boxes[1].strides[0] // boxes[1].itemsize
    if 0 < width <= LONGEST:
        prefetch_numbers(boxes[1], width * first, width * count)
    if width == 1:
        prefetch_numbers(boxes[2], first, count)
        prefetch_numbers(boxes[3], first, count)
        prefetch_numbers(boxes[4], first, count)


@device
def rows_ahead(column, rows):
    """Return how many rows ahead boxes of four columns are asked for; 0 for so few rows that caches may hold them."""
    return SOON // column.itemsize if 4 * rows * column.itemsize >= LARGE else 0
