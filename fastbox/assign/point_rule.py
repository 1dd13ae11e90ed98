"""Rules that give the points of a grid to truths: those of the detectors without anchors, as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fastbox._record import dataclass
from fastbox.values.numbers import as_number, as_number_from, as_tuple

__all__ = ["POINT_RULES", "PointRule"]

FAMILIES = ("fcos", "tal", "tood", "simota", "rtmdet")
STRIDES = ("first", "second")  # sides as a grid's strides: its first one, or its second one, the first one if alone
TORCHVISION_RANGES = ((0.0, 64.0), (64.0, 128.0), (128.0, 256.0), (256.0, 512.0), (512.0, float("inf")))
RANGES = ((-1.0, 64.0), (64.0, 128.0), (128.0, 256.0), (256.0, 512.0), (512.0, 1e8))

Side = float | str | None


@dataclass(frozen=True)
class PointRule:
    """A rule by which the points of a :class:`fastbox.PointGrid` learn truths; points of no truth are negative.

    Use a preset, a constructor under a peer's arguments, or ``dataclasses.replace``. Fields that a family has no use
    for keep their defaults.

    Attributes
    ----------
    name : str
        The preset or the constructor that made the rule.
    family : str
        ``"fcos"``: the size of a truth chooses its level, and a point learns the smallest truth; no predictions.
        ``"tal"``: a truth claims the candidates of the best metrics. ``"tood"``: those of the best points that lie
        inside. ``"simota"`` and ``"rtmdet"``: a truth claims the points of the least costs, as many as the sum of its
        greatest IoUs.
    variant : str
        The library whose order of operations is kept: ``"ultralytics"``, ``"mmyolo"`` or ``"yolov6"`` for TAL,
        ``"authors"``, ``"mmdet"`` or ``"torchvision"`` for FCOS, ``"mmdet"`` or ``"mmyolo"`` for RTMDet.
    topk : int
        Points that a truth claims at most (TAL, TOOD), or IoUs that are summed up (SimOTA, RTMDet).
    topk2 : int or None
        Points that a truth keeps after contests (TAL); None: all.
    alpha, beta : float
        Exponents of score and overlap in the metric (TAL, TOOD).
    eps : float
        Added to the greatest metric (TAL) or to IoUs in logarithms (SimOTA).
    everywhere : bool
        A contested point may go to a truth that it lies outside of (TAL).
    floor, to : float, str or None
        Sides of a candidate box below `floor` become `to` pixels; ``"first"`` or ``"second"`` is a stride of the grid;
        None: no side is changed (TAL).
    radius : float
        The farthest distance of a candidate from the truth's centre, in strides (FCOS: 0 for any; SimOTA), or the
        distance of cost 1 (RTMDet).
    inside : bool
        Candidates lie inside of their truth (SimOTA).
    far : float
        The cost of points that are no candidates (SimOTA).
    least_union : float
        The area that a union has at least (SimOTA).
    weight : float
        The weight of the cost of overlap (SimOTA, RTMDet).
    ranges : tuple of (float, float)
        For each level the least and the greatest distance of a point to the farthest side of its truth, in pixels; both
        are included, except in torchvision's variant (FCOS).

    Raises
    ------
    ValueError
        An unknown family or stride, numbers out of range, or ranges that are not pairs.

    Examples
    --------
    >>> import fastbox
    >>> rule = fastbox.PointRule.tal(topk=13, alpha=1.0)
    >>> rule.topk, rule.beta, rule.floor
    (13, 6.0, 'second')
    """

    name: str
    family: str
    variant: str = ""
    topk: int = 10
    topk2: int | None = None
    alpha: float = 0.5
    beta: float = 6.0
    eps: float = 1e-9
    everywhere: bool = False
    floor: Side = None
    to: Side = None
    radius: float = 0.0
    inside: bool = True
    far: float = 0.0
    least_union: float = 0.0
    weight: float = 3.0
    ranges: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.family not in FAMILIES:
            raise ValueError(f"expected a family of {', '.join(FAMILIES)}, got {self.family!r}")
        for name in ("topk", "topk2"):
            k = getattr(self, name)
            if not (k is None and name == "topk2") and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
                raise ValueError(f"expected {name} to be a whole number of at least 1, got {k!r}")
        for name in ("alpha", "beta", "eps", "radius", "far", "least_union", "weight"):
            as_number_from(getattr(self, name), name, 0)
        if (self.floor is None) != (self.to is None):
            raise ValueError(f"expected floor and to together or neither, got {self.floor!r} and {self.to!r}")
        for name in ("floor", "to"):
            side = getattr(self, name)
            if isinstance(side, str) and side not in STRIDES:
                raise ValueError(f"expected {name} in pixels or a stride of {', '.join(STRIDES)}, got {side!r}")
            if side is not None and not isinstance(side, str):
                as_number_from(side, name, 0)
        ranges = [as_tuple(pair, "a range") for pair in as_tuple(self.ranges, "ranges")]
        if any(len(pair) != 2 for pair in ranges):
            raise ValueError(f"expected ranges as pairs of least and greatest distance, got {self.ranges}")
        pairs = tuple((as_number(low, "a range"), as_number(high, "a range")) for low, high in ranges)
        object.__setattr__(self, "ranges", pairs)

    @property
    def predicts(self) -> bool:
        """The need of predictions: all rules but FCOS' have it."""
        return self.family != "fcos"

    @classmethod
    def tal(
        cls,
        topk: int = 10,
        alpha: float = 0.5,
        beta: float = 6.0,
        topk2: int | None = None,
        floor: Side = "second",
        to: Side = "second",
    ) -> PointRule:
        """Make the rule of ultralytics' ``TaskAlignedAssigner``; the defaults are those of 8.4.128 and later.

        From 8.4.0 to 8.4.127 `floor` was the first stride; before, no side was changed: give ``floor=None, to=None``.
        """
        return cls("tal", "tal", "ultralytics", topk, topk2, alpha, beta, floor=floor, to=to)

    @classmethod
    def tal_mmdet(cls, topk: int = 13, alpha: float = 1.0, beta: float = 6.0) -> PointRule:
        """Make the rule of mmdetection's ``TaskAlignedAssigner``, which TOOD has.

        Values are its metrics. The head's target scores are ``value / (greatest + 1e-7) * greatest IoU``, both of the
        truth's points.
        """
        return cls("tal-mmdet", "tood", "mmdet", topk, None, alpha, beta)

    @classmethod
    def tal_mmyolo(
        cls, topk: int = 10, alpha: float = 0.5, beta: float = 6.0, eps: float = 1e-9, use_ciou: bool = True
    ) -> PointRule:
        """Make the rule of mmyolo's ``BatchTaskAlignedAssigner``: YOLOv8's by default; YOLOv6 ranks by plain IoU."""
        variant = "mmyolo" if use_ciou else "yolov6"
        return cls("tal-mmyolo", "tal", variant, topk, None, alpha, beta, eps, everywhere=True)

    @classmethod
    def simota(
        cls,
        radius: float = 1.5,
        inside: bool = False,
        far: float = 1e6,
        eps: float = 1e-8,
        least_union: float = 0.0,
        topk: int = 10,
        weight: float = 3.0,
    ) -> PointRule:
        """Make the rule of YOLOX, of 2023 and later by default."""
        return cls(
            "simota",
            "simota",
            topk=topk,
            eps=eps,
            radius=radius,
            inside=inside,
            far=far,
            least_union=least_union,
            weight=weight,
        )

    @classmethod
    def rtmdet(cls, radius: float = 3.0, topk: int = 13, weight: float = 3.0, variant: str = "mmdet") -> PointRule:
        """Make the rule of RTMDet's ``DynamicSoftLabelAssigner``, mmdetection's or mmyolo's."""
        return cls("rtmdet", "rtmdet", variant, topk, radius=radius, weight=weight)

    @classmethod
    def fcos(
        cls, radius: float = 1.5, ranges: Sequence[tuple[float, float]] = RANGES, variant: str = "authors"
    ) -> PointRule:
        """Make the rule of FCOS: its authors' by default, mmdetection's or torchvision's.

        A radius of 0 is mmdetection's ``center_sampling=False``, the default of its head.
        """
        return cls("fcos", "fcos", variant, radius=radius, ranges=as_tuple(ranges, "ranges"))


