"""Memory limits as they were, after each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import fastbox


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("FASTBOX_MEMORY", raising=False)
    yield
    fastbox.set_memory(None)
