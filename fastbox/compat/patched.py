"""fastbox in place of pycocotools and faster_coco_eval, for programs that import these themselves."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Self

from fastbox.values.numbers import as_choice

__all__ = ["Patch", "patch", "unpatch"]

PACKAGES = ("faster_coco_eval", "pycocotools")
COCO, COCOEVAL, FASTER = (f"fastbox.compat.{name}" for name in ("coco", "cocoeval", "faster_coco_eval"))
# The classes that are replaced in modules of faster_coco_eval, whose other classes stay.
CLASSES = {
    "faster_coco_eval": ("COCOeval_faster",),
    "faster_coco_eval.core": ("COCOeval_faster",),
    "faster_coco_eval.core.faster_eval_api": ("COCOeval", "COCOeval_faster"),
}

_patches: list[Patch] = []  # those that are not undone
_replaced: dict[str, list[tuple[dict[str, Any], str, Any]]] = {}  # what was before, by package: names of namespaces


class Patch:
    """Classes of fastbox in place of those of another package, until :meth:`undo` or the end of a ``with`` block.

    Those of the other package come back when the last patch of it is undone.
    """

    def __init__(self, package: str) -> None:
        self._package = package
        if package not in _replaced:
            found = list(_of_pycocotools() if package == "pycocotools" else _of_faster_coco_eval())
            _replaced[package] = [(names, name, names.get(name)) for names, name, _ in found]
            for names, name, ours in found:
                names[name] = ours
        _patches.append(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()

    def undo(self) -> None:
        """Undo this patch; a second call does nothing."""
        if self not in _patches:
            return
        _patches.remove(self)
        if any(one._package == self._package for one in _patches):
            return
        for names, name, before in reversed(_replaced.pop(self._package)):
            if before is None:
                del names[name]
            else:
                names[name] = before


def patch(package: str = "pycocotools") -> Patch:
    """Make other packages' names for the evaluation of boxes mean the classes of fastbox in this process.

    Call this before a program imports from the package: names that it holds already stay as they are.

    Parameters
    ----------
    package : {"pycocotools", "faster_coco_eval"}
        The modules ``coco`` and ``cocoeval`` of pycocotools, which need not be installed and whose other modules stay;
        or ``COCOeval_faster`` and ``COCOeval`` of faster_coco_eval.

    Returns
    -------
    Patch
        Has ``undo()``, and is a context manager.

    Raises
    ------
    ValueError
        Another package.
    ImportError
        faster_coco_eval is not installed.

    Examples
    --------
    >>> with patch():
    ...     from pycocotools.cocoeval import COCOeval
    >>> COCOeval.__module__
    'fastbox.compat.cocoeval'
    """
    return Patch(as_choice(package, PACKAGES, "package"))


def unpatch() -> None:
    """Undo every :func:`patch`."""
    for one in list(_patches):
        one.undo()


def _of_pycocotools() -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Yield the names that mean modules of fastbox: of ``sys.modules`` and of the package, which is made if none is."""
    package = sys.modules.get("pycocotools")
    if package is None and find_spec("pycocotools") is not None:
        package = importlib.import_module("pycocotools")
    if package is None:
        package = ModuleType("pycocotools")
        package.__path__ = []
        yield sys.modules, "pycocotools", package
    for module in (COCO, COCOEVAL):
        name, ours = module.rpartition(".")[2], importlib.import_module(module)
        yield sys.modules, f"pycocotools.{name}", ours
        yield vars(package), name, ours


def _of_faster_coco_eval() -> Iterator[tuple[dict[str, Any], str, Any]]:
    """Yield the names of classes that mean those of fastbox, by module of faster_coco_eval."""
    ours = vars(importlib.import_module(FASTER))
    for module, names in CLASSES.items():
        for name in names:
            yield vars(importlib.import_module(module)), name, ours[name]
