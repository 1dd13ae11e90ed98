"""`fastbox convert`: annotations of images from one dialect to another."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from fastbox.cli.options import json_option, show
from fastbox.cli.progress import progress

__all__ = ["convert"]

DIALECTS = (
    "parquet", "coco", "coco-results", "yolo", "voc", "open-images", "kitti", "crowdhuman", "huggingface"
)  # fmt: skip


@click.command(short_help="Convert annotations: COCO, YOLO, VOC and more, to Parquet and back.")
@click.argument("source", type=click.Path())
@click.argument("output", type=click.Path())
@click.option("--from", "source_dialect", type=click.Choice(DIALECTS), metavar="NAME", help="Dialect of the source.")
@click.option("--to", "out_dialect", type=click.Choice(DIALECTS), metavar="NAME", help="Dialect of the output.")
@click.option("--images", type=click.Path(), metavar="OUT", help="Also write the images, those without boxes too.")
@click.option("--format", type=click.Choice(["xywh", "xyxy", "cxcywh"]), help="Of the table (default: the source's).")
@click.option("--dtype", type=click.Choice(["float64", "float32"]), help="Of the table's coordinates.")
@click.option("--sizes", type=click.Path(), metavar="PATH", help="Sizes: a table, or the folder of images.")
@click.option("--names", type=click.Path(), metavar="FILE", help="Names of categories, one a line.")
@click.option("--one-based", is_flag=True, default=None, help="VOC's pixels count from 1.")
@click.option("--digits", type=click.IntRange(0), metavar="N", help="Decimals to write, more where needed.")
@click.option("--renumber", is_flag=True, default=None, help="Number YOLO's categories from 0.")
@click.option("--box", metavar="COLUMNS", help="Columns of a table; CrowdHuman: fbox, vbox, hbox.")
@click.option("--box-format", metavar="FORMAT", help="Of a table that is read (default: told by names).")
@click.option("--image", metavar="COLUMN", help="Column of image ids.")
@click.option("--class", "category", metavar="COLUMN", help="Column of categories.")
@json_option
def convert(source: str, output: str, images: str | None, as_json: bool, **options: Any) -> None:
    """Convert annotations of images from one dialect to another.

    \b
    parquet       a table, a row per box        huggingface   Parquet, a row per image
    coco          instances JSON                coco-results  results JSON
    yolo          a folder with labels/*.txt    kitti         one with label_2/*.txt
    voc           one with Annotations/*.xml    crowdhuman    .odgt
    open-images   the CSV of boxes

    The dialects are told by the paths where these tell. The default keeps every coordinate exactly as it stands.
    """
    from fastbox.datasets.convert import convert as convert_file
    from fastbox.report.terminal import summary as terminal

    with progress("converting") as step:
        made = convert_file(source, output, images=images, progress=step, **options)
    show(partial(terminal.show_counts, "converted"), made, as_json, [output, images])
