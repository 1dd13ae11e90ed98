"""Widths, heights and file names of images, from a table or from the headers of the images themselves."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from fastbox._lazy import deferred
from fastbox._record import NamedTuple
from fastbox.datasets.dataset import IMAGES, images_schema
from fastbox.datasets.listing import find, read_text
from fastbox.errors import InputError, InputWarning, advice
from fastbox.storage.opened import open_parquet
from fastbox.storage.pictures import is_image, stem_of
from fastbox.values.names import IMAGE, column_of

__all__ = [
    "NO_SIZES",
    "Found",
    "Size",
    "Sizes",
    "images_in",
    "images_table",
    "read_images",
    "sizes_from",
    "warn_of_unsized",
]

csv = deferred("csv")
pacsv = deferred("pyarrow.csv")

# The Exif tag of an image's rotation, and its values for a rotation by 90 or 270 degrees.
ORIENTATION, SIDEWAYS = 274, (5, 6, 7, 8)

StrPath: TypeAlias = str | os.PathLike[str]


class Size(NamedTuple):
    """The size of an image in pixels, and its file's name; None where unknown."""

    width: int | None
    height: int | None
    file_name: str | None


class Found(NamedTuple):
    """An existing image: the path to open it by, and its name in tables."""

    path: str
    file_name: str


