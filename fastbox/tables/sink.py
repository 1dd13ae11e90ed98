"""Write a Parquet file that appears complete, with a record of its origin, or not at all."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.parallel import alone
from fastbox.stages import stage
from fastbox.storage.beside import Beside, Coming
from fastbox.storage.folders import check_file, no_folder, sync_folder
from fastbox.storage.stores import is_stored, local, upload
from fastbox.storage.temporary import Temporary, remove_abandoned
from fastbox.tables.footers import is_fixed
from fastbox.tables.record import entry_of, plain, record_of
from fastbox.tables.widths import GroupEnds

__all__ = ["Sink", "Target"]

pq = deferred("pyarrow.parquet")
tempfile = deferred("tempfile")

StrPath = str | os.PathLike[str]

_GROUP_ROWS = 262_144
_GROUP_BYTES = 16 << 20  # of values of no fixed width: a group is in memory three times while it is written
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Target(os.PathLike[str]):
    """The file for one fragment's rows, with the fingerprint by which a rerun recognizes them."""

    path: str
    fingerprint: Mapping[str, Any]

    def __fspath__(self) -> str:
        return self.path


class Sink:
    """The writer of a Parquet file; a context manager. Rows are encoded in a thread, one step behind the caller.

    Rows go to a hidden temporary file in the same folder, for an object store in that of temporary files. On a clean
    exit the record is written into the footer, the file is synced and takes its final name, or is uploaded. On any
    exception the temporary file is removed, and a file at ``path`` stays as it was.
    Row groups are cut by rows and bytes: the same rows give the same bytes, however they came in batches.

    Parameters
    ----------
    path : path
        The file to write; an existing one is replaced.
    schema : pyarrow.Schema
    command : str
        The command that makes the file, for the record.
    parameters : mapping
        The parameters of the command, for the record: anything that JSON can hold, NumPy's numbers and paths.
    compression : str
        A codec of Parquet.
    encodings : mapping, optional
        The arguments of Arrow's writer that encode columns; by default those that suit their types.

    Raises
    ------
    InputError
        On entry: the file can't be made there.
    OSError
        While writing: the disk is full, or fails.

    Examples
    --------
    >>> import pyarrow as pa, tempfile, os
    >>> from fastbox.tables.record import read_record
    >>> path = os.path.join(tempfile.mkdtemp(), "out.parquet")
    >>> with Sink(path, pa.schema([("value", pa.float32())]), command="example", parameters={}) as sink:
    ...     sink.write(pa.table({"value": pa.array([0.5, 1.0], pa.float32())}))
    ...     sink.record(mean=0.75)
    >>> read_record(path)["rows"], read_record(path)["mean"]
    (2, 0.75)
    """

    def __init__(
        self,
        path: StrPath,
        schema: pa.Schema,
        *,
        command: str,
        parameters: Mapping[str, Any],
        compression: str = "zstd",
        encodings: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = local(path)
        self._encodings = encodings
        self.schema = schema
        self.rows = 0
        self._compression = compression
        self._record = record_of(command, parameters)
        self._is_part = isinstance(path, Target)
        if isinstance(path, Target):
            self._record["fingerprint"] = plain(path.fingerprint)
        self._pending: list[pa.Table] = []
        wide = [place for place, kind in enumerate(schema.types) if not is_fixed(kind)]
        self._groups = GroupEnds(wide, _GROUP_ROWS, _GROUP_BYTES)
        self._thread: Beside | None = None
        self._writing: Coming[None] | None = None

    def __enter__(self) -> Sink:
        self._stored = is_stored(self.path)
        self._target = os.path.join(tempfile.gettempdir(), "fastbox") if self._stored else os.path.realpath(self.path)
        self.folder, name = os.path.split(self._target)
        if not self._stored:
            check_file(self.path)
        self._temporary = Temporary(self.folder, name)
        try:
            self._make()
            file = self._temporary.file
            encodings = _encodings(self.schema) if self._encodings is None else self._encodings
            self._writer = pq.ParquetWriter(file, self.schema, compression=self._compression, **encodings)
            self._thread = None if alone() else Beside("fastbox-writer")
        except BaseException:
            self._discard()
            raise
        return self

    def _make(self) -> None:
        try:
            self._temporary.make(_BUFFER_BYTES)
        except OSError as error:
            raise no_folder(self.path, error) from error

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add rows.

        Raises
        ------
        ValueError
            The batch has another schema than the file.
        """
        if not batch.schema.equals(self.schema):
            raise ValueError(f"expected a batch of the file's schema, {self.schema}, got {batch.schema}")
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        self.rows += len(table)
        self._pending.append(table)
        if ended := self._groups.ended_by(table):
            self._flush(ended)

    def record(self, **more: Any) -> None:
        """Add entries to the record in the footer."""
        self._record |= plain(more)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self._discard()
            return
        try:
            with stage("encode"):
                self._commit()
        except BaseException:
            self._discard()
            raise

    def _flush(self, groups: list[int]) -> None:
        rows = pa.concat_tables(self._pending)
        self._pending = [rows.slice(sum(groups))]
        self._wait()
        if self._thread is None:
            self._encode(rows, groups)
        else:
            self._writing = self._thread.call(self._encode, rows, groups)

    def _wait(self) -> None:
        """Wait until the last rows are written; raise the error of writing them."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            with stage("wait"):
                writing.result()

    def _encode(self, rows: pa.Table, groups: list[int]) -> None:
        start = 0
        with stage("encode"):
            for count in groups:
                # One chunk a column, so that pages don't show where the batches ended.
                self._writer.write_table(rows.slice(start, count).combine_chunks(), row_group_size=count)
                start += count

    def _commit(self) -> None:
        if self._groups.rows:
            self._flush([self._groups.rows])
        self._wait()
        if self._thread is not None:
            self._thread.end()
        self._writer.add_key_value_metadata(entry_of(self._record | {"rows": self.rows}))
        self._writer.close()
        file = self._temporary.file
        file.flush()
        os.fsync(file.fileno())
        file.close()
        if self._stored:
            upload(self._temporary.path, self.path)
            os.unlink(self._temporary.path)
        else:
            os.replace(self._temporary.path, self._target)
        self._temporary.release()
        if not (self._is_part or self._stored):  # fragments sync the folder once, and clear it up
            sync_folder(self.folder)
        if self._stored or not self._is_part:
            remove_abandoned(self.folder, {os.path.basename(self._target)})

    def _discard(self) -> None:
        try:
            if self._thread is not None:
                self._thread.end()
            with contextlib.suppress(Exception):
                self._writer.close()
            with contextlib.suppress(Exception):
                self._temporary.file.close()
        finally:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary.path)
            self._temporary.release()


def _encodings(schema: pa.Schema) -> dict[str, Any]:
    """Return the encodings: floats byte by byte, int64 as differences of neighbours, all else by dictionary.

    That is faster and smaller than the default: int64 are rows and ids, which rarely repeat or ascend. Columns are
    named by their paths; columns that share a path get the default.
    """
    paths = Counter(path for field in schema for path in _leaves(field, field.name))
    encodings = {field.name: _encoding(field.type) for field in schema if paths[field.name] == 1}
    encodings = {name: encoding for name, encoding in encodings.items() if encoding}
    coded = [path for path in paths if path not in encodings]
    return {"column_encoding": encodings, "use_dictionary": coded} if encodings else {}


def _encoding(kind: pa.DataType) -> str | None:
    if pa.types.is_floating(kind) and kind != pa.float16():
        return "BYTE_STREAM_SPLIT"
    return "DELTA_BINARY_PACKED" if kind == pa.int64() else None


def _leaves(field: pa.Field, path: str) -> list[str]:
    """Return the paths of a field's columns in Parquet: its own, or those of the fields inside it."""
    if pa.types.is_struct(field.type):
        return [leaf for child in field.type for leaf in _leaves(child, f"{path}.{child.name}")]
    return [path]
