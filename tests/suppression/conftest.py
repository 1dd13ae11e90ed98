"""Both ways of suppression: one cell and a grid."""

from __future__ import annotations

import pytest

from fastbox.suppression import nms as suppression


@pytest.fixture(params=["one cell", "grid"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Small segments in one cell, as ever, or every segment in a grid."""
    if request.param == "grid":
        monkeypatch.setattr(suppression, "DENSE", 0)
    return str(request.param)
