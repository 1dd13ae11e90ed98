"""`fastbox experiment regression`: the losses that bring boxes to their targets."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox.cli.command import Command, alone
from fastbox.cli.options import count_option, json_option, output_option, seed_option, show
from fastbox.cli.plot import check_plot, plot_option
from fastbox.cli.progress import progress
from fastbox.cli.types import Names
from fastbox.kernels.metrics import regression_losses

__all__ = ["regression"]

terminal = deferred("fastbox.report.terminal.regression")

LOSSES = regression_losses()


def check_loss(name: str) -> None:
    """Refuse the name of a loss that the experiment doesn't know."""
    if name not in LOSSES:
        raise ValueError(f"expected names of {', '.join(LOSSES)}, got {name!r}")


@click.command(
    cls=Command,
    examples=["fastbox experiment regression --points 20 --steps 50 -o errors.parquet"],
    short_help="Compare how fast losses bring boxes to their targets.",
)
@alone("points", count_option("--points", "points to start from", 5000, 1))
@alone("steps", count_option("--steps", "steps of each box", 200, 1))
@click.option(
    "--losses",
    type=Names(check_loss),
    default=",".join(LOSSES),
    metavar="NAMES",
    help=f"Losses: {', '.join(LOSSES)} (default: all).",
)
@alone("seed", seed_option("points"))
@alone("output", output_option("each point's error at the end, as Parquet"))
@alone("plot", plot_option())
@alone("as_json", json_option())
def regression(
    points: int, steps: int, losses: list[str], seed: int, output: str | None, plot: str | None, as_json: bool
) -> None:
    """Move synthetic boxes to their targets by gradient descent on each loss.

    The simulation of the Distance-IoU paper (Zheng et al., AAAI 2020): boxes of 49 shapes around each point of a circle
    move to each of 7 targets at its centre, 1,715,000 cases of 200 steps. Reports, for the exact gradient of each loss,
    the distance of the boxes from their targets at the end and the number of steps until they are near.
    """
    from fastbox import jobs
    from fastbox.experiments.regression import cases_per_point

    check_plot(plot, [], {"output": output})
    with progress("regressing", lambda: points * cases_per_point() * len(losses)) as step:
        found = jobs.regression(output, points=points, steps=steps, losses=losses, seed=seed, progress=step)
    if plot is not None:
        from fastbox.report.figures.regression import plot_regression

        plot_regression(found.to_dict(), found.columns(), plot)
    show(lambda *given: terminal.show_regression(*given), found.to_dict(), as_json, [output, plot])
