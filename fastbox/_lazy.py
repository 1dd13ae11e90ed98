"""Names of a package that are imported when they are first asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

__all__ = ["lazy"]


def lazy(package: str, homes: Mapping[str, Sequence[str]]) -> None:
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
    """
    module = sys.modules[package]
    known = {name: home for home, names in homes.items() for name in names or (home.rpartition(".")[2],)}
    whole = {home for home, names in homes.items() if not names}

    class Lazy(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name not in known:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            home = importlib.import_module(known[name])
            value = home if known[name] in whole else getattr(home, name)
            super().__setattr__(name, value)
            return value

        def __setattr__(self, name: str, value: Any) -> None:
            # An import binds each module in its package: that must not hide the function of the same name.
            if not (isinstance(value, ModuleType) and name in known and known[name] not in whole):
                super().__setattr__(name, value)

        def __dir__(self) -> list[str]:
            return sorted(known)

    module.__class__ = Lazy