def _named(name: str, rule: PointRule) -> PointRule:
    return replace(rule, name=name)


_ROWS = {
    "fcos": PointRule.fcos(),
    "mmdet-fcos": PointRule.fcos(variant="mmdet"),
    "mmdet-yolox": PointRule.simota(2.5, True, 1e5, 1e-7, 1e-6),
    "mmyolo-rtmdet": PointRule.rtmdet(variant="mmyolo"),
    "mmyolo-yolov8": PointRule.tal_mmyolo(),
    "ppyoloe": PointRule.tal_mmyolo(13, 1.0, 6.0, 1e-9, False),
    "rtmdet": PointRule.rtmdet(),
    "rtmdet-p6": PointRule.rtmdet(),
    "simota": PointRule.simota(),
    "tal": PointRule.tal(),
    "tal-8.0": replace(PointRule.tal(floor=None, to=None), everywhere=True),
    "tal-8.3": PointRule.tal(floor=None, to=None),
    "tal-8.4.0": PointRule.tal(floor="first"),
    "tal-mmdet": PointRule.tal_mmdet(),
    "tal-mmyolo": PointRule.tal_mmyolo(),
    "tood": PointRule.tal_mmdet(),
    "torchvision-fcos": PointRule.fcos(1.5, TORCHVISION_RANGES, "torchvision"),
    "yolo11": PointRule.tal(),
    "yolo12": PointRule.tal(),
    "yolo26": PointRule.tal(),
    "yolo26-one-to-one": PointRule.tal(7, topk2=1),
    "yolov10": PointRule.tal(),
    "yolov10-one-to-one": PointRule.tal(1),
    "yolov6": PointRule.tal_mmyolo(13, 1.0, 6.0, 1e-7, False),
    "yolov8": PointRule.tal(),
    "yolov8-p2": PointRule.tal(),
    "yolov8-p6": PointRule.tal(),
    "yolox": PointRule.simota(),
    "yolox-0.3": PointRule.simota(2.5, True, 1e5),
}
POINT_RULES = {name: _named(name, rule) for name, rule in _ROWS.items()}
