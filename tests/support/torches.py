"""The modules of fastbox that import torch."""

from __future__ import annotations


def needs_torch(module: str) -> bool:
    """Tell whether a module is one of those for tensors.

    >>> needs_torch("fastbox.compat.torchvision.ops"), needs_torch("fastbox.compat.cocoeval")
    (True, False)
    """
    return module.startswith(("fastbox.torch", "fastbox.compat.torch"))
