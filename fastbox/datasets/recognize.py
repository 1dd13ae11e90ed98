"""Which dialect a source is written in, by its name and by what it holds; and a target, by its name."""

from __future__ import annotations

import codecs
import glob
import os
from collections.abc import Iterator

import pyarrow as pa

from fastbox.arrow.arrays import is_list
from fastbox.datasets.listing import ABOUT
from fastbox.errors import InputError, advice
from fastbox.storage.convention import is_hidden, is_table
from fastbox.storage.locate import like
from fastbox.tables.files import find_files, open_parquet
from fastbox.tables.separated import is_separated

__all__ = ["is_huggingface", "source_dialect", "target_dialect"]

StrPath = str | os.PathLike[str]

# Folders and files that tell on their own.
FOLDERS = {"Annotations": "voc", "label_2": "kitti", "label_02": "kitti"}
YOLO = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "obj.names", "obj_train_data", "_darknet.labels")
COCO = (".json", ".json.gz")
OTHER = (*COCO, ".jsonl", ".csv", ".odgt")


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
        raise InputError(f"expected annotations in a dialect that can be told, got {path}: {_advice(path)}")
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
        how = advice("--to NAME", "out_dialect=NAME")
        came = os.fspath(target)
        raise InputError(f"expected an output whose name ends in {names}, got {came}: name its dialect with {how}")
    return known[extension]


def _advice(path: str) -> str:
    """What to do where nothing tells: name a file of the folder that can be read, or the dialect."""
    if path.lower().endswith((".xml", ".txt")):
        return "name the folder that it is in"
    how = advice("--from NAME", "source_dialect=NAME")
    for name in _below(path):
        if name.lower().endswith(OTHER):
            return f"name one of its files, such as {name}, or its dialect with {how}"
    return f"name it with {how}"


def _of_file(path: str) -> str | None:
    extension = os.path.splitext(path)[1].lower()
    if not os.path.exists(path) and not glob.has_magic(path):
        raise InputError(f"expected annotations to convert, got no file or folder {path}{like(path)}")
    if path.lower().endswith(COCO):
        return "coco"
    if extension == ".odgt":
        return "crowdhuman"
    if extension in (".jsonl", ".ndjson") and b'"objects"' in _beginning(path):
        return "huggingface"
    if extension in (".yaml", ".yml"):
        return "yolo"
    if is_separated(path):
        header = _beginning(path).partition(b"\n")[0]
        return "open-images" if all(name in header for name in (b"ImageID", b"LabelName", b"XMin")) else None
    if extension == ".parquet" or not os.path.exists(path):
        return _of_parquet(find_files(path)[0])
    return None


def is_huggingface(schema: pa.Schema) -> bool:
    """Tell whether a row is an image with its objects, as the Hub has it."""
    kind = schema.field("objects").type if schema.names.count("objects") == 1 else pa.null()
    return bool(pa.types.is_struct(kind.value_type if is_list(kind) else kind))


def _of_parquet(path: str) -> str:
    with open_parquet(path) as file:
        return "huggingface" if is_huggingface(file.schema_arrow) else "parquet"


def _of_folder(path: str) -> str | None:
    names = {name for name in os.listdir(path) if not name.startswith(".")}
    for folder, dialect in FOLDERS.items():
        if folder in names:
            return dialect
    labels = "labels" in names or any(name in YOLO or name.lower().endswith(".data") for name in names)
    for name in _below(os.path.join(path, "labels") if "labels" in names else path):
        folders = set(os.path.dirname(os.path.relpath(name, path)).split(os.sep))
        extension = os.path.splitext(name)[1].lower()
        if extension == ".xml" and b"<annotation" in _beginning(name):
            return "voc"
        if is_table(name) and not labels and not is_hidden(os.path.basename(name)):
            return _of_parquet(name)
        if extension == ".txt" and not ABOUT.fullmatch(os.path.basename(name)):
            found = "kitti" if folders & {"label_2", "label_02"} else _of_line(_beginning(name))
            if found is not None:
                return found
    return "yolo" if labels else None


def _of_line(beginning: bytes) -> str | None:
    """The dialect of a text file, by its first line."""
    words = beginning.removeprefix(codecs.BOM_UTF8).lstrip().partition(b"\n")[0].split()
    numbers = [_is_number(word) for word in words]
    if len(words) in (15, 16) and numbers == [False, *[True] * (len(words) - 1)]:
        return "kitti"
    if len(words) in (17, 18) and numbers == [True, True, False, *[True] * (len(words) - 3)]:  # of tracking
        return "kitti"
    return "yolo" if len(words) >= 5 and words[0].isdigit() and all(numbers) else None


def _is_number(word: bytes) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _below(folder: str) -> Iterator[str]:
    """Yield the files below a folder, always in the same order; not hidden ones."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(parent, name) for name in sorted(names) if not name.startswith("."))


def _beginning(path: str) -> bytes:
    """The first bytes of a file; none of one that can't be read, as its dialect will say."""
    try:
        with pa.input_stream(path, compression="detect") as file:
            found: bytes = file.read(1024)
            return found
    except (OSError, pa.ArrowException):
        return b""
