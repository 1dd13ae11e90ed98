"""KITTI labels of objects, a text file per image, and of tracking, a file per sequence."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.datasets.by_image import Group, coordinates, file_stems, grouped, numbers, whole_numbers
from fastbox.datasets.categories import Names, Numbering, named, numbered
from fastbox.datasets.dataset import BATCH_ROWS, COORDINATES, Dataset, boxes_schema, format_of, names_in
from fastbox.datasets.image_sizes import NO_SIZES, images_table, sizes_from
from fastbox.datasets.listing import (
    ABOUT,
    beginning,
    each_once,
    find,
    first_words,
    inside,
    line_error,
    read_plain,
    subfolder,
    without,
)
from fastbox.datasets.registry import Format, Signs
from fastbox.errors import InputError
from fastbox.storage.folders import Folder
from fastbox.values.numbers import reads_as_number

__all__ = ["FILE_FORMATS", "read", "write"]

# In the order of the devkit's readme; a DontCare region has objects that were not labelled.
TYPES = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc", "DontCare")
SPACE = ("height_3d", "width_3d", "length_3d", "x_3d", "y_3d", "z_3d", "rotation_y")
ABOVE = ("x_3d", "z_3d", "length_3d", "width_3d", "rotation_y")  # of an object as seen from above; the angle is less it
# The values of the devkit's readme for values that a detector does not give.
UNKNOWN = dict(
    zip(("truncated", "occluded", "alpha", *SPACE), (-1, -1, -10, -1, -1, -1, -1000, -1000, -1000, -10), strict=True)
)

# Of objects, and of tracking.
LABELS = ("label_2", "label_02")

StrPath = str | os.PathLike[str]


class Lines(NamedTuple):
    """The form of lines: with or without a score at the end, and with or without a frame and a track id in front."""

    scored: bool
    tracked: bool

    @property
    def first(self) -> int:
        """Return the number of words before the type."""
        return 2 if self.tracked else 0

    @property
    def words(self) -> int:
        """Return the number of words in a line."""
        return self.first + (16 if self.scored else 15)


class Line(NamedTuple):
    """A line as read: its frame, its type, its numbers, and at the end of the numbers the track id, if any."""

    frame: int
    type: str
    numbers: list[float]


def read(
    source: StrPath, *, names: Names | None = None, sizes: StrPath | None = None, from_above: bool = False
) -> Dataset:
    """Read a folder of KITTI labels, of objects or of tracking.

    Parameters
    ----------
    source : path
        A folder with ``label_2/`` (tracking: ``label_02/``) in it or further below, or that folder. For objects every
        ``*.txt`` below it is an image, an empty file too. For tracking every ``*.txt`` is a sequence: frame 12 of
        ``0007.txt`` is the image ``0007/000012``; frames without a box are images only if ``sizes`` lists them.
    names : list, dict or path, optional
        The types in the order of their numbers, or a file with one on each line. Any other type is refused. By default
        the devkit's nine, from Car, 0, to DontCare, 8; other types follow in the order in which they appear.
    sizes : path, optional
        The folder of the images, ``image_2`` or ``image_02``, or a Parquet or CSV table of image_id, width, height.
    from_above : bool
        Read the objects as seen from above, in metres: rotated rectangles of centre x_3d, z_3d, sides length_3d and
        width_3d, and the angle -rotation_y in radians. Objects without sizes in space, as DontCare, are left out.

    Returns
    -------
    Dataset
        xmin, ymin, xmax, ymax are left, top, right, bottom in pixels, as stored. Then truncated, occluded, alpha,
        height_3d, width_3d, length_3d, x_3d, y_3d, z_3d (metres), rotation_y, all as stored, and ignore, 1 for
        DontCare. Lines of 16 words (tracking: 18) are results, with a score. Tracking has track_id too. Without
        ``sizes`` the sizes of the images are null.

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
    folder = subfolder(source, *LABELS)
    files = find(folder, lambda name: name.lower().endswith(".txt"))
    files = inside(files, LABELS.__contains__) or files
    if not files:
        raise InputError(f"expected KITTI labels, *.txt, in {folder}, got none: name the folder that has them")
    files = each_once([(without(image, *LABELS), name) for image, name in files], folder)
    lines = _kind_of_lines(folder, files)
    scores = [("score", pa.float64())] if lines.scored else []
    tracks = [("track_id", pa.int32())] if lines.tracked else []
    columns = [(name, pa.int8() if name == "occluded" else pa.float64()) for name in UNKNOWN]
    told = "cxcywhr" if from_above else "xyxy"
    schema = boxes_schema(pa.string(), *columns, *scores, *tracks, ("ignore", pa.int8()), format=told)
    categories = dict(enumerate(TYPES)) if names is None else numbered(names)
    known = NO_SIZES if sizes is None else sizes_from(sizes)
    images = known.listed().copy() if lines.tracked else {image for image, _ in files}
    return Dataset(
        kind="results" if scores else "truths",
        schema=schema,
        batches=_batches(folder, files, lines, schema, Numbering(categories, closed=names is not None), images),
        ordered=True,
        images=lambda: images_table(sorted(images), known),
        categories=categories,
    )


