"""fastbox in place of pycocotools, for programs that import pycocotools themselves."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Self

__all__ = ["Patch", "patch", "unpatch"]

PACKAGE = "pycocotools"
MODULES = {"coco": "fastbox.compat.coco", "cocoeval": "fastbox.compat.cocoeval"}

_patches: list[Patch] = []  # those that are not undone


class Replaced:
    """The modules of pycocotools that those of fastbox replace."""

    def __init__(self) -> None:
        found = sys.modules.get(PACKAGE)
        if found is None and find_spec(PACKAGE) is not None:
            found = importlib.import_module(PACKAGE)
        self._package = found or ModuleType(PACKAGE)
        self._is_made = found is None
        if self._is_made:
            self._package.__path__ = []
            sys.modules[PACKAGE] = self._package
        self._before = {name: sys.modules.get(f"{PACKAGE}.{name}") for name in MODULES}
        for name, module in MODULES.items():
            self._put(name, importlib.import_module(module))

    def put_back(self) -> None:
        """Make the modules what they were before."""
        for name, module in self._before.items():
            self._put(name, module)
        if self._is_made:
            del sys.modules[PACKAGE]

    def _put(self, name: str, module: ModuleType | None) -> None:
        if module is None:
            del sys.modules[f"{PACKAGE}.{name}"]
            delattr(self._package, name)
        else:
            sys.modules[f"{PACKAGE}.{name}"] = module
            setattr(self._package, name, module)


class Patch:
    """Modules of fastbox in place of those of pycocotools, until :meth:`undo` or the end of a ``with`` block.

    The modules of pycocotools come back when the last patch is undone.
    """

    def __init__(self) -> None:
        self._replaced: Replaced = _patches[0]._replaced if _patches else Replaced()
        _patches.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()

    def undo(self) -> None:
        """Undo this patch; a second call does nothing."""
        if self in _patches:
            _patches.remove(self)
            if not _patches:
                self._replaced.put_back()


def patch() -> Patch:
    """Make ``pycocotools.coco`` and ``pycocotools.cocoeval`` mean the modules of fastbox in this process.

    Call this before other packages import from pycocotools: names that they hold already stay as they are. The other
    modules of pycocotools, such as ``pycocotools.mask``, stay too; pycocotools need not be installed.

    Returns
    -------
    Patch
        Has ``undo()``, and is a context manager.

    Examples
    --------
    >>> with patch():
    ...     from pycocotools.cocoeval import COCOeval
    >>> COCOeval.__module__
    'fastbox.compat.cocoeval'
    """
    return Patch()


def unpatch() -> None:
    """Undo every :func:`patch`."""
    for one in list(_patches):
        one.undo()
