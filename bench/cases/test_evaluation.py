"""One model evaluated on a data set like COCO's: ours beside pycocotools and hotcoco, figures equal to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.conftest import THREADS, Case, require
from bench.promises import evaluation
from bench.support import scenes
from bench.support.shapes import Sizes


@pytest.fixture(scope="module")
def scene(sizes: Sizes) -> scenes.Annotated:
    amounts = evaluation.COCO
    return scenes.annotated(**{name: min(count, sizes.of(count) + 4) for name, count in amounts.items()})


def facts(scene: scenes.Annotated) -> dict[str, Any]:
    shape = f"{len(scene.scores):,} detections, {len(scene.crowd):,} truths"
    return {"kernel": "evaluate", "dtype": "float64", "size": "coco", "shape": shape, "boxes": len(scene.scores)}


@pytest.mark.parametrize("threads", THREADS)
def test_evaluate(case: Case, scene: scenes.Annotated, threads: int) -> None:
    case(lambda: evaluation.ours(scene), name="fastbox", role="ours", threads=threads, **facts(scene))


@pytest.mark.parametrize("threads", THREADS)
def test_samples(case: Case, scene: scenes.Annotated, threads: int) -> None:
    work = evaluation.samples(scene)
    case(work, name=f"{evaluation.SAMPLES:,} samples", role="ours", threads=threads, rounds=3, **facts(scene))


def test_curves(case: Case, scene: scenes.Annotated) -> None:
    case(evaluation.curves(scene), name="curves, once", role="ours", **facts(scene))


@pytest.mark.parametrize("rule", ["lvis", "coco"])
def test_evaluate_lvis(case: Case, sizes: Sizes, rule: str) -> None:
    """Federated annotations of 1,203 classes, beside the same boxes by COCO's rule, which leaves nothing out."""
    amounts = {name: min(count, sizes.of(count) + 4) for name, count in evaluation.LVIS.items()}
    scene = scenes.annotated(**amounts)
    said = facts(scene) | {"kernel": "evaluate lvis", "size": "lvis"}

    def check(figures: dict[str, float]) -> None:
        assert ("APr" in figures) == (rule == "lvis") and 0 <= figures["AP"] <= 1

    role = "ours" if rule == "lvis" else "floor"
    case(evaluation.by_rule(scene, rule), name=f"rule {rule}", role=role, expected=check, threads=2, rounds=3, **said)


def test_evaluate_with_pycocotools(case: Case, scene: scenes.Annotated) -> None:
    require("pycocotools")
    same = evaluation.ours(scene)

    def check(figures: list[float]) -> None:
        assert figures == same

    case(evaluation.pycocotools(scene), name="pycocotools", role="peer", expected=check, rounds=3, **facts(scene))


def test_evaluate_with_hotcoco(case: Case, scene: scenes.Annotated, tmp_path: Path) -> None:
    require("hotcoco")
    same = evaluation.ours(scene)

    def check(figures: list[float]) -> None:
        assert figures == same

    theirs = evaluation.hotcoco(scene, str(tmp_path))
    case(theirs, name="hotcoco", role="peer", expected=check, threads=2, **facts(scene))
