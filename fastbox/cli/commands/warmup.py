"""`fastbox warmup`: compile kernels ahead of use."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox.cli.command import Command, alone
from fastbox.cli.options import json_option, metrics_option, show
from fastbox.cli.progress import progress
from fastbox.cli.types import Names, Whole
from fastbox.ops.metrics import DTYPES, METRICS, USUAL

__all__ = ["warmup"]

warmed = deferred("fastbox.report.terminal.warmed")


@click.command(
    cls=Command,
    section="Set up",
    examples=["fastbox warmup --commands pairs,evaluate", "fastbox warmup --dtypes float32 --metrics iou"],
    short_help="Compile kernels ahead of use, as for a container.",
)
@click.option(
    "--commands",
    "commands",
    type=Names(),
    metavar="NAMES",
    help="Commands whose kernels are compiled, such as pairs,evaluate (default: all kernels).",
)
@click.option(
    "--dtypes",
    "dtypes",
    type=Names(),
    metavar="NAMES",
    help=f"Types of coordinates: {', '.join(DTYPES)} (default: both).",
)
@alone("metrics", metrics_option(None, USUAL, f"compile: {', '.join(METRICS)}; or all"))
@click.option("--processes", type=Whole(1), metavar="N", help="Processes that compile (default: all processors).")
@alone("as_json", json_option())
def warmup(
    commands: list[str] | None, dtypes: list[str] | None, metrics: list[str], processes: int | None, as_json: bool
) -> None:
    """Compile kernels ahead of use, so that no later command waits for them.

    Kernels are compiled when they are first used on a machine, and kept in NUMBA_CACHE_DIR, beside the package or in
    the user's cache. In a Dockerfile, `RUN fastbox warmup` puts them into the image, for processors of the kind
    that built it.
    """
    from fastbox.errors import InputError
    from fastbox.jobs import warming

    with progress("compiling") as step:
        try:
            found = warming.warmup(
                commands=commands or (),
                dtypes=dtypes or DTYPES,
                metrics=METRICS if metrics == ["all"] else metrics,
                processes=processes,
                progress=None if step is None else lambda name, done, of: step.tell(f"{done} of {of} kernels: {name}"),
            )
        except ValueError as error:
            raise InputError(str(error)) from None
    show(lambda *given: warmed.show_warmed(*given), found.to_dict(), as_json, [])
