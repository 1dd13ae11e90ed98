"""The progress of a job: counted so that the job can begin again, and halved where boxes are read twice."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Steps", "halved"]


class Steps:
    """The count of the boxes that a job reported, so that the job can begin again."""

    def __init__(self, progress: Callable[[int], object] | None) -> None:
        self.progress = progress
        self._done = 0

    def __call__(self, count: int) -> None:
        assert self.progress is not None
        self._done += count
        self.progress(count)

    def back(self) -> None:
        """Take back all boxes that were reported."""
        if self.progress is not None and self._done:
            self.progress(-self._done)
        self._done = 0


def halved(progress: Callable[[int], object]) -> Callable[[int], object]:
    """Return a function that reports half the boxes, for a job that reads each box twice."""
    left = 0

    def step(boxes: int) -> None:
        nonlocal left
        done, left = divmod(left + boxes, 2)
        progress(done)

    return step
