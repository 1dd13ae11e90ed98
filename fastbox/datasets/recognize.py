"""Recognize the file format of a source by its name and content, and that of an output by its name."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator

import pyarrow as pa

from fastbox.datasets.registry import each_format, formats
from fastbox.errors import InputError, advice
from fastbox.storage.convention import TABLE_ENDING, is_hidden, is_table
from fastbox.storage.locate import find_files, like
from fastbox.storage.opened import open_parquet

__all__ = ["format_for", "format_of", "is_huggingface", "is_other"]

StrPath = str | os.PathLike[str]

# Files to suggest if the format of their folder is not recognized.
LIKELY = (".json", ".json.gz", ".json.zst", ".jsonl", ".csv", ".odgt")


def format_of(source: StrPath) -> str:
    """Return the name of the format that a file or folder is in.

    Raises
    ------
    InputError
        The file or folder does not exist, or its format is not recognized.
    """
    path = os.fspath(source)
    found = _of_folder(path) if os.path.isdir(path) else _of_file(path)
    if found is None:
        raise InputError(f"expected annotations in a format that is recognized, got {path}: {_advice(path)}")
    return found


def format_for(target: StrPath) -> str:
    """Return the name of the format to write to a path.

    Raises
    ------
    InputError
        No format is written to a file with this name.

    Examples
    --------
    >>> format_for("detections.json")
    'coco'
    """
    ending = os.path.splitext(target)[1].lower()
    if is_table(os.fspath(target)):
        return "parquet"
    found = next((own.name for own in each_format() if ending and own.ending == ending), None)
    if found is None:
        how = advice("--to NAME", "out_format=NAME")
        endings = sorted({own.ending for own in each_format() if own.ending})
        expected = f"expected an output whose name ends in {', '.join(endings)}"
        raise InputError(f"{expected}, got {os.fspath(target)}: name its format with {how}")
    return found


def is_other(path: str) -> bool:
    """Tell by its name whether a file is in another format than Parquet."""
    name = path.lower()
    return not name.endswith(TABLE_ENDING) and any(name.endswith(own.signs.endings) for own in each_format())


def is_huggingface(schema: pa.Schema) -> bool:
    """Tell whether a row of a table is an image with its objects, as on the Hugging Face Hub."""
    kind = schema.field("objects").type if schema.names.count("objects") == 1 else pa.null()
    inner = getattr(kind, "value_type", kind) if pa.types.is_nested(kind) else kind
    return bool(pa.types.is_struct(inner))


def _advice(path: str) -> str:
    """Return the remedy for a format that is not recognized: name a file of the folder, or the format."""
    if path.lower().endswith((".xml", ".txt")):
        return "name the folder that it is in"
    how = advice("--from NAME", "source_format=NAME")
    for name in _below(path):
        if name.lower().endswith(LIKELY):
            return f"name one of its files, such as {name}, or its format with {how}"
    return f"name its format with {how}"


def _of_file(path: str) -> str | None:
    if not os.path.exists(path) and not glob.has_magic(path):
        raise InputError(f"expected annotations to convert, got no file or folder {path}{like(path)}")
    if is_table(path) or not (os.path.exists(path) or is_other(path)):
        return _of_parquet(find_files(path)[0])
    known = (own for own in each_format() if path.lower().endswith(own.signs.endings))
    return next((own.name for own in known if own.signs.is_file(path)), None)


def _of_parquet(path: str) -> str:
    with open_parquet(path) as file:
        return "huggingface" if is_huggingface(file.schema_arrow) else "parquet"


def _of_folder(path: str) -> str | None:
    names = {name for name in os.listdir(path) if not name.startswith(".")}
    known = formats().values()
    for own in known:
        if names.intersection(own.signs.folders):
            return own.name
    likely = next((own for own in known if own.signs.has_names(names)), None)
    inside = likely is not None and likely.signs.inside in names
    for name in _below(os.path.join(path, likely.signs.inside) if likely is not None and inside else path):
        if is_table(name):
            if likely is None and not is_hidden(os.path.basename(name)):
                return _of_parquet(name)
            continue
        folders = os.path.dirname(os.path.relpath(name, path)).split(os.sep)
        found = next((own.name for own in known if own.signs.is_member(name, folders)), None)
        if found is not None:
            return found
    return None if likely is None else likely.name


def _below(folder: str) -> Iterator[str]:
    """Yield the files below a folder, without hidden ones, in a fixed order."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))
