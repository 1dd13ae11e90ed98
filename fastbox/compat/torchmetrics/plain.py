"""The base of metrics where torchmetrics is not installed: states, reset and forward, in one process."""

from __future__ import annotations

from typing import Any

__all__ = ["Metric"]


class Metric:
    """States that are lists, an update and a computation.

    Raises
    ------
    ValueError
        Keyword arguments, which are those of ``torchmetrics.Metric``.
    """

    def __init__(self, **kwargs: Any) -> None:
        if kwargs:
            raise ValueError(
                f"expected no {', '.join(kwargs)} without torchmetrics: install it with pip install torchmetrics"
            )
        self._states: list[str] = []

    def add_state(self, name: str, default: list[Any], dist_reduce_fx: str | None = None) -> None:
        """Add a state, a list that is empty after :meth:`reset`."""
        self._states.append(name)
        setattr(self, name, default)

    def reset(self) -> None:
        """Forget all updates."""
        for name in self._states:
            setattr(self, name, [])

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch."""
        raise NotImplementedError

    def compute(self) -> Any:
        """Return the figures of all batches."""
        raise NotImplementedError

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Add a batch, and return the figures of this batch alone."""
        before = {name: getattr(self, name) for name in self._states}
        self.reset()
        try:
            self.update(*args, **kwargs)
            found = self.compute()
        finally:
            for name, states in before.items():
                setattr(self, name, states + getattr(self, name))
        return found

    __call__ = forward

    def _plot(self, val: Any, ax: Any) -> Any:
        raise ImportError(
            "expected torchmetrics for plot, got none: install it with pip install 'torchmetrics[visual]'"
        )
