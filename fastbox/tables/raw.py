"""Raw predictions in Parquet: one row an image, with a box for each point and the scores class by class.

The columns are ``image_id``, ``width`` and ``height`` of the network's input, ``boxes`` (x0 of all points, then y0, x1
and y1), ``classes`` (the numbers of the classes that have scores) and ``scores`` (of all points, one class after the
other). The facts that all rows share are metadata of the schema, which sorting keeps.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._record import NamedTuple, dataclass
from fastbox.arrow.arrays import Place, image_runs, one_chunk, unsorted
from fastbox.errors import InputError
from fastbox.storage.locate import find_files
from fastbox.storage.opened import Opened, open_parquet
from fastbox.tables.batches import batches_of
from fastbox.tables.footers import RowGroups
from fastbox.tables.source import Source

__all__ = ["ACTIVATIONS", "RawFacts", "RawRow", "raw_batch", "raw_encodings", "raw_facts", "raw_rows", "raw_schema"]

ACTIVATIONS = ("sigmoid", "logits")
KEY = b"fastbox.raw"
COLUMNS = ("image_id", "width", "height", "boxes", "classes", "scores")
BATCH = 32 << 20  # bytes of predictions that are read together
LEAVES = ("boxes.list.element", "scores.list.element")


@dataclass(frozen=True)
class RawFacts:
    """The facts that all rows of raw predictions share.

    Attributes
    ----------
    strides, offset, fitted
        Of the grid of points.
    classes : int
        The number of classes of the detector.
    labels : tuple or None
        The class of each column of scores as the truths name it; None for the column's number.
    activation : str
        ``"sigmoid"`` for probabilities, or ``"logits"``.
    """

    strides: tuple[int, ...]
    offset: float
    fitted: bool
    classes: int
    labels: tuple[Any, ...] | None
    activation: str


class RawRow(NamedTuple):
    """The predictions of one image.

    Attributes
    ----------
    image : int or str
    size : (int, int)
        The width and height of the network's input.
    boxes : array of float32, shape (4, P)
        x0, y0, x1 and y1 of each point's box, in pixels of the input.
    classes : array of int32, shape (c,)
        The numbers of the classes that have scores, ascending.
    scores : array of float16 or float32, shape (c, P)
    """

    image: Any
    size: tuple[int, int]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int32]
    scores: NDArray[Any]


def raw_schema(ids: str, dtype: str, facts: RawFacts) -> pa.Schema:
    """Return the schema of predictions with images of one kind of ids, and scores of a dtype."""
    kinds = [pa.int64() if ids == "integer" else pa.string(), pa.int32(), pa.int32()]
    scores = pa.float16() if dtype == "float16" else pa.float32()
    kinds += [pa.list_(pa.float32()), pa.list_(pa.int32()), pa.list_(scores)]
    return pa.schema(list(zip(COLUMNS, kinds, strict=True)), {KEY: json.dumps(asdict(facts)).encode()})


def raw_encodings(dtype: str) -> dict[str, Any]:
    """Return the encodings of the columns: numbers that rarely repeat byte by byte."""
    split = list(LEAVES if dtype == "float32" else LEAVES[:1])
    return {"use_byte_stream_split": split, "use_dictionary": ["image_id", "width", "height"]}


def raw_batch(rows: Sequence[RawRow], schema: pa.Schema) -> pa.RecordBatch:
    """Return rows as a batch of the schema."""
    lists: tuple[list[NDArray[Any]], ...] = (
        [row.boxes for row in rows],
        [row.classes for row in rows],
        [row.scores for row in rows],
    )
    plain: list[list[Any]] = [[row.image for row in rows], [row.size[0] for row in rows], [row.size[1] for row in rows]]
    arrays = [pa.array(values, kind) for values, kind in zip(plain, schema.types, strict=False)]
    for parts, kind in zip(lists, schema.types[3:], strict=True):
        ends = np.cumsum([0, *(part.size for part in parts)]).astype(np.int32)
        values = pa.array(np.concatenate([part.reshape(-1) for part in parts]), kind.value_type)
        arrays.append(pa.ListArray.from_arrays(pa.array(ends), values))
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def raw_facts(source: Source) -> RawFacts:
    """Return the facts of raw predictions, which are those of all files.

    Raises
    ------
    InputError
        A file that is none of raw predictions, or files with other facts.
    """
    found: RawFacts | None = None
    files = find_files(source.path)
    for file in files:
        with open_parquet(file) as parquet:
            schema = parquet.schema_arrow
        own = _facts(schema, file)
        if found is not None and own != found:
            raise InputError(
                f"expected raw predictions of one detector, got {file} with another grid or other classes than "
                f"{files[0]}: give one detector's files"
            )
        found = own
    assert found is not None
    return found


def _facts(schema: pa.Schema, file: str) -> RawFacts:
    try:
        given = json.loads((schema.metadata or {})[KEY])
        labels = given.pop("labels")
        found = RawFacts(**{**given, "strides": tuple(given["strides"])}, labels=labels and tuple(labels))
    except (KeyError, TypeError, ValueError):
        found = None
    missing = [name for name in COLUMNS if name not in schema.names]
    if found is None or missing:
        got = f"no column {missing[0]!r}" if missing else "none of their facts"
        raise InputError(
            f"expected raw predictions in {file}, as fastbox.RawPredictions writes them, got {got}: write them with it"
        )
    return found


def raw_rows(source: Source) -> Generator[list[RawRow]]:
    """Yield predictions, some images at a time, of a source with a fragment only those of the fragment.

    Raises
    ------
    InputError
        Damaged files, ids that descend or repeat, or lists that do not fit each other.
    """
    before: Any = None
    opened = Opened.now()
    for part in find_files(source.path) if source.fragment is None else source.fragment.groups:
        file = part.file if isinstance(part, RowGroups) else part
        with closing(batches_of(part, COLUMNS, _batch_rows(file, opened), (), opened)) as batches:
            for first_row, batch in batches:
                place = Place(file, "image_id", first_row)
                ids, bounds = image_runs(one_chunk(batch.column("image_id")), place)
                if len(ids) and before is not None and ids[0] < before:
                    raise unsorted(place, 0, before, ids[0])
                if len(ids) < batch.num_rows or (len(ids) and before is not None and ids[0] == before):
                    row = int(np.argmax(np.diff(bounds) > 1)) if len(ids) < batch.num_rows else 0
                    raise InputError(f"expected each image once, got {ids[row].item()!r} twice in {file}: keep one row")
                before = ids[-1] if len(ids) else before
                within = slice(0, len(ids)) if source.fragment is None else slice(*source.fragment.places(ids))
                yield list(_rows(batch, ids, place, within))


def _batch_rows(file: str, opened: Opened | None) -> int:
    """Return the rows that hold about as many bytes as are read together."""
    with open_parquet(file, (), opened) as parquet:
        footer = parquet.metadata
        held = sum(int(footer.row_group(k).total_byte_size) for k in range(footer.num_row_groups))
        return max(1, BATCH * int(footer.num_rows) // max(1, held))


def _rows(batch: pa.RecordBatch, ids: NDArray[Any], place: Place, within: slice) -> Generator[RawRow]:
    for name in COLUMNS[1:]:
        if batch.column(name).null_count:
            raise InputError(f"expected raw predictions without nulls, got one in column {name!r} of {place.where}")
    width, height = (batch.column(name).to_numpy() for name in ("width", "height"))
    lists = [batch.column(name) for name in ("boxes", "classes", "scores")]
    ends = [column.offsets.to_numpy() for column in lists]
    boxes, classes, scores = (column.values.to_numpy(zero_copy_only=False) for column in lists)
    for row in range(within.start, within.stop):
        (b0, b1), (c0, c1), (s0, s1) = ((int(end[row]), int(end[row + 1])) for end in ends)
        points, many = (b1 - b0) // 4, c1 - c0
        if (b1 - b0) % 4 or s1 - s0 != points * many:
            raise InputError(
                f"expected {points * many:,} scores of {points:,} points and {many} classes in {place(row)}, got "
                f"{s1 - s0:,}: write the predictions again"
            )
        size = int(width[row]), int(height[row])
        four = boxes[b0:b1].reshape(4, points)
        yield RawRow(ids[row].item(), size, four, classes[c0:c1], scores[s0:s1].reshape(many, points))
