"""What every job's result can do in a notebook: show itself, become tables, be drawn with one call."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.errors import InputError
from fastbox.report.page.contents import Page
from fastbox.report.provenance import Provenance

__all__ = ["Invalid", "Result", "Rules"]

Row = dict[str, Any]


class Result:
    """A result that is shown as a table in a notebook, and goes to Arrow, pandas and polars.

    Examples
    --------
    >>> from fastbox import jobs
    >>> found = jobs.Suppressed(images=2, boxes=5, kept=4)
    >>> found.to_arrow().select(["boxes", "kept"]).to_pylist()
    [{'boxes': 5, 'kept': 4}]
    >>> list(found.tables())
    ['summary', 'invalid']
    """

    MAIN = "summary"
    inputs: Sequence[Row] = ()  # what is to be said of how tables were read

    provenance: Provenance | None = None  # of the run, where a job made it

    @property
    def main(self) -> str:
        """The name of the main one of :meth:`tables`."""
        return self.MAIN

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""

    def check(self) -> None:
        """Refuse a result of whole tables that can't be meant; most results have nothing to refuse."""

    def page(self) -> Page:
        """Return everything as a page.

        Raises
        ------
        InputError
            There is no page of this result.
        """
        raise InputError(f"expected a result that has a page, got {type(self).__name__}")

    def said_of_inputs(self) -> dict[str, Any]:
        """Return how tables were read, as JSON holds it; nothing of sorted Parquet with the usual names."""
        return {"inputs": list(self.inputs)} if self.inputs else {}

    def tables(self) -> dict[str, list[Row]]:
        """Everything as tables, each a list of rows: what is counted once in ``summary``, and more by their names."""
        found = self.to_dict()
        tables: dict[str, list[Row]] = {"summary": [dict(_leaves(found))]}
        histograms: list[Row] = []
        for name, rows in _tables(found):
            tables[name] = [dict(_leaves(row)) for row in rows]
            for row in rows:
                if isinstance(histogram := row.get("histogram"), Mapping):
                    edges, counts = histogram["edges"], histogram["counts"]
                    bins = zip(edges[:-1], edges[1:], counts, strict=True)
                    histograms += [{"name": row["name"], "low": low, "high": high, "count": n} for low, high, n in bins]
        return tables | ({"histograms": histograms} if histograms else {})

    def to_arrow(self, table: str | None = None) -> Any:
        """Return one of :meth:`tables`, the main one when left out, as a ``pyarrow.Table``."""
        from fastbox.arrow.columns import table_of

        tables = self.tables()
        name = self.main if table is None else table
        if name not in tables:
            raise ValueError(f"expected a table of {', '.join(tables)}, got {name!r}")
        return table_of(tables[name])

    def to_pandas(self, table: str | None = None) -> Any:
        """Return one of :meth:`tables`, the main one when left out, as a ``pandas.DataFrame``."""
        try:
            return self.to_arrow(table).to_pandas()
        except ImportError:
            raise InputError("expected pandas for a frame, got none: pip install pandas") from None

    def to_polars(self, table: str | None = None) -> Any:
        """Return one of :meth:`tables`, the main one when left out, as a ``polars.DataFrame``."""
        try:
            import polars
        except ImportError:
            raise InputError("expected polars for a frame, got none: pip install polars") from None
        return polars.from_arrow(self.to_arrow(table))

    def plot(self) -> Any:
        """Draw what was found, as a ``matplotlib.figure.Figure`` that a notebook shows.

        Raises
        ------
        InputError
            matplotlib (the extra ``plot``) is not installed, or there is nothing to draw.
        """
        from fastbox.report.notebook import drawing

        return drawing(self.to_dict())

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write the page that ``--report`` writes, without examples where the job did not keep any.

        Raises
        ------
        InputError
            There is no page of this result, Jinja2 or matplotlib (the extra ``report``) is missing, or no such folder.
        """
        from fastbox.report.page import check_page, write

        page = self.page()
        check_page(path)
        write(page, path, self.provenance)

    def _repr_html_(self) -> str:
        from fastbox.report.notebook import html_of

        return html_of(type(self).__name__, self.tables(), self.main)


@dataclass
class Invalid:
    """The number of invalid boxes, by reason."""

    not_finite: int = 0
    inverted: int = 0

    def add(self, reasons: NDArray[np.uint8]) -> None:
        """Count the invalid boxes among some, given the reasons as :meth:`Boxes.invalid` returns them."""
        _, not_finite, inverted = np.bincount(reasons, minlength=3).tolist()
        self.not_finite += not_finite
        self.inverted += inverted

    def to_dict(self) -> dict[str, int]:
        """Return the counts by reason."""
        return {"not_finite": self.not_finite, "inverted": self.inverted}


@dataclass(frozen=True)
class Rules:
    """The options that figures depend on beside the boxes, by their names, as JSON holds them; alike in all parts.

    A tuple is kept as a list, and a number that is not finite as text.
    """

    given: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "given", {name: _as_json(value) for name, value in self.given.items()})

    def __add__(self, other: Rules) -> Rules:
        """Return the rules of two parts of a run, which are the same."""
        if self != other:
            raise ValueError(f"expected parts of one run, got {self.given} and {other.given}")
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return dict(self.given)


def _as_json(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_as_json(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _leaves(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """The single values of a summary, those further down with the names above them."""
    for name, value in found.items():
        if isinstance(value, Mapping):
            if name != "histogram" and not _is_table(value):
                # A quantile needs no more than its own name.
                yield from _leaves(value, "" if name == "quantiles" else f"{before}{name}_")
        elif not isinstance(value, list | tuple):
            yield f"{before}{name}", value


def _tables(found: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, list[Row]]]:
    """The lists of rows in a summary, and what it holds by name: each with rows that have the name first."""
    for name, value in found.items():
        if isinstance(value, list) and value and all(isinstance(row, Mapping) for row in value):
            yield f"{before}{name}", value
        elif isinstance(value, Mapping) and _is_table(value):
            yield f"{before}{name}", [{"name": key, **row} for key, row in value.items()]
        elif isinstance(value, Mapping):
            yield from _tables(value, f"{before}{name}_")


def _is_table(value: Mapping[str, Any]) -> bool:
    """Whether these are rows by name: all alike, and more than a few counts."""
    rows = list(value.values())
    if not rows or not all(isinstance(row, Mapping) for row in rows) or len({tuple(row) for row in rows}) > 1:
        return False
    return any(not isinstance(one, Mapping) for one in rows[0].values())
