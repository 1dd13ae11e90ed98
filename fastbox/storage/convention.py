"""Naming conventions of folders: the ending of tables, and the hidden names that readers leave out."""

from __future__ import annotations

import os
from collections.abc import Iterable

from fastbox.errors import InputError

__all__ = [
    "TABLE_ENDING",
    "are_shown",
    "check_finished",
    "check_name",
    "is_hidden",
    "is_table",
    "mark_in",
]

TABLE_ENDING = ".parquet"
_UNFINISHED = ".fastbox-unfinished"  # is in a folder while parts of a run are missing

_KNOWN = {
    TABLE_ENDING,
    *(".csv", ".json", ".jsonl", ".md", ".ndjson", ".odgt", ".py", ".tsv", ".txt", ".xml", ".yaml", ".yml"),
    *(".arrow", ".avro", ".db", ".duckdb", ".feather", ".gz", ".ipc", ".orc", ".sqlite", ".xls", ".xlsx", ".zip"),
    *(".gif", ".htm", ".html", ".jpeg", ".jpg", ".pdf", ".png", ".svg", ".webp"),
}


def is_table(name: str) -> bool:
    """Tell whether a file is a Parquet table, by the ending of its name in upper or lower case."""
    return os.path.splitext(name)[1].lower() == TABLE_ENDING


def check_name(path: str | os.PathLike[str], ending: str, what: str) -> None:
    """Refuse a file name with the ending of another format; a name without a known ending is accepted.

    Raises
    ------
    InputError
        The name has the ending of a text, a page, a picture, a table of another format or the like.

    Examples
    --------
    >>> check_name("kept.csv", ".parquet", "a Parquet file")
    Traceback (most recent call last):
    fastbox.errors.InputError: expected the name of a Parquet file to write, got kept.csv: name it kept.parquet
    """
    name = os.fspath(path)
    root, own = os.path.splitext(name)
    if own.lower() in _KNOWN and own.lower() != ending:
        raise InputError(f"expected the name of {what} to write, got {name}: name it {root}{ending}")


def mark_in(folder: str) -> str:
    """Return the path of the file that marks a folder as unfinished."""
    return f"{folder.rstrip('/')}/{_UNFINISHED}"


def check_finished(folder: str, names: Iterable[str]) -> None:
    """Refuse to read a folder, given the names in it, while parts of a run are missing.

    Raises
    ------
    InputError
        A run in fragments still writes to the folder, or ended early.
    """
    if _UNFINISHED in names:
        raise InputError(
            f"expected all parts of a run in {folder}, got a run that is still under way or ended early: let the same "
            f"command run to its end, or remove {mark_in(folder)} to read the parts that are done"
        )


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is left out where a folder is read, as Spark, Hive and PyArrow do.

    >>> [is_hidden(name) for name in ("_temporary", ".ipynb_checkpoints", "_day=1", "part-0.parquet")]
    [True, True, False, False]
    """
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def are_shown(names: Iterable[str]) -> bool:
    """Tell whether no name in a path, below the folder that was given, is hidden."""
    return not any(map(is_hidden, names))
