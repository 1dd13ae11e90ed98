"""YOLO-OBB: a text file per image, a line per box with its class and four corners, relative to the image's size."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from typing import TypeAlias

from fastbox.datasets.categories import Names
from fastbox.datasets.dataset import Dataset
from fastbox.datasets.formats.yolo import ROTATED, read_labels, write_labels
from fastbox.datasets.formats.yolo_layout import is_label
from fastbox.datasets.formats.yolo_lines import are_turned
from fastbox.datasets.listing import beginning
from fastbox.datasets.registry import Format, Signs
from fastbox.kernels.codes import QUADS

__all__ = ["FILE_FORMATS", "read", "write"]

TASK = re.compile(rb"^task\s*:\s*obb\s*$", re.MULTILINE)

StrPath: TypeAlias = str | os.PathLike[str]


def read(source: StrPath, *, names: Names | None = None, sizes: StrPath | None = None) -> Dataset:
    """Read a folder of YOLO labels of rotated boxes: lines of a class and four corners, perhaps with a score.

    Parameters
    ----------
    source, names, sizes
        As for :func:`fastbox.datasets.formats.yolo.read`.

    Returns
    -------
    Dataset
        x1, y1, ... x4, y4 in pixels: the number of the file times the image's width or height, in float64, in the order
        of the file. Lines of nine numbers are truths, lines of ten numbers results.

    Raises
    ------
    InputError
        As :func:`fastbox.datasets.formats.yolo.read`; a line that is not a class and four corners.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "sizes.csv").write_text("image_id,width,height\\n7,640,480\\n")
    >>> _ = (folder / "7.txt").write_text("0 0.5 0.1 0.9 0.5 0.5 0.9 0.1 0.5\\n")
    >>> [batch.to_pylist()[0]["y2"] for batch in read(folder).batches]
    [240.0]
    """
    return read_labels(source, names, sizes, rotated=True)


def write(dataset: Dataset, target: StrPath, *, digits: int = 6, renumber: bool = False) -> None:
    """Write a data set as YOLO labels of rotated boxes, as :func:`fastbox.datasets.formats.yolo.write` does.

    Parameters
    ----------
    dataset : Dataset
        Quadrilaterals; every image that has boxes must have a width and a height.
    target, digits, renumber
        As for :func:`fastbox.datasets.formats.yolo.write`. ``data.yaml`` has the task too, ``obb``, by which folders of
        quadrilaterals that are no rectangles are recognized.
    """
    write_labels(dataset, target, digits, renumber, ROTATED)


def _is_label(path: str, folders: Collection[str]) -> bool:
    return is_label(path, folders) and are_turned(beginning(path), _says_so(path))


def _says_so(path: str) -> bool:
    """Tell whether the ``data.yaml`` beside the folder of labels has the task, as :func:`write` leaves it."""
    root = os.path.abspath(path).rpartition(f"{os.sep}labels{os.sep}")[0]
    file = os.path.join(root, "data.yaml")
    return bool(root) and os.path.isfile(file) and TASK.search(beginning(file)) is not None


FILE_FORMATS = (
    Format(
        "yolo-obb",
        read,
        write,
        kind="folder",
        text="a folder with labels/*.txt of rotated boxes, as four corners",
        lacks=("iscrowd", "ignore", "difficult"),
        boxes=(QUADS,),
        signs=Signs(is_member=_is_label),
    ),
)
