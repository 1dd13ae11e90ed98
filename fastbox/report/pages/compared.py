"""Models compared on the same images, on a page: differences with their intervals, and truths that one finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.report.differences import against, answer, figure, signed, spread, without
from fastbox.report.numbers import NONE
from fastbox.report.page import cells
from fastbox.report.page.contents import Column, Example, Examples, Part, Section, Table
from fastbox.report.page.plots import intervals

__all__ = ["sections_of"]

COUNTS = {"both": "both", "only_model": "only {}", "only_other": "only {}", "neither": "neither"}


def sections_of(
    comparisons: Sequence[Mapping[str, Any]], apart: Sequence[tuple[str, Sequence[Example]]]
) -> list[Section]:
    """Return the sections of comparisons, given their ``to_dict``, and examples of truths that one model finds."""
    if not comparisons:
        return []
    first = comparisons[0]
    text = f"Each figure of {first['model']} minus that of the other model, on the same images."
    if len(comparisons) == 1:
        text = ". ".join([*answer(first), text])
    if first["samples"]:
        text += (
            f" Lines are the {first['level']:.0%} intervals of {first['samples']:,} samples of the images. "
            "Samples against: the share of the samples whose difference is 0 or has the other sign."
        )
    if len(comparisons) == 1 and (said := without(first["differences"])):
        text += f" {said}."
    parts: list[Part] = _drawn(comparisons)
    parts += [_figures(first)] if len(comparisons) == 1 else [_others(comparisons)]
    sections = [Section(f"Compared with {first['model']}" if len(comparisons) > 1 else _title(first), text, parts)]
    return [*sections, *_found(comparisons), *_examples(apart)]


def _title(found: Mapping[str, Any]) -> str:
    return f"{found['model']} compared with {found['other']}"


def _drawn(comparisons: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Draw the differences of two models, or those of the first figure for many."""
    if len(comparisons) == 1:
        rows = {row["name"]: row for row in comparisons[0]["differences"]}
    else:
        rows = {str(found["other"]): found["differences"][0] for found in comparisons}
    known = {name: row for name, row in rows.items() if row["low"] is not None}
    if not known:
        return []
    values = {name: (row["difference"], row["low"], row["high"]) for name, row in known.items()}
    main = comparisons[0]["differences"][0]["name"]
    title = "Differences with intervals" if len(comparisons) == 1 else f"Difference of {main} from each model"
    return [intervals(title, values, across="difference")]


def _figures(found: Mapping[str, Any]) -> Table:
    rows = found["differences"]
    return Table(
        "Figures",
        [
            Column("figure", [row["name"] for row in rows]),
            *(_column(str(found[side]), [row[side] for row in rows]) for side in ("model", "other")),
            Column("difference", [signed(row["difference"]) for row in rows], [row["difference"] for row in rows]),
            Column("95%", [spread(row) for row in rows], [row["low"] for row in rows]),
            _against("samples against", rows, found["samples"]),
        ],
        "figures",
    )


def _others(comparisons: Sequence[Mapping[str, Any]]) -> Table:
    names = [row["name"] for row in comparisons[0]["differences"] if row["low"] is not None]
    names = names or [comparisons[0]["differences"][0]["name"]]
    columns = [Column("other", [str(found["other"]) for found in comparisons])]
    for name in names:
        rows = [next(row for row in found["differences"] if row["name"] == name) for found in comparisons]
        columns += [
            Column(name, [signed(row["difference"]) for row in rows], [row["difference"] for row in rows]),
            Column(f"{name}, 95%", [spread(row) for row in rows], [row["low"] for row in rows]),
            _against(f"{name}, samples against", rows, comparisons[0]["samples"]),
        ]
    return Table("Differences", columns, "models")


def _found(comparisons: Sequence[Mapping[str, Any]]) -> list[Section]:
    """Return the section of the truths that are found by both models, by one of them, and by neither."""
    text = "Truths that a detection of the model matches at IoU ≥ 0.50; crowds and truths to be ignored are left out."
    if len(comparisons) > 1:
        columns = [
            Column("other", [str(found["other"]) for found in comparisons]),
            *(
                cells.counts(title.format(which), [found["truths"][key] for found in comparisons])
                for (key, title), which in zip(COUNTS.items(), ("", comparisons[0]["model"], "other", ""), strict=True)
            ),
        ]
        return [Section("Truths found", text, [Table("By model", columns, "models")])]
    (found,) = comparisons
    every = {"class": None, "name": "all classes", **found["truths"]}
    rows = [every, *sorted(found["by_class"], key=lambda row: -abs(row["only_model"] - row["only_other"]))]
    columns = [
        Column("class", [row["name"] or f"class {row['class']}" for row in rows]),
        *(
            cells.counts(title.format(which), [row[key] for row in rows])
            for (key, title), which in zip(COUNTS.items(), ("", found["model"], found["other"], ""), strict=True)
        ),
    ]
    return [Section("Truths found", text, [Table("By class", columns, "classes")])]


def _examples(apart: Sequence[tuple[str, Sequence[Example]]]) -> list[Section]:
    text = (
        "The largest truths that one model finds and the other misses, with the detections of both models that overlap "
        "them most, drawn to scale. Truths are green, detections are orange and dashed."
    )
    drawn = [Examples(title, examples) for title, examples in apart]
    return [Section("Truths that one model finds", text, drawn)] if drawn else []


def _against(title: str, rows: Sequence[Mapping[str, Any]], samples: int) -> Column:
    return Column(title, [against(row, samples) for row in rows], [row["other_side"] for row in rows])


def _column(title: str, values: Sequence[float]) -> Column:
    known = [None if value < 0 else value for value in values]
    return Column(title, [NONE if value is None else figure(value) for value in known], known)
