"""Random boxes of given images, in the order of the images' ids or out of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from support.box_columns import CORNERS


def boxes(ids: list[Any], seed: int = 0, **more: Any) -> pa.Table:
    rng = np.random.default_rng(seed)
    low = rng.random((len(ids), 2)) * 20
    high = low + 1 + rng.random((len(ids), 2)) * 20
    corners = dict(zip(CORNERS, np.concatenate([low, high], axis=1).T, strict=True))
    return pa.table({"image_id": ids, **corners, "score": rng.random(len(ids)), **more})
