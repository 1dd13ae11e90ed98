"""Figures of rotated boxes equal a naive evaluation in plain Python, whose IoUs are shapely's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

import fastbox
from fastbox import Boxes, Evaluation, Params, RotatedBoxes
from fastbox.evaluation.protocols.coco import AREA_RANGES

pytestmark = pytest.mark.compiler  # kernels of rotated boxes are in no library
shapely = pytest.importorskip("shapely", reason="needs shapely")

Floats = NDArray[np.float64]
Overlap = Callable[[int, int, bool], float]
EPS = float(np.finfo(np.float64).eps)
CLASSES, IMAGES = 3, 12
POINTS = np.linspace(0, 1, 101)


class Scene(NamedTuple):
    """Boxes by image; scores with ties; flags of truths."""

    boxes: RotatedBoxes
    scores: Floats
    classes: NDArray[np.int64]
    images: NDArray[np.int64]
    truths: RotatedBoxes
    truth_classes: NDArray[np.int64]
    truth_images: NDArray[np.int64]
    flags: NDArray[np.bool_]

    def evaluate(self, flag: str, **rules: Any) -> Evaluation:
        """Evaluate by the rules, with truths that are crowds or ignored."""
        return fastbox.evaluate(
            RotatedBoxes.from_columns(*self.boxes.columns, format=self.boxes.format, images=self.images),
            self.scores,
            RotatedBoxes.from_columns(*self.truths.columns, format=self.truths.format, images=self.truth_images),
            classes=self.classes,
            truth_classes=self.truth_classes,
            **{flag: self.flags},
            **rules,
        )

    def overlaps(self) -> Overlap:
        """Return the IoU of a detection and a truth, or the share of the detection inside the truth, by shapely."""
        ours, theirs = shapely.polygons(self.boxes.corners()), shapely.polygons(self.truths.corners())

        def overlap(row: int, truth: int, share: bool) -> float:
            inter = shapely.area(shapely.intersection(ours[row], theirs[truth]))
            return float(inter / (ours[row].area if share else ours[row].area + theirs[truth].area - inter))

        return overlap

    def truths_of(self, kind: int, image: int) -> list[int]:
        """Return the truths of a class in an image."""
        return np.flatnonzero((self.truth_classes == kind) & (self.truth_images == image)).tolist()


def scene(seed: int, quads: bool = False) -> Scene:
    """Make truths, the same ones twice, and detections near them; some images and classes lack a side."""
    random = np.random.default_rng(seed)
    count = 5 * IMAGES
    truth_images = np.sort(random.integers(2, IMAGES, count))
    sides = np.exp(random.uniform(np.log(5), np.log(140), (count, 2)))
    angles = random.uniform(-300, 300, count)
    truths = np.column_stack([random.uniform(0, 200, (count, 2)), sides, angles])
    twins = np.flatnonzero(truth_images[1:] == truth_images[:-1])[::3]
    truths[twins + 1] = truths[twins]
    truth_classes = random.integers(0, CLASSES - 1, count)
    truth_classes[twins + 1] = truth_classes[twins]
    near = np.sort(random.integers(0, count, 3 * count))
    moves = random.normal(0, 1, (len(near), 5)) * [3, 3, 2, 2, 6] * random.integers(0, 2, (len(near), 1))
    boxes = truths[near] + moves
    boxes[:, 2:4] = np.maximum(boxes[:, 2:4], 1)
    images = np.sort(np.where(random.random(len(near)) < 0.9, truth_images[near], random.integers(0, 9, len(near))))
    classes = np.where(random.random(len(near)) < 0.85, truth_classes[near], random.integers(0, CLASSES, len(near)))
    ours, theirs = RotatedBoxes(boxes, "cxcywhd"), RotatedBoxes(truths, "cxcywhd")
    if quads:
        bent = theirs.corners() + random.uniform(-1, 1, (count, 4, 2))
        theirs = RotatedBoxes(bent, "xyxyxyxy")
    scores, flags = random.integers(1, 40, len(near)) / 40, random.random(count) < 0.2
    return Scene(ours, scores, classes, images, theirs, truth_classes, truth_images, flags)


def coco_match(
    given: Scene, overlap: Overlap, rows: list[int], truths: list[int], ignored: list[bool], crowd: list[bool], t: float
) -> list[int]:
    """Return the place of the truth that each detection takes, -1 for none: as COCOeval's loops do."""
    places = sorted(range(len(truths)), key=lambda place: ignored[place])
    taken, found = set[int](), []
    for row in rows:
        best, chosen = min(t, 1 - 1e-10), -1
        for place in places:
            if place in taken and not crowd[place]:
                continue
            if chosen >= 0 and not ignored[chosen] and ignored[place]:
                break
            value = overlap(row, truths[place], crowd[place])
            if value >= best:
                best, chosen = value, place
        taken.add(chosen)
        found.append(chosen)
    return found


