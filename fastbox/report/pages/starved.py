"""The page of `fastbox assign --points`: the truths that no point may learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.numbers import counted, share
from fastbox.report.page.cells import counts, figures, shares
from fastbox.report.page.contents import Column, Examples, Figure, Page, Part, Section, Table
from fastbox.report.page.plots import bars, lines
from fastbox.report.rules import starved_rules
from fastbox.values.coco import SIZES

__all__ = ["starved_page"]

CURVES = 6  # settings that one plot can tell apart
SIDES_DRAWN = 9
SHOWN = {
    "starved": ("Starved truths", "The largest truths without a candidate point, with the points around them."),
    "unreached": ("Cut truths", "The largest truths of which no candidate point reaches all sides."),
}

Setting = Mapping[str, Any]


def starved_page(summary: Mapping[str, Any], examples: Any = None) -> Page:
    """Make the page of the result of :func:`fastbox.jobs.candidates`, given its ``to_dict`` and its ``examples``."""
    settings = summary["settings"]
    first = settings[0]
    sections = [_compared(settings)] if len(settings) > 1 else []
    if first["truths"]:
        sections += [_sides(settings), _candidates(first, len(settings) > 1)]
        if first["by_class"]:
            text = f"{_named(first, settings)}Click a column title to sort by it."
            sections.append(Section("Classes", text, [_table("class", first["by_class"], "classes")]))
    drawn = {} if examples is None else {kind: examples.of(kind) for kind in SHOWN}
    for kind, found in drawn.items():
        if found:
            title, text = SHOWN[kind]
            sections.append(Section(title, text, [Examples(key, own) for key, own in found.items()]))
    lead = f"{counted(summary['truths'], 'truths')} in {counted(summary['images'], 'images')}"
    if summary["ignore_regions"]:
        lead += f", {counted(summary['ignore_regions'], 'regions')} left out"
    lead += ". Figures are of the still image: augmentation changes sizes in training."
    return Page("Points and ground truth", lead, _figures(summary, first), sections, starved_rules(summary))


def _key(setting: Setting) -> str:
    return f"{setting['grid']} {setting['size']}"


def _named(setting: Setting, settings: Sequence[Setting]) -> str:
    """Name the setting of a section, where there are several."""
    return f"{_key(setting)}. " if len(settings) > 1 else ""


def _figures(summary: Mapping[str, Any], first: Setting) -> list[Figure]:
    truths, key = max(first["truths"], 1), _key(first)
    few = sum(list(first["candidates"].values())[1:4])
    shown = [
        Figure("starved truths", f"{first['starved']:,}", f"{share(first['starved'] / truths, 2)} by {key}"),
        Figure("images with starved truths", f"{first['images_with_starved']:,}", f"of {summary['images']:,}"),
        Figure("truths with 1 to 9 candidates", f"{few:,}", share(few / truths)),
        Figure("truths that share all candidates", f"{first['shared']:,}", share(first["shared"] / truths)),
    ]
    if first["unreached"] is not None:
        cut = first["unreached"]
        shown.append(Figure("cut truths", f"{cut:,}", f"{share(cut / truths, 2)}; {first['reach']:g} strides"))
    if invalid := sum(summary["invalid"]["truths"].values()):
        shown.append(Figure("invalid truths", f"{invalid:,}", "not counted"))
    return shown


def _compared(settings: Sequence[Setting]) -> Section:
    by_size = [[found["by_size"].get(name, {}).get("starved_share") for found in settings] for name in SIZES]
    truths = [found["truths"] or None for found in settings]
    table = Table(
        "Starved truths by detector and input",
        [
            *(Column(name, [found[own] for found in settings]) for name, own in (("points", "grid"), ("rule", "rule"))),
            Column("size", [found["size"] for found in settings]),
            counts("starved", [found["starved"] for found in settings]),
            shares("all", [found["starved_share"] for found in settings], 2),
            *(shares(name, column, 2) for name, column in zip(SIZES, by_size, strict=True)),
            *_cut(settings),
            shares("shared", [n and found["shared"] / n for n, found in zip(truths, settings, strict=True)]),
            figures("median candidates", [found["median_candidates"] for found in settings], 0),
        ],
        "settings",
    )
    small = {_key(found): (found["by_size"].get("small", {}).get("starved_share") or 0.0) for found in settings}
    text = "Shares of truths that are starved, by COCO's sizes. For anchors: truths whose best IoU is below 0.50."
    drawn = {key: 100 * value for key, value in small.items()}
    plot = bars("Starved small truths", drawn, form="{:.2f}%", role="problem")
    return Section("Detectors and inputs", text, [plot, table])


def _cut(parts: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The column of truths out of reach, if a reach was asked for."""
    cut = [part["unreached"] for part in parts]
    return [] if all(number is None for number in cut) else [counts("cut", cut)]


def _sides(settings: Sequence[Setting]) -> Section:
    drawn = settings[:CURVES]
    sides = [side["from"] + 2 for side in drawn[0]["by_side"][:SIDES_DRAWN]]
    series = {
        _key(found): [
            side["starved"] / side["truths"] if side["truths"] else None for side in found["by_side"][:SIDES_DRAWN]
        ]
        for found in drawn
    }
    rows = drawn[0]["by_side"][:SIDES_DRAWN]
    table = Table(
        f"Truths by shorter side, {_key(drawn[0])}",
        [
            Column("px", [f"{side['from']}–{side['from'] + 4}" for side in rows], [side["from"] for side in rows]),
            counts("truths", [side["truths"] for side in rows]),
            counts("starved", [side["starved"] for side in rows]),
            shares("share", [side["starved"] / side["truths"] if side["truths"] else None for side in rows]),
        ],
        "sides",
    )
    left = f" The first {CURVES} of {len(settings)} settings are drawn." if len(settings) > CURVES else ""
    text = f"Starved truths by the shorter side of the box, in pixels of the input.{left}"
    plot = lines("Share of starved truths", sides, series, across="shorter side, px", up="share of truths")
    return Section("Sides", text, [plot, table])


def _candidates(found: Setting, several: bool) -> Section:
    parts: list[Part] = [
        bars("Truths by number of candidate points", found["candidates"], role="truth", across="candidates"),
        _table("size", {"all": found, **found["by_size"]}, "sizes"),
    ]
    if found["by_level"]:
        names = [name for name in SIZES if name in found["by_size"]]
        levels = found["by_level"]
        of = {name: found["by_size"][name]["truths"] for name in names}
        strides = counts("stride", [level["stride"] for level in levels])
        columns = [shares(name, [level[name] / of[name] for level in levels]) for name in names]
        parts.append(Table("Truths with candidates on a level", [strides, *columns], "levels"))
    text = f"{_key(found)}. " if several else ""
    return Section("Candidates", f"{text}The points that a truth could have, before predictions and contests.", parts)


def _table(title: str, parts: Mapping[str, Mapping[str, Any]], things: str) -> Table:
    """One row for each part of the truths, those with most starved truths first."""
    found = sorted(parts.items(), key=lambda part: (-part[1]["starved"], -part[1]["truths"]))
    rows = [own for _, own in found]
    bins = list(rows[0]["candidates"])
    return Table(
        f"Truths by {title}",
        [
            Column(title, [name for name, _ in found]),
            counts("truths", [own["truths"] for own in rows]),
            counts("starved", [own["starved"] for own in rows]),
            shares("share", [own["starved_share"] for own in rows], 2),
            *_cut(rows),
            counts("shared", [own["shared"] for own in rows]),
            *(counts(name.replace("-", "–"), [own["candidates"][name] for own in rows]) for name in bins[1:]),
        ],
        things,
    )
