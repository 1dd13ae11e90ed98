"""The options of `fastbox assign` for detectors without anchors, and its runs with these options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from fastbox._record import dataclass
from fastbox.cli.command import option
from fastbox.cli.fragments import Fragments
from fastbox.cli.progress import progress
from fastbox.cli.types import Real
from fastbox.errors import InputError

if TYPE_CHECKING:
    from fastbox.tables.source import Source

__all__ = ["Pointed", "as_usage_errors"]


@contextmanager
def as_usage_errors() -> Iterator[None]:
    """Turn errors of values into errors of the command line; unusable input stays what it is."""
    try:
        yield
    except InputError:
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from None


@dataclass(frozen=True)
class Pointed:
    """The options that need --points."""

    pad: str | None = option(
        "--pad",
        type=click.Choice(("center", "corner", "stretch", "none")),
        metavar="HOW",
        help="Where inputs are padded: center, corner (right and below), stretch, or none: boxes are in pixels of the "
        "input already (default: as each detector does).",
    )
    reach: float = option(
        "--reach",
        type=Real(0),
        default=0.0,
        metavar="STRIDES",
        help="Count truths that no point reaches, such as 15: the limit of 16 bins of distribution focal loss.",
    )
    starved: str | None = option(
        "--starved",
        type=click.Path(),
        metavar="OUT",
        help="File to write: the truths without a point, and with --reach those out of reach, as Parquet.",
    )

    predictions: str | None = option(
        "--predictions",
        type=click.Path(),
        metavar="RAW",
        help="Raw predictions, as fastbox.RawPredictions writes them: points are assigned by these, and -o writes the "
        "positive ones.",
    )

    def check_unused(self) -> None:
        """Refuse these options without points."""
        given = {"--pad": self.pad, "--reach": self.reach, "--starved": self.starved}
        for name in (name for name, value in (given | {"--predictions": self.predictions}).items() if value):
            raise click.UsageError(f"expected --points with {name}, got {name} alone: add --points, such as yolov8")

    def assigns(self, output: str | None, others: Mapping[str, Any]) -> bool:
        """Tell whether points are assigned, or only candidates counted; refuses options that are of anchors alone."""
        for name in (name for name, value in others.items() if value is not None):
            raise click.UsageError(f"expected {name} with --anchors alone, got it with --points: leave one out")
        assigns = output is not None or self.predictions is not None
        for name, value in {"--starved": self.starved, "--reach": self.reach}.items():
            if assigns and value:
                raise click.UsageError(
                    f"expected {name} where candidates are counted, got it where points are assigned: leave out "
                    "--predictions and --output, or run the command twice"
                )
        return assigns

    def count(self, fragments: Fragments, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """Count the candidates of truths, and return the summary."""
        from fastbox import jobs
        from fastbox.datasets.as_source import counted

        with as_usage_errors(), progress("counting", counted(source)) as step:
            found = fragments.run(
                jobs.candidates, source, out=self.starved, pad=self.pad, reach=self.reach, **options, progress=step
            )
        summary: dict[str, Any] = found.to_dict()
        return summary

    def assign(
        self, fragments: Fragments, source: Source, output: str | None, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Assign points to truths, and return the summary."""
        from fastbox import jobs
        from fastbox.datasets.as_source import counted

        points, compared = options["points"], options["compared"]
        if len(points) > 1 or compared or len(options["sizes"]) > 1:
            raise click.UsageError(
                "expected one preset of points and one size to assign points, got several: leave out --predictions and "
                "--output to compare them"
            )
        tables = [source] if self.predictions is None else [source, self.predictions]
        given = {name: value for name, value in options.items() if name not in ("points", "compared")}
        with as_usage_errors(), progress("assigning", counted(source)) as step:
            found = fragments.run(
                jobs.assign_points, *tables, out=output, points=points[0], pad=self.pad, **given, progress=step
            )
        summary: dict[str, Any] = found.to_dict()
        return summary
