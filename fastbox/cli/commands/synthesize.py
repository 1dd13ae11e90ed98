"""`fastbox synthesize`: synthetic ground truth and detections."""

from __future__ import annotations

import os

import click

from fastbox._lazy import deferred
from fastbox.cli.command import Command, alone
from fastbox.cli.options import count_option, json_option, seed_option, show
from fastbox.cli.progress import progress

__all__ = ["synthesize"]

terminal = deferred("fastbox.report.terminal.summary")


@click.command(
    cls=Command,
    section="Prepare data",
    examples=["fastbox synthesize made.parquet --count 100"],
    short_help="Synthesize realistic ground truth and detections.",
)
@click.argument("output", type=click.Path())
@alone("count", count_option("--count", "images to make", 1000, 0))
@click.option(
    "--detections",
    type=click.Path(),
    metavar="OUT",
    help="File to write: the detections (default: OUTPUT with -detections).",
)
@click.option(
    "--pairs",
    type=click.Path(),
    metavar="OUT",
    help="File to write: matched boxes in one row each, for `measure`.",
)
@click.option("--rotated", is_flag=True, help="Turn the boxes: centre, sides and an angle in degrees (cxcywhd).")
@alone("seed", seed_option("boxes"))
@alone("as_json", json_option())
def synthesize(
    output: str, count: int, detections: str | None, pairs: str | None, rotated: bool, seed: int, as_json: bool
) -> None:
    """Synthesize realistic ground truth and detections, of any size.

    Boxes per image, sizes of boxes and images, and classes are distributed as in COCO. Detections are the true boxes
    with noise, misses, duplicates and background; their scores rise with the IoU. Writes the ground truth to OUTPUT.
    """
    from fastbox import jobs

    root, extension = os.path.splitext(output)
    detections = detections or f"{root}-detections{extension or '.parquet'}"
    with progress("making boxes"):
        made = jobs.synthesize(output, count=count, detections=detections, pairs=pairs, seed=seed, rotated=rotated)
    show(lambda *given: terminal.show_counts("made", *given), made, as_json, [output, detections, pairs])
