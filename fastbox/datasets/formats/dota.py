"""DOTA: a text file per image with a quadrilateral on each line, and detections in a file per class."""

from __future__ import annotations

import os
import re
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from fastbox._record import NamedTuple
from fastbox.datasets.by_image import Group, file_stems, grouped, whole_numbers
from fastbox.datasets.categories import Names, Numbering, named, numbered
from fastbox.datasets.dataset import BATCH_ROWS, Dataset, boxes_schema
from fastbox.datasets.image_sizes import NO_SIZES, Sizes, images_table, sizes_from
from fastbox.datasets.listing import (
    ABOUT,
    beginning,
    each_once,
    find,
    inside,
    line_error,
    read_plain,
    subfolder,
    without,
)
from fastbox.datasets.registry import Format, Signs
from fastbox.datasets.rotated import box_columns
from fastbox.errors import InputError, InputWarning
from fastbox.kernels.codes import QUADS
from fastbox.storage.folders import Folder
from fastbox.values.numbers import reads_as_number

__all__ = ["FILE_FORMATS", "read", "write"]

FOLDERS = ("labelTxt", "labelTxt-v1.0", "labelTxt-v1.5", "labelTxt-v2.0", "annfiles")
DETECTIONS = re.compile(r"Task1_(.+)\.txt")
HEADERS = (b"imagesource:", b"gsd:")  # the lines before the boxes
TOLD = ("image_source", "gsd")  # their columns
UNKNOWN = ("", "null", "none")
CORNERS = 8

StrPath: TypeAlias = str | os.PathLike[str]


class Line(NamedTuple):
    """A line as read: the corners, the class or the image, and the difficulty or the score."""

    corners: list[float]
    name: str
    mark: float | None


def read(source: StrPath, *, names: Names | None = None, sizes: StrPath | None = None) -> Dataset:
    """Read a folder of DOTA labels, or of detections as task 1 of DOTA has them.

    Parameters
    ----------
    source : path
        A folder with ``labelTxt/`` in it or further below, or that folder: every ``*.txt`` below it is an image, an
        empty file too. Or a folder with ``Task1_CLASS.txt``, a file of detections for each class.
    names : list, dict or path, optional
        The names of classes in the order of their numbers, or a file with one on each line; any other name is refused.
        By default names are numbered from 0 in the order in which they appear, by ascending image; those of detections
        in the order of their files.
    sizes : path, optional
        The folder of the images, or a Parquet or CSV table of image_id, width, height.

    Returns
    -------
    Dataset
        x1, y1, ... x4, y4 in pixels, as stored. Of labels also difficult, null if not given, and from the lines before
        the boxes image_source and gsd (metres per pixel), null if not given. Detections have a score.

    Raises
    ------
    InputError
        The folder has no labels, or (while the batches are read) a line can't be used; the message names it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "P0003.txt").write_text("imagesource:GoogleEarth\\ngsd:0.15\\n1 1 9 1 9 5 1 5 small-vehicle 0\\n")
    >>> [(row["x3"], row["gsd"]) for batch in read(folder).batches for row in batch.to_pylist()]
    [(9.0, 0.15)]
    """
    folder = subfolder(source, *FOLDERS)
    files = find(folder, lambda name: name.lower().endswith(".txt") and not ABOUT.fullmatch(os.path.basename(name)))
    known = NO_SIZES if sizes is None else sizes_from(sizes)
    numbering = Numbering({} if names is None else numbered(names), closed=names is not None)
    tasks = [(found[1], name) for _, name in files if (found := DETECTIONS.fullmatch(os.path.basename(name)))]
    if tasks:
        tasks = each_once(tasks, folder, "class")
        _warn_of_labels(folder, {name for _, name in files} - {name for _, name in tasks})
        return _detections([(category, os.path.join(folder, name)) for category, name in tasks], numbering, known)
    _warn_of_detections(source, folder)
    files = inside(files, FOLDERS.__contains__) or files
    if not files:
        raise InputError(f"expected DOTA labels, *.txt, in {folder}, got none: name the folder that has them")
    files = each_once([(without(image, *FOLDERS), name) for image, name in files], folder)
    more = (("difficult", pa.int8()), ("image_source", pa.string()), ("gsd", pa.float64()))
    schema = boxes_schema(pa.string(), *more, format="xyxyxyxy")
    return Dataset(
        kind="truths",
        schema=schema,
        batches=_labels(folder, files, schema, numbering),
        ordered=True,
        images=lambda: images_table([image for image, _ in files], known),
        categories=numbering.names,
    )


