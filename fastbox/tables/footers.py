"""What footers tell of a column, asked in a way that no damage ends the process."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fastbox.errors import InputError

__all__ = ["check_footer"]


def check_footer(path: str, footer: pq.FileMetaData, column: str) -> None:
    """Refuse a footer with entries on a column that Arrow can't take: asked for them one by one, it ends the process.

    Nothing is read: Arrow looks through all entries before it begins to read data, and says what is wrong with them;
    here there are no data.

    Raises
    ------
    InputError
        An entry is damaged.
    """
    with pq.ParquetFile(pa.PythonFile(_NoData(), mode="r"), metadata=footer, pre_buffer=True) as file:
        try:
            next(file.iter_batches(1, columns=[column]), None)
        except _NoDataError:
            return
        except (OSError, pa.ArrowException) as error:
            what = str(error).splitlines()[0].rstrip(".")
            raise InputError(
                f"expected a Parquet file, got {path} with a damaged footer ({what}): copy or write it again"
            ) from error


class _NoDataError(Exception):
    """Data were asked for."""


class _NoData:
    """A file of any size of which nothing can be read."""

    closed = False
    _at = 0

    def readable(self) -> bool:
        return True

    def size(self) -> int:
        return 1 << 62

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self.size())[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> Any:
        raise _NoDataError

    def close(self) -> None:
        pass
