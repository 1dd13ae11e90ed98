"""All ways of suppression: few boxes compared at once, segments in one cell each, and a grid."""

from __future__ import annotations

import pytest

from fastbox.suppression import nms as suppression


@pytest.fixture(params=["few", "one cell", "grid"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Few boxes and small segments as ever, or no boxes as few, or every segment in a grid."""
    if request.param != "few":
        monkeypatch.setattr(suppression, "FEW", -1)
    if request.param == "one cell":
        monkeypatch.setattr(suppression, "ALONE", 1 << 40)
    if request.param == "grid":
        monkeypatch.setattr(suppression, "DENSE", 0)
    return str(request.param)