def write(dataset: Dataset, target: StrPath) -> None:
    """Write truths as DOTA labels, ``labelTxt/*.txt``, or results as ``Task1_CLASS.txt``, all files or none.

    Parameters
    ----------
    dataset : Dataset
        Quadrilaterals. Its columns difficult, image_source and gsd are written, if it has them; a box without
        difficult gets 0.
    target : path
        A new or empty folder. The name of an image's file is its id if that is a string, else its ``file_name``.

    Raises
    ------
    InputError
        The target is not empty, an image's name can't be the name of a file, or a category has no name or one with a
        space.
    """
    with Folder(target) as folder:
        if dataset.kind == "results":
            tasks: dict[str, list[str]] = {name: [] for name in dataset.categories.values()}
            for group in grouped(dataset, target):
                for name, line in _result_lines(group, dataset.categories):
                    tasks.setdefault(name, []).append(line)
            for name, lines in tasks.items():
                folder.write(f"Task1_{_word(name)}.txt", "".join(lines).encode())
            return
        for group in grouped(dataset, target):
            lines = _label_lines(group, dataset.categories)
            stems = file_stems(group.images, ids=True)
            for stem, start, stop in zip(stems, group.offsets[:-1], group.offsets[1:], strict=True):
                head = _header(group.rows, int(start)) if stop > start else _header(group.rows, None)
                folder.write(f"labelTxt/{stem}.txt", (head + "".join(lines[start:stop])).encode())


def _labels(
    folder: str, files: list[tuple[str, str]], schema: pa.Schema, numbering: Numbering
) -> Iterator[pa.RecordBatch]:
    columns: dict[str, list[Any]] = defaultdict(list)
    for image, name in files:
        path = os.path.join(folder, name)
        about: dict[bytes, str] = {}
        for number, text in enumerate(read_plain(path).splitlines(), start=1):
            header = next((one for one in HEADERS if text.lower().startswith(one)), None)
            if header is not None:
                about[header] = text[len(header) :].decode(errors="replace").strip()
            elif text.strip():
                line = _label(text, path, number)
                _add(columns, image, numbering(line.name, path), line)
                columns["image_source"].append(_known(about.get(HEADERS[0], "")))
                columns["gsd"].append(_resolution(about.get(HEADERS[1], ""), path))
        if len(columns["image_id"]) >= BATCH_ROWS:
            yield _batch(columns, "difficult", schema)
            columns = defaultdict(list)
    if columns["image_id"]:
        yield _batch(columns, "difficult", schema)


def _warn_of_labels(folder: str, others: Iterable[str]) -> None:
    """Warn of labels that lie beside detections, of which one kind alone is read."""
    label = next((name for name in sorted(others) if _is_label(os.path.join(folder, name), ())), None)
    if label is not None:
        what = f"{folder} has detections, Task1_*.txt, and labels too, such as {label}"
        todo = "the labels are left out, name their folder to read them"
        warnings.warn(InputWarning(f"{what}: {todo}"), stacklevel=3)


def _warn_of_detections(source: StrPath, folder: str) -> None:
    """Warn of detections beside the folder of labels, which alone is read."""
    task = None if source == folder else next(filter(DETECTIONS.fullmatch, sorted(os.listdir(source))), None)
    if task is not None:
        what = f"{os.fspath(source)} has labels, in {os.path.basename(folder)}, and detections too, such as {task}"
        todo = "the detections are left out, move them to a folder of their own to read them"
        warnings.warn(InputWarning(f"{what}: {todo}"), stacklevel=3)


def _detections(tasks: list[tuple[str, str]], numbering: Numbering, known: Sizes) -> Dataset:
    schema = boxes_schema(pa.string(), ("score", pa.float64()), format="xyxyxyxy")
    images: set[str] = set()

    def batches() -> Iterator[pa.RecordBatch]:
        for name, path in tasks:
            category = numbering(name, path)
            columns: dict[str, list[Any]] = defaultdict(list)
            for number, text in enumerate(read_plain(path).splitlines(), start=1):
                if text.strip():
                    line = _detection(text, path, number)
                    images.add(line.name)
                    _add(columns, line.name, category, line)
            if columns:
                yield _batch(columns, "score", schema)

    return Dataset(
        kind="results",
        schema=schema,
        batches=batches(),
        ordered=False,
        images=lambda: images_table(sorted(images), known),
        categories=numbering.names,
    )


def _add(columns: dict[str, list[Any]], image: str, category: int, line: Line) -> None:
    columns["image_id"].append(image)
    columns["category_id"].append(category)
    columns["corners"] += line.corners
    columns["mark"].append(line.mark)


def _label(text: bytes, path: str, number: int) -> Line:
    """Return the corners, the class and the difficulty of a line of labels."""
    words = text.split()
    expected = "8 numbers, a class and perhaps a difficulty"
    if len(words) not in (CORNERS + 1, CORNERS + 2):
        raise line_error(expected, path, number, f"{len(words)} words", text)
    told = words[CORNERS + 1 :]
    corners = _numbers(words[:CORNERS])
    if corners is None or not all(word.isdigit() and len(word) < 4 and int(word) < 128 for word in told):
        raise line_error(expected, path, number, "", text)
    return Line(corners, _text(words[CORNERS], path), int(told[0]) if told else None)


