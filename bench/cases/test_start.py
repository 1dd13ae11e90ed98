"""Time of a process from its start to its first result, with all kernels compiled by an earlier process."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bench.conftest import Case, require

BOXES = "import numpy as np; a = np.array([[0, 0, 2, 2], [1, 0, 3, 2.0]]); "

OURS = {
    "import fastbox": "import fastbox",
    "fastbox, first result": BOXES + "import fastbox; fastbox.pairwise(a, a)",
    "import fastbox.scan": "import fastbox; fastbox.scan",
    "fastbox --help": "from fastbox.cli import main; main(['--help'])",
}
PEERS = {
    "powerboxes": BOXES + "import powerboxes; powerboxes.iou_distance(a, a)",
    "pycocotools": BOXES + "from pycocotools.mask import iou; iou(a, a, [0, 0])",
    "supervision": BOXES + "import supervision; supervision.box_iou_batch(a, a)",
}
FLOORS = {
    "python": "pass",
    "import numpy": "import numpy",
    "import numba": "import numba",
    "import pyarrow": "import pyarrow.parquet",
}
ROUNDS = 10


def time_process(case: Case, environment: dict[str, str], name: str, role: str, code: str) -> None:
    case(
        lambda: subprocess.run([sys.executable, "-c", code], env=environment, check=True, stdout=subprocess.DEVNULL),
        name=name,
        role=role,
        kernel="start",
        size="process",
        shape="1 process",
        rounds=ROUNDS,
    )


@pytest.mark.parametrize("name", OURS)
def test_ours(case: Case, environment: dict[str, str], name: str) -> None:
    time_process(case, environment, name, "ours", OURS[name])


@pytest.mark.parametrize("name", PEERS)
def test_peer(case: Case, environment: dict[str, str], name: str) -> None:
    require(name)
    time_process(case, environment, name, "peer", PEERS[name])


@pytest.mark.parametrize("name", FLOORS)
def test_floor(case: Case, environment: dict[str, str], name: str) -> None:
    time_process(case, environment, name, "floor", FLOORS[name])
