"""pandas, which pyarrow would import, is loaded only where an engine or a user asks for it."""

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
