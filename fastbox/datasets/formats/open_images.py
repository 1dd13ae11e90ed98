"""Open Images: a CSV file of boxes as fractions of their image, and a CSV file of the names of labels."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.arrow.arrays import is_number
from fastbox.arrow.columns import flag_column
from fastbox.datasets.by_image import Group, coordinates, grouped, whole_numbers
from fastbox.datasets.categories import named
from fastbox.datasets.dataset import Dataset, boxes_schema
from fastbox.datasets.formats.open_images_rows import CORNERS, FLAGS, header_of, rows_of, type_of
from fastbox.datasets.fractions import shortest
from fastbox.datasets.image_sizes import Sizes, images_table, sizes_from, warn_of_unsized
from fastbox.datasets.listing import beginning, read_text
from fastbox.datasets.registry import Format, Signs
from fastbox.errors import InputError, advice
from fastbox.storage.folders import new_file
from fastbox.tables.separated import ENDINGS, PACKED
from fastbox.values.groups import values_of_rows

__all__ = ["FILE_FORMATS", "read", "write"]

csv = deferred("csv")
pc = deferred("pyarrow.compute")

TRUTHS = ("ImageID", "Source", "LabelName", "Confidence", "XMin", "XMax", "YMin", "YMax", *FLAGS)
RESULTS = ("ImageID", "LabelName", "Score", "XMin", "XMax", "YMin", "YMax")
# The names of columns in a data set, and the values written for columns that ground truth lacks.
_OURS = {"Score": "score", "IsGroupOf": "iscrowd"}
_UNKNOWN = {"Source": "", "Confidence": "1", **dict.fromkeys(FLAGS, "-1")}

StrPath: TypeAlias = str | os.PathLike[str]


def read(source: StrPath, *, sizes: StrPath | None = None, names: StrPath | None = None) -> Dataset:
    """Read a CSV file of Open Images boxes, or of detections.

    Parameters
    ----------
    source : path
        A CSV file with a header, compressed or not, its columns in any order: ImageID, LabelName, XMin, XMax, YMin and
        YMax as fractions of the image's width and height. A file with a column Score holds results, else truths.
    sizes : path
        The folder of the images, whose headers are read, or a Parquet or CSV table of image_id, width and height.
    names : path, optional
        The class descriptions: a CSV file of label and name, with a header or without. Categories are numbered from 0
        in the order of this file and have its names. By default categories are numbered in the order in which they
        appear, and the label is the name.

    Returns
    -------
    Dataset
        xmin, ymin, xmax, ymax: fraction times width or height, in float64. Then LabelName; of truths iscrowd, which is
        IsGroupOf with null for -1, and all other columns under their own names: Confidence as float64, the flags as
        int8, all further columns as text. Of results the score.

    Raises
    ------
    InputError
        The file or its header can't be used, sizes are not given; while the batches are read: no image has a size, or a
        line can't be used. If only some images have no size, because they were not downloaded, their boxes are left out
        with a warning.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "boxes.csv").write_text("ImageID,LabelName,XMin,XMax,YMin,YMax\\n7,/m/01yrx,0.25,0.5,0,1\\n")
    >>> _ = (folder / "sizes.csv").write_text("image_id,width,height\\n7,640,480\\n")
    >>> dataset = read(folder / "boxes.csv", sizes=folder / "sizes.csv")
    >>> [row["xmax"] for batch in dataset.batches for row in batch.to_pylist()], dataset.categories
    ([320.0], {0: '/m/01yrx'})
    """
    path = os.fspath(source)
    header = header_of(path)
    if sizes is None:
        raise InputError(
            f"expected the sizes of the images of {path}, whose boxes are fractions of them: give the folder of "
            f"images, or a table of image_id, width and height, with {advice('--sizes PATH', 'sizes=PATH')}"
        )
    described = None if names is None else _descriptions(names)
    labels = list(described or ())
    categories = dict(enumerate((described or {}).values()))
    types = {name: type_of(name) for name in header if name not in ("ImageID", *CORNERS.values())}
    schema = boxes_schema(pa.string(), *((_OURS.get(name, name), kind) for name, kind in types.items()))
    known = sizes_from(sizes)
    images: dict[str, None] = {}

    def batches() -> Iterator[pa.RecordBatch]:
        unsized: dict[str, int] = {}
        for read in rows_of(path, header, types):
            batch, each = _sized(read, known, images, unsized)
            columns = {_OURS.get(name, name): batch.column(name) for name in types}
            columns |= {"image_id": batch.column("ImageID")} | _corners(batch, each)
            columns["category_id"] = _numbered(batch.column("LabelName"), labels, path, closed=described is not None)
            for number in range(len(categories), len(labels)):
                categories[number] = labels[number]
            if "iscrowd" in columns:
                unknown = pc.equal(columns["iscrowd"], -1)
                columns["iscrowd"] = pc.if_else(unknown, pa.scalar(None, pa.int8()), columns["iscrowd"])
            yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
        if unsized and not images:
            raise InputError(
                f"expected the sizes of the images of {path}, got none, for example of {next(iter(unsized))!r}: "
                "give their folder, or a table of image_id, width and height, with "
                f"{advice('--sizes PATH', 'sizes=PATH')}"
            )
        if unsized:
            warn_of_unsized(path, "image", unsized, known)

    return Dataset(
        kind="results" if "Score" in header else "truths",
        schema=schema,
        batches=batches(),
        ordered=False,
        images=lambda: images_table(images, known),
        categories=categories,
    )


def write(dataset: Dataset, target: StrPath, *, names: StrPath | None = None, digits: int = 6) -> None:
    """Write a CSV file as Open Images has it, complete or not at all; an existing file is replaced.

    Rows ascend by ImageID. Fractions have ``digits`` decimals, or the fewest further ones with which the fraction times
    the size gives the same pixels. Columns of Open Images that truths lack are written with its values for unknown:
    Source empty, Confidence 1, flags -1.

    Parameters
    ----------
    dataset : Dataset
        Every image that has boxes must have a width and a height.
    target : path
    names : path, optional
        The class descriptions, to turn names back into labels if the data set has no column LabelName.
    digits : int
        Decimals to try first.

    Raises
    ------
    InputError
        An image has no size, a coordinate is nan or infinite, or a category has no name.
    """
    labels = None if names is None else {name: label for label, name in _descriptions(names).items()}
    header = list(RESULTS if dataset.kind == "results" else TRUTHS)
    if "LabelName" in dataset.schema.names:
        ours = {"image_id", "category_id", "score", "iscrowd", *CORNERS, *header}
        header += [name for name in dataset.schema.names if name not in ours]
    with new_file(target) as file:
        file.write((",".join(header) + "\n").encode())
        for group in grouped(dataset, target):
            file.write(_lines(group, dataset, header, labels, digits))


def _sized(
    batch: pa.RecordBatch, known: Sizes, images: dict[str, None], unsized: dict[str, int]
) -> tuple[pa.RecordBatch, NDArray[np.float64]]:
    """Return the boxes whose images have a size, and these sizes, a width and a height per box; count the others."""
    coded = batch.column("ImageID").dictionary_encode()
    names = coded.dictionary.to_pylist()
    found = [known(name) for name in names]
    sizes = np.array([(width or 0, height or 0) for width, height, _ in found], np.float64).reshape(-1, 2)
    each = sizes[coded.indices.to_numpy()]
    has = (sizes[:, 0] > 0) & (sizes[:, 1] > 0)
    images |= dict.fromkeys(name for name, there in zip(names, has.tolist(), strict=True) if there)
    if has.all():
        return batch, each
    counts = np.bincount(coded.indices.to_numpy(), minlength=len(names))
    for place in np.flatnonzero(~has).tolist():
        unsized[names[place]] = unsized.get(names[place], 0) + int(counts[place])
    kept = has[coded.indices.to_numpy()]
    return batch.filter(pa.array(kept)), each[kept]


def _corners(batch: pa.RecordBatch, sizes: NDArray[np.float64]) -> dict[str, pa.Array]:
    """Return the corners of boxes in pixels."""
    with np.errstate(over="ignore", invalid="ignore"):
        return {
            ours: pa.array(batch.column(theirs).to_numpy() * sizes[:, axis])
            for axis, (ours, theirs) in zip((0, 1, 0, 1), CORNERS.items(), strict=True)
        }


def _numbered(column: pa.Array, labels: list[str], path: str, *, closed: bool) -> pa.Array:
    """Return the place of each label in a list; new labels are added to it unless it is closed."""
    new = pc.unique(column.filter(pc.invert(pc.is_in(column, value_set=pa.array(labels, pa.string()))))).to_pylist()
    if new and closed:
        raise InputError(f"{path} has the label {new[0]!r}, which has no name: add it to the names")
    labels += new
    return pc.index_in(column, value_set=pa.array(labels, pa.string()))


def _descriptions(path: StrPath) -> dict[str, str]:
    """Return the names of labels, from a CSV file of both."""
    rows = [row for row in csv.reader(io.StringIO(read_text(os.fspath(path)), newline="")) if row]
    if rows and rows[0][0] == "LabelName":
        del rows[0]
    for line, row in enumerate(rows, start=1):
        if len(row) != 2:
            raise InputError(
                f"expected a label and its name in {os.fspath(path)}, class {line}, got {','.join(row)!r}: add one"
            )
    return dict(rows)


def _lines(group: Group, dataset: Dataset, header: list[str], labels: Mapping[str, str] | None, digits: int) -> bytes:
    rows, counts = group.rows, np.diff(group.offsets)
    sizes = {name: group.images[name].fill_null(0).to_numpy() for name in ("width", "height")}
    unknown = np.flatnonzero((counts > 0) & ((sizes["width"] <= 0) | (sizes["height"] <= 0)))
    if unknown.size:
        image = group.images["image_id"][int(unknown[0])].as_py()
        raise InputError(
            f"expected the width and height of every image to write fractions of it, got none of {image!r}: read its "
            f"sizes too, with {advice('--sizes PATH', 'sizes=PATH')}"
        )
    columns: dict[str, list[str]] = {
        "ImageID": rows["image_id"].cast(pa.string()).to_pylist(),
        "LabelName": _labels(rows, dataset.categories, labels),
    }
    corners = coordinates(rows, "xyxy")
    for axis, (name, column) in zip(("width", "height") * 2, zip(CORNERS, corners, strict=True), strict=True):
        wrong = np.flatnonzero(~np.isfinite(column))
        if wrong.size:
            got = f"{name} {column[wrong[0]]} in a box of image {rows['image_id'][int(wrong[0])].as_py()!r}"
            raise InputError(f"expected finite numbers to write as Open Images, got {got}: leave that box out")
        columns[CORNERS[name]] = shortest(column, values_of_rows(sizes[axis], group.offsets), digits)
    for name in header:
        own = _OURS.get(name, name)
        if name not in columns:
            columns[name] = _cells(rows, own, name) if own in rows.column_names else [_UNKNOWN[name]] * len(rows)
    text = io.StringIO()
    # Python quotes a line feed in a cell, but no carriage return.
    returns = any("\r" in cell for name in header if name not in CORNERS.values() for cell in columns[name])
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL if returns else csv.QUOTE_MINIMAL)
    writer.writerows(zip(*(columns[name] for name in header), strict=True))
    return text.getvalue().encode()


def _labels(rows: pa.Table, categories: Mapping[int, str], labels: Mapping[str, str] | None) -> list[str]:
    if "LabelName" in rows.column_names:
        return _texts(rows["LabelName"], "LabelName")
    coded = rows["category_id"].combine_chunks().dictionary_encode()
    found = [named(categories, number, "Open Images") for number in coded.dictionary.to_pylist()]
    for place, name in enumerate(found):
        if labels is not None:
            if name not in labels:
                raise InputError(
                    f"expected a label for every category to write Open Images, got none for {name!r}: "
                    "add it to the names"
                )
            found[place] = labels[name]
    texts: list[str] = pa.array(found, pa.string()).take(coded.indices).to_pylist()
    return texts


def _cells(rows: pa.Table, own: str, name: str) -> list[str]:
    """Return the cells of a column: flags as whole numbers, numbers with the fewest digits, null as unknown."""
    if name in ("Confidence", "Score") and not _are_numbers(rows[own]):
        raise InputError(f"expected numbers in column {own!r}, got {rows[own].type}: cast it, or leave the column out")
    if name not in FLAGS:
        return _texts(rows[own], name)
    if own == "iscrowd" and pa.types.is_string(rows[own].type):
        return list(map(str, flag_column(rows, own).astype(int).tolist()))
    return [_UNKNOWN[name] if value is None else str(value) for value in whole_numbers(rows, own, bits=8)]


def _are_numbers(column: pa.ChunkedArray) -> bool:
    """Tell whether values are numbers, or texts of numbers."""
    if is_number(column.type):
        return True
    if pa.types.is_binary(column.type) or pa.types.is_boolean(column.type):
        return False
    try:
        column.cast(pa.string()).cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False
    return True


def _texts(column: pa.ChunkedArray, name: str) -> list[str]:
    """Return texts; numbers with the fewest digits that read back the same, and null as unknown."""
    if pa.types.is_floating(column.type):
        values = column.cast(pa.float64()).to_pylist()
        return [_UNKNOWN.get(name, "") if value is None else repr(value).removesuffix(".0") for value in values]
    texts: list[str] = column.cast(pa.string()).fill_null(_UNKNOWN.get(name, "")).to_pylist()
    return texts


def _is_file(path: str) -> bool:
    header = beginning(path).partition(b"\n")[0]
    return all(name in header for name in (b"ImageID", b"LabelName", b"XMin"))


FILE_FORMATS = (
    Format(
        "open-images",
        read,
        write,
        kind="file",
        text="the CSV of boxes",
        ending=".csv",
        lacks=("ignore", "difficult"),
        lists_images=False,
        numbered=False,
        labels="LabelName",
        signs=Signs(endings=tuple(name + packed for name in ENDINGS for packed in ("", *PACKED)), is_file=_is_file),
    ),
)
