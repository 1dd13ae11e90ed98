"""`fastbox suspects`: truths that confident detections disagree with."""

from __future__ import annotations

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.cli.command import Command, alone, option, record
from fastbox.cli.fragments import Fragments
from fastbox.cli.options import (
    Shown,
    Tables,
    class_option,
    min_score_option,
    names_option,
    output_option,
    score_option,
)
from fastbox.cli.progress import progress
from fastbox.cli.types import Column, Real
from fastbox.evaluation.protocols.coco import COCO

__all__ = ["suspects"]

suspected = deferred("fastbox.report.terminal.suspected")


@dataclass(frozen=True)
class Suspicion:
    """The arguments of :func:`fastbox.jobs.suspects`."""

    by: str | None = option("--by", metavar="COLUMN", help="Column of models, which vote (default: one model).")
    min_score: float = min_score_option(0.3, "0.3", 1)
    min_suspicion: float = option(
        "--min-suspicion",
        type=Real(0, 1),
        default=0.5,
        show_default=True,
        metavar="SHARE",
        help="Least suspicion of a row of the output, from 0 to 1.",
    )
    score_column: str = score_option()
    class_column: str = class_option()
    crowd_column: str = option(
        "--crowd-column",
        type=Column(),
        default=COCO.crowd,
        metavar="COLUMN",
        help=f"Column that marks crowds, which take no part (default: {COCO.crowd}, if it is there).",
    )
    ignore_column: str = option(
        "--ignore-column",
        type=Column(),
        default=COCO.ignore,
        metavar="COLUMN",
        help=f"Column of truths that take no part (default: {COCO.ignore}, if it is there).",
    )
    names: str | None = names_option()


@click.command(
    cls=Command,
    section="Evaluate and train",
    examples=[
        "fastbox suspects detections.parquet truths.parquet -o suspects.parquet",
        "fastbox suspects detections.parquet truths.parquet --report suspects.html",
    ],
    short_help="Find annotations that confident detections disagree with.",
)
@click.argument("detections", type=click.Path())
@click.argument("truths", type=click.Path())
@alone("output", output_option("every suspect with its suspicion and the evidence, as Parquet"))
@record("suspicion", Suspicion)
@record("tables", Tables)
@record("fragments", Fragments)
@record("shown", Shown)
def suspects(
    detections: str,
    truths: str,
    output: str | None,
    suspicion: Suspicion,
    tables: Tables,
    fragments: Fragments,
    shown: Shown,
) -> None:
    """Find annotations that confident detections of one or many models disagree with.

    DETECTIONS and TRUTHS are tables of boxes in any file format that fastbox reads. A truth can have the wrong class,
    be badly placed, be spurious (no detection is near it) or show the same object as another truth; and an object can
    have no truth. Each suspect has a suspicion from 0 to 1: score times IoU (wrong class,
    duplicate), score (missing, badly placed), or the share of such objects that is found (spurious); of several models
    the mean.
    """
    from fastbox import jobs
    from fastbox.datasets.as_source import counted

    with progress("comparing", counted(detections)) as step:
        found = fragments.run(
            jobs.suspects,
            tables.source(detections),
            tables.truths(truths),
            out=output,
            **vars(suspicion),
            **shown.page(),
            progress=step,
        )
    shown.show(lambda *given: suspected.show_suspected(*given), found.to_dict(), output)
