"""KITTI object labels: a text file per image, 15 words a line, 16 with a score."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.errors import InputError
from fastbox.tables.dialects.dataset import COORDINATES, Dataset, boxes_schema
from fastbox.tables.dialects.folder import Folder
from fastbox.tables.dialects.grouped import Group, coordinates, file_stems, grouped
from fastbox.tables.dialects.listing import find, line_error, read_bytes, subfolder
from fastbox.tables.dialects.names import Names, Numbering, named, numbered
from fastbox.tables.dialects.sizes import NO_SIZES, images_table, sizes_from

__all__ = ["read", "write"]

ROWS = 65_536

# As the devkit's readme lists them; a DontCare region hides objects that nobody labelled.
TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare")
SPACE = ("height_3d", "width_3d", "length_3d", "x_3d", "y_3d", "z_3d", "rotation_y")
# What the readme asks of a file of results for what its author doesn't know.
UNKNOWN = dict(
    zip(("truncated", "occluded", "alpha", *SPACE), (-1, -1, -10, -1, -1, -1, -1000, -1000, -1000, -10), strict=True)
)

StrPath = str | os.PathLike[str]


def read(source: StrPath, *, names: Names | None = None, sizes: StrPath | None = None) -> Dataset:
    """Read a folder of KITTI object labels.

    Parameters
    ----------
    source : path
        A folder with ``label_2/`` in it, or that folder: every ``*.txt`` below it is an image, an empty one too.
    names : list, dict or path, optional
        The types in the order of their numbers, or a file with one a line. Any other type is refused. By default the
        devkit's nine from Car, 0, to DontCare, 8, and behind them others as they come.
    sizes : path, optional
        The folder of the images, ``image_2``, or a Parquet or CSV table of image_id, width, height.

    Returns
    -------
    Dataset
        xmin, ymin, xmax, ymax are left, top, right, bottom in pixels, as stored. Then truncated, occluded, alpha,
        height_3d, width_3d, length_3d, x_3d, y_3d, z_3d (metres), rotation_y, all as stored, and ignore, 1 for
        DontCare. Lines of 16 words make results, with a score. Without ``sizes``
        those of the images are null.

    Raises
    ------
    InputError
        The folder has no labels, or (while the batches are read) a line can't be used; the message names it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "000007.txt").write_text("Car 0.00 0 -1.57 599 156 630 189 2.85 2.63 12.3 0.47 1.49 69.4 -1.56")
    >>> dataset = read(folder)
    >>> [batch.to_pylist()[0]["xmax"] for batch in dataset.batches]
    [630.0]
    """
    folder = subfolder(source, "label_2")
    files = find(folder, lambda name: name.endswith(".txt"))
    if not files:
        raise InputError(f"expected KITTI labels, *.txt, in {folder}, got none")
    words = _words_per_line(folder, files)
    scores = [("score", pa.float64())] if words == 16 else []
    columns = [(name, pa.int8() if name == "occluded" else pa.float64()) for name in UNKNOWN]
    schema = boxes_schema(pa.string(), *columns, *scores, ("ignore", pa.int8()))
    categories = dict(enumerate(TYPES)) if names is None else numbered(names)
    known = NO_SIZES if sizes is None else sizes_from(sizes)
    return Dataset(
        kind="results" if scores else "truths",
        schema=schema,
        batches=_batches(folder, files, words, schema, Numbering(categories, closed=names is not None)),
        ordered=True,
        images=lambda: images_table([image for image, _ in files], known),
        categories=categories,
    )


def write(dataset: Dataset, target: StrPath, *, digits: int = 2) -> None:
    """Write a data set as KITTI object labels, ``label_2/*.txt``, all files or none.

    Parameters
    ----------
    dataset : Dataset
        What it lacks of a KITTI label gets the devkit's value for unknown: truncated and occluded -1, alpha -10, sizes
        -1, places -1000, rotation_y -10.
    target : path
        A new or empty folder. An image's file is called as its id if that is a string, else as its ``file_name``.
    digits : int
        Decimals of a number. A number that these would change gets as many as it needs to read back the same; whole
        numbers of DontCare regions other than their box get none, as in KITTI's own files.

    Raises
    ------
    InputError
        The target is not empty, an image's name can't be one of a file, a category has no name or one with a space.
    """
    with Folder(target) as folder:
        for group in grouped(dataset, target):
            lines = _lines(group, dataset, digits)
            stems = file_stems(group.images, ids=True)
            for stem, start, stop in zip(stems, group.offsets[:-1], group.offsets[1:], strict=True):
                folder.write(f"label_2/{stem}.txt", "".join(lines[start:stop]).encode())


def _words_per_line(folder: str, files: list[tuple[str, str]]) -> int:
    """How many words the first line of all files has: 15, or 16 in results."""
    for _, name in files:
        first = read_bytes(os.path.join(folder, name)).lstrip().partition(b"\n")[0]
        if first:
            return 16 if len(first.split()) == 16 else 15
    return 15


def _batches(
    folder: str, files: list[tuple[str, str]], words: int, schema: pa.Schema, numbering: Numbering
) -> Iterator[pa.RecordBatch]:
    owners: list[str] = []
    types: list[int] = []
    numbers: list[float] = []
    for image, name in files:
        path = os.path.join(folder, name)
        data = read_bytes(path)
        lines = [line for line in map(bytes.split, data.splitlines()) if line]
        try:
            names, values = _parsed(lines, words)
        except ValueError as error:
            raise _wrong_line(path, data, words) from error
        types += [numbering(name, path) for name in names]
        numbers += values
        owners += [image] * len(lines)
        if len(owners) >= ROWS:
            yield _batch(owners, types, numbers, words, schema, numbering)
            owners, types, numbers = [], [], []
    if owners:
        yield _batch(owners, types, numbers, words, schema, numbering)


def _parsed(lines: Sequence[Sequence[bytes]], words: int) -> tuple[list[str], list[float]]:
    """Return the types of some lines, and their numbers one behind another; ``ValueError`` where they can't be read."""
    texts = [word for line in lines for word in line[1:]]
    # Python takes 1_0 for a number.
    if any(len(line) != words for line in lines) or any(b"_" in text for text in texts):
        raise ValueError
    if not all(-128 <= int(line[2]) < 128 for line in lines):
        raise ValueError
    return [line[0].decode() for line in lines], list(map(float, texts))


def _wrong_line(path: str, data: bytes, words: int) -> InputError:
    for number, line in enumerate(data.splitlines(), start=1):
        found = line.split()
        if found and len(found) != words:
            return line_error(f"{words} words", path, number, str(len(found)), line)
        try:
            _parsed([found] if found else [], words)
        except ValueError:
            return line_error(f"a type and {words - 1} numbers, the second a whole one,", path, number, "", line)
    raise AssertionError("a file can't be used only where one of its lines can't")


def _batch(
    owners: list[str],
    types: list[int],
    numbers: list[float],
    words: int,
    schema: pa.Schema,
    numbering: Numbering,
) -> pa.RecordBatch:
    values = np.array(numbers, np.float64).reshape(-1, words - 1).T
    order = ("truncated", "occluded", "alpha", *COORDINATES["xyxy"], *SPACE, "score")
    columns: dict[str, Any] = dict(zip(order, values, strict=False))
    columns |= {"image_id": owners, "category_id": types, "occluded": columns["occluded"].astype(np.int8)}
    uncared = [number for number, name in numbering.names.items() if name == "DontCare"]
    columns["ignore"] = np.isin(types, uncared).astype(np.int8)
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _lines(group: Group, dataset: Dataset, digits: int) -> list[str]:
    rows = group.rows
    types = [_word(dataset.categories, number) for number in rows["category_id"].to_pylist()]
    known = {name: _filled(rows, name) for name in UNKNOWN}
    box = coordinates(rows, "xyxy")
    scores = [rows["score"].to_numpy()] if dataset.kind == "results" else []
    order = [known["truncated"], known["occluded"], known["alpha"], *box, *(known[name] for name in SPACE), *scores]
    lines = []
    for kind, values in zip(types, zip(*(column.tolist() for column in order), strict=True), strict=True):
        places = (0, 2, *range(7, 14)) if kind == "DontCare" else ()
        words = [_text(value, digits, bare=place in places) for place, value in enumerate(values[:14])]
        words[1] = str(int(values[1]))
        lines.append(" ".join([kind, *words, *map(repr, values[14:])]) + "\n")
    return lines


def _filled(rows: pa.Table, name: str) -> NDArray[np.float64]:
    """A column with what is unknown in the devkit's way."""
    if name not in rows.column_names:
        return np.full(rows.num_rows, float(UNKNOWN[name]))
    return np.asarray(rows[name].cast(pa.float64()).fill_null(float(UNKNOWN[name])).to_numpy())


def _word(categories: dict[int, str], number: int) -> str:
    name = named(categories, number, "KITTI labels")
    if name.split() != [name]:
        raise InputError(f"expected names of categories without spaces for KITTI labels, got {name!r}")
    return name


def _text(value: float, digits: int, *, bare: bool) -> str:
    """Return the text of a number that reads back the same: whole ones bare where asked, else with these digits."""
    if bare and value and value.is_integer():
        return str(int(value))
    text = f"{value:.{digits}f}"
    return text if float(text) == value and abs(value) < 1e15 else repr(value)
