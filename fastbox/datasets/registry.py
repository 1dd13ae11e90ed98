"""The file formats of annotations, each declared by its own module in :mod:`fastbox.datasets.formats`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import field
from functools import cache
from importlib import import_module
from typing import Any

from fastbox._lazy import modules_of
from fastbox._record import dataclass
from fastbox.datasets import formats as home
from fastbox.datasets.dataset import Dataset
from fastbox.kernels.codes import PLAIN

__all__ = ["Format", "Signs", "each_format", "format_named", "formats"]


@dataclass(frozen=True)
class Signs:
    """The signs by which files and folders in a format are recognized.

    Attributes
    ----------
    endings : tuple of str
        The endings of files that may be in the format.
    is_file : callable
        Tells whether a file with one of these endings, given by its path, is in the format.
    folders : tuple of str
        Names of subfolders that only folders in the format have.
    has_names : callable
        Tells whether a folder, given by the names in it, is in the format, unless a file in it shows otherwise.
    inside : str
        The subfolder to look into, if the folder has one of this name.
    is_member : callable
        Tells whether a folder is in the format, given the path of a file somewhere below it and the names of the
        folders on the way to this file.
    """

    endings: tuple[str, ...] = ()
    is_file: Callable[[str], bool] = lambda path: True
    folders: tuple[str, ...] = ()
    has_names: Callable[[Collection[str]], bool] = lambda names: False
    inside: str = ""
    is_member: Callable[[str, Collection[str]], bool] = lambda path, folders: False


@dataclass(frozen=True)
class Format:
    """A file format of annotations.

    Attributes
    ----------
    name : str
    read, write : callable
        ``read(source, **options)`` returns a data set, and ``write(dataset, target, **options)`` writes one.
    kind : str
        The kind of output: ``"table"`` (Parquet), ``"file"`` or ``"folder"``.
    text : str
        The description in a few words.
    ending : str
        The ending of an output's name for which this format is the default.
    implied : mapping
        The options of ``read`` and ``write`` that the name of the format implies.
    lacks : tuple of str
        The columns that matter in an evaluation and that the format can't hold.
    lists_images : bool
        Images without boxes have a place.
    numbered : bool
        Categories keep their numbers; else they keep only their names.
    labels : str
        The column that keeps categories of one name apart, if the format has one.
    boxes : tuple of str
        The geometries of boxes that the format can hold: ``"plain"``, ``"rotated"``, ``"quads"``.
    ignored : str
        The category whose boxes are ignored, if the format has one.
    signs : Signs
    """

    name: str
    read: Callable[..., Dataset]
    write: Callable[..., None]
    kind: str
    text: str
    ending: str = ""
    implied: Mapping[str, Any] = field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    lists_images: bool = True
    numbered: bool = True
    labels: str = ""
    boxes: tuple[str, ...] = (PLAIN,)
    ignored: str = ""
    signs: Signs = field(default_factory=Signs)


@cache
def formats() -> Mapping[str, Format]:
    """Return all formats by name: the ``FILE_FORMATS`` of every module in the folder.

    >>> [own.name for own in formats().values() if own.kind == "folder"]
    ['dota', 'hrsc', 'kitti', 'yolo-obb', 'voc', 'yolo']
    """
    return {own.name: own for own in each_format()}


def each_format(first: str = "") -> Iterator[Format]:
    """Yield all formats in the order of their modules' names, but those of the module `first` before the others.

    A module is imported when its first format is wanted.
    """
    for name in sorted(modules_of(home), key=lambda name: name != first):
        yield from getattr(import_module(f"{home.__name__}.{name}"), "FILE_FORMATS", ())


def format_named(name: str) -> Format:
    """Return the format of a name that is known to exist.

    >>> format_named("coco").ending
    '.json'
    """
    return next(own for own in each_format(name) if own.name == name)
