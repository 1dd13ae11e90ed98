"""COCO's JSON to the twelve statistics, from the start of a process to its end: `fastbox evaluate` beside others."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.conftest import Case, require
from bench.support import evaluators, scenes
from bench.support.shapes import Sizes

ROUNDS = 5


@pytest.fixture(scope="module")
def files(sizes: Sizes, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    amounts = {name: min(count, sizes.of(count)) for name, count in evaluators.COCO.items()}
    return evaluators.write_json(str(tmp_path_factory.mktemp("coco")), scenes.annotated(**amounts))


def time_process(case: Case, files: tuple[str, str], name: str, role: str) -> None:
    case(
        lambda: evaluators.take(name, *files),
        name=name,
        role=role,
        kernel="evaluate JSON",
        size="coco",
        shape=f"{Path(files[1]).read_text().count('score')} detections",
        rounds=ROUNDS,
    )


def test_fastbox(case: Case, files: tuple[str, str]) -> None:
    time_process(case, files, "fastbox", "ours")


@pytest.mark.parametrize("name", evaluators.PEERS)
def test_peer(case: Case, files: tuple[str, str], name: str) -> None:
    require(name)
    assert evaluators.statistics(name, *files) == evaluators.statistics("fastbox", *files)
    time_process(case, files, name, "peer")
