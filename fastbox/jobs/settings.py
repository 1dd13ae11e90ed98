"""The detectors and inputs that a what-if table compares: presets of points and of anchors, and sizes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from fastbox._record import NamedTuple, dataclass
from fastbox.anchors import POINT_PRESETS, PRESETS, AnchorGrid, PointGrid
from fastbox.anchors.letterbox import PADS, Letterbox, letterbox_of, own_size
from fastbox.anchors.presets import DETECTORS
from fastbox.anchors.resize import Resize
from fastbox.assign.point_rule import PointRule
from fastbox.assign.registry import as_rule_of
from fastbox.errors import InputError, advice
from fastbox.values.numbers import as_choice

__all__ = ["Inputs", "Setting", "as_points", "settings_of", "size_of"]

# Presets whose boxes are predicted as distributions over strides, and whose points therefore have a reach.
REACHING = (
    *("mmyolo-yolov8", "ppyoloe", "tal-8.3", "tal-8.4.0", "yolo11", "yolo12", "yolov10", "yolov8", "yolov8-p2"),
    "yolov8-p6",
)
STRIDED = re.compile(r"(.+):(\d+(?:\+\d+)*)")


class Inputs(NamedTuple):
    """The inputs that are asked for: sizes, a rule of resizing instead, and where images are padded."""

    sizes: Sequence[int | str] = ()
    resize: Resize | float | str | None = None
    pad: str | None = None

    def of(self, name: str) -> list[Letterbox]:
        """Return the inputs for a preset: those asked for, or the detector's own."""
        if self.pad is not None:
            as_choice(self.pad, PADS, "pad")
        if self.resize is not None:
            if self.sizes:
                raise InputError(
                    "expected sizes of inputs or a rule that resizes images, got both: give one of the two"
                )
            return [Letterbox(0, 0, "corner", "nearest", Resize.of(self.resize))]
        if self.sizes:
            return [letterbox_of(name, size_of(size), self.pad) for size in self.sizes]
        if name not in DETECTORS:
            own = own_size(name)
            return [own if self.pad is None or own.resize is not None else own._replace(pad=self.pad)]
        rule = DETECTORS[name].resize
        return [Letterbox(0, 0, "corner", "nearest", Resize.parse("640" if rule is None else rule))]


@dataclass(frozen=True)
class Setting:
    """One row of the table: a preset with its grid, its rule, and the input; anchors have no rule."""

    name: str
    grid: PointGrid | AnchorGrid
    rule: PointRule | None
    letterbox: Letterbox

    @property
    def key(self) -> str:
        """The text that no other row has."""
        return f"{self.name} {self.letterbox.label}"

    @property
    def reaches(self) -> bool:
        """True of a detector whose points predict a side up to some strides away and no farther."""
        return self.name.partition(":")[0] in REACHING


def settings_of(
    points: Sequence[str], anchors: Sequence[str], inputs: Inputs, rule: PointRule | str | None = None
) -> list[Setting]:
    """Return the rows of the table: every preset with every input, points first.

    Raises
    ------
    ValueError
        An unknown preset, rule or way to pad, a rule for anchors, or a size that can't be read.
    InputError
        No preset, or a preset or a size twice.
    """
    if not points:
        hint = advice("--points yolov8,yolox", 'points=["yolov8", "yolox"]')
        raise InputError(f"expected at least one preset of points, got none: give {hint}")
    found = []
    for name in points:
        grid, own = as_points(name, rule)
        found += [Setting(name, grid, own, letterbox) for letterbox in inputs.of(name.partition(":")[0])]
    for name in anchors:
        as_choice(name, PRESETS, "a preset of anchors")
        found += [Setting(name, AnchorGrid.preset(name), None, letterbox) for letterbox in inputs.of(name)]
    keys = [setting.key for setting in found]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise InputError(f"expected presets and sizes once, got {twice!r} twice: leave one out")
    return found


def as_points(name: str, rule: PointRule | str | None = None) -> tuple[PointGrid, PointRule]:
    """Return the grid of a preset, or of a preset with other strides, and its rule or the one given.

    >>> as_points("yolov8:4+8+16")[0]
    PointGrid(3 levels, strides 4, 8, 16)
    """
    strided = STRIDED.fullmatch(name)
    known = strided[1] if strided else name
    if known in PRESETS and known not in POINT_PRESETS:
        how = advice(f"--anchors {known}", f"anchors=[{known!r}]")
        raise ValueError(f"expected a preset of points, got {known!r}, a preset of anchors: give it as {how}")
    grid = PointGrid.preset(known)
    if strided:
        grid = PointGrid([int(stride) for stride in strided[2].split("+")], grid.offset, fitted=grid.fitted)
    chosen = as_rule_of(PointRule, known if rule is None else rule)
    if chosen.family == "fcos" and len(chosen.ranges) != len(grid.strides):
        raise ValueError(
            f"expected {len(chosen.ranges)} strides with rule {chosen.name!r}, a range of sides for each, got "
            f"{len(grid.strides)} with points {name!r}: give as many"
        )
    return grid, chosen


def size_of(size: int | str) -> tuple[int, int]:
    """Return the width and height of an input.

    >>> size_of(640), size_of("640x480")
    ((640, 640), (640, 480))
    """
    found = re.fullmatch(r"(\d{1,6})(?:x(\d{1,6}))?", str(size).strip().lower())
    if found is None or "0" in (found[1].lstrip("0") or "0", (found[2] or "1").lstrip("0") or "0"):
        raise ValueError(f"expected a size in whole pixels, such as 640 or 640x480, got {size!r}")
    return int(found[1]), int(found[2] or found[1])
