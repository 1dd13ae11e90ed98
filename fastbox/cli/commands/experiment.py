"""`fastbox experiment`: what the losses do, made visible."""

from __future__ import annotations

import click

from fastbox.cli.commands.disagreement import disagreement
from fastbox.cli.commands.regression import regression

__all__ = ["experiment"]


@click.group(short_help="See what the regression losses do.")
def experiment() -> None:
    """See what the regression losses do, on made-up boxes or on your own."""


experiment.add_command(regression)
experiment.add_command(disagreement)
