"""An open Parquet file of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from fastbox.storage.stores import is_remote
from fastbox.values.names import BOX_FORMAT

if TYPE_CHECKING:
    from fastbox.storage.opened import Opened, State

__all__ = ["KeptFile"]

_BUFFER_BYTES = 1 << 20
_STORED_BYTES = 8 << 20  # bytes read from an object store at a time: a request costs as much as some megabytes


class KeptFile(pq.ParquetFile):  # type: ignore[misc]
    """A Parquet file that returns to the open files of its job when it is closed."""

    def __init__(self, source: Any, home: Opened, name: str, state: State, footer: Any, coded: tuple[str, ...]) -> None:
        # pre_buffer keeps all that was ever read of a file in memory; buffer_size 0 a whole column of a row group.
        buffer = _STORED_BYTES if is_remote(name) else _BUFFER_BYTES
        super().__init__(source, metadata=footer, read_dictionary=list(coded), pre_buffer=False, buffer_size=buffer)
        self.handle, self.home, self.name, self.state, self.coded = source, home, name, state, coded

    @property
    def schema_arrow(self) -> Any:
        """The columns in Arrow's types, and as metadata also formats of boxes that stand beside Arrow's own schema."""
        schema = super().schema_arrow
        held = self.metadata.metadata or {}
        told = {key: value for key, value in held.items() if key.endswith(BOX_FORMAT.encode())}
        return schema.with_metadata({**(schema.metadata or {}), **told}) if told else schema

    def close(self, force: bool = False) -> None:
        """Return the file to the open files of its job."""
        self.home.give(self)
