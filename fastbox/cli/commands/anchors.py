"""`fastbox anchors`: anchor shapes fitted to a dataset."""

from __future__ import annotations

from typing import Any

import click

from fastbox.anchors.presets import COMPARED
from fastbox.cli.options import format_option, json_option, show
from fastbox.cli.progress import progress
from fastbox.errors import InputError

__all__ = ["anchors"]


def resize_of(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A rule of resizing, checked."""
    if value is not None:
        from fastbox.anchors.resize import Resize

        try:
            Resize.parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from None
    return value


def size_of(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, float] | None:
    """Two numbers above 0 with an x between."""
    if value is None:
        return None
    try:
        width, height = (float(side) for side in value.lower().split("x"))
        if not (0 < width < float("inf") and 0 < height < float("inf")):
            raise ValueError
    except ValueError:
        raise click.BadParameter(f"expected WIDTHxHEIGHT, such as 640x480, got {value!r}") from None
    return width, height


@click.command(short_help="Fit anchor shapes to a dataset.")
@click.argument("truths", type=click.Path())
@click.option("-o", "--output", type=click.Path(), metavar="OUT", help="JSON file to write.")
@click.option("--count", type=click.IntRange(min=1), default=9, show_default=True, metavar="N", help="How many shapes.")
@click.option(
    "--levels",
    type=click.IntRange(min=1),
    metavar="N",
    help="Feature levels in the configuration lines (default: three shapes a level, or one).",
)
@click.option(
    "--resize",
    callback=resize_of,
    metavar="RULE",
    help="How training resizes images: 640 (longer side), 300x200, or shorter=800,longer=1333 (longer at most).",
)
@click.option("--size", callback=size_of, metavar="WxH", help="Size of all images (default: from columns).")
@click.option("--width", default="width", show_default=True, metavar="COLUMN", help="Column of the images' widths.")
@click.option("--height", default="height", show_default=True, metavar="COLUMN", help="Column of the images' heights.")
@click.option(
    "--min-side",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="PX",
    help="Leave out boxes with both sides below, after resizing.",
)
@click.option(
    "--against",
    type=click.Choice(COMPARED),
    multiple=True,
    default=COMPARED,
    metavar="PRESET",
    help=f"Compare with {', '.join(COMPARED)} (default: all; may be repeated).",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Same seed, same shapes."
)
@click.option("--box", metavar="COLUMNS", help="Boxes: one column, or four with commas (default: found by name).")
@format_option
@json_option
def anchors(
    truths: str, output: str | None, box: str | None, format_: str | None, as_json: bool, **options: Any
) -> None:
    """Fit anchor shapes to the boxes of a dataset, and print them as configuration lines.

    TRUTHS is a table of boxes in any format that fastbox reads. Shapes are fitted by k-means with the distance 1 - IoU
    and improved by differential evolution; the figures beside them are of every box.
    """
    from fastbox.datasets.as_source import counted
    from fastbox.jobs.anchors import fit_anchors
    from fastbox.report.terminal.fitted import show_fitted
    from fastbox.tables.source import Source

    if options["resize"] is None:
        asked = {"size": None, "width": "width", "height": "height"}
        for name in (name for name, default in asked.items() if options[name] != default):
            raise click.UsageError(
                f"expected --resize with --{name}, got --{name} alone: add --resize 640, or as it is"
            )
    source = Source(truths, boxes=box, format=format_)
    with progress("fitting", (lambda: 2 * rows()) if (rows := counted(truths)) else None) as step:
        try:
            found = fit_anchors(source, output, **options, progress=step)
        except ImportError as error:
            raise InputError(str(error)) from None
    show(show_fitted, found.to_dict(), as_json, [output])
