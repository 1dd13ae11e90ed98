"""MeanAveragePrecision: torchmetrics' arguments, states and figures to the last bit, with and without torchmetrics."""

from __future__ import annotations

import inspect
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.paths import ROOT
from support.peers import peer

from fastbox.errors import InputError, InputWarning

torch = pytest.importorskip("torch", reason="torch is not installed")
metrics = peer("fastbox.compat.torchmetrics")

MeanAveragePrecision = metrics.MeanAveragePrecision


def drawn(seed: int, images: int = 12, *, box_format: str = "xyxy", rich: bool = False, ties: bool = False) -> Any:
    """Detections and truths of images, some without either; with crowds and areas, or rounded so that values tie."""
    g = torch.Generator().manual_seed(seed)

    def rand(*shape: int) -> Any:
        return torch.rand(*shape, generator=g)

    preds, target = [], []
    for _ in range(images):
        m, n = (int(torch.randint(0, most, (1,), generator=g)) for most in (9, 14))
        truths, found = (rand(count, 4) * 150 + 1 for count in (m, n))
        labels, kinds = (torch.randint(0, most, (count,), generator=g) for most, count in ((3, m), (4, n)))
        if m and n:
            near = torch.randint(0, m, (n,), generator=g)
            found = torch.where(rand(n, 1) < 0.8, (truths[near] + rand(n, 4) * 12 - 6).clamp(min=0.5), found)
            kinds = torch.where(rand(n) < 0.8, labels[near], kinds)
        if box_format == "xyxy":
            for boxes in (truths, found):
                boxes[:, 2:] += boxes[:, :2]
        scores = rand(n)
        if ties:
            scores, truths, found = (scores * 5).round() / 5, truths.round(), found.round()
        item = {"boxes": truths, "labels": labels}
        if rich:
            areas = torch.where(rand(m) < 0.5, rand(m) * 12_000, torch.zeros(()))
            item |= {"iscrowd": (rand(m) < 0.15).long(), "area": areas}
        preds.append({"boxes": found, "scores": scores, "labels": kinds})
        target.append(item)
    return preds, target


def computed(metric: Any, preds: Any, target: Any, step: int = 5) -> Any:
    metric.warn_on_many_detections = False
    for first in range(0, len(preds), step):
        metric.update(preds[first : first + step], target[first : first + step])
    return metric.compute()


def same(own: Any, its: Any) -> None:
    """Assert equal keys in the same order, dtypes, shapes and bits."""
    if isinstance(its, dict):
        assert [*map(key, own)] == [*map(key, its)]
        for name in its:
            same(own[name], its[name])
    elif isinstance(its, list):
        assert own == its
    else:
        assert (own.dtype, own.shape) == (its.dtype, its.shape)
        assert torch.equal(own, its)


def key(name: Any) -> Any:
    return tuple(map(int, name)) if isinstance(name, tuple) else name


# torchmetrics itself


CASES = list(itertools.product(("xyxy", "xywh", "cxcywh"), ("macro", "micro"), (False, True), (False, True)))


@pytest.mark.slow
@pytest.mark.parametrize("case", range(len(CASES)))
def test_figures_are_torchmetrics(case: int) -> None:
    theirs = peer("torchmetrics.detection")
    box_format, average, rich, ties = CASES[case]
    options: dict[str, Any] = {"box_format": box_format, "average": average}
    options |= {"class_metrics": case % 3 > 0, "extended_summary": case % 2 == 0}
    if case % 3 == 1:
        options |= {"iou_thresholds": [0.75, 0.5, 0.3], "rec_thresholds": [0.0, 0.1, 0.1, 0.5, 1.0]}
    if case % 4 == 2:
        options["max_detection_thresholds"] = [[1, 10, 3], [1, 100, 200], [2, 2, 100]][case % 3]
    given = drawn(case, box_format=box_format, rich=rich, ties=ties)
    same(computed(MeanAveragePrecision(**options), *given), computed(theirs.MeanAveragePrecision(**options), *given))


