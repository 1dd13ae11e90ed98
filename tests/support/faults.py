"""A small table of boxes for the tests of faults."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa


def table(n: int = 400, seed: int = 0, name: str = "c") -> pa.Table:
    rng = np.random.default_rng(seed)
    corner, side = rng.uniform(0, 200, (n, 2)), rng.uniform(5, 100, (n, 2))
    corners = np.hstack((corner, corner + side)).astype(np.float32)
    rows: dict[str, Any] = {"image_id": np.sort(rng.integers(0, 40, n)), "score": rng.random(n).astype(np.float32)}
    rows |= {column: corners[:, k] for k, column in enumerate(("xmin", "ymin", "xmax", "ymax"))}
    return pa.table(rows | {"category_id": [f"{name}{k % 5}" for k in range(n)]})
