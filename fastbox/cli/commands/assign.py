"""`fastbox assign`: anchors assigned to ground truth, and its coverage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from fastbox._lazy import deferred
from fastbox.assign.registry import rules_of
from fastbox.assign.rule import MatchRule
from fastbox.cli.command import Command, alone, option, record
from fastbox.cli.fragments import Fragments
from fastbox.cli.options import (
    Shown,
    Table,
    class_option,
    output_option,
)
from fastbox.cli.plot import check_plot, plot_option
from fastbox.cli.progress import progress
from fastbox.cli.types import RESIZE_HELP, Column, Real, ResizeRule, Size
from fastbox.errors import InputError

if TYPE_CHECKING:
    from fastbox.anchors.resize import Resize
    from fastbox.assign.rule import MatchRule

__all__ = ["assign"]

assigned = deferred("fastbox.report.terminal.assigned")

FLOORED = ("faster-rcnn-fpn", "retinanet")  # torchvision's presets: its resize rounds down


@dataclass(frozen=True)
class Truths(Table):
    """The columns of the ground truth."""

    ignore_column: str | None = option(
        "--ignore-column",
        type=Column(),
        metavar="COLUMN",
        help="Column of truths to ignore, such as iscrowd (default: none).",
    )
    class_column: str | None = class_option(None, "category_id, or another of its usual names")


@dataclass(frozen=True)
class Drawn(Shown):
    """The ways in which an assignment is shown."""

    plot: str | None = plot_option()


@dataclass(frozen=True)
class Rule:
    """The matching rule."""

    name: str = option(
        "--rule",
        default="fastbox",
        show_default=True,
        metavar="NAME",
        help=f"Matching rule: {', '.join(rules_of(MatchRule))}.",
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


@dataclass(frozen=True)
class Scaling:
    """The sizes of the images, as the anchors are laid over them."""

    resize: Resize | None = option("--resize", type=ResizeRule(), metavar="RULE", help=RESIZE_HELP)
    size: tuple[int, int] | None = option(
        "--size",
        type=Size(),
        metavar="WIDTHxHEIGHT",
        help="Size of all images, where none is resized (with --resize, sizes are read from columns width and height).",
    )

    def made(self, floor: bool) -> Resize:
        """Return the rule of resizing; ``floor`` rounds scaled sides down."""
        from fastbox.anchors.resize import Resize

        if self.resize is not None and self.size is None:
            return self.resize._replace(floor=floor)
        if self.size is not None and self.resize is None:
            return Resize("none", *self.size)
        got = "neither" if self.size is None else "both"
        raise click.UsageError(
            f"expected --resize or --size, got {got}: give --resize where images are resized, such as 640 or "
            "shorter=800,longer=1333, or --size WIDTHxHEIGHT where all have this size"
        )


@click.command(
    cls=Command,
    section="Evaluate and train",
    examples=["fastbox assign truths.parquet --anchors retinanet --resize 640 -o out.parquet"],
    short_help="Assign anchors to ground truth, and measure how well it is covered.",
    options_metavar="--anchors PRESET [OPTIONS]",
)
@click.argument("truths", nargs=-1, required=True, type=click.Path())
@click.option(
    "--anchors",
    required=True,
    metavar="PRESET",
    help="The grid of anchors: a preset, such as retinanet, faster-rcnn-fpn, ssd300 or yolov3, or FITTED.json, as "
    "`fastbox anchors -o` writes it.",
)
@record("scaling", Scaling)
@record("rule", Rule)
@record("table", Truths)
@alone("output", output_option("the positive and ignored anchors, as Parquet"))
@record("fragments", Fragments)
@record("shown", Drawn)
def assign(
    truths: tuple[str, ...],
    anchors: str,
    scaling: Scaling,
    rule: Rule,
    table: Truths,
    output: str | None,
    fragments: Fragments,
    shown: Drawn,
) -> None:
    """Assign the anchors of every image to its ground truth.

    TRUTHS are tables of boxes in any file format that fastbox reads. Writes the anchors that are positive or ignored;
    all others are negative. Reports anchors by level, and how well the ground truth is covered: recall by IoU, size and
    class, and the truths without a positive anchor.
    """
    from fastbox import jobs
    from fastbox.anchors import AnchorGrid
    from fastbox.datasets.as_source import as_source, counted
    from fastbox.tables.files import column_names
    from fastbox.values.names import CLASS, column_of

    check_plot(shown.plot, [truths], {"output": output, "report": shown.report}, shown.pictures)
    try:
        grid = AnchorGrid.from_fit(anchors) if anchors.lower().endswith(".json") else AnchorGrid.preset(anchors)
        chosen = rule.made()
    except InputError:
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    resize = scaling.made(floor=anchors in FLOORED)
    source = as_source(table.source(truths), "truths")
    found_class = table.class_column or column_of(column_names(source.path), CLASS, "the truths")
    with progress("assigning", counted(truths)) as step:
        found = fragments.run(
            jobs.assign,
            source,
            anchors=grid,
            out=output,
            resize=resize,
            rule=chosen,
            ignore_column=table.ignore_column,
            class_column=found_class,
            **shown.page(),
            progress=step,
        )
    summary = found.to_dict()
    if shown.plot is not None:
        from fastbox.report.figures.coverage import plot_coverage

        plot_coverage(
            summary["coverage"],
            shown.plot,
            f"{anchors} at {resize}: how well anchors cover the ground truth",
        )
    shown.show(lambda *given: assigned.show_assigned(*given), summary, output, shown.plot)