@pytest.mark.slow
@pytest.mark.parametrize("limits", [[1, 10, 3], [1, 100, 200]])
def test_map_of_the_faster_backend_counts_up_to_the_greatest_limit(limits: list[int]) -> None:
    theirs = peer("torchmetrics.detection")
    peer("faster_coco_eval")
    options = {"backend": "faster_coco_eval", "max_detection_thresholds": limits, "class_metrics": True}
    given = drawn(1)
    own, its = (computed(kind(**options), *given) for kind in (MeanAveragePrecision, theirs.MeanAveragePrecision))
    same(own, its)
    assert own["map"] > 0


@pytest.mark.parametrize("average", ["macro", "micro"])
@pytest.mark.parametrize("images", [0, 1])
def test_nothing_gives_what_torchmetrics_gives(images: int, average: str) -> None:
    theirs = peer("torchmetrics.detection")
    none = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.long)}
    given = [none | {"scores": torch.zeros(0)}] * images, [none] * images
    for options in ({}, {"class_metrics": True, "extended_summary": True}):
        found = []
        for kind in (MeanAveragePrecision, theirs.MeanAveragePrecision):
            metric = kind(average=average, **options)
            metric.update(*given)
            found.append(metric.compute())
        same(*found)
        assert found[0]["map"] == -1


def test_it_is_a_metric_of_torchmetrics() -> None:
    torchmetrics = peer("torchmetrics")
    preds, target = drawn(3)
    metric = MeanAveragePrecision()
    assert isinstance(metric, torchmetrics.Metric)
    collection = torchmetrics.MetricCollection([metric])
    collection.update(preds, target)
    assert torch.equal(collection.compute()["map"], computed(MeanAveragePrecision(), preds, target)["map"])
    alone = computed(MeanAveragePrecision(), preds[:4], target[:4])
    assert torch.equal(metric(preds[:4], target[:4])["map"], alone["map"])


def test_the_signature_is_torchmetrics() -> None:
    theirs = peer("torchmetrics.detection").MeanAveragePrecision
    for name in ("__init__", "update", "compute", "plot"):
        own, its = (inspect.signature(inspect.unwrap(getattr(kind, name))) for kind in (MeanAveragePrecision, theirs))
        usual = [[(one.name, one.default) for one in side.parameters.values()] for side in (own, its)]
        assert usual[0] == usual[1], name


def test_coco_json_is_read_as_torchmetrics_reads_it(tmp_path: Path) -> None:
    theirs = peer("torchmetrics.detection")
    metric = MeanAveragePrecision(class_metrics=True)
    found = computed(metric, *drawn(5, rich=True))
    metric.tm_to_coco(str(tmp_path / "coco"))
    paths = str(tmp_path / "coco_preds.json"), str(tmp_path / "coco_target.json")
    own, its = MeanAveragePrecision.coco_to_tm(*paths), theirs.MeanAveragePrecision().coco_to_tm(*paths)
    for mine, other in zip(own, its, strict=True):
        for item, wanted in zip(mine, other, strict=True):
            assert all(torch.equal(item[name].reshape(-1), wanted[name].reshape(-1)) for name in wanted)
            assert item["boxes"].shape[1] == 4
    again = computed(MeanAveragePrecision(box_format="xywh", class_metrics=True), *own)
    assert found["mar_100"] == again["mar_100"]  # images without truths, and so some false detections, are left out
    assert again["map"] >= found["map"] > 0


@pytest.mark.parametrize("content", ["[", "{}", '[{"image_id": 1}]', "[1]"])
def test_other_json_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "preds.json"
    path.write_text(content)
    (tmp_path / "target.json").write_text('{"annotations": []}')
    with pytest.raises(InputError, match=f"expected COCO JSON of detections, a list .* got {path}"):
        MeanAveragePrecision.coco_to_tm(str(path), str(tmp_path / "target.json"))


