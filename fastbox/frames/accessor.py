"""The accessor ``frame.fastbox`` of polars and pandas: comparisons of frames, whose results are frames."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastbox import jobs
from fastbox.assign.greedy import match_greedy
from fastbox.evaluation.protocols.coco import COCO
from fastbox.frames.side import Side, check_both, check_images, side_of
from fastbox.ops import search
from fastbox.ops.aligned import aligned
from fastbox.result import Result
from fastbox.suppression.nms import nms
from fastbox.tables.source import Source
from fastbox.values.arguments import named
from fastbox.values.names import CLASS, IMAGE, SCORE

__all__ = ["Accessor"]

OTHER = "other_row"  # the column of rows of the other frame


class Accessor(ABC):
    """The methods of ``frame.fastbox``; ``import fastbox.polars`` or ``import fastbox.pandas`` registers it.

    Boxes, image ids, scores and classes are found by the usual names of their columns. Where both frames have image
    ids, only boxes of one image are compared. The rows of both frames may have any order: results refer to rows by
    their number from 0, and added columns stand in the order of the given rows. Frames are never changed.

    Examples
    --------
    >>> import polars, fastbox.polars
    >>> names = ["image_id", "xmin", "ymin", "xmax", "ymax"]
    >>> frame = polars.DataFrame([(2, 0, 0, 4, 4), (1, 0, 0, 4, 3)], schema=names, orient="row")
    >>> other = polars.DataFrame([(1, 0, 0, 4, 4), (2, 9, 9, 12, 12)], schema=names, orient="row")
    >>> frame.fastbox.best(other).select("image_id", "other_row", "iou").rows()
    [(2, 1, 0.0), (1, 0, 0.75)]
    """

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._reading: dict[str, Any] = {}

    @named
    def __call__(self, *, boxes: str | None = None, format: str | None = None, image: str | bool | None = True) -> Self:
        """Return the accessor with other columns of boxes and image ids, which both frames then have.

        Parameters
        ----------
        boxes : str, optional
            One column of boxes, or four names with commas between; by default found by their usual names.
        format : str, optional
            The format of the boxes; by default the format that the names imply, else ``"xyxy"``.
        image : str or bool
            The column of image ids; by default one with a usual name. False: all boxes are of one image.

        Examples
        --------
        >>> import polars, fastbox.polars
        >>> frame = polars.DataFrame({"bbox": [[0, 0, 4, 4], [2, 0, 4, 4]]})
        >>> frame.fastbox(format="xywh").pairs(threshold=0.3).rows()
        [(0, 1, 0.3333333333333333)]
        """
        made = type(self)(self._frame)
        made._reading = {"boxes": boxes, "format": format, "image": image}
        return made

    @named
    def best(self, other: Any, *, metric: str = "iou", beta: float = 1.0) -> Any:
        """Add the row of the best box of the other frame, and the value of the metric, by :func:`fastbox.best`.

        Returns
        -------
        frame
            The frame with the columns ``other_row`` (int64, -1 for none) and the metric's name (float32 if all boxes
            are, else float64; nan for none). A column of the same name is replaced.

        Raises
        ------
        ValueError, TypeError
            As :func:`fastbox.best`; no columns of boxes, null coordinates or ids, or image ids in one frame only.

        Examples
        --------
        >>> import polars, fastbox.polars
        >>> frame = polars.DataFrame({"bbox": [[0, 0, 2, 2]]})
        >>> frame.fastbox.best(polars.DataFrame({"bbox": [[9, 9, 10, 10], [1, 0, 3, 2]]})).rows()
        [([0, 0, 2, 2], 1, 0.3333333333333333)]
        """
        mine, its = self._sides(other)
        found = search.best(mine.boxes, its.boxes, metric=metric, beta=beta)
        rows = its.rows_of(found.indices)
        return self._with({OTHER: mine.by_row(rows), metric: mine.by_row(found.values)})

    @named
    def top(self, other: Any, k: int, *, metric: str = "iou", beta: float = 1.0) -> Any:
        """List the k best boxes of the other frame for each row, by :func:`fastbox.top`.

        Returns
        -------
        frame
            The columns ``row``, ``rank`` (from 0), ``other_row`` (all int64) and the metric's name: one row for each
            valid pair, by row, then by rank.

        Raises
        ------
        ValueError, TypeError
            As :func:`fastbox.top` and :meth:`best`.

        Examples
        --------
        >>> import polars, fastbox.polars
        >>> frame = polars.DataFrame({"bbox": [[0, 0, 2, 2]]})
        >>> frame.fastbox.top(polars.DataFrame({"bbox": [[1, 0, 3, 2], [0, 0, 2, 2]]}), 2).rows()
        [(0, 0, 1, 1.0), (0, 1, 0, 0.3333333333333333)]
        """
        mine, its = self._sides(other)
        found = search.top(mine.boxes, its.boxes, k, metric=metric, beta=beta)
        others, values = mine.by_row(its.rows_of(found.indices)), mine.by_row(found.values)
        rows, ranks = np.nonzero(others >= 0)
        there = rows, ranks
        return self._made({"row": rows, "rank": ranks, OTHER: others[there], metric: values[there]})

    @named
    def pairs(self, other: Any = None, *, threshold: float, metric: str = "iou", beta: float = 1.0) -> Any:
        """List all pairs of rows whose value reaches the threshold, by :func:`fastbox.pairs`.

        Without another frame: the pairs of two rows of the frame, the lower row first.

        Returns
        -------
        frame
            The columns ``row``, ``other_row`` (int64) and the metric's name, by row, then by other row.

        Raises
        ------
        ValueError, TypeError
            As :func:`fastbox.pairs` and :meth:`best`.

        Examples
        --------
        >>> import polars, fastbox.polars
        >>> frame = polars.DataFrame({"bbox": [[0, 0, 2, 2], [5, 5, 6, 6], [0, 0, 2, 1]]})
        >>> frame.fastbox.pairs(threshold=0.5).rows()
        [(0, 2, 0.5)]
        """
        mine, its = self._sides(other) if other is not None else (self._side(self._frame), None)
        boxes = None if its is None else its.boxes
        found = search.pairs(mine.boxes, boxes, threshold=threshold, metric=metric, beta=beta)
        rows, others = mine.rows_of(found.rows), (its or mine).rows_of(found.cols)
        order = np.lexsort((others, rows))
        return self._made({"row": rows[order], OTHER: others[order], metric: found.values[order]})

    @named
    def aligned(self, other: Any, *, metric: str = "iou", beta: float = 1.0) -> Any:
        """Add the value of each row with the same row of the other frame, by :func:`fastbox.aligned`.

        Returns
        -------
        frame
            The frame with a column of the metric's name, nan for invalid boxes. Image ids make no difference.

        Raises
        ------
        ValueError, TypeError
            As :func:`fastbox.aligned`; no columns of boxes, or null coordinates.

        Examples
        --------
        >>> import polars, fastbox.polars
        >>> frame = polars.DataFrame({"bbox": [[0, 0, 2, 2]]})
        >>> frame.fastbox.aligned(polars.DataFrame({"bbox": [[1, 0, 3, 2]]}), metric="giou").rows()
        [([0, 0, 2, 2], 0.3333333333333333)]
        """
        mine, its = self._side(self._frame, image=False), self._side(other, "other", image=False)
        return self._with({metric: aligned(mine.boxes, its.boxes, metric=metric, beta=beta)})

    @named
    def nms(
        self,
        *,
        iou_threshold: float,
        score_column: str = SCORE,
        class_column: str = CLASS,
        class_agnostic: bool = False,
    ) -> Any:
        """Drop duplicate boxes, by :func:`fastbox.nms`.

        Parameters
        ----------
        iou_threshold : float
            The IoU, from 0 to 1, above which a box is suppressed.
        score_column, class_column : str
            The columns of scores and of classes; the default of the latter is used if the frame has it.
        class_agnostic : bool
            Compare boxes of all classes.

        Returns
        -------
        frame
            The rows that are kept, in their order, with all columns.

        Raises
        ------
        ValueError, TypeError
            As :func:`fastbox.nms`; no such columns, or null coordinates, ids or classes.

        Examples
        --------
        >>> import polars, fastbox.polars
        >>> frame = polars.DataFrame({"bbox": [[0, 0, 4, 4], [0, 0, 4, 3], [8, 8, 9, 9]], "score": [0.5, 0.9, 0.7]})
        >>> frame.fastbox.nms(iou_threshold=0.5)["score"].to_list()
        [0.9, 0.7]
        """
        side = self._side(self._frame)
        classes = None if class_agnostic else side.optional(class_column)
        kept = nms(side.boxes, side.column(score_column), iou_threshold=iou_threshold, classes=classes)
        return self._rows(np.sort(side.rows_of(kept)))

    @named
    def match_greedy(
        self,
        truths: Any,
        *,
        threshold: float = 0.5,
        metric: str = "iou",
        score_column: str = SCORE,
        class_column: str = CLASS,
        class_agnostic: bool = False,
        crowd_column: str | None = COCO.crowd,
    ) -> Any:
        """Add the row of the truth that each detection matches in COCO's way, by :func:`fastbox.match_greedy`.

        Parameters
        ----------
        truths : frame
        threshold : float
            The value that a match must reach.
        metric : str
            A similarity of ``fastbox.METRICS``.
        score_column, class_column : str
            The columns of scores and of classes; the default of the latter is used if a frame has it.
        class_agnostic : bool
            Match boxes of all classes.
        crowd_column : str
            The column of truths that are crowds; the default is used if the truths have it.

        Returns
        -------
        frame
            The frame with the columns ``other_row`` (int64, -1 for no match) and the metric's name (nan for no match).

        Raises
        ------
        ValueError, TypeError
            As :func:`fastbox.match_greedy` and :meth:`best`; no such columns, or classes in one frame only.

        Examples
        --------
        >>> import polars, fastbox.polars
        >>> frame = polars.DataFrame({"bbox": [[0, 0, 4, 4], [0, 0, 4, 3]], "score": [0.5, 0.9]})
        >>> frame.fastbox.match_greedy(polars.DataFrame({"bbox": [[0, 0, 4, 4]]}))["other_row"].to_list()
        [-1, 0]
        """
        mine, its = self._sides(truths, "truths")
        classes = truth_classes = None
        if not class_agnostic:
            classes, truth_classes = mine.optional(class_column), its.optional(class_column)
            how = "give class_agnostic=True"
            check_both("classes", (mine, its), (classes is not None, truth_classes is not None), how)
        found = match_greedy(
            mine.boxes,
            mine.column(score_column),
            its.boxes,
            threshold=threshold,
            classes=classes,
            truth_classes=truth_classes,
            crowd=its.optional(crowd_column),
            metric=metric,
        )
        rows = its.rows_of(found.truths)
        return self._with({OTHER: mine.by_row(rows), metric: mine.by_row(found.values)})

    @named
    def evaluate(self, truths: Any, *, table: str | None = None, **options: Any) -> Any:
        """Evaluate detections, and return one table of the result of :func:`fastbox.jobs.evaluate`.

        Parameters
        ----------
        truths : frame, or another table that the job reads
        table : str, optional
            The name of a table of the result: ``"by_class"``, the default, ``"summary"``, …
        options
            Options of the job, such as ``rule="voc12"``.

        Raises
        ------
        ValueError, TypeError
            As :func:`fastbox.jobs.evaluate`; no such table.

        Examples
        --------
        >>> import polars, fastbox.polars
        >>> truths = polars.DataFrame({"image_id": [1], "category_id": [3], "bbox": [[0, 0, 4, 4]]})
        >>> found = truths.with_columns(score=0.9).fastbox.evaluate(truths)
        >>> found.select("class", "truths", "errors_missed").rows()
        [(3, 1, 0)]
        """
        return self._table(jobs.evaluate(self._source(self._frame), self._source(truths), **options), table)

    @abstractmethod
    def _made(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        """Return a new frame of columns."""

    @abstractmethod
    def _with(self, columns: Mapping[str, NDArray[Any]]) -> Any:
        """Return the frame with further columns."""

    @abstractmethod
    def _rows(self, rows: NDArray[np.int64]) -> Any:
        """Return some rows of the frame."""

    @abstractmethod
    def _table(self, result: Result, table: str | None) -> Any:
        """Return a table of a result as a frame."""

    def _source(self, table: Any) -> Any:
        """Return a table for a job, with the columns that the call of the accessor named."""
        image = self._reading.get("image", True)
        columns = {"image": IMAGE if image is True else image or None}
        return Source(table, **self._reading | columns) if self._reading else table

    def _side(self, frame: Any, where: str = "frame", **reading: Any) -> Side:
        return side_of(frame, where, **{**self._reading, **reading})

    def _sides(self, other: Any, where: str = "other") -> tuple[Side, Side]:
        """Read both frames, which have image ids both or neither."""
        mine, its = self._side(self._frame), self._side(other, where)
        check_images(mine, its)
        return mine, its
