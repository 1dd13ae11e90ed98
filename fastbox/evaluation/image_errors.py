"""Images ranked by the AP that their errors cost."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox._record import dataclass
from fastbox.evaluation.curves import Floats
from fastbox.evaluation.matching import MATCH_TYPES
from fastbox.evaluation.tide import ERRORS, Errors

__all__ = ["ImageErrors", "image_errors"]

WORST = 20  # images that JSON holds


@dataclass(frozen=True)
class ImageErrors:
    """The errors of one model by image, the costliest image first; images without errors come last.

    Attributes
    ----------
    images : list
        The ids of the images; their numbers from 0 where they have no ids.
    counts : dict of str to array of shape (images,)
        Errors of each kind at IoU ≥ 0.50, as in :class:`fastbox.evaluation.tide.Errors`: detections of any score, and
        truths missed.
    cost : array of shape (images,)
        The share of the image in the loss of AP50: of each kind of error, ΔAP50 in equal parts to all errors of
        the kind. Kinds whose ΔAP50 is not above 0 cost nothing.

    Examples
    --------
    >>> import fastbox
    >>> boxes = fastbox.Boxes([[0, 0, 4, 4], [9, 9, 12, 12]], images=[7, 8])
    >>> truths = fastbox.Boxes([[0, 0, 4, 4], [20, 9, 23, 12]], images=[7, 8])
    >>> found = fastbox.evaluate(boxes, [0.9, 0.8], truths).image_errors()
    >>> found.images, found.counts["missed"].tolist()
    ([8, 7], [1, 0])
    """

    images: list[Any]
    counts: dict[str, NDArray[np.int64]]
    cost: Floats

    def __repr__(self) -> str:
        return f"ImageErrors({len(self.images)} images)"

    def to_dict(self, most: int = WORST) -> list[dict[str, Any]]:
        """Return the costliest images as JSON holds them."""
        worst = int(np.count_nonzero(self.cost[:most] > 0))
        return [
            {
                "image": image,
                "cost": float(self.cost[row]),
                **{name: int(counts[row]) for name, counts in self.counts.items()},
            }
            for row, image in enumerate(self.images[:worst])
        ]


def image_errors(
    ids: list[Any], image: NDArray[Any], match_type: NDArray[np.int8], missed: NDArray[Any], errors: Errors
) -> ImageErrors:
    """Rank images, given image and match type of each detection, the image of each missed truth, and all errors."""
    kinds = {name: image[match_type == kind] for kind, name in enumerate(MATCH_TYPES) if name in ERRORS}
    counts = {name: np.bincount(rows, minlength=len(ids)) for name, rows in {**kinds, "missed": missed}.items()}
    cost = np.zeros(len(ids))
    for name, own in counts.items():
        cost += own * (max(errors.delta_ap[name], 0.0) / max(int(own.sum()), 1))
    order = np.lexsort((np.arange(len(ids)), -sum(counts.values(), np.zeros(len(ids), np.int64)), -cost))
    return ImageErrors([ids[row] for row in order], {name: own[order] for name, own in counts.items()}, cost[order])
