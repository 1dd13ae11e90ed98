"""The assigners, each declared by its own module in :mod:`fastbox.assign.assigners`, and their rules by name."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from fastbox._lazy import modules_of
from fastbox.assign import assigners as home
from fastbox.assign.assigner import Assigner
from fastbox.assign.point_rule import PointRule
from fastbox.values.numbers import as_choice

__all__ = ["RULES", "as_rule", "as_rule_of", "assigner_of", "assigners", "rules_of"]


R = TypeVar("R")


@cache
def assigners() -> tuple[Assigner, ...]:
    """Return all assigners: the ``ASSIGNER`` of every module in the folder."""
    return tuple(import_module(f"{home.__name__}.{name}").ASSIGNER for name in modules_of(home))


def _rules() -> tuple[str, ...]:
    """Return the names of rules, sorted."""
    return tuple(sorted(name for assigner in assigners() for name in assigner.named))


RULES = _rules()


def rules_of(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of the rules of one type, sorted.

    >>> from fastbox.assign.rule import MatchRule
    >>> rules_of(MatchRule)[:3]
    ('atss', 'detectron2', 'fastbox')
    """
    return tuple(sorted(name for assigner in assigners() if assigner.rule is kind for name in assigner.named))


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
    if not isinstance(rule, str) and any(isinstance(rule, assigner.rule) for assigner in assigners()):
        return rule
    return _of_name(
        rule if isinstance(rule, str) and rule in RULES else as_choice(rule, _rules(), "a MatchRule or one")
    )


def as_rule_of(kind: type[R], rule: Any) -> R:
    """Return a rule for anchors or for points as :func:`as_rule` does; a rule of the other type is refused.

    Raises
    ------
    ValueError
        An unknown name, or a rule of the other type.

    Examples
    --------
    >>> from fastbox.assign.rule import MatchRule
    >>> as_rule_of(MatchRule, "ssd").name
    'ssd'
    """
    found = as_rule(rule)
    if not isinstance(found, kind):
        wanted, came = ("points", "anchors") if kind is PointRule else ("anchors", "points")
        fitting = ", ".join(rules_of(kind))
        raise ValueError(f"expected a rule for {wanted}, got {found.name!r}, a rule for {came}: give one of {fitting}")
    return found


def assigner_of(rule: Any) -> Assigner:
    """Return the assigner that a rule is of."""
    return next(assigner for assigner in assigners() if isinstance(rule, assigner.rule))


@cache
def _of_name(name: str) -> Any:
    return next(assigner.named[name] for assigner in assigners() if name in assigner.named)()
