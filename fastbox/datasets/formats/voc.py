"""Pascal VOC: an XML file per image."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastbox.datasets.by_image import Group, coordinates, file_stems, grouped, numbers
from fastbox.datasets.categories import Names, Numbering, named, numbered
from fastbox.datasets.dataset import BATCH_ROWS, COORDINATES, Dataset, boxes_schema
from fastbox.datasets.formats.voc_xml import number_of, parser, text_of, whole_of
from fastbox.datasets.image_sizes import NO_SIZES, Size, Sizes, images_table, sizes_from
from fastbox.datasets.listing import beginning, each_once, find, subfolder, without
from fastbox.datasets.registry import Format, Signs
from fastbox.errors import InputError
from fastbox.storage.folders import Folder

if TYPE_CHECKING:
    from xml.etree import ElementTree

__all__ = ["FILE_FORMATS", "read", "write"]

FOLDERS = ("Annotations", "annotations")
CORNERS = COORDINATES["xyxy"]
FLAGS = {"truncated": pa.float64(), "difficult": pa.int8(), "occluded": pa.int8()}
# The words of some tools for 1, 0 and no value.
PLAIN = {None: None, "0": 0, "1": 1}
SAID = {"true": 1, "yes": 1, "false": 0, "no": 0}
UNKNOWN = ("unspecified", "none", "null", "")
# Characters that XML 1.0 can't hold, and space that a reader would cut off.
_UNWRITABLE = re.compile("[^\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|^\\s|\\s$|^$")

StrPath: TypeAlias = str | os.PathLike[str]


def read(
    source: StrPath, *, names: Names | None = None, one_based: bool = False, sizes: StrPath | None = None
) -> Dataset:
    """Read a folder of Pascal VOC annotations.

    Parameters
    ----------
    source : path
        A folder with ``Annotations/``, or ``annotations/``, in it or further below, or that folder: every ``*.xml``
        below it is an image.
    names : list, dict or path, optional
        The names of categories in the order of their numbers, or a file with one on each line; any other name is
        refused. By default names are numbered from 0 in the order in which they appear, by ascending image; give names
        if two folders must have the same numbers.
    one_based : bool
        Read corners as pixels counted from 1, both ends included, as in VOC's own files: 1 is subtracted from xmin and
        ymin. By default all four numbers are kept as stored.
    sizes : path, optional
        The folder of the images, or a Parquet or CSV table of image_id, width, height, for annotations without a size.

    Returns
    -------
    Dataset
        xmin, ymin, xmax, ymax in pixels, pose, truncated (0 to 1), difficult and occluded (0 or 1), null if not given.
        The image's size and file name are those in the file, null if not given. Parts of objects are not read.

    Raises
    ------
    InputError
        The folder has no annotations, defusedxml is not installed, or (while the batches are read) a file is not XML,
        declares entities, or has an object without a name, without a box or with several.

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
    files = find(folder, lambda name: name.lower().endswith(".xml"))
    if not files:
        raise InputError(
            f"expected Pascal VOC annotations, *.xml, in {folder}, got none: name the folder that has them"
        )
    files = each_once([(without(image, *FOLDERS), name) for image, name in files], folder)
    known = NO_SIZES if sizes is None else sizes_from(sizes)
    categories = {} if names is None else numbered(names)
    schema = boxes_schema(pa.string(), ("pose", pa.string()), *FLAGS.items())
    images: dict[str, Size] = {}
    return Dataset(
        kind="truths",
        schema=schema,
        batches=_batches(
            folder, files, schema, Numbering(categories, closed=names is not None), images, known, one_based
        ),
        ordered=True,
        images=lambda: images_table(images, Sizes(images)),
        categories=categories,
    )


def write(dataset: Dataset, target: StrPath, *, one_based: bool = False) -> None:
    """Write truths as Pascal VOC annotations, ``Annotations/*.xml``, all files or none.

    Parameters
    ----------
    dataset : Dataset
        Its columns pose, truncated, difficult and occluded are written, if it has them: truncated from 0 to 1, the last
        two if they are 0 or 1.
    target : path
        A new or empty folder. The name of an image's file is its id if that is a string, else its ``file_name``.
    one_based : bool
        Add 1 to xmin and ymin: the inverse of reading with it.

    Raises
    ------
    InputError
        The data set holds results, the target is not empty, an image's name can't be the name of a file, a category has
        no name, or a text can't be written in XML.
    """
    if dataset.kind != "truths":
        raise InputError(
            f"expected truths to write as Pascal VOC, which has no scores, got {dataset.kind}: write YOLO or COCO"
        )
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
    known: Sizes,
    one_based: bool,
) -> Iterator[pa.RecordBatch]:
    parse = parser()
    rows: list[tuple[Any, ...]] = []
    for image, name in files:
        path = os.path.join(folder, name)
        root = parse(path)
        size = root.find("size")
        width, height = (
            None if size is None else whole_of(size, side, f"size in {path}") for side in ("width", "height")
        )
        if known and not (width and height):
            width, height, _ = known(image)
        images[image] = Size(width, height, text_of(root, "filename"))
        objects = root.findall("object")
        _check_nothing_else(root, objects, path)
        rows += [(image, *_row(found, place, numbering, path)) for place, found in enumerate(objects, start=1)]
        if len(rows) >= BATCH_ROWS:
            yield _batch(rows, schema, one_based)
            rows = []
    if rows:
        yield _batch(rows, schema, one_based)


