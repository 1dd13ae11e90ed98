"""Pascal VOC: an XML file per image."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.errors import InputError
from fastbox.tables.dialects.dataset import COORDINATES, Dataset, boxes_schema
from fastbox.tables.dialects.folder import Folder
from fastbox.tables.dialects.grouped import Group, coordinates, file_stems, grouped
from fastbox.tables.dialects.listing import find, read_bytes, subfolder
from fastbox.tables.dialects.names import Names, Numbering, named, numbered
from fastbox.tables.dialects.sizes import Size, Sizes, images_table

__all__ = ["read", "write"]

ROWS = 65_536
CORNERS = COORDINATES["xyxy"]
FLAGS = ("truncated", "difficult", "occluded")
# What XML 1.0 can't hold, and what a reader would take for the space around a text.
_UNWRITABLE = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|^\\s|\\s$|^$")

StrPath: TypeAlias = str | os.PathLike[str]


def read(source: StrPath, *, names: Names | None = None, one_based: bool = False) -> Dataset:
    """Read a folder of Pascal VOC annotations.

    Parameters
    ----------
    source : path
        A folder with ``Annotations/`` in it, or that folder: every ``*.xml`` below it is an image.
    names : list, dict or path, optional
        The names of categories in the order of their numbers, or a file with one a line; any other name is refused.
        By default names are numbered from 0 as they come, by ascending image: give them where two folders shall agree.
    one_based : bool
        Take corners for pixels counted from 1, both included, as VOC's own are: 1 is taken from xmin and ymin. By
        default all four are kept as stored.

    Returns
    -------
    Dataset
        xmin, ymin, xmax, ymax in pixels, pose, and truncated, difficult and occluded, null where not given. The image's
        size and file name are those in the file, null where not given. Parts of objects are not read.

    Raises
    ------
    InputError
        The folder has no annotations, defusedxml is not installed, or (while the batches are read) a file is no XML,
        declares entities, or has an object without a name or a box.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>20</xmax><ymax>10</ymax></bndbox>"
    >>> _ = (folder / "7.xml").write_text(f"<annotation><object><name>cat</name>{box}</object></annotation>")
    >>> [batch.to_pylist()[0]["xmax"] for batch in read(folder).batches]
    [20.0]
    """
    folder = subfolder(source, "Annotations")
    files = find(folder, lambda name: name.endswith(".xml"))
    if not files:
        raise InputError(f"expected Pascal VOC annotations, *.xml, in {folder}, got none")
    categories = {} if names is None else numbered(names)
    schema = boxes_schema(pa.string(), ("pose", pa.string()), *((flag, pa.int8()) for flag in FLAGS))
    images: dict[str, Size] = {}
    return Dataset(
        kind="truths",
        schema=schema,
        batches=_batches(folder, files, schema, Numbering(categories, closed=names is not None), images, one_based),
        ordered=True,
        images=lambda: images_table(images, Sizes(images)),
        categories=categories,
    )


def write(dataset: Dataset, target: StrPath, *, one_based: bool = False) -> None:
    """Write truths as Pascal VOC annotations, ``Annotations/*.xml``, all files or none.

    Parameters
    ----------
    dataset : Dataset
        Of its columns pose, truncated, difficult and occluded are written, where it has them; of the last three what
        is neither 0 nor 1 is left out.
    target : path
        A new or empty folder. An image's file is called as its id if that is a string, else as its ``file_name``.
    one_based : bool
        Add 1 to xmin and ymin: the inverse of reading with it.

    Raises
    ------
    InputError
        The data set holds results, the target is not empty, an image's name can't be one of a file, a category has no
        name, or a text can't be written in XML.
    """
    if dataset.kind != "truths":
        raise InputError(f"expected truths to write as Pascal VOC, which has no scores, got {dataset.kind}")
    with Folder(target) as folder:
        for group in grouped(dataset, target):
            stems = file_stems(group.images, ids=True)
            for stem, document in zip(stems, _documents(group, dataset.categories, one_based), strict=True):
                folder.write(f"Annotations/{stem}.xml", document)


def _batches(
    folder: str,
    files: list[tuple[str, str]],
    schema: pa.Schema,
    numbering: Numbering,
    images: dict[str, Size],
    one_based: bool,
) -> Iterator[pa.RecordBatch]:
    parse = _parser()
    rows: list[tuple[Any, ...]] = []
    for image, name in files:
        path = os.path.join(folder, name)
        root = parse(path)
        size = root.find("size")
        images[image] = Size(
            None if size is None else _whole(size, "width", path),
            None if size is None else _whole(size, "height", path),
            _text(root, "filename"),
        )
        rows += [(image, *_row(found, numbering, path)) for found in root.iterfind("object")]
        if len(rows) >= ROWS:
            yield _batch(rows, schema, one_based)
            rows = []
    if rows:
        yield _batch(rows, schema, one_based)


def _parser() -> Any:
    """Return what parses a file to its root, and refuses what could make it read other files or grow without end."""
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import XMLParser
    except ImportError as error:
        raise InputError(
            "expected defusedxml to read Pascal VOC, got none: install it with pip install 'fastbox-engine[formats]'"
        ) from error

    def parse(path: str) -> ElementTree.Element:
        data = read_bytes(path)
        try:
            # Without a builder defusedxml builds in Python, and takes twice as long.
            parser = XMLParser(target=ElementTree.TreeBuilder())
            parser.feed(data)
            root: ElementTree.Element = parser.close()
        except DefusedXmlException as error:
            raise InputError(f"expected XML without entities of its own in {path}, got a declaration of one") from error
        except (SyntaxError, ValueError, LookupError) as error:
            raise InputError(f"expected XML in {path}: {error}") from error
        if root.tag != "annotation":
            raise InputError(f"expected an annotation of Pascal VOC in {path}, got <{root.tag}>")
        return root

    return parse


def _row(found: ElementTree.Element, numbering: Numbering, path: str) -> tuple[Any, ...]:
    name = _text(found, "name")
    if name is None:
        raise InputError(f"expected a name of every object in {path}, got one without")
    box = found.find("bndbox")
    if box is None:
        raise InputError(f"expected a bndbox of every object in {path}, got {name!r} without")
    corners = [_number(box, corner, path) for corner in CORNERS]
    if None in corners:
        raise InputError(f"expected xmin, ymin, xmax and ymax in every bndbox of {path}, got {name!r} without")
    return numbering(name, path), *corners, _text(found, "pose"), *(_flag(found, flag, path) for flag in FLAGS)


def _text(parent: ElementTree.Element, tag: str) -> str | None:
    text = parent.findtext(tag)
    return text.strip() or None if text else None


def _number(parent: ElementTree.Element, tag: str, path: str) -> float | None:
    text = _text(parent, tag)
    if text is None:
        return None
    try:
        if "_" in text:  # Python takes 1_0 for a number
            raise ValueError
        return float(text)
    except ValueError as error:
        raise InputError(f"expected a number for {tag} in {path}, got {text!r}") from error


def _whole(parent: ElementTree.Element, tag: str, path: str) -> int | None:
    value = _number(parent, tag, path)
    if value is None:
        return None
    if not (value.is_integer() and 0 <= value < 2**31):
        raise InputError(f"expected a whole number of pixels for {tag} in {path}, got {value}")
    return int(value)


def _flag(parent: ElementTree.Element, tag: str, path: str) -> int | None:
    text = _text(parent, tag)
    if text is None or text == "Unspecified":
        return None
    if text not in ("0", "1"):
        raise InputError(f"expected 0, 1 or Unspecified for {tag} in {path}, got {text!r}")
    return int(text)


def _batch(rows: list[tuple[Any, ...]], schema: pa.Schema, one_based: bool) -> pa.RecordBatch:
    columns: list[Any] = list(zip(*rows, strict=True))
    if one_based:
        for name in CORNERS[:2]:
            place = schema.get_field_index(name)
            columns[place] = np.array(columns[place], np.float64) - 1
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _documents(group: Group, categories: Mapping[int, str], one_based: bool) -> Iterator[bytes]:
    """Yield the file of each image, with VOC's order and tabs."""
    names = [named(categories, number, "Pascal VOC") for number in group.rows["category_id"].to_pylist()]
    corners = coordinates(group.rows, "xyxy")
    if one_based:
        corners = [*map(_counted_from_one, corners[:2]), *corners[2:]]
    texts = [[repr(value).removesuffix(".0") for value in column.tolist()] for column in corners]
    given = [name for name in ("pose", *FLAGS) if name in group.rows.column_names]
    others = [group.rows[name].to_pylist() for name in given]
    for i, image in enumerate(group.images.to_pylist()):
        root = ElementTree.Element("annotation")
        _add(root, "filename", image["file_name"])
        size = ElementTree.SubElement(root, "size")
        for name in ("width", "height"):
            _add(size, name, image[name])
        for row in range(group.offsets[i], group.offsets[i + 1]):
            found = ElementTree.SubElement(root, "object")
            _add(found, "name", names[row])
            for name, column in zip(given, others, strict=True):
                value = column[row]
                _add(found, name, value if name == "pose" or value in (0, 1) else None)
            box = ElementTree.SubElement(found, "bndbox")
            for name, column in zip(CORNERS, texts, strict=True):
                _add(box, name, column[row])
        ElementTree.indent(root, "\t")
        yield ElementTree.tostring(root, "unicode").encode() + b"\n"


def _counted_from_one(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add 1; of the numbers that are these again with 1 taken away, prefer those of six decimals."""
    with np.errstate(over="ignore", invalid="ignore"):
        shifted = values + 1
        rounded = np.round(shifted, 6)
        return np.where(rounded - 1 == values, rounded, shifted)


def _add(parent: ElementTree.Element, tag: str, value: Any) -> None:
    """Add an element with a text, if there is one."""
    if value is None:
        return
    text = value if isinstance(value, str) else str(int(value))
    if _UNWRITABLE.search(text):
        raise InputError(f"expected text that XML can hold, without space around it, for {tag}, got {text!r}")
    ElementTree.SubElement(parent, tag).text = text
