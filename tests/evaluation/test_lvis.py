"""LVIS' figures: those of COCO without detections beyond the limit and of unknown classes, and AP by frequency."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import fastbox
from fastbox import Boxes, Evaluation, Federation, InputError, Params, jobs

CLASSES = 5


class Scene:
    """Detections and truths of images, the classes that images are annotated for, and frequencies."""

    def __init__(self, seed: int, detections: int = 300) -> None:
        random = np.random.default_rng(seed)
        images, m = int(random.integers(1, 8)), int(random.integers(1, 50))
        self.truth_image = np.sort(random.integers(0, images, m))
        self.truth_kind = random.integers(0, CLASSES, m)
        self.truths = np.hstack([random.integers(0, 60, (m, 2)), random.integers(1, 120, (m, 2))]).astype(float)
        near = random.integers(0, m, detections)
        image = np.where(
            random.random(detections) < 0.8, self.truth_image[near], random.integers(0, images, detections)
        )
        order = np.argsort(image, kind="stable")
        near, self.image = near[order], image[order]
        self.boxes = self.truths[near] + random.integers(-3, 4, (detections, 4))
        self.boxes[:, 2:] = np.maximum(self.boxes[:, 2:], 1)
        same = random.random(detections) < 0.7
        self.kind = np.where(same, self.truth_kind[near], random.integers(0, CLASSES, detections))
        self.scores = np.round(random.random(detections), 2)
        some: Any = lambda: {  # noqa: E731
            i: [k for k in range(CLASSES) if random.random() < 0.3] for i in range(images)
        }
        self.federation = Federation(some(), some(), {k: "rcf"[k % 3] for k in range(CLASSES)})

    def evaluate(self, rows: Any = slice(None), lenient: Any = None, **rules: Any) -> Evaluation:
        """Evaluate some detections."""
        found = Evaluation(Params(**rules), federation=self.federation if rules.get("rule") == "lvis" else None)
        found.code_classes(range(CLASSES))
        found.add(
            Boxes(self.boxes[rows], "xywh", images=self.image[rows]),
            self.scores[rows],
            Boxes(self.truths, "xywh", images=self.truth_image),
            classes=self.kind[rows],
            truth_classes=self.truth_kind,
        )
        return found

    def counted(self, limit: int) -> tuple[np.ndarray[Any, Any], int]:
        """Return the rows that count, found one by one, and the number of rows of unknown classes."""
        rows: list[int] = []
        unknown = 0
        for image in np.unique(self.image).tolist():
            own = np.flatnonzero(self.image == image)
            own = own[np.argsort(-self.scores[own], kind="stable")][:limit]
            known = {*self.truth_kind[self.truth_image == image].tolist(), *self.federation.negative.get(image, ())}
            kept = [row for row in own.tolist() if self.kind[row] in known]
            unknown += len(own) - len(kept)
            rows += sorted(kept)
        return np.array(rows, np.int64), unknown


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("limit", [300, 20])
def test_unknown_classes_and_detections_beyond_the_limit_do_not_count(seed: int, limit: int) -> None:
    given = Scene(seed)
    given.federation = Federation(given.federation.negative, {}, given.federation.frequency)
    found = given.evaluate(rule="lvis", max_dets=[limit])
    rows, unknown = given.counted(limit)
    same = given.evaluate(rows, max_dets=[limit])
    wanted = same.stats()
    assert {name: found.stats()[name] for name in wanted} == wanted
    assert (found.unverified, found.detections) == (unknown, len(rows))
    precision = same.curves().precision[..., 0]
    for name, place in (("APr", 0), ("APc", 1), ("APf", 2)):
        own = precision[:, :, [k for k in range(CLASSES) if k % 3 == place]]
        known = own[own > -1]
        assert found.stats()[name] == (float(np.mean(known)) if len(known) else -1)


@pytest.mark.parametrize("seed", range(6))
def test_false_detections_of_classes_that_are_not_exhaustive_are_ignored(seed: int) -> None:
    given = Scene(seed)
    every = {image: list(range(CLASSES)) for image in range(9)}
    given.federation = Federation(every, every)
    found = given.evaluate(rule="lvis")
    assert found.unverified == 0
    assert found.outcomes()["false"] == 0
    plain = given.evaluate(max_dets=[300]).outcomes()
    assert (found.outcomes()["true"], found.outcomes()["ignored"]) == (plain["true"], plain["false"])


def test_fixed_limits_detections_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastbox.evaluation.protocols import lvis

    given = Scene(3, 900)
    assert Params(rule="lvis", fixed=True).max_dets == (10_000,)
    whole = given.evaluate(rule="lvis", fixed=True)
    many = given.evaluate(rule="lvis", max_dets=[10_000])
    assert {name: value for name, value in whole.stats().items() if name != "AR10000"} == {
        name: value for name, value in many.stats().items() if name != "AR10000"
    }
    assert whole.unverified == many.unverified
    monkeypatch.setattr(lvis, "OF_CLASS", 25)
    order = np.argsort(-given.scores, kind="stable")
    kept = np.concatenate([order[given.kind[order] == k][:25] for k in range(CLASSES)])
    few = given.evaluate(rule="lvis", fixed=True)
    assert few.stats() == given.evaluate(np.sort(kept), rule="lvis", fixed=True).stats()


def test_parts_add_up() -> None:
    given = Scene(5)
    whole = given.evaluate(rule="lvis")
    middle = int(np.median(given.image))
    both = None
    for some in (lambda i: i < middle, lambda i: i >= middle):
        part = Scene(5)
        for name in ("boxes", "scores", "kind"):
            setattr(part, name, getattr(given, name)[some(given.image)])
        for name in ("truths", "truth_kind"):
            setattr(part, name, getattr(given, name)[some(given.truth_image)])
        part.image, part.truth_image = given.image[some(given.image)], given.truth_image[some(given.truth_image)]
        found = part.evaluate(rule="lvis")
        both = found if both is None else both + found
    assert both is not None
    assert (both.stats(), both.unverified) == (whole.stats(), whole.unverified)


def test_lists_come_from_the_file_of_the_truths(tmp_path: Path) -> None:
    given = Scene(7)
    known = given.federation
    images = [
        {
            "id": image,
            "width": 500,
            "height": 500,
            "neg_category_ids": known.negative.get(image, []),
            "not_exhaustive_category_ids": known.not_exhaustive.get(image, []),
        }
        for image in range(9)
    ]
    annotations = [
        {"id": j + 1, "image_id": int(i), "category_id": int(k), "bbox": box, "area": box[2] * box[3]}
        for j, (i, k, box) in enumerate(zip(given.truth_image, given.truth_kind, given.truths.tolist(), strict=True))
    ]
    categories = [{"id": k, "name": f"c{k}", "frequency": "rcf"[k % 3]} for k in range(CLASSES)]
    path = tmp_path / "lvis.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    assert Federation.read(path).frequency == known.frequency
    columns = {"image_id": given.image, "category_id": given.kind, "score": given.scores}
    table = pa.table({**columns, "bbox": [list(box) for box in given.boxes.tolist()]})
    pq.write_table(table, tmp_path / "found.parquet")
    detections = fastbox.Source(tmp_path / "found.parquet", format="xywh")
    found = jobs.evaluate(detections, path, rule="lvis")
    assert found.evaluation.stats() == given.evaluate(rule="lvis").stats()
    assert found.to_dict()["unverified"] == found.evaluation.unverified > 0
    with pytest.raises(
        InputError, match="expected a federation with the rules lvis and open-images alone, got one with coco"
    ):
        jobs.evaluate(detections, path, federation=path)
    with pytest.raises(InputError, match="expected the classes that images are annotated for, got none"):
        jobs.evaluate(detections, tmp_path / "found.parquet", rule="lvis")
    (tmp_path / "no.json").write_text('{"images": [{"id": 1}], "categories": []}')
    with pytest.raises(InputError, match="expected JSON of LVIS, whose images have neg_category_ids"):
        Federation.read(tmp_path / "no.json")


def test_a_federation_goes_with_its_rule() -> None:
    one = [[0, 0, 1, 1]], [0.5], [[0, 0, 1, 1]]
    with pytest.raises(
        ValueError, match="expected a federation with the rules lvis and open-images alone, got none with 'lvis'"
    ):
        fastbox.evaluate(*one, rule="lvis")
    with pytest.raises(ValueError, match="got one with 'coco'"):
        fastbox.evaluate(*one, federation=Federation())
    with pytest.raises(ValueError, match="expected frequencies of r, c or f, got 'x' of class 3"):
        Federation(frequency={3: "x"})
