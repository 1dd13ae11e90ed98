"""`fastbox pairs`: the boxes of each image that overlap."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.cli.command import Command, alone, is_given, option, record
from fastbox.cli.fragments import Fragments
from fastbox.cli.options import (
    Shown,
    Tables,
    agnostic_option,
    beta_option,
    class_option,
    keep_option,
    metrics_option,
    output_option,
)
from fastbox.cli.progress import progress
from fastbox.cli.types import Number
from fastbox.ops.metrics import METRICS, ROTATED_METRICS
from fastbox.values.numbers import as_choice

__all__ = ["pairs"]

terminal = deferred("fastbox.report.terminal.summary")


def _as_metric(name: str) -> str:
    return as_choice(name, (*dict.fromkeys((*METRICS, *ROTATED_METRICS)),), "a metric")


@dataclass(frozen=True)
class Pairing:
    """The arguments of :func:`fastbox.jobs.pairs`."""

    threshold: float = option(
        "--threshold",
        type=Number(),
        default=0.5,
        show_default=True,
        metavar="VALUE",
        help="Least value of the first metric, such as IoU ≥ 0.50; for l1 and smooth_l1 the largest, in pixels.",
    )
    every: bool = option("--all", is_flag=True, help="Every pair of an image, with any value.")
    best: bool = option("--best", is_flag=True, help="One row for each detection, with its best truth.")
    class_agnostic: bool = agnostic_option(True, "class-agnostic")
    class_column: str = class_option()
    metrics: list[str] = metrics_option(
        _as_metric, ("iou",), f"compute: {', '.join(METRICS)}; of rotated boxes: {', '.join(ROTATED_METRICS)}"
    )
    beta: float = beta_option()
    keep: list[str] = keep_option("of the detections; default: none", default="")
    boxes: bool = option(
        "--boxes", is_flag=True, help="Write both boxes of each pair, as `fastbox measure` reads them."
    )


@click.command(
    cls=Command,
    section="Compare boxes",
    examples=[
        "fastbox pairs detections.parquet truths.parquet --best --boxes -o best.parquet",
        "fastbox pairs truths.parquet --threshold 0.9",
    ],
    short_help="Pair detections with ground truth, image by image.",
)
@click.argument("detections", type=click.Path())
@click.argument("truths", required=False, type=click.Path())
@alone("output", output_option())
@record("pairing", Pairing)
@record("tables", Tables)
@record("fragments", Fragments)
@record("shown", Shown)
def pairs(
    detections: str,
    truths: str | None,
    output: str | None,
    pairing: Pairing,
    tables: Tables,
    fragments: Fragments,
    shown: Shown,
) -> None:
    """Pair the boxes of each image: detections with ground truth, or one table with itself.

    DETECTIONS and TRUTHS are tables of boxes in any file format that fastbox reads. With one table the pairs are
    near-duplicates within each image. Images that are in only one of two tables count too.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted

    every = "--best" if pairing.best else "--all" if pairing.every else ""
    if every and is_given("pairing", "threshold"):
        raise click.UsageError(f"expected --threshold without {every}, which takes pairs of any value: leave one out")
    with progress("pairing", counted(detections, truths)) as step:
        found = fragments.run(
            jobs.pairs,
            tables.source(detections),
            None if truths is None else tables.truths(truths),
            out=output,
            **vars(pairing),
            **shown.page(),
            progress=step,
        )
    shown.show(lambda *given: terminal.show_paired(*given), found.to_dict(), output)
