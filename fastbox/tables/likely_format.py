"""A warning of a table whose boxes look like another format than the one that they are read in."""

from __future__ import annotations

from collections.abc import Iterable

from fastbox.boxes.container import Boxes
from fastbox.errors import FormatWarning, advice, warn
from fastbox.tables.source import Source
from fastbox.values.formats import looks_like_sizes
from fastbox.values.names import BOX, BoxArgument

__all__ = ["check_format"]


def check_format(
    boxes: Boxes, where: str, argument: BoxArgument = BOX, tables: Iterable[tuple[Source, Boxes | None]] = ()
) -> None:
    """Warn of a table whose first boxes are mostly inverted as corners and valid as corner and size.

    Parameters
    ----------
    boxes, where, argument
        The boxes, their file, and the option and the argument that name their columns.
    tables
        The tables that are read together, this one among them, with their boxes.
    """
    if not _look_like_sizes(boxes):
        return
    option = argument.format_option
    others = {
        other.argument.format_option: beside.format
        for other, beside in tables
        if beside is not None and other.argument.format_option != option and not _look_like_sizes(beside)
    }
    # Ground truth whose format is not given is read in that of the detections.
    more = others.items() if option == BOX.format_option else ()
    options = " ".join(f"{name} {form}" for name, form in [(option, "xywh"), *more])
    how = advice(options, 'Source(..., format="xywh")')
    warn(FormatWarning(f"most boxes of {where} are inverted as xyxy and would be valid as xywh: read them with {how}"))


def _look_like_sizes(boxes: Boxes) -> bool:
    return looks_like_sizes(boxes.columns, boxes.format)
