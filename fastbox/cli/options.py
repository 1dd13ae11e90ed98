"""Options that several commands share, alone and in records, and the printing of results."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox._version import SCHEMA
from fastbox.cli.command import option
from fastbox.cli.types import Column, Memory, Names, Real, Whole
from fastbox.kernels.codes import ROTATED_FORMATS
from fastbox.memory import set_memory
from fastbox.stages import told
from fastbox.values.formats import ALIASES, FORMATS
from fastbox.values.names import CLASS, IMAGE, SCORE, BoxArgument

if TYPE_CHECKING:
    from fastbox.report.terminal.console import Console
    from fastbox.tables.source import Source

__all__ = [
    "FRAGMENT_ROWS",
    "MEMORY",
    "Boxes",
    "PairColumns",
    "Shown",
    "Table",
    "Tables",
    "agnostic_option",
    "beta_option",
    "class_option",
    "count_option",
    "fragment_rows_option",
    "image_option",
    "iou_threshold_option",
    "json_option",
    "keep_option",
    "memory_option",
    "metrics_option",
    "min_score_option",
    "names_option",
    "output_option",
    "score_option",
    "seed_option",
    "show",
]

json = deferred("json")

TRUTH_BOX = BoxArgument("--truth-box", "Source(..., boxes={})")


def _set_memory(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Set the memory limit of jobs."""
    if value is not None:
        set_memory(value)
    return value


BOX_FORMAT: dict[str, Any] = {
    "type": click.Choice((*FORMATS, *ALIASES, *ROTATED_FORMATS)),
    "metavar": "FORMAT",
    "help": f"Box format: {', '.join((*FORMATS, *ALIASES))}; rotated: {', '.join(ROTATED_FORMATS)} "
    "(default: told by the columns' names).",
}
IMAGE_COLUMN: dict[str, Any] = {
    "type": Column(),
    "default": IMAGE,
    "metavar": "COLUMN",
    "help": "Column of image ids (default: image_id, or another of its usual names).",
}
FRAGMENT_ROWS: dict[str, Any] = {
    "type": Whole(1),
    "metavar": "BOXES",
    "help": "Approximate number of boxes in a fragment (default: 1,048,576).",
}
MEMORY: dict[str, Any] = {
    "type": Memory(),
    "metavar": "SIZE",
    "callback": _set_memory,
    "help": "Memory to use at most, such as 2GB (default: all of it).",
}


@dataclass(frozen=True)
class Boxes:
    """The columns of a table's boxes, and their format."""

    box: str | None = option(
        "--box", metavar="COLUMNS", help="Boxes: one column, or four with commas (default: found by name)."
    )
    format: str | None = option("--format", **BOX_FORMAT)


@dataclass(frozen=True)
class Table(Boxes):
    """The columns of a table's boxes and image ids."""

    image_column: str = option("--image-column", **IMAGE_COLUMN)

    def source(self, path: Any) -> Source:
        """Return a table as a job takes it."""
        from fastbox.tables.source import Source

        return Source(path, boxes=self.box, format=self.format, image=self.image_column)


@dataclass(frozen=True)
class Tables(Table):
    """The columns of the boxes of detections and of ground truth, and of the image ids of both."""

    truth_box: str | None = option(
        "--truth-box", metavar="COLUMNS", help="Boxes of the ground truth, as --box (default: found by name)."
    )
    truth_format: str | None = option(
        "--truth-format",
        **BOX_FORMAT
        | {"help": "Box format of the ground truth (default: as --format, or told by the columns' names)."},
    )
    truth_image_column: str | None = option(
        "--truth-image-column",
        type=Column(),
        metavar="COLUMN",
        help="Column of image ids of the ground truth (default: as --image-column).",
    )

    def truths(self, path: Any) -> Source:
        """Return the table of the ground truth as a job takes it."""
        from fastbox.tables.source import Source

        format_, image = self.truth_format or self.format, self.truth_image_column or self.image_column
        return Source(path, boxes=self.truth_box, format=format_, image=image, argument=TRUTH_BOX)


@dataclass(frozen=True)
class PairColumns:
    """The columns of the predicted and the target box of a row, and their format."""

    pred: str | None = option(
        "--pred", metavar="COLUMNS", help="Predicted box: one column, or four with commas (default: pred_...)."
    )
    target: str | None = option(
        "--target", metavar="COLUMNS", help="Target box: one column, or four with commas (default: target_...)."
    )
    format: str | None = option("--format", **BOX_FORMAT)


def output_option(what: str = "the result, as Parquet", **settings: Any) -> Any:
    """Return the option of the file to write."""
    return option("-o", "--output", type=click.Path(), metavar="OUT", help=f"File to write: {what}.", **settings)


def metrics_option(check: Callable[[str], object] | None, default: Sequence[str], text: str) -> Any:
    """Return the option of metrics, with a check of each name."""
    return option(
        "--metrics",
        type=Names(check),
        default=",".join(default),
        show_default=True,
        metavar="NAMES",
        help=f"Metrics to {text}.",
    )