def coco_ap(given: Scene, overlap: Overlap, kind: int, t: float, low: float, high: float, crowds: bool) -> float:
    """Return the AP of a class at a threshold and for a range of areas, -1 without truths."""
    areas = [np.prod(shapes, axis=0) for shapes in (given.boxes.columns[2:4], given.truths.columns[2:4])]
    if len(given.truths.columns) == 8:
        areas[1] = shapely.area(shapely.polygons(given.truths.corners()))
    every: list[tuple[float, bool, bool]] = []
    wanted = 0
    for image in range(IMAGES):
        truths = given.truths_of(kind, image)
        ignored = [bool(given.flags[t]) or not low <= areas[1][t] <= high for t in truths]
        crowd = [crowds and bool(given.flags[t]) for t in truths]
        mine = np.flatnonzero((given.classes == kind) & (given.images == image)).tolist()
        rows = sorted(mine, key=lambda row: -given.scores[row])[:100]
        for row, place in zip(rows, coco_match(given, overlap, rows, truths, ignored, crowd, t), strict=True):
            aside = ignored[place] if place >= 0 else not low <= areas[0][row] <= high
            every.append((given.scores[row], place >= 0, aside))
        wanted += ignored.count(False)
    if not wanted:
        return -1.0
    every.sort(key=lambda found: -found[0])
    true = np.cumsum([found and not aside for _, found, aside in every], dtype=np.float64)
    false = np.cumsum([not found and not aside for _, found, aside in every], dtype=np.float64)
    recall, precision = true / wanted, true / (true + false + EPS)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    places = np.searchsorted(recall, POINTS, side="left")
    return float(np.mean([envelope[place] if place < len(envelope) else 0.0 for place in places]))


def mean(values: list[float]) -> float:
    known = [value for value in values if value > -1]
    return float(np.mean(known)) if known else -1.0


@pytest.mark.slow
@pytest.mark.parametrize(("seed", "quads", "flag"), [(0, False, "ignore"), (1, False, "crowd"), (2, True, "crowd")])
def test_cocos_figures_equal_naive_loops(seed: int, quads: bool, flag: str) -> None:
    given = scene(seed, quads)
    stats, overlap = given.evaluate(flag).stats(), given.overlaps()
    wanted = {name: coco_ap_mean(given, overlap, limits, flag == "crowd") for name, limits in AREA_RANGES.items()}
    assert stats["AP"] == pytest.approx(wanted["all"], abs=1e-12)
    assert {name: stats[f"AP_{name}"] for name in wanted if name != "all"} == pytest.approx(
        {name: value for name, value in wanted.items() if name != "all"}, abs=1e-12
    )


def coco_ap_mean(given: Scene, overlap: Overlap, limits: tuple[float, float], crowds: bool) -> float:
    thresholds = np.linspace(0.5, 0.95, 10)
    pairs = product(range(CLASSES), thresholds.tolist())
    return mean([coco_ap(given, overlap, kind, t, *limits, crowds) for kind, t in pairs])


def voc_ap(given: Scene, overlap: Overlap, kind: int, eleven: bool, count: bool) -> float:
    """Return the AP of a class as DOTA's code computes it, or mmrotate's where difficult truths count."""
    rows = sorted(np.flatnonzero(given.classes == kind).tolist(), key=lambda row: -given.scores[row])
    difficult = given.flags & ~np.bool_(count)
    taken, outcomes = set[int](), list[tuple[int, int]]()
    for row in rows:
        truths = given.truths_of(kind, int(given.images[row]))
        values = [overlap(row, truth, False) for truth in truths]
        best = max(values, default=-np.inf)
        if not (best >= 0.5 if count else best > 0.5):
            outcomes.append((0, 1))
            continue
        chosen = truths[values.index(best)]
        if difficult[chosen]:
            outcomes.append((0, 0))
        else:
            outcomes.append((0, 1) if chosen in taken else (1, 0))
            taken.add(chosen)
    counted = int(np.count_nonzero((given.truth_classes == kind) & ~difficult))
    if not counted:
        return -1.0
    true, false = np.cumsum(np.array(outcomes), axis=0).T if outcomes else (np.zeros(0), np.zeros(0))
    recall, precision = true / counted, true / np.maximum(true + false, EPS)
    if eleven:
        return sum(float(np.max(precision[recall >= t], initial=0)) / 11 for t in np.arange(0, 1.1, 0.1))
    ends, envelope = np.concatenate(([0], recall, [1])), np.concatenate(([0], precision, [0]))
    envelope = np.maximum.accumulate(envelope[::-1])[::-1]
    return float(np.sum(np.diff(ends) * envelope[1:]))


