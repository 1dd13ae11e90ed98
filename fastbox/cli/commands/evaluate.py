"""`fastbox evaluate`: detections against ground truth, by COCO's rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.cli.command import Command, alone, option, record
from fastbox.cli.fragments import Fragments
from fastbox.cli.options import (
    Shown,
    Tables,
    agnostic_option,
    class_option,
    names_option,
    output_option,
    score_option,
    seed_option,
)
from fastbox.cli.progress import progress
from fastbox.cli.types import Column, Counts, Grid, Number, Ranges, Real, Whole
from fastbox.evaluation.protocols.coco import COCO
from fastbox.stages import told

if TYPE_CHECKING:
    from fastbox.evaluation import Params

__all__ = ["evaluate"]

coco = deferred("fastbox.report.terminal.coco")
compared = deferred("fastbox.report.terminal.rules_compared")
evaluated = deferred("fastbox.report.terminal.evaluated")
figures = deferred("fastbox.evaluation.summary")

_FIRST, _SECOND, *_, _LAST = COCO.iou_thresholds
THRESHOLDS = f"{_FIRST:g}:{_LAST:g}:{_SECOND - _FIRST:g}"
AREAS = ", ".join(f"{name}:{low:g}-{high:g}" for name, (low, high) in COCO.area_ranges.items()).replace("e+", "e")
COUNTS = ",".join(map(str, COCO.max_dets))


@dataclass(frozen=True)
class Rules:
    """The rules of matching and counting, as :class:`fastbox.evaluation.Params` has them."""

    rule: str = option(
        "--rule",
        default=COCO.name,
        show_default=True,
        metavar="NAME",
        help="Matching rule: coco, lvis, voc07, voc12, ai-tod, crowdhuman, kitti, open-images; several: side by side.",
    )
    metric: str = option(
        "--metric",
        default="iou",
        show_default=True,
        metavar="NAME",
        help="What rotated boxes are matched by: iou or probiou; both, as iou,probiou: side by side.",
    )
    iou_thresholds: list[float] | None = option(
        "--iou-thresholds",
        type=Grid(),
        metavar="IOUS",
        help=f"IoU from which on a detection matches, such as 0.5,0.75 (default: {THRESHOLDS}).",
    )
    area_ranges: dict[str, tuple[float, float]] | None = option(
        "--areas",
        type=Ranges(),
        metavar="RANGES",
        help=f"Ranges of areas in px², the first for AP (default: {AREAS}).",
    )
    max_dets: list[int] | None = option(
        "--max-dets",
        type=Counts(),
        metavar="COUNTS",
        help=f"Detections of an image and class that count at most (default: {COUNTS}).",
    )

    class_agnostic: bool = agnostic_option(False, "per class")
    strict: bool = option("--strict", is_flag=True, help="Match above the thresholds, not at them (voc07, voc12).")
    fixed: bool = option("--fixed", is_flag=True, help="Limit detections by class, not by image (lvis).")
    difficult: str | None = option(
        "--difficult",
        type=click.Choice(["ignore", "count"]),
        help="Ignore difficult truths, or count them (voc07, voc12; default: ignore).",
    )
    legacy_pixels: bool = option(
        "--legacy-pixels", is_flag=True, help="Count the pixels of both corners in width and height (voc07, voc12)."
    )

    images: int | None = option(
        "--images",
        type=Whole(1),
        metavar="COUNT",
        help="Images of the data set, for false positives per image (crowdhuman; default: those that a file lists, "
        "or that have boxes).",
    )

    filter: str | None = option(
        "--filter",
        metavar="CONDITIONS",
        help="Conditions on truths, else they are ignored, such as height>=50,visibility>=0.65 (crowdhuman).",
    )

    def given(self) -> dict[str, object]:
        """Return the rules that were given, by their options."""
        named = {"iou_thresholds": "--iou-thresholds", "area_ranges": "--areas"}
        given = {name: value for name, value in vars(self).items() if value and name not in ("rule", "metric")}
        return {named.get(name, f"--{name.replace('_', '-')}"): value for name, value in given.items()}

    @property
    def names(self) -> list[str]:
        """The names of the benchmarks."""
        return [name.strip() for name in self.rule.split(",") if name.strip()]

    @property
    def metrics(self) -> list[str]:
        """The names of the metrics."""
        return [name.strip() for name in self.metric.split(",") if name.strip()]

    def params(self) -> Params:
        """Return the rules of a benchmark, with those that were given, as a job takes them."""
        from fastbox.errors import InputError
        from fastbox.evaluation import Params

        given = {name: value for name, value in vars(self).items() if value is not None and value is not False}
        try:
            return Params(**given)
        except ValueError as error:
            raise InputError(str(error)) from None


@dataclass(frozen=True)
class Evaluation:
    """The arguments of :func:`fastbox.jobs.evaluate` beside the rules."""

    by: str | None = option("--by", metavar="COLUMN", help="Column of models; each is evaluated by itself.")
    compare: bool = option(
        "--compare", is_flag=True, help="Compare the first model, or the best one by --by, with each of the others."
    )
    samples: int = option(
        "--bootstrap",
        type=Whole(0),
        default=0,
        show_default=True,
        metavar="SAMPLES",
        help="Samples of the images to draw for confidence intervals.",
    )
    seed: int = seed_option("intervals")
    score_column: str = score_option()
    class_column: str = class_option()
    crowd_column: str = option(
        "--crowd-column",
        type=Column(),
        default=COCO.crowd,
        metavar="COLUMN",
        help=f"Column that marks crowds (default: {COCO.crowd}, if it is there).",
    )
    ignore_column: str = option(
        "--ignore-column",
        type=Column(),
        default=COCO.ignore,
        metavar="COLUMN",
        help=f"Column of truths to ignore (default: {COCO.ignore}, if it is there).",
    )
    area_column: str = option(
        "--area-column",
        type=Column(),
        default=COCO.area,
        metavar="COLUMN",
        help=f"Column of the truths' areas (default: {COCO.area}, if it is there).",
    )
    slice_by: tuple[str, ...] = option(
        "--slice-by",
        multiple=True,
        default=(),
        metavar="COLUMN",
        help="Column of truths or images whose values get figures of their own, or crowding, or border; repeatable.",
    )
    images_table: str | None = option(
        "--images-table", type=click.Path(), metavar="TABLE", help="Table of images with columns to slice by, or sizes."
    )
    names: str | None = names_option()
    federation: str | None = option(
        "--federation",
        type=click.Path(),
        metavar="FILE",
        help="Classes that images are annotated for: JSON of LVIS (lvis; default: TRUTHS), or a table of verified "
        "labels (open-images).",
    )
    hierarchy: str | None = option(
        "--hierarchy",
        type=click.Path(),
        metavar="FILE",
        help="JSON of the classes above others, to which truths are expanded (open-images).",
    )
    confusion_iou: float | None = option(
        "--confusion-iou",
        type=Real(0.01, 1),
        metavar="IOU",
        help="IoU from which boxes match in the confusion matrix (default: 0.5 with --report, else no matrix).",
    )
    confusion_score: float | None = option(
        "--confusion-score",
        type=Number(),
        metavar="SCORE",
        help="Score from which the confusion matrix counts detections (default: where F is highest).",
    )
    f_beta: float = option(
        "--f-beta",
        type=Real(0.01, 1000),
        default=1.0,
        show_default=True,
        metavar="BETA",
        help="How much more than precision recall counts in F, whose highest values choose the best scores.",
    )
    force: bool = option("--force", is_flag=True, help="Go on where the tables have nothing in common.")


@dataclass(frozen=True)
class Styled(Shown):
    """The ways in which an evaluation is shown."""

    style: str = option(
        "--style",
        type=click.Choice(["fastbox", "coco"]),
        default="fastbox",
        metavar="NAME",
        help="Style of the summary: fastbox, or coco for the lines that pycocotools prints (default: fastbox).",
    )

    def check(self, rule: str, has_coco: bool) -> None:
        """Refuse COCO's style beside figures in JSON, and for a rule without COCO's figures."""
        if self.style == "coco" and self.as_json:
            raise click.UsageError("expected --style coco without --json, which has all figures by name: leave one out")
        if self.style == "coco" and not has_coco:
            raise click.UsageError(f"expected a rule with COCO's figures for the style coco, got {rule}")


@click.command(
    cls=Command,
    section="Evaluate and train",
    once={
        "--rule": "name several rules with commas, as --rule coco,voc07",
        "--metric": "name both metrics with a comma, as --metric iou,probiou",
    },
    examples=[
        "fastbox evaluate detections.parquet truths.parquet --report evaluation.html",
        "fastbox evaluate detections.parquet truths.parquet -o matched.parquet",
        "fastbox evaluate detections.parquet truths.parquet --style coco",
        "fastbox evaluate detections.parquet truths.parquet --rule coco,voc07,voc12",
        "fastbox evaluate one.parquet other.parquet truths.parquet --compare",
        "fastbox evaluate detections.parquet truths.parquet --slice-by crowding",
    ],
    short_help="Evaluate detections: COCO's AP and AR, errors, calibration.",
)
@click.argument("detections", type=click.Path(), nargs=-1, required=True)
@click.argument("truths", type=click.Path())
@alone("output", output_option("every detection with its match type, truth and IoU, as Parquet"))
@record("rules", Rules)
@record("evaluation", Evaluation)
@record("tables", Tables)
@record("fragments", Fragments)
@record("shown", Styled)
def evaluate(
    detections: tuple[str, ...],
    truths: str,
    output: str | None,
    rules: Rules,
    evaluation: Evaluation,
    tables: Tables,
    fragments: Fragments,
    shown: Styled,
) -> None:
    """Evaluate detections against ground truth; each figure equals that of pycocotools to the last bit.

    DETECTIONS and TRUTHS are tables of boxes in any file format that fastbox reads; several tables of DETECTIONS are
    those of several models. The summary also has
    ΔAP50 of each kind of error (TIDE: localization, classification, both, duplicate, background, missed), the IoU of
    matched boxes, and the calibration of scores. -o writes each detection with its match type, its truth and their IoU.
    """
    from fastbox import jobs
    from fastbox.arrow.freed import return_freed
    from fastbox.datasets.as_source import counted

    return_freed()
    names, metrics = rules.names, rules.metrics
    if len(names) * len(metrics) > 1:
        alone_only = {"-o": output, "--report": shown.report, "--by": evaluation.by, "--bootstrap": evaluation.samples}
        alone_only |= {"--style coco": shown.style == "coco"}
        of_models = {"--compare": evaluation.compare, "several tables": detections[1:]}
        refused = [name for name, value in {**alone_only, **of_models, **rules.given()}.items() if value]
        if refused:
            what, got = ("rule", rules.rule) if len(names) > 1 else ("metric", rules.metric)
            raise click.UsageError(f"expected one {what} with {refused[0]}, got {got}")
        boxes = counted(*detections)
        with progress("evaluating", boxes and (lambda: len(names) * len(metrics) * boxes())) as step:
            side_by_side = jobs.compare_rules(
                tables.source(detections[0]),
                tables.truths(truths),
                rules=names,
                metrics=metrics,
                **vars(evaluation),
                progress=step,
            )
        shown.show(lambda *given: compared.show_rules_compared(*given), side_by_side.to_dict())
        return
    params = rules.params()
    shown.check(rules.rule, params.record.traced is None)
    first, *others = map(tables.source, detections)
    more = {"others": others} if others else {}
    with progress("evaluating", counted(*detections)) as step:
        found = fragments.run(
            jobs.evaluate,
            first,
            tables.truths(truths),
            out=output,
            params=params,
            **more,
            **vars(evaluation),
            **shown.page(),
            progress=step,
        )
        brief = shown.style == "coco" and found.by is None and not (shown.as_json or shown.report or output)
        if brief:  # no other figure is computed
            lines = list(coco.coco_lines(found.stats[None], figures.rules_told(found.evaluation.rules)))
        elif not shown.as_json:
            summary = found.to_dict(details=found.by is None and shown.style != "coco")
    if shown.as_json:
        for part in found.to_json(**told()):
            click.echo(part, nl=False)
        click.echo()
        return
    if brief:
        click.echo("\n".join(lines))
    elif shown.style == "coco":
        shown.show(lambda *given: coco.show_coco(*given), summary, output)
    else:
        shown.show(lambda *given: evaluated.show_evaluated(*given), summary, output)
