"""The fields of COCO's elements, in the forms that other programs write, converted to one plain form or refused."""

from __future__ import annotations

import math
import re
from typing import Any

from fastbox.values.numbers import EXACT

__all__ = ["FIELDS", "Unusable", "element_of"]

MASK_ONLY = "add a bbox [x, y, width, height], for a mask alone is not a box, or leave it out"


class Unusable(ValueError):  # noqa: N818  # becomes part of an InputError, whose sentence it completes
    """A field that can't be used: the error, and the fix."""

    def __init__(self, wrong: str, todo: str) -> None:
        super().__init__(wrong)
        self.wrong = wrong
        self.todo = todo


def element_of(fields: dict[str, str], found: Any, kinds: dict[str, type[int] | type[str]]) -> dict[str, Any]:
    """Return the values of an element's fields, each in its plain form.

    Parameters
    ----------
    fields : dict of str to str
        The kind of content of each field, one of FIELDS.
    found : object
        The element, with an attribute for each field; None if the element lacks the field or has null.
    kinds : dict of str to type
        The type of each field of ids, as in the elements before: int or str.
    """
    return {name: _value(what, name, getattr(found, name), kinds.get(name, int)) for name, what in fields.items()}


def _value(what: str, name: str, value: Any, kind: type[int] | type[str]) -> Any:
    if value is None and what in OPTIONAL:
        return OPTIONAL[what]
    if value is None:
        others = ", as others have one" if what == "rotated box" else ""
        todo = MASK_ONLY if what == "box" else f"add its {name}{others}, or leave it out"
        raise Unusable(f"has no {name}", todo)
    if what in ("id", "own id"):
        return _id(name, value, kind)
    return FIELDS[what](name, value)


def _id(name: str, value: Any, kind: type[int] | type[str]) -> int | str:
    if isinstance(value, str) and kind is str:
        return value
    if kind is str or isinstance(value, str):
        others = "text" if kind is str else "numbers"
        raise Unusable(f"has {name} {value!r}, while the ids before are {others}", "write all ids in one way")
    return _whole(name, value)


def _whole(name: str, value: Any) -> int:
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unusable(f"has {name} {_shown(value)}", "give a whole number")
    whole: int = value
    if not -(2**63) <= whole < 2**63:
        raise Unusable(f"has {name} {whole}, beyond int64", "give it another number")
    return whole


def _category(name: str, value: Any, wanted: str = "the number of a category") -> int:
    if isinstance(value, str):
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip(), re.ASCII):
            raise Unusable(f"has {name} {value!r}", f"give {wanted}")
        return int(value)
    return _whole(name, value)


def _side(name: str, value: Any) -> int:
    wanted = "a number of pixels from 0 to 2,147,483,647"
    pixels = _category(name, value, wanted)
    if not 0 <= pixels < 2**31:
        raise Unusable(f"has {name} {pixels}", f"give {wanted}")
    return pixels


def _flag(name: str, value: Any) -> int:
    return int(value) if isinstance(value, bool) else _category(name, value, "0 or 1")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Unusable(f"has {name} {_shown(value)}", "give a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Unusable(f"has {name} {_shown(value)}, beyond float64", "give a smaller number")
    return number


def _box(name: str, value: Any) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise Unusable(f"has {name} {_shown(value)}", "give a list [x, y, width, height]")
    if len(value) != 4:
        if not value:
            raise Unusable(f"has an empty {name}", MASK_ONLY)
        turned = "; boxes with an angle must be all that a file has" if len(value) == 5 else ""
        raise Unusable(f"has {name} {_shown(value)} of {len(value)} numbers", f"give [x, y, width, height]{turned}")
    return tuple(_number(f"{name}[{place}]", side) for place, side in enumerate(value))


def _rotated_box(name: str, value: Any) -> tuple[float, ...]:
    return _numbers(name, value, 5, "a list of the centre, width, height and angle")


def _polygon(name: str, value: Any) -> tuple[float, ...]:
    todo = "one polygon of four points, or leave it out"
    if not isinstance(value, list) or len(value) != 1:
        raise Unusable(f"has {name} {_shown(value)}", f"give {todo}")
    return _numbers(name, value[0], 8, todo)


def _numbers(name: str, value: Any, count: int, todo: str) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) != count:
        many = f" of {len(value)} numbers" if isinstance(value, list) else ""
        raise Unusable(f"has {name} {_shown(value)}{many}", f"give {todo}")
    return tuple(_number(f"{name}[{place}]", side) for place, side in enumerate(value))


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unusable(f"has {name} {_shown(value)}", "give a text")
    return str(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


OPTIONAL = {"own id": None, "size": None, "flag": 0, "number or none": None, "text or none": None}
FIELDS = {
    "category": _category,
    "size": _side,
    "flag": _flag,
    "number": _number,
    "number or none": _number,
    "box": _box,
    "rotated box": _rotated_box,
    "polygon": _polygon,
    "text": _text,
    "text or none": _text,
}
