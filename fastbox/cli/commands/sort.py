"""`fastbox sort`: tables in the order of their images."""

from __future__ import annotations

import click

from fastbox.cli.command import Command, alone
from fastbox.cli.options import image_option, output_option
from fastbox.cli.progress import progress
from fastbox.cli.types import Memory

__all__ = ["sort"]


@click.command(
    cls=Command,
    section="Prepare data",
    examples=["fastbox sort detections.parquet -o sorted.parquet"],
    short_help="Sort tables of any size by image.",
    options_metavar="-o OUT [OPTIONS]",
)
@click.argument("tables", nargs=-1, required=True, type=click.Path())
@alone("output", output_option("the sorted rows, as Parquet", required=True))
@alone("image_column", image_option())
@click.option(
    "--memory",
    type=Memory(least=1 << 20),
    metavar="SIZE",
    help="Memory to use at most, such as 2GB; further rows are sorted on disk, beside the output.",
)
def sort(tables: tuple[str, ...], output: str, image_column: str, memory: str | None) -> None:
    """Sort TABLES by image id into one table; rows of an image keep their order.

    TABLES are Parquet files, directories or globs of one schema, or CSV, COCO JSON and the like, which are converted.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted

    with progress("sorting", counted(tables)) as step:
        found = jobs.sort(tables, output, image_column=image_column, memory=memory, progress=step)
    files = "1 file" if found["files"] == 1 else f"{found['files']:,} files"
    click.echo(f"{found['rows']:,} rows of {files} → {output}")
