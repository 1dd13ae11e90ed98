"""`fastbox evaluate`: detections against truths, as COCO does it."""

from __future__ import annotations

import re
from typing import Any

import click

from fastbox.boxes.container import ALIASES, FORMATS
from fastbox.cli.fragments import Fragments, fragment_options
from fastbox.cli.options import (
    class_option,
    format_option,
    image_option,
    json_option,
    of_truths,
    output_option,
    report_option,
    score_option,
    show,
    split,
)
from fastbox.cli.progress import progress

__all__ = ["evaluate"]


def thresholds_of(context: click.Context, parameter: click.Parameter, value: str | None) -> list[float] | None:
    """Numbers with commas, or first:last:step, both ends included."""
    if value is None:
        return None
    import numpy as np

    try:
        if ":" in value:
            first, last, step = (float(part) for part in value.split(":"))
            steps = (last - first) / step
            if not (0 <= steps < 1000 and abs(steps - round(steps)) < 1e-6):
                raise ValueError
            # As COCO's .5 to .95 are made: linspace, whose steps don't drift but may miss .5 and .75 by a bit.
            grid = np.linspace(first, last, round(steps) + 1).tolist()
            return [next((one for one in (0.5, 0.75) if abs(x - one) < 1e-12), x) for x in grid]
        return [float(part) for part in split(context, parameter, value) or []]
    except (ValueError, ZeroDivisionError):
        raise click.BadParameter(f"expected numbers as 0.5,0.75 or 0.5:0.95:0.05, got {value!r}") from None


def counts_of(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    """Whole numbers with commas."""
    try:
        return None if value is None else [int(part) for part in split(context, parameter, value) or []]
    except ValueError:
        raise click.BadParameter(f"expected whole numbers as 1,10,100, got {value!r}") from None


def ranges_of(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> dict[str, tuple[float, float]] | None:
    """Names and limits, as all:0-1e10,small:0-1024."""
    try:
        if value is None:
            return None
        named = [part.rsplit(":", 1) for part in split(context, parameter, value) or []]
        limits = {name.strip(): span_of(span) for name, span in named}
        if len(limits) < len(named) or "" in limits:
            raise ValueError
        return limits
    except ValueError:
        raise click.BadParameter(f"expected ranges as all:0-1e10,small:0-1024, got {value!r}") from None


def span_of(text: str) -> tuple[float, float]:
    """Two numbers with a dash, of which each may have a sign and an exponent.

    >>> span_of("1e-3-5")
    (0.001, 5.0)
    """
    for place in (found.start() for found in re.finditer("-", text)):
        try:
            return float(text[:place]), float(text[place + 1 :])
        except ValueError:
            continue
    raise ValueError(text)


@click.command(short_help="Evaluate detections: COCO's AP and AR, and what they hide.")
@click.argument("detections", type=click.Path())
@click.argument("truths", type=click.Path())
@output_option
@report_option
@click.option("--by", metavar="COLUMN", help="Column that tells models apart; each is evaluated by itself.")
@click.option(
    "--thresholds",
    metavar="IOUS",
    callback=thresholds_of,
    help="IoU thresholds, such as 0.5,0.75 (default: 0.5:0.95:0.05).",
)
@click.option(
    "--areas",
    metavar="RANGES",
    callback=ranges_of,
    help="Ranges of areas in px², the first for AP (default: "
    "all:0-1e10,small:0-1024,medium:1024-9216,large:9216-1e10).",
)
@click.option(
    "--max-dets",
    metavar="COUNTS",
    callback=counts_of,
    help="How many detections of an image and class count (default: 1,10,100).",
)
@click.option(
    "--by-class/--all-classes", default=True, help="Only boxes of one class match, or boxes of any (default: of one)."
)
@click.option(
    "--bootstrap",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    metavar="SAMPLES",
    help="Draw the images anew so often, for intervals of confidence.",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, metavar="N", help="Same seed, same draws."
)
@score_option
@class_option
@image_option
@click.option(
    "--crowd", default="iscrowd", show_default=True, metavar="COLUMN", help="Column that marks crowds, if it is there."
)
@click.option(
    "--ignore",
    default="ignore",
    show_default=True,
    metavar="COLUMN",
    help="Column that marks truths not to count, if it is there.",
)
@click.option(
    "--area", default="area", show_default=True, metavar="COLUMN", help="Column of the truths' areas, if it is there."
)
@click.option("--box", metavar="COLUMNS", help="Boxes: one column, or four with commas (default: found by name).")
@click.option("--truth-box", metavar="COLUMNS", help="Boxes of the truths (default: found by name).")
@format_option
@click.option(
    "--truth-format",
    type=click.Choice((*FORMATS, *ALIASES)),
    metavar="FORMAT",
    help="Of the truths' boxes (default: as --format, or told by the columns' names).",
)
@click.option("--names", type=click.Path(), metavar="FILE", help="Names of classes from 0, one a line.")
@fragment_options
@json_option
def evaluate(
    detections: str,
    truths: str,
    output: str | None,
    report: str | None,
    by: str | None,
    thresholds: list[float] | None,
    areas: dict[str, tuple[float, float]] | None,
    max_dets: list[int] | None,
    by_class: bool,
    bootstrap: int,
    seed: int,
    score: str,
    class_: str,
    image: str,
    crowd: str,
    ignore: str,
    area: str,
    box: str | None,
    truth_box: str | None,
    format_: str | None,
    truth_format: str | None,
    names: str | None,
    fragments: Fragments,
    as_json: bool,
) -> None:
    """Evaluate detections against truths, each figure as pycocotools has it, to the last bit.

    DETECTIONS and TRUTHS are tables of boxes in any format that fastbox reads. Beside AP and AR: the errors that cost
    most (TIDE's: location, classification, duplicate, background, both, missed), how well matched boxes fit, and how
    far scores can be trusted. With -o every detection is written with its verdict, the truth it took and their IoU.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted
    from fastbox.errors import InputError
    from fastbox.evaluation import Params
    from fastbox.report.terminal.evaluated import show_evaluated
    from fastbox.tables.source import Source

    given: dict[str, Any] = {"iou_thresholds": thresholds, "area_ranges": areas, "max_dets": max_dets}
    try:
        params = Params(by_class=by_class, **{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise InputError(str(error)) from None
    a = Source(detections, boxes=box, format=format_, image=image)
    b = Source(truths, boxes=truth_box, format=format_ if truth_format is None else truth_format, image=image)
    with of_truths(detections, truths), progress("evaluating", counted(detections)) as step:
        found = fragments.run(
            jobs.evaluate,
            a,
            b,
            out=output,
            by=by,
            params=params,
            score=score,
            class_column=class_,
            crowd=crowd,
            ignore=ignore,
            area=area,
            names=names,
            samples=bootstrap,
            seed=seed,
            report=report,
            progress=step,
        )
        summary = {} if as_json else found.to_dict(details=by is None)
    if as_json:
        for part in found.to_json():
            click.echo(part, nl=False)
        click.echo()
        return
    show(show_evaluated, summary, as_json, [output, report])
