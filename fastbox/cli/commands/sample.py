"""`fastbox sample`: made-up truths and detections."""

from __future__ import annotations

import os
from functools import partial

import click

from fastbox.cli.options import json_option, show
from fastbox.cli.progress import progress

__all__ = ["sample"]


@click.command(short_help="Make up realistic truths and detections.")
@click.argument("output", type=click.Path())
@click.option(
    "--images",
    type=click.IntRange(min=0),
    default=1000,
    show_default=True,
    metavar="N",
    help="How many images to make.",
)
@click.option(
    "--detections",
    type=click.Path(),
    metavar="OUT",
    help="Where to write detections (default: OUTPUT with -detections).",
)
@click.option("--pairs", type=click.Path(), metavar="OUT", help="Also write matched boxes side by side, for `measure`.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Same seed, same boxes."
)
@json_option
def sample(output: str, images: int, detections: str | None, pairs: str | None, seed: int, as_json: bool) -> None:
    """Make up realistic ground truth and detections, of any size.

    Like COCO in boxes per image, sizes, classes and image sizes; detections are jittered truths with misses, duplicates
    and background, and scores that go with the IoU. Writes the truths to OUTPUT.
    """
    from fastbox import jobs
    from fastbox.report.terminal import summary as terminal

    root, extension = os.path.splitext(output)
    detections = detections or f"{root}-detections{extension or '.parquet'}"
    with progress("making boxes"):
        made = jobs.synthesize(output, count=images, detections=detections, pairs=pairs, seed=seed)
    show(partial(terminal.show_counts, "made"), made, as_json, [output, detections, pairs])
