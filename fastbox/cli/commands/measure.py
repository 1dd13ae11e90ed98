"""`fastbox measure`: rows that hold a predicted and a target box."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.cli.command import Command, alone, option, record
from fastbox.cli.fragments import Fragments
from fastbox.cli.options import (
    PairColumns,
    Shown,
    beta_option,
    keep_option,
    metrics_option,
    output_option,
)
from fastbox.cli.progress import progress
from fastbox.cli.types import Real
from fastbox.losses.names import LOSSES, check_name
from fastbox.ops.metrics import METRICS, ROTATED_METRICS

__all__ = ["measure"]

terminal = deferred("fastbox.report.terminal.summary")


@dataclass(frozen=True)
class Measures:
    """The arguments of :func:`fastbox.jobs.measure` beside the columns of boxes."""

    metrics: list[str] = metrics_option(
        check_name,
        ("iou", "giou", "smooth_l1"),
        f"compute: {', '.join(METRICS)}; losses: {', '.join(LOSSES)}; of rotated boxes: {', '.join(ROTATED_METRICS)}",
    )
    grad: bool = option(
        "--grad", is_flag=True, help="Gradient of each loss with respect to the predicted box: four columns."
    )
    beta: float = beta_option()
    delta: float = option(
        "--delta",
        type=Real(0, min_open=True),
        default=1.0,
        show_default=True,
        metavar="PX",
        help="Distance at which huber_loss turns from square to linear.",
    )
    keep: list[str] | None = keep_option("default: all")


@click.command(
    cls=Command,
    section="Compare boxes",
    examples=["fastbox measure pairs.parquet --metrics iou,giou_loss -o measured.parquet"],
    short_help="Measure the two boxes of each row.",
)
@click.argument("pairs", nargs=-1, required=True, type=click.Path())
@alone("output", output_option())
@record("measures", Measures)
@record("columns", PairColumns)
@record("fragments", Fragments)
@record("shown", Shown)
def measure(
    pairs: tuple[str, ...],
    output: str | None,
    measures: Measures,
    columns: PairColumns,
    fragments: Fragments,
    shown: Shown,
) -> None:
    """Measure the predicted and the target box of each row.

    PAIRS are tables whose rows hold two boxes, in any box format. Every row gets a column for each metric and loss; the
    summary has count, mean, quantiles, a histogram, and the number of invalid rows by reason.

    With --grad every loss gets four more columns: its gradient with respect to the numbers of the predicted box
    (iou_loss_grad_x0 and so on). The summary has the lengths of the gradients, and the number of gradients that are
    exactly zero. --beta applies to smooth_l1_loss too.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted

    with progress("measuring", counted(pairs)) as step:
        found = fragments.run(
            jobs.measure, pairs, out=output, **vars(measures), **vars(columns), **shown.page(), progress=step
        )
    shown.show(lambda *given: terminal.show_measured(*given), found.to_dict(), output)
