"""The rows that a job writes, step by step, and the progress that it reports."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, ParamSpec

from fastbox._lazy import deferred
from fastbox.result import Result

__all__ = ["Output"]

merge = deferred("fastbox.results.merge")
sink = deferred("fastbox.tables.sink")

Parameters = ParamSpec("Parameters")


class Output:
    """The rows that a job writes, batch by batch, and the progress that it reports; without a path it writes nothing.

    Parameters
    ----------
    out : path or None
    schema : pyarrow.Schema
    command, parameters
        As for :class:`fastbox.tables.sink.Sink`.
    progress : callable, optional
        Called with the number of boxes of each step.
    """

    def __init__(
        self,
        out: str | os.PathLike[str] | None,
        schema: Any,
        *,
        command: str,
        parameters: Mapping[str, Any],
        progress: Callable[[int], object] | None = None,
    ) -> None:
        self.schema, self._progress = schema, progress
        self._sink = None if out is None else sink.Sink(out, schema, command=command, parameters=parameters)
        self._is_part = out is not None and isinstance(out, sink.Target)

    def __enter__(self) -> Output:
        if self._sink is not None:
            self._sink.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._sink is not None:
            self._sink.__exit__(kind, error, trace)

    def write(self, make: Callable[Parameters, Any], *args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        """Write the batch that a function makes of its arguments; without a path the function is not called."""
        if self._sink is not None:
            self._sink.write(make(*args, **kwargs))

    def write_batch(self, batch: Any) -> None:
        """Write an existing batch."""
        if self._sink is not None:
            self._sink.write(batch)

    def step(self, boxes: int) -> None:
        """Report that the work on some more boxes is done."""
        if self._progress is not None:
            self._progress(boxes)

    def finish(self, found: Result, **more: Any) -> None:
        """Record the result in the file, and more entries; the result of a fragment in a form that can be added."""
        if self._sink is not None:
            part = {"aggregate": merge.packed(found)} if self._is_part else {}
            self.record(summary=found.to_dict(), **part, **more)

    def record(self, **more: Any) -> None:
        """Add entries to the record of the file."""
        if self._sink is not None:
            self._sink.record(**more)
