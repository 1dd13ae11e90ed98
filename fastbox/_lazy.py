"""Modules and public names that are imported on first use, and signatures of these names without quotes."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from types import FunctionType, ModuleType
from typing import Any

__all__ = ["Annotation", "deferred", "lazy", "modules_of"]


class _Deferred:
    """A module that is imported whenever one of its names is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._name), name)


def deferred(name: str) -> Any:
    """Return a stand-in for a module that takes long to import; the first use of one of its names imports the module.

    >>> ast = deferred("ast")
    >>> ast.literal_eval("[1, 2]")
    [1, 2]
    """
    return _Deferred(name)


def modules_of(package: ModuleType) -> tuple[str, ...]:
    """Return the names of the modules in the folders of a package, which are listed once.

    >>> import fastbox.evaluation.protocols
    >>> "coco" in modules_of(fastbox.evaluation.protocols)
    True
    """
    return _modules_in(tuple(package.__path__))


@cache
def _modules_in(folders: tuple[str, ...]) -> tuple[str, ...]:
    """List modules; ``pkgutil`` takes a millisecond, for it asks the importers of other kinds of packages too."""
    found = [
        entry.name.removesuffix(".py")
        for folder in folders
        for entry in os.scandir(folder)
        if entry.name.endswith(".py") or os.path.isfile(os.path.join(entry.path, "__init__.py"))
    ]
    return tuple(sorted({*found} - {"__init__"}))


class Annotation(str):
    """An annotation in a signature: ``NDArray[Any]``, where a plain string would show its quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def lazy(package: str, homes: Mapping[str, Sequence[str]], needs: Mapping[str, str] | None = None) -> None:
    """Make a package import its public names when they are first asked for.

    A name of the package may also be that of one of its modules, as ``nms`` in ``fastbox.jobs``: then the name means
    what the module offers, also after the module was imported.

    Parameters
    ----------
    package : str
        The full name of the package, which calls this while it is imported.
    homes : mapping of str to sequence of str
        For each module, by its full name, the names that it offers. A module without names is itself public, by the
        last part of its name.
    needs : mapping of str to str, optional
        For each public module that needs a package of an extra, this package. Where the package is not installed,
        ``dir`` leaves the module out: ``help`` imports every name that ``dir`` lists.
    """
    module = sys.modules[package]
    known = {name: home for home, names in homes.items() for name in names or (home.rpartition(".")[2],)}
    whole = {home for home, names in homes.items() if not names}
    needed = needs or {}

    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name not in known:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            home = importlib.import_module(known[name])
            value = home if known[name] in whole else getattr(home, name)
            _unquote(value)
            super().__setattr__(name, value)
            return value

        def __setattr__(self, name: str, value: Any) -> None:
            # An import binds each module in its package: that must not hide the function of the same name.
            if not (isinstance(value, ModuleType) and name in known and known[name] not in whole):
                if not isinstance(value, ModuleType) or value.__name__ in homes:  # others offer no public name
                    _unquote(value)
                super().__setattr__(name, value)

        def __dir__(self) -> list[str]:
            return sorted(name for name, home in known.items() if home not in needed or find_spec(needed[home]))

    module.__class__ = Lazy


def _unquote(value: Any) -> None:
    """Make the signature of a function, of a class and its methods, or of what a module offers show no quotes."""
    if isinstance(value, ModuleType):
        for name in getattr(value, "__all__", ()):
            if not isinstance(vars(value).get(name), ModuleType):
                _unquote(vars(value).get(name))
    elif isinstance(value, type):
        for base in value.__mro__:
            if base.__module__.partition(".")[0] == __name__.partition(".")[0]:
                for member in list(vars(base).values()):
                    _unquote_function(getattr(member, "__func__", getattr(member, "fget", member)))
    else:
        _unquote_function(value)


def _unquote_function(function: Any) -> None:
    if isinstance(function, FunctionType):
        for name, given in function.__annotations__.items():
            if isinstance(given, str):
                function.__annotations__[name] = Annotation(given)
        _unquote_function(getattr(function, "__wrapped__", None))
