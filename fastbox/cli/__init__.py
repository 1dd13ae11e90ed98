"""The command line, one file a command: parse, call a job, print."""

from __future__ import annotations

import click

from fastbox._version import __version__
from fastbox.cli.messages import logged_on_stderr
from fastbox.cli.outcome import Commands
from fastbox.cli.types import Whole
from fastbox.errors import InputError, on_command_line
from fastbox.parallel import get_num_threads, set_num_threads

__all__ = ["main"]

EXAMPLES = (
    "fastbox synthesize truths.parquet --detections detections.parquet",
    "fastbox pairs detections.parquet truths.parquet --best --boxes -o best.parquet",
    "fastbox measure best.parquet -o measured.parquet",
)


@click.group(
    "fastbox",
    cls=Commands,
    package="fastbox.cli.commands",
    examples=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="fastbox")
@click.option("--threads", type=Whole(min=1), metavar="N", help="Threads to use (default: all processors).")
@click.pass_context
def main(context: click.Context, threads: int | None) -> None:
    """Bounding boxes by the million: IoU, GIoU and Smooth L1, streamed from Parquet.

    Exit codes: 0 done; 1 not finished; 2 unusable input or command line; 130 interrupted (Ctrl-C); 143 terminated.
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
