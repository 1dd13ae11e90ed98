"""Each loss, each loss of overlap and each loss of numbers (also with options) as a fixture."""

from __future__ import annotations

from typing import Any

import pytest
from support.losses import ALL, NUMBERS, OVERLAP, POINTWISE


@pytest.fixture(params=OVERLAP)
def overlap(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=NUMBERS)
def numbers(request: pytest.FixtureRequest) -> Any:
    return NUMBERS[request.param]


@pytest.fixture(params=ALL)
def loss(request: pytest.FixtureRequest) -> Any:
    return ALL[request.param]


@pytest.fixture(params=POINTWISE)
def pointwise(request: pytest.FixtureRequest) -> Any:
    return POINTWISE[request.param]
