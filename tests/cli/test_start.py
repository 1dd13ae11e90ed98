"""What pyarrow and Numba would import is loaded only where an engine or a user asks for it."""

from __future__ import annotations

import pytest


@pytest.mark.slow
def test_who_asks_for_pandas_gets_it(python: object) -> None:
    pytest.importorskip("pandas")
    code = """
import sys
from fastbox.cli.imports import WithoutUnused
sys.meta_path.insert(0, WithoutUnused([]))
exec("import pyarrow; pyarrow.array([1])", {"__name__": "fastbox.arrow.columns"})
assert "pandas" not in sys.modules
import pandas
print(pandas.DataFrame({"a": [1]}).a.tolist())
"""
    assert python(code).stdout.strip() == "[1]"  # type: ignore[operator]


@pytest.mark.slow
@pytest.mark.compiler
def test_numba_compiles_without_scipy(python: object) -> None:
    pytest.importorskip("scipy")
    code = """
import sys
from fastbox.cli.imports import WithoutUnused
sys.meta_path.insert(0, WithoutUnused([]))
import numpy as np
from fastbox.kernels.common.sketch import TALLY
print(len(TALLY.code(np.dtype("float64"), "")) > 1000, {"coverage", "scipy"} & {*sys.modules})
import scipy.linalg
print(scipy.linalg.det([[2.0]]))
"""
    assert python(code).stdout.split("\n")[:2] == ["True set()", "2.0"]  # type: ignore[attr-defined, operator]
