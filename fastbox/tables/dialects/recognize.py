"""Which dialect a source is written in, by its name and by what it holds; and a target, by its name."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator

import pyarrow as pa

from fastbox.errors import InputError
from fastbox.tables.arrays import is_list
from fastbox.tables.convention import is_hidden, is_table
from fastbox.tables.files import find_files, open_parquet

__all__ = ["source_dialect", "target_dialect"]

StrPath = str | os.PathLike[str]


def source_dialect(source: StrPath) -> str:
    """Return the name of the dialect that a file or folder is written in.

    Raises
    ------
    InputError
        It is not there, or nothing tells.
    """
    path = os.fspath(source)
    found = _of_folder(path) if os.path.isdir(path) else _of_file(path)
    if found is None:
        raise InputError(f"expected annotations in a dialect that can be told, got {path}: name it with --from")
    return found


def target_dialect(target: StrPath) -> str:
    """Return the name of the dialect to write to a path.

    Raises
    ------
    InputError
        The name doesn't tell.

    Examples
    --------
    >>> target_dialect("detections.json")
    'coco'
    """
    extension = os.path.splitext(target)[1].lower()
    known = {".parquet": "parquet", ".json": "coco", ".csv": "open-images", ".odgt": "crowdhuman"}
    if extension not in known:
        names = ", ".join(known)
        raise InputError(
            f"expected an output whose name ends in {names}, got {os.fspath(target)}: name its dialect with --to"
        )
    return known[extension]


def _of_file(path: str) -> str | None:
    extension = os.path.splitext(path)[1].lower()
    if not os.path.exists(path) and not glob.has_magic(path):
        raise InputError(f"expected annotations to convert, got no file or folder {path}")
    if extension == ".json":
        return "coco"
    if extension == ".odgt":
        return "crowdhuman"
    if extension == ".csv":
        header = _beginning(path).partition(b"\n")[0]
        return "open-images" if b"ImageID" in header and b"XMin" in header else None
    if extension == ".parquet" or not os.path.exists(path):
        return _of_parquet(find_files(path)[0])
    return None


def _of_parquet(path: str) -> str:
    with open_parquet(path) as file:
        schema = file.schema_arrow
    kind = schema.field("objects").type if schema.names.count("objects") == 1 else pa.null()
    return "huggingface" if pa.types.is_struct(kind.value_type if is_list(kind) else kind) else "parquet"


def _of_folder(path: str) -> str | None:
    names = set(os.listdir(path))
    if "Annotations" in names or any(name.endswith(".xml") for name in names):
        return "voc"
    if "label_2" in names:
        return "kitti"
    labels = "labels" in names or "data.yaml" in names
    for name in _below(os.path.join(path, "labels") if "labels" in names else path):
        if is_table(name) and not labels:
            return _of_parquet(name)
        words = _beginning(name).lstrip().partition(b"\n")[0].split() if name.endswith(".txt") else []
        if len(words) in (15, 16) and words[0][:1].isalpha():
            return "kitti"
        if len(words) >= 5 and words[0].isdigit():
            return "yolo"
    return "yolo" if labels else None


def _below(folder: str) -> Iterator[str]:
    """Yield the files below a folder, always in the same order."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        yield from (os.path.join(parent, name) for name in sorted(names) if not is_hidden(name))


def _beginning(path: str) -> bytes:
    """The first bytes of a file; none of one that can't be read, as its dialect will say."""
    try:
        with open(path, "rb") as file:
            return file.read(1024)
    except OSError:
        return b""
