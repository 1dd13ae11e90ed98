"""The options of `fastbox assign` for detectors without anchors, and its runs with these options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

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

    def check_unused(self) -> None:
        """Refuse these options without points."""
        given = {"--pad": self.pad, "--reach": self.reach, "--starved": self.starved}
        for name in (name for name, value in given.items() if value):
            raise click.UsageError(f"expected --points with {name}, got {name} alone: add --points, such as yolov8")

    def check(self, output: str | None, others: Mapping[str, Any]) -> None:
        """Refuse options that are of anchors alone."""
        if output is not None:
            raise click.UsageError(
                "expected --starved with --points, got --output: points are assigned by predictions, so name the file "
                "of truths without a point with --starved OUT"
            )
        for name in (name for name, value in others.items() if value is not None):
            raise click.UsageError(f"expected {name} with --anchors alone, got it with --points: leave one out")

    def run(self, fragments: Fragments, source: Source, options: Mapping[str, Any]) -> dict[str, Any]:
        """Count the candidates of truths, and return the summary."""
        from fastbox import jobs
        from fastbox.datasets.as_source import counted

        with as_usage_errors(), progress("counting", counted(source)) as step:
            found = fragments.run(
                jobs.candidates, source, out=self.starved, pad=self.pad, reach=self.reach, **options, progress=step
            )
        summary: dict[str, Any] = found.to_dict()
        return summary
