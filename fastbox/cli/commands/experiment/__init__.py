"""`fastbox experiment`: experiments that compare the losses."""

from __future__ import annotations

import click

from fastbox.cli.command import Group

__all__ = ["experiment"]


@click.group(
    cls=Group,
    package=__name__,
    section="Evaluate and train",
    examples=["fastbox experiment regression --points 20 --losses iou,giou"],
    short_help="Compare the regression losses.",
)
def experiment() -> None:
    """Compare the regression losses, on synthetic boxes or on your own pairs."""
