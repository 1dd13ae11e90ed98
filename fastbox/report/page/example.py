"""Boxes of an image, drawn to scale: a module of its own, because every evaluation makes some, and few make a page."""

from __future__ import annotations

from collections.abc import Sequence

from fastbox._record import dataclass

__all__ = ["Box", "Example", "Picture"]

AROUND = 1.2  # sides of a view in sides of its boxes


@dataclass(frozen=True)
class Box:
    """A box in an example: corners in pixels, its label, and its role in :mod:`fastbox.report.palette`.

    A rotated box has the corners of its frame, and an ``outline`` of eight numbers: its own corners in order around.
    """

    corners: tuple[float, float, float, float]
    label: str
    role: str
    outline: tuple[float, ...] = ()


@dataclass(frozen=True)
class Picture:
    """The part of a picture behind the boxes of an example.

    Attributes
    ----------
    uri : str
        The part as JPEG in a data URI.
    place : tuple of float
        Its x, y, width and height in a view 100 wide and high.
    """

    uri: str
    place: tuple[float, float, float, float]


@dataclass(frozen=True)
class Example:
    """Some boxes of an image, drawn to scale.

    Attributes
    ----------
    caption : str
    boxes : sequence of Box
    image : str, optional
        The id of the image.
    size : (float, float), optional
        The width and height of the image in the pixels of the boxes; by default those of its picture.
    picture : Picture, optional
    side : float, optional
        The side of the view in pixels; by default that of all boxes with a margin.
    dots : sequence of (float, float)
        Points to draw, in pixels.
    dots_label : str
    """

    caption: str
    boxes: Sequence[Box]
    image: str | None = None
    size: tuple[float, float] | None = None
    picture: Picture | None = None
    side: float | None = None
    dots: Sequence[tuple[float, float]] = ()
    dots_label: str = ""

    @property
    def view(self) -> tuple[float, float, float, float]:
        """The view of the drawing: x, y, width and height around all boxes, with a margin."""
        x0, y0 = (min(box.corners[k] for box in self.boxes) for k in (0, 1))
        x1, y1 = (max(box.corners[k] for box in self.boxes) for k in (2, 3))
        side = AROUND * max(x1 - x0, y1 - y0, 1e-6) if self.side is None else self.side
        return (x0 + x1 - side) / 2, (y0 + y1 - side) / 2, side, side

    def placed(self) -> list[tuple[Box, float, float, float, float]]:
        """The boxes as x, y, width and height in a view 100 wide and high."""
        return [(box, *self.place(box.corners)) for box in self.boxes]

    def points(self, box: Box) -> str:
        """Return the outline of a rotated box as SVG has points, in a view 100 wide and high."""
        corners = zip(box.outline[::2], box.outline[1::2], strict=True)
        return " ".join("{},{}".format(*self.place((x, y, x, y))[:2]) for x, y in corners)

    def place(self, corners: Sequence[float]) -> tuple[float, float, float, float]:
        """Return corners in pixels as x, y, width and height in a view 100 wide and high."""
        x, y, side, _ = self.view
        scale = 100 / side
        x0, y0, x1, y1 = corners
        return (
            round((x0 - x) * scale, 2),
            round((y0 - y) * scale, 2),
            round(max(x1 - x0, 0) * scale, 2),
            round(max(y1 - y0, 0) * scale, 2),
        )

    def placed_dots(self) -> list[tuple[float, float]]:
        """The points as x and y in a view 100 wide and high."""
        return [self.place((x, y, x, y))[:2] for x, y in self.dots]
