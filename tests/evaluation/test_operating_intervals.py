"""Intervals of the best scores: each sample is an evaluation of its images, as often as they were drawn."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from support.paths import ROOT

from fastbox import jobs, parallel
from fastbox.evaluation import Evaluation, Params, bootstrap, operating_intervals
from fastbox.evaluation.operating import Operating
from fastbox.fragments import spread
from fastbox.report.best_scores import best_score, intervals_of_best
from fastbox.report.page.contents import Table
from fastbox.report.terminal.evaluated import show_evaluated

TABLES = ROOT / "data" / "detections.parquet", ROOT / "data" / "truths.parquet"
SAMPLES = 70  # more than are walked through together
VARIED = 0  # a seed whose samples have several best scores
FIGURES = ("score", "precision", "recall", "f")


class Images:
    """Images with few boxes, many of equal scores: some without truths or detections, classes without truths."""

    def __init__(self, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.images = [self._image(random) for _ in range(random.integers(1, 6))]

    def _image(self, random: np.random.Generator) -> dict[str, Any]:
        n, m = random.integers(0, 5, 2)
        truths = np.tile(random.integers(0, 12, (m, 2)), 2) + np.array([0, 0, 10, 10])
        boxes = np.tile(random.integers(0, 12, (n, 2)), 2) + np.array([0, 0, 10, 10])
        return {
            "detections": boxes.reshape(-1, 4),
            "scores": random.choice([0.9, 0.5, 0.4, 0.1, -2.0], n),
            "truths": truths.reshape(-1, 4),
            "classes": random.integers(0, 4, n),
            "truth_classes": random.integers(0, 3, m),
            "crowd": random.random(m) < 0.2,
            "ignore": random.random(m) < 0.2,
        }

    def evaluated(self, counts: list[int]) -> Evaluation:
        found = Evaluation(Params(iou_thresholds=[0.75, 0.5]))
        found.code_classes(range(4))
        for image, count in zip(self.images, counts, strict=True):
            for _ in range(count):
                found.add(**image)
        return found


def limits(values: list[float]) -> tuple[float, float]:
    known = [value for value in values if not np.isnan(value)]
    return tuple(np.quantile(known, [0.025, 0.975])) if known else (np.nan, np.nan)


def close(found: Any, expected: Any) -> bool:
    return np.allclose(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True)


@pytest.mark.slow
@given(st.integers(0, 2**32), st.sampled_from([1.0, 2.0, 0.5]))
def test_intervals_equal_those_of_evaluations_of_repeated_images(seed: int, beta: float) -> None:
    scene = Images(seed)
    whole = scene.evaluated([1] * len(scene.images))
    intervals = whole.operating_points(beta=beta, samples=SAMPLES, seed=7).intervals
    assert intervals is not None
    count = len(scene.images)
    drawn = np.random.default_rng(7).multinomial(count, np.full(count, 1 / count), size=SAMPLES)
    points: list[Operating] = [scene.evaluated(own).operating_points(beta=beta) for own in drawn.tolist()]
    for name in FIGURES:
        assert close(intervals.best[name], limits([getattr(own.best, name) for own in points])), name
        for k in range(4):
            assert close(intervals.by_class[name][k], limits([own.by_class[name][k] for own in points])), (name, k)
    assert close(intervals.best_macro["f"], limits([own.best_macro.f for own in points]))


def test_the_intervals_do_not_depend_on_what_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Images(VARIED)
    found = scene.evaluated([1] * len(scene.images))
    whole = found.operating_points(samples=SAMPLES).intervals
    assert whole is not None and whole.best["score"][0] < whole.best["score"][1]
    monkeypatch.setattr(operating_intervals, "HELD", 4 * SAMPLES)  # a class at a time
    monkeypatch.setattr(bootstrap, "HELD", 64 * len(found.collected.ids))
    monkeypatch.setattr(operating_intervals, "LENT", 1)
    threads: list[int] = []
    run = parallel.run
    monkeypatch.setattr(parallel, "run", lambda *own: (threads.append(parallel.get_num_threads()), run(*own))[1])
    parts = found.operating_points(samples=SAMPLES).intervals
    assert parts is not None and set(threads) == {1} and len(threads) > 4
    assert parts.best == whole.best and parts.best_macro == whole.best_macro
    for name in FIGURES:
        assert np.array_equal(parts.by_class[name], whole.by_class[name], equal_nan=True)


def test_without_truths_or_detections_there_are_no_limits() -> None:
    box = [[0, 0, 4, 4]]
    for given_boxes, scores, truths in ((box, [0.5], np.zeros((0, 4))), (np.zeros((0, 4)), [], box)):
        found = Evaluation()
        found.add(given_boxes, scores, truths)
        chosen = found.operating_points(samples=10)
        assert chosen.intervals is not None and np.isnan(chosen.intervals.best["score"]).all()
        assert chosen.to_dict()["intervals"]["best"]["score"] == [None, None]
    nothing = Evaluation().operating_points(samples=10).intervals
    assert nothing is not None and nothing.by_class["score"].shape == (0, 2)


@pytest.mark.slow
def test_beta_and_samples_reach_the_summary_the_terminal_and_the_page() -> None:
    given = {"f_beta": 2.0, "samples": 20, "confusion_iou": 0.5}
    found = jobs.evaluate(*TABLES, **given)  # type: ignore[arg-type]
    summary, chosen = found.to_dict(), found.evaluation.operating_points(beta=2, samples=20)
    assert chosen.intervals is not None
    own = summary["operating_points"]
    assert own["best"] == chosen.best.to_dict() and own["beta"] == 2
    assert own["intervals"] == chosen.intervals.to_dict()
    assert summary["confusion"]["score"] == own["best"]["score"]
    first = summary["by_class"][0]["best"]
    assert first["score"] == chosen.by_class["score"][0]
    assert first["intervals"]["score"] == chosen.intervals.by_class["score"][0].tolist()
    (section,) = (section for section in found.page().sections if section.title == "Choice of a score")
    assert section.text.startswith(best_score(own)) and intervals_of_best(own)[0] in section.text
    (table,) = (part for part in section.parts if isinstance(part, Table))
    assert [column.title for column in table.columns][-2:] == ["F2", "95%"]
    stream = io.StringIO()
    show_evaluated(Console(file=stream, width=80), summary)
    shown = stream.getvalue().splitlines()
    assert [best_score(own), *intervals_of_best(own)] == [line for line in shown if "F2" in line or "· recall" in line][
        1:
    ]
    parts = spread(jobs.evaluate, *TABLES, fragment_rows=300, **given)
    assert parts.to_dict()["operating_points"] == own