def keep_option(text: str, default: str | None = None) -> Any:
    """Return the option of columns to keep."""
    return option(
        "--keep", type=Names(), default=default, metavar="COLUMNS", help=f"Columns to keep in the output ({text})."
    )


def class_option(default: str | None = CLASS, text: str = "category_id, or another of its usual names") -> Any:
    """Return the option of the class column."""
    return option(
        "--class-column",
        type=Column(),
        default=default,
        metavar="COLUMN",
        help=f"Column of classes (default: {text}).",
    )


def agnostic_option(default: bool | None, text: str) -> Any:
    """Return the option to compare boxes of different classes."""
    return option(
        "--class-agnostic/--per-class",
        default=default,
        help=f"Compare boxes of all classes, or only boxes of the same class (default: {text}).",
    )


def iou_threshold_option(default: float, text: str) -> Any:
    """Return the option of the overlap above which boxes count as the same."""
    return option(
        "--iou-threshold",
        type=Real(0, 1),
        default=default,
        show_default=True,
        metavar="IOU",
        help=f"Boxes with a higher IoU {text}.",
    )


def min_score_option(default: float | None, text: str, most: float | None = None) -> Any:
    """Return the option of the least score; ``most`` is the greatest that a command takes."""
    return option(
        "--min-score",
        type=Real(0, most),
        default=default,
        metavar="SCORE",
        help=f"Leave out boxes of a lower score (default: {text}).",
    )


def seed_option(text: str) -> Any:
    """Return the option of the seed."""
    return option(
        "--seed",
        type=Whole(min=0),
        default=0,
        show_default=True,
        metavar="N",
        help=f"Seed of the random numbers: same seed, same {text}.",
    )


def count_option(name: str, what: str, default: int, least: int) -> Any:
    """Return the option of a count; ``what`` names the things that are counted."""
    return option(
        name,
        type=Whole(min=least),
        default=default,
        show_default=True,
        metavar="N",
        help=f"Number of {what}.",
    )


def beta_option() -> Any:
    """Return the option of the distance at which Smooth L1 turns linear."""
    return option(
        "--beta",
        type=Real(0),
        default=1.0,
        show_default=True,
        metavar="PX",
        help="Distance at which smooth_l1 turns from square to linear.",
    )


def score_option() -> Any:
    """Return the option of the column of scores."""
    return option(
        "--score-column",
        type=Column(),
        default=SCORE,
        metavar="COLUMN",
        help="Column of scores (default: score, or another of its usual names).",
    )


def image_option() -> Any:
    """Return the option of the column of image ids."""
    return option("--image-column", **IMAGE_COLUMN)


def fragment_rows_option() -> Any:
    """Return the option of the size of a fragment."""
    return option("--fragment-rows", **FRAGMENT_ROWS)


def memory_option() -> Any:
    """Return the option of the memory to use, which is set where it is read."""
    return option("--memory", **MEMORY)


def names_option() -> Any:
    """Return the option of names of classes."""
    return option(
        "--names",
        type=click.Path(),
        metavar="FILE",
        help="Names of classes, numbered from 0: a text file with one name per line.",
    )


def json_option() -> Any:
    """Return the option to print JSON."""
    return option("--json", is_flag=True, help="Print the summary as JSON.")


@dataclass(frozen=True)
class Shown:
    """The ways in which a result is shown."""

    report: str | None = option(
        "--report", type=click.Path(), metavar="PAGE", help="HTML page to write, with plots (needs the extra `report`)."
    )
    pictures: str | None = option(
        "--pictures",
        type=click.Path(),
        metavar="FOLDER",
        help="Folder of the images, to show behind the examples of the page (at most 4,000 kB in all).",
    )
    as_json: bool = json_option()

    def page(self) -> dict[str, str | None]:
        """Return the arguments of a job that makes the page."""
        return {"report": self.report, "pictures": self.pictures}

    def show(
        self, printer: Callable[[Console, Mapping[str, Any]], object], summary: Mapping[str, Any], *outputs: str | None
    ) -> None:
        """Print a summary, and where the outputs and the page went."""
        show(printer, summary, self.as_json, [*outputs, self.report])


def show(
    printer: Callable[[Console, Mapping[str, Any]], object],
    summary: Mapping[str, Any],
    as_json: bool,
    outputs: Sequence[str | None],
) -> None:
    """Print a summary, as JSON or as its printer does it, and where the outputs went."""
    if as_json:
        click.echo(json.dumps({"schema": SCHEMA, **summary, **told()}, indent=2, allow_nan=False))
        return
    from fastbox.report.terminal.console import Console
    from fastbox.report.terminal.summary import show_outputs

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    console = Console(sys.stdout)
    printer(console, summary)
    show_outputs(console, [path for path in outputs if path is not None])