def _check_nothing_else(root: ElementTree.Element, objects: list[ElementTree.Element], path: str) -> None:
    """Refuse boxes that are neither in an object of the annotation nor in a part of one."""
    boxes = len(list(root.iter("bndbox")))
    if boxes == len(objects):  # one for each object: an object without a box is refused
        return
    if boxes != sum(len(found.findall(tag)) for found in objects for tag in ("bndbox", "part/bndbox")):
        raise InputError(f"{path} has a bndbox outside of <annotation><object>: put every box in an object there")


def _row(found: ElementTree.Element, place: int, numbering: Numbering, path: str) -> tuple[Any, ...]:
    """Return the values of an object, in the order of the schema."""
    name = text_of(found, "name")
    if name is None:
        raise InputError(f"object {place} of {path} has no name: give it one, or remove it")
    where = f"object {place} ({name!r}) of {path}"
    boxes = found.findall("bndbox")
    if len(boxes) != 1:
        raise _no_box(found, len(boxes), where)
    corners = [number_of(boxes[0], corner, where) for corner in CORNERS]
    if None in corners:
        missing = CORNERS[corners.index(None)]
        raise InputError(f"{where} has no {missing} in its bndbox: add it, or remove the object")
    flags = (_share(found, "truncated", where), _flag(found, "difficult", where), _flag(found, "occluded", where))
    return numbering(name, path), *corners, text_of(found, "pose"), *flags


def _no_box(found: ElementTree.Element, boxes: int, where: str) -> InputError:
    if boxes:
        return InputError(f"{where} has {boxes} bndbox: give each an object of its own")
    turned = next((tag for tag in ("robndbox", "rotated_bndbox") if found.find(tag) is not None), None)
    if turned is not None:
        return InputError(f"{where} has a {turned}, which is rotated, and no bndbox: give it xmin, ymin, xmax and ymax")
    other = next((tag for tag in ("polygon", "segmentation", "point", "points") if found.find(tag) is not None), None)
    got = f"a {other} and " if other is not None else ""
    return InputError(f"{where} has {got}no bndbox: add the box around it, or remove the object")


def _share(parent: ElementTree.Element, tag: str, where: str) -> float | None:
    """Return the share of an object that is cut off: 0 or 1, or a share in between, as some tools write it."""
    text = text_of(parent, tag)
    if text is None or text in PLAIN:
        return PLAIN.get(text)
    value = SAID.get(text.lower())
    if text.lower() in UNKNOWN or value is not None:
        return value
    share = number_of(parent, tag, where)
    if share is None or not 0 <= share <= 1:
        raise InputError(f"{where} has {tag} {text!r}: give 0, 1 or a share in between, or Unspecified")
    return share


def _flag(parent: ElementTree.Element, tag: str, where: str) -> int | None:
    share = _share(parent, tag, where)
    if share not in (None, 0, 1):
        raise InputError(f"{where} has {tag} {text_of(parent, tag)!r}: give 0, 1 or Unspecified")
    return None if share is None else int(share)


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
    from xml.etree import ElementTree

    corners = coordinates(group.rows, "xyxy")
    if one_based:
        corners = [*map(_counted_from_one, corners[:2]), *corners[2:]]
    texts = [[repr(value).removesuffix(".0") for value in column.tolist()] for column in corners]
    given = [name for name in FLAGS if name in group.rows.column_names]
    others: list[list[Any]] = [numbers(group.rows, name).tolist() for name in given]
    if "pose" in group.rows.column_names and pa.types.is_string(group.rows["pose"].type):
        given, others = ["pose", *given], [group.rows["pose"].to_pylist(), *others]
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
                if name == "truncated" and value is not None and 0 < value < 1:
                    value = repr(float(value))
                elif name != "pose" and value not in (0, 1):
                    value = None
                _add(found, name, value)
            box = ElementTree.SubElement(found, "bndbox")
            for name, column in zip(CORNERS, texts, strict=True):
                _add(box, name, column[row])
        ElementTree.indent(root, "\t")
        yield ElementTree.tostring(root, "unicode").encode() + b"\n"


def _counted_from_one(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return numbers from which subtracting 1 gives the given numbers again, if possible with at most six decimals."""
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
        raise InputError(
            f"expected text that XML can hold, without space around it, for {tag}, got {text!r}: rename it"
        )
    child = parent.makeelement(tag, {})
    child.text = text
    parent.append(child)


def _is_annotation(path: str, folders: Collection[str]) -> bool:
    return path.lower().endswith(".xml") and b"<annotation" in beginning(path)


FILE_FORMATS = (
    Format(
        "voc",
        read,
        write,
        kind="folder",
        text="a folder with Annotations/*.xml",
        lacks=("iscrowd", "ignore"),
        numbered=False,
        signs=Signs(has_names=lambda names: "Annotations" in names, inside="Annotations", is_member=_is_annotation),
    ),
)
