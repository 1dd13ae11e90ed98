"""The bytes of a file a window at a time, unpacked if it is packed by gzip or Zstandard."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["NOT_UNPACKED", "Windows", "open_unpacked"]

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x2a\x4d\x18"  # behind the first byte, a frame of Zstandard that holds no data
NOT_UNPACKED = (EOFError, zlib.error, gzip.BadGzipFile, pa.ArrowException)
PADDING = 256  # zeros behind the bytes of a window, which kernels may read past the end


def open_unpacked(path: str | os.PathLike[str]) -> Any:
    """Open a file to read its bytes, unpacked if its first bytes say that it is packed.

    Reading damaged bytes raises one of ``NOT_UNPACKED``.

    Raises
    ------
    OSError
        The file can't be opened.
    """
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic.startswith(GZIP):
        return gzip.open(path, "rb")
    if magic.startswith(ZSTD) or (magic[1:] == SKIPPABLE and magic[0] >> 4 == 5):
        return _Zstd(pa.CompressedInputStream(pa.OSFile(os.fspath(path)), "zstd"))
    return open(path, "rb", buffering=0)


class _Zstd(io.RawIOBase):
    """A stream that Arrow unpacks, with errors of their own for bytes that can't be unpacked."""

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, wanted: Any) -> int:
        try:
            return int(self._stream.readinto(wanted))
        except OSError as error:
            raise EOFError(str(error)) from error


class Windows:
    """The bytes of a file in two buffers: one holds a window, while the next window is read into the other.

    Attributes
    ----------
    data : ndarray of uint8
        The window is ``data[at:end]``; zeros follow it.
    at, end : int
        The caller moves ``at`` to the first byte that it still needs.
    last : bool
        Whether no bytes come behind this window.
    """

    def __init__(self, path: str | os.PathLike[str], size: int) -> None:
        self._file = open_unpacked(path)
        self._size = size
        self.data, self._next = (np.zeros(2 * size + PADDING, np.uint8) for _ in range(2))
        self.at = self.end = size
        self._read: int | None = None
        self.last = False
        self.turn()

    def read_ahead(self) -> None:
        """Read the bytes of the next window, if they are not read yet.

        Raises
        ------
        OSError
            The bytes can't be read or unpacked.
        """
        if self._read is not None:
            return
        begin = len(self._next) - PADDING - self._size
        wanted = self._next.data[begin : begin + self._size]
        read = 0
        try:
            while read < self._size and (count := self._file.readinto(wanted[read:])):
                read += count
        except NOT_UNPACKED as error:
            raise OSError(str(error)) from error
        self._read = read

    def turn(self) -> None:
        """Go to the next window, which begins with the bytes from ``at`` on."""
        self.read_ahead()
        assert self._read is not None
        kept = self.end - self.at
        begin = len(self._next) - PADDING - self._size
        if kept > begin:
            self._next = np.concatenate([np.zeros(kept, np.uint8), self._next[begin:]])
            begin = kept
        self._next[begin - kept : begin] = self.data[self.at : self.end]
        self.data, self._next = self._next, self.data
        self.at, self.end, self.last = begin - kept, begin + self._read, self._read < self._size
        self._read = None
        self.data[self.end : self.end + PADDING] = 0

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Windows:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
