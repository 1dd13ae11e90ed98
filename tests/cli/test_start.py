"""What a process of the command line leaves out: what pyarrow and Numba would import, and Python's work at the end."""

from __future__ import annotations

import sys
from typing import Any

import pytest


@pytest.mark.slow
def test_who_asks_for_pandas_gets_it(python: Any) -> None:
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
    assert python(code).stdout.strip() == "[1]"


@pytest.mark.slow
@pytest.mark.compiler
def test_numba_compiles_without_scipy(python: Any) -> None:
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
    assert python(code).stdout.split("\n")[:2] == ["True set()", "2.0"]


@pytest.mark.skipif(not hasattr(sys, "setdlopenflags"), reason="the system has no such flags")
def test_functions_of_libraries_are_looked_up_when_they_are_called(python: Any) -> None:
    code = """
import atexit, os, sys
from fastbox.__main__ import main
atexit.register(lambda: print("lazy:", sys.getdlopenflags() == os.RTLD_LAZY, "pyarrow.lib" in sys.modules))
sys.argv = ["fastbox", "plan", "data/truths.parquet"]
main()
"""
    assert python(code).stdout.endswith("lazy: True True\n")


END = """
import atexit, sys, types
from fastbox.__main__ import command
atexit.register(print, "registered for the end")
class Slow:
    def __del__(self):
        print("taken apart")
sys.modules["held"] = types.ModuleType("held")
sys.modules["held"].slow = Slow()
sys.argv = ["fastbox", *sys.argv[1:]]
command()
"""


@pytest.mark.parametrize(("words", "code"), [("plan data/truths.parquet", 0), ("plan missing.parquet", 2)])
def test_a_process_ends_without_being_taken_apart(words: str, code: int, python: Any) -> None:
    done = python(END.replace("sys.argv[1:]", repr(words.split())), check=False)
    assert done.returncode == code
    assert done.stdout.endswith("registered for the end\n")
    assert bool(done.stderr) == bool(code)


def test_a_process_that_is_profiled_is_taken_apart(python: Any) -> None:
    code = END.replace("sys.argv[1:]", "['--version']").replace(
        "command()\n", "sys.setprofile(lambda *_: None); command()\n"
    )
    assert python(code).stdout.endswith("registered for the end\ntaken apart\n")
