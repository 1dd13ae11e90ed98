"""`fastbox anchors`: anchor shapes fitted to a dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.anchors.presets import COMPARED
from fastbox.cli.command import Command, alone, option, record
from fastbox.cli.options import Boxes, count_option, json_option, output_option, seed_option, show
from fastbox.cli.progress import progress
from fastbox.cli.types import RESIZE_HELP, Names, ResizeRule, Size, Whole
from fastbox.errors import InputError
from fastbox.values.names import SIZE_COLUMNS

if TYPE_CHECKING:
    from fastbox.anchors.resize import Resize

__all__ = ["anchors"]

fitted = deferred("fastbox.report.terminal.fitted")


@dataclass(frozen=True)
class Sizes:
    """The sizes of images, and how training resizes them."""

    resize: Resize | None = option(
        "--resize",
        type=ResizeRule(),
        metavar="RULE",
        help=RESIZE_HELP,
    )
    size: tuple[int, int] | None = option(
        "--size", type=Size(), metavar="WIDTHxHEIGHT", help="Size of all images (default: from columns)."
    )
    size_columns: tuple[str, str] = option(
        "--size-columns",
        type=Names(count=2),
        default=",".join(SIZE_COLUMNS),
        metavar="COLUMNS",
        help="Columns of the images' widths and heights (default: width,height).",
    )


@click.command(
    cls=Command,
    section="Evaluate and train",
    examples=["fastbox anchors truths.parquet --count 3 --resize 640 -o anchors.json"],
    short_help="Fit anchor shapes to a dataset.",
)
@click.argument("truths", type=click.Path())
@alone("output", output_option("the shapes, as JSON"))
@alone("count", count_option("--count", "shapes to fit", 9, 1))
@click.option(
    "--levels",
    type=Whole(min=1),
    metavar="N",
    help="Feature levels in the configuration lines (default: three shapes a level, or one).",
)
@record("sizes", Sizes)
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
    help=f"Preset to compare with: {', '.join(COMPARED)} (default: all; may be repeated).",
)
@alone("seed", seed_option("shapes"))
@record("boxes", Boxes)
@alone("as_json", json_option())
def anchors(truths: str, output: str | None, sizes: Sizes, boxes: Boxes, as_json: bool, **options: Any) -> None:
    """Fit anchor shapes to the boxes of a dataset, and print them as configuration lines.

    TRUTHS is a table of boxes in any file format that fastbox reads. Shapes are fitted by k-means with the distance
    1 - IoU and improved by differential evolution, on a sample of the boxes; the figures are of every box.
    """
    from fastbox.datasets.as_source import counted
    from fastbox.jobs.anchors import fit_anchors
    from fastbox.tables.source import Source

    if sizes.resize is None:
        asked = {"--size": sizes.size is not None, "--size-columns": sizes.size_columns != SIZE_COLUMNS}
        for name in (name for name, given in asked.items() if given):
            raise click.UsageError(f"expected --resize with {name}, got {name} alone: add --resize, such as 640")
    source = Source(truths, boxes=boxes.box, format=boxes.format)
    with progress("fitting", (lambda: 2 * rows()) if (rows := counted(truths)) else None) as step:
        try:
            found = fit_anchors(source, output, **vars(sizes), **options, progress=step)
        except ImportError as error:
            raise InputError(str(error)) from None
    show(lambda *given: fitted.show_fitted(*given), found.to_dict(), as_json, [output])
