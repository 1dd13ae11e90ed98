"""Tables of the join, batches of few rows, and readers that must end."""

from __future__ import annotations

import pytest

from fastbox.tables import stream


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "LEAST_BATCH", 3)
