"""Checks of the columns of a job's tables, before a row is read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from fastbox._lazy import deferred
from fastbox.arrow.arrays import id_kind, is_flag, is_number
from fastbox.arrow.layouts import BoxColumns
from fastbox.boxes.found import boxes_of_columns
from fastbox.errors import InputError
from fastbox.evaluation.params import Params
from fastbox.ops.geometry import geometry_of
from fastbox.tables.source import Plan

__all__ = ["check_flags", "check_images", "check_labels", "check_metrics", "check_numbers", "matched_geometry"]

ops_checks = deferred("fastbox.ops.checks")


def check_images(plans: Iterable[Plan], work: str) -> None:
    """Refuse tables that are read without image ids, by a job whose ``work`` is done image by image."""
    for plan in plans:
        if plan.ids is None:
            raise InputError(
                f"expected a column of image ids in {plan.files[0]}, got none: {work} image by image, so name the "
                "column with Source(..., image=COLUMN)"
            )


def check_metrics(metrics: Iterable[str], *boxes: BoxColumns) -> str:
    """Refuse metrics that the boxes in some columns do not have; return the geometry of these boxes."""
    sides = _empty(boxes)
    for name in metrics:
        try:
            ops_checks.check_metric(name, *sides)
        except ValueError as error:
            raise InputError(str(error)) from None
    return geometry_of(*sides)


def matched_geometry(params: Params, *boxes: BoxColumns) -> str:
    """Return the geometry of the boxes in some columns; refuses rules that such boxes can't be matched by."""
    geometry = geometry_of(*_empty(boxes))
    try:
        params.of_geometry(geometry)
    except ValueError as error:
        raise InputError(str(error)) from None
    return geometry


def _empty(boxes: Iterable[BoxColumns]) -> list[Any]:
    """Return no boxes of the kind that is in some columns, for each of the columns."""
    return [boxes_of_columns((np.zeros(0),) * own.count, own.format) for own in boxes]


def check_numbers(plan: Plan, *names: str | None) -> None:
    """Refuse columns that do not hold numbers; None names no column."""
    for name in filter(None, names):
        kind = plan.columns.field(name).type
        if not is_number(kind):
            raise InputError(f"expected numbers in column {name!r} of {plan.files[0]}, got {kind}: cast it")


def check_flags(plan: Plan, *names: str | None) -> None:
    """Refuse columns that hold neither booleans nor numbers nor text; None names no column."""
    for name in filter(None, names):
        kind = plan.columns.field(name).type
        if not is_flag(kind):
            where = f"column {name!r} of {plan.files[0]}"
            raise InputError(f"expected booleans, numbers or text in {where}, got {kind}: cast it")


def check_labels(plan: Plan, *names: str | None) -> None:
    """Refuse columns that can't tell classes, models or boxes apart; None names no column."""
    for name in filter(None, names):
        id_kind(plan.columns.field(name).type, name, plan.files[0])
