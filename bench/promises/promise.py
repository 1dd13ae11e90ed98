"""Promises, and the settings of their measurements."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import fastbox
from bench.promises.turns import Reached
from bench.support.shapes import Sizes


@dataclass(frozen=True)
class Setting:
    """Settings of a measurement: the sizes, the number of rounds, and the folder of files."""

    sizes: Sizes
    rounds: int
    folder: str | None

    def place(self) -> AbstractContextManager[str]:
        return tempfile.TemporaryDirectory(dir=self.folder, prefix="fastbox-targets-")


@dataclass(frozen=True)
class Target:
    """A promise: a least or a greatest figure."""

    name: str
    work: str
    wanted: float
    measure: Callable[[Setting], Reached]
    unit: str = "×"
    at_most: bool = False

    def holds(self, reached: Reached) -> bool:
        return reached.value <= self.wanted if self.at_most else reached.value >= self.wanted


def in_process(code: str, *arguments: str, words: int = 1) -> Any:
    """The word, or words, that code prints last in a fresh process that finds this fastbox."""
    root = os.path.dirname(os.path.dirname(fastbox.__file__))
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", code, *arguments]
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.split()
    return said[-1] if words == 1 else said[-words:]
