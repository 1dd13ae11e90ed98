"""The columns of an Arrow schema that hold rotated boxes: five or eight flat columns, or lists of five or eight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from fastbox.arrow.arrays import is_list, is_number, plain_type
from fastbox.arrow.fields import listing, require
from fastbox.arrow.layouts import BoxColumns, Names
from fastbox.errors import InputError, advice
from fastbox.kernels.codes import ROTATED_FORMATS
from fastbox.values.names import BOX_FORMAT, BOXES, BoxArgument, one_box_column

__all__ = [
    "ANGLES",
    "BOX_FORMAT",
    "LISTS",
    "QUADS",
    "RECTANGLE",
    "coordinate_names",
    "find_rotated",
    "format_in",
    "formats_in",
    "lists_without_format",
    "metadata_of",
]

ANGLES = ("angle", "r", "theta", "rotation")  # an angle of the first name alone is found without a format
RECTANGLE = ("cx", "cy", "w", "h")
QUADS = tuple(f"{axis}{corner}" for corner in range(1, 5) for axis in "xy")
LISTS = ("obb", "rbox", "poly", "polygon", "bbox", "box", "boxes")


def coordinate_names(format: str) -> Names:
    """Return the names of the columns that fastbox writes for a format of rotated boxes.

    >>> coordinate_names("cxcywhd")
    ('cx', 'cy', 'w', 'h', 'angle')
    """
    return QUADS if columns_in(format) == 8 else (*RECTANGLE, ANGLES[0])


def metadata_of(**formats: str) -> dict[str, str]:
    """Return metadata of a schema that tell the units of angles, given the format of the boxes by each prefix.

    >>> metadata_of(pred_="cxcywhd", target_="xyxyxyxy")
    {'pred_box_format': 'cxcywhd'}
    """
    return {
        prefix + BOX_FORMAT: told
        for prefix, told in formats.items()
        if told in ROTATED_FORMATS and columns_in(told) == 5
    }


def formats_in(schema: pa.Schema) -> dict[str, str]:
    """Return all formats of rotated boxes that a schema's metadata give, by their keys.

    >>> formats_in(pa.schema([], metadata={"pred_box_format": "cxcywhd", "pandas": "{}"}))
    {'pred_box_format': 'cxcywhd'}
    """
    held = {key.decode(errors="replace"): value for key, value in (schema.metadata or {}).items()}
    return {key: value.decode(errors="replace") for key, value in held.items() if key.endswith(BOX_FORMAT)}


def format_in(schema: pa.Schema, prefix: str = "") -> str | None:
    """Return the format of rotated boxes that a schema's metadata give; None without one.

    >>> format_in(pa.schema([], metadata={"box_format": "cxcywhd"}))
    'cxcywhd'
    """
    held = schema.metadata or {}
    for key in (prefix + BOX_FORMAT, BOX_FORMAT):
        told = held.get(key.encode(), b"").decode(errors="replace")
        if told in ROTATED_FORMATS:
            return str(told)
    return None


def find_rotated(
    schema: pa.Schema,
    boxes: str | None,
    format: str | None,
    told: str | None,
    prefix: str,
    where: str,
    argument: BoxArgument,
    allowed: bool,
) -> BoxColumns | None:
    """Find the columns that hold rotated boxes; None for a table of plain boxes.

    Parameters
    ----------
    schema, boxes, prefix, where, argument
        As for :func:`fastbox.arrow.find.find_boxes`.
    format : str, optional
        The format that the caller gives; a plain one means plain boxes.
    told : str, optional
        The format in the schema's metadata, for an angle without a unit and for lists of any length.
    allowed : bool
        Whether the caller takes rotated boxes.

    Raises
    ------
    InputError
        No such columns, an angle without a unit, or rotated boxes where the caller takes plain ones.
    """
    asked = None if format is None else format.removeprefix("rel_")
    if asked is not None and asked not in ROTATED_FORMATS:
        return None
    names = _named(schema, boxes, where) if boxes is not None else _by_name(schema, asked, told, prefix)
    if names is None and asked is None:
        return None
    if names is None:
        other = _by_name(schema, None, told, prefix)
        if other is not None:
            raise _of_another_format(other, asked or "", where, argument)
        usual = ", ".join(QUADS if columns_in(asked or "") == 8 else (*RECTANGLE, "angle"))
        raise InputError(
            f"expected columns of boxes in {where} ({usual}, or one column obb of lists), got {listing(schema.names)}: "
            f"name them with {argument.advice('A,B,...')}"
        )
    layout, count = ("flat", len(names)) if len(names) > 1 else _listed(schema, names[0], asked or told)
    if asked is None and count not in (5, 8):
        return None
    if not allowed:
        raise _refused(names, where)
    if count == 5 and None not in (asked, told) and asked != told and columns_in(told or "") == 5:
        raise InputError(
            f"expected boxes in {told} in {where}, as its footer says, got the format {asked}: give "
            f"{_given(told or '', argument)}"
        )
    found = format or ("xyxyxyxy" if count == 8 else told if told != "xyxyxyxy" else None)
    if found is None:
        raise _without_unit(names, where, argument)
    if not count:
        kind = schema.field(names[0]).type
        raise InputError(f"expected lists of {columns_in(found)} numbers in column {names[0]!r} of {where}, got {kind}")
    if count != columns_in(found):
        raise _of_another_format(names, found, where, argument, count)
    for name in names if layout == "flat" else ():
        kind = require(schema, name, where).type
        if not is_number(kind):
            raise InputError(f"expected numbers in column {name!r} of {where}, got {kind}: cast it")
    return BoxColumns(layout, names, (), found)


def columns_in(format: str) -> int:
    """Return the number of coordinates of a format of rotated boxes."""
    return 8 if format.endswith("xyxyxyxy") else 5


def _named(schema: pa.Schema, boxes: str, where: str) -> Names:
    names = (boxes,) if boxes in schema.names else tuple(name.strip() for name in boxes.split(","))
    for name in names if len(names) in (1, 5, 8) else ():
        require(schema, name, where)
    return names


def _by_name(schema: pa.Schema, asked: str | None, told: str | None, prefix: str) -> Names | None:
    """Return the columns with the usual names; without a given format plain boxes in other columns come first."""
    names = schema.names
    for start in dict.fromkeys((prefix, "")):
        sets = list(_flat_sets(start, asked, named=bool(asked or told)))
        found = next((known for known in sets if set(known) <= set(names)), None)
        if asked is None and _has_plain(names, start, found or ()):
            return None
        if found is not None:
            return found
        for name in dict.fromkeys([*(start + one for one in LISTS), *one_box_column(names, start)]):
            if name in names and _listed(schema, name, asked or told)[1]:
                return (name,)
        if one_box_column(names, start):
            return None
    return None


def _flat_sets(prefix: str, asked: str | None, named: bool) -> Iterator[Names]:
    """Yield the usual names of columns; any angle's where the format is known, given or told."""
    if asked is None or columns_in(asked) == 8:
        yield tuple(prefix + name for name in QUADS)
    if asked is None or columns_in(asked) == 5:
        for angle in ANGLES if named else ANGLES[:1]:
            yield tuple(prefix + name for name in (*RECTANGLE, angle))


