"""Hypothesis profiles, the ``jit`` marker and a fresh Python process for the tests that need one."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from support.paths import ROOT, WITHOUT_JIT, WITHOUT_NUMBA

_SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
settings.register_profile(
    "quick",
    max_examples=40,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=_SLOW_IS_FINE,
)
settings.register_profile("plain", settings.get_profile("quick"), max_examples=10)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=1000)
settings.load_profile(os.environ.get("FASTBOX_TEST_PROFILE", "plain" if WITHOUT_JIT else "quick"))


def _starts_a_process(test: Any) -> bool:
    """Whether a test, or a function of the tests that it calls, starts another process."""
    left, seen = [inspect.unwrap(test)] if callable(test) else [], set[Any]()
    while left:
        function = left.pop()
        if not isinstance(function, FunctionType) or function in seen:
            continue
        seen.add(function)
        names = _names_in(function.__code__)
        if not names.isdisjoint({"fork", "subprocess"}):
            return True
        if function.__code__.co_filename.startswith(str(ROOT / "tests")):
            left += [function.__globals__[name] for name in names if name in function.__globals__]
    return False


@cache
def _names_in(code: CodeType) -> frozenset[str]:
    """The names of globals and attributes in some code, and in the functions inside of it."""
    inner = [_names_in(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(code.co_names).union(*inner)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "python" in getattr(item, "fixturenames", ()) or _starts_a_process(getattr(item, "function", None)):
            item.add_marker("process")
        # Inverted boxes are drawn on purpose. As marks these hold where -W says otherwise.
        item.add_marker(pytest.mark.filterwarnings("ignore::fastbox.errors.FormatWarning"))
        if item.get_closest_marker("compiler") and WITHOUT_NUMBA:
            item.add_marker(pytest.mark.skip(reason="compiles kernels, and Numba is not installed"))
        if WITHOUT_JIT:  # NumPy's scalars warn of the nan and 0/0 that compiled kernels take as they come
            item.add_marker(pytest.mark.filterwarnings("ignore::RuntimeWarning"))
            if item.get_closest_marker("jit"):
                item.add_marker(pytest.mark.skip(reason="needs compiled kernels, and NUMBA_DISABLE_JIT is set"))


@pytest.fixture(scope="session")
def python() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run code in a fresh process at the root of the checkout; environment variables as keywords, None unsets one."""

    def run(code: str, *, cwd: Path = ROOT, check: bool = True, **env: str | None) -> subprocess.CompletedProcess[str]:
        merged = {**os.environ, "PYTHONPATH": str(cwd), **env}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=cwd,
            env={k: v for k, v in merged.items() if v is not None},
            capture_output=True,
            text=True,
            timeout=300,
        )
        if check:
            assert done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads for one test and put it back after it."""
    import fastbox

    before = fastbox.get_num_threads()
    yield fastbox.set_num_threads
    fastbox.set_num_threads(before)
