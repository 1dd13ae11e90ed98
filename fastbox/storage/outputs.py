"""Check outputs against inputs and against each other, before a file is touched."""

from __future__ import annotations

import fnmatch
import glob
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field

from fastbox._lazy import deferred
from fastbox._record import dataclass
from fastbox.errors import InputError
from fastbox.storage.convention import TABLE_ENDING, check_name, is_table
from fastbox.storage.locate import Tree, expand
from fastbox.storage.stores import Identity, above, identity, is_stored, local

__all__ = ["check_outputs"]

pictures = deferred("fastbox.storage.pictures")

StrPath = str | os.PathLike[str]

# Endings of files that may lie in any folder without being read with it: pages, pictures and settings.
_APART = (".html", ".htm", ".json", ".png", ".svg", ".pdf")


def check_outputs(
    inputs: Iterable[object],
    tables: Mapping[str, StrPath | None],
    others: Mapping[str, StrPath | None] | None = None,
    apart: Iterable[str] = (),
    pictures: StrPath | None = None,
) -> None:
    """Refuse outputs that would replace an input or each other, or be read with the inputs in the next run.

    Files are compared by identity: links, URIs, ``..`` and, on file systems that ignore it, case make no difference.

    Parameters
    ----------
    inputs : iterable of path, directory, glob, URI or sequence of them, or of sources with a ``path``
        Everything that is read. Frames and None, which are not paths, are ignored.
    tables : mapping of str to path
        The Parquet files to write, by the names of their arguments; None for a table that is not written.
    others : mapping of str to path, optional
        The other outputs: files and folders.
    apart : iterable of str
        Endings of more files that no folder is read with.
    pictures : path, optional
        A folder whose pictures are read: files may be written to it, but no file may replace a picture.

    Raises
    ------
    InputError
        An output has no name, is an input or another output, lies in a folder that is read, or is a folder that holds
        an input; a table's name promises another format.

    Examples
    --------
    >>> check_outputs(["a.parquet"], {"out": "./a.parquet"})
    Traceback (most recent call last):
    fastbox.errors.InputError: the output ./a.parquet is also an input: choose another output path
    """
    outputs = {name: path for name, path in {**tables, **(others or {})}.items() if path is not None}
    for name, path in outputs.items():
        if (given := os.fspath(path)) in ("", "-"):
            came = "an empty one" if not given else "-, and nothing is written to the standard output"
            raise InputError(f"expected the name of a file to write as {name}, got {came}: give it a name")
    _check_apart(outputs)
    if outputs:
        read = _Read.of(_paths(inputs))
        read.pictures = {} if pictures is None else {identity(pictures): os.fspath(pictures)}
        for path in outputs.values():
            read.check(path, (*_APART, *apart))
    for name, path in outputs.items():
        if name in tables:
            check_name(path, TABLE_ENDING, "a Parquet file")


def _check_apart(outputs: Mapping[str, StrPath]) -> None:
    known: dict[Identity, str] = {}
    for name, path in outputs.items():
        before = known.setdefault(identity(path), name)
        if before != name:
            raise InputError(
                f"{os.fspath(path)} is the output for both {before} and {name}: choose another path for one of them"
            )


@dataclass
class _Read:
    """The inputs: files by identity, folders with all files in them, and patterns."""

    files: dict[Identity, str] = field(default_factory=dict)
    folders: dict[Identity, str] = field(default_factory=dict)
    patterns: list[tuple[str, set[Identity]]] = field(default_factory=list)
    pictures: dict[Identity, str] = field(default_factory=dict)

    @classmethod
    def of(cls, paths: Iterable[str]) -> _Read:
        read = cls()
        for path in paths:
            if is_stored(path):
                read.files[identity(path)] = path
                fixed = path.split("*", 1)[0].split("?", 1)[0].split("[", 1)[0]
                if not is_table(path) or fixed != path:
                    read.folders[identity(fixed if fixed == path else fixed.rpartition("/")[0])] = path
            elif os.path.isdir(path):
                read._add_folder(path, path)
            elif os.path.lexists(path) or not glob.has_magic(path):
                read.files[identity(path)] = path
            else:
                for found in expand(path):
                    if os.path.isdir(found):
                        read._add_folder(found, path)
                    else:
                        read.files[identity(found)] = found
                above, last = os.path.split(path)
                read.patterns.append((last, set(map(identity, expand(above, every=True)))))
        return read

    def check(self, output: StrPath, endings: Sequence[str]) -> None:
        """Refuse an output that conflicts with an input; files with these endings may lie in a folder that is read."""
        name = os.fspath(output)
        same = identity(output)
        if same in self.files:
            source = self.files[same]
            is_same = source in (name, os.path.normpath(name))
            what = "also an input" if is_same else f"the same file as the input {source}"
            raise InputError(f"the output {name} is {what}: choose another output path")
        over = list(above(output))
        within = (same, *over) if pictures.is_image(name) and os.path.exists(local(name)) else (same,)
        if found := next((self.pictures[one] for one in within if one in self.pictures), None):
            raise InputError(f"the output {name} would replace pictures in {found}: choose another folder")
        ending = os.path.splitext(name)[1].lower()
        apart = ending in endings and not os.path.isdir(local(name))
        if not apart and (found := next((self.folders[one] for one in (same, *over) if one in self.folders), None)):
            raise InputError(
                f"the output {name} lies in the input {found}, and the next run would read it: choose another folder"
            )
        for pattern, folders in self.patterns:
            if over and over[0] in folders and fnmatch.fnmatch(os.path.basename(os.path.normpath(name)), pattern):
                raise InputError(
                    f"the output {name} matches the pattern {pattern} of the inputs, and the next run would read it: "
                    "choose another folder"
                )
        if not apart and not is_table(name):
            by_folder = {os.path.dirname(file): file for file in self.files.values()}
            for file in by_folder.values():
                if same in above(file):
                    raise InputError(f"the output folder {name} holds the input {file}: choose another folder")

    def _add_folder(self, folder: str, given: str) -> None:
        self.folders[identity(folder)] = self.files[identity(folder)] = given
        with suppress(InputError):  # the reader of the format reports the error
            tree = Tree.of([folder])
            self.folders |= dict.fromkeys(tree.folders, given)
            self.files |= {same: file for file, same in tree.files.items()}


def _paths(inputs: Iterable[object]) -> Iterator[str]:
    """Yield the paths among the inputs."""
    for given in inputs:
        found = getattr(given, "path", given)  # a source's
        if isinstance(found, str | os.PathLike):
            yield local(found)
        elif isinstance(found, Sequence):
            yield from _paths(found)
