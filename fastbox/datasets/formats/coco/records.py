"""COCO JSON cut into its elements, decoded to narrow records a batch at a time."""

from __future__ import annotations

import codecs
import json
import math
import os
import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Generic, TypeAlias, TypeVar

import msgspec

from fastbox._record import NamedTuple
from fastbox.datasets.formats.coco.fields import Unusable, element_of
from fastbox.errors import InputError, not_utf8
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
    "is_unicode",
    "not_finite",
    "read",
    "refused",
]

BATCH = 8192
DIGITS = 4300  # of a whole number, which Python reads at most
ELEMENTS = {"results": "result", "annotations": "annotation", "images": "image", "categories": "category"}
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
            raise _not_coco(path, data)
        ignores = _may_have("ignore", data)
        scores = any(map(_has_score, (boxes or [])[:1]))
        return Document(path, "truths", boxes or [], images or [], lists.categories or [], ignores, scores, turned)
    except msgspec.ValidationError as error:
        raise _not_coco(path, data) from error
    except msgspec.DecodeError as error:
        raise _not_json(path, data) from error
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


def _loads(data: bytes | str) -> Any:
    """Read JSON; whole numbers of more digits than Python reads become infinite."""
    return json.loads(data, parse_int=lambda digits: int(digits) if len(digits) <= DIGITS else float(digits))


def _has_score(element: msgspec.Raw) -> bool:
    try:
        whole = _loads(bytes(element))
    except (ValueError, RecursionError):
        return False
    return isinstance(whole, dict) and type(whole.get("score")) in (int, float)


def _ids(element: msgspec.Raw) -> Ids:
    try:
        return msgspec.json.decode(element, type=Ids)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Ids()


def _named(element: Any) -> str:
    """Return how an error names an element, beside its place: by its ids."""
    given = element if isinstance(element, dict) else {}
    names = [f"{name} {given[name]!r}" for name in ("id", "image_id") if isinstance(given.get(name), str | int | float)]
    return f" ({', '.join(names)})" if names else ""


def refused(what: str, place: int, path: str, element: msgspec.Raw, error: Exception) -> InputError:
    """Return the error for an element that neither decoder reads."""
    try:
        whole = _loads(bytes(element))
    except RecursionError:
        return InputError(f"{what} {place} of {path} is nested too deeply: flatten it")
    except ValueError:
        return InputError(f"{what} {place} of {path} is not UTF-8: save the file as UTF-8")
    where = f"{what} {place}{_named(whole)} of {path}"
    if not isinstance(whole, dict):
        return InputError(f"{where} is {str(whole)[:40]!r}, not an object: leave it out")
    if not isinstance(error, Unusable):
        field = next((field.lstrip(".") for field, _ in not_finite(whole)), "a text")
        return InputError(f"{where} has {field} beyond what a table can hold: fix it, or leave the {what} out")
    wrong, lacks = error.wrong, error.wrong.removeprefix("has no ")
    if lacks != wrong:
        wrong += ", but null" if lacks in whole else f" (its keys: {', '.join(whole)})"
    return InputError(f"{where} {wrong}: {error.todo}")


def _not_coco(path: str, data: bytes) -> InputError:
    """Return the error for JSON without COCO's lists."""
    wanted = "an object with the lists images, annotations and categories, or a list of results"
    try:
        whole = _loads(data)
    except ValueError:
        return _not_json(path, data)
    if not isinstance(whole, dict):
        got = "a text" if isinstance(whole, str) else "no object and no list"
    elif "annotations" not in whole:
        got = f"no annotations among its keys ({', '.join(list(whole)[:12]) or 'none'})"
    else:
        name = next(
            name for name in ("annotations", "images", "categories") if not isinstance(whole.get(name, []), list)
        )
        got = f"{name} that is not a list"
    return InputError(f"expected COCO JSON in {path}, {wanted}, got {got}: export it as COCO")


def _not_json(path: str, data: bytes) -> InputError:
    """Return the error for a file that is not JSON, or that holds NaN or infinity, which JSON lacks."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return not_utf8(path)
    try:
        text = data.decode()
        whole = _loads(text)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return not_utf8(path, f"byte {data[error.start]:#x} in line {line}")
    except RecursionError:
        return InputError(f"expected COCO JSON in {path}, got JSON that is nested too deeply: flatten it")
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            got = f"a part of it, which ends in line {error.lineno}" if text.strip() else "an empty file"
            return InputError(f"expected JSON in {path}, got {got}: copy or export it again")
        got = f"{text[error.pos : error.pos + 20].rstrip()!r} in line {error.lineno}, column {error.colno}"
        return InputError(f"expected JSON in {path}, got {got}: export it again as JSON")
    lists = {"results": whole} if isinstance(whole, list) else whole if isinstance(whole, dict) else {}
    for name, elements in lists.items():
        for place, element in enumerate(elements if isinstance(elements, list) else [elements]):
            found = next(not_finite(element), None)
            if found is not None:
                field, value = found
                shown = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
                one = ELEMENTS.get(name, name)
                return InputError(
                    f"{one} {place}{_named(element)} of {path} has {field.lstrip('.') or 'a value'} {shown}, which is "
                    f"not a JSON number: give a number, or leave the {one} out"
                )
            if not is_unicode(element):
                one = ELEMENTS.get(name, name)
                return InputError(
                    f"{one} {place} of {path} has half a surrogate pair, which is not Unicode: fix the text, or leave "
                    f"the {one} out"
                )
    return InputError(
        f"expected JSON in {path}, got a text or a number that no table can hold: export it again as JSON"
    )


def is_unicode(element: Any) -> bool:
    """Tell whether all texts in JSON are Unicode, without half of a surrogate pair."""
    try:
        json.dumps(element, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def not_finite(value: Any, inside: str = "") -> Iterator[tuple[str, float]]:
    """Yield the fields of JSON that are NaN or infinite, which JSON lacks, each as (its path, its value)."""
    if isinstance(value, float) and not math.isfinite(value):
        yield inside, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from not_finite(inner, f"{inside}.{name}")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from not_finite(inner, f"{inside}[{place}]")
