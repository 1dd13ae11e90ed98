"""`fastbox assign`: anchors to truths, and how well the truths are covered."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import click

from fastbox.assign.registry import RULES
from fastbox.cli.fragments import Fragments, fragment_options
from fastbox.cli.options import format_option, image_option, json_option, output_option, report_option, show
from fastbox.cli.progress import progress
from fastbox.errors import InputError

__all__ = ["assign"]

FLOORED = ("faster-rcnn-fpn", "retinanet")  # torchvision's presets: its resize rounds down


def size_of(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    """One or two whole numbers of at least 1."""
    sides = value.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise click.BadParameter(f"expected HEIGHTxWIDTH such as 800x1333, or the longer side alone, got {value!r}")
    return tuple(float(side) for side in sides)


@click.command(
    short_help="Assign anchors to truths, and see how well they are covered.",
    options_metavar="--anchors PRESET --size HxW [OPTIONS]",
)
@click.argument("truths", nargs=-1, required=True, type=click.Path())
@click.option(
    "--anchors",
    required=True,
    metavar="PRESET",
    help="The grid of anchors: a preset, such as retinanet, faster-rcnn-fpn, ssd300 or yolov3, or FITTED.json, as "
    "`fastbox anchors -o` writes it.",
)
@click.option(
    "--size",
    required=True,
    metavar="HxW",
    callback=size_of,
    help="The size that images are brought to, as papers write it: 800x1333 for a shorter side of 800 and a longer one "
    "of at most 1333, or 640 for a longer side of 640.",
)
@click.option(
    "--resize",
    type=click.Choice(["shorter", "both", "none"]),
    help="shorter: as above; both: exactly that height and width; none: all images are that high and wide already "
    "(default: both for SSD, shorter where the table has columns width and height, else none).",
)
@click.option(
    "--rule", default="fastbox", show_default=True, metavar="NAME", help=f"Matching rule: {', '.join(RULES)}."
)
@click.option(
    "--high",
    type=click.FloatRange(0, 1),
    metavar="IOU",
    help="IoU from which on an anchor is positive (default: the rule's).",
)
@click.option(
    "--low",
    type=click.FloatRange(0, 1),
    metavar="IOU",
    help="IoU below which an anchor is negative (default: the rule's).",
)
@click.option("--ignore", metavar="COLUMN", help="Rows where this is set are regions to ignore, such as iscrowd.")
@click.option("--class", "class_", metavar="COLUMN", help="Class column, for coverage by class (default: category_id).")
@image_option
@click.option("--box", metavar="COLUMNS", help="Boxes: one column, or four with commas (default: found by name).")
@format_option
@output_option
@click.option("--plot", type=click.Path(), metavar="OUT", help="Draw the coverage: .svg, .png or .pdf.")
@report_option
@fragment_options
@json_option
def assign(
    truths: tuple[str, ...],
    anchors: str,
    size: tuple[float, ...],
    resize: str | None,
    rule: str,
    high: float | None,
    low: float | None,
    ignore: str | None,
    class_: str | None,
    image: str,
    box: str | None,
    format_: str | None,
    output: str | None,
    plot: str | None,
    fragments: Fragments,
    report: str | None,
    as_json: bool,
) -> None:
    """Assign the anchors of every image to its truths.

    TRUTHS are tables of boxes in any format that fastbox reads. Writes the anchors that are positive or ignored;
    all others are negative. Reports anchors by level, and how well the truths are covered: recall by IoU, size and
    class, and those that no anchor is positive for.
    """
    from fastbox import jobs
    from fastbox.anchors import AnchorGrid
    from fastbox.anchors.resize import Resize
    from fastbox.datasets.as_source import as_source, counted
    from fastbox.report.terminal.assigned import show_assigned
    from fastbox.tables.files import column_names
    from fastbox.tables.source import Source
    from fastbox.values.names import CLASS, column_of

    if plot is not None:
        from fastbox.report.figures.base import check_picture
        from fastbox.storage.outputs import check_outputs

        check_picture(plot)
        check_outputs([truths], {}, {"output": output, "plot": plot, "report": report})
    try:
        grid = AnchorGrid.from_fit(anchors) if anchors.lower().endswith(".json") else AnchorGrid.preset(anchors)
        chosen = _rule(rule, high, low)
    except InputError:
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    source = as_source(Source(truths, boxes=box, format=format_, image=image), "truths")
    names = column_names(source.path)
    if len(size) == 1 and resize is not None:
        raise click.UsageError(
            f"expected --size HEIGHTxWIDTH with --resize {resize}, got --size {size[0]:g}, which is the longer side's: "
            f"leave --resize out, or give --size {size[0]:g}x{size[0]:g}"
        )
    if resize is None:
        resize = "both" if anchors.startswith("ssd") else "shorter" if {"width", "height"} <= set(names) else "none"
    kind = "longer" if len(size) == 1 else resize
    lengths = sorted(size) if kind == "shorter" else size[::-1]
    found_class = class_ or column_of(names, CLASS, "the truths")
    with progress("assigning", counted(truths)) as step:
        found = fragments.run(
            jobs.assign,
            source,
            anchors=grid,
            out=output,
            resize=Resize(kind, lengths[0], lengths[1] if len(lengths) > 1 else math.nan, anchors in FLOORED),
            rule=chosen,
            ignore=ignore,
            class_column=found_class,
            report=report,
            progress=step,
        )
    summary = found.to_dict()
    if plot is not None:
        from fastbox.report.figures.coverage import plot_coverage

        written = " × ".join(f"{side:g}" for side in size)
        plot_coverage(
            summary["coverage"],
            plot,
            f"{anchors} at {written}: how well anchors cover the truths",
        )
    show(show_assigned, summary, as_json, [output, plot, report])


def _rule(name: str, high: float | None, low: float | None) -> Any:
    """The rule of this name, with other thresholds where they are given."""
    from fastbox.assign.registry import as_rule

    rule = as_rule(name)
    given = [low, high] if len(rule.thresholds) == 2 else [high] if len(rule.thresholds) == 1 else []
    if (low, high) != (None, None) and (not given or (low is not None and len(given) < 2)):
        raise ValueError(f"expected a rule that has {'--high' if high is not None else '--low'}, got {name!r}")
    thresholds = [old if new is None else new for old, new in zip(rule.thresholds, given, strict=False)]
    return replace(rule, thresholds=tuple(thresholds)) if thresholds else rule