DISTRIBUTED = """
import os, sys, warnings
warnings.simplefilter("ignore")
import torch
from fastbox.compat.torchmetrics import MeanAveragePrecision
rank, meeting, data = int(sys.argv[1]), sys.argv[2], sys.argv[3]
torch.distributed.init_process_group("gloo", rank=rank, world_size=2, init_method=f"file://{meeting}")
preds, target = torch.load(data)
metric = MeanAveragePrecision()
metric.update(preds[rank::2], target[rank::2])
print(metric.compute()["map"].item())
"""


@pytest.mark.slow
def test_processes_with_different_numbers_of_images_are_gathered(tmp_path: Path) -> None:
    peer("torchmetrics")
    if not peer("torchvision.extension")._has_ops():
        pytest.skip("a process of its own can't import torchmetrics here: torchvision misses its operators")
    given = drawn(4, images=5)
    torch.save(given, tmp_path / "data.pt")
    arguments = str(tmp_path / "meeting"), str(tmp_path / "data.pt")
    env = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen([sys.executable, "-c", DISTRIBUTED, str(rank), *arguments], stdout=subprocess.PIPE, env=env)
        for rank in (0, 1)
    ]
    found = {float(process.communicate(timeout=120)[0]) for process in started}
    assert found == {computed(MeanAveragePrecision(), *given)["map"].item()}


# Without torchmetrics


PLAIN = """
import sys
sys.modules["torchmetrics"] = None
import torch
from fastbox.compat.torchmetrics import MeanAveragePrecision
one = {"boxes": torch.tensor([[0.0, 0, 4, 4]]), "labels": torch.tensor([1])}
found = {**one, "scores": torch.tensor([0.5])}
far = {"boxes": torch.tensor([[50.0, 50, 60, 60]]), "labels": torch.tensor([1])}
metric = MeanAveragePrecision(class_metrics=True)
metric.update([found], [one])
print(metric([found], [far])["map"].item(), metric.compute()["mar_100"].item())
metric.reset()
print(metric.compute()["map"].item())
for call in (lambda: MeanAveragePrecision(sync_on_compute=False), lambda: metric.plot()):
    try:
        call()
    except (ImportError, ValueError) as error:
        print(error)
"""


def test_it_works_without_torchmetrics(python: Any) -> None:
    lines = python(PLAIN).stdout.splitlines()
    assert lines[:2] == ["0.0 0.5", "-1.0"]
    assert lines[2].startswith("expected no sync_on_compute without torchmetrics: install it")
    assert lines[3].startswith("expected torchmetrics for plot, got none: install it")


# Figures by hand, and refusals


def test_figures_of_one_image_by_hand() -> None:
    preds = [{"boxes": torch.tensor([[0.0, 0, 10, 10]]), "scores": torch.tensor([0.9]), "labels": torch.tensor([2])}]
    target = [{"boxes": torch.tensor([[0.0, 0, 10, 6]]), "labels": torch.tensor([2])}]
    found = computed(MeanAveragePrecision(iou_thresholds=[0.5, 0.7]), preds, target)  # the IoU is 0.6
    assert found["map"] == found["mar_1"] == found["map_small"] == 0.5
    assert (found["map_50"], found["map_75"], found["map_large"]) == (1, -1, -1)
    assert found["classes"] == 2 and found["classes"].dtype == torch.int32


def test_an_invalid_box_and_a_score_of_nan_match_nothing() -> None:
    one = {"boxes": torch.tensor([[0.0, 0, 4, 4]]), "labels": torch.tensor([0])}
    for box, score in (([0.0, 0, math.nan, 4], 0.5), ([0.0, 0, 4, 4], math.nan)):
        found = {"boxes": torch.tensor([box]), "scores": torch.tensor([score]), "labels": torch.tensor([0])}
        assert computed(MeanAveragePrecision(), [found], [one])["map"] == 0


