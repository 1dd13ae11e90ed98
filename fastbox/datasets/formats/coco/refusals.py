"""COCO JSON that can't be read: the error that names the element, and what to do."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from fastbox.datasets.formats.coco.fields import Unusable
from fastbox.errors import InputError, not_utf8

__all__ = ["is_unicode", "loads", "not_coco", "not_finite", "not_json", "refused"]

DIGITS = 4300  # of a whole number, which Python reads at most
ELEMENTS = {"results": "result", "annotations": "annotation", "images": "image", "categories": "category"}


def loads(data: bytes | str) -> Any:
    """Read JSON; whole numbers of more digits than Python reads become infinite."""
    return json.loads(data, parse_int=lambda digits: int(digits) if len(digits) <= DIGITS else float(digits))


def _named(element: Any) -> str:
    """Return how an error names an element, beside its place: by its ids."""
    given = element if isinstance(element, dict) else {}
    names = [f"{name} {given[name]!r}" for name in ("id", "image_id") if isinstance(given.get(name), str | int | float)]
    return f" ({', '.join(names)})" if names else ""


def refused(what: str, place: int, path: str, element: msgspec.Raw, error: Exception) -> InputError:
    """Return the error for an element that neither decoder reads."""
    try:
        whole = loads(bytes(element))
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


def not_coco(path: str, data: bytes) -> InputError:
    """Return the error for JSON without COCO's lists."""
    wanted = "an object with the lists images, annotations and categories, or a list of results"
    try:
        whole = loads(data)
    except ValueError:
        return not_json(path, data)
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


def not_json(path: str, data: bytes) -> InputError:
    """Return the error for a file that is not JSON, or that holds NaN or infinity, which JSON lacks."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return not_utf8(path)
    try:
        text = data.decode()
        whole = loads(text)
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
