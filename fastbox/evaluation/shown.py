"""What a notebook asks of an evaluation, answered as `fastbox evaluate` answers it."""

from __future__ import annotations

import os
from typing import Any

__all__ = ["Shown"]


class Shown:
    """Something that becomes tables, frames, a drawing and a page as the result of :func:`fastbox.jobs.evaluate`."""

    def _result(self) -> Any:
        from fastbox.jobs.evaluate import Evaluated

        models: list[Any] = self.models  # type: ignore[attr-defined]
        return Evaluated(self, by=None if models in ([], [None]) else "model")  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON holds it."""
        found: dict[str, Any] = self._result().to_dict()
        return found

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Everything as tables, each a list of rows: ``summary``, ``by_class``, ``histograms`` and so on."""
        found: dict[str, list[dict[str, Any]]] = self._result().tables()
        return found

    def to_arrow(self, table: str | None = None) -> Any:
        """Return one of :meth:`tables`, that of classes or of models when left out, as a ``pyarrow.Table``."""
        return self._result().to_arrow(table)

    def to_pandas(self, table: str | None = None) -> Any:
        """Return one of :meth:`tables`, that of classes or of models when left out, as a ``pandas.DataFrame``."""
        return self._result().to_pandas(table)

    def to_polars(self, table: str | None = None) -> Any:
        """Return one of :meth:`tables`, that of classes or of models when left out, as a ``polars.DataFrame``."""
        return self._result().to_polars(table)

    def plot(self) -> Any:
        """Draw curves of precision and histograms of matched pairs, as a ``matplotlib.figure.Figure``."""
        return self._result().plot()

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write the page of figures, plots and tables that ``fastbox evaluate --report`` writes, without examples."""
        self._result().report(path)

    def __repr__(self) -> str:
        return repr(self._result())

    def _repr_html_(self) -> str:
        shown: str = self._result()._repr_html_()
        return shown
