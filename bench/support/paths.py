"""The only files outside of the repository that benchmarks read: public data that is too large for it."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["ROOT", "public_data"]

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("FASTBOX_BENCH_DATA") or ROOT.parent / "shared" / "data")


def public_data(name: str) -> Path:
    """Return a file of the folder FASTBOX_BENCH_DATA, by default ``../shared/data`` beside the checkout.

    Raises
    ------
    ModuleNotFoundError
        The file is not there: the promise is then skipped, with this reason, as where a peer is not installed.
    """
    path = FOLDER / name
    if not path.exists():
        raise ModuleNotFoundError(f"no {name} in {FOLDER}: set FASTBOX_BENCH_DATA to the folder that has it")
    return path
