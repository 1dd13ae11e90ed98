"""The examples of the modules for tensors, where torch and the packages that they stand in for can be imported."""

from __future__ import annotations

import doctest

import pytest
from support.peers import peer

MODULES = [
    "fastbox.compat.torchmetrics.mean_ap",
    "fastbox.compat.torchvision.ops.iou",
    "fastbox.compat.torchvision.ops.losses",
    "fastbox.compat.torchvision.ops.shapes",
    "fastbox.compat.torchvision.ops.suppression",
    "fastbox.torch",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_modules_for_tensors(name: str) -> None:
    peer("torch")
    found = doctest.testmod(peer(name))
    assert found.attempted and not found.failed
