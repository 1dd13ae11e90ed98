"""The cache of kernels compiled on this machine: one file of object code for each, verified before any of it is loaded.

A file that is damaged, or that another kernel, compiler or processor left under the name, is removed, and the kernel is
compiled again. A folder that can't be read or written costs time and nothing else.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import suppress

from fastbox.kernels.build.native import features
from fastbox.kernels.build.source import blake2b

_FORM = "fastbox kernel 4"  # of the files
_COMPILERS = ("numba-", "llvmlite-")
_DIGEST = 32  # bytes, at the head of each file


def folders() -> list[str]:
    """Return the folders for kernels, best first: NUMBA_CACHE_DIR if set, else beside the package, the user's cache."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if chosen:
        return [os.path.join(chosen, "fastbox")]
    return [os.path.join(os.path.dirname(os.path.dirname(__file__)), "__pycache__"), *_of_user()]


def load(symbol: str) -> bytes | None:
    """Return the object code of a kernel, or None where the kernel must be compiled."""
    key = _key(symbol)
    return next((code for path in _paths(symbol, key) if (code := read(path, key)) is not None), None)


def save(symbol: str, code: bytes) -> None:
    """Keep the object code of a kernel in the first folder that can be written."""
    key = _key(symbol)
    for path in _paths(symbol, key):
        with suppress(OSError):
            write(path, key, code)
            return


def kept(symbol: str) -> str | None:
    """Return the file of a kernel if the file is whole, else None."""
    key = _key(symbol)
    return next((path for path in _paths(symbol, key) if read(path, key) is not None), None)


def remove(symbol: str) -> None:
    """Remove the files of a kernel."""
    for path in _paths(symbol, _key(symbol)):
        _remove(path)


def read(path: str, key: bytes) -> bytes | None:
    """Return the content of a file behind its checksum; None if there is no such file or the checksum is wrong.

    A file with a wrong checksum is removed.
    """
    try:
        with open(path, "rb") as file:
            whole = file.read()
    except OSError:
        return None
    digest, payload = whole[:_DIGEST], whole[_DIGEST:]
    if digest == _digest(key, payload):
        return payload
    _remove(path)
    return None


def write(path: str, key: bytes, payload: bytes) -> None:
    """Write a file that gets its name only when the file is whole."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temporary = f"{path}.{os.urandom(8).hex()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(_digest(key, payload) + payload)
        os.replace(temporary, path)
    finally:
        _remove(temporary)


def _key(symbol: str) -> bytes:
    return repr((_FORM, symbol, *_maker())).encode()


@functools.cache
def _maker() -> tuple[str, ...]:
    """Return what object code depends on besides its text: the compiler, not imported for this, and the processor.

    Code for any processor, or for one that is told in full, does not depend on the processor of this machine.
    """
    found = importlib.util.find_spec("numba")
    beside: list[str] = []
    with suppress(OSError):  # as in a program that is packed into one file
        beside = os.listdir(os.path.dirname(os.path.dirname(found.origin))) if found and found.origin else []
    compilers = sorted(name for name in beside if name.startswith(_COMPILERS) and name.endswith(".dist-info"))
    told = tuple(os.environ.get(name, "") for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"))
    own = () if told[0] == "generic" or told[1] else sorted(name for name, there in features().items() if there)
    return sys.platform, *compilers, *told, *own


def _paths(symbol: str, key: bytes) -> Iterator[str]:
    file = f"{symbol}.{blake2b(key, digest_size=8).hexdigest()}.kernel"
    return (os.path.join(folder, file) for folder in folders())


def _of_user() -> Iterator[str]:
    """Yield the user's folder for kernels, unless the user has no home, as in some containers."""
    home = os.path.expanduser("~")
    if home != "~":
        told, *default = {
            "win32": ("LOCALAPPDATA", "AppData", "Local"),
            "darwin": ("", "Library", "Caches"),
        }.get(sys.platform, ("XDG_CACHE_HOME", ".cache"))
        yield os.path.join(os.environ.get(told) or os.path.join(home, *default), "fastbox", "kernels")


def _remove(path: str) -> None:
    with suppress(OSError):
        os.unlink(path)


def _digest(key: bytes, payload: bytes) -> bytes:
    return blake2b(payload, digest_size=_DIGEST, key=blake2b(key).digest()).digest()
