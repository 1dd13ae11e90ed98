"""`fastbox fuse`: the boxes of several detectors as one."""

from __future__ import annotations

import click

from fastbox.cli.options import (
    class_option,
    format_option,
    image_option,
    json_option,
    memory_option,
    output_option,
    score_option,
    show,
)
from fastbox.cli.progress import progress
from fastbox.kernels.codes import CONFIDENCES

__all__ = ["fuse"]


def weights_of(context: click.Context, parameter: click.Parameter, value: str | None) -> list[float] | None:
    """Numbers above 0 with commas between."""
    if value is None:
        return None
    try:
        weights = [float(part) for part in value.split(",")]
        if not all(0 < weight < float("inf") for weight in weights):
            raise ValueError
    except ValueError:
        raise click.BadParameter(f"expected numbers above 0 with commas between, such as 2,1, got {value!r}") from None
    return weights


@click.command(short_help="Fuse the boxes of several detectors, image by image.")
@click.argument("tables", nargs=-1, required=True, type=click.Path())
@output_option
@click.option(
    "--iou-threshold",
    type=click.FloatRange(0, 1),
    default=0.55,
    show_default=True,
    metavar="IOU",
    help="Boxes with a higher IoU are fused.",
)
@click.option(
    "--weights", callback=weights_of, metavar="NUMBERS", help="How far each table is trusted (default: all alike)."
)
@click.option(
    "--min-score",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="SCORE",
    help="Leave out boxes of a lower score.",
)
@click.option(
    "--conf-type",
    type=click.Choice(CONFIDENCES),
    default="avg",
    show_default=True,
    metavar="TYPE",
    help=f"The score of fused boxes: {', '.join(CONFIDENCES)}.",
)
@click.option(
    "--class-agnostic/--per-class",
    default=None,
    help="Fuse boxes of all classes, or per class (default: per class if there is a class column).",
)
@class_option
@image_option
@score_option
@click.option("--box", metavar="COLUMNS", help="Boxes: one column, or four with commas (default: found by name).")
@format_option
@memory_option
@json_option
def fuse(
    tables: tuple[str, ...],
    output: str | None,
    iou_threshold: float,
    weights: list[float] | None,
    min_score: float,
    conf_type: str,
    class_agnostic: bool | None,
    class_: str,
    image: str,
    score: str,
    box: str | None,
    format_: str | None,
    as_json: bool,
) -> None:
    """Fuse the boxes of several detectors, image by image.

    TABLES are tables of boxes in any format that fastbox reads, one for each detector. Boxes that overlap
    become their mean, weighted by score (weighted boxes fusion); a score falls where few detectors agree.
    """
    from fastbox.datasets.as_source import counted
    from fastbox.jobs.fuse import fuse as job
    from fastbox.report.terminal.suppressed import show_fused
    from fastbox.tables.source import Source

    if weights is not None and len(weights) != len(tables):
        raise click.UsageError(f"expected --weights for {len(tables)} tables, got {len(weights)}")
    sources = [Source(table, boxes=box, format=format_, image=image) for table in tables]
    with progress("fusing", counted(*tables)) as step:
        found = job(
            sources,
            output,
            iou_threshold=iou_threshold,
            weights=weights,
            min_score=min_score,
            conf_type=conf_type,
            score=score,
            class_column=class_,
            class_agnostic=class_agnostic,
            progress=step,
        )
    show(show_fused, found.to_dict(), as_json, [output])
