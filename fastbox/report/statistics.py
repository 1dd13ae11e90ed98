"""The statistics of an evaluation that are shown first, by size and by class, by any protocol."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import compress
from typing import Any

from fastbox.report.numbers import counted

__all__ = ["best_first", "by_size", "first_of", "parted"]

MOST = 6  # statistics that are shown first


def best_first(models: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return models with their figures, sorted by the first statistic, the best model first.

    >>> list(best_first({"a": {"stats": {"AP": 0.2, "AR1": 0.9}}, "b": {"stats": {"AP": 0.3, "AR1": 0.1}}}))
    ['b', 'a']
    """
    return dict(sorted(models.items(), key=lambda entry: -next(iter(entry[1]["stats"].values()))))


def first_of(stats: Mapping[str, Any], rules: Mapping[str, Any]) -> list[str]:
    """Return the names of the statistics that are shown first: the first one, by which models are ranked, and others.

    Statistics of a size or of a lower limit of detections are left out.

    >>> names = dict.fromkeys(["AP", "AP50", "AP75", "AP_small", "AR1", "AR10", "AR_small"])
    >>> first_of(names, {"area_ranges": ["all", "small"], "max_dets": [1, 10]})
    ['AP', 'AP50', 'AP75', 'AR10']
    >>> first_of({"AP_small": 0.2, "AP": 0.5}, {"area_ranges": ["all", "small"], "max_dets": [100]})
    ['AP_small', 'AP']
    """
    _, *sizes = rules["area_ranges"]
    lower = {f"AR{count}" for count in rules["max_dets"][:-1]}
    of_size = tuple(f"_{size}" for size in sizes)
    chosen = [k == 0 or not (name.endswith(of_size) or name in lower) for k, name in enumerate(stats)]
    return list(compress(stats, chosen))[:MOST]


def by_size(stats: Mapping[str, float], rules: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the statistics of each range of areas, under the names of those of the first range.

    >>> stats = {"AP": 0.5, "AP_small": 0.2, "AR1": 0.4, "AR10": 0.6, "AR_small": 0.3}
    >>> by_size(stats, {"area_ranges": ["all", "small"], "max_dets": [1, 10]})
    {'AP': [0.5, 0.2], 'AR10': [0.6, 0.3]}
    """
    _, *sizes = rules["area_ranges"]
    if not sizes:
        names = first_of(stats, rules)
        return {name: [stats[name]] for name in (names[0], names[-1])}
    found = {}
    for kind in (name.removesuffix(f"_{sizes[0]}") for name in stats if name.endswith(f"_{sizes[0]}")):
        whole = kind if kind in stats else f"{kind}{rules['max_dets'][-1]}"
        names = [whole, *(f"{kind}_{size}" for size in sizes)]
        if all(name in stats for name in names):
            found[whole] = [stats[name] for name in names]
    return found


def parted(errors: Mapping[str, Any]) -> str:
    """Return the sentence that divides the truths into those that are matched, nearly detected and missed.

    >>> parted({"truths": 9, "counts": {"matched": 5, "missed": 1}})
    'of 9 truths: 5 matched, 3 with a nearly right detection, 1 missed'
    """
    matched, missed = errors["counts"]["matched"], errors["counts"]["missed"]
    nearly = errors["truths"] - matched - missed
    truths = counted(errors["truths"], "truths")
    return f"of {truths}: {matched:,} matched, {nearly:,} with a nearly right detection, {missed:,} missed"