@pytest.mark.parametrize(("seed", "quads"), [(3, False), (4, True)])
@pytest.mark.parametrize("rule", ["voc07", "voc12"])
@pytest.mark.parametrize("difficult", ["ignore", "count"])
def test_dotas_figures_equal_naive_loops(seed: int, quads: bool, rule: str, difficult: str) -> None:
    given = scene(seed, quads)
    found = given.evaluate("ignore", params=Params(rule=rule, difficult=difficult))
    overlap = given.overlaps()
    wanted = [voc_ap(given, overlap, kind, rule == "voc07", difficult == "count") for kind in range(CLASSES)]
    assert found.stats_by_class()["mAP"].tolist() == pytest.approx(wanted, abs=1e-12)
    assert found.stats()["mAP"] == pytest.approx(mean(wanted), abs=1e-12)


def gaussians(boxes: RotatedBoxes) -> list[tuple[Floats, Floats]]:
    """Return means and covariances of rectangles in degrees."""
    found = []
    for cx, cy, w, h, angle in zip(*boxes.columns, strict=True):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        turn = np.array([[c, -s], [s, c]])
        found.append((np.array([cx, cy]), turn @ np.diag([w * w / 12, h * h / 12]) @ turn.T))
    return found


def test_figures_by_probiou_equal_naive_loops() -> None:
    given = scene(5)
    ours, theirs, share = gaussians(given.boxes), gaussians(given.truths), given.overlaps()

    def overlap(row: int, truth: int, crowd: bool) -> float:
        if crowd:
            return share(row, truth, True)
        (m, s), (n, t) = ours[row], theirs[truth]
        both, away = (s + t) / 2, m - n
        sizes = np.log(np.linalg.det(both) / np.sqrt(np.linalg.det(s) * np.linalg.det(t)))
        distance = away @ np.linalg.inv(both) @ away / 8 + sizes / 2
        return float(1 - np.sqrt(max(1 - np.exp(-distance), 0)))

    stats = given.evaluate("crowd", metric="probiou").stats()
    everywhere = AREA_RANGES["all"]
    for name, t in (("AP50", 0.5), ("AP75", 0.75)):
        wanted = [coco_ap(given, overlap, kind, t, *everywhere, True) for kind in range(CLASSES)]
        assert stats[name] == pytest.approx(mean(wanted), abs=1e-12)
    assert stats["AP75"] != given.evaluate("crowd").stats()["AP75"]


def test_an_iou_at_the_threshold_matches_by_mmrotates_rule_and_not_by_dotas() -> None:
    box, half = RotatedBoxes([[0, 0, 4, 2, 0]], "cxcywhd"), RotatedBoxes([[0, 0, 2, 2, 90]], "cxcywhd")
    assert fastbox.pairwise(box, half) == 0.5
    assert fastbox.evaluate(box, [0.5], half, rule="voc12").stats() == {"mAP": 0.0}
    counted = fastbox.evaluate(box, [0.5], half, params=Params(rule="voc12", difficult="count"))
    assert counted.stats() == {"mAP": 1.0}
    assert counted.to_dict()["rules"]["strict"] is False
    plain = fastbox.evaluate([[-2, -1, 2, 1]], [0.5], [[-1, -1, 1, 1]], rule="voc12")
    assert plain.stats() == {"mAP": 1.0}


