"""Find the files that a path means, each listed once."""

from __future__ import annotations

import fnmatch
import glob
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import field
from typing import TypeAlias

from fastbox._record import dataclass
from fastbox.errors import InputError, nearest
from fastbox.storage.backed import Backed
from fastbox.storage.convention import check_finished, is_hidden, is_table
from fastbox.storage.stores import Identity, find_stored, identity, is_stored, local

__all__ = ["Listing", "Paths", "Tree", "check_named", "expand", "find_files", "like"]

Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class Listing(tuple[str, ...]):
    """The files that a path means, found once; ``given`` is the path as the user gave it."""

    given: Paths

    @classmethod
    def of(cls, path: Paths) -> Listing:
        """Find the files of a path."""
        found = cls(find_files(path))
        found.given = path
        return found


def find_files(path: Paths) -> list[str]:
    """List the files meant by a path: a file, a directory (every Parquet file below it), a glob, or several of these.

    Files of a directory or glob come sorted by name, those of a sequence in its order. Of what lies below a directory,
    or is matched by a wildcard, names that begin with ``_`` or ``.`` are left out, and a file or folder that links
    lead to more than once is read once.

    Raises
    ------
    InputError
        No file is found, a file is given twice, a folder can't be read, or a link leads nowhere.
    """
    if not isinstance(path, (str, os.PathLike)):
        return list(path) if isinstance(path, Listing) else _of_several(path)
    if isinstance(path, Backed):
        return [path]
    name = os.fspath(path)
    if "://" not in name and os.path.isfile(name):
        return [name]
    name = local(path)
    if is_stored(name):
        return find_stored(name)
    if os.path.isdir(name):
        files = list(Tree.of([name]).files)
        if not files:
            raise InputError(
                f"expected *.parquet files in the directory {name}, got none: name the folder that has them"
            )
        return files
    if os.path.lexists(name) or not glob.has_magic(name):
        return [name] if not os.path.exists(name) else list(_once([name]))
    found = expand(name)
    folders = list(filter(os.path.isdir, found))
    files = list(_once([*set(found).difference(folders), *Tree.of(folders).files]))
    if not files:
        raise InputError(f"expected files that match {name}, got none: fix the pattern")
    return files


@dataclass
class Tree:
    """The folders and tables below some folders, each once, without hidden ones.

    Attributes
    ----------
    files : dict
        The tables, sorted by name, with their identities.
    folders : set
        The identities of all folders.
    """

    files: dict[str, Identity] = field(default_factory=dict)
    folders: set[Identity] = field(default_factory=set)

    @classmethod
    def of(cls, roots: Sequence[str]) -> Tree:
        """Walk through folders; ``InputError`` where one can't be read, or a table is not a file."""
        tree = cls()
        below = (found for root in roots for found in _walk(root, tree.folders))
        tree.files = _once([name for name, is_folder in below if not is_folder and is_table(name)])
        return tree


def expand(pattern: str, *, every: bool = False) -> list[str]:
    """List the files and folders that a pattern matches, as a shell does; a wildcard matches nothing hidden.

    Of the folders that ``**`` at the end matches only the uppermost is listed, unless ``every`` is True.
    """
    drive, rest = os.path.splitdrive(pattern)
    root = drive + (os.sep if rest.startswith(os.sep) else "")
    places = [root]
    parts = [part for part in rest.split(os.sep) if part]
    for number, part in enumerate(parts, 1):
        places = [found for place in places for found in _matches(place, part, number == len(parts) and not every)]
    return sorted(set(places))


def check_named(paths: object, name: str = "table") -> None:
    """Refuse any value but a path or a sequence of paths; messages call the value ``name``.

    >>> check_named(["a.parquet", 3])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    fastbox.errors.InputError: expected table as a path, a frame, a dict of arrays or Boxes, got int in a list: name ...
    """
    if isinstance(paths, str | os.PathLike):
        return
    if not isinstance(paths, Sequence) or isinstance(paths, bytes):
        got = type(paths).__name__
    elif strange := [part for part in paths if not isinstance(part, str | os.PathLike)]:
        got = f"{type(strange[0]).__name__} in a {type(paths).__name__}"
    else:
        return
    expected = f"expected {name} as a path, a frame, a dict of arrays or Boxes"
    raise InputError(f"{expected}, got {got}: name a file, as 'boxes.parquet', or a list of files")


