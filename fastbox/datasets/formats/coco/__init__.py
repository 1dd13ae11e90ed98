"""COCO JSON: instances (ground truth) and results (detections)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TypeAlias

from fastbox.datasets.dataset import Dataset
from fastbox.datasets.formats.coco.reading import dataset_of
from fastbox.datasets.registry import Format, Signs
from fastbox.errors import InputError
from fastbox.kernels.codes import PLAIN, ROTATED
from fastbox.storage.folders import new_file
from fastbox.values.numbers import as_choice

__all__ = ["FILE_FORMATS", "read", "write"]

KINDS = ("truths", "results")

StrPath: TypeAlias = str | os.PathLike[str]


def read(source: StrPath, *, kind: str | None = None, quads: bool = False) -> Dataset:
    """Read COCO instances or results; masks and keypoints are skipped.

    Parameters
    ----------
    source : path
        Instances, an object of images, annotations and categories, or results, a list of
        ``{image_id, category_id, bbox, score}``; recognized by the content.
    kind : str, optional
        ``"truths"`` or ``"results"``: refuse a file of the other kind.
    quads : bool
        Read the polygons of ``segmentation``, each of four points, as quadrilaterals.

    Returns
    -------
    Dataset
        x, y, w, h in pixels, exactly as stored. Truths have id, iscrowd and area, null if not given, ignore if the file
        has such a key, and score if the first annotation has one; results have a score, and list no images. An image
        that is listed twice has two rows; a category without a name is not in ``categories``. If an annotation has
        an ``obb``, or the first one a bbox of five numbers, boxes are rotated: cx, cy, w, h and the angle, in radians
        clockwise of an ``obb`` (hotcoco), in degrees counter-clockwise of a bbox (detectron2).

    Raises
    ------
    ValueError
        An unknown kind.
    InputError
        The file is not JSON or not COCO, or (while the batches are read) an annotation has no usable box.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> path = pathlib.Path(tempfile.mkdtemp(), "results.json")
    >>> _ = path.write_text('[{"image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 5], "score": 0.5}]')
    >>> dataset = read(path)
    >>> dataset.kind, [row["w"] for batch in dataset.batches for row in batch.to_pylist()]
    ('results', [10.0])
    """
    if kind is not None:
        as_choice(kind, KINDS, "a kind")
    return dataset_of(source, kind, quads)


def write(dataset: Dataset, target: StrPath, *, kind: str | None = None) -> None:
    """Write COCO instances, or results, complete or not at all; an existing file is replaced.

    Annotations ascend by image id and keep their order within an image. Numbers have the fewest digits that read back
    as the same number. Rotated rectangles are written as detectron2 has them: a bbox of the centre, width, height and
    the angle in degrees, counter-clockwise. An annotation keeps its id; annotations without an id, or with the id 0,
    which pycocotools takes for a missing id, are numbered from the largest id on. A missing area is written as w * h. A
    category without a name gets its number as its name. Truths are written with ``ignore`` if it is not 0, and with
    their score if they have one.

    Parameters
    ----------
    dataset : Dataset
    target : path
    kind : str, optional
        ``"truths"`` or ``"results"``: refuse a data set of the other kind; truths with scores are results as well.

    Raises
    ------
    ValueError
        An unknown kind.
    InputError
        The data set is of the other kind, has a number that JSON can't hold (nan or infinity), or an id of a box beyond
        int64.
    """
    if kind is not None:
        as_choice(kind, KINDS, "a kind")
    if kind == "results" and "score" in dataset.schema.names:
        dataset = replace(dataset, kind="results")
    if kind not in (None, dataset.kind):
        names = {"truths": "coco", "results": "coco-results"}
        raise InputError(
            f"expected {kind} to write as {names[kind]}, got {dataset.kind}: write them as {names[dataset.kind]}"
        )
    from fastbox.datasets.formats.coco import writing  # loads the package that encodes JSON

    with new_file(target) as file:
        if dataset.kind == "results":
            writing.write_results(file, dataset, target)
        else:
            writing.write_truths(file, dataset, target)


SIGNS = Signs(endings=(".json", ".json.gz", ".json.zst"))
FILE_FORMATS = (
    Format(
        "coco",
        read,
        write,
        "file",
        "instances JSON",
        ".json",
        implied={"kind": "truths"},
        lacks=("difficult",),
        boxes=(PLAIN, ROTATED),
        signs=SIGNS,
    ),
    Format(
        "coco-results",
        read,
        write,
        "file",
        "results JSON",
        ".json",
        implied={"kind": "results"},
        lists_images=False,
        boxes=(PLAIN, ROTATED),
    ),
)