def write(dataset: Dataset, target: StrPath, *, digits: int = 2) -> None:
    """Write a data set as KITTI object labels, ``label_2/*.txt``, all files or none.

    Parameters
    ----------
    dataset : Dataset
        Columns that it lacks get the devkit's value for unknown: truncated and occluded -1, alpha -10, sizes
        -1, places -1000, rotation_y -10.
    target : path
        A new or empty folder. The name of an image's file is its id if that is a string, else its ``file_name``.
    digits : int
        Decimals of a number, or more if the number needs more to read back as the same number. Whole numbers of
        DontCare regions, except of their box, get no decimals, as in KITTI's own files.

    Raises
    ------
    InputError
        The target is not empty, an image's name can't be the name of a file, or a category has no name or one with a
        space.
    """
    with Folder(target) as folder:
        for group in grouped(dataset, target):
            lines = _lines(group, dataset, digits)
            stems = file_stems(group.images, ids=True)
            for stem, start, stop in zip(stems, group.offsets[:-1], group.offsets[1:], strict=True):
                folder.write(f"label_2/{stem}.txt", "".join(lines[start:stop]).encode())


def _kind_of_lines(folder: str, files: list[tuple[str, str]]) -> Lines:
    """Return the form of the lines, by the first line of all files."""
    for _, name in files:
        first = first_words(read_plain(os.path.join(folder, name)))
        if first:
            return Lines(scored=len(first) in (16, 18), tracked=len(first) in (17, 18))
    return Lines(scored=False, tracked=False)


def _batches(
    folder: str,
    files: list[tuple[str, str]],
    kind: Lines,
    schema: pa.Schema,
    numbering: Numbering,
    images: set[str],
) -> Iterator[pa.RecordBatch]:
    owners: list[str] = []
    types: list[int] = []
    numbers: list[float] = []
    for image, name in files:
        path = os.path.join(folder, name)
        data = read_plain(path)
        try:
            found = _parsed([line for line in map(bytes.split, data.splitlines()) if line], kind)
        except ValueError as error:
            raise _wrong_line(path, data, kind) from error
        if kind.tracked:
            # The names of the images, such as image_02/0007/000012.png: a label file has the frames of a sequence.
            found.sort(key=lambda line: line.frame)
            frames = [f"{image}/{line.frame:06d}" for line in found]
            owners += frames
            images.update(frames)
        else:
            owners += [image] * len(found)
        types += [numbering(line.type, path) for line in found]
        numbers += [number for line in found for number in line.numbers]
        if len(owners) >= BATCH_ROWS:
            yield _batch(owners, types, numbers, kind, schema, numbering)
            owners, types, numbers = [], [], []
    if owners:
        yield _batch(owners, types, numbers, kind, schema, numbering)


def _parsed(lines: Sequence[Sequence[bytes]], kind: Lines) -> list[Line]:
    """Return the values of some lines; ``ValueError`` for an unreadable line."""
    found = []
    words, first, tracked = kind.words, kind.first, kind.tracked
    for line in lines:
        told = line[first + 1 :]
        # Python takes 1_0 for a number.
        if len(line) != words or b"_" in b" ".join(told):
            raise ValueError
        numbers = list(map(float, told))
        if not (numbers[1].is_integer() and -128 <= numbers[1] < 128):
            raise ValueError
        frame, track = map(int, line[:first]) if tracked else (0, 0)
        if not (0 <= frame < 10**6 and abs(track) < 2**31):
            raise ValueError
        found.append(Line(frame, line[first].decode(), [*numbers, track] if tracked else numbers))
    return found


