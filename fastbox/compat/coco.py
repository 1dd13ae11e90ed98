"""``COCO`` of ``pycocotools.coco``: annotations in COCO's JSON, and results for them."""

from __future__ import annotations

import copy
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from fastbox.errors import InputError, brief
from fastbox.values.numbers import shown

__all__ = ["COCO"]

Entry: TypeAlias = dict[str, Any]  # an annotation, an image or a category, as JSON has it
RESULT = ("image_id", "category_id", "bbox", "score")
SIDES = 4  # numbers of a box
RESULT_COLUMNS = 7  # image_id, x, y, w, h, score, category_id


class COCO:
    """Annotations or results in COCO's JSON, with the look-ups of ``pycocotools.coco.COCO``.

    Nothing is printed, and no masks are decoded or drawn: ``annToRLE``, ``annToMask``, ``showAnns`` and ``download``
    are refused.

    Parameters
    ----------
    annotation_file : path or dict, optional
        A JSON file, or its content; without it the data set is empty.

    Attributes
    ----------
    dataset : dict
        The content.
    anns, cats, imgs : dict
        Annotations, categories and images by their ids.
    imgToAnns, catToImgs : dict of lists
        The annotations of each image, and the image of each annotation of a category, by ids.

    Raises
    ------
    InputError
        A file that is not JSON, or JSON that is not an object.

    Examples
    --------
    >>> truths = COCO({
    ...     "images": [{"id": 7}],
    ...     "categories": [{"id": 1, "name": "cat"}],
    ...     "annotations": [
    ...         {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0}
    ...     ],
    ... })
    >>> truths.getAnnIds(imgIds=[7]), truths.getCatIds(catNms=["cat"])
    ([1], [1])
    """

    def __init__(self, annotation_file: str | os.PathLike[str] | Mapping[str, Any] | None = None) -> None:
        self.dataset: dict[str, Any] = {}
        self.anns: dict[Any, Entry] = {}
        self.cats: dict[Any, Entry] = {}
        self.imgs: dict[Any, Entry] = {}
        self.imgToAnns: dict[Any, list[Entry]] = defaultdict(list)
        self.catToImgs: dict[Any, list[Any]] = defaultdict(list)
        if annotation_file is not None:
            given = annotation_file if isinstance(annotation_file, Mapping) else _read(annotation_file)
            if not isinstance(given, Mapping):
                raise InputError(
                    f"expected a JSON object with annotations, got {shown(given)}: pass results to COCO(...).loadRes"
                )
            self.dataset = dict(given)
            self.createIndex()

    def createIndex(self) -> None:
        """Make the look-ups by id anew, after ``dataset`` was changed.

        Raises
        ------
        InputError
            An annotation, an image or a category without an id, or an annotation without image or category.
        """
        self.imgToAnns, self.catToImgs = defaultdict(list), defaultdict(list)
        self.anns, self.imgs, self.cats = (
            _by_id(self.dataset.get(name, ()), name) for name in ("annotations", "images", "categories")
        )
        try:
            for annotation in self.dataset.get("annotations", ()):
                self.imgToAnns[annotation["image_id"]].append(annotation)
                if "categories" in self.dataset:
                    self.catToImgs[annotation["category_id"]].append(annotation["image_id"])
        except KeyError as error:
            raise InputError(f"expected image_id and category_id in each annotation, got no {error}: add it") from None

    def info(self) -> None:
        """Print the entries of ``info``."""
        for name, value in self.dataset.get("info", {}).items():
            print(f"{name}: {value}")

    def getAnnIds(
        self, imgIds: Any = (), catIds: Any = (), areaRng: Any = (), iscrowd: bool | int | None = None
    ) -> list[Any]:
        """Return the ids of annotations of some images and categories, with areas between two bounds, or crowds."""
        images, kinds = _ids(imgIds), set(_ids(catIds))
        found: Iterable[Entry] = self.dataset.get("annotations", ())
        if images:
            found = chain.from_iterable(self.imgToAnns[image] for image in images if image in self.imgToAnns)
        if kinds:
            found = (one for one in found if one["category_id"] in kinds)
        if len(areaRng):
            found = (one for one in found if areaRng[0] < one["area"] < areaRng[1])
        if iscrowd is not None:
            found = (one for one in found if one["iscrowd"] == iscrowd)
        return [one["id"] for one in found]

    def getCatIds(self, catNms: Any = (), supNms: Any = (), catIds: Any = ()) -> list[Any]:
        """Return the ids of categories with some names, supercategories and ids."""
        asked = {"name": set(_ids(catNms)), "supercategory": set(_ids(supNms)), "id": set(_ids(catIds))}
        return [
            one["id"]
            for one in self.dataset.get("categories", ())
            if all(one[name] in values for name, values in asked.items() if values)
        ]

    def getImgIds(self, imgIds: Any = (), catIds: Any = ()) -> list[Any]:
        """Return the ids of images that have annotations of all of some categories."""
        images, kinds = _ids(imgIds), _ids(catIds)
        if not images and not kinds:
            return list(self.imgs)
        found = set(images)
        for place, kind in enumerate(kinds):
            there = set(self.catToImgs.get(kind, ()))
            found = there if place == 0 and not found else found & there
        return list(found)

    def loadAnns(self, ids: Any = ()) -> list[Entry]:
        """Return the annotations with some ids."""
        return [self.anns[one] for one in _ids(ids)]

    def loadCats(self, ids: Any = ()) -> list[Entry]:
        """Return the categories with some ids."""
        return [self.cats[one] for one in _ids(ids)]

    def loadImgs(self, ids: Any = ()) -> list[Entry]:
        """Return the images with some ids."""
        return [self.imgs[one] for one in _ids(ids)]

    def loadRes(self, resFile: str | os.PathLike[str] | list[Entry] | NDArray[Any]) -> COCO:
        """Return results for the images of this data set, as annotations with ids from 1.

        Parameters
        ----------
        resFile : path, list of dicts, or array of shape (n, 7)
            Dicts of `image_id`, `category_id`, `bbox` (x, y, w, h) and `score`, which stay as they are; or columns
            image_id, x, y, w, h, score, category_id.

        Raises
        ------
        InputError
            Results of another form, of images that the data set lacks, or without boxes.
        """
        found = COCO()
        found.dataset = {"info": copy.deepcopy(self.dataset.get("info", {}))}
        found.dataset["images"] = list(self.dataset.get("images", ()))
        found.dataset["categories"] = copy.deepcopy(self.dataset.get("categories", []))
        results = _results(resFile)
        unknown = {one["image_id"] for one in results} - self.imgs.keys()
        if unknown:
            some = ", ".join(repr(image) for image in list(unknown)[:3])
            raise InputError(
                f"expected results of the images of the annotations, got {len(unknown):,} others, such as {some}: load "
                "the annotations of these images, or leave the results out"
            )
        found.dataset["annotations"] = [
            {**one, "area": one["bbox"][2] * one["bbox"][3], "id": number, "iscrowd": 0}
            for number, one in enumerate(results, 1)
        ]
        found.createIndex()
        return found

    def loadNumpyAnnotations(self, data: NDArray[Any]) -> list[Entry]:
        """Return rows of image_id, x, y, w, h, score, category_id as results.

        Raises
        ------
        InputError
            An array of another shape.
        """
        return _of_array(data)

    def __getattr__(self, name: str) -> Any:
        if name in ("annToRLE", "annToMask", "showAnns", "download"):
            raise NotImplementedError(
                f"expected a use of boxes, got {name}: for masks and pictures use COCO of pycocotools.coco"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _read(path: str | os.PathLike[str]) -> Any:
    """Return the content of a JSON file, also with the NaN and Infinity that Python's JSON writes.

    Raises
    ------
    InputError
        A file that is not JSON.
    """
    content = Path(path).read_bytes()
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        try:
            return json.loads(content)
        except ValueError as error:
            raise InputError(f"expected JSON in {os.fspath(path)}, got {brief(error)}: write the file again") from None


def _results(given: Any) -> list[Entry]:
    """Return results with boxes.

    Raises
    ------
    InputError
        Results of another form, or without boxes.
    """
    if isinstance(given, np.ndarray):
        return _of_array(given)
    found = _read(given) if isinstance(given, str | os.PathLike) else given
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(
            f"expected results as a list of dicts, a path or an array, got {shown(found)}: pass one of them"
        )
    for row, one in enumerate(found):
        missing = [name for name in RESULT if name not in one]
        if missing or len(one["bbox"]) != SIDES:
            got = f"no {missing[0]!r}" if missing else f"bbox of {len(one['bbox'])} numbers"
            raise InputError(
                f"expected image_id, category_id, bbox (x, y, w, h) and score, got {got} in result {row}: evaluate "
                "masks and keypoints with pycocotools"
            )
    return found


def _of_array(data: NDArray[Any]) -> list[Entry]:
    """Return rows of image_id, x, y, w, h, score, category_id as results.

    Raises
    ------
    InputError
        An array of another shape.
    """
    if data.ndim != 2 or data.shape[1] != RESULT_COLUMNS:
        raise InputError(
            f"expected results of shape (n, {RESULT_COLUMNS}), got {data.shape}: give image_id, x, y, w, h, "
            "score and category_id"
        )
    images, kinds = data[:, 0].astype(np.int64).tolist(), data[:, 6].astype(np.int64).tolist()
    rows = zip(images, kinds, data[:, 1:5].tolist(), data[:, 5].tolist(), strict=True)
    return [{"image_id": image, "bbox": box, "score": score, "category_id": kind} for image, kind, box, score in rows]


def _by_id(entries: Iterable[Entry], name: str) -> dict[Any, Entry]:
    """Return entries by their ids, the last one of each.

    Raises
    ------
    InputError
        An entry without an id.
    """
    try:
        return {one["id"]: one for one in entries}
    except KeyError:
        raise InputError(f"expected an id in each of the {name}, got none: number them from 1") from None


def _ids(given: Any) -> list[Any]:
    """Return one id or name, or several, as a list."""
    single = isinstance(given, str) or not hasattr(given, "__iter__")
    return [given] if single else list(given)
