"""Images ranked by the cost of their errors: counts and costs add up; page and terminal show them, and AP by IoU."""

from __future__ import annotations

import gc
import io
import pickle
import weakref
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from support.paths import ROOT

import fastbox
from fastbox import jobs
from fastbox.evaluation import Evaluation, Params
from fastbox.evaluation.summary import Summarized
from fastbox.evaluation.tide import COUNTS, ERRORS
from fastbox.report.pages.evaluated import page_of
from fastbox.report.terminal.evaluated import show_evaluated
from fastbox.results import error_examples

TABLES = ROOT / "data" / "detections.parquet", ROOT / "data" / "truths.parquet"


def shown(found: Summarized) -> list[str]:
    return printed(found.to_dict())


def printed(summary: dict[str, Any]) -> list[str]:
    stream = io.StringIO()
    show_evaluated(Console(file=stream, width=80), summary)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


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


@pytest.mark.parametrize("seed", range(6))
def test_each_image_has_the_errors_that_it_has_alone(seed: int) -> None:
    random = np.random.default_rng(seed)
    images, models = 7, 2
    truth_images = np.sort(random.integers(0, images, 40))
    truths = random.random((40, 4)) * [60, 60, 30, 30] + [0, 0, 5, 5]
    near = np.sort(random.integers(0, 40, 60))
    near = near[truth_images[near] != 3]  # an image without detections
    boxes, own_images = truths[near] + random.normal(0, 5, (len(near), 4)), truth_images[near]
    classes, kinds = random.integers(0, 3, 40), random.integers(0, 3, len(near))
    crowd, model, scores = random.random(40) < 0.1, random.integers(0, models, len(near)), random.random(len(near))

    def errors(own: NDArray[np.bool_], its: NDArray[np.bool_]) -> Evaluation:
        found = Evaluation()
        found.code_models(range(models))
        found.add(
            fastbox.Boxes(boxes[own], "xywh", images=own_images[own]),
            scores[own],
            fastbox.Boxes(truths[its], "xywh", images=truth_images[its]),
            classes=kinds[own],
            truth_classes=classes[its],
            crowd=crowd[its],
            models=model[own],
        )
        return found

    whole = errors(np.ones(len(near), np.bool_), np.ones(40, np.bool_))
    for number in range(models):
        found, all_errors = whole.image_errors(number), whole.errors(number)
        totals = dict(zip(COUNTS, all_errors.counts.sum(axis=0).tolist(), strict=True))
        costs = []
        for place, image in enumerate(found.images):
            alone = errors(own_images == image, truth_images == image).errors(number).counts.sum(axis=0)
            counts = dict(zip(COUNTS, alone.tolist(), strict=True))
            assert {name: int(own[place]) for name, own in found.counts.items()} == {
                name: counts[name] for name in ERRORS
            }
            shares = [max(all_errors.delta_ap[name], 0) * counts[name] / max(totals[name], 1) for name in ERRORS]
            costs.append(sum(shares))
        np.testing.assert_allclose(found.cost, costs, rtol=1e-12, atol=1e-15)


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


def test_page_and_terminal_have_the_costliest_images() -> None:
    found = jobs.evaluate(*TABLES)
    sections = found.page().sections
    titles = [section.title for section in sections]
    assert titles.index("Images") == titles.index("Classes") + 1
    first = found.to_dict()["worst_images"][0]
    (row,) = [line.split() for line in shown(found) if line.startswith(f"{first['image']} ")]
    counts = [count for name, count in first.items() if name not in ("image", "cost")]
    assert row[1:] == [f"{first['cost']:.4f}", str(first["missed"]), str(sum(counts) - first["missed"])]
    perfect = fastbox.evaluate([[0, 0, 4, 4]], [0.5], [[0, 0, 4, 4]])
    assert not any("costliest" in line for line in shown(perfect))


def test_missed_truths_are_the_first_examples() -> None:
    found = jobs.evaluate(*TABLES)
    drawn = found.page().sections[-1].parts
    summary = found.to_dict()
    summary["errors"]["delta_ap"]["missed"] = 0.0
    dearest = max(summary["errors"]["delta_ap"], key=summary["errors"]["delta_ap"].__getitem__)
    assert found.gallery is not None
    cheap = page_of(summary, found.gallery.of()).sections[-1].parts
    assert [part.title.split(":")[0] for part in (drawn[0], *cheap[:2])] == ["missed", "missed", dearest]


def test_examples_are_drawn_when_they_are_asked_for_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, plain = [], error_examples._wrong

    def seen(*given: Any) -> Any:
        drawn.append(given)
        return plain(*given)

    monkeypatch.setattr(error_examples, "_wrong", seen)
    late, sent = jobs.evaluate(*TABLES), jobs.evaluate(*TABLES)
    late.to_dict()
    assert late.gallery is not None and sent.gallery is not None and not drawn
    monkeypatch.setattr(error_examples, "WAITING", 0)
    at_once = jobs.evaluate(*TABLES)
    assert drawn and at_once.gallery is not None
    assert pickle.loads(pickle.dumps(sent.gallery)).of() == late.gallery.of() == at_once.gallery.of()
    assert len(late.gallery.of()) > 2


def test_examples_are_the_same_in_any_chunks() -> None:
    whole, parts = jobs.evaluate(*TABLES), jobs.evaluate(*TABLES, rows=40)
    assert whole.gallery is not None and parts.gallery is not None
    examples = whole.gallery.of()
    assert parts.gallery.of() == examples
    assert max(len(drawn) for _, drawn in examples) == error_examples.SHOWN


def test_a_result_whose_examples_wait_is_freed_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        found = jobs.evaluate(*TABLES)
        alive = weakref.ref(found.gallery)
        del found
        assert alive() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("rule", ["coco", "voc12"])
def test_page_and_terminal_have_ap_by_iou(rule: str) -> None:
    found = jobs.evaluate(*TABLES, params=Params(rule=rule))
    ap = found.to_dict()["curves"]["ap"]
    assert list(ap) == list(found.evaluation.params.area_ranges)
    main = next(iter(found.stats[None]))
    assert np.mean(list(ap["all"].values())) == pytest.approx(found.stats[None][main])
    several = len(ap["all"]) > 1
    titles = [part.title for part in found.page().sections[1].parts]
    assert (f"{main} by IoU threshold and size" in titles) is several
    rows = [line.split()[1:] for line in shown(found) if line.startswith((f"{main}  ", "IoU ≥  "))]
    figures = [f"{value:.3f}" for value in ap["all"].values()]
    assert rows == ([["≥", *(f"{float(name):.2f}" for name in ap["all"])], figures] if several else [])


def test_a_benchmark_may_have_no_ap_by_iou() -> None:
    summary = jobs.evaluate(*TABLES).to_dict()
    summary["curves"]["ap"] = {}
    assert not any(line.startswith("IoU ≥  ") for line in printed(summary))
    assert len(page_of(summary).sections[1].parts) == 1
