"""How much memory a job may take, and how many boxes that is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path

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
    "said",
    "set_memory",
    "sharing",
]

ENVIRONMENT = "FASTBOX_MEMORY"

OWN = 400 << 20  # what the process takes by itself: the interpreter, Arrow, compiled kernels, and a few small chunks
BOX = 512  # bytes that a job takes for a box of one image, all that it makes of it included: 115 to 345 were measured
COPIES = 4  # of the columns carried along with a box: as read, as worked on, as taken, and as written
SHARES = 4  # of what is free that go to what one step makes; the boxes themselves and its neighbours have the rest
FOOTER = 30  # bytes that a byte of a file's footer takes, all copies included: 6 for each, and up to 5 were seen
LEAST = 65_536  # boxes that may be in memory whatever is set: they fit in what the process takes by itself

_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}

_memory: int | None = None
_share: ContextVar[int] = ContextVar("fastbox_share", default=1)


def get_memory() -> int | None:
    """Return how many bytes jobs may take: what was set, FASTBOX_MEMORY, or all that this process may have.

    None where nothing tells.

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
    """Set how many bytes jobs in this process may take, as a number or a text such as ``"2GB"``; None for all.

    Chunks are made smaller to fit, and an image that can't fit is refused. ``evaluate`` refuses tables whose
    detections can't, since it keeps a little of each.

    Raises
    ------
    InputError
        It is no size, or less than 512 MiB.

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
    """Read a size of at least so much: bytes, or a number with a unit such as MB, GB or GiB.

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
        raise InputError(
            f"expected at least {said(least)} of memory, of which {said(OWN)} are the program's own, got {text!r}"
        )
    return size


def most_boxes(carried: int = 0) -> int:
    """Return how many boxes may be in memory at once, each with so many bytes of other columns carried along."""
    return max(1, _free() // (BOX + COPIES * carried))


def most_of(each: int) -> int:
    """Return how many things of so many bytes a step of a job may make at once; at least 1."""
    return max(1, _free() // SHARES // max(1, each))


def fitting(each: int) -> int:
    """Return how many things of so many bytes fit in memory at once, which may be none."""
    return _free() // max(1, each)


def check_footer_room(file: str, footer: int, groups: int) -> None:
    """Refuse a Parquet file whose footer, of so many bytes and row groups, takes more memory than there is.

    Raises
    ------
    InputError
        It does.
    """
    if footer * FOOTER > _free():
        raise InputError(
            f"{file} has a footer of {said(footer)} for {groups:,} row groups, which takes about "
            f"{said(footer * FOOTER)} of memory: allow more with {more_memory()}, or write larger row groups, as "
            f"`fastbox sort {file} -o sorted.parquet` does"
        )


def check_kept(count: int, each: int, what: str = "boxes") -> None:
    """Refuse boxes or others of which something must be kept until the end, so many bytes of each, where it can't fit.

    Raises
    ------
    InputError
        It takes more memory than there is.
    """
    memory = get_memory()
    if memory is not None and OWN + count * each > memory:
        needed = f"{count:,} {what}, which take about {said(OWN + count * each)}"
        raise InputError(
            f"expected {what} that fit in {said(memory)} of memory, got {needed}: allow more with {more_memory()}"
        )


@contextmanager
def sharing(tasks: int) -> Iterator[None]:
    """Let what this thread does take a share of the memory, where so many do the same."""
    token = _share.set(tasks)
    try:
        yield
    finally:
        _share.reset(token)


def said(size: int) -> str:
    """A size as a person reads it.

    >>> said(2_147_483_648), said(400 << 20)
    ('2 GiB', '400 MiB')
    """
    return f"{size / (1 << 30):.3g} GiB" if size >= 1 << 30 else f"{size >> 20} MiB"


def _free() -> int:
    """The bytes that this process may take beside its own."""
    memory = get_memory()
    return 1 << 62 if memory is None else max(LEAST * BOX, (memory - OWN) // _share.get())


@cache  # for every chunk is planned by it
def _of_machine(root: str = "/") -> int | None:
    """The memory of this machine, or as much of it as a container may use."""
    sizes = list(_limits(Path(root)))
    with suppress(AttributeError, OSError, ValueError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return min((size for size in sizes if size > 0), default=None)


def _limits(root: Path) -> Iterator[int]:
    """The limits of this process's control groups, of either version, and of all groups that these are in."""
    groups = root / "sys/fs/cgroup"
    places = [(groups, "memory.max"), (groups, "memory.high"), (groups / "unified", "memory.max")]
    old = groups / "memory"
    paths: dict[Path, list[str]] = {groups: ["/"], groups / "unified": ["/"], old: ["/"]}
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            for place in (groups, groups / "unified") if number == "0" else (old,):
                if number == "0" or "memory" in controllers.split(","):
                    paths[place].append(path)
    for place, name in [*places, (old, "memory.limit_in_bytes")]:
        folders = [place / path.lstrip("/") for path in paths[place]]
        within = {above for folder in folders for above in (folder, *folder.parents) if above.is_relative_to(place)}
        for folder in within:
            with suppress(OSError, ValueError):
                yield int((folder / name).read_text())


def more_memory() -> str:
    """Say how to allow jobs more."""
    return advice("--memory SIZE", "set_memory(SIZE)")
