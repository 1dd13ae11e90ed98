"""The results of `fastbox evaluate` in a terminal: one model in full, or many side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.kernels.metrics import title_of
from fastbox.report.numbers import NONE, counted, limits
from fastbox.report.rules import error_rule, evaluated_rules, sign, threshold
from fastbox.report.statistics import best_first, by_size, first_of, parted
from fastbox.report.terminal.benchmark import show_benchmark
from fastbox.report.terminal.best_scores import show_best_scores
from fastbox.report.terminal.classes import show_classes
from fastbox.report.terminal.compared import show_compared
from fastbox.report.terminal.confused import show_confused
from fastbox.report.terminal.console import Console, Text
from fastbox.report.terminal.sliced import show_slices, show_slices_of_models
from fastbox.report.terminal.summary import show_rules, show_table, width_of

__all__ = ["conditions", "largest", "show_evaluated"]

NAME_WIDTH = 60
LEAST_NAME = 9  # characters of a name that are always shown
THRESHOLDS_SHOWN = 10
IMAGES_SHOWN = 3
IMAGE_WIDTH = 40


def show_evaluated(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the result of :func:`fastbox.jobs.evaluate`, given its ``to_dict``."""
    if summary["by"] is None:
        _show_one(console, summary)
    else:
        _show_many(console, summary)


def _show_one(console: Console, summary: Mapping[str, Any]) -> None:
    figures = summary["stats"]
    names = first_of(figures, summary["rules"])
    console.print(Text(" · ".join(f"{name} {_figure(figures[name])}" for name in names), style="bold"))
    _show_intervals(console, summary, names)
    _show_counts(console, summary, f"{counted(len(summary['by_class']), 'classes')}")
    show_benchmark(console, summary)
    console.print()
    sizes, fit = _sizes(summary), title_of(summary["rules"]["metric"])
    show_table(console, sizes, [name for name in sizes[0] if name in (names[0], f"{fit} p50")])
    recalls = [name for name in (f"AR{count}" for count in summary["rules"]["max_dets"]) if name in figures]
    said = [" · ".join(f"{name} {_figure(figures[name])}" for name in recalls)] if recalls else []
    console.print(Text("; ".join([*said, f"{fit} p50: the median {fit} of matched boxes"]), style="dim"))
    _show_thresholds(console, summary, names[0])
    console.print()
    show_table(console, _errors(summary), ("ΔAP50",))
    console.print(Text(parted(summary["errors"]), style="dim"))
    at = error_rule(summary["rules"])
    console.print(Text(f"at {at}; ΔAP50: the rise of AP50 if these errors were fixed", style="dim"))
    _show_images(console, summary)
    show_slices(console, summary)
    show_classes(console, summary, names[:2])
    if "confusion" in summary:
        show_confused(console, summary)
    show_best_scores(console, summary["operating_points"])
    ece = summary["calibration"]["ece"]
    if ece is not None:
        console.print(Text(f"Expected calibration error (ECE): {ece:.3f}", style="dim"))
    if "confusion" not in summary:
        console.print(Text("confusion of classes: --confusion-iou 0.5; plots: --report page.html", style="dim"))


