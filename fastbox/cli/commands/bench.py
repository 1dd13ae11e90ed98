"""`fastbox bench`: the speed on this machine, beside other libraries."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox.cli.command import Command, alone
from fastbox.cli.options import json_option, output_option, show
from fastbox.cli.progress import progress
from fastbox.cli.types import Real

__all__ = ["bench"]

benchmarked = deferred("fastbox.report.terminal.benchmarked")


@click.command(
    cls=Command,
    section="Set up",
    examples=["fastbox bench", "fastbox bench --seconds 20 -o speed.md"],
    short_help="Measure the speed on this machine, beside other libraries.",
)
@alone("output", output_option("the table, as Markdown"))
@click.option(
    "--seconds",
    type=Real(0),
    default=75.0,
    show_default=True,
    metavar="SECONDS",
    help="Time to measure; preparing and comparing the results takes some more.",
)
@alone("as_json", json_option())
def bench(output: str | None, seconds: float, as_json: bool) -> None:
    """Measure fastbox and the libraries that are installed on the same work, in turns.

    Peers are numpy, powerboxes, pycocotools, supervision, torchvision, torch and lsnms. The results of each peer are
    compared before it is measured. Kernels that are not compiled are compiled first. Nothing else should run on the
    machine meanwhile.
    """
    from fastbox.benchmarks import run
    from fastbox.storage.folders import check_folder, new_file

    if output is not None:
        check_folder(output)
    with progress("measuring") as step:
        found = run.bench(
            seconds=seconds,
            progress=None if step is None else lambda name, done, of: step.tell(f"{done + 1} of {of}: {name}"),
        ).to_dict()
    if output is not None:
        with new_file(output) as file:
            file.write(benchmarked.markdown_of(found).encode())
    show(lambda *given: benchmarked.show_benchmarked(*given), found, as_json, [output])
