"""The lines of CrowdHuman's odgt: each is a JSON object of an image and its people."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Annotated, Any, TypeAlias

import msgspec

from fastbox.datasets.formats.coco.refusals import is_unicode, not_finite
from fastbox.datasets.listing import line_error
from fastbox.errors import InputError, not_utf8

__all__ = ["Line", "Result", "Results", "Truth", "Truths", "decode", "has_detections", "lines"]

BOXES_OF = ("gtboxes", "dtboxes")

Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Box: TypeAlias = tuple[float, float, float, float]


class Attributes(msgspec.Struct, gc=False):
    """The attributes of a person, or of a head."""

    ignore: Int32 | None = None
    box_id: Int32 | None = None
    occ: Int32 | None = None
    unsure: Int32 | None = None


class Truth(msgspec.Struct, gc=False):
    """An element of gtboxes."""

    tag: str
    fbox: Box | None = None
    vbox: Box | None = None
    hbox: Box | None = None
    extra: Attributes = msgspec.field(default_factory=Attributes)
    head_attr: Attributes = msgspec.field(default_factory=Attributes)


class Result(msgspec.Struct, gc=False):
    """An element of dtboxes; a detector's tag is 1 for a person."""

    box: Box
    score: float
    tag: int | str = 1


class Line(msgspec.Struct):
    """The fields of every line."""

    ID: str
    width: Int32 | None = None
    height: Int32 | None = None
    fpath: str | None = None


class Truths(Line, kw_only=True):
    """A line of ground truth."""

    gtboxes: list[Truth]


class Results(Line, kw_only=True):
    """A line of detections."""

    dtboxes: list[Result]


class Either(msgspec.Struct):
    """The field that tells detections from ground truth."""

    dtboxes: msgspec.Raw = msgspec.Raw()


def lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a file that are not blank, each with its number from 1 on; without a byte order mark."""
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                        raise not_utf8(path)
                    line = line.removeprefix(codecs.BOM_UTF8)
                if line and not line.isspace():
                    yield number, line
    except OSError as error:
        raise InputError(f"{path} can't be read ({error.strerror}): name an existing CrowdHuman file") from error


def has_detections(path: str) -> bool:
    """Tell whether the first line of a file has detections."""
    for number, line in lines(path):
        return bool(decode(msgspec.json.Decoder(Either), path, number, line).dtboxes)
    return False


def decode(decoder: msgspec.json.Decoder[Any], path: str, number: int, line: bytes) -> Any:
    """Return a decoded line; whole numbers may be written as 1.0, ids as numbers.

    Raises
    ------
    InputError
        The line is not of this format; the message names the line.
    """
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        try:
            found = json.loads(line)
            wrong = next(not_finite(found), None)
            if not is_unicode(found):
                raise _wrong_line(path, number, line, "half a surrogate pair, which is not Unicode") from error
            if wrong is None:
                return msgspec.convert(_plainly(found), type=decoder.type)
        except InputError:
            raise
        except msgspec.ValidationError as unlike:
            raise _wrong_line(path, number, line, str(unlike)) from error
        except (ValueError, RecursionError):
            raise _wrong_line(path, number, line, "not JSON, or cut off") from error
        raise InputError(
            f"line {number} of {path} has {wrong[0].lstrip('.')} {wrong[1]}, which is not a JSON number: give a "
            "number, or leave that box out"
        ) from error


def _plainly(found: Any) -> Any:
    """Return a decoded line with whole numbers as integers and ids as texts."""
    if not isinstance(found, dict):
        return found
    whole = {name: _whole(value) for name, value in found.items() if name in ("width", "height")}
    own = {"ID": str(_whole(found["ID"]))} if isinstance(found.get("ID"), int | float) else {}
    boxes = {name: list(map(_plain_box, found[name])) for name in BOXES_OF if isinstance(found.get(name), list)}
    return found | whole | own | boxes


def _plain_box(box: Any) -> Any:
    if not isinstance(box, dict):
        return box
    attributes = {
        name: {key: _whole(value) for key, value in (box[name] or {}).items()}
        for name in ("extra", "head_attr")
        if isinstance(box.get(name, 0), dict | None)
    }
    tag = {"tag": _whole(box["tag"])} if "tag" in box else {}
    return {**box, **tag, **attributes}


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _wrong_line(path: str, number: int, line: bytes, reason: str) -> InputError:
    reason = reason.replace("`", "").replace("\n", " ").replace(" - at $.", " in ")
    got = f"what can't be used ({reason[:1].lower()}{reason[1:]})"
    return line_error("a JSON object with ID and gtboxes or dtboxes", path, number, got, line)
