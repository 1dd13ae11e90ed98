"""Outputs that are complete when a command ends early, found by the paths on its command line."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from itertools import pairwise

__all__ = ["Written"]

_PART = re.compile(r"part-\d{5,}\.parquet")
_OUTPUTS = ("-o", "--output", "--report")


class Written:
    """The files and folders that a command line names, with their state before the command runs.

    A file whose state changes later is a complete output, because every output takes its name when it is complete.

    Parameters
    ----------
    words : sequence of str
        The command line.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._before = {path: _state(path) for path in dict.fromkeys(_paths(words))}
        self._again = "--overwrite" in words
        self._stored = [word for option, word in pairwise(words) if option in _OUTPUTS]

    def described(self) -> str:
        """Describe the outputs as they are now, as the end of a sentence."""
        found = [state for path, before in self._before.items() if (state := self._described(path, before))]
        found += [f"{word} is complete if it exists" for word in self._stored if "://" in _local(word)]
        return "; ".join(found) or "nothing was written"

    def _described(self, path: str, before: tuple[int, ...] | None) -> str:
        now = _state(path)
        if now is None or now == before:
            return ""
        if not stat.S_ISDIR(now[0]):
            return f"{path} is complete"
        names = [name for name in os.listdir(_local(path)) if not name.startswith(".")]
        parts = sum(_PART.fullmatch(name) is not None for name in names)
        if not parts:
            return f"{path} is complete" if names and before is None else ""
        if self._again:
            return f"parts of {path} may be of both runs: the same command begins again"
        done = "1 part is" if parts == 1 else f"{parts:,} parts are"
        return f"{done} done in {path}: run the same command again to do the others"


def _paths(words: Sequence[str]) -> Iterator[str]:
    """Yield the words that may be paths, as ``out``, ``--output=out`` or ``-oout``, and the files beside them."""
    for word in words:
        value = word.partition("=")[2] if word.startswith("--") else word[2:] if word.startswith("-o") else ""
        for path in filter(None, (word, value)):
            root, ending = os.path.splitext(path)
            yield from (
                path,
                f"{root}-detections{ending or '.parquet'}",
                f"{path.removesuffix('.parquet')}.log.parquet",
            )


def _local(path: str) -> str:
    """Return the path of a local file that is given as a URI; any other path or URI unchanged."""
    if "://" not in path:
        return path
    from fastbox.storage.stores import local

    return local(path)


def _state(path: str) -> tuple[int, ...] | None:
    """Return the identity of the file or folder at a path, which no other file has; None for any other path."""
    try:
        found = os.stat(_local(path))
    except (OSError, ValueError):
        return None
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        return None
    return found.st_mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
