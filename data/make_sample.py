"""Make the small sample that lies beside this file: python data/make_sample.py [folder]."""

from __future__ import annotations

import sys
from pathlib import Path

from fastbox.jobs.synthesize import synthesize


def make_sample(folder: Path) -> dict[str, int]:
    """Write truths.parquet, detections.parquet and pairs.parquet of 200 images to a folder."""
    return synthesize(
        folder / "truths.parquet",
        count=200,
        detections=folder / "detections.parquet",
        pairs=folder / "pairs.parquet",
        seed=2014,
    )


if __name__ == "__main__":
    print(make_sample(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent))
