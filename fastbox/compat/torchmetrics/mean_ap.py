"""``MeanAveragePrecision`` with the arguments, the states and the results of torchmetrics, computed by fastbox."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastbox.compat.torchmetrics import coco_json
from fastbox.compat.torchmetrics.checks import (
    as_format_of_boxes,
    as_limits,
    as_thresholds,
    check_iou_type,
    check_items,
)
from fastbox.compat.torchmetrics.figures import BACKENDS, Found, Rules, Wanted, figures
from fastbox.compat.torchmetrics.join import State, joined, offsets_of, table_of
from fastbox.compat.torchvision.ops.shapes import box_convert
from fastbox.errors import InputWarning
from fastbox.values.numbers import as_choice

try:
    import torch
except ImportError as error:
    raise ImportError(
        "expected torch for fastbox.compat.torchmetrics, got none: install it with pip install 'fastbox-engine[torch]'"
    ) from error
try:
    from torchmetrics import Metric
except ImportError:
    from fastbox.compat.torchmetrics.plain import Metric

__all__ = ["MeanAveragePrecision"]

AVERAGES = ("macro", "micro")
Items = Sequence[Mapping[str, torch.Tensor]]


class MeanAveragePrecision(Metric):
    """Compute COCO's average precision and recall of detections, with torchmetrics' figures to the last bit.

    Where torchmetrics is installed, this is a ``torchmetrics.Metric``: it works in a ``MetricCollection``, in
    Lightning and with ``torch.distributed``. Elsewhere it is an object with the same methods for one process.
    pycocotools is not needed.

    Parameters
    ----------
    box_format : str
        ``"xyxy"``, ``"xywh"`` or ``"cxcywh"``, in pixels.
    iou_type : str
        ``"bbox"``; masks are refused.
    iou_thresholds : list of float, optional
        0.50 to 0.95 in steps of 0.05 by default.
    rec_thresholds : list of float, optional
        Ascending; 0 to 1 in steps of 0.01 by default.
    max_detection_thresholds : list of three int, optional
        Limits on the detections of an image and class; 1, 10 and 100 by default.
    class_metrics : bool
        Also return AP and AR of each class.
    extended_summary : bool
        Also return ``ious``, ``precision``, ``recall`` and ``scores``.
    average : str
        ``"macro"``: the mean over the classes; ``"micro"``: boxes of any class match.
    backend : str
        ``"pycocotools"``: ``map`` counts the best 100 detections of an image and class, and is -1 if 100 is not among
        ``max_detection_thresholds``. ``"faster_coco_eval"``: ``map`` counts the detections within the greatest limit.
        Neither package is used.
    **kwargs
        Those of ``torchmetrics.Metric``.

    Raises
    ------
    ValueError
        An argument outside of these, among them ``iou_type="segm"``.

    Notes
    -----
    Processes of ``torch.distributed`` may have different numbers of images, with which torchmetrics aborts. Different
    from torchmetrics: a box with a nan or of a negative width or height, and a score of nan, match nothing.
    Thresholds of IoU lie above 0 and at most at 1. Results are on the CPU, tensors given may be on any device.

    Examples
    --------
    >>> import torch
    >>> from fastbox.compat.torchmetrics import MeanAveragePrecision
    >>> metric = MeanAveragePrecision()
    >>> preds = [{
    ...     "boxes": torch.tensor([[258.0, 41.0, 606.0, 285.0]]),
    ...     "scores": torch.tensor([0.536]),
    ...     "labels": torch.tensor([0]),
    ... }]
    >>> target = [{"boxes": torch.tensor([[214.0, 41.0, 562.0, 285.0]]), "labels": torch.tensor([0])}]
    >>> metric.update(preds, target)
    >>> found = metric.compute()
    >>> found["map"], found["map_50"], found["map_small"]
    (tensor(0.6000), tensor(1.), tensor(-1.))
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0
    warn_on_many_detections = True

    if TYPE_CHECKING:  # torch.jit.script reads annotations at run time, and knows no such type
        detection_box: State
        detection_scores: State
        detection_labels: State
        detection_counts: State
        groundtruth_box: State
        groundtruth_labels: State
        groundtruth_crowds: State
        groundtruth_area: State
        groundtruth_counts: State

    def __init__(
        self,
        box_format: str = "xyxy",
        iou_type: str | tuple[str, ...] = "bbox",
        iou_thresholds: list[float] | None = None,
        rec_thresholds: list[float] | None = None,
        max_detection_thresholds: list[int] | None = None,
        class_metrics: bool = False,
        extended_summary: bool = False,
        average: str = "macro",
        backend: str = "pycocotools",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.box_format = as_format_of_boxes(box_format)
        self.iou_type = check_iou_type(iou_type)
        # torchmetrics' own thresholds: those of COCO, rounded to float32.
        usual = torch.linspace(0.5, 0.95, 10).tolist(), torch.linspace(0, 1, 101).tolist()
        self.iou_thresholds = as_thresholds(iou_thresholds, "iou_thresholds") or usual[0]
        self.rec_thresholds = as_thresholds(rec_thresholds, "rec_thresholds") or usual[1]
        self.max_detection_thresholds = as_limits(max_detection_thresholds)
        for name, flag in (("class_metrics", class_metrics), ("extended_summary", extended_summary)):
            if not isinstance(flag, bool):
                raise ValueError(f"expected {name} to be True or False, got {flag!r}")
        self.class_metrics, self.extended_summary = class_metrics, extended_summary
        self.average = as_choice(average, AVERAGES, "average to be")
        self.backend = as_choice(backend, BACKENDS, "backend to be")
        self._rules()  # refuses thresholds out of bounds now, not after all updates
        for state in ("box", "scores", "labels", "counts"):
            self.add_state(f"detection_{state}", default=[], dist_reduce_fx="cat")
        for state in ("box", "labels", "crowds", "area", "counts"):
            self.add_state(f"groundtruth_{state}", default=[], dist_reduce_fx="cat")

    def update(self, preds: Items, target: Items) -> None:
        """Add the detections and the truths of some images.

        Parameters
        ----------
        preds : sequence of dict
            One for each image, with tensors ``boxes`` (n, 4), ``scores`` (n,), floats, and ``labels`` (n,), integers.
        target : sequence of dict
            One for each image, with ``boxes`` (m, 4) and ``labels`` (m,); optionally ``iscrowd`` (m,), and ``area``
            (m,) in square pixels, of which 0 stands for width times height.

        Raises
        ------
        ValueError
            Other sequences, missing entries, entries that are not tensors, other shapes, or scores of integers.
        """
        check_items(preds, target)
        if not preds:
            return
        if self.warn_on_many_detections:
            self._warn(max(len(item["labels"]) for item in preds))
        self._add("detection", preds, box=_boxes_of(preds), scores=_column(preds, "scores"))
        crowds, area = (_column(target, name) for name in ("iscrowd", "area"))
        self._add("groundtruth", target, box=_boxes_of(target), crowds=crowds, area=area)

    def compute(self) -> dict[str, Any]:
        """Return the figures of all images, -1 where there is no truth: the entries of torchmetrics, in its order."""
        found, wanted = self._sides()
        return {name: _tensors(value) for name, value in figures(found, wanted, self._rules()).items()}

    def tm_to_coco(self, name: str = "tm_map_input") -> None:
        """Write all images as COCO JSON: detections to ``NAME_preds.json``, truths to ``NAME_target.json``."""
        coco_json.write(*self._sides(), name)

    @staticmethod
    def coco_to_tm(
        coco_preds: str,
        coco_target: str,
        iou_type: str | tuple[str, ...] = ("bbox",),
        backend: str = "pycocotools",
    ) -> tuple[list[dict[str, torch.Tensor]], list[dict[str, torch.Tensor]]]:
        """Read COCO JSON as the arguments of :meth:`update` of a metric with ``box_format="xywh"``.

        Images without truths are left out, as by torchmetrics.

        Raises
        ------
        ValueError
            A file that is not COCO JSON, or ``iou_type="segm"``.
        """
        check_iou_type(iou_type)
        as_choice(backend, BACKENDS, "backend to be")
        return coco_json.read(coco_preds, coco_target)

    def plot(self, val: Any = None, ax: Any = None) -> Any:
        """Plot values of :meth:`compute`, as metrics of torchmetrics do; torchmetrics and matplotlib are needed."""
        return self._plot(val, ax)

    def _warn(self, most: int) -> None:
        limit = self.max_detection_thresholds[-1]
        if most > limit:
            said = f"an image has {most} detections, of which the best {limit} of each class count"
            fix = "give max_detection_thresholds, or set warn_on_many_detections to False"
            warnings.warn(InputWarning(f"{said}: {fix}"), stacklevel=3)

    def _add(self, side: str, items: Items, **columns: torch.Tensor) -> None:
        """Add a batch to the states of detections or of truths."""
        labels = torch.cat([item["labels"] for item in items])
        counts = torch.tensor([len(item["labels"]) for item in items], device=labels.device)
        for name, column in {**columns, "labels": labels, "counts": counts}.items():
            getattr(self, f"{side}_{name}").append(column)

    def _sides(self) -> tuple[Found, Wanted]:
        """Return the detections and the truths of all images."""
        found = Found(
            self._sided(self.detection_box),
            joined(self.detection_labels),
            offsets_of(self.detection_counts),
            joined(self.detection_scores).astype(np.float64),
        )
        wanted = Wanted(
            self._sided(self.groundtruth_box),
            joined(self.groundtruth_labels),
            offsets_of(self.groundtruth_counts),
            joined(self.groundtruth_crowds) != 0,
            joined(self.groundtruth_area).astype(np.float64),
        )
        return found, wanted

    def _sided(self, boxes: State) -> Any:
        """Return x, y, w and h of all boxes, rounded to their dtype as torchmetrics rounds them, then in float64."""
        return box_convert(table_of(boxes, torch.zeros(0, 4)), self.box_format, "xywh").double().numpy()

    def _rules(self) -> Rules:
        return Rules(
            self.iou_thresholds,
            self.rec_thresholds,
            self.max_detection_thresholds,
            self.average == "micro",
            self.class_metrics,
            self.extended_summary,
            self.backend,
        )


def _boxes_of(items: Items) -> torch.Tensor:
    return torch.cat([item["boxes"].reshape(-1, 4) for item in items])


def _column(items: Items, name: str) -> torch.Tensor:
    """Return an entry of all images, zeros where an image has none."""
    return torch.cat([item[name] if name in item else torch.zeros_like(item["labels"]) for item in items])


def _tensors(value: Any) -> Any:
    """Return figures as tensors, those of one number without an axis, as torchmetrics returns them."""
    if isinstance(value, dict):
        return {key: _tensors(own) for key, own in value.items()}
    if isinstance(value, list):
        return value
    tensor = torch.from_numpy(np.ascontiguousarray(value))
    return tensor.squeeze() if tensor.numel() == 1 else tensor
