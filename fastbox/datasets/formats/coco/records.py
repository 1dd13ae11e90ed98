"""COCO JSON cut into its elements, decoded to narrow records a batch at a time."""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Generic, TypeAlias, TypeVar

import msgspec

from fastbox._record import NamedTuple
from fastbox.datasets.formats.coco.fields import Unusable, element_of
from fastbox.datasets.formats.coco.refusals import loads, not_coco, not_json, refused
from fastbox.errors import InputError
from fastbox.storage.windows import NOT_UNPACKED, open_unpacked

__all__ = [
    "Category",
    "Document",
    "Image",
    "Int64",
    "Result",
    "ScoredTruth",
    "Truth",
    "decode",
    "id_types",
    "read",
]

BATCH = 8192
# The keys of a file that lists images alone, as COCO's own of its test images.
LISTING = {"info", "licenses", "images", "categories", "type", "videos"}
_LIST = re.compile(rb"\s*\[")

Int64: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Pixels: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
ImageId = TypeVar("ImageId")
BoxId = TypeVar("BoxId")


class Ids(msgspec.Struct):
    """The ids of an annotation, of any type; the first ids tell the types of all."""

    image_id: Any = None
    id: Any = None


class Truth(msgspec.Struct, Generic[ImageId, BoxId], gc=False):
    """An annotation of COCO instances."""

    what: ClassVar[str] = "annotation"
    ids: ClassVar[tuple[str, ...]] = ("image_id", "id")
    fields: ClassVar[dict[str, str]] = {
        "image_id": "id", "category_id": "category", "bbox": "box", "id": "own id", "iscrowd": "flag",
        "area": "number or none", "ignore": "flag",
    }  # fmt: skip

    image_id: ImageId
    category_id: Int64
    bbox: tuple[float, float, float, float]
    id: BoxId | None = None
    iscrowd: int | bool = 0
    ignore: int | bool = 0
    area: float | None = None


class ScoredTruth(Truth[ImageId, BoxId], Generic[ImageId, BoxId], gc=False):
    """An annotation with a score, as FiftyOne exports predictions."""

    fields: ClassVar[dict[str, str]] = Truth.fields | {"score": "number or none"}

    score: float | None = None


class Result(msgspec.Struct, Generic[ImageId], gc=False):
    """A detection of COCO results."""

    what: ClassVar[str] = "result"
    ids: ClassVar[tuple[str, ...]] = ("image_id",)
    fields: ClassVar[dict[str, str]] = {
        "image_id": "id", "category_id": "category", "bbox": "box", "score": "number"
    }  # fmt: skip

    image_id: ImageId
    category_id: Int64
    bbox: tuple[float, float, float, float]
    score: float


class Image(msgspec.Struct, Generic[ImageId], gc=False):
    """An entry of the images of COCO instances."""

    what: ClassVar[str] = "image"
    ids: ClassVar[tuple[str, ...]] = ("id",)
    fields: ClassVar[dict[str, str]] = {"id": "id", "width": "size", "height": "size", "file_name": "text or none"}

    id: ImageId
    width: Pixels | None = None
    height: Pixels | None = None
    file_name: str | None = None


class Category(msgspec.Struct, gc=False):
    """An entry of the categories of COCO instances."""

    what: ClassVar[str] = "category"
    ids: ClassVar[tuple[str, ...]] = ()
    fields: ClassVar[dict[str, str]] = {"id": "category", "name": "text or none"}

    id: Int64
    name: str | None = None


class Instances(msgspec.Struct):
    """The three lists of COCO instances, their elements still JSON."""

    annotations: list[msgspec.Raw] | None = None
    images: list[msgspec.Raw] | None = None
    categories: list[msgspec.Raw] | None = None


class Document(NamedTuple):
    """A COCO file cut into its elements, each a view of the file's bytes.

    Attributes
    ----------
    ignores, scores, turned : bool
        Whether a key is called ignore, whether the first annotation has a score, and whether a key may be called obb.
    """

    path: str
    kind: str
    boxes: list[msgspec.Raw]
    images: list[msgspec.Raw]
    categories: list[msgspec.Raw]
    ignores: bool = False
    scores: bool = False
    turned: bool = False


