"""`fastbox convert`: COCO JSON to Parquet."""

from __future__ import annotations

from functools import partial

import click

from fastbox.cli.options import json_option, show
from fastbox.report.progress import progress

__all__ = ["convert"]


@click.command(short_help="Convert COCO JSON to Parquet.")
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
    from fastbox.report import terminal
    from fastbox.tables.convert import coco_to_parquet

    with progress("converting"):
        made = coco_to_parquet(source, output, images=images, format=format_, dtype=dtype)
    show(partial(terminal.show_counts, "converted"), made, as_json, [output, images])
