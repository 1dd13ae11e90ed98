"""`fastbox pairs`: the boxes of each image that overlap."""

from __future__ import annotations

import click

from fastbox.cli.command import Command, record
from fastbox.cli.fragments import Fragments
from fastbox.cli.options import (
    Table,
    Truths,
    agnostic_option,
    beta_option,
    class_option,
    json_option,
    keep_option,
    metrics_option,
    output_option,
    report_option,
    show,
)
from fastbox.cli.progress import progress
from fastbox.cli.types import Real
from fastbox.ops.search import METRICS, check_metric

__all__ = ["pairs"]


@click.command(
    cls=Command,
    section="Compare boxes",
    examples=[
        "fastbox pairs detections.parquet truths.parquet --best --boxes -o pairs.parquet",
        "fastbox pairs truths.parquet --threshold 0.9",
    ],
    short_help="Pair detections with ground truth, image by image.",
)
@click.argument("detections", type=click.Path())
@click.argument("truths", required=False, type=click.Path())
@output_option()
@click.option(
    "--threshold",
    type=Real(),
    default=0.5,
    show_default=True,
    metavar="VALUE",
    help="Least value of the first metric, such as IoU ≥ 0.50; for l1 and smooth_l1 the largest, in pixels.",
)
@click.option("--all", "every", is_flag=True, help="Every pair of an image, whatever its value.")
@click.option("--best", is_flag=True, help="One row for each detection, with its best truth.")
@agnostic_option(True, "class-agnostic")
@class_option()
@metrics_option(check_metric, ("iou",), f"of {', '.join(METRICS)}")
@beta_option
@record("table", Table)
@record("truth_columns", Truths)
@keep_option("of the detections; default: none")
@click.option("--boxes", is_flag=True, help="Write both boxes of each pair, as `fastbox measure` reads them.")
@report_option
@record("fragments", Fragments)
@json_option
def pairs(
    detections: str,
    truths: str | None,
    output: str | None,
    threshold: float,
    every: bool,
    best: bool,
    class_agnostic: bool,
    class_column: str,
    metrics: list[str],
    beta: float,
    table: Table,
    truth_columns: Truths,
    keep: list[str] | None,
    boxes: bool,
    fragments: Fragments,
    report: str | None,
    as_json: bool,
) -> None:
    """Pair the boxes of each image: detections with ground truth, or one table with itself.

    DETECTIONS and TRUTHS are tables of boxes in any file format that fastbox reads. With one table the pairs are
    near-duplicates within each image. An image that is in one of two tables alone counts too.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted
    from fastbox.report.terminal import summary as terminal

    with progress("pairing", counted(detections, truths)) as step:
        found = fragments.run(
            jobs.pairs,
            table.source(detections),
            None if truths is None else truth_columns.source(truths, table),
            out=output,
            threshold=threshold,
            every=every,
            best=best,
            class_column=class_column,
            class_agnostic=class_agnostic,
            metrics=metrics,
            beta=beta,
            keep=keep or (),
            boxes=boxes,
            report=report,
            progress=step,
        )
    show(terminal.show_paired, found.to_dict(), as_json, [output, report])
