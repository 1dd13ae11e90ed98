"""Ids of images that are the same but for how they are written: with a folder, an ending, or zeros in front."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

__all__ = ["alike"]

BEFORE, ENDING = re.compile(r"^.*[/\\]"), re.compile(r"\.[A-Za-z][A-Za-z0-9]{2,3}$")


def alike(own: Iterable[Any], its: Iterable[Any]) -> str | None:
    """Return what to do about ids that are none of others, where they differ from these in writing alone.

    >>> alike(["val/0012.jpg"], ["7", "12"])
    "write them alike: 'val/0012.jpg' and '12' are the same but for folders, endings and zeros in front"
    >>> alike(["scene.0001"], ["scene"])
    """
    plain = {_plain(one): one for one in its}
    for one in own:
        if _plain(one) in plain:
            both = f"{one!r} and {plain[_plain(one)]!r}"
            return f"write them alike: {both} are the same but for folders, endings and zeros in front"
    return None


def _plain(one: Any) -> str:
    return ENDING.sub("", BEFORE.sub("", str(one))).lstrip("0")
