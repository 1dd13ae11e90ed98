"""YOLO: a text file per image, a line per box, relative to the image's size."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from fastbox.errors import InputError
from fastbox.tables.dialects.dataset import Dataset, boxes_schema, images_schema
from fastbox.tables.dialects.folder import Folder
from fastbox.tables.dialects.grouped import Group, coordinates, file_stems, grouped
from fastbox.tables.dialects.listing import find, line_error, read_bytes, subfolder
from fastbox.tables.dialects.names import Names, load_yaml, numbered, yaml_module
from fastbox.tables.dialects.relative import shortest
from fastbox.tables.dialects.sizes import NO_SIZES, Sizes, images_table, sizes_from

__all__ = ["read", "write"]

ROWS = 65_536
SIZES = "sizes.csv"
NAMES = ("data.yaml", "classes.txt", "obj.names")

StrPath: TypeAlias = str | os.PathLike[str]


@dataclass(frozen=True)
class Lines:
    """How to read a line: with a score at its end or not, and how many numbers of keypoints behind the box."""

    scored: bool
    keypoints: int

    @property
    def words(self) -> int:
        """Return how many words the line of a box has."""
        return 6 if self.scored else 5


def read(source: StrPath, *, names: Names | None = None, sizes: StrPath | None = None) -> Dataset:
    """Read a folder of YOLO labels.

    Parameters
    ----------
    source : path
        A folder with ``labels/`` in it, or a folder of labels: every ``*.txt`` below is an image, an empty one too.
        Images in ``images/`` beside ``labels/`` (or beside the labels, where no folder is called so) that have no label
        file are images without boxes.
    names : list, dict or path, optional
        The names of categories, or the file that has them: YAML, or text with one a line. By default those of
        ``data.yaml``, ``classes.txt`` or ``obj.names`` in the folder, with the labels, or up to one above ``labels/``.
    sizes : path, optional
        A folder of images, or a Parquet or CSV table of image_id, width, height. By default ``sizes.csv`` in the
        folder, as :func:`write` leaves it, or else the headers of the images.

    Returns
    -------
    Dataset
        cx, cy, w, h in pixels: the number of the file times the image's width or height, in float64, whatever it is.
        Lines of five numbers make truths, of six results, with a score. Of a polygon it is the box around; of a line
        with keypoints (kpt_shape in ``data.yaml``) the box in front of them.

    Raises
    ------
    InputError
        The folder has no labels, or (while the batches are read) a line can't be used or an image with boxes has no
        size; the message names it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "sizes.csv").write_text("image_id,width,height\\n7,640,480\\n")
    >>> _ = (folder / "7.txt").write_text("0 0.5 0.5 0.1 1.0004\\n")
    >>> [batch.to_pylist()[0]["h"] for batch in read(folder).batches]
    [480.192]
    """
    labels = subfolder(source, "labels")
    root, above = _roots(os.fspath(source), labels)
    files = find(labels, lambda name: name.endswith(".txt") and name != "classes.txt")
    known = sizes_from(sizes) if sizes is not None else _found_sizes(root, labels)
    image_ids = sorted({image for image, _ in files} | known.listed())
    if not image_ids:
        raise InputError(f"expected YOLO labels, *.txt, in {labels}, got none")
    named = _names_file([os.fspath(source), labels, root, above])
    shape = load_yaml(named).get("kpt_shape") if named is not None and named.endswith(".yaml") else None
    kind = _kind_of_lines(labels, files, _keypoints(shape, named))
    schema = boxes_schema(pa.string(), *([("score", pa.float64())] if kind.scored else []), format="cxcywh")
    given = names if names is not None else named
    return Dataset(
        kind="results" if kind.scored else "truths",
        schema=schema,
        batches=_batches(labels, files, kind, schema, known),
        ordered=True,
        images=lambda: images_table(image_ids, known),
        categories={} if given is None else numbered(given),
    )


def write(dataset: Dataset, target: StrPath, *, digits: int = 6, renumber: bool = False) -> None:
    """Write a data set as YOLO labels, all files or none: ``labels/*.txt``, ``data.yaml`` and ``sizes.csv``.

    Parameters
    ----------
    dataset : Dataset
        Every image that has boxes must have a width and a height.
    target : path
        A new or empty folder. A label file is called as the image's file, or as its id where it has none. ``data.yaml``
        has the names; ``sizes.csv`` the size and the file of every image, so that labels can be read without images.
    digits : int
        Decimals of a coordinate, without trailing zeros; one that these would move gets as many as it needs to read
        back as the same pixels. Pixels that no float64 times the size gives come back one unit in the last place away.
    renumber : bool
        Number the categories from 0 without a gap, by ascending id, as Ultralytics asks. By default ids are kept.

    Raises
    ------
    InputError
        The target is not empty, an image's name can't be one of a file, or two have one; an image with boxes has no
        size; a category has no name to be numbered by; PyYAML is not installed.
    """
    listed: list[pa.Table] = []
    with Folder(target) as folder:
        for group in grouped(dataset, target):
            numbers = {number: i for i, number in enumerate(sorted(dataset.categories))} if renumber else None
            lines = _lines(group, dataset, digits, numbers)
            stems = file_stems(group.images, ids=False)
            for stem, start, stop in zip(stems, group.offsets[:-1], group.offsets[1:], strict=True):
                folder.write(f"labels/{stem}.txt", "".join(lines[start:stop]).encode())
            columns = [pa.array(stems, pa.string()), *(group.images[name] for name in group.images.column_names[1:])]
            listed.append(pa.Table.from_arrays(columns, schema=images_schema(pa.string())))
        if dataset.categories:
            names = [dataset.categories[number] for number in sorted(dataset.categories)]
            folder.write("data.yaml", _yaml(names if renumber else dict(sorted(dataset.categories.items()))))
        sizes = BytesIO()
        pyarrow.csv.write_csv(pa.concat_tables([images_schema(pa.string()).empty_table(), *listed]), sizes)
        folder.write(SIZES, sizes.getvalue())


def _roots(source: str, labels: str) -> tuple[str, str]:
    """Return the folder that ``labels`` is in and the one above; those of the source itself without such a folder."""
    parts = os.path.abspath(labels).split(os.sep)
    if "labels" not in parts:
        return source, source
    root = os.sep.join(parts[: len(parts) - 1 - parts[::-1].index("labels")]) or os.sep
    return root, os.path.dirname(root)


def _found_sizes(root: str, labels: str) -> Sizes:
    table = os.path.join(root, SIZES)
    if os.path.isfile(table):
        return sizes_from(table)
    if root == labels:
        return sizes_from(labels)
    inside = os.path.relpath(os.path.abspath(labels), os.path.join(os.path.abspath(root), "labels"))
    images = os.path.normpath(os.path.join(root, "images", inside))
    return sizes_from(images) if os.path.isdir(images) else NO_SIZES


def _names_file(folders: Sequence[str]) -> str | None:
    paths = (os.path.join(folder, name) for folder in dict.fromkeys(folders) for name in NAMES)
    return next((path for path in paths if os.path.isfile(path)), None)


def _keypoints(shape: Any, where: str | None) -> int:
    """How many numbers the keypoints of a box are, by ``kpt_shape``."""
    try:
        return 0 if shape is None else int(shape[0]) * int(shape[1])
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise InputError(f"expected two whole numbers for kpt_shape in {where}, got {shape!r}") from error


def _kind_of_lines(labels: str, files: list[tuple[str, str]], keypoints: int) -> Lines:
    """Tell by the first line of all files whether lines end with a score."""
    for _, name in files:
        first = read_bytes(os.path.join(labels, name)).lstrip().partition(b"\n")[0]
        if first:
            words = len(first.split())
            scored = words in (6, 6 + keypoints) if keypoints else words >= 6 and words % 2 == 0
            return Lines(scored, keypoints)
    return Lines(False, keypoints)


def _batches(
    labels: str, files: list[tuple[str, str]], kind: Lines, schema: pa.Schema, known: Sizes
) -> Iterator[pa.RecordBatch]:
    owners: list[str] = []
    counts: list[int] = []
    sizes: list[tuple[int, int]] = []
    numbers: list[float] = []
    for image, name in files:
        path = os.path.join(labels, name)
        data = read_bytes(path)
        if not data:
            continue
        try:
            parsed = _parsed(data, kind)
        except ValueError as error:
            raise _wrong_line(path, data, kind) from error
        if parsed:
            owners.append(image)
            counts.append(len(parsed) // kind.words)
            sizes.append(_size(image, path, known))
            numbers += parsed
        if len(numbers) >= ROWS * kind.words:
            yield _batch(owners, counts, sizes, numbers, schema)
            owners, counts, sizes, numbers = [], [], [], []
    if owners:
        yield _batch(owners, counts, sizes, numbers, schema)


def _parsed(data: bytes, kind: Lines) -> list[float]:
    """Return class, box and score of every line, one behind another; ``ValueError`` where a line has something else."""
    if b"_" in data:  # Python takes 1_0 for a number
        raise ValueError
    lines = [line for line in map(bytes.split, data.splitlines()) if line]
    words = kind.words
    if any(len(line) != words for line in lines):
        numbers = [number for line in lines for number in _box(list(map(float, line)), kind)]
    else:
        numbers = [float(word) for line in lines for word in line]
    if not all(number.is_integer() and 0 <= number < 2**31 for number in numbers[::words]):
        raise ValueError
    return numbers


def _box(line: list[float], kind: Lines) -> list[float]:
    """Return class, box and score of a line that may be longer."""
    end = line[-1:] if kind.scored else []
    rest = len(line) - 5 - len(end)
    if rest == 0:
        return line
    if kind.keypoints and rest == kind.keypoints:
        return [*line[:5], *end]
    if kind.keypoints or rest < 2 or rest % 2:
        raise ValueError
    points = line[1 : len(line) - len(end)]
    (left, right), (top, bottom) = ((min(axis), max(axis)) for axis in (points[::2], points[1::2]))
    return [line[0], (left + right) / 2, (top + bottom) / 2, right - left, bottom - top, *end]


def _wrong_line(path: str, data: bytes, kind: Lines) -> InputError:
    longer = f"or {kind.words + kind.keypoints} with keypoints" if kind.keypoints else "or a class and a polygon"
    for number, line in enumerate(data.splitlines(), start=1):
        try:
            _parsed(line, kind)
        except ValueError:
            expected = f"{kind.words} numbers, the first a whole one, {longer}"
            return line_error(expected, path, number, str(len(line.split())), line)
    raise AssertionError("a file can't be used only where one of its lines can't")


def _size(image: str, path: str, known: Sizes) -> tuple[int, int]:
    width, height, _ = known(image)
    if width is None or height is None:
        raise InputError(
            f"expected the size of image {image}, which the boxes in {path} are relative to, got none: "
            "put images/ beside labels/, or give a table of sizes"
        )
    return width, height


def _batch(
    owners: list[str], counts: list[int], sizes: list[tuple[int, int]], numbers: list[float], schema: pa.Schema
) -> pa.RecordBatch:
    words = len(schema) - 1
    values = np.array(numbers, np.float64).reshape(-1, words).T
    per_row = np.repeat(np.arange(len(owners)), counts)
    width, height = np.array(sizes, np.float64)[per_row].T
    columns = [values[1] * width, values[2] * height, values[3] * width, values[4] * height, *values[5:]]
    images = pa.array(owners, pa.string()).take(pa.array(per_row))
    arrays = [images, pa.array(values[0].astype(np.int32)), *map(pa.array, columns)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _lines(group: Group, dataset: Dataset, digits: int, numbers: dict[int, int] | None) -> list[str]:
    rows = group.rows
    classes = rows["category_id"].to_pylist()
    if numbers is not None:
        unknown = next((number for number in classes if number not in numbers), None)
        if unknown is not None:
            raise InputError(f"expected a name for every category to number them from 0, got none for {unknown}")
        classes = [numbers[number] for number in classes]
    width, height = (_per_row(group, name) for name in ("width", "height"))
    box = coordinates(rows, "cxcywh")
    with np.errstate(over="ignore"):  # what is not finite is written as it is
        words = [
            shortest(column, size, digits) for column, size in zip(box, (width, height, width, height), strict=True)
        ]
    if dataset.kind == "results":
        words.append(list(map(repr, rows["score"].cast(pa.float64()).to_pylist())))
    return [f"{number} {' '.join(line)}\n" for number, line in zip(classes, zip(*words, strict=True), strict=True)]


def _per_row(group: Group, name: str) -> NDArray[np.int32]:
    """The width or the height of the image of each box."""
    counts = np.diff(group.offsets)
    column = group.images[name].fill_null(0).to_numpy()
    missing = np.flatnonzero((column <= 0) & (counts > 0))
    if missing.size:
        image = group.images["image_id"][int(missing[0])].as_py()
        raise InputError(
            f"expected the {name} of image {image!r}, which YOLO's boxes are relative to, got none: read its sizes too "
            "(--sizes)"
        )
    return np.repeat(column, counts)


def _yaml(names: list[str] | dict[int, str]) -> bytes:
    # Written as they are, some of the characters that don't print would be line breaks to a reader.
    plain = all(name.isprintable() for name in (names.values() if isinstance(names, dict) else names))
    text: bytes = yaml_module().safe_dump({"names": names}, allow_unicode=plain, encoding="utf-8", sort_keys=False)
    return text
