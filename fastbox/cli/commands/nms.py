"""`fastbox nms`: detections without duplicates."""

from __future__ import annotations

import math

import click

from fastbox.cli.fragments import Fragments, fragment_options
from fastbox.cli.options import (
    class_option,
    format_option,
    image_option,
    json_option,
    output_option,
    score_option,
    show,
    split,
)
from fastbox.cli.progress import progress
from fastbox.suppression import nms as suppression

__all__ = ["nms"]

METHODS = ("nms", *(f"soft-{method}" for method in suppression.METHODS))


def number(context: click.Context, parameter: click.Parameter, value: float | None) -> float | None:
    """A finite number, or none."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"expected a finite number, got {value}")
    return value


@click.command(short_help="Drop duplicate detections, image by image.")
@click.argument("detections", nargs=-1, required=True, type=click.Path())
@output_option
@click.option(
    "--iou-threshold",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    metavar="IOU",
    callback=number,
    help="Boxes with a higher IoU are duplicates.",
)
@click.option(
    "--class-agnostic/--per-class",
    default=None,
    help="Compare boxes of all classes, or per class (default: per class if there is a class column).",
)
@class_option
@image_option
@score_option
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="nms",
    show_default=True,
    metavar="METHOD",
    help=f"{', '.join(METHODS)}: drop duplicates, or lower their scores.",
)
@click.option(
    "--sigma",
    type=click.FloatRange(0, min_open=True),
    default=0.5,
    show_default=True,
    metavar="NUMBER",
    callback=number,
    help="How far soft-gaussian reaches: the smaller, the faster scores fall.",
)
@click.option(
    "--min-score",
    type=click.FloatRange(0),
    metavar="SCORE",
    callback=number,
    help="Leave out boxes of a lower score (default: 0.001 with the soft methods).",
)
@click.option("--box", metavar="COLUMNS", help="Boxes: one column, or four with commas (default: found by name).")
@format_option
@click.option("--keep", metavar="COLUMNS", callback=split, help="Columns to write (default: all).")
@fragment_options
@json_option
def nms(
    detections: tuple[str, ...],
    output: str | None,
    iou_threshold: float,
    class_agnostic: bool | None,
    class_: str,
    image: str,
    score: str,
    method: str,
    sigma: float,
    min_score: float | None,
    box: str | None,
    format_: str | None,
    keep: list[str] | None,
    fragments: Fragments,
    as_json: bool,
) -> None:
    """Drop duplicate detections, image by image.

    DETECTIONS are tables of boxes in any format that fastbox reads. From the highest score down, a box is kept
    unless its IoU with one kept before is above the threshold. The rows that are kept are written in their order.
    """
    from fastbox.datasets.as_source import counted
    from fastbox.jobs.nms import nms as job
    from fastbox.report.terminal.suppressed import show_suppressed
    from fastbox.tables.source import Source

    source = Source(detections, boxes=box, format=format_, image=image)
    with progress("suppressing", counted(detections)) as step:
        found = fragments.run(
            job,
            source,
            out=output,
            iou_threshold=iou_threshold,
            method=method,
            sigma=sigma,
            min_score=min_score,
            score=score,
            class_column=class_,
            class_agnostic=class_agnostic,
            keep=keep,
            progress=step,
        )
    show(show_suppressed, found.to_dict(), as_json, [output])
