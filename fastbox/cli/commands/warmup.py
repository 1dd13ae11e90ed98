"""`fastbox warmup`: compile kernels ahead of use."""

from __future__ import annotations

import click

from fastbox.cli.options import json_option, show, split
from fastbox.cli.progress import progress
from fastbox.jobs.warming import DTYPES, USUAL

__all__ = ["warmup"]


@click.command(short_help="Compile kernels ahead of use, as for a container.")
@click.option("--dtype", "dtypes", metavar="NAMES", callback=split, help=f"Of {', '.join(DTYPES)} (default: both).")
@click.option(
    "--metrics",
    metavar="NAMES",
    default=",".join(USUAL),
    show_default=True,
    callback=split,
    help="Metrics to compile kernels for, or all.",
)
@click.option("--processes", type=click.IntRange(1), metavar="N", help="Side by side (default: all processors).")
@json_option
def warmup(dtypes: list[str] | None, metrics: list[str], processes: int | None, as_json: bool) -> None:
    """Compile kernels ahead of use, so that no later command waits for them.

    Kernels are compiled when they are first used on a machine, and kept in NUMBA_CACHE_DIR, beside the package or in
    the user's cache. In a Dockerfile, `RUN fastbox warmup` puts them into the image, for processors of the kind
    that built it.
    """
    from fastbox.errors import InputError
    from fastbox.jobs import warming
    from fastbox.ops.search import METRICS
    from fastbox.report.terminal.warmed import show_warmed

    with progress("compiling") as step:
        try:
            found = warming.warmup(
                dtypes=dtypes or DTYPES,
                metrics=METRICS if metrics == ["all"] else metrics,
                processes=processes,
                progress=None if step is None else lambda name, done, of: step.tell(f"{done} of {of} kernels: {name}"),
            )
        except ValueError as error:
            raise InputError(str(error)) from None
    show(show_warmed, found.to_dict(), as_json, [])
