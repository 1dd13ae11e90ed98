"""Time of a process from its start to its end: imports, a first result and commands on the sample in `data/`.

An earlier process has compiled all kernels, except for the first run of a command from source.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bench.conftest import Case, require
from bench.support.paths import ROOT

BOXES = "import numpy as np; a = np.array([[0, 0, 2, 2], [1, 0, 3, 2.0]]); "

OURS = {
    "import fastbox": "import fastbox",
    "fastbox, first result": BOXES + "import fastbox; fastbox.pairwise(a, a)",
    "import fastbox.scan": "import fastbox; fastbox.scan",
    "fastbox --help": "from fastbox.cli import main; main(['--help'])",
}
COMMANDS = {
    "anchors": "anchors {truths} --count 9 --resize 640",
    "assign": "assign {truths} --anchors retinanet --resize shorter=800,longer=1333",
    "convert": "convert {truths} {out}/truths.json",
    "evaluate": "evaluate {detections} {truths}",
    "fuse": "fuse {detections} {detections} -o {out}/fused.parquet",
    "inspect": "inspect {truths}",
    "measure": "measure {pairs}",
    "nms": "nms {detections} -o {out}/kept.parquet",
    "pairs": "pairs {detections} {truths}",
    "plan": "plan {detections} {truths}",
    "sort": "sort {detections} -o {out}/sorted.parquet",
}
PEERS = {
    "powerboxes": BOXES + "import powerboxes; powerboxes.iou_distance(a, a)",
    "pycocotools": BOXES + "from pycocotools.mask import iou; iou(a, a, [0, 0])",
    "supervision": BOXES + "import supervision; supervision.box_iou_batch(a, a)",
    "torchvision": BOXES + "import torch, torchvision; b = torch.from_numpy(a); torchvision.ops.box_iou(b, b)",
}
IMPORTS = ("powerboxes", "pycocotools.mask", "supervision", "torchvision")
FLOORS = {
    "python": "pass",
    "import numpy": "import numpy",
    "import numba": "import numba",
    "import pyarrow": "import pyarrow.parquet",
}
ROUNDS = 10
FIRST = ("assign", "evaluate", "pairs")  # commands that are measured with an empty cache
FIRST_ROUNDS = 3
DATA = ROOT / "data"


def time_process(
    case: Case, environment: dict[str, str], name: str, role: str, *words: str, kernel: str = "start"
) -> None:
    case(
        lambda: subprocess.run([sys.executable, *words], env=environment, check=True, stdout=subprocess.DEVNULL),
        name=name,
        role=role,
        kernel=kernel,
        size="process",
        shape="1 process",
        rounds=ROUNDS,
    )


@pytest.mark.parametrize("name", OURS)
def test_ours(case: Case, environment: dict[str, str], name: str) -> None:
    time_process(case, environment, name, "ours", "-c", OURS[name])


def words_of(name: str, out: Path) -> list[str]:
    tables = {table: DATA / f"{table}.parquet" for table in ("detections", "truths", "pairs")}
    return COMMANDS[name].format(**tables, out=out).split()


@pytest.mark.parametrize("name", FIRST)
def test_first_run(case: Case, environment: dict[str, str], name: str, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "fastbox", *words_of(name, tmp_path)]

    def run() -> None:
        with TemporaryDirectory(dir=tmp_path) as cache:
            own = {**environment, "FASTBOX_JIT": "1", "NUMBA_CACHE_DIR": cache}
            subprocess.run(words, env=own, check=True, stdout=subprocess.DEVNULL)

    case(
        run,
        name=f"fastbox {name}",
        role="ours",
        kernel="first run",
        size="process",
        shape="1 process",
        rounds=FIRST_ROUNDS,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_command(case: Case, environment: dict[str, str], name: str, tmp_path: Path) -> None:
    words = words_of(name, tmp_path)
    time_process(case, environment, f"fastbox {name}", "ours", "-m", "fastbox", *words, kernel="command")


@pytest.mark.parametrize("name", IMPORTS)
def test_import_of_peer(case: Case, environment: dict[str, str], name: str) -> None:
    require(name.partition(".")[0])
    time_process(case, environment, f"import {name}", "peer", "-c", f"import {name}", kernel="import")


@pytest.mark.parametrize("name", PEERS)
def test_peer(case: Case, environment: dict[str, str], name: str) -> None:
    require(name)
    time_process(case, environment, name, "peer", "-c", PEERS[name])


@pytest.mark.parametrize("name", FLOORS)
def test_floor(case: Case, environment: dict[str, str], name: str) -> None:
    time_process(case, environment, name, "floor", "-c", FLOORS[name])
