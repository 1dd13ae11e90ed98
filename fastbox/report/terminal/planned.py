"""The result of `fastbox plan` in a terminal: the order of tables, and the fragments of a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastbox.arrow.arrays import sort_command
from fastbox.report.numbers import counted
from fastbox.report.terminal.console import Console, Text
from fastbox.values.names import IMAGE

__all__ = ["show_planned"]


def show_planned(console: Console, summary: Mapping[str, Any], image: str = IMAGE) -> None:
    """Print the result of :func:`fastbox.jobs.plan`, given its ``to_dict``, each table with its name.

    ``image`` is the column of image ids that the caller named.
    """
    for table in summary["inputs"]:
        _show_table(console, table, image)
    sizes = summary["fragments"]
    if sizes:
        sized = f" of {min(sizes):,} to {max(sizes):,} boxes" if len(sizes) > 1 else ""
        console.print(Text(f"Would run as {counted(len(sizes), 'fragments')}{sized}", style="dim"))


def _show_table(console: Console, table: Mapping[str, Any], image: str) -> None:
    order, style = {
        True: ("sorted by image", "bold green"),
        None: ("not known to be sorted: no column of image ids", "bold yellow"),
        False: ("not sorted by image", "bold red"),
    }[table["sorted"]]
    console.print(Text(table["table"], style="bold"), soft_wrap=True)
    console.print(Text(order, style=style))
    held = [
        counted(table["files"], "files"),
        f"{table['row_groups']:,} row group{'' if table['row_groups'] == 1 else 's'}",
        counted(table["boxes"], "boxes"),
    ]
    ids = "" if table["images"] is None else f" · images {table['images'][0]} to {table['images'][1]}"
    console.print(Text(f"{' · '.join(held)}{ids}", style="dim"))
    for place in table["unsorted"]:
        console.print(
            Text(f"  {place['file']}, row {place['row']:,}: {place['begins']} after {place['before']}"), soft_wrap=True
        )
    if table["unsorted"]:
        console.print(Text(f"  sort it: {sort_command(table['table'], image)}"), soft_wrap=True)
    if table["in_two_files"]:
        shown = ", ".join(map(str, table["in_two_files"]))
        console.print(Text(f"  images in two files, which a job reads as one: {shown}", style="dim"))