def _has_plain(names: Sequence[str], prefix: str, found: Names) -> bool:
    """Tell whether columns beside those found have the exact names of a plain box; not the sizes of images alone."""
    sets = ([prefix + name for name in known] for known, _ in BOXES)
    return any(set(known) <= set(names) and not set(known[:2]) <= set(found) for known in sets)


def _listed(schema: pa.Schema, name: str, format: str | None) -> tuple[str, int]:
    """Return the layout of a column of lists, and the coordinates of each: 0 if neither type nor format tells them."""
    kind = plain_type(schema.field(name).type) if schema.names.count(name) == 1 else pa.null()
    count = columns_in(format) if format is not None else 0
    for outer in ("", "ragged"):
        if pa.types.is_fixed_size_list(kind) and is_number(kind.value_type):
            return outer or "fixed", int(kind.list_size) if kind.list_size in (5, 8) else 0
        if not is_list(kind):
            break
        kind = plain_type(kind.value_type)
        if is_number(kind):
            return outer or "list", count
    return "", 0


def _refused(names: Names, where: str) -> InputError:
    plain = "; to leave the angle out, give " + advice("--format cxcywh", "format='cxcywh'") if len(names) == 5 else ""
    took = advice(
        "convert, inspect, measure, pairs, nms, evaluate and assign --anchors take them", "RotatedBoxes takes them"
    )
    return InputError(f"expected plain boxes in {where}, got rotated boxes in {', '.join(names)}: {took}{plain}")


def _without_unit(names: Names, where: str, argument: BoxArgument) -> InputError:
    said = [_given(told, argument) for told in ("cxcywhr", "cxcywhd")]
    what = f"the angle {names[-1]!r}" if len(names) > 1 else f"the lists of five in {names[0]!r}"
    return InputError(
        f"expected a unit for {what} of {where}, got none: give {said[0]} (radians) or {said[1]} (degrees)"
    )


def _of_another_format(names: Names, asked: str, where: str, argument: BoxArgument, count: int = 0) -> InputError:
    """Return the error for boxes of five or eight numbers where the given format has another number."""
    wanted, count = columns_in(asked), count or len(names)
    told = {5: ("cxcywhr", "cxcywhd"), 8: ("xyxyxyxy",)}.get(count, ())
    how = f": give {' or '.join(_given(one, argument) for one in told)}" if told else ""
    return InputError(f"expected the {wanted} coordinates of {asked} in {where}, got {count} ({', '.join(names)}){how}")


def lists_without_format(schema: pa.Schema, prefix: str, where: str, argument: BoxArgument) -> InputError | None:
    """Return the error for a column of lists that is named like rotated boxes, if nothing tells their format."""
    names = [start + one for start in (prefix, "") for one in LISTS if one not in ("bbox", "box", "boxes")]
    for name in names:
        kind = plain_type(schema.field(name).type) if schema.names.count(name) == 1 else pa.null()
        if is_list(kind) and is_number(plain_type(kind.value_type)):
            quads, radians, degrees = (_given(told, argument) for told in ("xyxyxyxy", "cxcywhr", "cxcywhd"))
            return InputError(
                f"expected the format of the lists in column {name!r} of {where}, got none: give {quads} if they have "
                f"8 numbers, {radians} or {degrees} if they have 5, with an angle in radians or degrees"
            )
    return None


def _given(format: str, argument: BoxArgument) -> str:
    """Return the words that give a format to the table of an argument."""
    python = f"Source(..., format={format!r})" if argument.python.startswith("Source") else f"format={format!r}"
    return advice(f"{'--truth-format' if argument.option == '--truth-box' else '--format'} {format}", python)
