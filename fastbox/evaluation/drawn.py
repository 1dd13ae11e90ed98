"""Figures of an evaluation that samples of its images give intervals to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastbox._lazy import deferred
from fastbox.evaluation.added import Added
from fastbox.evaluation.summary import BETAS, LEVEL
from fastbox.values.numbers import as_number, as_number_from, as_whole

if TYPE_CHECKING:
    from fastbox.evaluation import bootstrap, operating, operating_intervals
    from fastbox.evaluation.bootstrap import Draws, Weights
    from fastbox.evaluation.operating import Operating
else:  # each of these is read by some of the figures only
    bootstrap = deferred("fastbox.evaluation.bootstrap")
    operating = deferred("fastbox.evaluation.operating")
    operating_intervals = deferred("fastbox.evaluation.operating_intervals")

__all__ = ["Drawn"]


class Drawn(Added):
    """Statistics and best scores of samples of the images, as :class:`fastbox.Evaluation` documents them."""

    _draws: Draws | None

    def operating_points(
        self,
        model: Any = None,
        *,
        threshold: float | None = None,
        beta: float = 1.0,
        samples: int = 0,
        seed: int = 0,
    ) -> Operating:
        """Return precision, recall and F by score at a threshold of IoU, by default the lowest, and the best scores.

        With samples, the best scores have intervals over images that are drawn as by :meth:`bootstrap`.

        Raises
        ------
        ValueError
            A threshold that the rules lack, or a beta beyond 0.01 to 1000.

        Examples
        --------
        >>> import fastbox
        >>> found = fastbox.Evaluation()
        >>> for score in (0.9, 0.5, 0.7):
        ...     _ = found.add([[0, 0, 4, 4], [9, 9, 12, 12]], [score, 0.3], [[0, 0, 4, 4]])
        >>> chosen = found.operating_points(samples=100)
        >>> chosen.best.score, chosen.intervals.best["score"]
        (0.5, (0.5, 0.9))
        """
        samples, seed = as_whole(samples, "samples"), as_whole(seed, "seed")
        lowest = min(self.params.iou_thresholds)
        place = self._threshold(lowest if threshold is None else threshold)
        ranked, truths = self.collected.ranked(model).of_threshold(0, place), self.collected.regular()[:, 0]
        found = operating.operating(ranked, truths, beta := as_number_from(beta, "beta", *BETAS))
        if not samples:
            return found
        image, wanted, drawn = self.collected.column("image", model), self._wanted(), (samples, seed, LEVEL)
        intervals = operating_intervals.operating_intervals(
            ranked, image, wanted, lambda: self._weights(samples, seed), drawn, beta
        )
        return replace(found, intervals=intervals)

    def bootstrap(self, model: Any = None, *, samples: int = 1000, seed: int = 0) -> dict[str, NDArray[np.float64]]:
        """Return statistics of a model on images drawn with replacement, one value for each sample.

        These are the statistics of precision in the first range of areas: COCO's AP, AP50 and AP75.

        The same seed draws the same images for every model, so models can be subtracted sample by sample.
        """
        samples, seed = as_whole(samples, "samples", 1), as_whole(seed, "seed")
        self.params.check_sampled()
        ranked = self.collected.ranked(model)
        return bootstrap.resample(
            ranked.words,
            ranked.bounds,
            self.collected.column("image", model),
            *self._wanted(),
            self._weights(samples, seed),
            self.params,
        )

    def _wanted(self) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
        """Return the place of the class and the image of each truth that counts in the first range of areas."""
        wanted = self.collected.wanted
        regular = np.flatnonzero(wanted["hidden"] & np.uint32(1) == 0)
        return self.collected.places(wanted["kind"][regular]), wanted["image"][regular]

    def _weights(self, samples: int, seed: int) -> Iterable[Weights]:
        """Return how many times each image is drawn in each sample."""
        if self._draws is None:
            self._draws = bootstrap.Draws()
        return self._draws.of(self.images, samples, seed, len(self.classes) * len(self.params.iou_thresholds))

    def _threshold(self, threshold: float) -> int:
        """Return the place of a threshold among those of the rules, of which some lost their last bits, such as 0.9."""
        own, asked = np.array(self.params.iou_thresholds), as_number(threshold, "threshold")
        place = int(np.argmin(np.abs(own - asked)))
        if not np.isclose(own[place], asked, rtol=0, atol=1e-9):
            known = ", ".join(f"{one:g}" for one in own.tolist())
            raise ValueError(f"expected a threshold of {known}, got {threshold:g}")
        return place

    def _forget(self) -> None:
        """Forget the samples, which are of the images that were added before."""
        self._draws = None
