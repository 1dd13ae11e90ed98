"""Names of figures that were changed on purpose: nothing else may differ between two versions."""

from __future__ import annotations

import re
from typing import NamedTuple


class Renamed(NamedTuple):
    """An earlier name as a pattern, the name of today, and the words of its value that were changed too."""

    earlier: str
    today: str
    words: dict[str, str] = {}  # noqa: RUF012 # read alone


RESIZE = {"'800/1333'": "'shorter=800,longer=1333'"}
LENGTHS = {float(side).hex(): str(side) for side in (200, 300, 320, 480, 512, 640)}  # whole pixels are integers
KINDS = {"'location'": "'localization'"}
UNUSED = {"True": "False"}  # how sides are rounded, where no image is resized
MODEL = {"'run'": "'model'", "string 'run'": "string 'model'"}
NEGATED = {"True": "False", "False": "True", "bool True": "bool False", "bool False": "bool True"}
RENAMED: tuple[Renamed, ...] = (
    # anchors and assignments
    Renamed(r"\.sets\.faster-rcnn\.", ".sets.faster-rcnn-fpn."),
    Renamed(r"(:name\.word\.\d+)$", r"\1", {"'faster-rcnn'": "'faster-rcnn-fpn'"}),
    Renamed(r"((?:\.|:)resize(?:\.word\.\d+)?)$", r"\1", RESIZE),
    Renamed(r"^(commands\.anchors\b.*\.image_size\.\d+)$", r"\1", LENGTHS),
    Renamed(r"^(commands\.assign\.(?!resize\.).*\.(?:lengths|parameters\.resize)\.\d+)$", r"\1", LENGTHS),
    Renamed(r"^(commands\.assign\..*\.parameters\.resize\.3)$", r"\1", UNUSED),
    Renamed(r"^(commands\.anchors\b.*\.parameters\.)width$", r"\1size_columns.0"),
    Renamed(r"^(commands\.anchors\b.*\.parameters\.)height$", r"\1size_columns.1"),
    # inspections
    Renamed(r"((?:\binspect\b|\bmemory\.source\b).*[.:_]limits[._])min_side$", r"\1sub_pixel"),
    # evaluations
    Renamed(r"(\.printed|\.json|\.tables)\.runs\b", r"\1.models"),
    Renamed(r"^(evaluating\..*[.:]by)$", r"\1", MODEL),
    Renamed(r"(\.evaluate\b.*:footer\.parameters\.)class$", r"\1class_column"),
    Renamed(r"(?<=[.:])figures([._])", r"stats\1"),
    Renamed(r"(?<=[.:])errors([._])costs(?=[._])", r"errors\1delta_ap"),
    Renamed(r"([.:]errors[._](?:\w+[._])?)location$", r"\1localization"),
    Renamed(r"(?<=[.:])calibration([._])error$", r"calibration\1ece"),
    Renamed(r"(?<=[.:]rules[._])by_class$", "class_agnostic", NEGATED),
    Renamed(r":verdict(\.word\.\d+)?$", r":match_type\1", KINDS),
    Renamed(r"(\.judged\.\d+\.)verdict$", r"\1match_type"),
    Renamed(r"(\.judged\.\d+\.)partner$", r"\1truth"),
    Renamed(r"(\.judged\.\d+\.)mended$", r"\1fixed"),
    # suppression, pairs and made-up data
    Renamed(r"(\.(?:nms|fuse|pairs)\b.*)\bby_class$", r"\1class_column"),
    Renamed(r"(\.nms\b.*:footer\.parameters\.)threshold$", r"\1iou_threshold"),
    Renamed(r"(\.synthesize\b.*:footer\.parameters\.)images$", r"\1count"),
)

# Names that are gone, each with the place where the same is kept.
GONE: tuple[tuple[str, str], ...] = (
    (r"\.stats\.\d+$", "a list of the values of stats, which stand there by name"),
    (r"^jobs\.measure\b.*\.tables\.summary:(metrics_|p\d+$)", "the table of metrics, and the same in the JSON"),
    (r"^jobs\.memory\.inspect\.tables\.summary:classes$", "null where no classes are told, as in the JSON"),
)


def today(name: str, value: str) -> tuple[str, str]:
    """Return the name and the value that a figure has today."""
    for one in RENAMED:
        changed, times = re.subn(one.earlier, one.today, name)
        if times:
            name, value = changed, one.words.get(value, value)
    return name, value


def gone(name: str) -> bool:
    """Tell whether a figure is not to be found under any name."""
    return any(re.search(pattern, name) for pattern, _ in GONE)
