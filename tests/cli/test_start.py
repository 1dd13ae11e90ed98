"""What a command loads: pandas, which pyarrow would import, only where an engine or a user asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT

pytestmark = pytest.mark.jit

DATA = {"d": "data/detections.parquet", "t": "data/truths.parquet", "p": "data/pairs.parquet"}
COMMANDS = {
    "measure": "{p} -o {o}/m.parquet",
    "pairs": "{d} {t} --per-class --boxes -o {o}/p.parquet",
    "evaluate": "{d} {t} -o {o}/e.parquet",
    "inspect": "{t} -o {o}/i.parquet --json",
    "inspect --fix": "{o}/clean.parquet {t}",
    "assign": "{t} --anchors retinanet --resize 320 -o {o}/a.parquet",
    "anchors": "{t} -o {o}/a.json",
    "nms": "{d} -o {o}/n/",
    "fuse": "{d} {d} -o {o}/f.parquet",
    "experiment disagreement": "{p}",
    "convert": "{t} {o}/coco.json",
    "plan": "{t}",
    "sort": "{t} -o {o}/s.parquet",
    "synthesize": "{o}/x.parquet --count 20",
    "warmup": "--help",
}


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_imports_pandas(command: str, tmp_path: Path) -> None:
    words = f"{command} {COMMANDS[command]}".format(o=tmp_path, **DATA).split()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "fastbox", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 0, [line for line in lines if not line.startswith("import time:")]
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "fastbox.cli.outcome" in loaded
    assert not {name for name in loaded if name.startswith("pandas.")}  # "pandas" alone was asked for and not found


@pytest.mark.slow
def test_who_asks_for_pandas_gets_it(python: object) -> None:
    pytest.importorskip("pandas")
    code = """
import sys
from fastbox.cli.imports import WithoutPandas
sys.meta_path.insert(0, WithoutPandas())
exec("import pyarrow; pyarrow.array([1])", {"__name__": "fastbox.arrow.columns"})
assert "pandas" not in sys.modules
import pandas
print(pandas.DataFrame({"a": [1]}).a.tolist())
"""
    assert python(code).stdout.strip() == "[1]"  # type: ignore[operator]
