"""The types of options: text on the command line is read as the value that a job takes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

import click

from fastbox.memory import bytes_of

if TYPE_CHECKING:
    from fastbox.anchors.resize import Resize

__all__ = [
    "RESIZE_HELP",
    "Column",
    "Counts",
    "Grid",
    "Memory",
    "Names",
    "Number",
    "Numbers",
    "Ranges",
    "Real",
    "ResizeRule",
    "Size",
    "Sizes",
    "Whole",
]

RESIZE_HELP = (
    "How images are resized: 640 (the longer side), 300x200 (width and height), or shorter=800,longer=1333 (the "
    "shorter side, the longer one at most)."
)


class Text(click.ParamType):  # type: ignore[type-arg]  # no generic before Click 8.2
    """A type that reads text; any other value, such as a default, is returned unchanged."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a text, and refuse one that can't be read."""
        if type(value) is not str:
            return value
        try:
            return self.read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def read(self, text: str) -> Any:
        """Return the value of a text; raise ValueError for a text without a value."""
        raise NotImplementedError


class Column(Text):
    """The name of a column."""

    name = "column"

    def read(self, text: str) -> str:
        """Return the name."""
        return text


class Names(Text):
    """Names with commas between.

    Parameters
    ----------
    check : callable, optional
        Called with each name; raises ValueError for one that it doesn't know. At least one name is needed then.
    count : int, optional
        The number of names; the value is a tuple then, and else a list.
    """

    name = "names"

    def __init__(self, check: Callable[[str], object] | None = None, count: int | None = None) -> None:
        self.check, self.count = check, count

    def read(self, text: str) -> list[str] | tuple[str, ...]:
        """Return the names."""
        names = [part.strip() for part in text.split(",") if part.strip()]
        if self.count not in (None, len(names)):
            raise ValueError(f"expected {self.count} names with commas between, got {text!r}")
        if self.check is not None:
            if not names:
                raise ValueError("expected names, got none")
            for name in names:
                self.check(name)
        return names if self.count is None else tuple(names)


class Number(click.types.FloatParamType):
    """A number; not nan."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a number."""
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isnan(number):
            self.fail(f"expected a number, got {value}", param, ctx)
        found: float = super().convert(number, param, ctx)
        return found


class Real(Number, click.FloatRange):
    """A number within bounds; not nan."""


class Whole(click.IntRange):
    """A whole number within bounds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read a whole number."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"expected a whole number, got {value}", param, ctx)
        found: int = super().convert(number, param, ctx)
        return found


class Size(Text):
    """A width and a height in pixels, with an x between."""

    name = "size"

    def read(self, text: str) -> tuple[int, int]:
        """Return width and height.

        >>> Size().read("640x480")
        (640, 480)
        """
        sides = text.lower().split("x")
        if len(sides) != 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
            raise ValueError(f"expected WIDTHxHEIGHT in whole pixels, such as 640x480, got {text!r}")
        return int(sides[0]), int(sides[1])


class Sizes(Text):
    """Sizes with commas between, each a side in pixels or a width and a height with an x between."""

    name = "size"

    def read(self, text: str) -> tuple[str, ...]:
        """Return the sizes as text.

        >>> Sizes().read("320, 640x480")
        ('320', '640x480')
        """
        parts = tuple(part.strip().lower() for part in text.split(","))
        for part in parts:
            sides = part.split("x")
            if len(sides) > 2 or not all(side.isdecimal() and 0 < int(side) < 1_000_000 for side in sides):
                raise ValueError(
                    f"expected WIDTHxHEIGHT in whole pixels, such as 640x480, or a side, such as 640, got {part!r}"
                )
        return parts


class ResizeRule(Text):
    """A rule of resizing, as :meth:`fastbox.anchors.resize.Resize.parse` reads it."""

    name = "resize"

    def read(self, text: str) -> Resize:
        """Return the rule."""
        from fastbox.anchors.resize import Resize

        return Resize.parse(text)


class Numbers(Text):
    """Numbers above 0 with commas between."""

    name = "numbers"

    def read(self, text: str) -> list[float]:
        """Return the numbers."""
        message = f"expected numbers above 0 with commas between, such as 2,1, got {text!r}"
        return [number for number in _listed(text, float, message) if _holds(0 < number < float("inf"), message)]


class Grid(Text):
    """Numbers with commas between, or ``first:last:step`` with both ends."""

    name = "grid"

    def read(self, text: str) -> list[float]:
        """Return the numbers.

        >>> Grid().read("0.5:0.6:0.05")
        [0.5, 0.55, 0.6]
        """
        import numpy as np

        message = f"expected numbers such as 0.5,0.75 or 0.5:0.95:0.05, got {text!r}"
        if ":" not in text:
            return _listed(text, float, message)
        try:
            first, last, step = (float(part) for part in text.split(":"))
            steps = (last - first) / step
        except (ValueError, ZeroDivisionError):
            raise ValueError(message) from None
        _holds(0 <= steps < 1000 and abs(steps - round(steps)) < 1e-6, message)
        # As COCO's .5 to .95 are made: linspace, whose steps don't drift but may miss .5 and .75 by a bit.
        grid = np.linspace(first, last, round(steps) + 1).tolist()
        return [next((one for one in (0.5, 0.75) if abs(x - one) < 1e-12), x) for x in grid]


class Counts(Text):
    """Whole numbers with commas between."""

    name = "counts"

    def read(self, text: str) -> list[int]:
        """Return the numbers."""
        return _listed(text, int, f"expected whole numbers such as 1,10,100, got {text!r}")


class Ranges(Text):
    """Names with a lower and an upper limit each, as ``all:0-1e10,small:0-1024``."""

    name = "ranges"
    _example: ClassVar[str] = "expected ranges such as all:0-1e10,small:0-1024, got {!r}"

    def read(self, text: str) -> dict[str, tuple[float, float]]:
        """Return the limits by name."""
        message = self._example.format(text)
        named = [part.rsplit(":", 1) for part in text.split(",") if part.strip()]
        _holds(all(len(part) == 2 for part in named), message)
        limits = {name.strip(): _span(span, message) for name, span in named}
        _holds(len(limits) == len(named) and "" not in limits, message)
        return limits


class Memory(Text):
    """An amount of memory.

    Parameters
    ----------
    least : int
        The least number of bytes.
    """

    name = "memory"

    def __init__(self, least: int = 512 << 20) -> None:
        self.least = least

    def read(self, text: str) -> str:
        """Return the text, which is checked."""
        bytes_of(text, self.least)
        return text


def _listed(text: str, kind: Callable[[str], Any], message: str) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ValueError(message) from None


def _holds(true: bool, message: str) -> bool:
    if not true:
        raise ValueError(message)
    return true


def _span(text: str, message: str) -> tuple[float, float]:
    """Return two numbers with a dash between, of which each may have a sign and an exponent.

    >>> _span("1e-3-5", "")
    (0.001, 5.0)
    """
    for place in (found.start() for found in re.finditer("-", text)):
        try:
            return float(text[:place]), float(text[place + 1 :])
        except ValueError:
            continue
    raise ValueError(message)
