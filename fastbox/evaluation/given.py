"""Detections and truths as callers give them, read as an evaluation takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastbox.evaluation.collected import Collected
from fastbox.evaluation.params import Params
from fastbox.evaluation.sides import Detections, GroundTruths, Images
from fastbox.ops.checks import as_collection
from fastbox.values.flags import as_flags
from fastbox.values.groups import align_images
from fastbox.values.labels import as_labels, check_kinds
from fastbox.values.numbers import as_floats

__all__ = ["coded"]


def coded(
    collected: Collected, detections: Any, scores: ArrayLike, truths: Any, given: Mapping[str, Any]
) -> tuple[Images, Detections, GroundTruths]:
    """Return whole images with codes of classes and models; `given` has the other arrays of ``evaluate`` by name."""
    classes, truth_classes, models = (given[name] for name in ("classes", "truth_classes", "models"))
    crowd, ignore, areas = (given[name] for name in ("crowd", "ignore", "areas"))
    a, b = as_collection(detections, "detections"), as_collection(truths, "truths")
    n, m = len(a), len(b)
    if (classes is None) != (truth_classes is None):
        one, missing = ("truth_classes", "classes") if classes is None else ("classes", "truth_classes")
        raise ValueError(f"expected classes= and truth_classes= or neither, got {one} and no {missing}")
    if classes is None:
        collected.classes.of([None])
        kinds, truth_kinds = np.zeros(n, np.int64), np.zeros(m, np.int64)
    else:
        own = _column("classes", as_labels(classes, "classes", n), n)
        theirs = _column("truth_classes", as_labels(truth_classes, "truth_classes", m), m)
        check_kinds((own, theirs), ("classes", "truth_classes"))
        kinds, truth_kinds = (collected.classes.of_column(column) for column in (own, theirs))
    if models is None:
        collected.models.of([None])
        codes = np.zeros(n, np.int64)
    else:
        codes = collected.models.of_column(_column("models", as_labels(models, "models", n), n))
    found = Detections(a, _column("scores", as_floats(scores, "scores"), n), kinds, codes, np.zeros(n, np.bool_))
    wanted = GroundTruths(
        b,
        truth_kinds,
        np.zeros(m, np.bool_) if crowd is None else as_flags(crowd, "crowd", m),
        np.zeros(m, np.bool_) if ignore is None else as_flags(ignore, "ignore", m),
        None if areas is None else _column("areas", as_floats(areas, "areas"), m),
        np.zeros(m, np.bool_),
        numbers=_numbers(collected.params, given.get("numbers") or {}, m),
    )
    return Images(*align_images(a, b, ("detections", "truths"))), found, wanted


def _numbers(params: Params, given: Mapping[str, ArrayLike], m: int) -> dict[str, NDArray[np.float64]]:
    """Return the further columns that the rules read, nan where a benchmark's own column is not given."""
    names = params.numbers
    for name in names:
        if name not in given and name not in params.record.numbers:
            raise ValueError(
                f"expected numbers of column {name!r} of the filter, got none: give numbers={{{name!r}: …}}"
            )
    for name in given:
        if name not in names:
            known = ", ".join(names) or "none"
            raise ValueError(f"expected numbers that the rule reads ({known}), got {name!r}: leave it out")
    return {
        name: _column(name, as_floats(given[name], name), m).astype(np.float64) if name in given else np.full(m, np.nan)
        for name in names
    }


def _column(name: str, column: NDArray[Any], n: int) -> NDArray[Any]:
    if column.shape != (n,):
        raise ValueError(f"expected {name} of shape ({n},), got {column.shape}")
    return column
