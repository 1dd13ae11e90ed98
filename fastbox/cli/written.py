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
    """The files and folders that a command line names, as they are before the command runs.

    A file that is another one later has been written, and whole: every output takes its name when it is complete.

    Parameters
    ----------
    words : sequence of str
        The command line.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._before = {path: _state(path) for path in dict.fromkeys(_paths(words))}
        self._again = "--overwrite" in words
        self._stored = [word for option, word in pairwise(words) if option in _OUTPUTS]

    def said(self) -> str:
        """Tell what stands now, as the end of a sentence."""
        found = [told for path, before in self._before.items() if (told := self._told(path, before))]
        found += [f"{word} is complete if it is there" for word in self._stored if "://" in _local(word)]
        return "; ".join(found) or "nothing was written"

    def _told(self, path: str, before: tuple[int, ...] | None) -> str:
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
    """The words that may be paths, as ``out``, ``--output=out`` or ``-oout``, and the files beside them."""
    for word in words:
        told = word.partition("=")[2] if word.startswith("--") else word[2:] if word.startswith("-o") else ""
        for path in filter(None, (word, told)):
            root, ending = os.path.splitext(path)
            yield from (
                path,
                f"{root}-detections{ending or '.parquet'}",
                f"{path.removesuffix('.parquet')}.log.parquet",
            )


def _local(path: str) -> str:
    """The path of a local file that is told as a URI; any other as it is."""
    if "://" not in path:
        return path
    from fastbox.storage.stores import local

    return local(path)


def _state(path: str) -> tuple[int, ...] | None:
    """The identity of the file at a path, which another file doesn't share; None without a file or folder."""
    try:
        found = os.stat(_local(path))
    except (OSError, ValueError):
        return None
    if not stat.S_ISDIR(found.st_mode) and not stat.S_ISREG(found.st_mode):
        return None
    return found.st_mode, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
