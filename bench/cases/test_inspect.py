"""A table looked over box by box, above the time it takes to decode it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.conftest import THREADS, Case
from bench.promises import inspection
from bench.support import tables
from bench.support.shapes import Sizes
from fastbox.jobs.inspect import inspect
from fastbox.jobs.inspection.problems import Limits

ROWS = 1_000_000
COLUMNS = ("id", "image_id", "category_id", "xmin", "ymin", "xmax", "ymax")


@pytest.fixture(scope="module")
def files(sizes: Sizes, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return inspection.write(tmp_path_factory.mktemp("inspect"), sizes.of(ROWS))


def facts(files: tuple[Path, Path]) -> dict[str, Any]:
    rows = tables.decode(files[0], COLUMNS)
    common = {"kernel": "inspect", "dtype": "float32", "size": "stream", "shape": f"{rows} rows", "rounds": 3}
    return common | {"boxes": rows, "moved": files[0].stat().st_size}


def test_decode(case: Case, files: tuple[Path, Path]) -> None:
    case(lambda: tables.decode(files[0], COLUMNS), name="decode", role="floor", **facts(files))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("passes", [1, 2])
def test_inspect(case: Case, files: tuple[Path, Path], passes: int, threads: int) -> None:
    asked = {"limits": Limits(class_size=4.0 if passes == 2 else None)}
    name = "fastbox" if passes == 2 else "fastbox, class sizes not asked"

    def check(found: Any) -> None:
        assert found.problems.counts["non_finite"] >= 1
        assert found.problems.counts["no_boxes"] == 1

    case(lambda: inspect(*files, **asked), name=name, role="ours", threads=threads, expected=check, **facts(files))


def test_inspect_and_fix(case: Case, files: tuple[Path, Path], tmp_path: Path) -> None:
    outputs = {"out": tmp_path / "p.parquet", "fix": tmp_path / "c.parquet"}
    threads = THREADS[-1]
    case(lambda: inspect(*files, **outputs), name="fastbox --fix", role="ours", threads=threads, **facts(files))