def _wrong_line(path: str, data: bytes, kind: Lines) -> InputError:
    for number, line in enumerate(data.splitlines(), start=1):
        found = line.split()
        if found and len(found) != kind.words:
            return line_error(f"{kind.words} words", path, number, str(len(found)), line)
        try:
            _parsed([found] if found else [], kind)
        except ValueError:
            frame = "a frame and a track id, " if kind.tracked else ""
            numbers = kind.words - kind.first - 1
            return line_error(f"{frame}a type and {numbers} numbers, the second a whole one,", path, number, "", line)
    raise AssertionError("a file can't be used only where one of its lines can't")


def _batch(
    owners: list[str],
    types: list[int],
    numbers: list[float],
    kind: Lines,
    schema: pa.Schema,
    numbering: Numbering,
) -> pa.RecordBatch:
    order = ["truncated", "occluded", "alpha", *COORDINATES["xyxy"], *SPACE]
    order += (["score"] if kind.scored else []) + (["track_id"] if kind.tracked else [])
    columns: dict[str, Any] = dict(zip(order, np.array(numbers, np.float64).reshape(-1, len(order)).T, strict=True))
    columns |= {"image_id": owners, "category_id": types, "occluded": columns["occluded"].astype(np.int8)}
    # In upper or lower case, as the devkit compares names.
    uncared = [number for number, name in numbering.names.items() if name.lower() == "dontcare"]
    columns["ignore"] = np.isin(types, uncared).astype(np.int8)
    if kind.tracked:
        columns["track_id"] = columns["track_id"].astype(np.int32)
    if format_of(schema) == "cxcywhr":
        columns |= dict(zip(names_in("cxcywhr"), (columns[name] for name in ABOVE), strict=True))
        columns["angle"] = 0.0 - columns["angle"]
    arrays = [pa.array(columns[field.name], field.type) for field in schema]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    if format_of(schema) != "cxcywhr":
        return batch
    return batch.filter(pa.array((columns["w"] >= 0) & (columns["h"] >= 0)))


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
    """Return a column with the devkit's values for unknown ones."""
    if name not in rows.column_names:
        return np.full(rows.num_rows, float(UNKNOWN[name]))
    if name == "occluded":
        given = whole_numbers(rows, name, bits=8)
        return np.array([UNKNOWN[name] if value is None else value for value in given], np.float64)
    return numbers(rows, name, UNKNOWN[name])


def _word(categories: dict[int, str], number: int) -> str:
    name = named(categories, number, "KITTI labels")
    if name.split() != [name]:
        raise InputError(f"expected names of categories without spaces for KITTI labels, got {name!r}: rename it")
    return name


def _text(value: float, digits: int, *, bare: bool) -> str:
    """Return the text of a number that reads back as the same number; a whole number may have no decimals."""
    if bare and value and value.is_integer():
        return str(int(value))
    text = f"{value:.{digits}f}"
    return text if float(text) == value and abs(value) < 1e15 else repr(value)


def _is_label(path: str, folders: Collection[str]) -> bool:
    """Tell whether a file is a label of KITTI, by its folder or its first line."""
    if not path.lower().endswith(".txt") or ABOUT.fullmatch(os.path.basename(path)):
        return False
    if set(LABELS).intersection(folders):
        return True
    words = first_words(beginning(path))
    kind = 2 if len(words) in (17, 18) else 0  # the place of the type, behind a frame and a track id of tracking
    expected = [place != kind for place in range(len(words))]
    return len(words) in range(15, 19) and [reads_as_number(word) for word in words] == expected


FILE_FORMATS = (
    Format(
        "kitti",
        read,
        write,
        kind="folder",
        text="a folder with label_2/*.txt",
        lacks=("iscrowd", "ignore", "difficult"),
        numbered=False,
        ignored="DontCare",
        signs=Signs(folders=LABELS, is_member=_is_label),
    ),
)
