"""The writer of raw predictions: the boxes and scores of all points, before suppression, as a framework has them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.anchors.cell_shapes import as_size
from fastbox.anchors.points import PointGrid
from fastbox.tables.raw import ACTIVATIONS, RawFacts, RawRow, raw_batch, raw_encodings, raw_schema
from fastbox.tables.sink import Sink
from fastbox.values.numbers import as_choice

__all__ = ["RawPredictions"]

PENDING = 32 << 20  # bytes that are written together

Size = int | tuple[int, int]


class RawPredictions:
    """A Parquet file of raw predictions, written image by image; a context manager.

    The file appears complete at the end of the ``with`` block, or not at all after an exception. Images may come in any
    order: ``fastbox assign --predictions`` sorts them.

    Parameters
    ----------
    path : path
        The file to write.
    grid : PointGrid or str
        The points of the detector, or a preset, such as ``"yolov8"``.
    size : int or (width, height), optional
        The network's input in pixels; where inputs differ, each is given with its image.
    labels : sequence of int or str, optional
        The class of each column of scores, as the ground truth names it: for COCO the 80 ids from 1 to 90. By default
        the number of the column.
    activation : str
        ``"sigmoid"``: scores are probabilities; ``"logits"``: before the sigmoid, as RTMDet's rule takes them.
    dtype : str
        ``"float32"`` or ``"float16"``, in which scores are kept.

    Raises
    ------
    ValueError
        An unknown preset, activation or dtype.

    Examples
    --------
    >>> import fastbox, numpy as np, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "raw.parquet")
    >>> grid = fastbox.PointGrid([8])
    >>> with fastbox.RawPredictions(path, grid, size=16) as raw:
    ...     raw.add(7, np.zeros((4, 4)), np.full((4, 3), 0.5), classes=[2])
    >>> import pyarrow.parquet as pq
    >>> pq.read_table(path).select(["image_id", "classes", "scores"]).to_pylist()
    [{'image_id': 7, 'classes': [2], 'scores': [0.5, 0.5, 0.5, 0.5]}]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        grid: PointGrid | str,
        size: Size | None = None,
        *,
        labels: Sequence[Any] | None = None,
        activation: str = "sigmoid",
        dtype: str = "float32",
    ) -> None:
        self._grid = grid if isinstance(grid, PointGrid) else PointGrid.preset(grid)
        self._size = None if size is None else _as_size(size)
        self._labels = None if labels is None else tuple(_plain(label) for label in labels)
        self._activation = as_choice(activation, ACTIVATIONS, "an activation")
        self._dtype = as_choice(dtype, ("float32", "float16"), "a dtype")
        self._path = path
        self._sink: Sink | None = None
        self._seen: set[Any] = set()
        self._rows: list[RawRow] = []
        self._bytes = self._classes = 0

    def __enter__(self) -> RawPredictions:
        return self

    def add(self, image: int | str, boxes: Any, scores: Any, classes: Any = None, *, size: Size | None = None) -> None:
        """Add the predictions of an image.

        Parameters
        ----------
        image : int or str
            The id of the image, as in the ground truth.
        boxes : array or tensor of shape (P, 4)
            The corners of each point's box, in pixels of the network's input, in the order of the grid's points.
        scores : array or tensor of shape (P, C)
        classes : sequence, optional
            The classes of the image's truths: only their scores are kept, which TAL and FCOS need and no others. SimOTA
            and RTMDet need all scores, which are kept by default.
        size : int or (width, height), optional
            The network's input, where it is not that of all images.

        Raises
        ------
        ValueError
            Shapes that do not fit the grid at the size, an image for the second time, an unknown class, or no size.
        TypeError
            An image id that is neither an integer nor a string, or ids of both kinds.
        """
        image = self._checked(image)
        own = self._size if size is None else _as_size(size)
        if own is None:
            raise ValueError("expected the size of the network's input, got none: give size= here or for all images")
        corners, rated = _array(boxes, "boxes"), _array(scores, "scores")
        points = self._grid.count(own)
        if corners.shape != (points, 4):
            raise ValueError(
                f"expected boxes of shape ({points}, 4) of image {image!r}, one for each point of {self._grid} at "
                f"{own[0]} x {own[1]} pixels, got {corners.shape}: give all raw predictions, and the right size"
            )
        if rated.ndim != 2 or len(rated) != points or self._classes not in (0, rated.shape[1]):
            columns = self._classes or "classes"
            raise ValueError(f"expected scores of shape ({points}, {columns}) of image {image!r}, got {rated.shape}")
        kept = self._columns(classes, rated.shape[1])
        self._seen.add(image)
        self._classes = rated.shape[1]
        planes = np.ascontiguousarray(corners.T, np.float32)
        row = RawRow(image, own, planes, kept.astype(np.int32), np.ascontiguousarray(rated[:, kept].T, self._dtype))
        self._rows.append(row)
        self._bytes += row.boxes.nbytes + row.scores.nbytes
        if self._bytes >= PENDING:
            self._flush()

    def _checked(self, image: Any) -> Any:
        image = _plain(image)
        if isinstance(image, bool) or not isinstance(image, int | str):
            raise TypeError(f"expected an image id that is an integer or a string, got {type(image).__name__}: cast it")
        if image in self._seen:
            raise ValueError(f"expected each image once, got {image!r} twice")
        if self._seen and type(image) is not type(next(iter(self._seen))):
            raise TypeError(f"expected image ids of one kind, got {image!r} beside others: cast them alike")
        return image

    def _columns(self, classes: Any, count: int) -> NDArray[np.int64]:
        """Return the numbers of the columns to keep, ascending."""
        if self._labels is not None and len(self._labels) != count:
            raise ValueError(f"expected {count} labels, one for each column of scores, got {len(self._labels)}")
        if classes is None:
            return np.arange(count)
        places = {label: place for place, label in enumerate(self._labels or range(count))}
        given = {_plain(label) for label in np.asarray(_host(classes)).reshape(-1).tolist()}
        unknown = sorted(map(str, given - places.keys()))
        if unknown:
            raise ValueError(
                f"expected classes among the labels of the columns of scores, got {unknown[0]}: give labels="
            )
        return np.array(sorted(places[label] for label in given), np.int64)

    def _flush(self) -> None:
        if self._sink is None:
            ids = "string" if isinstance(next(iter(self._seen), 0), str) else "integer"
            grid = self._grid
            facts = RawFacts(grid.strides, grid.offset, grid.fitted, self._classes, self._labels, self._activation)
            schema, encodings = raw_schema(ids, self._dtype, facts), raw_encodings(self._dtype)
            parameters = {"grid": repr(grid), "activation": self._activation}
            self._sink = Sink(self._path, schema, command="predictions", parameters=parameters, encodings=encodings)
            self._sink.__enter__()
        if self._rows:
            self._sink.write(raw_batch(self._rows, self._sink.schema))
        self._rows, self._bytes = [], 0

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        except BaseException as failure:
            kind, error, trace = type(failure), failure, failure.__traceback__
            raise
        finally:
            if self._sink is not None:
                self._sink.__exit__(kind, error, trace)


def _as_size(size: Any) -> tuple[int, int]:
    return as_size((size, size) if isinstance(size, int) else size)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value


def _host(values: Any) -> Any:
    """Return a tensor of any device as an array, and any other value as it is."""
    if not hasattr(values, "detach"):
        return values
    found = values.detach().cpu()
    return found.float().numpy() if str(found.dtype) == "torch.bfloat16" else found.numpy()


def _array(values: Any, name: str) -> NDArray[Any]:
    found = np.asarray(_host(values))
    if found.dtype.kind not in "fiu":
        raise TypeError(f"expected {name} as an array or tensor of numbers, got {type(values).__name__}: cast it")
    return found
