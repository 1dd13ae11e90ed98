"""COCO JSON cut into its elements, decoded to narrow records a batch at a time."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from fastbox.errors import InputError

__all__ = ["Category", "Document", "Image", "Int64", "Result", "Truth", "decode", "id_types", "read"]

BATCH = 8192

Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Pixels: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
ImageId = TypeVar("ImageId")
BoxId = TypeVar("BoxId")


class Ids(msgspec.Struct):
    """The ids of an annotation, whatever else it holds: they tell integers from strings, and name it in an error."""

    image_id: Int64 | str | None = None
    id: Int64 | str | None = None


class Truth(msgspec.Struct, Generic[ImageId, BoxId], gc=False):
    """An annotation of COCO instances."""

    what: ClassVar[str] = "annotation"
    needs: ClassVar[str] = "image_id, category_id and bbox [x, y, width, height]"

    image_id: ImageId
    category_id: Int64
    bbox: tuple[float, float, float, float]
    id: BoxId | None = None
    iscrowd: int | bool = 0
    ignore: int | bool = 0
    area: float | None = None


class Result(msgspec.Struct, Generic[ImageId], gc=False):
    """A detection of COCO results."""

    what: ClassVar[str] = "result"
    needs: ClassVar[str] = "image_id, category_id, bbox [x, y, width, height] (a mask alone is not a box) and score"

    image_id: ImageId
    category_id: Int64
    bbox: tuple[float, float, float, float]
    score: float


class Image(msgspec.Struct, Generic[ImageId], gc=False):
    """An entry of the images of COCO instances."""

    what: ClassVar[str] = "image"
    needs: ClassVar[str] = "id, and width and height as integers"

    id: ImageId
    width: Pixels | None = None
    height: Pixels | None = None
    file_name: str | None = None


class Category(msgspec.Struct, gc=False):
    """An entry of the categories of COCO instances."""

    what: ClassVar[str] = "category"
    needs: ClassVar[str] = "id and name"

    id: Int64
    name: str


class Instances(msgspec.Struct):
    """The three lists of COCO instances, their elements still JSON."""

    annotations: list[msgspec.Raw]
    images: list[msgspec.Raw] = []
    categories: list[msgspec.Raw] = []


class Document(NamedTuple):
    """A COCO file cut into its elements, each a view of the file's bytes, and whether a key is called ignore."""

    path: str
    kind: str
    boxes: list[msgspec.Raw]
    images: list[msgspec.Raw]
    categories: list[msgspec.Raw]
    ignores: bool = False


def read(source: str | os.PathLike[str]) -> Document:
    """Read a COCO file whole and cut it; ``InputError`` for a file that is not there, not JSON or not COCO."""
    path = os.fspath(source)
    try:
        data = Path(source).read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise InputError(f"expected a COCO JSON file, but {path} can't be read: {error.strerror}") from error
    try:
        if data[:64].lstrip().startswith(b"["):
            return Document(path, "results", msgspec.json.decode(data, type=list[msgspec.Raw]), [], [])
        lists = msgspec.json.decode(data, type=Instances)
        return Document(path, "truths", lists.annotations, lists.images, lists.categories, b'"ignore"' in data)
    except msgspec.ValidationError as error:
        raise InputError(
            f"expected COCO instances (an object with the lists images, annotations and categories) or COCO results "
            f"(a list) in {path}: {_reason(error)}"
        ) from error
    except msgspec.DecodeError as error:
        raise InputError(f"expected JSON in {path}: {_reason(error)}{_nan_hint(data, str(error))}") from error
    except RecursionError as error:
        raise InputError(f"expected COCO JSON in {path}, got JSON that is nested too deeply") from error


def id_types(document: Document) -> tuple[Any, Any]:
    """Return the types that all image ids and all annotation ids must have: those of the first."""
    image_id = box_id = None
    try:
        if document.boxes:
            first = msgspec.json.decode(document.boxes[0], type=Ids)
            image_id, box_id = first.image_id, first.id
        elif document.images:
            image_id = msgspec.json.decode(document.images[0], type=Ids).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    return (str if isinstance(image_id, str) else Int64), (str if isinstance(box_id, str) else Int64)


def decode(path: str, elements: list[msgspec.Raw], struct: Any, *ids: Any) -> Iterator[list[Any]]:
    """Decode elements to structs, with these types of ids, a batch at a time and at least one batch.

    Raises ``InputError`` where an element doesn't fit; the message names it.
    """
    record = struct[ids] if ids else struct
    decoder = msgspec.json.Decoder(record)
    for start in range(0, max(len(elements), 1), BATCH):
        batch = elements[start : start + BATCH]
        decoded: list[Any] = []
        try:
            decoded.extend(map(decoder.decode, batch))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            # What was decoded before is kept: the list says how many there were.
            raise InputError(
                f"expected every {record.what} of {path} to have {record.needs}, but in {record.what} "
                f"{start + len(decoded)}{_named(batch[len(decoded)])}: {_reason(error)}"
            ) from error
        yield decoded


def _named(element: msgspec.Raw) -> str:
    try:
        found = msgspec.json.decode(element, type=Ids)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    given = {"id": found.id, "image_id": found.image_id}
    names = ", ".join(f"{name} {value!r}" for name, value in given.items() if value is not None)
    return f" ({names})" if names else ""


def _reason(error: Exception) -> str:
    """Return a decoder's message as the end of a sentence: `$.bbox[1]` becomes bbox[1]."""
    message, _, place = str(error).replace("`", "").partition(" - at $")
    message = message if message.startswith("JSON") else message[:1].lower() + message[1:]
    return f"{message} in {place.lstrip('.')}" if place else message


def _nan_hint(data: bytes, message: str) -> str:
    place = re.search(r"byte (\d+)", message)
    around = data[max(int(place[1]) - 1, 0) :][:5] if place else b""
    known = b"NaN" in around or b"Inf" in around
    return "; NaN and Infinity are not JSON numbers, so leave those boxes out" if known else ""
