"""`fastbox fuse`: the boxes of several detectors as one."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.cli.command import Command, alone, option, record
from fastbox.cli.options import (
    Table,
    agnostic_option,
    class_option,
    iou_threshold_option,
    json_option,
    memory_option,
    min_score_option,
    output_option,
    score_option,
    show,
)
from fastbox.cli.progress import progress
from fastbox.cli.types import Numbers
from fastbox.kernels.codes import CONFIDENCES

__all__ = ["fuse"]

suppressed = deferred("fastbox.report.terminal.suppressed")


@dataclass(frozen=True)
class Fusion:
    """The arguments of :func:`fastbox.jobs.fuse`."""

    iou_threshold: float = iou_threshold_option(0.55, "are fused")
    weights: list[float] | None = option(
        "--weights", type=Numbers(), metavar="NUMBERS", help="Weight of each table (default: equal weights)."
    )
    min_score: float = min_score_option(0.0, "0")
    conf_type: str = option(
        "--conf-type",
        type=click.Choice(CONFIDENCES),
        default="avg",
        show_default=True,
        metavar="TYPE",
        help=f"Score of fused boxes: {', '.join(CONFIDENCES)}.",
    )
    class_agnostic: bool | None = agnostic_option(None, "per class if there is a class column")
    class_column: str = class_option()
    score_column: str = score_option()


@click.command(
    cls=Command,
    section="Compare boxes",
    examples=["fastbox fuse detections.parquet more.parquet --weights 2,1 -o fused.parquet"],
    short_help="Fuse the boxes of several detectors, image by image.",
)
@click.argument("tables", nargs=-1, required=True, type=click.Path())
@alone("output", output_option())
@record("fusion", Fusion)
@record("columns", Table)
@alone("memory", memory_option())
@alone("as_json", json_option())
def fuse(
    tables: tuple[str, ...], output: str | None, fusion: Fusion, columns: Table, memory: str | None, as_json: bool
) -> None:
    """Fuse the boxes of several detectors, image by image.

    TABLES are tables of boxes in any file format that fastbox reads, one for each detector. Boxes that overlap become
    their mean, weighted by score (weighted boxes fusion). The fewer detectors found a box, the lower is its score.
    """
    from fastbox.datasets.as_source import counted
    from fastbox.jobs.fuse import fuse as job

    if fusion.weights is not None and len(fusion.weights) != len(tables):
        raise click.UsageError(f"expected --weights for each table ({len(tables)}), got {len(fusion.weights)}")
    with progress("fusing", counted(*tables)) as step:
        found = job([columns.source(table) for table in tables], output, **vars(fusion), progress=step)
    show(lambda *given: suppressed.show_fused(*given), found.to_dict(), as_json, [output])
