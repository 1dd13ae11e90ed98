"""Missed truths against a count of one truth at a time: images without detections, several models, parts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.paths import SHARED

import fastbox
from fastbox import jobs
from fastbox.evaluation import Evaluation, Params
from fastbox.evaluation.matching import MATCH_TYPES
from fastbox.fragments import spread

ABOUT = ("matched", "localization", "classification")


class Tables:
    """Detections of some models and truths; each model has no detections in some images, one has none at all."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.images = int(random.integers(1, 9))
        m = int(random.integers(1, 30))
        self.truth_image = np.sort(random.integers(0, self.images, m))
        self.truths = random.random((m, 4)) * [60, 60, 30, 30] + [0, 0, 5, 5]
        self.truth_class = random.integers(0, 3, m)
        self.crowd, self.ignore = random.random(m) < 0.1, random.random(m) < 0.1
        near = random.integers(0, m, int(random.integers(0, 60)))
        n = len(near)
        self.boxes = self.truths[near] + random.normal(0, 4, (n, 4))
        self.classes = np.where(random.random(n) < 0.7, self.truth_class[near], random.integers(0, 4, n))
        self.models, self.scores = random.integers(0, 3, n), random.random(n)
        keep = (self.truth_image[near] + self.models) % 3 > 0
        order = np.argsort(self.truth_image[near], kind="stable")
        order = order[keep[order]]
        self.image = self.truth_image[near][order]
        for name in ("boxes", "classes", "models", "scores"):
            setattr(self, name, getattr(self, name)[order])

    def add_to(self, found: Evaluation, first: int, last: int) -> None:
        own, its = ((image >= first) & (image < last) for image in (self.image, self.truth_image))
        found.add(
            fastbox.Boxes(self.boxes[own], "xywh", images=self.image[own]),
            self.scores[own],
            fastbox.Boxes(self.truths[its], "xywh", images=self.truth_image[its]),
            classes=self.classes[own],
            truth_classes=self.truth_class[its],
            crowd=self.crowd[its],
            ignore=self.ignore[its],
            models=self.models[own],
        )

    def write(self, folder: Path) -> tuple[Path, Path]:
        found = {"image_id": self.image, "category_id": self.classes, "score": self.scores, "model": self.models}
        wanted = {"image_id": self.truth_image, "category_id": self.truth_class}
        wanted |= {"iscrowd": self.crowd.astype(int), "ignore": self.ignore.astype(int)}
        for name, columns, boxes in (("dt", found, self.boxes), ("gt", wanted, self.truths)):
            pq.write_table(
                pa.table({**columns, **dict(zip("xywh", boxes.T, strict=True))}),
                folder / f"{name}.parquet",
                row_group_size=5,
            )
        return folder / "dt.parquet", folder / "gt.parquet"

    def missed(self, model: int) -> Counter[int]:
        """The truths of each class that are missed, as an evaluation of each image and model by itself judges them."""
        found: Counter[int] = Counter()
        for image in range(self.images):
            own, its = (self.image == image) & (self.models == model), self.truth_image == image
            judged = Evaluation().add(
                fastbox.Boxes(self.boxes[own], "xywh"), self.scores[own], fastbox.Boxes(self.truths[its], "xywh"),
                classes=self.classes[own], truth_classes=self.truth_class[its],
                crowd=self.crowd[its], ignore=self.ignore[its],
            )  # fmt: skip
            about = {int(t) for t, v in zip(judged.truth, judged.match_type, strict=True) if MATCH_TYPES[v] in ABOUT}
            counted = np.flatnonzero(~(self.crowd | self.ignore)[its])
            found.update(int(self.truth_class[its][t]) for t in counted if int(t) not in about)
        return found


def assert_missed(found: Evaluation, tables: Tables) -> None:
    counted = np.bincount(tables.truth_class[~(tables.crowd | tables.ignore)], minlength=4)
    for model in found.models:
        missed = dict(zip(found.classes, found.errors(model).counts[:, -1].tolist(), strict=True))
        assert {kind: n for kind, n in missed.items() if n} == dict(tables.missed(model))
        covered = found.collected.wanted["kind"][found.collected.covered_truths(model)]
        for kind, n in missed.items():
            assert (
                n + np.count_nonzero(found.collected.classes.ascending()[1][covered] == found.classes.index(kind))
                == counted[kind]
            )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_every_truth_that_counts_is_covered_or_missed_once(seed: int) -> None:
    tables = Tables(seed)
    whole, parts = Evaluation(), Evaluation()
    whole.code_models(range(4))  # the last finds nothing
    tables.add_to(whole, 0, tables.images)
    assert_missed(whole, tables)
    for image in range(tables.images):
        part = Evaluation()
        tables.add_to(part, image, image + 1)
        parts = parts + part
    assert_missed(parts, tables)
    assert whole.errors(3).counts[:, :-1].sum() == 0


@pytest.mark.jit
@pytest.mark.parametrize("seed", range(40, 46))
def test_jobs_and_fragments_miss_the_same(tmp_path: Path, seed: int) -> None:
    tables = Tables(seed)
    paths = tables.write(tmp_path)
    for rows in (1, 7, 1000):
        assert_missed(jobs.evaluate(*paths, by="model", rows=rows).evaluation, tables)
    found = spread(jobs.evaluate, *paths, by="model", fragment_rows=5).evaluation
    assert_missed(found, tables)


def test_a_model_that_finds_nothing_misses_everything(tmp_path: Path) -> None:
    tables = Tables(1)
    detections, truths = tables.write(tmp_path)
    pq.write_table(pq.read_table(detections).slice(0, 0), detections)
    found = jobs.evaluate(detections, truths).to_dict()
    counted = int((~(tables.crowd | tables.ignore)).sum())
    assert found["errors"]["counts"]["missed"] == counted
    assert (found["errors"]["ap50"], found["errors"]["delta_ap"]["missed"]) == (0.0, 1.0)
    alone = fastbox.evaluate(np.empty((0, 4)), [], [[0, 0, 4, 4]] * 3, ignore=[False, True, False]).errors()
    assert alone.counts.tolist() == [[0] * 7 + [2]]


def test_missed_truths_are_those_of_every_class_without_classes() -> None:
    found = fastbox.evaluate(
        [[0, 0, 4, 4]],
        [0.5],
        [[0, 0, 4, 4], [9, 9, 12, 12]],
        classes=[1],
        truth_classes=[2, 2],
        params=Params(class_agnostic=True),
    )
    assert found.errors().counts[:, [0, -1]].tolist() == [[1, 1]]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_cocos_truths_are_all_accounted_for() -> None:
    found: Any = jobs.evaluate(
        SHARED / "coco_val2017_dets_12models.parquet", SHARED / "coco_val2017_gt.parquet", by="run"
    ).evaluation
    counted = int((found.collected.wanted["hidden"] != 0xFFFFFFFF).sum())
    for model in found.models:
        covered = len(found.collected.covered.of_group("model", found.collected.code(model)))
        assert covered + found.errors(model).counts[:, -1].sum() == counted
