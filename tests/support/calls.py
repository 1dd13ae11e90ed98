"""Commands called as a person calls them, and small tables for these commands."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner, Result

from fastbox.cli import main
from support.box_columns import CORNERS


def call(*arguments: Any) -> Result:
    """Run a command line, which ends with an exit code and no exception."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def random_boxes(n: int, seed: int = 0, dtype: str = "float32") -> np.ndarray:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 100, (n, 2))
    return np.concatenate([low, low + rng.uniform(1, 80, (n, 2))], axis=1).astype(dtype)


def columns(boxes: np.ndarray, prefix: str = "") -> dict[str, np.ndarray]:
    return {prefix + name: boxes[:, k] for k, name in enumerate(CORNERS)}


def pairs_table(n: int) -> pa.Table:
    return pa.table({"id": np.arange(n), **columns(random_boxes(n), "pred_"), **columns(random_boxes(n, 1), "target_")})


def copies(table: pa.Table, folder: Path, n: int) -> list[Path]:
    """n files with the same rows, as no job takes a file twice."""
    paths = [folder / f"{i}.parquet" for i in range(n)]
    pq.write_table(table, paths[0])
    for path in paths[1:]:
        shutil.copyfile(paths[0], path)
    return paths


def images_table(ids: Any, seed: int, **more: Any) -> pa.Table:
    return pa.table({"image_id": ids, **columns(random_boxes(len(ids), seed)), **more})
