"""fastbox's own format: Parquet tables of boxes, with the names of categories in the footer."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from fastbox.arrow.held import typed
from fastbox.datasets.as_table import DTYPES, Changed, named
from fastbox.datasets.by_image import grouped
from fastbox.datasets.categories import by_number, names_of_all
from fastbox.datasets.dataset import COORDINATES, Dataset, format_of, images_schema
from fastbox.datasets.image_sizes import read_images
from fastbox.datasets.registry import Format
from fastbox.datasets.tabular import Layout, read_tables
from fastbox.datasets.unlisted import NUMBER, unlisted_in
from fastbox.errors import InputError, advice
from fastbox.kernels.codes import PLAIN, QUADS, ROTATED, ROTATED_FORMATS
from fastbox.storage.folders import check_folder
from fastbox.storage.locate import Paths
from fastbox.storage.opened import open_parquet
from fastbox.tables.chunk import ROWS
from fastbox.tables.columns import read_batches
from fastbox.tables.files import filled_files
from fastbox.tables.record import read_names, read_record
from fastbox.tables.sink import Sink
from fastbox.values.names import CLASS, IMAGE, column_of
from fastbox.values.numbers import as_choice

__all__ = ["FILE_FORMATS", "read", "write"]

TOGETHER = ROWS + ROWS // 64  # boxes put in order together: a little more than a row group, which is then encoded

StrPath: TypeAlias = str | os.PathLike[str]


def read(
    source: Paths,
    *,
    box: str | None = None,
    format: str | None = None,
    image_column: str = IMAGE,
    class_column: str = CLASS,
    sizes: StrPath | None = None,
) -> Dataset:
    """Read a Parquet table of boxes, a row per box or per image, sorted or not.

    Parameters
    ----------
    source : path, glob, directory or a sequence of them
    box, format : str, optional
        The columns of the boxes and their format, as for :func:`fastbox.scan`; found by the names when left out.
    image_column, class_column : str
        The columns of image ids and of classes, numbers or names. Numbers have their names in the footer, if
        fastbox wrote the file.
    sizes : path, optional
        A Parquet or CSV table of images: image_id, width, height and perhaps file_name, as :func:`write` writes it with
        ``write_images``. It also names images without boxes.

    Returns
    -------
    Dataset
        The boxes in their own format and in float64. Results if the footer says so or the table has a score.

    Raises
    ------
    InputError
        Files or columns that can't be used, files with different names of one category; while the batches are read:
        values that can't be used.

    Examples
    --------
    >>> import pathlib, pyarrow as pa, pyarrow.parquet as pq, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "truths.parquet")
    >>> pq.write_table(pa.table({"image_id": [3, 8], "bbox": [[0, 0, 1, 2]] * 2, "category_id": ["cat", "dog"]}), path)
    >>> dataset = read(path)
    >>> [batch["ymax"].to_pylist() for batch in dataset.batches], dataset.categories
    ([[2.0, 2.0]], {0: 'cat', 1: 'dog'})
    """
    files = filled_files(source)
    with open_parquet(files[0]) as file:
        schema = file.schema_arrow
        if not file.metadata.num_rows and len(files) == 1:
            schema = typed(schema)
    image, label = (column_of(schema.names, name, files[0]) or str(name) for name in (image_column, class_column))
    record = _record(files[0])
    layout = Layout(
        box,
        format,
        image,
        label,
        kind=record.get("parameters", {}).get("kind"),
        categories=names_of_all((file, by_number(read_names(file))) for file in files),
    )
    images, unlisted = unlisted_in(map(_record, files), files[0])
    if sizes is not None:
        images, unlisted = read_images(sizes, image), 0
    dataset = read_tables(
        lambda names: read_batches(files, names, rows=ROWS), schema, layout, where=files[0], images=images
    )
    return replace(dataset, unlisted=unlisted)


def write(
    dataset: Dataset,
    target: StrPath,
    *,
    write_images: StrPath | None = None,
    out_box_format: str | None = None,
    dtype: str = "float64",
    source: str = "",
) -> None:
    """Write a Parquet table of boxes that ascend by image, complete or not at all; an existing file is replaced.

    Parameters
    ----------
    dataset : Dataset
    target : path
        The table: the columns of the data set, and for truths the width and height of the image. Rows keep their order
        within an image. The footer has the names of categories, and the number of images without boxes.
    write_images : path, optional
        A second table, one row per image, also for images without boxes: image_id, width, height, file_name and the
        number of boxes.
    out_box_format : str, optional
        ``"xyxy"``: xmin, ymin, xmax, ymax; ``"xywh"``: x, y, w, h; ``"cxcywh"``: cx, cy, w, h; of rotated boxes
        ``"cxcywhr"`` and the others: cx, cy, w, h, angle; ``"xyxyxyxy"``: x1 to y4; computed in float64. By default
        the source's own, whose coordinates stay exactly as they are.
    dtype : str
        ``"float64"`` or ``"float32"``, of the coordinates.
    source : str
        The origin of the boxes, for the footer.

    Raises
    ------
    ValueError
        An unknown format or dtype.
    InputError
        A box lacks an image, a category or a coordinate, or a table of images is requested for results, which list no
        images.
    """
    kind = DTYPES[as_choice(dtype, DTYPES, "a dtype")]
    own = format_of(dataset.schema)
    made = own if out_box_format is None else _as_written(out_box_format, own)
    parameters = {"source": source, "kind": dataset.kind, "format": made, "dtype": dtype}
    table = Changed(dataset, own, made, kind)
    for path in (target, *([] if write_images is None else [write_images])):
        check_folder(path)
    groups = grouped(replace(dataset, batches=map(table.seen, dataset.batches)), target, TOGETHER)
    first = next(groups, None)
    if write_images is not None and dataset.kind == "results" and not dataset.images().num_rows:
        raise InputError(
            f"expected images for {os.fspath(write_images)}, got results, which list none: leave the table out"
        )
    schema = table.schema()
    listing = images_schema(schema.field("image_id").type).append(pa.field("boxes", pa.int64()))
    with (
        Sink(target, schema, command="convert", parameters=parameters) as sink,
        contextlib.nullcontext()
        if write_images is None
        else Sink(write_images, listing, command="convert", parameters=parameters) as image_sink,
    ):
        if dataset.categories:
            sink.record(categories=named(dataset))
        unlisted = dataset.unlisted
        for group in groups if first is None else chain([first], groups):
            sink.write(table.of(group, schema))
            boxes = np.diff(group.offsets)
            unlisted += int(np.sum(boxes == 0))
            if image_sink is not None:
                image_sink.write(group.images.append_column("boxes", pa.array(boxes)))
        if unlisted:
            sink.record(**{NUMBER: unlisted})


def _as_written(format: str, own: str) -> str:
    """Return the format to write; refuses one that boxes in their own format do not have without a loss."""
    try:
        as_choice(format, COORDINATES if own in COORDINATES else ROTATED_FORMATS, "an out_box_format")
    except ValueError as error:
        raise InputError(str(error)) from None
    if own == "xyxyxyxy" and format != own:
        how = advice("--rectangles", "rectangles=True")
        raise InputError(f"expected rectangles to write as {format}, got quadrilaterals: add {how}, which changes them")
    return format


def _record(path: str) -> dict[str, Any]:
    """Return the record in a file's footer; an empty one for a file of another program."""
    with contextlib.suppress(InputError):
        return read_record(path)
    return {}


FILE_FORMATS = (
    Format(
        "parquet",
        read,
        write,
        kind="table",
        text="a table with a row for each box",
        ending=".parquet",
        boxes=(PLAIN, ROTATED, QUADS),
        lists_images=False,
    ),
)
