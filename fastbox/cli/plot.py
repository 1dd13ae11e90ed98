"""The option of a figure to write, and the check of its path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from fastbox.cli.command import option

__all__ = ["check_plot", "plot_option"]


def plot_option() -> Any:
    """Return the option of the figure to write."""
    return option(
        "--plot",
        type=click.Path(),
        metavar="FIGURE",
        help="Figure to write: .svg, .png or .pdf (needs the extra `plot`).",
    )


def check_plot(
    plot: str | None, read: Sequence[Any], written: Mapping[str, str | None], pictures: str | None = None
) -> None:
    """Refuse a figure that can't be drawn, or that would replace an input or another output."""
    if plot is not None:
        from fastbox.report.figures.base import check_picture
        from fastbox.storage.outputs import check_outputs

        check_picture(plot)
        check_outputs(read, {}, {**written, "plot": plot}, pictures=pictures)
