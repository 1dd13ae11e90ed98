"""`fastbox experiment disagreement`: distances between coordinates against overlap."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox.cli.command import Command, alone, record
from fastbox.cli.options import PairColumns, beta_option, json_option, show
from fastbox.cli.plot import check_plot, plot_option
from fastbox.cli.progress import progress

__all__ = ["disagreement"]

terminal = deferred("fastbox.report.terminal.disagreement")


@click.command(
    cls=Command,
    examples=["fastbox experiment disagreement pairs.parquet"],
    short_help="Find the pairs on which distances and overlap disagree.",
)
@click.argument("pairs", nargs=-1, required=True, type=click.Path())
@record("columns", PairColumns)
@alone("beta", beta_option())
@alone("plot", plot_option())
@alone("as_json", json_option())
def disagreement(pairs: tuple[str, ...], columns: PairColumns, beta: float, plot: str | None, as_json: bool) -> None:
    """Find the pairs on which distances between coordinates and overlap disagree.

    PAIRS are tables whose rows hold a predicted and a target box, as fastbox pairs --boxes writes them. Reports the
    rank correlation of L1, L2 and Smooth L1 with IoU and GIoU, the range of IoU and GIoU among pairs of equal
    distance, and pairs of equal distance whose IoU differs most (Rezatofighi et al., CVPR 2019, figure 1).
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted

    check_plot(plot, [pairs], {})
    with progress("comparing", counted(pairs)) as step:
        found = jobs.disagreement(
            pairs, pred=columns.pred, target=columns.target, format=columns.format, beta=beta, progress=step
        )
    summary = found.to_dict()
    if plot is not None:
        from fastbox.report.figures.disagreement import plot_disagreement

        plot_disagreement(summary, found.density(), plot)
    show(lambda *given: terminal.show_disagreement(*given), summary, as_json, [plot])
