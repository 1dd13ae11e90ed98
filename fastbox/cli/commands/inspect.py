"""`fastbox inspect`: what a table of boxes is like, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from fastbox.cli.fragments import Fragments, fragment_options
from fastbox.cli.options import format_option, image_option, json_option, report_option, show, split
from fastbox.cli.progress import progress

__all__ = ["inspect"]

Command = TypeVar("Command", bound=Callable[..., Any])


def size_of(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, str] | None:
    names = split(context, parameter, value)
    if names is None:
        return None
    if len(names) != 2:
        raise click.BadParameter(f"expected two columns with a comma between, got {value!r}")
    return names[0], names[1]


def limit(name: str, default: float, unit: str, text: str) -> Callable[[Command], Command]:
    return click.option(name, type=float, default=default, show_default=True, metavar=unit, help=text)


@click.command(short_help="Count what a table of boxes holds, and find what is wrong with it.")
@click.argument("truths", type=click.Path())
@click.option("--images", type=click.Path(), metavar="IMAGES", help="Table of all images, with their sizes.")
@click.option("-o", "--output", type=click.Path(), metavar="PROBLEMS", help="Parquet file of the problems to write.")
@click.option("--fix", type=click.Path(), metavar="CLEANED", help="Cleaned copy to write; see above.")
@click.option("--changes", type=click.Path(), metavar="LOG", help="What was changed (default: CLEANED.log.parquet).")
@report_option
@click.option("--class", "class_", metavar="COLUMN", help="Class column (default: category_id, if it is there).")
@click.option("--id", "id_", metavar="COLUMN", help="Column of the boxes' ids (default: id, if it is there).")
@image_option
@click.option(
    "--size", metavar="COLUMNS", callback=size_of, help="The images' sizes (default: width,height, if they are there)."
)
@click.option("--box", metavar="COLUMNS", help="Boxes: one column, or four with commas (default: found by name).")
@format_option
@limit("--tolerance", 0.5, "PX", "How far a box may stick out of its image.")
@limit("--min-side", 1.0, "PX", "A shorter side below is sub_pixel.")
@limit("--max-aspect", 100.0, "RATIO", "Longer side over shorter one, above which a box is extreme_aspect.")
@limit("--near", 0.95, "IOU", "From which IoU on boxes are near-duplicates.")
@limit("--huge", 0.95, "SHARE", "Share of its image above which a box is huge.")
@limit("--class-size", 4.0, "K", "Robust deviations from the class's median size; 0 does not ask, and saves a pass.")
@fragment_options
@json_option
def inspect(
    truths: str,
    images: str | None,
    output: str | None,
    fix: str | None,
    changes: str | None,
    report: str | None,
    class_: str | None,
    id_: str | None,
    image: str,
    size: tuple[str, str] | None,
    box: str | None,
    format_: str | None,
    tolerance: float,
    min_side: float,
    max_aspect: float,
    near: float,
    huge: float,
    class_size: float,
    fragments: Fragments,
    as_json: bool,
) -> None:
    """Count what a table of boxes holds, find what is wrong with it, and write the problems.

    TRUTHS is a table of boxes in any format that fastbox reads; detections will do as well. What every code means is in
    docs/inspect.md.

    A cleaned copy has no boxes that are not finite, inverted, without area or exact duplicates, and those that stick
    out of their image are clipped. All else is as it was, and so is TRUTHS.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted
    from fastbox.jobs.inspection.fix import default_log
    from fastbox.jobs.inspection.problems import Limits
    from fastbox.report.terminal import inspected
    from fastbox.tables.source import Source

    try:
        limits = Limits(tolerance, min_side, max_aspect, near, huge, class_size or None)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    given = Source(truths, boxes=box, format=format_, image=image)
    with progress("inspecting", counted(truths)) as step:
        found = fragments.run(
            jobs.inspect,
            *(table for table in (given, images) if table is not None),
            out=output,
            fix=fix,
            changes=changes,
            class_column=class_,
            id_column=id_,
            size=size,
            limits=limits,
            report=report,
            progress=step,
        )
    show(
        inspected.show_inspected, found.to_dict(), as_json, [output, fix, changes or (fix and default_log(fix)), report]
    )
