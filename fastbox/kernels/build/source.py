"""The text that a kernel's code comes from, so that code of another text is never called."""

from __future__ import annotations

import functools
import os
import re

try:
    from _blake2 import blake2b  # hashlib loads OpenSSL too, which takes 3 ms
except ImportError:  # of another Python
    from hashlib import blake2b

__all__ = ["KERNELS", "blake2b", "digest"]

KERNELS = __name__.rpartition(".build.")[0]  # the package of all kernels

_FOLDER = os.path.dirname(os.path.dirname(__file__))
_IMPORT = re.compile(rf"^from {re.escape(KERNELS)}([\w.]*) import (\([^)]*\)|.*)", re.MULTILINE)
_HEAD = "\n\n\n"  # ends the imports of a module, two thirds of a millisecond before the end of the text is reached


@functools.cache
def digest(module: str) -> str:
    """Return a digest of a module, of the modules of kernels that it imports, and of the compiler; empty without text.

    Parameters
    ----------
    module
        A name below the package of kernels.
    """
    chooser = _file("build.kernel")  # chooses where code comes from, and changes none
    seen = {chooser}
    wanted = [module, "build.compiler"]
    while wanted:
        file = _file(wanted.pop())
        if file not in seen:
            seen.add(file)
            wanted += _imported(file)
    texts = [_text(file) for file in (os.path.join(_FOLDER, "build", "runtime.ll"), *sorted(seen - {chooser}))]
    return blake2b(b"\0".join(texts), digest_size=8).hexdigest() if any(texts) else ""


@functools.cache
def _file(module: str) -> str:
    path = os.path.join(_FOLDER, *module.split("."))
    return os.path.join(path, "__init__.py") if os.path.isdir(path) else f"{path}.py"


@functools.cache
def _imported(file: str) -> list[str]:
    """Return the modules of kernels that a file may import: a name from a package may be that of a module."""
    found = []
    head, _, _ = _text(file).decode().partition(_HEAD)
    for room, names in _IMPORT.findall(head):
        found.append(room[1:])
        if _file(room[1:]).endswith("__init__.py"):
            found += [f"{room}.{name}"[1:] for name in re.findall(r"\w+", names)]
    return found


@functools.cache
def _text(file: str) -> bytes:
    try:
        with open(file, "rb", buffering=0) as opened:
            return opened.read()
    except OSError:  # a name inside a module
        return b""
