"""The command line, one file a command: parse, call a job, print."""

from __future__ import annotations

import click

from fastbox._version import __version__
from fastbox.cli.commands.anchors import anchors
from fastbox.cli.commands.assign import assign
from fastbox.cli.commands.check import check
from fastbox.cli.commands.convert import convert
from fastbox.cli.commands.evaluate import evaluate
from fastbox.cli.commands.experiment import experiment
from fastbox.cli.commands.fuse import fuse
from fastbox.cli.commands.inspect import inspect
from fastbox.cli.commands.measure import measure
from fastbox.cli.commands.nms import nms
from fastbox.cli.commands.pairs import pairs
from fastbox.cli.commands.sample import sample
from fastbox.cli.commands.sort import sort
from fastbox.cli.commands.warmup import warmup
from fastbox.cli.outcome import Commands
from fastbox.cli.said import logged_on_stderr
from fastbox.errors import InputError, on_command_line
from fastbox.parallel import get_num_threads, set_num_threads

__all__ = ["main"]


@click.group(
    "fastbox", cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="fastbox")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="Threads to use (default: all processors).")
@click.pass_context
def main(context: click.Context, threads: int | None) -> None:
    """Bounding boxes by the million: IoU, GIoU and Smooth L1, streamed from Parquet.

    \b
    A first look, on made-up data:
      fastbox sample gt.parquet --detections dt.parquet
      fastbox pairs dt.parquet gt.parquet --best --boxes -o best.parquet
      fastbox measure best.parquet -o measured.parquet

    Exit codes: 0 done, 1 could not finish, 2 what was given can't be used.
    """
    from fastbox.storage.opened import keep_open

    context.with_resource(keep_open())
    context.with_resource(logged_on_stderr())
    context.with_resource(on_command_line())
    if threads is not None:
        set_num_threads(threads)
    try:
        get_num_threads()
    except ValueError as error:
        raise InputError(str(error)) from None


COMMANDS = (
    measure,
    pairs,
    evaluate,
    inspect,
    assign,
    anchors,
    nms,
    fuse,
    experiment,
    convert,
    check,
    sort,
    sample,
    warmup,
)
for command in COMMANDS:
    main.add_command(command)
