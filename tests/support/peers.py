"""Peers whose interfaces ``fastbox.compat`` has, imported where they can be."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest


def peer(name: str) -> Any:
    """Return a module of a peer, or skip: packages of a GPU may be installed without the libraries that they load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what a peer warns of when it is imported is its own affair
        try:
            return importlib.import_module(name)
        except (ImportError, RuntimeError) as error:
            pytest.skip(f"{name} can't be imported here: {error}", allow_module_level=True)
