"""CrowdHuman's odgt: a JSON object for each image, one on a line, with full, visible and head boxes of every person."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, BinaryIO, TypeAlias

import msgspec
import pyarrow as pa

from fastbox.arrow.columns import flag_column
from fastbox.datasets.by_image import Group, coordinates, file_stems, grouped, numbers, whole_numbers
from fastbox.datasets.categories import Numbering, named
from fastbox.datasets.dataset import BATCH_ROWS, COORDINATES, Dataset, boxes_schema
from fastbox.datasets.formats.crowdhuman_lines import Line, Results, Truths, decode, has_detections, lines
from fastbox.datasets.image_sizes import NO_SIZES, Size, Sizes, images_table, sizes_from
from fastbox.datasets.registry import Format, Signs
from fastbox.errors import InputError, advice
from fastbox.storage.folders import new_file

__all__ = ["FILE_FORMATS", "read", "write"]

BOXES = ("fbox", "vbox", "hbox")
SIDES = COORDINATES["xywh"]
EXTRA = {"box_id": "box_id", "occ": "occ", "extra_ignore": "ignore", "extra_unsure": "unsure"}
HEAD = {"head_ignore": "ignore", "head_occ": "occ", "head_unsure": "unsure"}

StrPath: TypeAlias = str | os.PathLike[str]


def read(source: StrPath, *, box: str = "fbox", sizes: StrPath | None = None) -> Dataset:
    """Read a CrowdHuman odgt file, line by line.

    Parameters
    ----------
    source : path
        One JSON object on each line: ID and gtboxes, or dtboxes if the first line has them.
    box : str
        The box of ground truth to read: ``"fbox"`` (full body), ``"vbox"`` (visible part) or ``"hbox"`` (head).
    sizes : path, optional
        The folder of the images, or a Parquet or CSV table of image_id, width, height, for lines that have no width
        and height of their own.

    Returns
    -------
    Dataset
        x, y, w, h in pixels, as stored; category 0 is person, 1 is mask, others are numbered in the order in which they
        appear. Truths also have the other two boxes (``vbox_x`` ...), box_id, occ, extra_ignore, extra_unsure,
        head_ignore, head_occ, head_unsure, null if not given, and ignore: 1 for a mask, and if extra.ignore is not 0.
        Results have a score. An image's file is its fpath, or its ID and ``.jpg``.

    Raises
    ------
    InputError
        An unknown ``box``, the file can't be read, or (while the batches are read) a line can't be used; the message
        names it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "annotation_val.odgt")
    >>> _ = path.write_text('{"ID": "7", "gtboxes": [{"tag": "mask", "fbox": [1, 2, 3, 4], "extra": {"ignore": 1}}]}')
    >>> dataset = read(path)
    >>> [[row["w"], row["ignore"]] for batch in dataset.batches for row in batch.to_pylist()]
    [[3.0, 1]]
    """
    if box not in BOXES:
        raise InputError(f"expected box to be 'fbox', 'vbox' or 'hbox', got {box!r}")
    path = os.fspath(source)
    results = has_detections(path)
    others = [name for name in BOXES if name != box]
    more = [("score", pa.float64())] if results else [
        *((f"{other}_{side}", pa.float64()) for other in others for side in SIDES),
        *((name, pa.int32()) for name in (*EXTRA, *HEAD)),
        ("ignore", pa.int8()),
    ]  # fmt: skip
    schema = boxes_schema(pa.string(), *more, format="xywh")
    categories = {0: "person", 1: "mask"}
    images: dict[str, Size] = {}
    known = NO_SIZES if sizes is None else sizes_from(sizes)
    rows = _results(path, images, known) if results else _truths(path, images, known, box, others)
    return Dataset(
        kind="results" if results else "truths",
        schema=schema,
        batches=_batches(path, rows, schema, Numbering(categories, closed=False)),
        ordered=False,
        images=lambda: images_table(images, Sizes(images)),
        categories=categories,
    )


def write(dataset: Dataset, target: StrPath, *, box: str | None = None) -> None:
    """Write a data set as a CrowdHuman odgt file, complete or not at all; an existing file is replaced.

    Parameters
    ----------
    dataset : Dataset
        Truths are written as gtboxes, with those of CrowdHuman's columns that they have; results as dtboxes.
    target : path
        The file. Its lines ascend by image id; ID is the image id if it is a string, else the stem of the file name.
    box : str, optional
        ``"fbox"``, ``"vbox"`` or ``"hbox"``: the kind of the box. By default the first kind without its own columns.

    Raises
    ------
    InputError
        An unknown ``box``, a coordinate is nan or infinite, which JSON can't hold, a category has no name, or two
        images have one name.
    """
    if box is None:
        box = next((name for name in BOXES if not _has(name, dataset.schema.names)), "fbox")
    elif box not in BOXES:
        raise InputError(f"expected box to be 'fbox', 'vbox' or 'hbox', got {box!r}")
    seen: set[str] = set()
    with new_file(target) as file:
        for group in grouped(dataset, target):
            _write(file, group, dataset, box, seen)


def _noted(path: str, number: int, line: Line, images: dict[str, Size], known: Sizes) -> None:
    if line.ID in images:
        raise InputError(
            f"expected every ID of {path} once, got {line.ID!r} again in line {number}: put its boxes in one line"
        )
    size = known(line.ID)
    name = line.fpath if line.fpath is not None else f"{line.ID}.jpg"
    width, height = (size.width, size.height) if line.width is None else (line.width, line.height)
    images[line.ID] = Size(width, height, name)


def _truths(
    path: str, images: dict[str, Size], known: Sizes, box: str, others: list[str]
) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """Yield the image, the tag and the other columns of every box, in the order of the schema."""
    decoder = msgspec.json.Decoder(Truths)
    nowhere = (None,) * 4
    for number, line in lines(path):
        record = decode(decoder, path, number, line)
        _noted(path, number, record, images, known)
        for place, truth in enumerate(record.gtboxes):
            extra, head = truth.extra, truth.head_attr
            own = getattr(truth, box)
            if own is None:
                others_given = [name for name in others if getattr(truth, name) is not None]
                todo = "add it, or leave that person out"
                if others_given:
                    todo = f"read another with {advice(f'--box {others_given[0]}', f'box={others_given[0]!r}')}"
                raise InputError(
                    f"expected a {box} of every box in {path}, line {number}, got none in gtboxes[{place}]: {todo}"
                )
            ignored = truth.tag == "mask" or extra.ignore not in (None, 0)
            yield record.ID, truth.tag, (
                *own,
                *(getattr(truth, others[0]) or nowhere),
                *(getattr(truth, others[1]) or nowhere),
                extra.box_id, extra.occ, extra.ignore, extra.unsure,
                head.ignore, head.occ, head.unsure,
                int(ignored),
            )  # fmt: skip


def _results(path: str, images: dict[str, Size], known: Sizes) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    decoder = msgspec.json.Decoder(Results)
    for number, line in lines(path):
        record = decode(decoder, path, number, line)
        _noted(path, number, record, images, known)
        for result in record.dtboxes:
            yield record.ID, "person" if result.tag == 1 else str(result.tag), (*result.box, result.score)


def _batches(
    path: str, rows: Iterator[tuple[str, str, tuple[Any, ...]]], schema: pa.Schema, numbering: Numbering
) -> Iterator[pa.RecordBatch]:
    pending: list[tuple[Any, ...]] = []
    for _, boxes in groupby(rows, key=lambda row: row[0]):
        pending += [(image, numbering(tag, path), *values) for image, tag, values in boxes]
        if len(pending) >= BATCH_ROWS:
            yield _batch(pending, schema)
            pending = []
    if pending:
        yield _batch(pending, schema)


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _write(file: BinaryIO, group: Group, dataset: Dataset, box: str, seen: set[str]) -> None:
    names = file_stems(group.images, ids=True)
    truths = dataset.kind == "truths"
    boxes = _truths_of(group.rows, dataset.categories, box) if truths else _results_of(group.rows, dataset.categories)
    images = zip(names, group.images.to_pylist(), group.offsets[:-1], group.offsets[1:], strict=True)
    for name, image, start, stop in images:
        if name in seen:
            raise InputError(f"expected an ID of its own for every image, got {name!r} twice: rename one")
        seen.add(name)
        line: dict[str, Any] = {"ID": name}
        if image["file_name"] not in (None, f"{name}.jpg"):
            line["fpath"] = image["file_name"]
        if image["width"] is not None and image["height"] is not None:
            line |= {"width": image["width"], "height": image["height"]}
        line["gtboxes" if truths else "dtboxes"] = boxes[start:stop]
        file.write(msgspec.json.encode(line) + b"\n")


def _truths_of(rows: pa.Table, categories: Mapping[int, str], box: str) -> list[dict[str, Any]]:
    boxes = {box: _boxes([column.tolist() for column in coordinates(rows, "xywh")])}
    for other in BOXES:
        if other != box and _has(other, rows.column_names):
            sides = [f"{other}_{side}" for side in SIDES]
            given = [numbers(rows, side).astype(object) for side in sides]
            for column, side in zip(given, sides, strict=True):
                column[rows[side].is_null().to_numpy()] = None
            boxes[other] = _boxes([column.tolist() for column in given])
    extra, head = _attributes(rows, EXTRA), _attributes(rows, HEAD)
    if "extra_ignore" not in rows.column_names and "ignore" in rows.column_names:
        extra = [{"ignore": 1} if ignore else {} for ignore in flag_column(rows, "ignore").tolist()]
    tags = [named(categories, number, "a CrowdHuman file") for number in rows["category_id"].to_pylist()]
    return [
        {
            "tag": tag,
            **{name: values[i] for name, values in boxes.items() if values[i] is not None},
            "extra": extra[i],
            "head_attr": head[i],
        }
        for i, tag in enumerate(tags)
    ]


def _results_of(rows: pa.Table, categories: Mapping[int, str]) -> list[dict[str, Any]]:
    tags: list[int | str] = [categories.get(number, number) for number in rows["category_id"].to_pylist()]
    boxes = _boxes([column.tolist() for column in coordinates(rows, "xywh")])
    scores = map(_plain, rows["score"].to_pylist())
    return [
        {"box": box, "score": score, "tag": 1 if tag == "person" else tag}
        for box, score, tag in zip(boxes, scores, tags, strict=True)
    ]


def _attributes(rows: pa.Table, names: Mapping[str, str]) -> list[dict[str, int]]:
    """Return an object for every box, with the values of its columns."""
    given = {key: whole_numbers(rows, name) for name, key in names.items() if name in rows.column_names}
    return [{key: value for key, column in given.items() if (value := column[i]) is not None} for i in range(len(rows))]


def _has(box: str, names: Sequence[str]) -> bool:
    """Tell whether a table has the columns of one of a person's boxes."""
    return all(f"{box}_{side}" in names for side in SIDES)


def _boxes(columns: list[list[float | None]]) -> list[list[float] | None]:
    return [None if None in values else [_plain(value) for value in values] for values in zip(*columns, strict=True)]


def _plain(value: float) -> float:
    """Return a number for JSON: a whole number as an integer."""
    if not math.isfinite(value):
        raise InputError(f"expected finite numbers for a CrowdHuman file, got {value}: leave those boxes out")
    return int(value) if value.is_integer() and abs(value) < 2**53 and (value or math.copysign(1, value) > 0) else value


FILE_FORMATS = (
    Format(
        "crowdhuman",
        read,
        write,
        kind="file",
        text="an .odgt file: a JSON object in each line, one for an image",
        ending=".odgt",
        lacks=("iscrowd", "difficult"),
        numbered=False,
        signs=Signs(endings=(".odgt",)),
    ),
)