def _show_thresholds(console: Console, summary: Mapping[str, Any], main: str) -> None:
    """Print AP by IoU threshold, if there are several thresholds and any truths."""
    found: Mapping[str, float] = next(iter(summary["curves"]["ap"].values()), {})
    if len(found) < 2 or max(found.values()) < 0:
        return
    step = -(-len(found) // THRESHOLDS_SHOWN)
    shown = list(found.items())[::step]
    head = (
        f"{title_of(summary['rules']['metric'])} {sign(summary['rules'])}",
        *(threshold(float(name)) for name, _ in shown),
    )
    console.print()
    show_table(console, [head, (main, *(_figure(value) for _, value in shown))])


def _show_images(console: Console, summary: Mapping[str, Any]) -> None:
    """Print the images whose errors cost most, if errors cost anything."""
    rows: list[Sequence[str]] = [("costliest image", "cost in AP50", "missed", "other errors")]
    for found in summary["worst_images"][:IMAGES_SHOWN]:
        others = sum(count for name, count in found.items() if name not in ("image", "cost", "missed"))
        image = _short(str(found["image"]), IMAGE_WIDTH)
        rows.append((image, f"{found['cost']:.4f}", f"{found['missed']:,}", f"{others:,}"))
    if len(rows) > 1:
        console.print()
        show_table(console, rows)


def _show_many(console: Console, summary: Mapping[str, Any]) -> None:
    models = list(best_first(summary["models"]).items())
    console.print(Text(f"{counted(len(models), 'models')} by {summary['by']}", style="bold"))
    _show_counts(console, summary)
    console.print()
    stats = models[0][1]["stats"] if models else {}
    first = first_of(stats, summary["rules"])
    main = first[0] if first else ""
    _, *sizes = summary["rules"]["area_ranges"]
    of_sizes = [name for name in (f"{main}_{size}" for size in sizes) if name in stats]
    names = [*first[:3], *of_sizes, *first[3:]]
    sure = any(main in model.get("intervals", {}) for _, model in models)
    head = (str(summary["by"]), "detections", *names, *([f"{main} 95%"] if sure else []), "largest ΔAP50")
    rows: list[Sequence[str]] = [head]
    for name, model in models:
        error, rise = largest(model["errors"]["delta_ap"])
        figures = [_figure(model["stats"][figure]) for figure in names]
        interval = [limits(model["intervals"][main])] if sure else []
        rows.append((_short(name), f"{model['counted']:,}", *figures, *interval, f"{error} {rise:+.3f}"))
    more = ""
    for left_out, what in ((of_sizes, f"{main} by size"), ((*of_sizes, *first[2:]), "all statistics")):
        if width_of(rows) > console.width:
            more = f"; --json has {what}"
            kept = [place for place, name in enumerate(rows[0]) if name not in left_out]
            rows = [[row[place] for place in kept] for row in rows]
    over = width_of(rows) - console.width
    if over > 0:
        most = max(len(row[0]) for row in rows) - over
        rows = [(_short(row[0], max(most, LEAST_NAME)), *row[1:]) for row in rows]
    show_table(console, rows, first[:1])
    console.print(Text(f"largest ΔAP50: the error whose fix raises AP50 most{more}", style="dim"))
    show_compared(console, summary.get("comparisons", ()))
    show_slices_of_models(console, str(summary["by"]), dict(models))


def largest(delta_ap: Mapping[str, float]) -> tuple[str, float]:
    """Return the kind of error with the largest rise of AP, and the rise.

    >>> largest({"localization": 0.1, "missed": 0.3}), largest({"localization": 0.0, "missed": 0.0})
    (('missed', 0.3), ('nothing', 0.0))
    """
    error = max(delta_ap, key=lambda name: float(delta_ap[name]))
    return (error, float(delta_ap[error])) if delta_ap[error] > 0 else ("nothing", 0.0)


def _show_counts(console: Console, summary: Mapping[str, Any], *more: str) -> None:
    kinds = [counted(summary[kind], kind) for kind in ("images", "detections", "truths")]
    console.print(Text(" · ".join([*kinds, *more]), style="dim"))
    show_rules(console, evaluated_rules(summary["rules"]))
    names = {"detections": "detections", "truths": "truths", "scores": "scores of nan"}
    invalid = [f"{count:,} {names[kind]}" for kind, count in summary["invalid"].items() if count]
    for line in conditions(summary):
        console.print(Text(line, style="dim"))
    if invalid:
        console.print(Text(f"invalid: {', '.join(invalid)} (they match nothing)", style="yellow"))
    for sentence in summary["warnings"]:
        console.print(Text(f"warning: {_plain(sentence)}", style="yellow"))


def conditions(summary: Mapping[str, Any]) -> list[str]:
    """Sentences on other facts that figures depend on: images, the columns that were read, and formats of boxes."""
    both, own, its = (f"{summary['images_with_boxes'][name]:,}" for name in ("both", "detections", "truths"))
    lines = [f"images in both tables: {both}; in detections only: {own}; in truths only: {its}"]
    if "unverified" in summary:
        count = f"{summary['unverified']:,} detections"
        lines.append(f"{count} of classes that their image is not annotated for are left out")
    if "expanded" in summary:
        lines.append(f"{summary['expanded']:,} of the truths are added for the classes above those of others")
    if "columns" in summary:
        named = {what: name for what, name in summary["columns"].items() if name is not None}
        columns = [name if name == what else f"{what} {name}" for what, name in named.items()]
        boxes = {side: f"{found['columns']} ({found['format']})" for side, found in summary["boxes"].items()}
        alike = len(set(boxes.values())) == 1
        told = {"both": boxes["truths"]} if alike else boxes
        lines += [f"columns: {_plain(', '.join(columns))}"]
        lines += [f"boxes of {side}: {_plain(found)}" for side, found in told.items()]
    return lines


def _show_intervals(console: Console, summary: Mapping[str, Any], names: Sequence[str]) -> None:
    found = summary.get("intervals")
    if found:
        shown = [f"{name} {limits(found[name])}" for name in names if name in found]
        console.print(
            Text(f"{found['level']:.0%} intervals of {found['samples']:,} samples: {' · '.join(shown)}", style="dim")
        )


def _sizes(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    stats = by_size(summary["stats"], summary["rules"])
    metrics = summary["matched"]["metrics"]
    heads = [f"{title_of(name)} p50{', px' if found['unit'] else ''}" for name, found in metrics.items()]
    rows: list[tuple[str, ...]] = [("size", *stats, "truths", "matched", *heads)]
    for place, (name, size) in enumerate(summary["matched"]["by_size"].items()):
        medians = [(size[metric]["p50"], 1 if found["unit"] else 3) for metric, found in metrics.items()]
        shown = [NONE if value is None else f"{value:.{digits}f}" for value, digits in medians]
        rows.append(
            (
                name,
                *(_figure(values[place]) for values in stats.values()),
                f"{size['truths']:,}",
                f"{size['pairs']:,}",
                *shown,
            )
        )
    return rows


def _errors(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    counts, delta_ap = summary["errors"]["counts"], summary["errors"]["delta_ap"]
    rows: list[tuple[str, ...]] = [("error", "count", "ΔAP50")]
    for name in sorted(delta_ap, key=lambda error: -float(delta_ap[error])):
        rows.append((name, f"{counts[name]:,}", f"{delta_ap[name]:+.3f}"))
    return rows


def _figure(value: float) -> str:
    """Return a figure with three digits, as COCO prints it; a dash for -1."""
    return NONE if value < 0 else f"{value:.3f}"


def _plain(text: str) -> str:
    """A text on one line without control characters."""
    return " ".join("".join(character for character in text if character.isprintable()).split())


def _short(name: str, most: int = NAME_WIDTH) -> str:
    """A name on one line without control characters, cut in its middle where it is long."""
    plain = _plain(name)
    half = (most - 1) // 2
    return plain if len(plain) <= most else f"{plain[:half]}…{plain[-half:]}"
