"""`fastbox nms`: detections without duplicates."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.cli.command import Command, alone, is_given, option, record
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
from fastbox.suppression.nms import METHODS

__all__ = ["nms"]

suppressed = deferred("fastbox.report.terminal.suppressed")


@dataclass(frozen=True)
class Suppression:
    """The arguments of :func:`fastbox.jobs.nms`."""

    iou_threshold: float = iou_threshold_option(0.5, "are duplicates")
    class_agnostic: bool | None = agnostic_option(None, "per class if there is a class column")
    class_column: str = class_option()
    score_column: str = score_option()
    method: str = option(
        "--method",
        type=click.Choice(METHODS),
        default="nms",
        show_default=True,
        metavar="METHOD",
        help="Method: nms drops duplicates; soft-linear and soft-gaussian lower their scores.",
    )
    sigma: float | None = option(
        "--sigma",
        type=Real(0, min_open=True),
        metavar="NUMBER",
        help="Width of soft-gaussian; scores fall faster with a smaller width (default: 0.5).",
    )
    min_score: float | None = min_score_option(None, "none; 0.001 with the soft methods")
    keep: list[str] | None = keep_option("default: all")


@click.command(
    cls=Command,
    section="Compare boxes",
    examples=["fastbox nms detections.parquet --iou-threshold 0.6 -o kept.parquet"],
    short_help="Drop duplicate detections, image by image.",
)
@click.argument("detections", nargs=-1, required=True, type=click.Path())
@alone("output", output_option())
@record("suppression", Suppression)
@record("table", Table)
@record("fragments", Fragments)
@alone("as_json", json_option())
def nms(
    detections: tuple[str, ...],
    output: str | None,
    suppression: Suppression,
    table: Table,
    fragments: Fragments,
    as_json: bool,
) -> None:
    """Drop duplicate detections, image by image.

    DETECTIONS are tables of boxes in any file format that fastbox reads. From the highest score down, a box is kept
    unless its IoU with a kept box is above the threshold. The kept rows are written in their order.
    """
    from fastbox.datasets.as_source import counted
    from fastbox.jobs.nms import nms as job

    if suppression.sigma is not None and suppression.method != "soft-gaussian":
        raise click.UsageError(f"expected --method soft-gaussian with --sigma, got {suppression.method}")
    if suppression.method == "soft-gaussian" and is_given("suppression", "iou_threshold"):
        raise click.UsageError("expected --sigma with --method soft-gaussian, got --iou-threshold: leave it out")
    with progress("suppressing", counted(detections)) as step:
        found = fragments.run(job, table.source(detections), out=output, **vars(suppression), progress=step)
    show(lambda *given: suppressed.show_suppressed(*given), found.to_dict(), as_json, [output])
