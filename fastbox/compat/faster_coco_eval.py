"""``COCOeval_faster`` of ``faster_coco_eval`` for boxes: its figures, and its names for them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from fastbox.compat.coco_summary import Line, summary
from fastbox.compat.cocoeval import COCO
from fastbox.compat.cocoeval import COCOeval as Base

__all__ = ["COCO", "COCOeval", "COCOeval_faster"]

LOG = logging.getLogger("fastbox")
ALONE = (0.5, 0.75)  # thresholds with a figure of their own
DEFAULT_LIMITS = {1: "AR_all", 10: "AR_second", 100: "AR_third"}  # the names of COCO's own maxDets


class COCOeval_faster(Base):
    """Evaluation of boxes with the interface and the results of ``faster_coco_eval.COCOeval_faster``.

    Further matches (``extra_calc``), LVIS' rules and truths without areas are refused.

    Parameters
    ----------
    cocoGt, cocoDt, iouType
        As of :class:`fastbox.compat.cocoeval.COCOeval`; objects of faster_coco_eval too.
    ranges : dict of str to [low, high], optional
        Ranges of areas beside that of all.
    print_function : callable
        Takes each line of ``summarize()``; by default the logger ``fastbox``.
    **options
        Other options of faster_coco_eval, which must be false.

    Attributes
    ----------
    all_stats : array
        AP, AP50, AP75, AP by range of areas, AR for each of ``maxDets``, AR by range of areas, AR50 and AR75; ``stats``
        has all but the last two.
    stats_as_dict : dict
        The figures of ``all_stats`` by name: ``AP_all``, ``AP_50``, …

    Raises
    ------
    NotImplementedError
        Masks, keypoints or options that fastbox lacks.
    """

    def __init__(
        self,
        cocoGt: Any = None,
        cocoDt: Any = None,
        iouType: str = "segm",
        ranges: Mapping[str, Any] | None = None,
        print_function: Callable[[str], Any] = LOG.info,
        **options: Any,
    ) -> None:
        super().__init__(cocoGt, cocoDt, iouType)
        for name in ("extra_calc", "lvis_style"):
            if options.get(name):
                raise NotImplementedError(f"expected {name} to be false, got true: use faster_coco_eval itself")
        if options.get("use_area") is False:
            raise NotImplementedError("expected use_area to be true, got false: use faster_coco_eval itself")
        self.print_function = print_function
        self.all_stats: Any = []
        self.stats_as_dict: dict[str, float] = {}
        if ranges is not None:
            self.params.areaRng = [self.params.areaRng[0], *map(list, ranges.values())]
            self.params.areaRngLbl = ["all", *ranges]

    def summarize(self) -> None:
        """Give each line to ``print_function``, and make ``stats`` and ``all_stats`` of the figures.

        Raises
        ------
        ValueError
            Not accumulated before.
        """
        if not self.eval:
            raise ValueError("expected accumulate() before summarize(), got no results: call accumulate() first")
        lines = self._lines()
        self.all_stats, text = summary(list(lines.values()), self.eval, self.params)
        self.stats = self.all_stats[: -len(ALONE)]
        self.stats_as_dict = dict(zip(lines, self.all_stats.tolist(), strict=True))
        for line in text:
            self.print_function(line)

    def run(self) -> None:
        """Call ``evaluate()``, ``accumulate()`` and ``summarize()``."""
        self.evaluate()
        self.accumulate()
        self.summarize()

    def _lines(self) -> dict[str, Line]:
        """Return the lines by the names of their figures."""
        limits, most, sizes = self.params.maxDets, self.params.maxDets[-1], self.params.areaRngLbl[1:]
        names = DEFAULT_LIMITS if list(limits) == list(DEFAULT_LIMITS) else {limit: f"AR_{limit}" for limit in limits}
        return {
            "AP_all": Line("AP", None, "all", most),
            **{f"AP_{threshold * 100:.0f}": Line("AP", threshold, "all", most) for threshold in ALONE},
            **{f"AP_{size}": Line("AP", None, size, most) for size in sizes},
            **{names[limit]: Line("AR", None, "all", limit) for limit in limits},
            **{f"AR_{size}": Line("AR", None, size, most) for size in sizes},
            **{f"AR_{threshold * 100:.0f}": Line("AR", threshold, "all", most) for threshold in ALONE},
        }


class COCOeval(COCOeval_faster):
    """:class:`COCOeval_faster` that prints its lines."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"print_function": print, **options})