@pytest.mark.slow
@pytest.mark.parametrize("quads", [False, True])
def test_threads_and_sets_of_images_change_no_bit(quads: bool) -> None:
    given = scene(6, quads)
    near = None if quads else 0.5  # whose kernels take long to compile
    whole = given.evaluate("crowd", confusion_iou=near)
    before = fastbox.get_num_threads()
    try:
        fastbox.set_num_threads(1)
        single = given.evaluate("crowd", confusion_iou=near)
    finally:
        fastbox.set_num_threads(before)
    parts = [Evaluation(confusion_iou=near) for _ in range(3)]
    for part, lo, hi in zip(parts, (0, 0, 5), (0, 5, IMAGES), strict=True):
        own, its = ((one >= lo) & (one < hi) for one in (given.images, given.truth_images))
        boxes, truths = given.boxes[own], given.truths[its]
        for image in range(lo, hi):
            mine, wanted = given.images[own] == image, given.truth_images[its] == image
            part.add(
                boxes[mine],
                given.scores[own][mine],
                truths[wanted],
                classes=given.classes[own][mine],
                truth_classes=given.truth_classes[its][wanted],
                crowd=given.flags[its][wanted],
            )
    added = parts[0] + parts[1] + parts[2]
    for other in (single, added):
        assert other.stats() == whole.stats()
        assert other.errors().delta_ap == whole.errors().delta_ap
        if near is not None:
            np.testing.assert_array_equal(other.confusion(score=0.1).counts, whole.confusion(score=0.1).counts)
        assert other.to_dict()["matched"] == whole.to_dict()["matched"]


def test_boxes_that_are_invalid_or_missing() -> None:
    boxes = RotatedBoxes([[0, 0, 4, 2, 30], [0, 0, -4, 2, 30], [0, np.nan, 4, 2, 30], [0, 0, 4, 2, 1e9]], "cxcywhd")
    found = fastbox.evaluate(boxes, [0.6, 0.9, 0.8, 0.7], boxes[:2], metric="probiou")
    assert found.invalid == {"detections": 3, "truths": 1, "scores": 0}
    assert [found.outcomes()[name] for name in ("true", "false")] == [1, 3]
    none = boxes[:0]
    assert fastbox.evaluate(none, [], boxes).stats()["AP"] == 0
    assert fastbox.evaluate(boxes, [0.1] * 4, none).stats()["AP"] == -1
    assert fastbox.evaluate(none, [], none, rule="voc07", metric="probiou").stats() == {"mAP": -1}


def test_plain_boxes_beside_rotated_ones_have_angle_0() -> None:
    plain = Boxes([[0.0, 0, 4, 2], [9, 9, 12, 12]])
    turned = RotatedBoxes([[2, 1, 2, 4, 90], [10.5, 10.5, 3, 3, 10]], "cxcywhd")
    found, wanted = fastbox.evaluate(plain, [0.9, 0.8], turned), fastbox.pairwise(plain, turned)
    assert found.pairs()["iou"].tolist() == [wanted[0, 0], wanted[1, 1]]
    assert found.stats()["AP50"] == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rule": "kitti"}, "expected plain boxes with rule 'kitti', got rotated ones"),
        ({"metric": "giou"}, "expected a metric to match by"),
        ({"keep_boxes": True}, "expected plain boxes with keep_boxes"),
        ({"params": Params(rule="voc07", legacy_pixels=True)}, "expected no legacy_pixels with rotated boxes"),
        ({"params": Params(), "metric": "probiou"}, "expected params or a metric"),
    ],
)
def test_rules_that_rotated_boxes_lack_are_refused(given: dict[str, Any], message: str) -> None:
    boxes = RotatedBoxes([[0, 0, 4, 2, 30]], "cxcywhd")
    with pytest.raises(ValueError, match=message):
        fastbox.evaluate(boxes, [0.5], boxes, **given)


def test_probiou_is_refused_for_plain_boxes_and_for_quadrilaterals() -> None:
    boxes = RotatedBoxes([[0, 0, 4, 2, 30]], "cxcywhd")
    quads = RotatedBoxes(boxes.corners(), "xyxyxyxy")
    for ours, message in (([[0, 0, 1, 1]], "got plain ones"), (quads, "got quadrilaterals")):
        with pytest.raises(ValueError, match=message):
            fastbox.evaluate(ours, [0.5], ours, metric="probiou")
    found = Evaluation()
    found.add([[0, 0, 1, 1]], [0.5], [[0, 0, 1, 1]])
    with pytest.raises(ValueError, match="expected plain boxes as those added before, got rotated ones"):
        found.add(boxes, [0.5], boxes)


def test_images_without_boxes_and_of_wider_geometries_are_added() -> None:
    boxes = RotatedBoxes([[0, 0, 4, 2, 30]], "cxcywhd")
    quads = RotatedBoxes(boxes.corners(), "xyxyxyxy")
    found = Evaluation()
    for ours, theirs in (([], []), (boxes, boxes), ([], boxes), (boxes, quads), (quads, []), ([[0, 0, 1, 1]], [])):
        found.add(ours, [0.5] * len(ours), theirs)
    assert (found + Evaluation()).stats() == (Evaluation() + found).stats() == found.stats()
    assert found.outcomes() == {"true": 2, "false": 2, "ignored": 0}
