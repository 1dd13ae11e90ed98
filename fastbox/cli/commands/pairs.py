"""`fastbox pairs`: the boxes of each image that meet."""

from __future__ import annotations

import click

from fastbox.cli.fragments import Fragments, fragment_options
from fastbox.cli.options import (
    beta_option,
    class_option,
    format_option,
    image_option,
    json_option,
    metrics_option,
    of_truths,
    output_option,
    report_option,
    show,
    split,
    threshold_of,
)
from fastbox.cli.progress import progress

__all__ = ["pairs"]


@click.command(short_help="Pair detections with truths, image by image.")
@click.argument("detections", type=click.Path())
@click.argument("truths", required=False, type=click.Path())
@output_option
@click.option(
    "--threshold",
    type=float,
    default=0.5,
    show_default=True,
    metavar="VALUE",
    callback=threshold_of,
    help="What the first metric must reach; a distance must not exceed it.",
)
@click.option("--all", "every", is_flag=True, help="Every pair of an image, whatever its value.")
@click.option("--best", is_flag=True, help="One row for each detection, with its best truth.")
@click.option(
    "--class-agnostic/--per-class",
    default=True,
    show_default=True,
    help="Pair boxes of all classes, or per class.",
)
@class_option
@image_option
@metrics_option
@beta_option
@click.option("--box", metavar="COLUMNS", help="Boxes: one column, or four with commas (default: found by name).")
@click.option("--truth-box", metavar="COLUMNS", help="Boxes of the truths (default: found by name).")
@format_option
@click.option("--keep", metavar="COLUMNS", callback=split, help="Columns of the detections to carry along.")
@click.option("--boxes", is_flag=True, help="Carry both boxes along, as `fastbox measure` reads them.")
@report_option
@fragment_options
@json_option
def pairs(
    detections: str,
    truths: str | None,
    output: str | None,
    threshold: float,
    every: bool,
    best: bool,
    class_agnostic: bool,
    class_: str,
    image: str,
    metrics: list[str],
    beta: float,
    box: str | None,
    truth_box: str | None,
    format_: str | None,
    keep: list[str] | None,
    boxes: bool,
    fragments: Fragments,
    report: str | None,
    as_json: bool,
) -> None:
    """Pair the boxes of each image: detections with truths, or one table with itself.

    DETECTIONS and TRUTHS are tables of boxes in any format that fastbox reads. With one table: near-duplicates
    within each image. An image that one table lacks still counts.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted
    from fastbox.report.terminal import summary as terminal
    from fastbox.tables.source import Source

    a = Source(detections, boxes=box, format=format_, image=image)
    b = None if truths is None else Source(truths, boxes=truth_box, format=format_, image=image)
    with of_truths(detections, truths), progress("pairing", counted(detections, truths)) as step:
        found = fragments.run(
            jobs.pairs,
            a,
            b,
            out=output,
            threshold=threshold,
            every=every,
            best=best,
            class_column=class_,
            class_agnostic=class_agnostic,
            metrics=metrics,
            beta=beta,
            keep=keep or (),
            boxes=boxes,
            report=report,
            progress=step,
        )
    show(terminal.show_paired, found.to_dict(), as_json, [output, report])
