"""Tables out of order, with columns of many types."""

from __future__ import annotations

import numpy as np
import pyarrow as pa


def table(n: int, seed: int = 0, strings: bool = False) -> pa.Table:
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, n // 4 + 1, n)
    return pa.table(
        {
            "image_id": pa.array([f"é{k}" for k in ids] if strings else ids),
            "bbox": pa.FixedSizeListArray.from_arrays(pa.array(rng.random(4 * n, np.float32)), 4),
            "label": pa.array(rng.choice(["cat", "dog", "a'b\"c"], n)).dictionary_encode(),
            "big": pa.array([2**64 - 1 - k for k in range(n)], pa.uint64()),
            "exact": pa.array(range(n)).cast(pa.decimal128(22, 3)),
            "half": pa.array(rng.random(n).astype(np.float16)),
            "more": pa.array([{"a": k, "b": [float("nan"), -0.0]} for k in range(n)]),
            "when": pa.array(range(n), pa.timestamp("us", "UTC")),
            "filename": pa.array([None if k % 3 else "x" for k in range(n)]),
            "row": np.arange(n) + 1000 * seed,
        }
    )
