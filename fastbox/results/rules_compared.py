"""The figures of the same detections by the rules of several benchmarks, or by several metrics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from fastbox._record import dataclass
from fastbox.evaluation.params import Params
from fastbox.evaluation.summary import Summarized
from fastbox.result import Result

__all__ = ["HALF", "RulesCompared", "at_half"]

HALF = 0.5  # the IoU at which benchmarks are compared


@dataclass(repr=False)
class RulesCompared(Result):
    """The result of :func:`fastbox.jobs.compare_rules`.

    Attributes
    ----------
    found : dict of str to Summarized
        The evaluation by each rule; by each metric, or both, where there are several metrics.
    params : dict of str to Params
        The rules of each evaluation.
    outcomes : dict of str to dict
        The numbers of detections that are true, false and ignored at IoU 0.50, by each rule; others are beyond the
        rule's limit.
    same_true : bool
        Whether by all rules the same detections are true at IoU 0.50, the same ones false, and the same ones ignored.
    """

    found: Mapping[str, Summarized] = field(default_factory=dict)
    params: Mapping[str, Params] = field(default_factory=dict)
    outcomes: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    same_true: bool = False

    MAIN = "rules"
    TABLES = ("rules", "by_class")
    APART = ("stats",)

    def to_dict(self) -> dict[str, Any]:
        """Return the first and all statistics and the figures at IoU 0.50 of each rule, and figures of classes."""
        rules, classes = [], dict[Any, dict[str, Any]]()
        for name, found in self.found.items():
            summary = found.to_dict()
            params = self.params[name]
            shown, first = at_half(params), params.statistics[0].name
            outcomes = self.outcomes[name]
            rules.append(
                {
                    "rule": params.rule,
                    "metric": params.metric,
                    "statistic": first,
                    "value": summary["stats"][first],
                    "thresholds": len(params.iou_thresholds),
                    "AP50": summary["stats"][shown],
                    "truths": sum(own["truths"] for own in summary["by_class"]),
                    **outcomes,
                    "beyond": summary["detections"] - sum(outcomes.values()),
                    "says": params.record.says,
                    "stats": summary["stats"],
                }
            )
            for own in summary["by_class"]:
                row = classes.setdefault(own["class"], {"class": own["class"], "name": own["name"]})
                row[name] = own[shown]
        return {"rules": rules, "same_true": self.same_true, "by_class": list(classes.values())}


def at_half(params: Params) -> str:
    """Return the name of a rule's statistic of precision at IoU 0.50, of all areas.

    >>> at_half(Params()), at_half(Params(rule="voc07"))
    ('AP50', 'mAP')
    """
    only = params.iou_thresholds == (HALF,)
    names = [
        found.name
        for found in params.statistics
        if not found.recall and found.area == 0 and (found.threshold == HALF or (only and found.threshold is None))
    ]
    if not names:
        raise ValueError(f"expected rules with AP at IoU 0.50, got {params.rule!r}: leave it out")
    return names[0]
