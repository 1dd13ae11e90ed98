"""`fastbox convert`: annotations of images from one file format to another."""

from __future__ import annotations

from typing import Any

import click

from fastbox._lazy import deferred
from fastbox.cli.command import Command, alone
from fastbox.cli.options import BOX_FORMAT, IMAGE_COLUMN, class_option, json_option, names_option, show
from fastbox.cli.progress import progress
from fastbox.cli.types import Text, Whole
from fastbox.kernels.codes import ROTATED_FORMATS
from fastbox.values.numbers import as_choice

__all__ = ["convert"]

terminal = deferred("fastbox.report.terminal.summary")


class FileFormat(Text):
    """The name of a file format."""

    name = "format"

    def read(self, text: str) -> str:
        """Return the name of a format that is declared."""
        from fastbox.datasets.registry import formats

        return as_choice(text, list(formats()), "a file format")


class Convert(Command):
    """The command, which lists all file formats in its help."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the file formats, then the examples and options."""
        from fastbox.datasets.registry import formats

        with formatter.section("File formats"):
            formatter.write_dl([(own.name, own.text) for own in formats().values()])
        super().format_options(context, formatter)


@click.command(
    cls=Convert,
    section="Prepare data",
    examples=["fastbox convert truths.parquet instances.json", "fastbox convert instances.json yolo/ --to yolo"],
    short_help="Convert annotations: COCO, YOLO, VOC and more, to Parquet and back.",
)
@click.argument("source", type=click.Path())
@click.argument("output", type=click.Path())
@click.option("--from", "source_format", type=FileFormat(), metavar="NAME", help="File format of the source.")
@click.option("--to", "out_format", type=FileFormat(), metavar="NAME", help="File format of the output.")
@click.option(
    "--write-images",
    type=click.Path(),
    metavar="OUT",
    help="File to write: the images, those without boxes too, as Parquet.",
)
@click.option(
    "--output-format",
    "out_box_format",
    type=click.Choice(["xywh", "xyxy", "cxcywh", *ROTATED_FORMATS]),
    metavar="FORMAT",
    help=f"Box format of a table to write: xywh, xyxy or cxcywh; rotated: {', '.join(ROTATED_FORMATS)} "
    "(default: the source's).",
)
@click.option(
    "--rectangles", is_flag=True, help="Replace quadrilaterals by the rectangles of smallest area around them."
)
@click.option("--dtype", type=click.Choice(["float64", "float32"]), help="Type of the coordinates of a table to write.")
@click.option(
    "--sizes", type=click.Path(), metavar="PATH", help="Sizes of the images: a table, or the folder of images."
)
@alone("names", names_option())
@click.option("--one-based", is_flag=True, default=None, help="VOC's pixels count from 1.")
@click.option("--digits", type=Whole(0), metavar="N", help="Decimals to write, more where needed.")
@click.option("--renumber", is_flag=True, default=None, help="Number YOLO's classes from 0.")
@click.option("--from-above", is_flag=True, default=None, help="KITTI's objects as seen from above, in metres.")
@click.option("--quads", is_flag=True, default=None, help="COCO's polygons of four points as quadrilaterals.")
@click.option(
    "--box",
    metavar="COLUMNS",
    help="Boxes: one column, or four with commas; of CrowdHuman fbox, vbox or hbox (default: found by name).",
)
@click.option("--format", **BOX_FORMAT)
@click.option("--image-column", **IMAGE_COLUMN | {"default": None})
@alone("class_column", class_option(None))
@alone("as_json", json_option())
def convert(source: str, output: str, write_images: str | None, as_json: bool, **options: Any) -> None:
    """Convert annotations of images from one file format to another.

    The file formats are recognized by the paths where possible. By default every coordinate stays exactly as it is.
    """
    from fastbox.datasets.convert import convert as convert_file

    with progress("converting") as step:
        made = convert_file(source, output, write_images=write_images, progress=step, **options)
    show(lambda *given: terminal.show_counts("converted", *given), made, as_json, [output, write_images])
