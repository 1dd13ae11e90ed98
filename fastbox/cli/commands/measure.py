"""`fastbox measure`: rows that hold a predicted and a target box."""

from __future__ import annotations

import click

from fastbox.cli.fragments import Fragments, fragment_options
from fastbox.cli.options import (
    beta_option,
    format_option,
    json_option,
    names_of,
    output_option,
    report_option,
    show,
    split,
)
from fastbox.cli.progress import progress
from fastbox.losses.names import LOSSES, check_name
from fastbox.ops.search import METRICS

__all__ = ["measure"]


def delta_of(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not value > 0:
        raise click.BadParameter(f"expected more than 0, got {value}")
    return value


@click.command(short_help="Measure rows that hold a predicted and a target box.")
@click.argument("pairs", nargs=-1, required=True, type=click.Path())
@output_option
@click.option(
    "--metrics",
    default="iou,giou,smooth_l1",
    show_default=True,
    metavar="NAMES",
    callback=names_of((*METRICS, *LOSSES), check_name),
    help=f"Metrics of {', '.join(METRICS)}; losses of {', '.join(LOSSES)}.",
)
@click.option("--grad", is_flag=True, help="Gradient of each loss by the predicted box: four columns, in its format.")
@click.option("--pred", metavar="COLUMNS", help="Predicted box: one column, or four with commas (default: pred_...).")
@click.option("--target", metavar="COLUMNS", help="Target box, likewise (default: target_...).")
@format_option
@beta_option
@click.option(
    "--delta",
    type=float,
    default=1.0,
    show_default=True,
    metavar="PX",
    callback=delta_of,
    help="Where huber_loss turns from square to linear.",
)
@click.option("--keep", metavar="COLUMNS", callback=split, help="Columns to keep in the output (default: all).")
@report_option
@fragment_options
@json_option
def measure(
    pairs: tuple[str, ...],
    output: str | None,
    metrics: list[str],
    grad: bool,
    pred: str | None,
    target: str | None,
    format_: str | None,
    beta: float,
    delta: float,
    keep: list[str] | None,
    fragments: Fragments,
    report: str | None,
    as_json: bool,
) -> None:
    """Measure rows that hold a predicted and a target box.

    PAIRS are tables whose rows hold two boxes, in any format that fastbox reads. Every row gets a column for each
    metric and loss; the summary has count, mean, quantiles, a histogram, and the invalid rows by reason.

    With --grad every loss gets four more columns, its gradient by the numbers of the predicted box (iou_loss_grad_x0
    and so on); the summary tells how long gradients are, and how many are exactly zero. --beta is for smooth_l1_loss
    as for smooth_l1.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted
    from fastbox.report.terminal import summary as terminal

    with progress("measuring", counted(pairs)) as step:
        found = fragments.run(
            jobs.measure,
            pairs,
            out=output,
            metrics=metrics,
            grad=grad,
            pred=pred,
            target=target,
            format=format_,
            beta=beta,
            delta=delta,
            keep=keep,
            report=report,
            progress=step,
        )
    show(terminal.show_measured, found.to_dict(), as_json, [output, report])
