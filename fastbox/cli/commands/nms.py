"""`fastbox nms`: detections without duplicates."""

from __future__ import annotations

import click

from fastbox.cli.command import Command, record
from fastbox.cli.fragments import Fragments
from fastbox.cli.options import (
    Table,
    agnostic_option,
    class_option,
    iou_threshold_option,
    json_option,
    keep_option,
    min_score_option,
    output_option,
    score_option,
    show,
)
from fastbox.cli.progress import progress
from fastbox.cli.types import Real
from fastbox.suppression import nms as suppression

__all__ = ["nms"]

METHODS = ("nms", *(f"soft-{method}" for method in suppression.METHODS))


@click.command(
    cls=Command,
    section="Compare boxes",
    examples=["fastbox nms detections.parquet --iou-threshold 0.6 -o kept.parquet"],
    short_help="Drop duplicate detections, image by image.",
)
@click.argument("detections", nargs=-1, required=True, type=click.Path())
@output_option()
@iou_threshold_option(0.5, "are duplicates")
@agnostic_option(None, "per class if there is a class column")
@class_option()
@score_option
@click.option(
    "--method",
    type=click.Choice(METHODS),
    default="nms",
    show_default=True,
    metavar="METHOD",
    help="Method: nms drops duplicates; soft-linear and soft-gaussian lower their scores.",
)
@click.option(
    "--sigma",
    type=Real(0, min_open=True),
    default=0.5,
    show_default=True,
    metavar="NUMBER",
    help="Width of soft-gaussian: the smaller, the faster scores fall.",
)
@min_score_option(None, "none; 0.001 with the soft methods")
@record("table", Table)
@keep_option("default: all")
@record("fragments", Fragments)
@json_option
def nms(
    detections: tuple[str, ...],
    output: str | None,
    iou_threshold: float,
    class_agnostic: bool | None,
    class_column: str,
    score_column: str,
    method: str,
    sigma: float,
    min_score: float | None,
    table: Table,
    keep: list[str] | None,
    fragments: Fragments,
    as_json: bool,
) -> None:
    """Drop duplicate detections, image by image.

    DETECTIONS are tables of boxes in any file format that fastbox reads. From the highest score down, a box is kept
    unless its IoU with a kept box is above the threshold. The kept rows are written in their order.
    """
    from fastbox.datasets.as_source import counted
    from fastbox.jobs.nms import nms as job
    from fastbox.report.terminal.suppressed import show_suppressed

    with progress("suppressing", counted(detections)) as step:
        found = fragments.run(
            job,
            table.source(detections),
            out=output,
            iou_threshold=iou_threshold,
            method=method,
            sigma=sigma,
            min_score=min_score,
            score=score_column,
            class_column=class_column,
            class_agnostic=class_agnostic,
            keep=keep,
            progress=step,
        )
    show(show_suppressed, found.to_dict(), as_json, [output])
