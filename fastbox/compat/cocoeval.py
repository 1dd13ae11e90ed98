"""``COCOeval`` of ``pycocotools.cocoeval`` for boxes: the same results, to the last bit.

>>> from fastbox.compat.cocoeval import COCO, COCOeval
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.compat.coco import COCO
from fastbox.compat.coco_records import of_records
from fastbox.compat.coco_sides import Asked, Sides
from fastbox.compat.coco_summary import summary, twelve
from fastbox.compat.patched import Patch, patch, unpatch
from fastbox.evaluation.coco_arrays import coco_arrays
from fastbox.evaluation.curves import Ranked
from fastbox.evaluation.params import Params as Rules
from fastbox.evaluation.protocols.coco import AREA_RANGES
from fastbox.evaluation.protocols.coco import COCO as DEFAULT
from fastbox.parallel import compile_together

__all__ = ["COCO", "COCOeval", "Params", "Patch", "patch", "unpatch"]

# The kernels of every evaluation, in descending order of the time of compiling.
KERNELS = (
    ("evaluate.match", "MATCH", np.float64, ""),
    ("evaluate.curves", "TRACE", np.float64, ""),
    ("common.sorting", "SORT", np.float64, ""),
)


class Params:
    """The parameters of :class:`COCOeval`, each of which can be set before ``evaluate()``.

    Attributes
    ----------
    imgIds, catIds : lists
        The images and categories to evaluate.
    iouThrs, recThrs : arrays
        Thresholds of IoU, above 0 and at most 1; recalls at which precision is read, ascending.
    maxDets : list of int
        The numbers of detections of an image and category that count.
    areaRng : list of [low, high]
        Ranges of areas in square pixels, both included.
    areaRngLbl : list of str
        Their names.
    useCats : int
        0 to match boxes of any category.
    iouType : str
        ``"bbox"``.
    """

    def __init__(self, iouType: str = "segm") -> None:
        _check_type(iouType)
        self.imgIds: Any = []
        self.catIds: Any = []
        self.iouThrs: Any = np.array(DEFAULT.iou_thresholds)
        self.recThrs: Any = np.array(DEFAULT.recalls)
        self.maxDets: Any = list(DEFAULT.max_dets)
        self.areaRng: Any = [list(limits) for limits in AREA_RANGES.values()]
        self.areaRngLbl: Any = list(AREA_RANGES)
        self.useCats = 1
        self.iouType = iouType
        self.useSegm: int | None = None


class COCOeval:
    """Evaluation of boxes with the interface and the results of ``pycocotools.cocoeval.COCOeval``.

    ``precision``, ``recall``, ``scores``, ``stats``, ``evalImgs`` and ``ious`` have the same bits. `Known differences
    <compat.md>`_: annotations with id 0, or with an id twice, count like all others; a box or a score of nan matches
    nothing; ``evaluate`` and ``accumulate`` print nothing.

    Parameters
    ----------
    cocoGt, cocoDt : COCO, optional
        Truths and detections, of this module or of pycocotools.
    iouType : str
        ``"bbox"``. As in pycocotools masks are meant if it is left out, which fastbox does not evaluate.

    Attributes
    ----------
    params : Params
    eval : dict
        After ``accumulate()``: ``params``, ``counts``, ``date``, and the arrays ``precision`` and ``scores`` of shape
        (thresholds, recalls, categories, ranges, max_dets) and ``recall`` without recalls, -1 without truths.
    stats : array of shape (12,)
        After ``summarize()``: COCO's twelve statistics.

    Raises
    ------
    NotImplementedError
        Masks or keypoints.

    Examples
    --------
    >>> truths = COCO({
    ...     "images": [{"id": 7}],
    ...     "categories": [{"id": 1, "name": "cat"}],
    ...     "annotations": [
    ...         {"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0}
    ...     ],
    ... })
    >>> found = truths.loadRes([{"image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 3], "score": 0.9}])
    >>> evaluation = COCOeval(truths, found, "bbox")
    >>> evaluation.evaluate()
    >>> evaluation.accumulate()
    >>> round(float(evaluation.eval["precision"].max(axis=1)[:, 0, 0, -1].mean()), 3)
    0.6
    """

    def __init__(self, cocoGt: Any = None, cocoDt: Any = None, iouType: str = "segm") -> None:
        self.cocoGt, self.cocoDt = cocoGt, cocoDt
        self.params = Params(iouType)
        self.eval: dict[str, Any] = {}
        self.stats: Any = []
        self._paramsEval: Any = None
        self._sides: Sides | None = None
        self._given: list[Any] | None = None  # records that were set
        if cocoGt is not None:
            self.params.imgIds = sorted(cocoGt.getImgIds())
            self.params.catIds = sorted(cocoGt.getCatIds())

    def evaluate(self) -> None:
        """Match the detections of every image and category at every threshold and in every range of areas.

        Raises
        ------
        NotImplementedError
            Masks or keypoints.
        ValueError
            Parameters or annotations that have no meaning.
        """
        p = self.params
        p.imgIds = list(np.unique(p.imgIds))
        if p.useCats:
            p.catIds = list(np.unique(p.catIds))
        p.maxDets = sorted(p.maxDets)
        self._prepare()
        self._paramsEval = _copied(p)

    def accumulate(self, p: Params | None = None) -> None:
        """Make ``eval`` of the matches.

        Parameters
        ----------
        p : Params, optional
            Other parameters than those of ``evaluate()``: any recalls, smaller numbers of detections, and some of the
            images, categories, ranges and thresholds.

        Raises
        ------
        ValueError
            Not evaluated before, or with parameters that ``evaluate()`` did not have.
        """
        evaluated, p = self._paramsEval, self.params if p is None else p
        if evaluated is None:
            raise ValueError("expected evaluate() before accumulate(), got no matches: call evaluate() first")
        p.catIds = p.catIds if p.useCats == 1 else [-1]
        limits, most = sorted(set(p.maxDets)), max(evaluated.maxDets)
        if limits[-1] > most:
            raise ValueError(f"expected maxDets of at most {most}, got {limits[-1]}: call evaluate() with it first")
        thresholds = _places("iouThrs", p.iouThrs, evaluated.iouThrs)
        kinds = _places("catIds", p.catIds, evaluated.catIds if evaluated.useCats else [-1])
        areas = _places("areaRng", map(tuple, p.areaRng), map(tuple, evaluated.areaRng))
        counts = _places("maxDets", p.maxDets, limits)
        rules = _rules(evaluated, recalls=p.recThrs, max_dets=limits)
        made = coco_arrays(*self._of_images(set(p.imgIds)), rules)

        def some(values: NDArray[np.float64]) -> NDArray[np.float64]:
            return values[thresholds][..., kinds, :, :][..., areas, :][..., counts]

        self.eval = {
            "params": p,
            "counts": [len(p.iouThrs), len(p.recThrs), len(p.catIds), len(p.areaRng), len(p.maxDets)],
            "date": datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S"),
            "precision": some(made.precision),
            "recall": some(made.recall),
            "scores": some(made.scores),
        }

    def summarize(self) -> None:
        """Print COCO's twelve lines as pycocotools does, and make ``stats`` of their figures.

        Raises
        ------
        ValueError
            Not accumulated before, or fewer than three ``maxDets``.
        """
        if not self.eval:
            raise ValueError("expected accumulate() before summarize(), got no results: call accumulate() first")
        self.stats, lines = summary(twelve(self.params), self.eval, self.params)
        for line in lines:
            print(line)

    @property
    def evalImgs(self) -> list[Any]:
        """The matches of each category, range of areas and image; made when they are read, None without boxes.

        Records that are set, such as those of several processes, are those that ``accumulate()`` counts.
        """
        if self._given is not None:
            return self._given
        return [] if self._sides is None else self._sides.records

    @evalImgs.setter
    def evalImgs(self, records: list[Any]) -> None:
        self._given = records

    @property
    def ious(self) -> dict[tuple[Any, Any], Any]:
        """The IoUs of detections and truths by image and category; made when they are read, an empty list without."""
        return {} if self._sides is None else self._sides.ious

    @ious.setter
    def ious(self, ious: dict[tuple[Any, Any], Any]) -> None:
        if self._sides is not None:
            self._sides.ious = ious

    def computeIoU(self, imgId: Any, catId: Any) -> Any:
        """Return the IoUs of an image and category."""
        return self._evaluated.images.ious(*self._evaluated.place(imgId, catId))

    def evaluateImg(self, imgId: Any, catId: Any, aRng: Sequence[float], maxDet: int) -> Any:
        """Return the record of an image, a category and a range of areas.

        Raises
        ------
        ValueError
            Another range or number of detections than those of ``params``.
        """
        ranges = [tuple(limits) for limits in self.params.areaRng]
        if maxDet != max(self.params.maxDets) or tuple(aRng) not in ranges:
            raise ValueError(f"expected a range and the last of maxDets of params, got {list(aRng)} and {maxDet}")
        label, image = self._evaluated.place(imgId, catId)
        return self._evaluated.images.record(label, ranges.index(tuple(aRng)), image)

    def _prepare(self) -> None:
        """Match the detections by the parameters as they are."""
        p = self.params
        _check_type("segm" if p.useSegm == 1 else p.iouType)
        rules = _rules(p, recalls=p.recThrs, max_dets=p.maxDets)
        asked = Asked(list(p.imgIds), list(p.catIds), list(p.catIds) if p.useCats else [-1], rules)
        compile_together(KERNELS)
        self._sides, self._given, self.eval = Sides(self.cocoGt, self.cocoDt, asked), None, {}

    @property
    def _evaluated(self) -> Sides:
        if self._sides is None:
            raise ValueError("expected evaluate() before its matches, got none: call evaluate() first")
        return self._sides

    def _of_images(self, images: set[Any]) -> tuple[Ranked, NDArray[np.int64]]:
        """Return the matches of some images, and the number of truths of each category and range."""
        evaluated = self._paramsEval
        there = np.array([image in images for image in evaluated.imgIds], np.bool_)
        if self._given is not None:
            kinds = len(evaluated.catIds) if evaluated.useCats else 1
            return of_records(self._given, (kinds, len(evaluated.areaRng), len(evaluated.iouThrs)), there)
        return self._evaluated.ranked(there), self._evaluated.regular(there)


def _check_type(kind: str) -> None:
    """Refuse masks and keypoints."""
    if kind != "bbox":
        what = {"segm": "masks, iouType='segm'"}.get(kind, f"iouType={kind!r}")
        raise NotImplementedError(
            f"expected boxes, iouType='bbox', got {what}: for masks and keypoints use COCOeval of pycocotools.cocoeval"
        )


def _copied(p: Params) -> Params:
    """Return a copy of parameters, whose lists are its own."""
    made = copy.copy(p)
    for name, value in vars(p).items():
        setattr(made, name, copy.copy(value))
    made.areaRng = [tuple(limits) for limits in p.areaRng]
    return made


def _rules(p: Params, **others: Any) -> Rules:
    """Return the rules of parameters, with others for some."""
    areas = {str(place): (low, high) for place, (low, high) in enumerate(p.areaRng)}
    thresholds = np.asarray(p.iouThrs, np.float64).tolist()
    return Rules(iou_thresholds=thresholds, area_ranges=areas, class_agnostic=not p.useCats, **others)


def _places(name: str, asked: Iterable[Any], known: Iterable[Any]) -> slice | list[int]:
    """Return the places of some values among all that were evaluated.

    Raises
    ------
    ValueError
        A value that was not evaluated.
    """
    some, every = list(asked), list(known)
    if some == every:
        return slice(None)
    places = {value: place for place, value in enumerate(every)}
    for value in some:
        if value not in places:
            raise ValueError(f"expected {name} that evaluate() had, got {value}: call evaluate() with it first")
    return [places[value] for value in some]
