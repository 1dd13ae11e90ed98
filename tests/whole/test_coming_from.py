"""Every row of the page for users of other libraries runs; where the other library is installed, both results agree."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.paths import ROOT

PAGE = (ROOT / "docs" / "coming-from.md").read_text()
ROW = re.compile(r"^\| (.*?) \| (`fastbox\..*?`|`np\..*?`|`list\(.*?`|`scores\[.*?`) \|", re.MULTILINE)


def rows() -> list[tuple[str, str, str]]:
    """Library, its call and ours, of each row."""
    sections = re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return [(name, theirs.strip("`"), ours.strip("`")) for name, text in sections for theirs, ours in ROW.findall(text)]


ROWS = rows()


def inputs() -> dict[str, Any]:
    """The names that the page defines at its top."""
    block = re.search(r"```python\n(import numpy.*?)```", PAGE, re.DOTALL)
    assert block is not None
    found: dict[str, Any] = {}
    exec(block[1], found)
    return found


def imported(name: str) -> Any:
    """A module of another library, or a skip, also where its own imports fail."""
    try:
        return importlib.import_module(name)
    except Exception as error:  # a library that is installed for another machine raises what it likes
        pytest.skip(f"{name} does not import: {error}")


def tensors(given: dict[str, Any]) -> dict[str, Any]:
    torch = imported("torch")
    names = {"ta": "a", "tb": "b", "tc": "c", "ts": "scores", "tl": "classes"}
    return {"torch": torch} | {name: torch.as_tensor(given[source]) for name, source in names.items()}


def torchvision(given: dict[str, Any]) -> dict[str, Any]:
    ops = imported("torchvision.ops")
    return tensors(given) | {"ops": ops, "Matcher": imported("torchvision.models.detection._utils").Matcher}


def torchmetrics(given: dict[str, Any]) -> dict[str, Any]:
    functional, detection = imported("torchmetrics.functional"), imported("torchmetrics.detection")
    imported("torchmetrics.functional.detection")
    found = tensors(given)

    def mean_ap(boxes: Any, scores: Any, labels: Any, truths: Any, truth_labels: Any) -> Any:
        metric = detection.MeanAveragePrecision()
        wanted = {"boxes": truths, "labels": found["torch"].as_tensor(truth_labels)}
        metric.update([{"boxes": boxes, "scores": scores, "labels": labels}], [wanted])
        return metric.compute()

    return found | {"functional": functional, "mean_ap": mean_ap}


def pycocotools(given: dict[str, Any]) -> dict[str, Any]:
    mask, coco, evaluator = (imported(f"pycocotools.{name}") for name in ("mask", "coco", "cocoeval"))

    def xywh(boxes: Any) -> Any:
        return np.c_[boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]

    def cocoeval(boxes: Any, scores: Any, labels: Any, truths: Any, truth_labels: Any) -> Any:
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = coco.COCO()
            dataset.dataset = {
                "images": [{"id": 1}],
                "categories": [{"id": 1}, {"id": 2}],
                "annotations": [
                    {"id": k, "image_id": 1, "category_id": label, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
                    for k, (box, label) in enumerate(zip(xywh(truths).tolist(), truth_labels.tolist(), strict=True), 1)
                ],
            }
            dataset.createIndex()
            results = [
                {"image_id": 1, "category_id": label, "bbox": box, "score": score}
                for box, label, score in zip(xywh(boxes).tolist(), labels.tolist(), scores.tolist(), strict=True)
            ]
            judge = evaluator.COCOeval(dataset, dataset.loadRes(results), "bbox")
            judge.evaluate()
            judge.accumulate()
            judge.summarize()
        return judge.stats

    return {"mask": mask, "xywh": xywh, "cocoeval": cocoeval}


def supervision(given: dict[str, Any]) -> dict[str, Any]:
    return {"sv": imported("supervision"), "keep": np.flatnonzero}


def sahi_lsnms(given: dict[str, Any]) -> dict[str, Any]:
    return {"lsnms": imported("lsnms"), "sahi_nms": imported("sahi.postprocess.combine").nms}


PEERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "torchvision": torchvision,
    "torchmetrics": torchmetrics,
    "pycocotools": pycocotools,
    "ultralytics": lambda given: tensors(given) | {"metrics": imported("ultralytics.utils.metrics")},
    "supervision": supervision,
    "powerboxes": lambda given: {"powerboxes": imported("powerboxes")},
    "SAHI, lsnms": sahi_lsnms,
    "ensemble-boxes": lambda given: vars(imported("ensemble_boxes")),
}
READ = {"detectron2", "mmdetection", "FiftyOne"}  # their rows were read, not run


def test_the_page_has_rows_of_every_library() -> None:
    assert {name for name, _, _ in ROWS} == {*PEERS, *READ}
    assert len(ROWS) == len(re.findall(r"^\| `", PAGE, re.MULTILINE))


@pytest.mark.parametrize(("peer", "theirs", "ours"), ROWS, ids=[f"{peer}: {theirs[:40]}" for peer, theirs, _ in ROWS])
def test_a_row_runs(peer: str, theirs: str, ours: str) -> None:
    found = np.asarray(eval(ours, inputs()))
    assert found.size > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("peer", "theirs", "ours"),
    [row for row in ROWS if row[0] in PEERS],
    ids=[f"{peer}: {theirs[:40]}" for peer, theirs, _ in ROWS if peer in PEERS],
)
@pytest.mark.filterwarnings("default")
def test_a_row_agrees(peer: str, theirs: str, ours: str) -> None:
    given = inputs()
    expected = np.asarray(eval(theirs, given | PEERS[peer](given)))
    np.testing.assert_allclose(np.asarray(eval(ours, given)), expected, rtol=1e-5, atol=1e-6)
