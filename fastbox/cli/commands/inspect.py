"""`fastbox inspect`: the statistics of a table of boxes, and its problems."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.cli.command import Command, alone, option, record
from fastbox.cli.fragments import Fragments
from fastbox.cli.options import Shown, Table, class_option, output_option
from fastbox.cli.progress import progress
from fastbox.cli.types import Column, Names

__all__ = ["inspect"]

inspected = deferred("fastbox.report.terminal.inspected")


def _limit(name: str, default: float, unit: str, text: str) -> Any:
    return option(name, type=float, default=default, show_default=True, metavar=unit, help=text)


@dataclass(frozen=True)
class Thresholds:
    """The figures from which on a box is a problem."""

    tolerance: float = _limit("--tolerance", 0.5, "PX", "Pixels by which a box may lie outside of its image.")
    sub_pixel: float = _limit("--sub-pixel", 1.0, "PX", "Shorter side below which a box is sub_pixel.")
    max_aspect: float = _limit(
        "--max-aspect", 100.0, "RATIO", "Longer side over shorter side above which a box is extreme_aspect."
    )
    near: float = _limit("--near", 0.95, "IOU", "IoU from which on two boxes are near-duplicates.")
    huge: float = _limit("--huge", 0.95, "SHARE", "Share of its image above which a box is huge.")
    class_size: float = _limit(
        "--class-size", 4.0, "K", "Robust deviations from the median size of the class; 0 leaves the check out."
    )


@dataclass(frozen=True)
class Cleaning:
    """The cleaned copy."""

    fix: str | None = option("--fix", type=click.Path(), metavar="CLEANED", help="Cleaned copy to write; see above.")
    changes: str | None = option(
        "--changes", type=click.Path(), metavar="LOG", help="Table of changes to write (default: CLEANED.log.parquet)."
    )


@dataclass(frozen=True)
class More:
    """Further tables and columns to read."""

    class_column: str | None = class_option(None, "category_id, if it is there")
    images_table: str | None = option(
        "--images-table", type=click.Path(), metavar="TABLE", help="Table of all images and their sizes to read."
    )
    id_column: str | None = option(
        "--id-column", type=Column(), metavar="COLUMN", help="Column of the boxes' ids (default: id, if it is there)."
    )
    size_columns: tuple[str, str] | None = option(
        "--size-columns",
        type=Names(count=2),
        metavar="COLUMNS",
        help="Columns of the images' widths and heights (default: width,height, if they are there).",
    )


@click.command(
    cls=Command,
    section="Prepare data",
    examples=[
        "fastbox inspect truths.parquet -o problems.parquet",
        "fastbox inspect truths.parquet --fix cleaned.parquet",
    ],
    short_help="Summarize a table of boxes, and find its problems.",
)
@click.argument("truths", type=click.Path())
@alone("output", output_option("the problems, as Parquet"))
@record("cleaning", Cleaning)
@record("more", More)
@record("table", Table)
@record("thresholds", Thresholds)
@record("fragments", Fragments)
@record("shown", Shown)
def inspect(
    truths: str,
    output: str | None,
    cleaning: Cleaning,
    more: More,
    table: Table,
    thresholds: Thresholds,
    fragments: Fragments,
    shown: Shown,
) -> None:
    """Summarize a table of boxes, find its problems, and write them.

    TRUTHS is a table of boxes in any file format that fastbox reads, of ground truth or of detections. docs/inspect.md
    explains the codes of the problems.

    A cleaned copy has no boxes that are not finite, inverted, without area or exact duplicates; boxes that lie partly
    outside of their image are clipped. All other rows and columns are unchanged. TRUTHS itself is never changed.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted
    from fastbox.jobs.inspection.fix import default_log
    from fastbox.jobs.inspection.problems import Limits

    try:
        limits = Limits(**{**asdict(thresholds), "class_size": thresholds.class_size or None})
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with progress("inspecting", counted(truths)) as step:
        found = fragments.run(
            jobs.inspect,
            *(one for one in (table.source(truths), more.images_table) if one is not None),
            out=output,
            **vars(cleaning),
            class_column=more.class_column,
            id_column=more.id_column,
            size_columns=more.size_columns,
            limits=limits,
            **shown.page(),
            progress=step,
        )
    fix = cleaning.fix
    changes = cleaning.changes or (fix and default_log(fix))
    shown.show(lambda *given: inspected.show_inspected(*given), found.to_dict(), output, fix, changes)
