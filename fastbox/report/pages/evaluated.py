"""The results of `fastbox evaluate` as a page: one model in full, or many side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastbox.kernels.metrics import title_of
from fastbox.report.numbers import NONE, are_doublings, counted, filled
from fastbox.report.page import cells
from fastbox.report.page.contents import Column, Example, Examples, Figure, Page, Plot, Section, Stroke, Table
from fastbox.report.page.plots import bars, histogram, lines, shades
from fastbox.report.pages.benchmark import benchmark_sections
from fastbox.report.pages.compared import sections_of
from fastbox.report.pages.confused import confused, operated
from fastbox.report.pages.sliced import sections_of_slices, slices_of_models
from fastbox.report.pages.worst_images import worst_images
from fastbox.report.rules import error_rule, evaluated_rules, sign, threshold
from fastbox.report.statistics import best_first, by_size, first_of, parted
from fastbox.report.terminal.benchmark import outcomes_said
from fastbox.report.terminal.evaluated import conditions, largest
from fastbox.values.coco import UNBOUNDED

__all__ = ["page_of"]

ERRORS = {
    "localization": "the right class, IoU from 0.10 to 0.50",
    "classification": "IoU ≥ 0.50 with a truth of another class",
    "duplicate": "IoU ≥ 0.50 with a truth that another detection matches",
    "background": "IoU below 0.10 with every truth",
    "both": "near a truth of another class",
    "missed": "truths without a matching or nearly matching detection",
}
CURVES = 4  # thresholds whose curves are shown
MODELS = 5  # models whose curves are shown


def page_of(
    summary: Mapping[str, Any],
    examples: Sequence[tuple[str, Sequence[Example]]] = (),
    apart: Sequence[tuple[str, Sequence[Example]]] = (),
) -> Page:
    """Make the page of the result of :func:`fastbox.jobs.evaluate`, given its ``to_dict``, and examples.

    Examples are those of errors, and those of truths that one of two models misses.
    """
    kinds = [counted(summary[kind], kind) for kind in ("detections", "truths", "images")]
    lead = f"{kinds[0]} against {kinds[1]} in {kinds[2]}"
    invalid = [f"{count:,} {kind}" for kind, count in summary["invalid"].items() if count]
    if invalid:
        lead += f"; invalid: {', '.join(invalid)}"
    lead = ". Warning: ".join([lead, *summary["warnings"]])
    rules = [*evaluated_rules(summary["rules"]), *conditions(summary)]
    if "outcomes" in summary:
        rules.append(outcomes_said(summary["outcomes"]))
    if summary["by"] is None:
        return Page("Evaluation of detections", lead, _figures(summary), _one(summary, examples), rules)
    models = best_first(summary["models"])
    sections = _many(summary, models, examples)
    sections[1:1] = sections_of(summary.get("comparisons", ()), apart) + slices_of_models(str(summary["by"]), models)
    return Page(f"Models by {summary['by']}", lead, _best(models, summary["rules"]), sections, rules)


def _figures(summary: Mapping[str, Any]) -> list[Figure]:
    figures, intervals = summary["stats"], summary.get("intervals", {})
    shown = [
        Figure(name, _figure(figures[name]), _interval(intervals.get(name), intervals))
        for name in first_of(figures, summary["rules"])
    ]
    error, rise = largest(summary["errors"]["delta_ap"])
    shown.append(Figure("largest ΔAP50", error, f"AP50 {rise:+.3f} if fixed" if rise else "no error lowers AP50"))
    if summary["calibration"]["ece"] is not None:
        shown.append(Figure("ECE", f"{summary['calibration']['ece']:.3f}", "expected calibration error"))
    return shown


def _one(summary: Mapping[str, Any], examples: Sequence[tuple[str, Sequence[Example]]]) -> list[Section]:
    delta_ap, counts = summary["errors"]["delta_ap"], summary["errors"]["counts"]
    fit, at = title_of(summary["rules"]["metric"]), error_rule(summary["rules"])
    order = sorted(delta_ap, key=lambda error: -float(delta_ap[error]))
    sections = [
        *benchmark_sections(summary),
        Section(
            "Where AP is lost",
            f"ΔAP50 is the rise of AP at {at} if the errors of one kind were fixed. "
            "One error can hide another, so the bars do not add up to the whole loss. "
            f"At {at}, {parted(summary['errors'])}.",
            [
                bars("ΔAP50 of each error", {name: delta_ap[name] for name in order}, form="{:+.3f}", role="problem"),
                Table(
                    "Errors",
                    [
                        Column("error", order),
                        Column("definition", [ERRORS[name].replace("IoU", fit) for name in order]),
                        cells.counts("count", [counts[name] for name in order]),
                        _figures_column("ΔAP50", [delta_ap[name] for name in order], "{:+.3f}"),
                    ],
                ),
            ],
        ),
        Section(
            "Precision and recall",
            "The best precision at each recall, averaged over classes.",
            [_curves(summary), *_thresholds(summary)],
        ),
        Section(
            "Sizes and fit",
            f"Detections that match a truth at {at}. AP counts the matches, but not how well the boxes fit.",
            [_sizes(summary), *_fits(summary["matched"]["metrics"])],
        ),
        Section(
            "Calibration of scores",
            "If scores equal precision, the curve follows the dashed line.",
            [_calibration(summary["calibration"], summary["rules"]["metric"])],
        ),
        *sections_of_slices(summary),
        operated(summary),
        *confused(summary),
    ]
    if len(summary["by_class"]) > 1:
        sections.append(Section("Classes", "Click a column title to sort by it.", [_classes(summary)]))
    return [*sections, *worst_images(summary), *_examples(examples, summary, fit)]


def _examples(
    examples: Sequence[tuple[str, Sequence[Example]]], model: Mapping[str, Any], fit: str, whose: str = ""
) -> list[Section]:
    """Errors drawn to scale: missed truths, then the other kinds by descending rise of AP."""
    delta_ap = model["errors"]["delta_ap"]
    drawn = [
        Examples(f"{name}: {ERRORS[name].replace('IoU', fit)} ({model['errors']['counts'][name]:,})", shown)
        for name, shown in sorted(examples, key=lambda found: (found[0] != "missed", -float(delta_ap[found[0]])))
    ]
    text = (
        f"{whose}The largest missed truths, then for each other kind of error the detections with the highest scores, "
        "the kind with the largest ΔAP50 first. All are drawn to scale: truths green, detections orange and dashed."
    )
    return [Section("Examples", text, drawn)] if drawn else []


def _curves(summary: Mapping[str, Any]) -> Plot:
    curves = summary["curves"]
    names = list(curves["precision"])
    step = max(1, (len(names) - 1) // (CURVES - 1)) if len(names) > 1 else 1
    fit = title_of(summary["rules"]["metric"])
    series = {f"{fit} {threshold(float(name))}": curves["precision"][name] for name in names[::step][:CURVES]}
    strokes = shades("detection", len(series))
    title = "Precision at each recall"
    return lines(title, curves["recall"], series, across="recall", up="precision", strokes=strokes)


def _thresholds(summary: Mapping[str, Any]) -> list[Plot]:
    """AP by IoU threshold and size, if there are several thresholds."""
    ap = summary["curves"]["ap"]
    found = {name: values for name, values in ap.items() if max(values.values()) >= 0}
    named = list(next(iter(ap.values()), {}))
    if len(named) < 2 or not found:
        return []
    main = next(iter(summary["stats"]))
    series = {name: list(values.values()) for name, values in found.items()}
    x, fit = [float(name) for name in named], title_of(summary["rules"]["metric"])
    return [lines(f"{main} by {fit} threshold and size", x, series, across=f"{fit} {sign(summary['rules'])}", up=main)]


def _calibration(found: Mapping[str, Any], metric: str) -> Plot:
    fit, known = title_of(metric), [k for k, count in enumerate(found["counts"]) if count]
    series = {"precision": [found["precision"][k] for k in known], f"mean {fit}": [found[metric][k] for k in known]}
    return lines(
        f"Precision and {fit} by score",
        [found["scores"][k] for k in known],
        series,
        across="score",
        up=f"precision, {fit}",
        strokes=[Stroke("detection"), Stroke("match")],
        diagonal="score = precision",
    )


def _fits(metrics: Mapping[str, Any]) -> list[Plot]:
    plots = []
    for name, metric in metrics.items():
        found = metric["histogram"]
        edges, counts = filled(found["edges"], found["counts"])
        title = f"{title_of(name)} of matched boxes"
        unit = title_of(name) if metric["unit"] is None else f"{title_of(name)}, {metric['unit']}"
        plots.append(histogram(title, edges, counts, unit=unit, things="matches", log=are_doublings(found["edges"])))
    return plots


def _sizes(summary: Mapping[str, Any]) -> Table:
    sizes, stats = summary["matched"]["by_size"], by_size(summary["stats"], summary["rules"])
    limits = [_limits(low, high) for low, high in summary["rules"]["area_ranges"].values()]
    return Table(
        "By size of truths",
        [
            Column("size", list(sizes)),
            Column("area, px²", limits),
            *(_figures_column(name, values) for name, values in stats.items()),
            cells.counts("truths", [size["truths"] for size in sizes.values()]),
            cells.counts("matched", [size["pairs"] for size in sizes.values()]),
            *(
                _figures_column(
                    f"{title_of(metric)} median",
                    [size[metric]["p50"] for size in sizes.values()],
                    "{:.1f}" if found["unit"] else "{:.3f}",
                )
                for metric, found in summary["matched"]["metrics"].items()
            ),
        ],
    )


def _limits(low: float, high: float | None) -> str:
    if high is None or high >= UNBOUNDED:
        return f"{low:,.0f} and more" if low else "any"
    return f"{low:,.0f} to {high:,.0f}"


def _classes(summary: Mapping[str, Any]) -> Table:
    classes = sorted(summary["by_class"], key=lambda found: -found["truths"])
    return Table(
        counted(len(classes), "classes"),
        [
            Column("class", [found["name"] or str(found["class"]) for found in classes]),
            cells.counts("truths", [found["truths"] for found in classes]),
            *(
                _figures_column(name, [found[name] for found in classes])
                for name in first_of(summary["stats"], summary["rules"])
            ),
            *(cells.counts(name, [found["errors"][name] for found in classes]) for name in ("matched", *ERRORS)),
            *(
                _figures_column(f"{title_of(metric)} median", [found["matched"][metric]["p50"] for found in classes])
                for metric, whole in summary["matched"]["metrics"].items()
                if whole["unit"] is None
            ),
        ],
        "classes",
    )


def _best(models: Mapping[str, Mapping[str, Any]], rules: Mapping[str, Any]) -> list[Figure]:
    if not models:
        return [Figure("models", "0")]
    name, best = next(iter(models.items()))
    main, *others = first_of(best["stats"], rules)
    return [
        Figure("models", f"{len(models):,}"),
        Figure(f"best {main}", _figure(best["stats"][main]), name),
        *(Figure(f"its {other}", _figure(best["stats"][other])) for other in others[:2]),
    ]


def _many(
    summary: Mapping[str, Any],
    models: Mapping[str, Mapping[str, Any]],
    examples: Sequence[tuple[str, Sequence[Example]]],
) -> list[Section]:
    if not models:
        return []
    best, first = next(iter(models.items()))
    main = next(iter(first["stats"]))
    some = dict(list(models.items())[:MODELS])
    lowest = next(iter(first["curves"]["precision"]))
    curves = {name: model["curves"]["precision"][lowest] for name, model in some.items()}
    title, fit = "Precision at each recall", f"{title_of(summary['rules']['metric'])} {sign(summary['rules'])}"
    return [
        Section(
            "Side by side",
            "All stats of every model. Click a column title to sort by it.",
            [_stats_table(summary["by"], models)],
        ),
        Section(
            "Precision and recall",
            f"The {len(some)} models with the highest {main}, at {fit} {threshold(float(lowest))}.",
            [lines(title, first["curves"]["recall"], curves, across="recall", up="precision")],
        ),
        Section(
            "Errors",
            f"ΔAP50 is the rise of AP at {error_rule(summary['rules'])} if the errors of one kind were fixed.",
            [_errors_table(summary["by"], models)],
        ),
        *_examples(
            examples,
            first,
            title_of(summary["rules"]["metric"]),
            f"Errors of {best}, the model with the highest {main}. ",
        ),
    ]


def _stats_table(by: object, models: Mapping[str, Mapping[str, Any]]) -> Table:
    every = list(models.values())
    columns = [
        Column(str(by), list(models)),
        cells.counts("detections", [model["counted"] for model in every]),
        *(_figures_column(name, [model["stats"][name] for model in every]) for name in every[0]["stats"]),
    ]
    main = next(iter(every[0]["stats"]))
    if any(main in model.get("intervals", {}) for model in every):
        columns.append(Column(f"{main}, 95%", [_interval(model["intervals"][main]) for model in every]))
    return Table(counted(len(models), "models"), columns, "models")


def _errors_table(by: object, models: Mapping[str, Mapping[str, Any]]) -> Table:
    found = [model["errors"] for model in models.values()]
    kinds = (_figures_column(name, [errors["delta_ap"][name] for errors in found], "{:+.3f}") for name in ERRORS)
    columns = [Column(str(by), list(models)), _figures_column("AP50", [errors["ap50"] for errors in found]), *kinds]
    return Table("ΔAP50 by error", columns, "models")


def _figures_column(title: str, values: Sequence[float | None], form: str = "{:.3f}") -> Column:
    """Return a column of figures; -1, COCO's figure without a truth to measure, is a dash and sorts as None."""
    known = [None if value is None or value == -1 else value for value in values]
    return Column(title, [NONE if value is None else form.format(value) for value in known], known)


def _figure(value: float) -> str:
    return NONE if value < 0 else f"{value:.3f}"


def _interval(limits: Sequence[float | None] | None, found: Mapping[str, Any] | None = None) -> str:
    if limits is None or limits[0] is None or limits[1] is None:
        return ""
    said = f"{limits[0]:.3f} to {limits[1]:.3f}"
    return f"{said} in {found['level']:.0%} of samples" if found else said
