"""The command line: parse, call a job, print."""

from __future__ import annotations

import io
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from fastbox import __version__
from fastbox.boxes import FORMATS
from fastbox.errors import InputError
from fastbox.ops import METRICS
from fastbox.parallel import get_num_threads, set_num_threads
from fastbox.report.outcome import Commands
from fastbox.report.progress import progress

__all__ = ["main"]


@click.group(
    "fastbox", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="fastbox")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads to use (default: all processors).")
def main(threads: int | None) -> None:
    """Bounding boxes by the million: IoU, GIoU and Smooth L1, streamed from Parquet.

    \b
    A first look, on made-up data:
      fastbox sample gt.parquet --detections dt.parquet
      fastbox pairs dt.parquet gt.parquet --best --boxes -o best.parquet
      fastbox measure best.parquet -o measured.parquet

    Exit codes: 0 done, 1 could not finish, 2 what was given can't be used.
    """
    if threads is not None:
        set_num_threads(threads)
    try:
        get_num_threads()
    except ValueError as error:
        raise InputError(str(error)) from None


def _split(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


def _metrics(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    from fastbox.ops import check_metric

    names = _split(context, parameter, value) or []
    if not names:
        raise click.BadParameter(f"expected names of {', '.join(METRICS)}, got none")
    for name in names:
        try:
            check_metric(name)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return names


def _beta(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not value >= 0:
        raise click.BadParameter(f"expected 0 or more, got {value}")
    return value


def _threshold(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if math.isnan(value):
        raise click.BadParameter("expected a number, got nan")
    return value


metrics_option = click.option(
    "--metrics", default="iou", show_default=True, metavar="NAMES", callback=_metrics, help=f"Of {', '.join(METRICS)}."
)
format_option = click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    metavar="FORMAT",
    help=f"{', '.join(FORMATS)} (default: told by the columns' names).",
)
beta_option = click.option(
    "--beta",
    type=float,
    default=1.0,
    show_default=True,
    metavar="PX",
    callback=_beta,
    help="Where smooth_l1 turns from square to linear.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
output_option = click.option("-o", "--output", type=click.Path(), metavar="OUT", help="Parquet file to write.")


@main.command(short_help="Measure rows that hold a predicted and a target box.")
@click.argument("pairs", nargs=-1, required=True, type=click.Path())
@output_option
@click.option(
    "--metrics",
    default="iou,giou,smooth_l1",
    show_default=True,
    metavar="NAMES",
    callback=_metrics,
    help=f"Of {', '.join(METRICS)}.",
)
@click.option("--pred", metavar="COLUMNS", help="Predicted box: one column, or four with commas (default: pred_...).")
@click.option("--target", metavar="COLUMNS", help="Target box, likewise (default: target_...).")
@format_option
@beta_option
@click.option("--keep", metavar="COLUMNS", callback=_split, help="Columns to keep in the output (default: all).")
@json_option
def measure(
    pairs: tuple[str, ...],
    output: str | None,
    metrics: list[str],
    pred: str | None,
    target: str | None,
    format_: str | None,
    beta: float,
    keep: list[str] | None,
    as_json: bool,
) -> None:
    """Measure rows that hold a predicted and a target box.

    PAIRS are Parquet files, directories or globs. Every row gets a column for each metric; the summary has count, mean,
    quantiles, a histogram, and the invalid rows by reason.
    """
    from fastbox import jobs
    from fastbox.tables.files import count_rows

    with progress("measuring", lambda: count_rows(pairs)) as step:
        found = jobs.measure(
            pairs,
            output,
            metrics=metrics,
            pred=pred,
            target=target,
            format=format_,
            beta=beta,
            keep=keep,
            progress=step,
        )
    _show("measured", found.to_dict(), as_json, [output])


@main.command(short_help="Pair detections with truths, image by image.")
@click.argument("detections", type=click.Path())
@click.argument("truths", required=False, type=click.Path())
@output_option
@click.option(
    "--threshold",
    type=float,
    default=0.5,
    show_default=True,
    metavar="VALUE",
    callback=_threshold,
    help="What the first metric must reach; a distance must not exceed it.",
)
@click.option("--all", "every", is_flag=True, help="Every pair of an image, whatever its value.")
@click.option("--best", is_flag=True, help="One row for each detection, with its best truth.")
@click.option("--by-class", is_flag=True, help="Only boxes of one class meet.")
@click.option("--class", "class_", default="category_id", show_default=True, metavar="COLUMN", help="Class column.")
@click.option("--image", default="image_id", show_default=True, metavar="COLUMN", help="Column of image ids.")
@metrics_option
@beta_option
@click.option("--box", metavar="COLUMNS", help="Boxes: one column, or four with commas (default: found by name).")
@click.option("--truth-box", metavar="COLUMNS", help="Boxes of the truths (default: found by name).")
@format_option
@click.option("--keep", metavar="COLUMNS", callback=_split, help="Columns of the detections to carry along.")
@click.option("--boxes", is_flag=True, help="Carry both boxes along, as `fastbox measure` reads them.")
@json_option
def pairs(
    detections: str,
    truths: str | None,
    output: str | None,
    threshold: float,
    every: bool,
    best: bool,
    by_class: bool,
    class_: str,
    image: str,
    metrics: list[str],
    beta: float,
    box: str | None,
    truth_box: str | None,
    format_: str | None,
    keep: list[str] | None,
    boxes: bool,
    as_json: bool,
) -> None:
    """Pair the boxes of each image: detections with truths, or one table with itself.

    DETECTIONS and TRUTHS are Parquet files, directories or globs, sorted by image id. With one table: near-duplicates
    within each image. An image that one table lacks still counts.
    """
    from fastbox import jobs
    from fastbox.tables.files import count_rows
    from fastbox.tables.source import Source

    a = Source(detections, boxes=box, format=format_, image=image)
    b = None if truths is None else Source(truths, boxes=truth_box, format=format_, image=image)
    with progress("pairing", lambda: sum(count_rows(path) for path in (detections, truths) if path)) as step:
        found = jobs.pairs(
            a,
            b,
            output,
            threshold=threshold,
            every=every,
            best=best,
            by_class=class_ if by_class else None,
            metrics=metrics,
            beta=beta,
            keep=keep or (),
            boxes=boxes,
            progress=step,
        )
    _show("paired", found.to_dict(), as_json, [output])


@main.command(short_help="Convert COCO JSON to Parquet.")
@click.argument("source", type=click.Path())
@click.argument("output", type=click.Path())
@click.option("--images", type=click.Path(), metavar="OUT", help="Also write the images, those without boxes too.")
@click.option(
    "--format", "format_", type=click.Choice(["xywh", "xyxy"]), default="xywh", show_default=True, help="Of the output."
)
@click.option(
    "--dtype", type=click.Choice(["float64", "float32"]), default="float64", show_default=True, help="Of coordinates."
)
@json_option
def convert(source: str, output: str, images: str | None, format_: str, dtype: str, as_json: bool) -> None:
    """Convert COCO JSON to Parquet: instances (truths) or results (detections).

    Rows are sorted by image id. The default keeps every coordinate exactly as it stands.
    """
    from fastbox.tables.convert import coco_to_parquet

    with progress("converting"):
        made = coco_to_parquet(source, output, images=images, format=format_, dtype=dtype)
    _show("converted", made, as_json, [output, images])


@main.command(short_help="Make up realistic truths and detections.")
@click.argument("output", type=click.Path())
@click.option("--images", type=click.IntRange(min=0), default=1000, show_default=True, metavar="N", help="How many.")
@click.option("--detections", type=click.Path(), metavar="OUT", help="Where to (default: OUTPUT with -detections).")
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

    root, extension = os.path.splitext(output)
    detections = detections or f"{root}-detections{extension or '.parquet'}"
    with progress("making boxes"):
        made = jobs.sample(output, images=images, detections=detections, pairs=pairs, seed=seed)
    _show("made", made, as_json, [output, detections, pairs])


def _show(kind: str, summary: Mapping[str, Any], as_json: bool, outputs: Sequence[str | None]) -> None:
    if as_json:
        click.echo(json.dumps(summary, indent=2, allow_nan=False))
        return
    from rich.console import Console

    from fastbox.report import terminal

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    console.width = max(console.width, 80)
    if kind == "measured":
        terminal.show_measured(console, summary)
    elif kind == "paired":
        terminal.show_paired(console, summary)
    else:
        terminal.show_counts(console, kind, summary)
    terminal.show_outputs(console, [path for path in outputs if path is not None])
