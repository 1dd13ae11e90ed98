"""`fastbox measure`: rows that hold a predicted and a target box."""

from __future__ import annotations

import click

from fastbox.cli.options import beta_option, format_option, json_option, metrics_of, output_option, show, split
from fastbox.ops import METRICS
from fastbox.report.progress import progress

__all__ = ["measure"]


@click.command(short_help="Measure rows that hold a predicted and a target box.")
@click.argument("pairs", nargs=-1, required=True, type=click.Path())
@output_option
@click.option(
    "--metrics",
    default="iou,giou,smooth_l1",
    show_default=True,
    metavar="NAMES",
    callback=metrics_of,
    help=f"Of {', '.join(METRICS)}.",
)
@click.option("--pred", metavar="COLUMNS", help="Predicted box: one column, or four with commas (default: pred_...).")
@click.option("--target", metavar="COLUMNS", help="Target box, likewise (default: target_...).")
@format_option
@beta_option
@click.option("--keep", metavar="COLUMNS", callback=split, help="Columns to keep in the output (default: all).")
@json_option
def measure(
    pairs: tuple[str, ...],
    output: str | None,
    metrics: list[str],
    pred: str | None,
    target: str | None,
    format_: str | None,
    beta: float,
    keep: list[str] | None,
    as_json: bool,
) -> None:
    """Measure rows that hold a predicted and a target box.

    PAIRS are Parquet files, directories or globs. Every row gets a column for each metric; the summary has count, mean,
    quantiles, a histogram, and the invalid rows by reason.
    """
    from fastbox import jobs
    from fastbox.report import terminal
    from fastbox.tables.files import count_rows

    with progress("measuring", lambda: count_rows(pairs)) as step:
        found = jobs.measure(
            pairs,
            output,
            metrics=metrics,
            pred=pred,
            target=target,
            format=format_,
            beta=beta,
            keep=keep,
            progress=step,
        )
    show(terminal.show_measured, found.to_dict(), as_json, [output])
