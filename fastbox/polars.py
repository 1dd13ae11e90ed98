"""The accessor ``frame.fastbox`` of polars: ``import fastbox.polars`` registers :class:`fastbox.frames.Accessor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.frames.accessor import Accessor
from fastbox.result import Result

try:
    import polars
except ImportError as error:
    raise ImportError("expected polars for fastbox.polars, got none: install it with pip install polars") from error

__all__ = ["PolarsAccessor"]


@polars.api.register_dataframe_namespace("fastbox")
class PolarsAccessor(Accessor):
    """The accessor of ``polars.DataFrame``."""

    def _made(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        return polars.DataFrame(dict(columns))

    def _with(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        return self._frame.with_columns(self._made(columns).get_columns())

    def _rows(self, rows: NDArray[np.int64]) -> Any:
        return self._frame[rows]

    def _table(self, result: Result, table: str | None) -> Any:
        return result.to_polars(table)
