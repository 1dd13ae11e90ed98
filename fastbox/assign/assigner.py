"""The record of an assigner: its type of rules, its function, and its rules by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastbox._record import NamedTuple
from fastbox.assign.result import Matches

__all__ = ["Assigner"]


class Assigner(NamedTuple):
    """A type of rules, the function that assigns anchors to truths by such a rule, and the named rules.

    The function is called with a rule and all arguments of :func:`fastbox.match` except ``rule``.
    """

    rule: type[Any]
    assign: Callable[..., Matches]
    named: Mapping[str, Callable[[], Any]]
