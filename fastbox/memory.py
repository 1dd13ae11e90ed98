"""The memory limit of jobs, in bytes and in boxes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache

from fastbox.errors import InputError, advice

__all__ = [
    "bytes_of",
    "check_footer_room",
    "check_kept",
    "fitting",
    "get_memory",
    "more_memory",
    "most_boxes",
    "most_of",
    "set_memory",
    "sharing",
    "size_text",
]

ENVIRONMENT = "FASTBOX_MEMORY"

OWN = 400 << 20  # bytes of the process itself: the interpreter, Arrow, compiled kernels, and a few small chunks
BOX = 512  # bytes that a job takes for a box, all results included: 115 to 345 were measured
COPIES = 4  # of the columns carried along with a box: read, worked on, selected, and written
SHARES = 4  # of the free memory, of which one step takes one; the boxes and the other steps take the rest
FOOTER = 30  # bytes of memory for each byte of a file's footer: at most 5 copies of 6 bytes were measured
LEAST = 65_536  # boxes that may be in memory under any limit: they fit in the memory of the process itself

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}

_memory: int | None = None
_share: ContextVar[int] = ContextVar("fastbox_share", default=1)


def get_memory() -> int | None:
    """Return the memory limit of jobs in bytes: the value set, FASTBOX_MEMORY, or the memory of this process.

    None where the memory of this process is unknown.

    Examples
    --------
    >>> import fastbox
    >>> (fastbox.get_memory() or 1) > 0
    True
    """
    if _memory is not None:
        return _memory
    given = os.environ.get(ENVIRONMENT)
    return _of_machine() if given is None else bytes_of(given)


def set_memory(size: int | str | None) -> None:
    """Set the memory limit of jobs in this process, as bytes or a text such as ``"2GB"``; None removes the limit.

    Jobs read smaller chunks to stay below the limit, and refuse an image that does not fit. ``evaluate`` keeps some
    bytes of each detection until the end, and refuses tables with too many detections.

    Raises
    ------
    InputError
        The value is not a size, or is less than 512 MiB.

    Examples
    --------
    >>> import fastbox
    >>> fastbox.set_memory("2GiB")
    >>> fastbox.get_memory()
    2147483648
    >>> fastbox.set_memory(None)
    """
    global _memory
    _memory = None if size is None else bytes_of(str(size))


def bytes_of(text: str, least: int = 512 << 20) -> int:
    """Read a size, at least ``least`` bytes: a number of bytes, or a number with a unit such as MB, GB or GiB.

    Examples
    --------
    >>> bytes_of("1.5GiB"), bytes_of("2 GB")
    (1610612736, 2000000000)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    if found is None:
        raise InputError(f"expected an amount of memory as 2GB or 512MiB, got {text!r}")
    size = int(float(found[1]) * (1024 if found[3] else 1000) ** _POWERS[found[2].lower()])
    if size < least:
        own = f", of which {size_text(OWN)} are the program's own" if least > OWN else ""
        raise InputError(f"expected at least {size_text(least)} of memory{own}, got {text!r}")
    return size


def most_boxes(carried: int = 0) -> int:
    """Return the number of boxes that may be in memory at once, each with ``carried`` bytes of other columns."""
    return max(1, _free() // (BOX + COPIES * carried))


def most_of(each: int) -> int:
    """Return the number of items of ``each`` bytes that a step of a job may make at once; at least 1."""
    return max(1, _free() // SHARES // max(1, each))


def fitting(each: int) -> int:
    """Return the number of items of ``each`` bytes that fit in memory at once, which may be 0."""
    return _free() // max(1, each)


def check_footer_room(file: str, footer: int, groups: int) -> None:
    """Refuse a Parquet file whose footer, of ``footer`` bytes and ``groups`` row groups, does not fit in memory.

    Raises
    ------
    InputError
        The footer does not fit.
    """
    if footer * FOOTER > _free():
        raise InputError(
            f"{file} has a footer of {size_text(footer)} for {groups:,} row groups, which takes about "
            f"{size_text(footer * FOOTER)} of memory: allow more with {more_memory()}, or write larger row groups, as "
            f"`fastbox sort {file} -o sorted.parquet` does"
        )


def check_kept(count: int, each: int, what: str = "boxes") -> None:
    """Refuse a number of boxes, or of other items, when ``each`` bytes of every item do not fit in memory.

    Raises
    ------
    InputError
        The items take more memory than the limit.
    """
    memory = get_memory()
    if memory is not None and OWN + count * each > memory:
        needed = f"{count:,} {what}, which take about {size_text(OWN + count * each)}"
        raise InputError(
            f"expected {what} that fit in {size_text(memory)} of memory, got {needed}: allow more with {more_memory()}"
        )


@contextmanager
def sharing(tasks: int) -> Iterator[None]:
    """Limit the work of this thread to its share of the memory, with ``tasks`` threads at work."""
    token = _share.set(tasks)
    try:
        yield
    finally:
        _share.reset(token)


def size_text(size: int) -> str:
    """Return a size as text with a unit.

    >>> size_text(2_147_483_648), size_text(400 << 20)
    ('2 GiB', '400 MiB')
    """
    return f"{size / (1 << 30):.3g} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


def _free() -> int:
    """Return the bytes that jobs may take, without those of the process itself."""
    memory = get_memory()
    return 1 << 62 if memory is None else max(LEAST * BOX, (memory - OWN) // _share.get())


@cache  # asked for every chunk
def _of_machine(root: str = "/") -> int | None:
    """Return the memory of this machine in bytes, or the limit of its container."""
    sizes = list(_limits(root))
    with suppress(AttributeError, OSError, ValueError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min((size for size in sizes if size > 0), default=None)


def _limits(root: str) -> Iterator[int]:
    """Yield the limits of the control groups of this process, version 1 and 2, and of the groups above them."""
    groups = os.path.join(root, "sys/fs/cgroup")
    unified, old = os.path.join(groups, "unified"), os.path.join(groups, "memory")
    paths: dict[str, list[str]] = {groups: ["/"], unified: ["/"], old: ["/"]}
    with suppress(OSError, ValueError), open(os.path.join(root, "proc/self/cgroup")) as file:
        for line in file:
            number, controllers, path = line.rstrip("\n").split(":", 2)
            for place in (groups, unified) if number == "0" else (old,):
                if number == "0" or "memory" in controllers.split(","):
                    paths[place].append(path)
    names = (groups, "memory.max"), (groups, "memory.high"), (unified, "memory.max"), (old, "memory.limit_in_bytes")
    for place, name in names:
        for folder in {above for path in paths[place] for above in _upward(path)}:
            with suppress(OSError, ValueError), open(os.path.join(place, folder, name)) as file:
                yield int(file.read())


def _upward(path: str) -> list[str]:
    """Return a path below a folder and all paths above it, the folder itself as an empty path."""
    parts = path.strip("/").split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def more_memory() -> str:
    """Return advice that allows jobs more memory."""
    return advice("--memory SIZE", "set_memory(SIZE)")
