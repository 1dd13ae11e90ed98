"""Signs that detections and truths write their ids, classes or boxes differently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastbox.errors import advice
from fastbox.evaluation.common_images import SHOWN, CommonImages
from fastbox.evaluation.readings import FITS, FORMATS, GIVEN, read_otherwise
from fastbox.evaluation.sides import Detections, GroundTruths, Images
from fastbox.kernels.codes import CLASSIFICATION, MATCHED, PLAIN
from fastbox.ops.geometry import geometry_of

__all__ = ["Mismatch"]

WELL = 0.3  # share of detections that match from which on no other format is tried
TIMES = 2  # the factor by which another reading must fit better than the given one
FEW = 4  # detections of a class that are evidence
SURE = 0.9  # mean best IoU of fewer that do
SOME = 20  # detections on truths of another class that do, where others are on those of their own
MOSTLY, OFTEN = 0.6, 3  # share of detections of a class on truths of one other, and how many times those on its own
MANY = 1 / 3  # share of classes with such detections
PLAUSIBLE = 0.98  # share of boxes that must look like boxes in a format


class Mismatch:
    """Evidence of a mismatch, added by sets of images.

    Attributes
    ----------
    images : CommonImages
    """

    def __init__(self) -> None:
        self.images = CommonImages()
        self._fits: dict[tuple[str, Any], tuple[float, int]] = {}  # by side and reading: best IoUs, and how many
        self._formats = {"detections": "xyxy", "truths": "xyxy"}
        self._reach = {"detections": 0.0, "truths": 0.0}  # the greatest coordinate of a sample
        self._own: Counter[int] = Counter()  # classes of detections that lie on truths of their own
        self._crossed: Counter[tuple[int, int]] = Counter()  # of those that don't, and of the truths that they lie on

    def add(
        self,
        images: Images,
        detections: Detections,
        truths: GroundTruths,
        match_types: NDArray[np.int8],
        taken: NDArray[np.int64],
    ) -> None:
        """Add the evidence of whole images, given the match types of their detections and the truths concerned."""
        self.images.add(images.ids, images.bounds, images.truth_bounds)
        self._formats = {"detections": detections.boxes.format, "truths": truths.boxes.format}
        right = np.bincount(detections.classes[match_types == MATCHED])
        self._own.update({int(kind): int(right[kind]) for kind in np.flatnonzero(right)})
        wrong = np.flatnonzero(match_types == CLASSIFICATION)
        if len(wrong):
            crossed = detections.classes[wrong] << 32 | truths.classes[taken[wrong]]
            distinct, counts = np.unique(crossed, return_counts=True)
            pairs = zip((distinct >> 32).tolist(), (distinct & 0xFFFFFFFF).tolist(), strict=True)
            self._crossed.update(dict(zip(pairs, counts.tolist(), strict=True)))
        many = len(detections.scores)
        plain = geometry_of(detections.boxes, truths.boxes) == PLAIN
        if plain and many and len(truths.classes) and right.sum() < WELL * many:
            self._read_otherwise(images, detections, truths)

    def __add__(self, other: Mismatch) -> Mismatch:
        both = Mismatch()
        both.images = self.images + other.images
        both._reach = {name: max(reach, other._reach[name]) for name, reach in self._reach.items()}
        both._formats = dict(self._formats)
        for part in (self, other):
            both._own.update(part._own)
            both._crossed.update(part._crossed)
            for key, (total, count) in part._fits.items():
                before = both._fits.get(key, (0.0, 0))
                both._fits[key] = before[0] + total, before[1] + count
        return both

    def recoded(self, kinds: NDArray[np.int64]) -> Mismatch:
        """Return this evidence with other codes of classes."""
        found = self + Mismatch()
        found._own = Counter({int(kinds[a]): n for a, n in self._own.items()})
        found._crossed = Counter({(int(kinds[a]), int(kinds[b])): n for (a, b), n in self._crossed.items()})
        return found

    def sentences(self, labels: Sequence[Any], *, listed: bool = False) -> list[str]:
        """Return likely mistakes and the way to fix each; `listed` if a list of images names those without truths."""
        found = [*self._of_images(listed), *self._of_boxes()]
        return found if found else self._of_classes(labels)

    def _read_otherwise(self, images: Images, detections: Detections, truths: GroundTruths) -> None:
        """Compare some detections with truths as given, in other formats, and in the images before and after."""
        found = read_otherwise(images, detections, truths)
        if found is None:
            return
        for name, reach in found.reach.items():
            self._reach[name] = max(self._reach[name], reach)
        for key, (total, count) in found.fits.items():
            before = self._fits.get(key, (0.0, 0))
            self._fits[key] = before[0] + total, before[1] + count

    def _mean(self, side: str, reading: Any) -> float:
        total, count = self._fits.get((side, reading), (0.0, 0))
        mean = total / max(count, 1)
        return mean if count >= FEW or mean >= SURE else 0.0

    def _better(self) -> tuple[str, Any] | None:
        """Return the side and the reading that fit far better than the given formats; None if no reading does."""
        least = max(FITS, TIMES * self._mean("detections", GIVEN))
        fits = {key: self._mean(*key) for key in self._fits if key[0] != "either" and key[1] != GIVEN}
        fits = {key: mean for key, mean in fits.items() if mean >= least}
        own, its = self._formats.values()
        # If either side may have the wrong format, the coordinates of both sides decide.
        both = {its: ("detections", its), own: ("truths", own)}
        for reading in FORMATS if set(both.values()) <= fits.keys() else ():
            if reading in both and self._mean("either", reading) >= PLAUSIBLE:
                return both[reading]
        return max(fits, key=lambda key: fits[key], default=None)

    def _of_boxes(self) -> list[str]:
        low, high = sorted(self._reach, key=lambda name: self._reach[name])
        if 0 < self._reach[low] <= 1.5 and self._reach[high] >= 10 * self._reach[low]:
            return [
                f"boxes of the {low} reach {self._reach[low]:.3g} and those of the {high} {self._reach[high]:.3g}: "
                "scale fractions of the image to pixels"
            ]
        found = self._better()
        if found is None or found[0] == "images":
            return []
        (side, reading), given = found, self._mean("detections", GIVEN)
        formats = {**self._formats, side: reading}
        own, its = formats["detections"], formats["truths"]
        how = advice(f"--format {own} --truth-format {its}", f"{own!r} of the detections, {its!r} of the truths")
        return [
            f"boxes of the {side} fit if they are read as {reading} (mean best IoU {self._mean(*found):.2f}, as given "
            f"{given:.2f}): give the formats, {how}"
        ]

    def _of_images(self, listed: bool) -> list[str]:
        found = self._better()
        if found is not None and found[0] == "images":
            said = f"image {found[1]:+d}"
            return [
                f"detections fit the truths of {said} (mean best IoU {self._mean(*found):.2f}, with their own image "
                f"{self._mean('detections', GIVEN):.2f}): count the image ids of both from the same number"
            ]
        both, own, its = self.images.counts.values()
        examples = " and ".join(
            f"{', '.join(map(repr, ids))} in the {name} only" for name, ids in self.images.examples.items() if ids
        )
        if both and own > both and not listed:
            return [
                f"only {both:,} of {both + own:,} images with detections have truths ({examples}): write the image ids "
                "of both alike"
            ]
        if both and its > both:
            return [
                f"only {both:,} of {both + its:,} images with truths have detections ({examples}): truths of the "
                "others count as missed"
            ]
        return []

    def _of_classes(self, labels: Sequence[Any]) -> list[str]:
        elsewhere: Counter[int] = Counter()
        matches: dict[int, tuple[int, int]] = {}  # by class, the class of most truths under it, and their number
        for (own, its), count in self._crossed.items():
            elsewhere[own] += count
            if count > matches.get(own, (0, 0))[1]:
                matches[own] = its, count
        moved = self._moved(elsewhere, matches)
        if self._all_moved(elsewhere, matches, labels):
            moved = list(matches)
        if not moved:
            return []
        most = sorted(moved, key=lambda own: (-matches[own][1], labels[own]))[:SHOWN]
        shown = ", ".join(f"{labels[own]!r} on {labels[matches[own][0]]!r}" for own in most)
        crossed, right = (sum(counts[own] for own in moved) for counts in (elsewhere, self._own))
        if right and crossed < SOME:
            return []
        return [
            f"{crossed:,} detections lie on truths of another class and {right:,} on truths of their own class (class "
            f"{shown}): number or name the classes of both alike"
        ]

    def _moved(self, elsewhere: Mapping[int, int], matches: Mapping[int, tuple[int, int]]) -> list[int]:
        """Return the classes whose detections lie on truths of one other class, if many classes do."""
        known = [own for own in elsewhere.keys() | self._own.keys() if elsewhere[own] + self._own[own] >= FEW]
        moved = [
            own
            for own in known
            if elsewhere[own] > OFTEN * self._own[own] and matches[own][1] >= MOSTLY * elsewhere[own]
        ]
        return moved if len(moved) >= max(2, MANY * len(known)) else []

    def _all_moved(
        self, elsewhere: Mapping[int, int], matches: Mapping[int, tuple[int, int]], labels: Sequence[Any]
    ) -> bool:
        """Tell whether detections lie only on truths of other classes, or on the class at one distance in numbers."""
        crossed, right = sum(elsewhere.values()), sum(self._own.values())
        if crossed < (SOME if right else FEW) or crossed <= OFTEN * right:
            return False
        if not right and crossed >= SOME:
            return True
        # The first detections of a class may lie on truths of any class; the others are the evidence.
        others, same = crossed - len(elsewhere), sum(count - 1 for _, count in matches.values())
        if others >= FEW and same >= MOSTLY * others:
            return True
        away: Counter[int] = Counter()
        for (own, its), count in self._crossed.items() if isinstance(labels[0], int) else ():
            away[labels[its] - labels[own]] += count
        return max(away.values(), default=0) >= MOSTLY * crossed
