"""None"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.calls import images_table, pairs_table


@pytest.fixture
def paired(tmp_path: Path) -> Path:
    pq.write_table(pairs_table(2500), tmp_path / "pairs.parquet", row_group_size=700)
    return tmp_path / "pairs.parquet"


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Detections and truths of images that only partly coincide, with classes."""
    rng = np.random.default_rng(3)
    ids = [np.sort(rng.choice([1, 2, 5, 8, 9, 12, 30], 60)), np.sort(rng.choice([2, 5, 6, 9, 30], 25))]
    for name, image, seed in zip(("d", "t"), ids, (4, 5), strict=True):
        classes = rng.integers(0, 3, len(image))
        table = images_table(image, seed, category_id=classes, name=[f"c{k}" for k in classes])
        pq.write_table(table, tmp_path / f"{name}.parquet", row_group_size=7)
    return tmp_path / "d.parquet", tmp_path / "t.parquet"