class NotAnImageError(InputError):
    """The error for a file at ``path`` with the ending of an image and no readable size."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path} is not an image whose size can be read: copy it here again, or give a table of sizes "
            f"with {advice('--sizes PATH', 'sizes=PATH')}"
        )
        self.path = path


class Sizes:
    """The sizes of some images by id; each image is opened once, when its size is asked for.

    Attributes
    ----------
    broken : dict of str to NotAnImageError
        The errors of opened images without a readable size, by id.
    """

    def __init__(self, known: dict[str, Size], unread: dict[str, Found] | None = None) -> None:
        self._known = known
        self._unread = unread or {}
        self._listed = set(self._unread)
        self.broken: dict[str, NotAnImageError] = {}

    def listed(self) -> set[str]:
        """Return the ids of the images of a folder; none for a table, which may have sizes of other images too."""
        return self._listed

    def __bool__(self) -> bool:
        """Tell whether the size of any image is known."""
        return bool(self._known or self._listed)

    def __call__(self, image_id: str) -> Size:
        found = self._unread.pop(image_id, None)
        if found is not None:
            width, height = self._measured(image_id, found.path) if os.path.getsize(found.path) else (None, None)
            self._known[image_id] = Size(width, height, found.file_name)
        return self._known.get(image_id, _UNKNOWN)

    def _measured(self, image_id: str, path: str) -> tuple[int, int] | tuple[None, None]:
        try:
            return _measured(path)
        except NotAnImageError as error:
            self.broken[image_id] = error
            return None, None


_UNKNOWN = Size(None, None, None)
NO_SIZES = Sizes({})


def sizes_from(source: StrPath) -> Sizes:
    """Return the sizes in a Parquet or CSV table of image_id, width and height, or those of a folder's images.

    An image's id is its path below the folder, without extension. Widths and heights are those on the screen: they are
    swapped if Exif rotates the image by 90 or 270 degrees, as in OpenCV and Ultralytics.

    Raises
    ------
    InputError
        The table can't be read or lacks a column, two images of the folder have one id, or, when the first size of an
        image is read, Pillow is not installed.
    """
    path = os.fspath(source)
    if os.path.isdir(path):
        return Sizes({}, images_in(path))
    table = read_images(path)
    ids = table["image_id"].cast(pa.string()).to_pylist()
    sizes = (Size(*values) for values in zip(*(table[name].to_pylist() for name in IMAGES[1:]), strict=True))
    known: dict[str, Size] = {}
    for image, size in zip(ids, sizes, strict=True):
        if image not in known or known[image].width is None:
            known[image] = size
    return Sizes(_by_stem(known) | known)


def _by_stem(known: Mapping[str, Size]) -> dict[str, Size]:
    """Return the sizes of images by name without extension, if no two images share this name."""
    stems = [(stem_of(name), name) for name in known if name is not None and is_image(name)]
    times = Counter(stem for stem, _ in stems)
    return {stem: known[name] for stem, name in stems if times[stem] == 1}


def images_in(folder: str, *, below: bool = True) -> dict[str, Found]:
    """Return the images in a folder, and ``below`` it too, by id; ``InputError`` if two images have one id."""
    images: dict[str, Found] = {}
    for image_id, name in find(folder, lambda name: is_image(name) and (below or "/" not in name)):
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


def warn_of_unsized(where: str, what: str, boxes: Mapping[str, int], known: Sizes) -> None:
    """Warn that images, or files of boxes, have no size; ``boxes`` has the number of boxes left out of each."""
    first = ", ".join(list(boxes)[:3]) + (", ..." if len(boxes) > 3 else "")
    many = sum(boxes.values())
    damaged = f"copy {next(iter(known.broken.values())).path} again, which is not an image, " if known.broken else ""
    warnings.warn(
        InputWarning(
            f"left out of {where}: {many} box{'es' * (many > 1)} in {len(boxes)} {what}{'s' * (len(boxes) > 1)} "
            f"without a size ({first}): {damaged}add the missing images, or give a table of all "
            f"sizes with {advice('--sizes PATH', 'sizes=PATH')}"
        ),
        stacklevel=3,
    )


def read_images(path: StrPath, image: str = "image_id") -> pa.Table:
    """Return a Parquet or CSV table of images: ids (of any type), width, height and file_name, null where it has none.

    Columns may have other usual names: ImageID for image_id, Width for width.

    Raises
    ------
    InputError
        The table can't be read or lacks a column, a width or a height is not a number of pixels, or an image has two
        sizes.
    """
    name = os.fspath(path)
    is_text = name.lower().endswith(".csv")
    try:
        if is_text:
            theirs = _columns(_header(name), image, name)
            convert = pacsv.ConvertOptions(
                column_types=dict.fromkeys(theirs.values(), pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            )
            parse = pacsv.ParseOptions(newlines_in_values=True)
            table = pacsv.read_csv(name, parse_options=parse, convert_options=convert)
        else:
            with open_parquet(name) as file:
                theirs = _columns(file.schema_arrow.names, image, name)
                table = file.read(list(dict.fromkeys(theirs.values())))
    except OSError as error:
        raise InputError(
            f"{name} can't be read ({error.strerror or 'damaged'}): name a table of image sizes"
        ) from error
    except (pa.ArrowException, UnicodeDecodeError) as error:
        if is_text:
            read_text(name)
        raise InputError(
            f"{name} can't be read as a table of sizes: write the header image_id,width,height and a line per image"
        ) from error
    ids = table[theirs[image]]
    sides = [_pixels(table[theirs[side]], side, name) for side in IMAGES[1:3]]
    names = table[theirs["file_name"]].cast(pa.string()) if "file_name" in theirs else pa.nulls(len(table), pa.string())
    images = pa.Table.from_arrays([ids, *sides, names], schema=images_schema(pa.string() if is_text else ids.type))
    _check_once(images, name)
    return images


def _header(path: str) -> list[str]:
    with open(path, encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def _columns(names: Sequence[str], image: str, where: str) -> dict[str, str]:
    """Return a table's names for the columns of ids, widths, heights and file names, by fastbox's names."""
    alike = {name.casefold(): name for name in reversed(names)}
    found = {image: image if image in names else column_of(names, IMAGE, where)}
    found |= {name: name if name in names else alike.get(name) for name in IMAGES[1:]}
    missing = [name for name in (image, "width", "height") if found[name] is None]
    if missing:
        expected = f"expected columns {image}, width, height in {where}"
        raise InputError(f"{expected}, got no {' and no '.join(missing)}: name its columns so")
    return {name: theirs for name, theirs in found.items() if theirs is not None}


def _check_once(images: pa.Table, where: str) -> None:
    """Refuse two sizes of one image."""
    sized = images.select(IMAGES[:3]).drop_null()
    if len(sized) == len(sized["image_id"].unique()):
        return
    sizes: dict[Any, tuple[int, int]] = {}
    for image, *size in zip(*(column.to_pylist() for column in sized.columns), strict=True):
        if sizes.setdefault(image, tuple(size)) != tuple(size):
            (width, height), (wide, high) = sizes[image], size
            raise InputError(
                f"{where} has two sizes of image {image!r}, {width}x{height} and {wide}x{high}: remove the wrong one"
            )


def _pixels(column: pa.ChunkedArray, side: str, where: str) -> pa.ChunkedArray:
    """Return a column of whole numbers of pixels, from numbers or texts."""
    try:
        return column.cast(pa.float64()).cast(pa.int32())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        for row, value in enumerate(column.to_pylist()):
            try:
                pa.scalar(value).cast(pa.float64()).cast(pa.int32())
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                raise InputError(f"{where} has {side} {value!r} in row {row}: give a whole number of pixels") from error
        raise


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
        raise NotAnImageError(path) from error
    return (height, width) if sideways else (width, height)
