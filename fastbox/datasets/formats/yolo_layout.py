"""The places of labels, images and names in a YOLO data set of Ultralytics, Darknet, Roboflow, CVAT or Label Studio."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from fastbox._record import NamedTuple
from fastbox.datasets.categories import load_yaml
from fastbox.datasets.formats.yolo_lines import begins_with_numbers
from fastbox.datasets.image_sizes import Found, Sizes, images_in, sizes_from
from fastbox.datasets.listing import (
    ABOUT,
    beginning,
    each_once,
    find,
    first_words,
    inside,
    read_bytes,
    read_plain,
    subfolder,
    without,
)
from fastbox.errors import InputError, InputWarning
from fastbox.storage.pictures import is_image

__all__ = ["SIZES", "YAML", "Layout", "has_names", "is_label", "layout_of"]

SIZES = "sizes.csv"
YAML = (".yaml", ".yml")
NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "classes.txt", "obj.names", "_darknet.labels")
# Files and folders that lie beside labels.
BESIDE = ("labels", "obj_train_data", *(name for name in NAMES if name != "classes.txt"))
SPLITS = ("train", "val", "valid", "validation", "test")
# A line that every YAML file of a data set has.
NAMED = re.compile(rb"^names\s*:", re.MULTILINE)
# Folders of Darknet, as CVAT writes them: obj_train_data and similar folders hold labels, and images beside them.
DARKNET = re.compile(r"obj_\w*data", re.IGNORECASE)

StrPath = str | os.PathLike[str]


class Layout(NamedTuple):
    """The files of a data set.

    Attributes
    ----------
    where : str
        The name of the data set in messages.
    labels : list of (str, str)
        Image ids and paths of label files, by ascending id.
    sizes : Sizes
        The sizes of its images, from a table beside the labels if the data set has one.
    names : str or None
        The file with the names of categories.
    """

    where: str
    labels: list[tuple[str, str]]
    sizes: Sizes
    names: str | None


def has_names(names: Collection[str]) -> bool:
    """Tell by the names in a folder whether it is likely to be a data set of YOLO."""
    return any(name in BESIDE or name.lower().endswith(".data") for name in names)


def is_label(path: str, folders: Collection[str]) -> bool:
    """Tell by its first line whether a file is a label of YOLO."""
    if not path.lower().endswith(".txt") or ABOUT.fullmatch(os.path.basename(path)):
        return False
    data = beginning(path)
    return begins_with_numbers(data) and first_words(data)[0].isdigit()


def layout_of(source: StrPath) -> Layout:
    """Return the layout of a folder, or of the data set that a YAML file describes.

    Raises
    ------
    InputError
        The folder does not exist or holds no labels, or two files belong to one image.
    """
    path = os.fspath(source)
    if path.lower().endswith(YAML) and not os.path.isdir(path):
        return _described(path)
    labels = subfolder(source, "labels")
    files = _labels_in(labels)
    nested = inside(files, "labels".__eq__) if labels == path else []
    if nested:
        files = each_once([(without(image, "labels"), name) for image, name in nested], path)
    elif labels == path:
        files = inside(files, DARKNET.fullmatch) or files
    root, above = _roots(path, labels)
    paths = [(image, os.path.join(labels, name)) for image, name in files]
    folders = [path, labels, root, above, *(os.path.dirname(file) for _, file in paths)]
    if DARKNET.fullmatch(os.path.basename(os.path.abspath(path))):
        folders.append(os.path.dirname(os.path.abspath(path)))
    names = _names_file(folders)
    if not files and names is not None and names.lower().endswith(YAML) and labels == path:
        return _described(names)
    table = os.path.join(root, SIZES)
    known = sizes_from(table) if os.path.isfile(table) else Sizes({}, _images(root, labels, nested=bool(nested)))
    return Layout(labels, paths, known, names)


def _described(path: str) -> Layout:
    """Return the layout that a YAML file describes by path, train, val and test."""
    described = load_yaml(path)
    root = _root(path, described)
    labels: dict[str, str] = {}
    images: dict[str, Found] = {}
    for split in SPLITS:
        for given in _listed(path, split, described.get(split)):
            for image, label in _split(path, root, split, given):
                name = os.path.relpath(image, root) if image else os.path.relpath(label, root)
                own = without(os.path.splitext(name.replace(os.sep, "/"))[0], "images", "labels")
                if image:
                    images[own] = Found(image, name.replace(os.sep, "/"))
                if os.path.isfile(label):
                    labels[own] = label
    return Layout(path, sorted(labels.items()), Sizes({}, images), path)


def _root(path: str, described: dict[str, Any]) -> str:
    folder = os.path.dirname(path) or "."
    given = described.get("path") or "."
    if not isinstance(given, str):
        raise InputError(f"expected one folder for path in {path}, got {given!r}: write one")
    tried = [os.path.join(folder, given), given, folder]
    return next(place for place in tried if os.path.isdir(place))


def _listed(path: str, split: str, given: Any) -> list[str]:
    found = [] if given in (None, "") else [given] if isinstance(given, str) else given
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise InputError(f"expected a folder, a file or a list of them for {split} in {path}, got {given!r}: write one")
    return found


def _split(path: str, root: str, split: str, given: str) -> Iterator[tuple[str, str]]:
    """Yield (image, its label file) of a split; the image is "" if the split has only labels."""
    # Roboflow writes ../train/images for a folder beside its data.yaml.
    tried = [os.path.join(root, given), os.path.join(root, given.removeprefix("../")), given, *_moved(given, root)]
    place = next((os.path.normpath(one) for one in tried if os.path.exists(one)), None)
    if place is None:
        alone = _beside(os.path.normpath(tried[0]))
        place = os.path.normpath(tried[0]) if os.path.isdir(alone) else None
    if place is None:
        warnings.warn(InputWarning(f"{split} of {path}, {given}, does not exist: left out"), stacklevel=2)
        return
    if os.path.isfile(place):
        yield from _of_list(place, root)
        return
    seen = set()
    for image, name in find(place, is_image) if os.path.isdir(place) else []:
        seen.add(image)
        yield os.path.join(place, name), f"{_beside(os.path.join(place, image))}.txt"
    labels = _beside(place)
    for image, name in _labels_in(labels) if os.path.isdir(labels) else []:
        if image not in seen:
            yield "", os.path.join(labels, name)


def _of_list(path: str, root: str) -> Iterator[tuple[str, str]]:
    """Yield images and their label files, as :func:`_split` does, for the images that a text file lists."""
    missing = []
    for line in filter(None, map(str.strip, read_plain(path).decode(errors="replace").splitlines())):
        image = next(filter(os.path.isfile, _places(line, os.path.dirname(path), root)), "")
        label = f"{os.path.splitext(_beside(image or os.path.join(root, line)))[0]}.txt"
        if image or os.path.isfile(label):
            yield image, label
        else:
            missing.append(line)
    if missing:
        what = f"{path} lists {len(missing)} image(s) that are not there, such as {missing[0]!r}: left out"
        warnings.warn(InputWarning(what), stacklevel=2)


def _places(given: str, folder: str, root: str) -> Iterator[str]:
    """Yield the paths where an image of a list may be: below the list's folder or the data set's, or as given."""
    yield from (os.path.join(folder, given), os.path.join(root, given), given)
    yield from _moved(given, root)


def _moved(given: str, root: str) -> Iterator[str]:
    """Yield paths below the root for a path of another machine: its last parts, at least two; the longest first.

    CVAT writes data/images/train/a.jpg for images/train/a.jpg, and Windows backslashes.
    """
    parts = [part for part in re.split(r"[/\\]", given) if part not in ("", ".", "..")]
    fewest = 1 if "\\" in given else 2
    yield from (os.path.join(root, *parts[first:]) for first in range(max(len(parts) - fewest + 1, 0)))


def _beside(path: str) -> str:
    """Return the path of labels for a path of images: the last folder named images is labels there."""
    parts = path.split(os.sep)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    return os.sep.join(parts)


def _labels_in(folder: str) -> list[tuple[str, str]]:
    texts = find(folder, lambda name: name.lower().endswith(".txt"))
    about = {name for _, name in texts if ABOUT.fullmatch(name, name.rfind("/") + 1)}
    return [(image, name) for image, name in texts if name not in about or not _is_about(os.path.join(folder, name))]


def _is_about(path: str) -> bool:
    """Tell whether a file with the name of a README is a README, rather than the label of an image of that name."""
    data = read_bytes(path)
    return not begins_with_numbers(data) if data.strip() else "labels" not in os.path.abspath(path).split(os.sep)


def _roots(source: str, labels: str) -> tuple[str, str]:
    """Return the folder that contains ``labels`` and its parent; the source and its parent without such a folder."""
    parts = os.path.abspath(labels).split(os.sep)
    if "labels" not in parts:
        return source, source
    root = os.sep.join(parts[: len(parts) - 1 - parts[::-1].index("labels")]) or os.sep
    return root, os.path.dirname(root)


def _images(root: str, labels: str, *, nested: bool) -> dict[str, Found]:
    """Return the images by id: those in images/ for labels in labels/, and those beside the labels."""
    found = images_in(labels)
    if nested:
        found = {without(image, "images", "labels"): one for image, one in found.items()}
    if root != labels:
        inside = os.path.relpath(os.path.abspath(labels), os.path.join(os.path.abspath(root), "labels"))
        images = os.path.normpath(os.path.join(root, "images", inside))
        if os.path.isdir(images):
            found |= images_in(images)
        elif os.path.samefile(os.path.join(root, "labels"), labels):
            # As predictions are saved: images beside the folder of labels.
            found |= images_in(root, below=False)
    return found


def _names_file(folders: Iterable[str]) -> str | None:
    """Return the file with the names of categories in the first folder that has one."""
    for folder in dict.fromkeys(folders):
        path = next((path for name in NAMES if os.path.isfile(path := os.path.join(folder, name))), None)
        if path is not None:
            return path
        there = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
        for name in there:
            if name.endswith(".data") and (path := _darknet_names(os.path.join(folder, name))):
                return path
        others = [os.path.join(folder, name) for name in there if not name.startswith(".")]
        others = [path for path in others if os.path.isfile(path) and _has_names(path)]
        if len(others) == 1:
            return others[0]
    return None


def _has_names(path: str) -> bool:
    """Tell whether a file of any name has the names of categories: coco8.yaml, or voc.names."""
    lower = path.lower()
    return lower.endswith(".names") or (lower.endswith(YAML) and NAMED.search(read_bytes(path)) is not None)


def _darknet_names(path: str) -> str | None:
    """Return the existing file in the line ``names = ...`` of Darknet's obj.data."""
    found = re.search(rb"^\s*names\s*=\s*(.+?)\s*$", read_bytes(path), re.MULTILINE)
    folder = os.path.dirname(path)
    given = os.fsdecode(found[1]) if found else ""
    tried = [os.path.join(folder, given), os.path.join(folder, os.path.basename(given))] if given else []
    return next(filter(os.path.isfile, tried), None)
