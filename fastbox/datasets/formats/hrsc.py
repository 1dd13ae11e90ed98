"""HRSC2016: an XML file per image with rotated ships; read, not written."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import pyarrow as pa

from fastbox.datasets.categories import Names, numbered
from fastbox.datasets.dataset import BATCH_ROWS, Dataset, boxes_schema
from fastbox.datasets.formats.voc_xml import number_of, parser, text_of, whole_of
from fastbox.datasets.image_sizes import Size, Sizes, images_table
from fastbox.datasets.listing import beginning, each_once, find, subfolder, without
from fastbox.datasets.registry import Format, Signs
from fastbox.errors import InputError
from fastbox.kernels.codes import ROTATED

if TYPE_CHECKING:
    from xml.etree import ElementTree

__all__ = ["FILE_FORMATS", "read", "write"]

ROOT, WHAT = "HRSC_Image", "HRSC2016"
BOX = ("mbox_cx", "mbox_cy", "mbox_w", "mbox_h", "mbox_ang")
FLAGS = ("difficult", "truncated")

StrPath: TypeAlias = str | os.PathLike[str]


def read(source: StrPath, *, names: Names | None = None) -> Dataset:
    """Read a folder of HRSC2016 annotations.

    Parameters
    ----------
    source : path
        A folder with ``Annotations/`` in it or further below, or that folder: every ``*.xml`` below it is an image.
    names : dict or path, optional
        The names of the classes by ``Class_ID``, as 100000001: a dict, or a YAML file. The annotations have none.

    Returns
    -------
    Dataset
        cx, cy, w, h in pixels and the angle in radians, of the ``mbox_`` of each object as stored; difficult and
        truncated, null if not given. Categories are the numbers of ``Class_ID``. The image's size and file name are
        those in the file.

    Raises
    ------
    InputError
        The folder has no annotations, defusedxml is not installed, or (while the batches are read) a file is not XML,
        or has an object without a class or a box.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> box = "".join(f"<{name}>{value}</{name}>" for name, value in zip(BOX, (582.5, 353, 778, 178, -0.25)))
    >>> ship = f"<HRSC_Object><Class_ID>100000013</Class_ID>{box}</HRSC_Object>"
    >>> text = f"<HRSC_Image><HRSC_Objects>{ship}</HRSC_Objects></HRSC_Image>"
    >>> _ = (folder / "100000001.xml").write_text(text)
    >>> [(row["cx"], row["angle"]) for batch in read(folder).batches for row in batch.to_pylist()]
    [(582.5, -0.25)]
    """
    folder = subfolder(source, "Annotations")
    files = find(folder, lambda name: name.lower().endswith(".xml"))
    if not files:
        raise InputError(f"expected {WHAT} annotations, *.xml, in {folder}, got none: name the folder that has them")
    files = each_once([(without(image, "Annotations"), name) for image, name in files], folder)
    schema = boxes_schema(pa.string(), *((name, pa.int8()) for name in FLAGS), format="cxcywhr")
    images: dict[str, Size] = {}
    return Dataset(
        kind="truths",
        schema=schema,
        batches=_batches(folder, files, schema, images),
        ordered=True,
        images=lambda: images_table(images, Sizes(images)),
        categories={} if names is None else numbered(names),
    )


def write(dataset: Dataset, target: StrPath) -> NoReturn:
    """Refuse to write: fastbox reads HRSC2016 alone.

    Raises
    ------
    InputError
        Always.
    """
    raise InputError(f"expected another format than hrsc for {os.fspath(target)}, which is only read: write dota")


def _batches(
    folder: str, files: list[tuple[str, str]], schema: pa.Schema, images: dict[str, Size]
) -> Iterator[pa.RecordBatch]:
    parse = parser(ROOT, WHAT)
    rows: list[tuple[Any, ...]] = []
    for image, name in files:
        path = os.path.join(folder, name)
        root = parse(path)
        width, height = (whole_of(root, f"Img_Size{side}", path) for side in ("Width", "Height"))
        stem, ending = text_of(root, "Img_FileName"), text_of(root, "Img_FileFmt")
        images[image] = Size(width, height, f"{stem}.{ending}" if stem and ending else None)
        rows += [(image, *_row(found, place, path)) for place, found in enumerate(root.iter("HRSC_Object"), start=1)]
        if len(rows) >= BATCH_ROWS:
            yield _batch(rows, schema)
            rows = []
    if rows:
        yield _batch(rows, schema)


def _row(found: ElementTree.Element, place: int, path: str) -> tuple[Any, ...]:
    """Return the values of an object, in the order of the schema."""
    where = f"object {place} of {path}"
    category = whole_of(found, "Class_ID", where, "a whole number below 2**31")
    if category is None:
        raise InputError(f"{where} has no Class_ID: give it one, or remove it")
    box = [number_of(found, name, where) for name in BOX]
    if None in box:
        raise InputError(f"{where} has no {BOX[box.index(None)]}: add it, or remove the object")
    flags = [number_of(found, name, where) for name in FLAGS]
    if any(flag not in (None, 0, 1) for flag in flags):
        raise InputError(f"{where} has {' and '.join(FLAGS)} {flags}: give 0 or 1")
    return category, *box, *flags


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema) -> pa.RecordBatch:
    arrays = [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _is_annotation(path: str, folders: Collection[str]) -> bool:
    return path.lower().endswith(".xml") and f"<{ROOT}".encode() in beginning(path)


FILE_FORMATS = (
    Format(
        "hrsc",
        read,
        write,
        kind="folder",
        text="a folder with Annotations/*.xml of HRSC2016 (read alone)",
        boxes=(ROTATED,),
        signs=Signs(is_member=_is_annotation),
    ),
)
