"""`fastbox check`: whether tables are sorted, and how they would be cut."""

from __future__ import annotations

from functools import partial

import click

from fastbox.cli.options import image_option, json_option, show

__all__ = ["check"]


@click.command(short_help="Tell whether tables are sorted by image.")
@click.argument("tables", nargs=-1, required=True, type=click.Path())
@image_option
@click.option("--fragment-rows", type=click.IntRange(1), metavar="BOXES", help="About how many boxes a fragment has.")
@json_option
def check(tables: tuple[str, ...], image: str, fragment_rows: int | None, as_json: bool) -> None:
    """Tell whether TABLES are sorted by image id, and how jobs would cut them; no more than their ids is read.

    Each of TABLES is a Parquet file, a directory or a glob; several are cut together, as detections and truths are. The
    exit code is 1 where one is not sorted.
    """
    from fastbox import jobs
    from fastbox.report.terminal.checked import show_checked
    from fastbox.tables.fragments import FRAGMENT_ROWS
    from fastbox.tables.source import Source

    sources = [Source(table, image=image) for table in tables]
    found = jobs.plan(*sources, fragment_rows=fragment_rows or FRAGMENT_ROWS)
    named = {"inputs": [{"table": name, **table} for name, table in zip(tables, found.inputs, strict=True)]}
    show(partial(show_checked, image=image), found.to_dict() | named, as_json, [])
    if not found.ready:
        raise SystemExit(1)
