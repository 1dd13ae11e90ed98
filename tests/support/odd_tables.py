"""The tables of the page of questions and errors: the sample's detections, each with one usual mistake."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support.paths import ROOT

__all__ = ["write"]

BOXES = ("xmin", "ymin", "xmax", "ymax")


def write(folder: Path) -> None:
    """Write the sample and all tables with a mistake to a folder."""
    shutil.copytree(ROOT / "data", folder / "data")
    for name in ("detections", "truths"):
        shutil.copyfile(ROOT / "data" / f"{name}.parquet", folder / f"{name}.parquet")
    table = pq.read_table(folder / "detections.parquet")
    columns: dict[str, Any] = {name: table[name].to_numpy() for name in table.column_names}
    x0, y0, x1, y1 = (columns[name] for name in BOXES)
    size = np.float32(640), np.float32(480)
    mistakes: dict[str, dict[str, Any]] = {
        "wh": columns | {"xmax": x1 - x0, "ymax": y1 - y0},
        "fractions": columns | {name: columns[name] / size[at % 2] for at, name in enumerate(BOXES)},
        "other_classes": columns | {"category_id": columns["category_id"] + 100},
        "other_ids": columns | {"image_id": columns["image_id"] + 100_000},
        "text_ids": columns | {"image_id": [str(value) for value in columns["image_id"].tolist()]},
        "unnamed": {dict(zip(BOXES, "abcd", strict=True)).get(name, name): one for name, one in columns.items()},
    }
    for name, mistaken in mistakes.items():
        pq.write_table(pa.table(mistaken), folder / f"{name}.parquet")
    (folder / "cut.parquet").write_bytes((folder / "detections.parquet").read_bytes()[:5000])
