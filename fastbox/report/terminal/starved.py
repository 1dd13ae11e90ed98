"""The truths without candidate points in a terminal: one detector in detail, or several side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.report.numbers import NONE, count, counted
from fastbox.report.rules import starved_rules
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.summary import show_invalid, show_rules, show_table
from fastbox.values.coco import SIZES

__all__ = ["show_starved"]

CLASSES_SHOWN = 5
LEAST = 0.00005  # the least share that is not 0 with two decimals
SIDES_SHOWN = 8  # of the sides as seen: 32 px in steps of 4

MEANING = (
    "starved: no point may learn the truth; shared: each point is another's too",
    "median: candidate points of a truth",
)
ANCHORED = "anchors: truths whose best IoU is below 0.50"
REACHED = "cut: no candidate point reaches all sides of the truth"


def show_starved(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.candidates`, given its ``to_dict``."""
    settings = summary["settings"]
    if len(settings) == 1:
        (only,) = settings
        share = f" ({only['starved_share']:.2%})" if only["starved"] else ""
        head = f"{count(only['starved'])} of {counted(only['truths'], 'truths')}{share} without a candidate point"
    else:
        head = f"{counted(summary['truths'], 'truths')} by {counted(len(settings), 'settings')}"
    console.print(Text(head, style="bold"))
    regions = f" · {counted(summary['ignore_regions'], 'regions')} left out" if summary["ignore_regions"] else ""
    console.print(
        Text(f"{counted(summary['images'], 'images')} · {counted(summary['truths'], 'truths')}{regions}", "dim")
    )
    show_rules(console, starved_rules(summary))
    show_invalid(console, summary["invalid"])
    console.print()
    show_table(console, _settings(settings), ("starved",))
    for line in _meaning(settings):
        console.print(Text(line, style="dim"))
    if len(settings) == 1 and settings[0]["truths"]:
        _show_details(console, settings[0])


def _settings(settings: list[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """One row for each detector and input; rules are named where they are not those of the detectors."""
    reach = any(found["unreached"] is not None for found in settings)
    ruled = any(found["rule"] != found["grid"].partition(":")[0] for found in settings if found["by_level"])
    names = ("grid", "rule", "size") if ruled else ("grid", "size")
    head = ("points", *names[1:], "starved", "%", *SIZES, *(["cut"] if reach else []), "shared", "median")
    rows: list[tuple[str, ...]] = [head]
    for found in settings:
        by_size = [_share(found["by_size"].get(name)) for name in SIZES]
        cut = [count(found["unreached"])] if reach else []
        known = found["median_candidates"] is not None
        median = f"{found['median_candidates']:,g}" if known else NONE
        shared = f"{found['shared'] / found['truths']:.1%}" if known else NONE
        figures = (count(found["starved"]), _share(found), *by_size, *cut, shared, median)
        rows.append((*(found[name] for name in names), *figures))
    return rows


def _share(found: Mapping[str, Any] | None) -> str:
    share = None if found is None else found["starved_share"]
    if not share:
        return NONE if share is None else "0"
    return f"{share:.2%}" if share >= LEAST else "<0.01%"


def _meaning(settings: list[Mapping[str, Any]]) -> list[str]:
    reach = any(found["unreached"] is not None for found in settings)
    anchored = any(not found["by_level"] for found in settings)
    return [*MEANING, *([REACHED] if reach else []), *([ANCHORED] if anchored else [])]


def _show_details(console: Console, found: Mapping[str, Any]) -> None:
    """Print candidates by size, the sides at which truths starve, and the classes that lose most."""
    console.print()
    show_table(console, _candidates(found), ("0",))
    console.print(Text("truths by their number of candidate points", style="dim"))
    sides = _sides(found["by_side"])
    if len(sides) > 1:
        console.print()
        show_table(console, sides, ("starved",))
        console.print(Text("by the shorter side, in pixels of the input", style="dim"))
    classes = sorted(found["by_class"].items(), key=lambda own: -own[1]["starved"])
    shown = [(name, own) for name, own in classes if own["starved"]][:CLASSES_SHOWN]
    if shown:
        console.print()
        rows = [("class", "truths", "starved", "%")]
        show_table(
            console, [*rows, *((name, count(own["truths"]), count(own["starved"]), _share(own)) for name, own in shown)]
        )
        ended = f"{len(shown)} of {counted(len(classes), 'classes')}, those with most starved truths; --json has all"
        console.print(Text(ended, style="dim"))


def _candidates(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    names = list(found["candidates"])
    rows = [("truths", "count", *(name.replace("-", "–") for name in names), *_strides(found))]
    parts = {"all": found, **found["by_size"]}
    for name, own in parts.items():
        sizes = SIZES if name == "all" else (name,)
        levels = [sum(level[size] for size in sizes) for level in found["by_level"]]
        on = [f"{level / own['truths']:.1%}" for level in levels]
        rows.append((name, count(own["truths"]), *(count(number) for number in own["candidates"].values()), *on))
    return rows


def _strides(found: Mapping[str, Any]) -> list[str]:
    return [f"on {level['stride']}" for level in found["by_level"]]


def _sides(sides: list[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the sides up to the last one with a starved truth; nothing without one."""
    starved = [place for place, side in enumerate(sides) if side["starved"]]
    rows: list[tuple[str, ...]] = [("side, px", "truths", "starved", "%")]
    for side in sides[: min(max(starved, default=-1) + 2, SIDES_SHOWN)] if starved else []:
        share = side["starved"] / side["truths"] if side["truths"] else None
        low = side["from"]
        shown = NONE if share is None else f"{share:.1%}"
        rows.append((f"{low}–{low + 4}", count(side["truths"]), count(side["starved"]), shown))
    return rows
