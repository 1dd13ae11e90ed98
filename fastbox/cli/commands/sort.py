"""`fastbox sort`: tables in the order of their images."""

from __future__ import annotations

import click

from fastbox.cli.options import image_option
from fastbox.cli.progress import progress

__all__ = ["sort"]


@click.command(short_help="Sort tables by image, whatever their size.", options_metavar="-o OUT [OPTIONS]")
@click.argument("tables", nargs=-1, required=True, type=click.Path())
@click.option("-o", "--output", required=True, type=click.Path(), metavar="OUT", help="Parquet file to write.")
@image_option
@click.option("--memory", metavar="SIZE", help="Sort so much in memory, as 2GB; the rest on disk beside the output.")
def sort(tables: tuple[str, ...], output: str, image: str, memory: str | None) -> None:
    """Sort TABLES by image id into one; rows of an image keep their order.

    TABLES are Parquet files, directories or globs of one schema, or CSV, COCO JSON and the like, which are converted.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted

    with progress("sorting", counted(tables)) as step:
        found = jobs.sort(tables, output, by=image, memory=memory, progress=step)
    files = "1 file" if found["files"] == 1 else f"{found['files']:,} files"
    click.echo(f"{found['rows']:,} rows of {files} → {output}")
