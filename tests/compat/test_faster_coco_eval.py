"""COCOeval_faster against faster_coco_eval: the same figures by the same names, but for their last bits."""

from __future__ import annotations

import importlib
from typing import Any

import pytest
from support.coco_scenes import Scene

from fastbox.compat import faster_coco_eval as ours
from fastbox.compat.cocoeval import COCO, patch, unpatch


def judged(scene: Scene, judge: type[Any], coco: Any, **options: Any) -> tuple[Any, list[str]]:
    """Evaluate a scene; return also the lines of the summary."""
    printed: list[str] = []
    truths = coco(scene.dataset())
    found = judge(truths, truths.loadRes(scene.results()), "bbox", print_function=printed.append, **options)
    found.params.maxDets = [[1, 10, 100], [2, 5], [1, 10, 500]][len(scene.boxes) % 3]
    found.run()
    return found, printed


@pytest.mark.parametrize("seed", range(20))
def test_figures_are_those_of_faster_coco_eval(seed: int) -> None:
    theirs = pytest.importorskip("faster_coco_eval", reason="faster_coco_eval is not installed")
    scene = Scene(seed)
    if not len(scene.boxes):
        pytest.skip("faster_coco_eval can't load results without boxes")
    options = {"ranges": {"tiny": [0, 20], "other": [20, 1e10]}} if seed % 2 else {}
    mine, printed = judged(scene, ours.COCOeval_faster, COCO, **options)
    other, wanted = judged(scene, theirs.COCOeval_faster, theirs.COCO, **options)
    # The last bits of a precision differ from those of pycocotools, which fastbox has.
    assert mine.stats_as_dict == pytest.approx(other.stats_as_dict, abs=1e-15)
    assert list(mine.stats_as_dict) == list(other.stats_as_dict) and len(mine.stats) == len(other.stats)
    assert printed == [line for line in wanted if "@[" in line]  # the others tell the progress
    mixed, _ = judged(scene, ours.COCOeval_faster, theirs.COCO, **options)
    assert mixed.stats_as_dict == mine.stats_as_dict


def test_its_classes_are_replaced_and_come_back() -> None:
    theirs = pytest.importorskip("faster_coco_eval", reason="faster_coco_eval is not installed")
    before = theirs.COCOeval_faster
    with patch("faster_coco_eval"):
        api = importlib.import_module("faster_coco_eval.core.faster_eval_api")
        assert theirs.COCOeval_faster is api.COCOeval_faster is ours.COCOeval_faster
        assert api.COCOeval is ours.COCOeval
    patch("faster_coco_eval")
    unpatch()
    assert theirs.COCOeval_faster is before


def test_names_of_figures(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene(170)
    truths = COCO(scene.dataset())
    judge = ours.COCOeval(truths, truths.loadRes(scene.results()), "bbox")
    with pytest.raises(ValueError, match=r"call accumulate\(\) first"):
        judge.summarize()
    judge.run()
    found = judge.stats_as_dict
    assert list(found) == [
        "AP_all", "AP_50", "AP_75", "AP_small", "AP_medium", "AP_large", "AR_all", "AR_second", "AR_third", "AR_small",
        "AR_medium", "AR_large", "AR_50", "AR_75",
    ]  # fmt: skip
    precision = judge.eval["precision"][0, :, :, 0, -1]
    assert found["AP_50"] == precision[precision > -1].mean() and len(judge.stats) == 12
    assert len(capsys.readouterr().out.splitlines()) == 14


def test_options_that_fastbox_lacks_are_refused() -> None:
    for option in ({"lvis_style": True}, {"extra_calc": True}, {"use_area": False}):
        with pytest.raises(
            NotImplementedError, match=f"expected {next(iter(option))} to be .*: use faster_coco_eval itself"
        ):
            ours.COCOeval_faster(iouType="bbox", **option)
    assert ours.COCOeval_faster(iouType="bbox", separate_eval=True).stats_as_dict == {}