def _detection(text: bytes, path: str, number: int) -> Line:
    """Return the corners, the image and the score of a line of detections."""
    words = text.split()
    found = _numbers(words[1:]) if len(words) == CORNERS + 2 else None
    if found is None:
        raise line_error("an image, a score and 8 numbers", path, number, f"{len(words)} words", text)
    return Line(found[1:], _text(words[0], path), found[0])


def _numbers(words: list[bytes]) -> list[float] | None:
    """Return the numbers of some words; None if one is no number. Python takes 1_0 for a number."""
    try:
        return None if b"_" in b" ".join(words) else list(map(float, words))
    except ValueError:
        return None


def _text(word: bytes, path: str) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"expected UTF-8 in {path}, got {word!r}: write it as UTF-8") from error


def _known(text: str) -> str | None:
    return None if text.lower() in UNKNOWN else text


def _resolution(text: str, path: str) -> float | None:
    """Return the metres per pixel of an image."""
    if _known(text) is None:
        return None
    if not reads_as_number(text.encode()):
        raise InputError(f"expected a number or null for gsd in {path}, got {text!r}: write one of them")
    return float(text)


def _batch(columns: dict[str, list[Any]], mark: str, schema: pa.Schema) -> pa.RecordBatch:
    corners = np.array(columns.pop("corners"), np.float64).reshape(-1, CORNERS).T
    made: dict[str, Any] = {**columns, mark: columns["mark"]}
    made |= dict(zip(schema.names[2 : 2 + CORNERS], corners, strict=True))
    arrays = [pa.array(made[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _label_lines(group: Group, categories: dict[int, str]) -> list[str]:
    rows = group.rows
    names = [_word(named(categories, number, "DOTA labels")) for number in rows["category_id"].to_pylist()]
    given = whole_numbers(rows, "difficult", bits=8) if "difficult" in rows.column_names else [None] * len(names)
    corners = _corners(rows)
    return [f"{box} {name} {mark or 0}\n" for box, name, mark in zip(corners, names, given, strict=True)]


def _result_lines(group: Group, categories: dict[int, str]) -> Iterator[tuple[str, str]]:
    """Yield the class and the line of each detection."""
    rows = group.rows
    names = [named(categories, number, "DOTA detections") for number in rows["category_id"].to_pylist()]
    stems = np.repeat(np.array(file_stems(group.images, ids=True), object), np.diff(group.offsets)).tolist()
    scores = map(repr, rows["score"].cast(pa.float64()).to_pylist())
    for name, stem, score, box in zip(names, stems, scores, _corners(rows), strict=True):
        yield name, f"{_word(stem)} {score} {box}\n"


def _corners(rows: pa.Table) -> Iterator[str]:
    """Yield the eight numbers of each box, which read back as the same numbers."""
    for box in zip(*(column.tolist() for column in box_columns(rows, "xyxyxyxy")), strict=True):
        yield " ".join(repr(value).removesuffix(".0") for value in box)


def _header(rows: pa.Table, row: int | None) -> str:
    """Return the lines before the boxes, by the first box of an image."""
    told = [None if row is None or name not in rows.column_names else rows[name][row].as_py() for name in TOLD]
    return "".join(
        f"{head.decode()}{'null' if value is None else value}\n" for head, value in zip(HEADERS, told, strict=True)
    )


def _word(name: str) -> str:
    if name.split() != [name] or "/" in name:
        raise InputError(f"expected names without spaces and slashes for DOTA, got {name!r}: rename it")
    return name


def _is_label(path: str, folders: Collection[str]) -> bool:
    """Tell whether a file has detections of task 1, or labels of DOTA, by its first lines."""
    if not path.lower().endswith(".txt"):
        return False
    data = beginning(path)
    words = next((line.split() for line in data.splitlines() if line.strip() and b":" not in line), [])
    if DETECTIONS.fullmatch(os.path.basename(path)):
        return len(words) in (0, CORNERS + 2)
    numbers = [_numbers([word]) is not None for word in words[: CORNERS + 1]]
    return data.lower().startswith(HEADERS) or numbers == [True] * CORNERS + [False]


FILE_FORMATS = (
    Format(
        "dota",
        read,
        write,
        kind="folder",
        text="a folder with labelTxt/*.txt, or Task1_*.txt with detections",
        lacks=("iscrowd", "ignore"),
        numbered=False,
        boxes=(QUADS,),
        signs=Signs(folders=FOLDERS, is_member=_is_label),
    ),
)