def read(source: str | os.PathLike[str]) -> Document:
    """Read a COCO file whole, packed by gzip, by Zstandard or not, and cut it.

    Raises
    ------
    InputError
        The file does not exist, or is not JSON or not COCO.
    """
    path = os.fspath(source)
    try:
        with open_unpacked(source) as file:
            data = file.read().removeprefix(codecs.BOM_UTF8)
    except NOT_UNPACKED as error:
        raise InputError(f"{path} can't be unpacked: copy or pack it again") from error
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}): name an existing COCO JSON file") from error
    turned = _may_have("obb", data)
    try:
        if _LIST.match(data):
            results = msgspec.json.decode(data, type=list[msgspec.Raw])
            return Document(path, "results", results, [], [], turned=turned)
        lists = msgspec.json.decode(data, type=Instances)
        boxes, images = lists.annotations, lists.images
        if boxes is None and (images is None or not msgspec.json.decode(data, type=dict[str, Any]).keys() <= LISTING):
            raise not_coco(path, data)
        ignores = _may_have("ignore", data)
        scores = any(map(_has_score, (boxes or [])[:1]))
        return Document(path, "truths", boxes or [], images or [], lists.categories or [], ignores, scores, turned)
    except msgspec.ValidationError as error:
        raise not_coco(path, data) from error
    except msgspec.DecodeError as error:
        raise not_json(path, data) from error
    except RecursionError as error:
        raise InputError(f"expected COCO JSON in {path}, got JSON that is nested too deeply: flatten it") from error


def id_types(document: Document) -> tuple[Any, Any]:
    """Return the types of all image ids and all annotation ids: those of the first ids."""
    image_id = box_id = None
    for element in document.boxes:
        found = _ids(element)
        image_id = found.image_id if image_id is None else image_id
        box_id = found.id if box_id is None else box_id
        if None not in (image_id, box_id):
            break
    if image_id is None and document.images:
        image_id = _ids(document.images[0]).id
    return (str if isinstance(image_id, str) else Int64), (str if isinstance(box_id, str) else Int64)


def decode(path: str, elements: list[msgspec.Raw], struct: Any, *ids: Any) -> Iterator[list[Any]]:
    """Decode elements to structs, with these types of ids, a batch at a time and at least one batch.

    Whole numbers may be written as 1.0, and numbers of categories, flags and sizes as text.

    Raises
    ------
    InputError
        An element doesn't fit; the message names it by its place and its ids.
    """
    strict = msgspec.json.Decoder(struct[ids] if ids else struct)
    wide = msgspec.json.Decoder(msgspec.defstruct("Wide", [(name, Any, None) for name in struct.fields]))
    kinds = {name: str if kind is str else int for name, kind in zip(struct.ids, ids, strict=True)}
    for start in range(0, max(len(elements), 1), BATCH):
        batch = elements[start : start + BATCH]
        decoded: list[Any] = []
        left = iter(batch)
        while len(decoded) < len(batch):
            try:
                decoded.extend(map(strict.decode, left))
            except (msgspec.DecodeError, UnicodeDecodeError):
                # The elements before this one are decoded: their number is the place of this one.
                element = batch[len(decoded)]
                try:
                    decoded.append(struct(**element_of(struct.fields, wide.decode(element), kinds)))
                except (Unusable, msgspec.DecodeError, UnicodeDecodeError) as error:
                    raise refused(struct.what, start + len(decoded), path, element, error) from error
        yield decoded


def _may_have(name: str, data: bytes) -> bool:
    """Tell whether a text of JSON may be a name, whose letters may also be escaped."""
    if b'"%s"' % name.encode() in data:
        return True
    spelled = "".join(rf"(?:{one}|\\u00(?i:{ord(one):02x}))" for one in name)
    return b"\\u00" in data and re.search(f'"{spelled}"'.encode(), data) is not None


def _has_score(element: msgspec.Raw) -> bool:
    try:
        whole = loads(bytes(element))
    except (ValueError, RecursionError):
        return False
    return isinstance(whole, dict) and type(whole.get("score")) in (int, float)


def _ids(element: msgspec.Raw) -> Ids:
    try:
        return msgspec.json.decode(element, type=Ids)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Ids()
