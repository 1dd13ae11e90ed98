"""`fastbox experiment regression`: which losses bring boxes to their targets."""

from __future__ import annotations

import click

from fastbox.cli.options import json_option, show, split
from fastbox.cli.progress import progress

__all__ = ["regression"]

NAMES = "smooth_l1, iou, giou, diou, ciou, eiou"


def losses_of(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
    """Names of losses, checked."""
    from fastbox.experiments.regression import LOSSES

    names = split(context, parameter, value) or []
    wrong = [repr(name) for name in names if name not in LOSSES] or ([] if names else ["none"])
    if wrong:
        raise click.BadParameter(f"expected names of {', '.join(LOSSES)}, got {wrong[0]}")
    return names


@click.command(short_help="See which losses bring boxes to their targets.")
@click.option(
    "--points",
    type=click.IntRange(min=1),
    default=5000,
    show_default=True,
    metavar="N",
    help="Points where boxes begin.",
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=200, show_default=True, metavar="N", help="Steps of each box."
)
@click.option(
    "--losses",
    default=NAMES.replace(" ", ""),
    metavar="NAMES",
    callback=losses_of,
    help=f"Of {NAMES} (default: all).",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N", help="Same seed, same points."
)
@click.option("-o", "--output", type=click.Path(), metavar="OUT", help="Parquet file of each point's error at the end.")
@click.option("--plot", type=click.Path(), metavar="OUT", help="Draw errors by step and by point: .svg, .png or .pdf.")
@json_option
def regression(
    points: int, steps: int, losses: list[str], seed: int, output: str | None, plot: str | None, as_json: bool
) -> None:
    """Move made-up boxes to their targets by gradient descent on each loss.

    The simulation of the Distance-IoU paper (Zheng et al., AAAI 2020): boxes of 49 shapes around each point of a circle
    go to each of 7 targets at its centre, 1,715,000 cases of 200 steps. Reports how far they are from their targets at
    the end and how soon they came near, for the exact gradient of each loss.
    """
    from fastbox import jobs
    from fastbox.experiments.regression import cases_per_point
    from fastbox.report.terminal.regression import show_regression

    if plot is not None:
        from fastbox.report.figures.base import check_picture
        from fastbox.storage.outputs import check_outputs

        check_picture(plot)
        check_outputs([], {}, {"output": output, "plot": plot})
    with progress("regressing", lambda: points * cases_per_point() * len(losses)) as step:
        found = jobs.regression(output, points=points, steps=steps, losses=losses, seed=seed, progress=step)
    if plot is not None:
        from fastbox.report.figures.regression import plot_regression

        plot_regression(found.to_dict(), found.columns(), plot)
    show(show_regression, found.to_dict(), as_json, [output, plot])