def like(name: str) -> str:
    """Return a hint about a missing file: a similar name in its folder, or that the folder is missing.

    >>> like("nowhere/truths.parquet")
    ' (there is no folder nowhere)'
    """
    folder, last = os.path.split(name.rstrip(os.sep))
    try:
        names = sorted(os.listdir(folder or os.curdir))
    except OSError:
        return f" (there is no folder {folder})" if not os.path.isdir(folder) else ""
    stem, ending = os.path.splitext(last)
    stems = {os.path.splitext(other)[0]: other for other in sorted(names, key=lambda other: other.endswith(ending))}
    near = nearest(stem, stems)
    return "" if near is None else f" (did you mean {os.path.join(folder, stems[near])}?)"


def _of_several(paths: Sequence[str | os.PathLike[str]]) -> list[str]:
    """List the files of several paths; ``InputError`` where a file is listed twice."""
    check_named(paths)
    files: list[str] = []
    known: dict[Identity, tuple[str, str]] = {}
    for part in paths:
        for file in find_files(part):
            same, given = identity(file), os.fspath(part)
            if same in known:
                names = " and ".join(dict.fromkeys((known[same][0], file)))
                said = " and ".join(dict.fromkeys((known[same][1], given)))
                raise InputError(f"expected every file once, got {names} twice, from {said}: leave one of them out")
            known[same] = file, given
            files.append(file)
    if not files:
        raise InputError("expected at least one file, got an empty list: name a file")
    return files


def _once(files: Sequence[str]) -> dict[str, Identity]:
    """Return each file once with its identity, by its own name instead of a link's, sorted by name."""
    known: dict[Identity, str] = {}
    for file in sorted(files, key=lambda name: (os.path.islink(name), name)):
        try:
            found = os.stat(file)
        except OSError as error:
            what = "a link that leads nowhere" if os.path.islink(file) else error.strerror
            raise InputError(f"expected a file that can be read, got {file}: {what}: fix it, or move it away") from None
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"expected a Parquet file, got {file}, which is not a file: move it away")
        known.setdefault((found.st_dev, found.st_ino), file)
    return dict(sorted((file, same) for same, file in known.items()))


def _walk(root: str, seen: set[Identity]) -> Iterator[tuple[str, bool]]:
    """Yield each path below a folder, and whether the path is a folder; paths behind links come last."""
    waiting, linked = [root], list[str]()
    while waiting or linked:
        folder = waiting.pop() if waiting else linked.pop(0)
        try:
            found = os.stat(folder)
            if (found.st_dev, found.st_ino) in seen:
                continue
            seen.add((found.st_dev, found.st_ino))
            with os.scandir(folder) as entries:
                here = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            raise InputError(f"expected a folder that can be read, got {folder}: {error.strerror}") from None
        check_finished(folder, (entry.name for entry in here))
        yield folder, True
        for entry in here:
            if is_hidden(entry.name):
                continue
            if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir():
                (linked if entry.is_symlink() else waiting).append(entry.path)
            else:
                yield entry.path, False


def _matches(folder: str, part: str, last: bool) -> Iterator[str]:
    """Yield the paths in a folder that one part of a pattern matches."""
    if part == "**":
        if last:
            yield folder or os.curdir
        elif os.path.isdir(folder or os.curdir):
            within = (found for found, is_folder in _walk(folder or os.curdir, set()) if is_folder)
            yield from within if folder else ("" if found == os.curdir else found[2:] for found in within)
        return
    if not glob.has_magic(part):
        found = os.path.join(folder, part)
        if os.path.lexists(found):
            yield found
        return
    try:
        names = os.listdir(folder or os.curdir)
    except NotADirectoryError:
        return
    except OSError as error:
        raise InputError(f"expected a folder that can be read, got {folder}: {error.strerror}") from None
    if last:
        check_finished(folder or os.curdir, names)
    for name in names:
        if fnmatch.fnmatch(name, part) and not (is_hidden(name) and name[0] != part[0]):
            yield os.path.join(folder, name)
