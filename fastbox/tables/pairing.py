"""The columns of a table with a predicted and a target box in each row."""

from __future__ import annotations

import pyarrow as pa

from fastbox._record import NamedTuple
from fastbox.arrow.find import find_boxes
from fastbox.arrow.layouts import BoxColumns
from fastbox.errors import InputError, advice
from fastbox.storage.locate import Paths, find_files
from fastbox.storage.opened import open_parquet
from fastbox.values.names import BoxArgument

__all__ = ["PairedTable", "find_pairs"]

PRED = BoxArgument("--pred", "pred={}")
TARGET = BoxArgument("--target", "target={}")


class PairedTable(NamedTuple):
    """The files of a table, their schema, and the columns of both boxes."""

    files: list[str]
    schema: pa.Schema
    pred: BoxColumns
    target: BoxColumns


def find_pairs(
    paths: Paths, pred: str | None, target: str | None, format: str | None, *, rotated: bool = False
) -> PairedTable:
    """Find both boxes of a table's rows, by default by the prefixes ``pred_`` and ``target_``; rotated ones if allowed.

    Raises
    ------
    InputError
        A file or column that can't be used, or one box for both.
    """
    files = find_files(paths)
    with open_parquet(files[0]) as first:
        schema = first.schema_arrow
    pred_at = find_boxes(schema, pred, format, prefix="pred_", where=files[0], argument=PRED, rotated=rotated)
    target_at = find_boxes(schema, target, format, prefix="target_", where=files[0], argument=TARGET, rotated=rotated)
    if set(pred_at.names) == set(target_at.names):
        names = ", ".join(pred_at.names)
        how = f"name both with {advice('--pred COLUMNS --target COLUMNS', 'pred=COLUMNS, target=COLUMNS')}"
        raise InputError(f"expected a predicted and a target box in {files[0]}, found only {names}: {how}")
    return PairedTable(files, schema, pred_at, target_at)
