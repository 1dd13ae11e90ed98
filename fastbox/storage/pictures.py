"""A folder of pictures: the endings of their files, and the file that a name or the id of an image means."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cached_property

from fastbox.errors import InputError
from fastbox.storage.stores import is_stored, local

__all__ = ["EXTENSIONS", "PictureFolder", "is_image", "stem_of"]

EXTENSIONS = {
    *(".avif", ".bmp", ".dib", ".dng", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpeg", ".jpg", ".mpo"),
    *(".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
}


def is_image(name: str) -> bool:
    """Tell by its ending whether a file is an image."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def stem_of(name: str) -> str:
    """Return the name of an image without its extension, if this is the extension of an image file.

    >>> stem_of("a/7.JPG"), stem_of("scene.0001")
    ('a/7', 'scene.0001')
    """
    return os.path.splitext(name)[0] if is_image(name) else name


class PictureFolder:
    """The pictures in a folder and below it; they are listed once, when a name is not the path of a file.

    Raises
    ------
    InputError
        There is no such folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = local(path)
        if is_stored(self.path) or not os.path.isdir(self.path):
            raise InputError(f"expected a local folder of pictures, got {self.path}, which is none: name another")

    def find(self, *names: str | None) -> str | None:
        """Return the file that the first of some names means: paths below the folder, names of files, or ids.

        A name may lack the folders above it and its extension, and a number its leading zeros. A name that several
        files have means none of them.
        """
        for name in (given.replace("\\", "/") for given in names if given):
            if _is_below(name) and is_image(name) and os.path.isfile(path := os.path.join(self.path, name)):
                return path
            if found := self._means(name):
                return os.path.join(self.path, found)
        return None

    def _means(self, name: str) -> str | None:
        """Return the only file of a name by the first of these: its path, its name, its number."""
        for files, keys in zip(self._listed, _keys(name), strict=True):
            for key in keys:
                if key in files:
                    return files[key]
        return None

    @cached_property
    def _listed(self) -> tuple[dict[str, str | None], ...]:
        """Return the files by the keys of their names; None for a key of several files."""
        listed: tuple[dict[str, str | None], ...] = ({}, {}, {})
        for path in _pictures_in(self.path):
            for files, keys in zip(listed, _keys(path), strict=True):
                for key in dict.fromkeys(keys):
                    files[key] = None if key in files else path
        return listed


def _keys(path: str) -> tuple[list[str], list[str], list[str]]:
    """Return the paths, the names and the numbers that mean a file.

    >>> _keys("val/0007.jpg")
    (['val/0007.jpg', 'val/0007'], ['0007.jpg', '0007'], ['7'])
    """
    name = path.rpartition("/")[2]
    stem = stem_of(name)
    number = [str(int(stem))] if stem.isascii() and stem.isdecimal() else []
    return [path, stem_of(path)], [name, stem], number


def _is_below(name: str) -> bool:
    """Tell whether a name stays in the folder that it is joined with."""
    return not os.path.isabs(name) and ".." not in name.split("/")


def _pictures_in(root: str) -> Iterator[str]:
    """Yield the paths of pictures below a folder; links are followed, never in a circle."""
    seen = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = os.path.relpath(folder, root).replace(os.sep, "/")
        for name in sorted(names):
            if is_image(name) and not name.startswith("."):
                yield name if inside == "." else f"{inside}/{name}"
