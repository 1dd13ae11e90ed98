"""Rules that label anchors by their IoU with truths: those of fastbox and of its peers, as data."""

from __future__ import annotations

from collections.abc import Sequence

from fastbox._record import dataclass
from fastbox.values.numbers import as_number, as_number_from, as_tuple, as_whole, shown

__all__ = ["MatchRule"]

CLAIMS = ("none", "ties", "first")
RECEIVERS = ("own", "first", "last")
KERAS_LABELS = {1: 1, -1: 0, -2: -1}


@dataclass(frozen=True)
class MatchRule:
    """A rule that turns the IoU of anchors with truths into labels: 1 positive, 0 negative, -1 ignored.

    Use a preset: :meth:`fastbox`, or the rule of a peer under the peer's own arguments.

    Attributes
    ----------
    name : str
        The preset that made the rule.
    thresholds : tuple of float
        Ascending. An anchor whose best IoU is v gets the label that follows the last threshold ≤ v. Thresholds are
        rounded to the dtype of the boxes.
    labels : tuple of int
        One label more than thresholds; the first is for values below all thresholds.
    claims : str
        The anchors that a truth claims whatever the thresholds are. ``"none"``: no anchor. ``"ties"``: every anchor
        whose IoU is exactly the truth's best. ``"first"``: the lowest-numbered of these. Claimed anchors are positive.
    receiver : str
        The truth of a claimed anchor. ``"own"``: the anchor's own best truth, whether this truth claims it or not.
        ``"first"``, ``"last"``: the first or the last truth that claims it.
    min_claim : float
        A truth with a lower best IoU claims nothing.
    claims_at_zero : bool
        A truth that overlaps nothing claims anchors, too: all of them with ``"ties"``, the first with ``"first"``.
    ignore_iof : float or None
        Anchors with a higher share inside an ignore region are ignored: label -1. None: the rule has no such regions.
    ignore_by : str
        The area that the share refers to: ``"anchor"`` or ``"region"``.
    negative_without_truths : bool
        In an image without truths all anchors are negative, also inside ignore regions and whatever the labels are.
    topk : int or None
        For ATSS: the number of anchors of each level that are candidates of a truth. Thresholds and claims are unused.
    levels : tuple of int or None
        For ATSS with anchors that are plain boxes: the number of anchors of each level.

    Raises
    ------
    ValueError
        Thresholds that do not ascend, labels of another number than thresholds + 1, or an unknown value of a field.

    Examples
    --------
    >>> import fastbox
    >>> from fastbox.assign.rule import MatchRule
    >>> rule = MatchRule.mmdet(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3)
    >>> rule.thresholds, rule.labels, rule.receiver
    ((0.3, 0.7), (0, -1, 1), 'last')
    """

    name: str
    thresholds: tuple[float, ...]
    labels: tuple[int, ...]
    claims: str = "none"
    receiver: str = "own"
    min_claim: float = 0.0
    claims_at_zero: bool = False
    ignore_iof: float | None = None
    ignore_by: str = "anchor"
    negative_without_truths: bool = False
    topk: int | None = None
    levels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        thresholds, labels = as_tuple(self.thresholds, "thresholds"), as_tuple(self.labels, "labels")
        object.__setattr__(self, "thresholds", tuple(as_number(value, "a threshold") for value in thresholds))
        object.__setattr__(self, "labels", tuple(as_whole(label, "a label", -1) for label in labels))
        if not all(low <= high for low, high in zip((float("-inf"), *self.thresholds), self.thresholds, strict=False)):
            raise ValueError(f"expected thresholds that ascend, got {self.thresholds}")
        if len(self.labels) != len(self.thresholds) + 1:
            raise ValueError(f"expected {len(self.thresholds) + 1} labels, got {len(self.labels)}")
        if not set(self.labels) <= {-1, 0, 1}:
            raise ValueError(f"expected labels of 1 (positive), 0 (negative) and -1 (ignored), got {self.labels}")
        if self.claims not in CLAIMS or self.receiver not in RECEIVERS or self.ignore_by not in ("anchor", "region"):
            raise ValueError(
                f"expected claims of {', '.join(CLAIMS)}, a receiver of {', '.join(RECEIVERS)} and ignore_by of "
                f"anchor or region, got {self.claims!r}, {self.receiver!r} and {self.ignore_by!r}"
            )
        for name in ("min_claim", "ignore_iof"):
            value = getattr(self, name)
            if value is not None:
                as_number_from(value, name)
        if self.topk is not None:
            as_whole(self.topk, "topk", 1)
        if self.levels is not None:
            levels = tuple(as_whole(count, "a level's number of anchors") for count in as_tuple(self.levels, "levels"))
            object.__setattr__(self, "levels", levels)

    @classmethod
    def fastbox(cls, high: float = 0.5, low: float = 0.4, *, ignore_iof: float = 0.5) -> MatchRule:
        """Make fastbox's own rule: torchvision's, but a truth that overlaps nothing claims nothing.

        Anchors are positive from an IoU of `high` on, negative below `low` and ignored between; anchors whose IoU
        equals the best of a truth are positive, too. Anchors with more than `ignore_iof` of their area inside an ignore
        region are ignored.
        """
        return cls("fastbox", _two(low, high), (0, -1, 1), "ties", ignore_iof=ignore_iof)

    @classmethod
    def torchvision(cls, high: float = 0.5, low: float = 0.4, allow_low_quality_matches: bool = True) -> MatchRule:
        """Make the rule of ``torchvision.models.detection._utils.Matcher``."""
        claims = "ties" if allow_low_quality_matches else "none"
        return cls("torchvision", _two(low, high), (0, -1, 1), claims, claims_at_zero=True)

    @classmethod
    def detectron2(
        cls,
        thresholds: Sequence[float] = (0.4, 0.5),
        labels: Sequence[int] = (0, -1, 1),
        allow_low_quality_matches: bool = True,
    ) -> MatchRule:
        """Make the rule of ``detectron2.modeling.matcher.Matcher``."""
        claims = "ties" if allow_low_quality_matches else "none"
        return cls(
            "detectron2", as_tuple(thresholds, "thresholds"), as_tuple(labels, "labels"), claims, claims_at_zero=True
        )

    @classmethod
    def mmdet(
        cls,
        pos_iou_thr: float = 0.5,
        neg_iou_thr: float | tuple[float, float] = 0.4,
        min_pos_iou: float = 0.0,
        gt_max_assign_all: bool = True,
        ignore_iof_thr: float = -1,
        ignore_wrt_candidates: bool = True,
        match_low_quality: bool = True,
    ) -> MatchRule:
        """Make the rule of mmdetection's ``MaxIoUAssigner``: a claimed anchor goes to the last truth that claims it.

        Unlike in mmdetection, a `neg_iou_thr` that is an integer makes negatives as well.
        """
        ranged = isinstance(neg_iou_thr, Sequence)
        ends = neg_iou_thr if isinstance(neg_iou_thr, Sequence) else (0.0, neg_iou_thr)
        if len(ends) != 2:
            raise ValueError(f"expected neg_iou_thr as a number or as (low, high), got {shown(neg_iou_thr)}")
        low, high = ends
        for name, value in (("pos_iou_thr", pos_iou_thr), ("neg_iou_thr", low), ("neg_iou_thr", high)):
            as_number(value, name)
        edges = (min(low, pos_iou_thr), min(max(low, high), pos_iou_thr), pos_iou_thr)
        return cls(
            "mmdet",
            edges if ranged else edges[1:],
            (-1, 0, -1, 1) if ranged else (0, -1, 1),
            ("ties" if gt_max_assign_all else "first") if match_low_quality else "none",
            "last",
            min_pos_iou,
            claims_at_zero=True,
            ignore_iof=ignore_iof_thr if ignore_iof_thr > 0 else None,
            ignore_by="anchor" if ignore_wrt_candidates else "region",
            negative_without_truths=True,
        )

    @classmethod
    def tf(
        cls,
        matched_threshold: float = 0.5,
        unmatched_threshold: float | None = None,
        negatives_lower_than_unmatched: bool = True,
        force_match_for_each_row: bool = True,
    ) -> MatchRule:
        """Make the rule of the TF Object Detection API's ``ArgMaxMatcher``.

        `force_match_for_each_row` is on, as in the API's SSD configurations; the class itself has it off.
        """
        low = matched_threshold if unmatched_threshold is None else unmatched_threshold
        labels = (0, -1, 1) if negatives_lower_than_unmatched else (-1, 0, 1)
        claims = "first" if force_match_for_each_row else "none"
        return cls("tf", _two(low, matched_threshold), labels, claims, "first", 0.0, True, negative_without_truths=True)

    @classmethod
    def keras_hub(
        cls,
        thresholds: Sequence[float] = (0.4, 0.5),
        match_values: Sequence[int] = (-1, -2, 1),
        force_match_for_each_col: bool = False,
    ) -> MatchRule:
        """Make the rule of keras-hub's ``BoxMatcher``, whose values are 1 positive, -1 negative and -2 ignored.

        Unlike in keras-hub, forcing never gives anchor 0 a truth that does not exist.
        """
        values = as_tuple(match_values, "match_values")
        if not set(values) <= set(KERAS_LABELS):
            raise ValueError(f"expected match_values of 1, -1 and -2, got {values}")
        labels = tuple(KERAS_LABELS[value] for value in values)
        claims = "first" if force_match_for_each_col else "none"
        return cls(
            "keras-hub",
            as_tuple(thresholds, "thresholds"),
            labels,
            claims,
            "first",
            0.0,
            True,
            negative_without_truths=True,
        )

    @classmethod
    def ssd(cls, iou_threshold: float = 0.5) -> MatchRule:
        """Make the rule of torchvision's ``SSDMatcher``: a truth claims its first best anchor, the last truth wins."""
        return cls("ssd", (iou_threshold,), (0, 1), "first", "last", claims_at_zero=True)

    @classmethod
    def atss(cls, topk: int = 9, levels: Sequence[int] | None = None) -> MatchRule:
        """Make the rule of mmdetection's ``ATSSAssigner`` (Zhang et al., CVPR 2020).

        The candidates of a truth are the `topk` anchors of each level that are nearest to its centre. A candidate is
        positive if its IoU reaches the mean plus the standard deviation of the candidates' IoUs and its centre is more
        than 0.01 pixels inside the truth. `levels` is the number of anchors of each level, for plain boxes.
        """
        return cls("atss", (), (0,), topk=topk, levels=None if levels is None else as_tuple(levels, "levels"))


def _two(low: float, high: float) -> tuple[float, float]:
    if not as_number(low, "the low threshold") <= as_number(high, "the high threshold"):
        raise ValueError(f"expected a low threshold that is at most the high one, got {low!r} and {high!r}")
    return low, high
