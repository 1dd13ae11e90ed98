"""One flag of a call is True or False: text that says no would count as True."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import fastbox
from fastbox.values.flags import as_flag

BOXES = np.array([[0.0, 0, 4, 4], [1, 0, 4, 4]])
CALLS = {
    "sparse": lambda flag: fastbox.match(BOXES, BOXES, sparse=flag),
    "allows_overflow": lambda flag: fastbox.weighted_boxes_fusion(BOXES, [0.5, 0.25], allows_overflow=flag),
    "return_grad": lambda flag: fastbox.giou_loss(BOXES, BOXES, return_grad=flag),
}


@pytest.mark.parametrize("value", [True, False, 1, 0, np.True_, np.False_, np.int8(1)])
def test_what_is_a_flag(value: Any) -> None:
    assert as_flag(value, "sparse") is bool(value)


@pytest.mark.parametrize("value", ["no", "True", None, 2, 1.0, [True], np.array([True])])
@pytest.mark.parametrize("name", CALLS)
def test_anything_else_is_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"expected {name} to be True or False, got "):
        CALLS[name](value)
