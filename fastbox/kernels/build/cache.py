"""The cache of compiled kernels: one file for each, whose checksum is verified before any of the file is loaded.

A file that is damaged, or that another kernel, compiler or processor left under the name, is removed, and the kernel is
compiled again. A folder that can't be read or written costs time and nothing else.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba.core import config
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

LOG = logging.getLogger("fastbox")

_KERNELS = Path(__file__).parent.parent
_NO_FORMULA = {"cache.py", "registry.py"}  # the text of these files changes no kernel


def _source() -> str:
    """Return a digest of the text of all kernels, as a kernel takes its code from several files; empty without text."""
    texts = [file.read_bytes() for file in sorted(_KERNELS.rglob("*.py")) if file.name not in _NO_FORMULA]
    return hashlib.sha256(b"".join(texts)).hexdigest()[:16] if texts else ""


SOURCE = _source()

_MAKERS = ("fastbox kernel 1", SOURCE, numba.__version__, llvmlite.__version__, sys.implementation.cache_tag)
_has_addresses = attrgetter("library.has_dynamic_globals")  # addresses are valid only in this process
_DIGEST = 32  # bytes, at the head of each file


def folders() -> list[Path]:
    """Return the folders for kernels, best first: NUMBA_CACHE_DIR if set, else beside the package, the user's cache.

    Without the text of the kernels, which tells versions apart, there is no folder.
    """
    if not SOURCE:
        return []
    chosen = vars(config)["CACHE_DIR"]
    if chosen:
        return [Path(chosen) / "fastbox"]
    return [_KERNELS / "__pycache__", Path(AppDirs("fastbox", appauthor=False).user_cache_dir) / "kernels"]


class KernelCache:
    """The cache of one kernel, in the form that Numba's dispatchers use; each compilation is written to the log.

    Parameters
    ----------
    name
        The name of the file, which no other kernel has.
    label
        The kernel's name in messages.
    """

    def __init__(self, name: str, label: str) -> None:
        self.name, self.label = name, label
        self._began = 0.0

    @property
    def cache_path(self) -> str | None:
        """The first folder that may hold the kernel."""
        return next((str(folder) for folder in folders()), None)

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled kernel, or None where it must be compiled."""
        target.refresh()
        key = self._key(signature, target.codegen())
        for path in self._paths(key):
            payload = read(path, key)
            if payload is None:
                continue
            try:
                return CompileResult._rebuild(target, *pickle.loads(payload))
            except Exception:  # whole, and yet this process can't load the file
                _remove(path)
        LOG.debug("Compiling %s", self.label, extra={"kernel": self.label})
        self._began = time.perf_counter()
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a compiled kernel in the first folder that can be written."""
        seconds = time.perf_counter() - self._began
        LOG.info("Compiled %s in %.1f s", self.label, seconds, extra={"kernel": self.label, "seconds": seconds})
        if _has_addresses(result):
            return
        key = self._key(signature, result.codegen)
        payload = dumps(result._reduce())
        for path in self._paths(key):
            with suppress(OSError):
                write(path, key, payload)
                return

    def kept(self, signature: Any, codegen: Any) -> Path | None:
        """Return the file of an entry if the file is whole, else None."""
        key = self._key(signature, codegen)
        return next((path for path in self._paths(key) if read(path, key) is not None), None)

    def _key(self, signature: Any, codegen: Any) -> bytes:
        """Return the key of an entry: the kernel, its types, the compiler, and the processor."""
        return repr((self.name, str(signature), codegen.magic_tuple(), *_MAKERS)).encode()

    def _paths(self, key: bytes) -> Iterator[Path]:
        file = f"{self.name}.{hashlib.sha256(key).hexdigest()[:16]}.kernel"
        return (folder / file for folder in folders())


def read(path: Path, key: bytes) -> bytes | None:
    """Return the content of a file behind its checksum; None if there is no such file or the checksum is wrong.

    A file with a wrong checksum is removed.
    """
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    digest, payload = whole[:_DIGEST], whole[_DIGEST:]
    if digest == _digest(key, payload):
        return payload
    _remove(path)
    return None


def write(path: Path, key: bytes, payload: bytes) -> None:
    """Write a file that gets its name only when the file is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:16]}.tmp")
    try:
        temporary.write_bytes(_digest(key, payload) + payload)
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _digest(key: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_DIGEST, key=hashlib.sha256(key).digest()).digest()
