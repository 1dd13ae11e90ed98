"""`fastbox plan`: the order of tables, and the fragments that a job would cut them into."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox.cli.command import Command, alone
from fastbox.cli.options import fragment_rows_option, image_option, json_option, show

__all__ = ["plan"]

planned = deferred("fastbox.report.terminal.planned")


@click.command(
    cls=Command,
    section="Prepare data",
    examples=["fastbox plan detections.parquet truths.parquet"],
    short_help="Tell whether tables are sorted by image, and plan fragments.",
)
@click.argument("tables", nargs=-1, required=True, type=click.Path())
@alone("image_column", image_option())
@alone("fragment_rows", fragment_rows_option())
@alone("as_json", json_option())
def plan(tables: tuple[str, ...], image_column: str, fragment_rows: int | None, as_json: bool) -> None:
    """Tell whether TABLES are sorted by image id, and into which fragments a job would cut them.

    Each of TABLES is a Parquet file, a directory or a glob; several are cut together, as detections and ground truth
    are. Only their image ids are read. The exit code is 1 if a table is not sorted.
    """
    from fastbox import jobs
    from fastbox.tables.fragments import FRAGMENT_ROWS
    from fastbox.tables.source import Source

    sources = [Source(table, image=image_column) for table in tables]
    found = jobs.plan(*sources, fragment_rows=fragment_rows or FRAGMENT_ROWS)
    named = {"inputs": [{"table": name, **table} for name, table in zip(tables, found.inputs, strict=True)]}
    show(lambda *given: planned.show_planned(*given, image=image_column), found.to_dict() | named, as_json, [])
    if not found.ready:
        raise SystemExit(1)
