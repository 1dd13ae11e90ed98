"""The tasks that a change must pass."""

from __future__ import annotations

import ast
import re

import pytest
from support.paths import ROOT


def test_all_tasks_are_run_for_a_change() -> None:
    """``.ci/run`` names each task that ``nox`` runs, once."""
    script = ROOT / ".ci" / "run"
    if not script.exists():
        pytest.skip("the sdist leaves .ci out")
    lines = ast.parse((ROOT / "noxfile.py").read_text()).body
    listed = next(
        ast.literal_eval(line.value)
        for line in lines
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == "nox.options.sessions"
    )
    run = " ".join(re.findall(r"^run -s ([a-z ]+)", script.read_text(), re.MULTILINE)).split()
    assert sorted(run) == sorted(listed)
