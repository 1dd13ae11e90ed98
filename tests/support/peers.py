"""Peers in whose place ``fastbox.compat`` stands, imported where they can be."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import pytest

_declared: list[Any] = []  # declarations of operators end with these objects


def peer(name: str) -> Any:
    """Return a module of a peer, or skip: packages may be installed without the libraries that they load."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a peer warns when it is imported is its own affair
        try:
            try:
                return importlib.import_module(name)
            except RuntimeError as error:
                if "torchvision::" not in str(error) or _declared:
                    raise
                _declare_operators()
                return importlib.import_module(name)
        except (ImportError, RuntimeError) as error:
            pytest.skip(f"{name} can't be imported here: {error}", allow_module_level=True)


def _declare_operators() -> None:
    """Declare the operators that torchvision asks for when it is imported, also by torchmetrics.

    The torchvision of the registry is built for the torch with libraries for GPUs, and its operators can't be loaded
    beside a torch without them. What is written in Python works then.
    """
    from torch import library

    _declared.append(library.Library("torchvision", "DEF"))
    for name in ("nms", "qnms"):
        _declared[-1].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
