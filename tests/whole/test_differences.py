"""Every line of the page of known differences runs: fastbox gives the right value, the others what the page says."""

from __future__ import annotations

import importlib
import re
from typing import Any

import numpy as np
import pytest
from support.paths import ROOT

import fastbox

PAGE = (ROOT / "docs" / "differences.md").read_text()
ROWS = re.findall(r"^\| (`.*?`|\w.*?) \| (.*?) \| `(.*?)` \| (.*?) \|$", PAGE, re.MULTILINE)
OTHERS = [row for row in ROWS if row[0].startswith("`")]
HOMES = {
    "ops": "torchvision.ops",
    "torch": "torch",
    "mask": "pycocotools.mask",
    "powerboxes": "powerboxes",
    "metrics": "ultralytics.utils.metrics",
    "sv": "supervision",
    "lsnms": "lsnms",
}


def n(values: Any, dtype: Any = np.float64) -> Any:
    return np.array(values, dtype)


def said(text: str) -> list[float]:
    return [float(number) for number in text.split(", ")]


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 15 and len(OTHERS) > 10


@pytest.mark.parametrize(("line", "gives", "ours", "right"), ROWS, ids=[ours for _, _, ours, _ in ROWS])
def test_fastbox_gives_the_right_value(line: str, gives: str, ours: str, right: str) -> None:
    found = np.ravel(eval(ours, {"fastbox": fastbox, "np": np, "n": n, "nan": np.nan}))
    np.testing.assert_allclose(found, said(right), atol=5e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("line", "gives", "ours", "right"), OTHERS, ids=[line for line, _, _, _ in OTHERS])
def test_the_other_library_gives_what_the_page_says(line: str, gives: str, ours: str, right: str) -> None:
    code = line.strip("`")
    names: dict[str, Any] = {"np": np, "n": n, "nan": np.nan}
    for name in {one for one in HOMES if re.search(rf"\b{one}\.", code)} | ({"torch"} if "t(" in code else set()):
        try:
            names[name] = importlib.import_module(HOMES[name])
        except Exception as error:  # a library that is installed for another machine raises what it likes
            pytest.skip(f"{HOMES[name]} does not import: {error}")
    if "torch" in names:
        names["t"] = lambda values, dtype=None: names["torch"].tensor(values, dtype=dtype or names["torch"].float32)
    found = np.ravel(np.asarray(eval(code, names)))
    np.testing.assert_allclose(found.astype(float), said(gives), rtol=2e-3)
