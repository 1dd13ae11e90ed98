"""The accessor ``frame.fastbox`` of pandas: ``import fastbox.pandas`` registers :class:`fastbox.frames.Accessor`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.frames.accessor import Accessor
from fastbox.result import Result

try:
    import pandas
except ImportError as error:
    raise ImportError("expected pandas for fastbox.pandas, got none: install it with pip install pandas") from error

__all__ = ["PandasAccessor"]


@pandas.api.extensions.register_dataframe_accessor("fastbox")
class PandasAccessor(Accessor):
    """The accessor of ``pandas.DataFrame``; results keep the index of the frame."""

    def _made(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        return pandas.DataFrame(dict(columns))

    def _with(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        return self._frame.assign(**columns)

    def _rows(self, rows: NDArray[np.int64]) -> Any:
        return self._frame.iloc[rows]

    def _table(self, result: Result, table: str | None) -> Any:
        return result.to_pandas(table)
