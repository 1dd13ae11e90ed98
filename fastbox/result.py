"""The result of a job: shown in a notebook, as tables for Arrow, pandas and polars, as a drawing and as a page."""

from __future__ import annotations

import math
import os
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.errors import InputError
from fastbox.report.provenance import Provenance

if TYPE_CHECKING:
    from fastbox.report.brief import Shown
    from fastbox.report.page.contents import Page

__all__ = ["Invalid", "Result", "Row", "Rules", "TableRows"]

Row = dict[str, Any]


class TableRows(list[Row]):
    """A table as a list of rows, which goes to Arrow, pandas and polars.

    Examples
    --------
    >>> TableRows([{"class": "cat", "count": 2}]).to_arrow().column_names
    ['class', 'count']
    """

    def to_arrow(self) -> Any:
        """Return the table as a ``pyarrow.Table``."""
        from fastbox.arrow.columns import table_of

        return table_of(self)

    def to_pandas(self) -> Any:
        """Return the table as a ``pandas.DataFrame``."""
        try:
            return self.to_arrow().to_pandas()
        except ImportError:
            raise InputError("expected pandas for a frame, got none: pip install pandas") from None

    def to_polars(self) -> Any:
        """Return the table as a ``polars.DataFrame``."""
        try:
            import polars
        except ImportError:
            raise InputError("expected polars for a frame, got none: pip install polars") from None
        return polars.from_arrow(self.to_arrow())


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

    MAIN: ClassVar[str] = "summary"  # the table to use if no table is named
    TABLES: ClassVar[tuple[str, ...]] = ()  # places in `to_dict` of lists of rows, or of rows by their names
    APART: ClassVar[tuple[str, ...]] = ()  # entries of rows that hold tables of their own
    FIRST: ClassVar[tuple[str, ...]] = ()  # the figures of the summary that are shown, the most important one first

    inputs: Sequence[Row] = ()  # notes on the tables that were read
    provenance: Provenance | None = None  # of the run, where a job made it
    file_names: Callable[[Collection[str]], Mapping[str, Any]] | None = None  # of images, where a job read them

    @property
    def main(self) -> str:
        """The name of the main one of :meth:`tables`."""
        return self.MAIN

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""

    def check(self) -> None:
        """Refuse a result of whole tables that was probably not intended; most results refuse nothing."""

    def page(self) -> Page:
        """Return everything as a page, which a notebook shows.

        Raises
        ------
        InputError
            There is no page of this result.
        """
        raise InputError(f"expected a result that has a page, got {type(self).__name__}: show its tables()")

    def notes_on_inputs(self) -> dict[str, Any]:
        """Return notes on the tables as JSON holds them; sorted Parquet with usual names needs no note."""
        return {"inputs": list(self.inputs)} if self.inputs else {}

    def tables(self) -> dict[str, TableRows]:
        """Return everything as tables, each a list of rows: single figures in ``summary``, other tables by name.

        A table goes to other libraries by its ``to_arrow``, ``to_pandas`` and ``to_polars``.
        """
        found = self.to_dict()
        places = (*self.TABLES, "inputs")
        tables: dict[str, list[Row]] = {"summary": [dict(_leaves(found, places))]}
        histograms: list[Row] = []
        for place in places:
            rows = _rows(found, place)
            if rows:
                tables[place.replace(".", "_")] = [dict(_leaves(row, self.APART)) for row in rows]
            histograms += [counted for row in rows if "histogram" in row for counted in _bins(row)]
        tables |= {"histograms": histograms} if histograms else {}
        return {name: TableRows(rows) for name, rows in (tables | self._further_tables(found)).items()}

    def _further_tables(self, summary: Mapping[str, Any]) -> dict[str, list[Row]]:
        """Return tables that are not lists of rows in the summary, given ``to_dict``."""
        return {}

    def to_arrow(self, table: str | None = None) -> Any:
        """Return one of :meth:`tables`, by default the main one, as a ``pyarrow.Table``."""
        return self._table(table).to_arrow()

    def _table(self, table: str | None) -> TableRows:
        tables = self.tables()
        name = (self.main if self.main in tables else "summary") if table is None else table
        if name not in tables:
            raise ValueError(f"expected a table of {', '.join(tables)}, got {name!r}")
        return tables[name]

    def to_pandas(self, table: str | None = None) -> Any:
        """Return one of :meth:`tables`, by default the main one, as a ``pandas.DataFrame``."""
        return self._table(table).to_pandas()

    def to_polars(self, table: str | None = None) -> Any:
        """Return one of :meth:`tables`, by default the main one, as a ``polars.DataFrame``."""
        return self._table(table).to_polars()

    def plot(self) -> Any:
        """Draw the result as a ``matplotlib.figure.Figure`` that a notebook shows.

        Raises
        ------
        InputError
            matplotlib (the extra ``plot``) is not installed, or there is nothing to draw.
        """
        from fastbox.report.notebook import drawing

        return drawing(self.to_dict())

    def illustrated(self, pictures: str | os.PathLike[str]) -> Page:
        """Return everything as a page with pictures behind the boxes of examples, which a notebook shows.

        Parameters
        ----------
        pictures : path
            The folder of the images (the extra ``formats``).

        Raises
        ------
        InputError
            There is no page of this result, no such folder, or Pillow is not installed.
        """
        from fastbox.report.page.pictures import check_pictures, illustrated

        check_pictures(pictures)
        return illustrated(self.page(), pictures, self.file_names)

    def report(self, path: str | os.PathLike[str], *, pictures: str | os.PathLike[str] | None = None) -> None:
        """Write the page that ``--report`` writes, without examples where the job did not keep any.

        Parameters
        ----------
        path : path
        pictures : path, optional
            The folder of the images, to show them behind the boxes of examples (the extra ``formats``).

        Raises
        ------
        InputError
            There is no page of this result, Jinja2 or matplotlib (the extra ``report``) is missing, or no such folder.
        """
        from fastbox.report.page.write import check_report, write

        page = self.page()
        check_report(path, pictures)
        write(page if pictures is None else self.illustrated(pictures), path, self.provenance)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: everything but the names of files, whose tables may be in this process alone."""
        return {name: value for name, value in vars(self).items() if name != "file_names"}

    def __repr__(self) -> str:
        from fastbox.report.brief import text_of

        return text_of(self._shown())

    def _repr_html_(self) -> str:
        from fastbox.report.brief import html_of

        return html_of(self._shown())

    def _shown(self) -> Shown:
        """The figures to look at first, and the main table."""
        from fastbox.report.brief import Shown

        tables = self.tables()
        (summary,) = tables["summary"]
        main = self.main if self.main in tables else "summary"
        rows = [] if main == "summary" else tables[main]
        others = [name for name in tables if name != main and name != "summary"]
        return Shown(type(self).__name__, self._first(summary), rows, others)

    def _first(self, summary: Row) -> dict[str, Any]:
        """The figures to look at first, by the names under which they are shown."""
        return {name: summary[name] for name in self.FIRST if name in summary}


@dataclass
class Invalid:
    """The number of invalid boxes, by reason; a rotated rectangle with a negative side is inverted."""

    not_finite: int = 0
    inverted: int = 0
    angle_too_large: int = 0
    edges_cross: int = 0

    def add(self, reasons: NDArray[np.uint8]) -> None:
        """Count the invalid boxes among some, given the reasons as :meth:`Boxes.invalid` returns them."""
        _, not_finite, inverted, angle, crossing = np.bincount(reasons, minlength=5).tolist()
        self.not_finite += not_finite
        self.inverted += inverted
        self.angle_too_large += angle
        self.edges_cross += crossing

    def to_dict(self) -> dict[str, int]:
        """Return the counts by reason; those that only rotated boxes have, only if there are any."""
        turned = {"angle_too_large": self.angle_too_large, "edges_cross": self.edges_cross}
        plain = {"not_finite": self.not_finite, "inverted": self.inverted}
        return plain | {reason: count for reason, count in turned.items() if count}


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


def _leaves(found: Mapping[str, Any], apart: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield the single values of a summary or a row; a nested value has the names of its parents in front.

    Tables, which are at the places ``apart``, are left out.
    """
    for name, value in found.items():
        if name in apart or name == "histogram" or isinstance(value, list | tuple):
            continue
        if not isinstance(value, Mapping):
            yield name, value
            continue
        above = "" if name == "quantiles" else f"{name}_"  # a quantile needs no more than its own name
        below = [place.removeprefix(f"{name}.") for place in apart if place.startswith(f"{name}.")]
        yield from ((f"{above}{inner}", leaf) for inner, leaf in _leaves(value, below))


def _rows(found: Mapping[str, Any], place: str) -> list[Mapping[str, Any]]:
    """Return the rows of the table at a place; rows by name have the name first. No rows for an empty place."""
    name, _, rest = place.partition(".")
    inner = found.get(name)
    if not inner:
        return []
    if rest:
        return _rows(inner, rest)
    return [{"name": key, **row} for key, row in inner.items()] if isinstance(inner, Mapping) else list(inner)


def _bins(row: Mapping[str, Any]) -> Iterator[Row]:
    """The rows of a histogram, one for each bin."""
    edges, counts = row["histogram"]["edges"], row["histogram"]["counts"]
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        yield {"name": row["name"], "low": low, "high": high, "count": count}
