"""Widths, heights and file names of images, from a table or from the headers of the images themselves."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping
from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from fastbox.errors import InputError, InputWarning
from fastbox.tables.dialects.dataset import IMAGES, images_schema
from fastbox.tables.dialects.listing import find
from fastbox.tables.files import open_parquet
from fastbox.tables.schema import require

__all__ = [
    "NO_SIZES",
    "Found",
    "Size",
    "Sizes",
    "images_in",
    "images_table",
    "is_image",
    "read_images",
    "sizes_from",
    "stem_of",
    "warn_of_unsized",
]

EXTENSIONS = {
    *(".avif", ".bmp", ".dib", ".dng", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg", ".mpo"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
}
# Exif's tag of how an image is turned, and those of its values that lay it on its side.
ORIENTATION, SIDEWAYS = 274, (5, 6, 7, 8)

StrPath: TypeAlias = str | os.PathLike[str]


class Size(NamedTuple):
    """What is known of an image: width and height in pixels, and its file's name."""

    width: int | None
    height: int | None
    file_name: str | None


class Found(NamedTuple):
    """An image that is there: the path to open it by, and the name to call it by."""

    path: str
    file_name: str


class Sizes:
    """The sizes of some images by id; images are opened when they are asked for, and only once."""

    def __init__(self, known: dict[str, Size], unread: dict[str, Found] | None = None) -> None:
        self._known = known
        self._unread = unread or {}
        self._listed = set(self._unread)

    def listed(self) -> set[str]:
        """Return the ids of the images of a folder; a table may be of other images too, so it lists none."""
        return self._listed

    def __bool__(self) -> bool:
        """Whether the size of any image is known."""
        return bool(self._known or self._listed)

    def __call__(self, image_id: str) -> Size:
        found = self._unread.pop(image_id, None)
        if found is not None:
            width, height = _measured(found.path) if os.path.getsize(found.path) else (None, None)
            self._known[image_id] = Size(width, height, found.file_name)
        return self._known.get(image_id, _UNKNOWN)


_UNKNOWN = Size(None, None, None)
NO_SIZES = Sizes({})


def sizes_from(source: StrPath) -> Sizes:
    """Return the sizes in a Parquet or CSV table of image_id, width and height, or those of a folder's images.

    An image's id is its path below the folder, without extension. Widths and heights are as shown: an image that Exif
    lays on its side has them swapped, as in OpenCV and Ultralytics.

    Raises
    ------
    InputError
        The table can't be read or lacks a column, two images of the folder have one id, or Pillow is not installed
        (where the first image is asked for).
    """
    path = os.fspath(source)
    if os.path.isdir(path):
        return Sizes({}, images_in(path))
    table = _table(path)
    names = table["file_name"] if "file_name" in table.column_names else pa.nulls(len(table))
    columns = [table[name] if name != "file_name" else names for name in ("width", "height", "file_name")]
    sizes = (Size(*values) for values in zip(*(column.to_pylist() for column in columns), strict=True))
    return Sizes(dict(zip(table["image_id"].to_pylist(), sizes, strict=True)))


def stem_of(name: str) -> str:
    """Return the name of an image without its extension, if it has that of an image.

    >>> stem_of("a/7.JPG"), stem_of("scene.0001")
    ('a/7', 'scene.0001')
    """
    return os.path.splitext(name)[0] if is_image(name) else name


def is_image(name: str) -> bool:
    """Whether a file is an image, as its extension tells."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def images_in(folder: str) -> dict[str, Found]:
    """Return the images below a folder by id; ``InputError`` where two have one."""
    images: dict[str, Found] = {}
    for image_id, name in find(folder, is_image):
        if image_id in images:
            both = f"{images[image_id].file_name} and {name}"
            raise InputError(f"expected one image called {image_id} in {folder}, got {both}: remove one of them")
        images[image_id] = Found(os.path.join(folder, name), name)
    return images


def images_table(image_ids: Iterable[str], sizes: Sizes) -> pa.Table:
    """Return the table of images with these ids, in this order.

    >>> images_table(["7"], Sizes({"7": Size(640, 480, "7.jpg")})).to_pylist()
    [{'image_id': '7', 'width': 640, 'height': 480, 'file_name': '7.jpg'}]
    """
    rows = [(image_id, *sizes(image_id)) for image_id in image_ids]
    columns = list(zip(*rows, strict=True)) if rows else [()] * 4
    schema = images_schema(pa.string())
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def warn_of_unsized(where: str, what: str, boxes: Mapping[str, int]) -> None:
    """Warn that images, or files of boxes, have no size; ``boxes`` counts what is left out of each."""
    first = ", ".join(list(boxes)[:3]) + (", ..." if len(boxes) > 3 else "")
    many = sum(boxes.values())
    warnings.warn(
        InputWarning(
            f"{len(boxes)} {what} of {where} have no size, so their {many} boxes are left out ({first}): "
            "add the missing images, or give a table of all sizes (--sizes)"
        ),
        stacklevel=3,
    )


def read_images(path: StrPath, image: str = "image_id") -> pa.Table:
    """Return a Parquet or CSV table of images: ids (of any type), width, height and file_name, null where it has none.

    Raises
    ------
    InputError
        It can't be read, or lacks a column.
    """
    name = os.fspath(path)
    try:
        if name.lower().endswith(".csv"):
            texts = pyarrow.csv.ConvertOptions(column_types={image: pa.string(), "file_name": pa.string()})
            table = pyarrow.csv.read_csv(name, convert_options=texts)
        else:
            with open_parquet(name) as file:
                table = file.read([column for column in (image, *IMAGES[1:]) if column in file.schema_arrow.names])
        ids = require(table.schema, image, name).type
        columns = {field.name: field.type for field in images_schema(ids)}
        arrays = [table[image]]
        for column in IMAGES[1:]:
            known = column == "file_name" and column not in table.column_names
            arrays.append(
                pa.nulls(len(table), pa.string()) if known else table[require(table.schema, column, name).name]
            )
        return pa.table(arrays, names=list(columns)).cast(pa.schema(list(columns.items())))
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"expected a table of image sizes, but {name} can't be read: {reason}") from error


def _table(path: str) -> pa.Table:
    try:
        if path.lower().endswith(".csv"):
            convert = pyarrow.csv.ConvertOptions(
                column_types={"image_id": pa.string(), "file_name": pa.string()},
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            )
            parse = pyarrow.csv.ParseOptions(newlines_in_values=True)
            table = pyarrow.csv.read_csv(path, parse_options=parse, convert_options=convert)
        else:
            table = pq.read_table(path)
        missing = [name for name in ("image_id", "width", "height") if name not in table.column_names]
        if missing:
            raise InputError(f"expected columns image_id, width, height in {path}, got no {' and no '.join(missing)}")
        types = {"image_id": pa.string(), "width": pa.int32(), "height": pa.int32()}
        for name, kind in types.items():
            table = table.set_column(table.column_names.index(name), name, table[name].cast(kind))
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"expected a table of image sizes, but {path} can't be read: {reason}") from error
    return table


def _measured(path: str) -> tuple[int, int]:
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError(
            f"expected Pillow to read the size of {path}, got none: install it with "
            "pip install 'fastbox-engine[formats]', or give a table of sizes"
        ) from error
    try:
        with Image.open(path) as image:
            width, height = image.size
            sideways = image.getexif().get(ORIENTATION) in SIDEWAYS
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f"expected an image, but the size of {path} can't be read: {error}") from error
    return (height, width) if sideways else (width, height)
