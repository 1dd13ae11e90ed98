"""The kernels for many boxes, tested with few."""

from __future__ import annotations

import pytest

from fastbox.ops import few


@pytest.fixture(autouse=True)
def many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give no work to the kernel for few boxes outside of its own tests."""
    if request.path.name != "test_few.py":
        monkeypatch.setattr(few, "are_plain", lambda *_: False)
