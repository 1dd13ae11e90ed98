"""The assigners, and their rules by name: a new assigner is a file beside this one and a line in `ASSIGNERS`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fastbox.assign.iou_rule import assign_by_iou
from fastbox.assign.result import Matches
from fastbox.assign.rule import MatchRule
from fastbox.values.numbers import as_choice

__all__ = ["ASSIGNERS", "RULES", "Assigner", "as_rule", "assigner_of"]


class Assigner(NamedTuple):
    """A type of rules, the function that assigns anchors to truths by one, and the rules that have a name.

    The function is called with a rule and the arguments of :func:`fastbox.match` but ``rule``.
    """

    rule: type[Any]
    assign: Callable[..., Matches]
    named: Mapping[str, Callable[[], Any]]


ASSIGNERS = (
    Assigner(
        MatchRule,
        assign_by_iou,
        {
            "atss": MatchRule.atss,
            "detectron2": MatchRule.detectron2,
            "fastbox": MatchRule.fastbox,
            "keras-hub": MatchRule.keras_hub,
            "mmdet": MatchRule.mmdet,
            "ssd": MatchRule.ssd,
            "tf": MatchRule.tf,
            "torchvision": MatchRule.torchvision,
        },
    ),
)

RULES = tuple(sorted(name for assigner in ASSIGNERS for name in assigner.named))


def as_rule(rule: Any) -> Any:
    """Return a rule as it is, and the rule of a name with its defaults.

    Raises
    ------
    ValueError
        An unknown name; the nearest is suggested.

    Examples
    --------
    >>> as_rule("ssd").thresholds
    (0.5,)
    """
    if any(isinstance(rule, assigner.rule) for assigner in ASSIGNERS):
        return rule
    return _of_name(as_choice(rule, RULES, "a MatchRule or one"))


def assigner_of(rule: Any) -> Assigner:
    """Return the assigner that a rule is of."""
    return next(assigner for assigner in ASSIGNERS if isinstance(rule, assigner.rule))


@lru_cache(maxsize=len(RULES))
def _of_name(name: str) -> Any:
    return next(assigner.named[name] for assigner in ASSIGNERS if name in assigner.named)()
