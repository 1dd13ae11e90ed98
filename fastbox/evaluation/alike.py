"""Ids of images and classes that differ only in spelling: in a folder, an ending, leading zeros, or case."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from fastbox._record import NamedTuple

__all__ = ["Apart", "alike", "apart", "spellings"]

SHOWN = 3  # examples in a sentence
BEFORE, ENDING = re.compile(r"^.*[/\\]"), re.compile(r"\.[A-Za-z][A-Za-z0-9]{2,3}$")


def alike(own: Iterable[Any], its: Iterable[Any]) -> str | None:
    """Return advice for ids that differ from other ids only in spelling; None without such ids.

    >>> alike(["val/0012.jpg"], ["7", "12"])
    "write them alike: 'val/0012.jpg' and '12' differ only in folders, endings or leading zeros"
    >>> alike(["scene.0001"], ["scene"])
    """
    plain = {_plain(one): one for one in its}
    for one in own:
        if _plain(one) in plain:
            both = f"{one!r} and {plain[_plain(one)]!r}"
            return f"write them alike: {both} differ only in folders, endings or leading zeros"
    return None


class Apart(NamedTuple):
    """Classes that do not fit: the number in common, the number on the side with fewer classes, and examples."""

    both: int
    fewer: int
    detections: str
    truths: str


def apart(own: Iterable[Any], its: Iterable[Any], named: Collection[Any] = (), *, told: bool = True) -> Apart | None:
    """Return the classes of detections and of truths if they do not fit, else None.

    Classes fit if one class is in common or ``named``; without ``told``, at least half of the classes must be.

    >>> apart([1, 2], [3])
    Apart(both=0, fewer=1, detections='1, 2', truths='3')
    """
    mine, theirs = set(own), set(its)
    known = theirs.union(named)
    both, fewer = len(mine & known), min(len(mine), len(theirs))
    if not fewer or (both if told else 2 * both >= fewer):
        return None
    first, second = (", ".join(map(repr, sorted(some)[:SHOWN])) for some in (mine - known, known - mine))
    return Apart(both, fewer, first, second)


def spellings(own: Sequence[Any], its: Sequence[Any]) -> list[str]:
    """Return sentences on classes of detections and truths that differ only in case, spaces, underscores or zeros.

    >>> spellings(["Car", "dog"], ["car", "dog"])
    ["classes of detections and truths are spelled differently: 'Car' and 'car': name the classes of both alike"]
    """
    plain = [
        {re.sub(r"[\s_-]", "", one).casefold().lstrip("0"): one for one in some if isinstance(one, str)}
        for some in (own, its)
    ]
    alone = set(own) ^ set(its)
    pairs = sorted((plain[0][key], plain[1][key]) for key in plain[0].keys() & plain[1].keys())
    shown = [f"{one!r} and {other!r}" for one, other in pairs if one != other and {one, other} & alone]
    if not shown:
        return []
    listed = ", ".join(shown[:SHOWN]) + (", …" if len(shown) > SHOWN else "")
    return [f"classes of detections and truths are spelled differently: {listed}: name the classes of both alike"]


def _plain(one: Any) -> str:
    return ENDING.sub("", BEFORE.sub("", str(one))).lstrip("0")
