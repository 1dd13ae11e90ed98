"""`fastbox experiment disagreement`: how far distances say how boxes overlap."""

from __future__ import annotations

import click

from fastbox.cli.options import beta_option, format_option, json_option, show
from fastbox.cli.progress import progress

__all__ = ["disagreement"]


@click.command(short_help="See where distances and overlap disagree, on your own pairs.")
@click.argument("pairs", nargs=-1, required=True, type=click.Path())
@click.option("--pred", metavar="COLUMNS", help="Predicted box: one column, or four with commas (default: pred_...).")
@click.option("--target", metavar="COLUMNS", help="Target box, likewise (default: target_...).")
@format_option
@beta_option
@click.option("--plot", type=click.Path(), metavar="OUT", help="Draw it, with examples: .svg, .png or .pdf.")
@json_option
def disagreement(
    pairs: tuple[str, ...],
    pred: str | None,
    target: str | None,
    format_: str | None,
    beta: float,
    plot: str | None,
    as_json: bool,
) -> None:
    """See where distances between coordinates and overlap disagree.

    PAIRS are tables whose rows hold a predicted and a target box, as fastbox pairs --boxes
    writes them. Reports how well L1, L2 and Smooth L1 rank pairs as IoU and GIoU do, how far these spread among pairs
    that are equally far apart, and the examples that mislead most (Rezatofighi et al., CVPR 2019, figure 1).
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted
    from fastbox.report.terminal.disagreement import show_disagreement

    if plot is not None:
        from fastbox.report.figures.base import check_picture
        from fastbox.storage.outputs import check_outputs

        check_picture(plot)
        check_outputs([pairs], {}, {"plot": plot})
    with progress("comparing", counted(pairs)) as step:
        found = jobs.disagreement(pairs, pred=pred, target=target, format=format_, beta=beta, progress=step)
    summary = found.to_dict()
    if plot is not None:
        from fastbox.report.figures.disagreement import plot_disagreement

        plot_disagreement(summary, found.density(), plot)
    show(show_disagreement, summary, as_json, [plot])
