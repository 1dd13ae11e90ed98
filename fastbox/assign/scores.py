"""Raw predictions of a detector, as rules for points take them: a box and the scores of all classes for each point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import NamedTuple
from fastbox.assign.point_rule import PointRule
from fastbox.boxes.container import Boxes, as_boxes
from fastbox.kernels.assign import point_codes as codes
from fastbox.values.numbers import as_array, as_column, as_floats, in_dtype

__all__ = ["Predicted", "predicted"]


class Predicted(NamedTuple):
    """A box and scores for each point, and the class of each truth."""

    boxes: Boxes
    scores: NDArray[Any]
    classes: NDArray[np.int64]
    objectness: NDArray[Any]
    activation: int

    def kernel_args(self, dtype: np.dtype[Any], firsts: NDArray[np.int64]) -> tuple[Any, ...]:
        """Return boxes, the first of each image, and scores."""
        return self.boxes.astype(dtype).kernel_args(), firsts, in_dtype(self.scores, dtype)

    def scored_args(self, dtype: np.dtype[Any], firsts: NDArray[np.int64]) -> tuple[Any, ...]:
        """Return what :meth:`kernel_args` returns, objectness, and what the scores are."""
        return *self.kernel_args(dtype, firsts), in_dtype(self.objectness, dtype), self.activation

    def check(self, counts: NDArray[np.int64], firsts: NDArray[np.int64], images: NDArray[Any] | None) -> None:
        """Refuse predictions that are not one for each point of each image."""
        given = firsts[1:] - firsts[:-1]
        wrong = given != counts
        if wrong.any():
            g = int(wrong.argmax())
            image = f" of image {images[g].item()!r}" if images is not None else f" of image {g}" * (len(counts) > 1)
            raise ValueError(
                f"expected {counts[g]} boxes{image}, one for each point of the grid at its size, got {given[g]}: give "
                f"all raw predictions, and the size and the strides that they were made with"
            )


def predicted(
    rule: PointRule, truths: Boxes, *, boxes: Any, scores: Any, classes: Any, objectness: Any, logits: bool | None
) -> Predicted | None:
    """Read predictions; None for a rule that needs none.

    Raises
    ------
    ValueError, TypeError
        Predictions that the rule has no use for, or that are missing; wrong shapes; classes out of range.
    """
    given = {"boxes": boxes, "scores": scores, "classes": classes}
    if not rule.predicts:
        extra = [
            name for name, one in (given | {"objectness": objectness, "logits": logits}).items() if one is not None
        ]
        if extra:
            raise ValueError(f"expected truths alone with rule {rule.name!r}, got {extra[0]}=: leave it out")
        return None
    missing = [f"{name}=" for name, one in given.items() if one is None]
    if missing:
        raise ValueError(
            f"expected boxes=, scores= and classes= with rule {rule.name!r}, got no {', '.join(missing)}: give raw "
            f"predictions, or count candidates with fastbox.candidates"
        )
    found = as_boxes(boxes, "boxes")
    rated = as_floats(scores, "scores")
    if rated.ndim != 2 or len(rated) != len(found):
        raise ValueError(f"expected scores of shape ({len(found)}, classes), got {rated.shape}")
    wanted = _classes(classes, len(truths), rated.shape[1])
    there = _objectness(objectness, rule, len(found))
    if rule.family == "rtmdet":
        if logits is False:
            raise ValueError(
                f"expected logits with rule {rule.name!r}, got logits=False: give scores before the sigmoid"
            )
        return Predicted(found, rated, wanted, there, codes.LOGITS)
    if rule.family != "simota":
        return Predicted(found, _sigmoid(rated) if logits else rated, wanted, there, codes.PROBABILITIES)
    product = objectness is not None
    if product and not logits and not ((there >= 0) & (there <= 1)).all():
        raise ValueError(
            "expected objectness from 0 to 1, got other numbers: give logits=True with scores that are logits"
        )
    raw = codes.LOGIT_PRODUCTS if product else codes.LOGITS
    return Predicted(found, rated, wanted, there, raw if logits else codes.PRODUCTS if product else codes.PROBABILITIES)


def _classes(classes: Any, n: int, columns: int) -> NDArray[np.int64]:
    wanted = as_column(as_array(classes, "classes"), "classes", n)
    if not n:
        return np.zeros(0, np.int64)
    if wanted.dtype.kind not in "iu":
        raise TypeError(f"expected classes of integers, got dtype {wanted.dtype}: cast them")
    if (wanted.dtype.kind == "i" and wanted.min() < 0) or wanted.max() >= columns:
        row = int(np.flatnonzero((wanted < 0) | (wanted >= columns))[0])
        raise ValueError(
            f"expected classes from 0 to {columns - 1}, the columns of scores, got {wanted[row]} at row {row}"
        )
    return wanted.astype(np.int64, copy=False)


def _objectness(objectness: Any, rule: PointRule, n: int) -> NDArray[Any]:
    if objectness is None:
        return np.zeros(0, np.float32)
    if rule.family != "simota":
        raise ValueError(f"expected objectness= with a rule of YOLOX alone, got it with {rule.name!r}: leave it out")
    found = as_floats(objectness, "objectness")
    return as_column(found.reshape(-1) if found.shape == (n, 1) else found, "objectness", n)


def _sigmoid(logits: NDArray[Any]) -> NDArray[Any]:
    with np.errstate(over="ignore"):
        found: NDArray[Any] = (1 / (1 + np.exp(-logits.astype(np.float64)))).astype(logits.dtype)
    return found