def test_too_many_detections_are_said() -> None:
    preds = [{"boxes": torch.rand(3, 4), "scores": torch.rand(3), "labels": torch.zeros(3, dtype=torch.long)}]
    target = [{"boxes": torch.rand(1, 4), "labels": torch.zeros(1, dtype=torch.long)}]
    with pytest.warns(InputWarning, match="an image has 3 detections, of which the best 2 of each class count"):
        MeanAveragePrecision(max_detection_thresholds=[1, 2, 2]).update(preds, target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"box_format": "yxyx"}, "expected box_format to be"),
        ({"iou_type": "segm"}, "expected iou_type 'bbox', got 'segm': evaluate masks with torchmetrics itself"),
        ({"iou_type": ("bbox", "segm")}, "expected iou_type 'bbox'"),
        ({"iou_thresholds": 0.5}, "expected iou_thresholds to be None or a list of floats, got 0.5"),
        ({"iou_thresholds": [0.0]}, "expected thresholds of IoU above 0 and at most 1, got 0"),
        ({"rec_thresholds": [1.0, 0.0]}, "expected recalls that ascend"),
        ({"max_detection_thresholds": [1, 10]}, "a list of three numbers, got \\[1, 10\\]"),
        ({"class_metrics": 1}, "expected class_metrics to be True or False, got 1"),
        ({"average": "mean"}, "expected average to be"),
        ({"backend": "torch"}, "expected backend to be"),
    ],
)
def test_arguments_out_of_bounds_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MeanAveragePrecision(**options)


@pytest.mark.parametrize(
    ("pred", "truth", "message"),
    [
        ({"scores": None}, {}, r"expected preds\[0\] with the entry 'scores', got boxes, labels"),
        ({}, {"labels": None}, r"expected target\[0\] with the entry 'labels', got boxes"),
        ({"boxes": [[0.0, 0, 1, 1]]}, {}, r"expected 'boxes' of preds\[0\] to be a tensor, got list"),
        ({"scores": [1]}, {}, r"expected 'scores' of preds\[0\] to be a tensor, got list"),
        ({"boxes": torch.zeros(2, 4)}, {}, r"'boxes' of preds\[0\] of shape \(1, 4\) for 1 labels, got \(2, 4\)"),
        ({"boxes": torch.zeros(1, 5)}, {}, r"of shape \(1, 4\) for 1 labels, got \(1, 5\)"),
        ({"scores": torch.zeros(2)}, {}, r"expected 'scores' of preds\[0\] of shape \(1,\)"),
        ({"scores": torch.zeros(1, dtype=torch.long)}, {}, r"scores of preds\[0\] to be floats, got torch.int64"),
        ({}, {"labels": torch.zeros(1)}, r"'labels' of target\[0\] to be integers of shape \(n,\), got torch.float32"),
        ({}, {"area": torch.zeros(2)}, r"expected 'area' of target\[0\] of shape \(1,\)"),
    ],
)
def test_batches_out_of_shape_are_refused(pred: Any, truth: Any, message: str) -> None:
    usual = {"boxes": torch.zeros(1, 4), "labels": torch.zeros(1, dtype=torch.long)}

    def item(given: Any, **more: Any) -> Any:
        return {name: value for name, value in (usual | more | given).items() if value is not None}

    with pytest.raises(ValueError, match=message):
        MeanAveragePrecision().update([item(pred, scores=torch.zeros(1))], [item(truth)])


def test_other_sequences_are_refused() -> None:
    with pytest.raises(ValueError, match="expected preds to be a list of dicts, got Tensor"):
        MeanAveragePrecision().update(torch.zeros(1), [])
    with pytest.raises(ValueError, match="expected as many images in preds as in target, got 1 and 0"):
        MeanAveragePrecision().update([{}], [])
    with pytest.raises(ValueError, match=r"expected preds\[0\] to be a dict, got int"):
        MeanAveragePrecision().update([1], [{}])
