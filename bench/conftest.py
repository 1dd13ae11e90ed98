"""Options, sizes and the one fixture that times a case and says what was timed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import fastbox
from bench.promises.turns import Threads
from bench.support.shapes import Sizes

ROLES = ("ours", "peer", "floor", "twin")
THREADS = sorted({1, fastbox.get_num_threads()})
LIBRARIES = ("numba", "numpy", "powerboxes", "pyarrow", "pycocotools", "supervision", "torch", "ultralytics")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="small sizes and few rounds: to see that all of it runs")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        config.option.benchmark_max_time = 0.01
        config.option.benchmark_min_rounds = 3


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    machine_info.pop("node", None)  # whose machine it is concerns nobody
    machine_info["threads"] = fastbox.get_num_threads()
    machine_info["versions"] = {"fastbox": fastbox.__version__} | {
        name: importlib.metadata.version(name) for name in LIBRARIES if _installed(name)
    }
    given = [re.sub("(?<=-json=).*/", "", str(argument)) for argument in config.invocation_params.args]
    machine_info["command"] = shlex.join(["python", "-m", "pytest", *given])
    machine_info["quick"] = _is_quick(config)


def pytest_benchmark_update_json(config: pytest.Config, benchmarks: list[Any], output_json: dict[str, Any]) -> None:
    """Keep what is read later: a file with the time of every round is a hundred times as long."""
    for case in output_json["benchmarks"]:
        case["stats"].pop("data", None)


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _is_quick(config: pytest.Config) -> bool:
    return bool(config.getoption("--quick") or config.getoption("--benchmark-disable"))


def require(module: str) -> None:
    """Skip, with the reason, where a peer is not installed."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed")


@pytest.fixture(scope="session")
def sizes(pytestconfig: pytest.Config) -> Sizes:
    return Sizes(_is_quick(pytestconfig))


def close_to(expected: Any, dtype: str, value: Callable[[Any], Any] = lambda found: found) -> Callable[[Any], None]:
    """A check that a returned value is the expected one."""
    tolerance = 2e-3 if dtype == "float32" else 1e-9
    return lambda found: np.testing.assert_allclose(value(found), expected, rtol=tolerance, atol=tolerance)


@dataclass
class Case:
    """Times a call, after it was called once, and records whose work of which kind it was."""

    benchmark: Any
    quick: bool

    def __call__(
        self,
        call: Callable[[], Any],
        *,
        name: str,
        role: str,
        kernel: str,
        size: str,
        shape: str,
        dtype: str = "",
        metric: str = "",
        threads: int = 1,
        pairs: int = 0,
        boxes: int = 0,
        moved: int = 0,
        expected: Callable[[Any], Any] | None = None,
        rounds: int | None = None,
    ) -> None:
        """Time it.

        ``size`` names the amount of work and ``shape`` says it; ``pairs`` or ``boxes`` is how many a call does, and
        ``moved`` how many bytes it must read and write at least. ``expected``, in a quick pass, checks what the call
        returned.
        """
        assert role in ROLES, role
        self.benchmark.group = " ".join(filter(None, (kernel, shape, dtype)))
        self.benchmark.extra_info.update(
            name=name,
            role=role,
            kernel=kernel,
            metric=metric,
            dtype=dtype,
            size=size,
            shape=shape,
            threads=threads,
        )
        with Threads(threads):
            result = call()
            if expected is not None and self.quick:
                expected(result)
            del result
            if rounds is None:
                self.benchmark(call)
            else:
                self.benchmark.pedantic(call, rounds=1 if self.quick else rounds)
        if self.benchmark.stats is not None:
            seconds = self.benchmark.stats.stats.median
            rates = {"pairs_per_s": pairs, "boxes_per_s": boxes, "gb_per_s": moved / 1e9}
            self.benchmark.extra_info.update({rate: done / seconds for rate, done in rates.items() if done})


@pytest.fixture
def case(benchmark: Any, pytestconfig: pytest.Config) -> Iterator[Case]:
    with np.errstate(all="ignore"):  # peers divide by zero as they like
        yield Case(benchmark, _is_quick(pytestconfig))


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Return the environment in which a new process imports this fastbox."""
    root = os.path.dirname(os.path.dirname(fastbox.__file__))
    return {**os.environ, "PYTHONPATH": root, "PYTHONWARNINGS": "ignore", "PATH": os.path.dirname(sys.executable)}
