"""Options that several commands share, and how every command prints what it found."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from fastbox.boxes.container import ALIASES, FORMATS
from fastbox.errors import InputError
from fastbox.memory import set_memory
from fastbox.ops.search import METRICS, check_metric
from fastbox.values.names import CLASS, IMAGE, SCORE, Usual

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "beta_option",
    "class_option",
    "format_option",
    "image_option",
    "json_option",
    "memory_option",
    "metrics_option",
    "names_of",
    "of_truths",
    "output_option",
    "report_option",
    "score_option",
    "show",
    "split",
    "threshold_of",
]


def split(context: click.Context, parameter: click.Parameter, value: str | None) -> list[str] | None:
    """The parts of a list with commas."""
    return None if value is None else [part.strip() for part in value.split(",") if part.strip()]


def names_of(
    known: Sequence[str], check: Callable[[str], None]
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Make the callback of an option that takes some of the known names, each checked."""

    def checked(context: click.Context, parameter: click.Parameter, value: str) -> list[str]:
        names = split(context, parameter, value) or []
        if not names:
            raise click.BadParameter(f"expected names of {', '.join(known)}, got none")
        for name in names:
            try:
                check(name)
            except ValueError as error:
                raise click.BadParameter(str(error)) from None
        return names

    return checked


def beta_of(context: click.Context, parameter: click.Parameter, value: float) -> float:
    if not value >= 0:
        raise click.BadParameter(f"expected 0 or more, got {value}")
    return value


def memory_of(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    """Set how much memory jobs may take."""
    if value is not None:
        set_memory(value)


def usual(name: Usual) -> Callable[[click.Context, click.Parameter, str | None], str]:
    """Make the callback of an option that names a column: of one that is not given, whichever has a usual name."""
    return lambda context, parameter, value: name if value is None else value


def threshold_of(context: click.Context, parameter: click.Parameter, value: float) -> float:
    """A number, and not nan."""
    if math.isnan(value):
        raise click.BadParameter("expected a number, got nan")
    return value


@contextmanager
def of_truths(detections: str, truths: str | None) -> Iterator[None]:
    """Tell the option that names the truths' boxes where a message is about the truths alone."""
    try:
        yield
    except InputError as error:
        said = str(error)
        if truths is None or "--box " not in said or truths not in said or detections in said:
            raise
        raise InputError(said.replace("--box ", "--truth-box ")) from None


metrics_option = click.option(
    "--metrics",
    default="iou",
    show_default=True,
    metavar="NAMES",
    callback=names_of(METRICS, check_metric),
    help=f"Of {', '.join(METRICS)}.",
)
format_option = click.option(
    "--format",
    "format_",
    type=click.Choice((*FORMATS, *ALIASES)),
    metavar="FORMAT",
    help=f"{', '.join((*FORMATS, *ALIASES))} (default: told by the columns' names).",
)
beta_option = click.option(
    "--beta",
    type=float,
    default=1.0,
    show_default=True,
    metavar="PX",
    callback=beta_of,
    help="Where smooth_l1 turns from square to linear.",
)
image_option = click.option(
    "--image",
    metavar="COLUMN",
    callback=usual(IMAGE),
    help="Column of image ids (default: image_id, or another of its usual names).",
)
class_option = click.option(
    "--class",
    "class_",
    metavar="COLUMN",
    callback=usual(CLASS),
    help="Class column (default: category_id, or another of its usual names).",
)
score_option = click.option(
    "--score",
    metavar="COLUMN",
    callback=usual(SCORE),
    help="Column of scores (default: score, or another of its usual names).",
)
memory_option = click.option(
    "--memory",
    metavar="SIZE",
    callback=memory_of,
    expose_value=False,
    help="How much memory may be taken, such as 2GB (default: all there is); an image that can't fit is refused.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
report_option = click.option(
    "--report", type=click.Path(), metavar="PAGE", help="HTML page to write, with plots (the extra report)."
)
output_option = click.option("-o", "--output", type=click.Path(), metavar="OUT", help="Parquet file to write.")


def show(
    printer: Callable[[Console, Mapping[str, Any]], object],
    summary: Mapping[str, Any],
    as_json: bool,
    outputs: Sequence[str | None],
) -> None:
    """Print a summary, as JSON or as its printer does it, and where the outputs went."""
    if as_json:
        click.echo(json.dumps(summary, indent=2, allow_nan=False))
        return
    from rich.console import Console

    from fastbox.report.terminal.summary import show_outputs

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(highlight=False)
    console.width = max(console.width, 80)
    printer(console, summary)
    show_outputs(console, [path for path in outputs if path is not None])
