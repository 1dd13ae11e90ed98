"""Images ranked by the cost of their errors: counts add up to those of all errors, costs to ΔAP50."""

from __future__ import annotations

import numpy as np
import pytest
from support.paths import ROOT

import fastbox
from fastbox import jobs

TABLES = ROOT / "data" / "detections.parquet", ROOT / "data" / "truths.parquet"


def test_counts_and_costs_add_up() -> None:
    found = jobs.evaluate(*TABLES)
    errors, images = found.evaluation.errors(), found.evaluation.image_errors()
    assert sorted(images.images) == sorted(set(images.images)) and len(images.images) == found.evaluation.images
    for name, counts in images.counts.items():
        assert counts.sum() == found.to_dict()["errors"]["counts"][name]
    assert images.cost.sum() == pytest.approx(sum(max(rise, 0) for rise in errors.delta_ap.values()))
    assert (np.diff(images.cost) <= 0).all()
    worst = found.to_dict()["worst_images"]
    assert [row["image"] for row in worst] == images.images[:20]
    assert found.tables()["worst_images"][0]["image"] == images.images[0]


def test_each_image_has_the_errors_that_it_has_alone() -> None:
    found = jobs.evaluate(*TABLES).evaluation
    matched = jobs.evaluate(*TABLES, out=None).evaluation
    images = found.image_errors()
    place = {image: row for row, image in enumerate(images.images)}
    types = found.collected.column("match_type", None)
    image = found.collected.column("image", None)
    ids = np.concatenate(found.collected.ids)
    for number in np.unique(image)[:40].tolist():
        own = np.bincount(types[image == number], minlength=7)
        assert images.counts["background"][place[ids[number]]] == own[4]
    assert matched.image_errors().images == images.images


def test_evaluations_add_up_and_images_without_ids_have_numbers() -> None:
    first, second = (
        fastbox.evaluate(
            fastbox.Boxes([[0, 0, 4, 4]], images=[own]), [0.5], fastbox.Boxes([[0, 0, 4, far]], images=[own])
        )
        for own, far in ((7, 4), (9, 100))
    )
    both = (first + second).image_errors()
    assert both.images == [9, 7] and both.counts["missed"].tolist() == [1, 0]
    assert fastbox.evaluate([[0, 0, 4, 4]], [0.5], [[9, 9, 14, 14]]).image_errors().images == [0]


def test_the_page_has_the_costliest_images() -> None:
    titles = [section.title for section in jobs.evaluate(*TABLES).page().sections]
    assert titles.index("Images") == titles.index("Classes") + 1
