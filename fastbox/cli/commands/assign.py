"""`fastbox assign`: anchors assigned to ground truth, and its coverage."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from fastbox.assign.registry import RULES
from fastbox.cli.command import Command, option, record
from fastbox.cli.fragments import Fragments
from fastbox.cli.options import Table, class_option, json_option, output_option, plot_option, report_option, show
from fastbox.cli.progress import progress
from fastbox.cli.types import Column, Real
from fastbox.errors import InputError

if TYPE_CHECKING:
    from fastbox.assign.rule import MatchRule

__all__ = ["assign"]

FLOORED = ("faster-rcnn-fpn", "retinanet")  # torchvision's presets: its resize rounds down


def size_of(context: click.Context, parameter: click.Parameter, value: str) -> tuple[float, ...]:
    """One or two whole numbers of at least 1."""
    sides = value.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and int(side) > 0 for side in sides):
        raise click.BadParameter(f"expected HEIGHTxWIDTH such as 800x1333, or the longer side alone, got {value!r}")
    return tuple(float(side) for side in sides)


@dataclass(frozen=True)
class Rule:
    """The matching rule."""

    name: str = option(
        "--rule", default="fastbox", show_default=True, metavar="NAME", help=f"Matching rule: {', '.join(RULES)}."
    )
    high: float | None = option(
        "--high", type=Real(0, 1), metavar="IOU", help="IoU from which on an anchor is positive (default: the rule's)."
    )
    low: float | None = option(
        "--low", type=Real(0, 1), metavar="IOU", help="IoU below which an anchor is negative (default: the rule's)."
    )

    def made(self) -> MatchRule:
        """Return the rule with the thresholds that are given."""
        from fastbox.assign.registry import as_rule

        rule: MatchRule = as_rule(self.name)
        low, high, count = self.low, self.high, len(rule.thresholds)
        given = [low, high] if count == 2 else [high] if count == 1 else []
        if (low, high) != (None, None) and (not given or (low is not None and count < 2)):
            raise ValueError(f"expected a rule that has {'--low' if high is None else '--high'}, got {self.name!r}")
        thresholds = [old if new is None else new for old, new in zip(rule.thresholds, given, strict=False)]
        return replace(rule, thresholds=tuple(thresholds)) if thresholds else rule


@click.command(
    cls=Command,
    section="Evaluate and train",
    examples=["fastbox assign truths.parquet --anchors retinanet --size 640 -o assigned.parquet"],
    short_help="Assign anchors to ground truth, and measure how well it is covered.",
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
@record("rule", Rule)
@click.option(
    "--ignore-column",
    type=Column(),
    metavar="COLUMN",
    help="Column of truths to ignore, such as iscrowd (default: none).",
)
@class_option(None, "category_id, or another of its usual names")
@record("table", Table)
@output_option("the positive and ignored anchors, as Parquet")
@plot_option
@report_option
@record("fragments", Fragments)
@json_option
def assign(
    truths: tuple[str, ...],
    anchors: str,
    size: tuple[float, ...],
    resize: str | None,
    rule: Rule,
    ignore_column: str | None,
    class_column: str | None,
    table: Table,
    output: str | None,
    plot: str | None,
    fragments: Fragments,
    report: str | None,
    as_json: bool,
) -> None:
    """Assign the anchors of every image to its ground truth.

    TRUTHS are tables of boxes in any file format that fastbox reads. Writes the anchors that are positive or ignored;
    all others are negative. Reports anchors by level, and how well the ground truth is covered: recall by IoU, size and
    class, and the truths without a positive anchor.
    """
    from fastbox import jobs
    from fastbox.anchors import AnchorGrid
    from fastbox.anchors.resize import Resize
    from fastbox.datasets.as_source import as_source, counted
    from fastbox.report.terminal.assigned import show_assigned
    from fastbox.tables.files import column_names
    from fastbox.values.names import CLASS, column_of

    if plot is not None:
        from fastbox.report.figures.base import check_picture
        from fastbox.storage.outputs import check_outputs

        check_picture(plot)
        check_outputs([truths], {}, {"output": output, "plot": plot, "report": report})
    try:
        grid = AnchorGrid.from_fit(anchors) if anchors.lower().endswith(".json") else AnchorGrid.preset(anchors)
        chosen = rule.made()
    except InputError:
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    source = as_source(table.source(truths), "truths")
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
    found_class = class_column or column_of(names, CLASS, "the truths")
    with progress("assigning", counted(truths)) as step:
        found = fragments.run(
            jobs.assign,
            source,
            anchors=grid,
            out=output,
            resize=Resize(kind, lengths[0], lengths[1] if len(lengths) > 1 else math.nan, anchors in FLOORED),
            rule=chosen,
            ignore=ignore_column,
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
