"""A summary as JSON, part by part."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["number", "streamed"]

HERE = "\0"  # no name or value contains it


def number(value: float) -> float | None:
    """Return a number as JSON holds it, None if it is not finite."""
    return float(value) if math.isfinite(value) else None


def streamed(
    summary: Mapping[str, Any], name: str | None = None, rows: Iterable[tuple[str, Any]] = ()
) -> Iterator[str]:
    """Yield the text of a summary as JSON, part by part; the rows under one name are made one by one.

    >>> print("".join(streamed({"by": "m", "models": {}, "n": 2}, "models", [("a", 1), ("b", 2)])))
    {
      "by": "m",
      "models": {
        "a": 1,
        "b": 2
      },
      "n": 2
    }
    """
    whole = summary if name is None else {**summary, name: HERE}
    before, _, after = json.dumps(whole, indent=2, allow_nan=False).partition(json.dumps(HERE))
    yield before
    if name is None:
        return
    start = "{"
    for key, value in rows:
        row = json.dumps({key: value}, indent=2, allow_nan=False)[1:-2]
        yield start + row.replace("\n", "\n  ")
        start = ","
    yield "{}" if start == "{" else "\n  }"
    yield after
