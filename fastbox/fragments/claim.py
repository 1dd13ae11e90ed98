"""The claim of a run on its folder of parts, which belongs to one run at a time."""

from __future__ import annotations

import errno
import json
import os
import platform
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from fastbox.errors import InputError, advice
from fastbox.stages import logger
from fastbox.storage.convention import mark_in
from fastbox.storage.stores import exists, is_stored, read_object, remove, write_object
from fastbox.storage.temporary import lock

__all__ = ["CLAIM", "claimed", "is_unfinished", "mark_finished", "mark_unfinished"]

CLAIM = ".fastbox-run"
PAUSE = 0.2  # seconds between checks of a folder that the same run holds
UNNAMED = 2.0  # seconds that a run may take to write its identity into its claim
_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}


@contextmanager
def claimed(folder: str, run: str, job: str, *, overwrite: bool = False) -> Iterator[None]:
    """Hold a folder for a run; the same run, started twice, waits for the first to end.

    A hidden file in the folder is locked while the run lives, so a killed run holds no folder; where files can't be
    locked, the file stays and names its run. An object store has no locks: an object names the run that owns the
    folder, and other runs are refused while the object exists. Two runs that begin at the same moment are noticed at
    the end.

    Parameters
    ----------
    folder : str
        The existing folder of the parts.
    run : str
        The identity of the run.
    job : str
        The name of the job, for the message to a refused run.
    overwrite : bool
        Take the folder of a store from a run that ended without giving it back.

    Raises
    ------
    InputError
        Another run has the folder.
    """
    identity = {
        "run": run,
        "job": job,
        "process": os.getpid(),
        "machine": platform.node(),
        "token": secrets.token_hex(8),
    }
    if is_stored(folder):
        with _stored_claim(f"{folder.rstrip('/')}/{CLAIM}", folder, identity, overwrite):
            yield
        return
    path = os.path.join(folder, CLAIM)
    descriptor = _held(path, folder, identity)
    try:
        if descriptor is not None:
            with suppress(OSError):  # the file is locked, whatever its content is
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(identity).encode(), 0)
        yield
    finally:
        if descriptor is not None:
            with suppress(FileNotFoundError):
                os.unlink(path)
            os.close(descriptor)


def mark_unfinished(folder: str) -> None:
    """Mark a folder as one in which parts of a run are missing, for its readers, until :func:`mark_finished`."""
    path = mark_in(folder)
    if is_stored(folder):
        write_object(path, b"")
        return
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o666))
    except OSError as error:
        if error.errno not in _READ_ONLY:  # if the mark can't be written, parts can't be written either
            raise


def is_unfinished(folder: str) -> bool:
    """Tell whether parts of a run are missing in a folder."""
    return exists(mark_in(folder))


def mark_finished(folder: str) -> None:
    """Remove the mark of :func:`mark_unfinished`."""
    remove(mark_in(folder))


def _held(path: str, folder: str, identity: dict[str, Any]) -> int | None:
    """Return the open claim of this run; waits for the same run in another process, and refuses another run.

    None if the folder can't be written to; parts can't be written then either.
    """
    since, waited = time.monotonic(), False
    while True:
        try:
            descriptor, fresh = _opened(path)
        except FileNotFoundError:
            continue  # the run that had it has just removed it
        except OSError as error:
            if error.errno in _READ_ONLY:
                return None
            raise
        held = lock(descriptor)
        with suppress(FileNotFoundError):
            if fresh if held is None else held and os.path.samestat(os.stat(path), os.fstat(descriptor)):
                return descriptor
        other = _read(os.pread(descriptor, 1 << 16, 0))
        os.close(descriptor)
        if held or (not other and time.monotonic() - since < UNNAMED):
            time.sleep(PAUSE / 10)
            continue
        if held is None or other.get("run") != identity["run"]:
            raise _refused(folder, other, f"; if that run is dead, remove {path}" if held is None else "")
        if not waited:
            logger().info(
                "%s: the same run is under way in process %s: waiting for its end", folder, other.get("process")
            )
            waited = True
        time.sleep(PAUSE)


def _opened(path: str) -> tuple[int, bool]:
    """Open a claim; the flag tells whether the file is new."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, os.O_RDWR), False


@contextmanager
def _stored_claim(uri: str, folder: str, identity: dict[str, Any], overwrite: bool) -> Iterator[None]:
    other = _read(read_object(uri))
    if other and other.get("run") != identity["run"] and not overwrite:
        how = advice("--overwrite", "overwrite=True")
        raise _refused(folder, other, f"; if that run is dead, give {how}")
    write_object(uri, json.dumps(identity).encode())
    try:
        _check_stored(uri, folder, identity)
        yield
        _check_stored(uri, folder, identity)
    finally:
        if _read(read_object(uri)).get("token") == identity["token"]:
            remove(uri)


def _check_stored(uri: str, folder: str, identity: dict[str, Any]) -> None:
    """Refuse to continue if another run took the folder; the same run writes the same bytes."""
    other = _read(read_object(uri))
    if other and other.get("run") != identity["run"]:
        raise _refused(folder, other, "")


def _read(content: bytes | None) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _refused(folder: str, other: dict[str, Any], more: str) -> InputError:
    who = f"{other.get('job', 'a job')} in process {other.get('process', '?')} on {other.get('machine', '?')}"
    return InputError(
        f"expected a folder that no other run uses, got {folder}, where another run is under way ({who}): "
        f"name another folder, or wait for its end{more}"
    )
