"""`fastbox assign`: anchors or points assigned to ground truth, and its coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
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
from fastbox.cli.pointed import Pointed, as_usage_errors
from fastbox.cli.progress import progress
from fastbox.cli.types import RESIZE_HELP, Column, Names, Real, ResizeRule, Sizes

if TYPE_CHECKING:
    from fastbox.anchors.resize import Resize
    from fastbox.tables.source import Source

__all__ = ["assign"]

assigned = deferred("fastbox.report.terminal.assigned")
starved = deferred("fastbox.report.terminal.starved")
learnt = deferred("fastbox.report.terminal.learnt")

ANCHORED = "fastbox"  # the rule for anchors, if no other is named

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
        default=ANCHORED,
        show_default=True,
        metavar="NAME",
        help=f"Matching rule: {', '.join(rules_of(MatchRule))}; with --points a rule for points (default: the "
        "preset's).",
    )
    high: float | None = option(
        "--high", type=Real(0, 1), metavar="IOU", help="IoU from which on an anchor is positive (default: the rule's)."
    )
    low: float | None = option(
        "--low", type=Real(0, 1), metavar="IOU", help="IoU below which an anchor is negative (default: the rule's)."
    )

    @property
    def given(self) -> str | None:
        """The rule for points; None for those of the presets."""
        return None if self.name == ANCHORED else self.name

    def made(self) -> MatchRule:
        """Return the rule for anchors with the thresholds that are given."""
        from fastbox.assign.registry import as_rule_of

        rule = as_rule_of(MatchRule, self.name)
        low, high, count = self.low, self.high, len(rule.thresholds)
        given = [low, high] if count == 2 else [high] if count == 1 else []
        if (low, high) != (None, None) and (not given or (low is not None and count < 2)):
            raise ValueError(f"expected a rule that has {'--low' if high is None else '--high'}, got {self.name!r}")
        if low is not None and high is not None and low > high:
            raise ValueError(f"expected --low up to --high, got --low {low:g} and --high {high:g}")
        thresholds = [old if new is None else new for old, new in zip(rule.thresholds, given, strict=False)]
        return replace(rule, thresholds=tuple(thresholds)) if thresholds else rule


@dataclass(frozen=True)
class Grids:
    """The anchors or points, and the sizes of the images over which they are laid."""

    anchors: list[str] | None = option(
        "--anchors",
        type=Names(),
        metavar="PRESET",
        help="The grid of anchors: a preset, such as retinanet, faster-rcnn-fpn, ssd300 or yolov3, or FITTED.json, as "
        "`fastbox anchors -o` writes it. With --points, presets to compare with.",
    )
    points: list[str] | None = option(
        "--points",
        type=Names(),
        metavar="PRESETS",
        help="Detectors without anchors: presets of points, such as yolov8,yolov8-p2,yolox,rtmdet or fcos; "
        "yolov8:4+8+16 has other strides. Counts the points that each truth could have.",
    )
    resize: Resize | None = option("--resize", type=ResizeRule(), metavar="RULE", help=RESIZE_HELP)
    size: tuple[str, ...] = option(
        "--size",
        type=Sizes(),
        default=(),
        metavar="WIDTHxHEIGHT",
        help="Size of all images, where none is resized. With --points the inputs of the network, such as 320,640 or "
        "640x480, in which images are letterboxed (default: each detector's own).",
    )

    def only(self) -> str:
        """Return the one preset of anchors, where no points are asked for."""
        if not self.anchors:
            raise click.UsageError(
                "expected --anchors or --points, got neither: give a preset, such as --anchors retinanet or "
                "--points yolov8"
            )
        if len(self.anchors) > 1:
            got = ",".join(self.anchors)
            raise click.UsageError(
                f"expected one preset with --anchors, got {got!r}: give one, or add --points to compare"
            )
        return self.anchors[0]

    def resized(self, floor: bool) -> Resize:
        """Return the rule of resizing for anchors; ``floor`` rounds scaled sides down."""
        from fastbox.anchors.resize import Resize

        if self.resize is not None and not self.size:
            return self.resize._replace(floor=floor)
        if self.size and self.resize is None:
            if len(self.size) > 1 or "x" not in self.size[0]:
                got = ",".join(self.size)
                raise click.UsageError(f"expected WIDTHxHEIGHT in whole pixels, such as 640x480, got {got!r}")
            width, height = map(int, self.size[0].split("x"))
            return Resize("none", width, height)
        got = "both" if self.size else "neither"
        raise click.UsageError(
            f"expected --resize or --size, got {got}: give --resize where images are resized, such as 640 or "
            "shorter=800,longer=1333, or --size WIDTHxHEIGHT where all have this size"
        )


@click.command(
    cls=Command,
    section="Evaluate and train",
    examples=[
        "fastbox assign truths.parquet --anchors retinanet --resize 640 -o out.parquet",
        "fastbox assign truths.parquet --points yolov8,yolox --size 320,640,1280",
    ],
    short_help="Assign anchors or points to ground truth, and measure how well it is covered.",
    options_metavar="--anchors PRESET | --points PRESETS [OPTIONS]",
)
@click.argument("truths", nargs=-1, required=True, type=click.Path())
@record("grids", Grids)
@record("rule", Rule)
@record("table", Truths)
@record("pointed", Pointed)
@alone("output", output_option("the positive and ignored anchors, or the positive points, as Parquet"))
@record("fragments", Fragments)
@record("shown", Drawn)
def assign(
    truths: tuple[str, ...],
    grids: Grids,
    rule: Rule,
    table: Truths,
    pointed: Pointed,
    output: str | None,
    fragments: Fragments,
    shown: Drawn,
) -> None:
    """Assign the anchors of every image to its ground truth, or count the points that could learn it.

    TRUTHS are tables of boxes in any file format that fastbox reads. With --anchors, writes the anchors that are
    positive or ignored; all others are negative. Reports anchors by level, and how well the ground truth is covered:
    recall by IoU, size and class, and the truths without a positive anchor.

    With --points, reports the truths that no point may learn, for each detector and input side by side. With raw
    predictions too, assigns the points exactly as the training does; FCOS needs none.
    """
    from fastbox.datasets.as_source import as_source
    from fastbox.tables.files import column_names
    from fastbox.values.names import CLASS, column_of

    check_plot(shown.plot, [truths], {"output": output, "report": shown.report}, shown.pictures)
    source = as_source(table.source(truths), "truths")
    found_class = table.class_column or column_of(column_names(source.path), CLASS, "the truths")
    read = {"ignore_column": table.ignore_column, "class_column": found_class}
    if grids.points:
        assigns = pointed.assigns(output, {"--plot": shown.plot, "--high": rule.high, "--low": rule.low})
        presets = {"points": grids.points, "compared": grids.anchors or []}
        inputs = {"sizes": list(grids.size), "resize": grids.resize, "rule": rule.given}
        options: dict[str, Any] = {**presets, **inputs, **read, **shown.page()}
        if assigns:
            summary = pointed.assign(fragments, source, output, options)
            shown.show(lambda *given: learnt.show_learnt(*given), summary, output)
        else:
            summary = pointed.count(fragments, source, options)
            shown.show(lambda *given: starved.show_starved(*given), summary, pointed.starved)
        return
    pointed.check_unused()
    anchors = grids.only()
    resize = grids.resized(floor=anchors in FLOORED)
    with as_usage_errors():
        chosen = rule.made()
    summary = _anchored(source, anchors, fragments, output, {"resize": resize, "rule": chosen, **read, **shown.page()})
    if shown.plot is not None:
        from fastbox.report.figures.coverage import plot_coverage

        plot_coverage(
            summary["coverage"],
            shown.plot,
            f"{anchors} at {resize}: how well anchors cover the ground truth",
        )
    shown.show(lambda *given: assigned.show_assigned(*given), summary, output, shown.plot)


def _anchored(
    source: Source, anchors: str, fragments: Fragments, output: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Run the job of anchors, and return its summary."""
    from fastbox import jobs
    from fastbox.anchors import AnchorGrid
    from fastbox.datasets.as_source import counted

    with as_usage_errors():
        grid = AnchorGrid.from_fit(anchors) if anchors.lower().endswith(".json") else AnchorGrid.preset(anchors)
    with progress("assigning", counted(source)) as step:
        found = fragments.run(jobs.assign, source, anchors=grid, out=output, **options, progress=step)
    summary: dict[str, Any] = found.to_dict()
    return summary
