"""The columns of an Arrow schema that hold boxes: four flat columns, a struct, a list, or a ragged list per image."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import pyarrow as pa

from fastbox.arrow.arrays import is_list, is_number, plain_type
from fastbox.arrow.fields import hint, listing, require
from fastbox.arrow.layouts import BoxColumns, Names
from fastbox.arrow.turned import find_rotated, format_in, lists_without_format
from fastbox.errors import InputError, advice, nearest
from fastbox.values.formats import as_format
from fastbox.values.names import BOX, BOXES, BoxArgument, box_columns, one_box_column

__all__ = ["find_boxes"]


def find_boxes(
    schema: pa.Schema,
    boxes: str | None = None,
    format: str | None = None,
    *,
    prefix: str = "",
    where: str = "table",
    argument: BoxArgument = BOX,
    rotated: bool = False,
) -> BoxColumns:
    """Find the columns that hold the boxes.

    Parameters
    ----------
    schema : pyarrow.Schema
    boxes : str, optional
        One column, or four names with commas between; by default found by the usual names.
    format : str, optional
        The format of the coordinates; by default the format that the names imply, or ``"xyxy"`` if they imply none.
    prefix : str
        Names with this prefix are looked for first: ``"pred_"`` finds ``pred_xmin``, ``pred_bbox`` and ``pred``.
    where : str
        The name of the table in messages.
    argument : BoxArgument
        The option and the argument that name the columns of boxes, for messages.
    rotated : bool
        Take rotated boxes too; by default they are refused.

    Raises
    ------
    InputError
        No such columns (the nearest name is suggested), a wrong type, an unknown format, rotated boxes that the caller
        does not take, or an angle without a unit.

    Examples
    --------
    >>> import pyarrow as pa
    >>> find_boxes(pa.schema([(name, pa.float32()) for name in ("id", "h", "w", "cy", "cx")]))
    BoxColumns(layout='flat', names=('cx', 'cy', 'w', 'h'), fields=(), format='cxcywh')
    """
    if boxes is not None and not isinstance(boxes, str):
        require(schema, boxes, str(where))
    told = None if format is None else str(format)
    turned = format_in(schema, prefix)  # metadata do not count where the cache compares schemas
    return _found(schema, boxes, told, turned, prefix, str(where), argument, rotated)  # text: it must keep no tables


@lru_cache(64)
def _found(
    schema: pa.Schema,
    boxes: str | None,
    format: str | None,
    turned: str | None,
    prefix: str,
    where: str,
    argument: BoxArgument,
    rotated: bool,
) -> BoxColumns:
    found = find_rotated(schema, boxes, format, turned, prefix, where, argument, rotated)
    if found is not None:
        return found
    try:
        told = None if format is None else as_format(format)
    except ValueError as error:
        raise InputError(str(error)) from None
    if boxes is not None:
        if "," not in boxes or boxes in schema.names:
            return _one_column(schema, boxes, told, where, argument)
        names = tuple(name.strip() for name in boxes.split(","))
        return _flat(schema, *_ordered(names, told, where), where)
    for start in dict.fromkeys((prefix, "")):
        known = _known(schema.names, told, start)
        whole = one_box_column(schema.names, start)
        if known is None and not whole:
            alike = box_columns(schema.names, told, start, where, argument)
            known = None if alike is None else _as_asked(*alike, told)
        if known is not None:
            _check_rival(schema.names, *known, start, where, argument)
            return _flat(schema, *known, where)
        if whole:
            return _one_column(schema, whole[0], told, where, argument)
    unknown = lists_without_format(schema, prefix, where, argument) if rotated and format is None else None
    raise unknown or _nothing_found(schema.names, prefix, where, argument)


def _flat(schema: pa.Schema, names: Names, format: str, where: str) -> BoxColumns:
    for name in names:
        kind = require(schema, name, where).type
        if not is_number(kind):
            how = "cast it, and write decimals with a point" if pa.types.is_string(kind) else "cast it"
            raise InputError(f"expected numbers in column {name!r} of {where}, got {kind}: {how}")
    return BoxColumns("flat", names, (), format)


def _one_column(schema: pa.Schema, name: str, format: str | None, where: str, argument: BoxArgument) -> BoxColumns:
    kind = require(schema, name, where).type
    found = _single(kind, format)
    if found is None and is_list(kind):
        inner = _single(plain_type(kind).value_type, format)
        found = inner and ("ragged", *inner[1:])
    if found is None:
        raise InputError(
            f"expected column {name!r} of {where} to hold a struct of four numbers, lists of four, or lists of such, "
            f"got {kind}: if each coordinate has its own column, name the four columns, {argument.advice('A,B,C,D')}"
        )
    layout, fields, told = found
    return BoxColumns(layout, (name,), fields, told)


def _single(kind: pa.DataType, format: str | None) -> tuple[str, Names, str] | None:
    """Return the layout, fields and format of a type that holds one box; None for any other type."""
    kind = plain_type(kind)
    if pa.types.is_struct(kind):
        fields = [kind.field(i) for i in range(kind.num_fields)]
        numeric = [field.name for field in fields if is_number(field.type)]
        once = [name for name in numeric if numeric.count(name) == 1]
        known = _known(once, format, "")
        alike = box_columns(once, format, "", "a struct") if known is None else None
        known = known if alike is None else _as_asked(*alike, format)
        if known is None and format is not None and len(set(numeric)) == len(fields) == 4:
            known = tuple(numeric), format
        return None if known is None else ("struct", *known)
    if pa.types.is_fixed_size_list(kind) and kind.list_size == 4 and is_number(kind.value_type):
        return "fixed", (), format or "xyxy"
    if pa.types.is_null(kind) or (is_list(kind) and is_number(kind.value_type)):
        return "list", (), format or "xyxy"
    return None


def _known(names: Sequence[str], format: str | None, prefix: str) -> tuple[Names, str] | None:
    """Return the first set of known names that are all among the names, sets of the given format first."""
    asked = None if format is None else format.removeprefix("rel_")
    for known, told in sorted(BOXES, key=lambda entry: entry[1] != asked):
        full = tuple(prefix + name for name in known)
        if set(full) <= set(names):
            return _as_asked(full, told, format)
    return None


def _check_rival(
    names: Sequence[str], taken: Names, format: str, prefix: str, where: str, argument: BoxArgument
) -> None:
    """Refuse columns of a given format if columns of another begin with the same corner, as beside image sizes."""
    own = _known(names, None, prefix)
    if own is None or own[1] == format.removeprefix("rel_") or own[0] == taken or own[0][:2] != taken[:2]:
        return
    how = advice(f"give {argument.format_option} {own[1]}", "leave the format out")
    raise InputError(
        f"expected one box in the columns of {where} with format {format!r}, got {', '.join(taken)} beside "
        f"{', '.join(own[0])}, which are {own[1]}: {how}, or give {argument.advice(','.join(taken))}"
    )


def _as_asked(names: Names, told: str, format: str | None) -> tuple[Names, str]:
    """Return four columns in the order of the given format, and their format."""
    if told == "xyxy" and format is not None and format.removeprefix("rel_") == "yxyx":
        names = names[1], names[0], names[3], names[2]
    return names, format or told


def _ordered(names: Names, format: str | None, where: str) -> tuple[Names, str]:
    """Return the four given names in order, and their format; names that imply a format may come in any order."""
    if len(names) != 4:
        raise InputError(f"expected four columns of boxes in {where}, got {len(names)}: {', '.join(names)}")
    if format is not None:
        return names, format
    shortest = min(names, key=len)
    for length in range(len(shortest)):
        known = _known(names, None, shortest[:length]) or box_columns(names, None, shortest[:length], where)
        if known is not None:
            return known
    return names, "xyxy"


def _nothing_found(names: Sequence[str], prefix: str, where: str, argument: BoxArgument) -> InputError:
    sets = [tuple(start + name for name in known) for start in dict.fromkeys((prefix, "")) for known, _ in BOXES]
    best = max(sets, key=lambda full: len(set(full) & set(names)))
    missing = [name for name in best if name not in names]
    alike = hint(missing[0], [name for name in names if name not in best])
    if len(missing) == 1 or (len(missing) == 2 and alike):
        return InputError(f"expected columns {', '.join(best)} in {where}, got no {' and no '.join(missing)}{alike}")
    wanted = f"{prefix}xmin, {prefix}ymin, {prefix}xmax, {prefix}ymax, or one column {prefix}bbox"
    near = nearest(f"{prefix}bbox", names)
    how = f"{argument.advice(near or 'COLUMN')} or {argument.advice('A,B,C,D')}"
    return InputError(f"expected columns of boxes in {where} ({wanted}), got {listing(names)}: name them with {how}")
